/*
 * sched.h: what the measurements of bench_sched share. Times are ns of CLOCK_MONOTONIC.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "user/bench-bare/bare.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* What the command line says. */
struct settings {
    const char *what; /* pattern of arrivals, kind of adversary */
    uint64_t rate;    /* iterations of work a millisecond; 0: found out */
    uint64_t seed;
    unsigned seconds;
    unsigned periods;
    unsigned hogs;
    bool fifo; /* the latency-critical threads ask for SCHED_FIFO */
    bool loop; /* beside a server, a thread that wakes every 10 ms for 1 ms of work */
};

/* Ends the program with a line about what failed; error: an errno value, or 0. */
__attribute__((noreturn)) void fail(const char *what, int error);

/* ---- work.c ---- */

uint64_t now_ns(void);
void sleep_until(uint64_t due);

/* Iterations of work a millisecond: the best of many tries. */
uint64_t work_calibrate(void);
void work_set_rate(uint64_t iterations_a_ms);

/* Fixed work: what takes `ns` on a CPU that nobody else wants. */
void work_do(uint64_t ns);

pthread_t thread_begin(void *(*entry)(void *), void *argument, bool fifo);
void thread_end(pthread_t thread);

/* The values as one object a line: name, count and percentiles in us. Sorts them. */
void print_percentiles(const char *name, uint64_t *ns, unsigned count);

/* ---- the measurements; each prints lines of JSON ---- */

void measure_latency(const struct settings *s);
void measure_server(const struct settings *s);
void measure_adversary(const struct settings *s);

/* ---- arrivals.c: what a server is asked, from a seed alone ---- */

struct request {
    uint64_t due;     /* ns after the start */
    uint64_t service; /* ns of work */
    uint64_t finished;
};

/* Fills up to `most` requests of a pattern within `span` ns; 0: there is no such pattern. */
unsigned arrivals_make(const char *pattern, uint64_t seed, uint64_t span, struct request *out,
                       unsigned most);
