/*
 * native.h: what the benchmarks without a machine share: a gpud of their own with one context on
 * it, rows, and medians. They print one JSON object a line, which bench/run reads.
 *
 * Functions end the program with a line when something fails.
 */
#pragma once

#include "tests/vhost-front/front.h"

#define NATIVE_CONTEXT 1u
#define NATIVE_QUEUE   0u
#define NATIVE_WAIT_MS 60000

/* The one machine that the benchmark is. */
struct native {
    struct front *front;
    struct vgpgpu_fence_slot *slot; /* of NATIVE_QUEUE */
    uint64_t fence;                 /* of the newest submission */
    pid_t gpud;
};

/*
 * main() of a benchmark: PROGRAM [GPUD]. Starts gpud, makes a context in a machine of `memory`
 * bytes, calls measure() and ends gpud. Returns the exit status.
 */
int native_main(int argc, char **argv, uint64_t memory, void (*measure)(struct native *n));

void native_check(bool good, const char *what);

/* A buffer in pages that follow each other; its bytes as this side sees them. */
void *native_buffer(struct native *n, uint32_t buffer, uint64_t bytes);

/* Builds a program and its kernel, both `id`. */
void native_kernel(struct native *n, uint32_t id, const char *name, const char *source);

/* Submits a batch and waits: looks at the fence for spin_us, then sleeps. */
void native_run(struct native *n, const struct front_batch *batch, unsigned spin_us);

double native_now_us(void);
/* Sorts the values. */
double native_median(double *values, unsigned count);

/* Prints a row from single values of both sides, in microseconds. */
void native_row(const char *name, const char *baseline_name, double *values, double *baselines,
                unsigned count);
