/*
 * main.c: launch_bench, what a launch on the GPU costs a program.
 *
 * Prints one JSON object a line, medians in microseconds: an empty kernel launched and waited for,
 * 64 launches in one submission, and a call that only looks at a fence that is signalled already.
 * bench/run reads it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/libmalv/malv.h"

#define ROUNDS  201
#define WARM_UP 20
#define BATCH   64

struct bench {
    struct malv_device *device;
    struct malv_batch one;
    struct malv_batch many;
    uint64_t fence; /* of the newest submission */
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Ends the program with a line about a call that failed. */
static void check(int status, const char *what)
{
    if (!status)
        return;
    fprintf(stderr, "launch_bench: %s: %s\n", what, malv_error_text(status));
    exit(1);
}

static void submit_and_wait(struct bench *bench, const struct malv_batch *batch)
{
    check(malv_submit(bench->device, 0, batch, &bench->fence), "submit");
    check(malv_wait(bench->device, 0, bench->fence, UINT64_MAX), "wait");
}

static void launch_one(struct bench *bench)
{
    submit_and_wait(bench, &bench->one);
}

static void launch_many(struct bench *bench)
{
    submit_and_wait(bench, &bench->many);
}

static void look_at_fence(struct bench *bench)
{
    check(malv_wait(bench->device, 0, bench->fence, 0), "look");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Times a step ROUNDS times and prints its median. */
static void measure(struct bench *bench, const char *name, void (*step)(struct bench *bench))
{
    static double times[ROUNDS];
    for (unsigned i = 0; i < WARM_UP; i++)
        step(bench);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now_us();
        step(bench);
        times[i] = now_us() - start;
    }
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    printf(
        "{\"name\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"minimum\": %.2f, \"runs\": %u}\n",
        name, times[ROUNDS / 2], times[0], ROUNDS);
}

static uint32_t empty_kernel(struct malv_device *device)
{
    static const char source[] = "__kernel void empty(void) {}\n";
    static char log[1024];
    uint32_t program, kernel;
    int status = malv_program_build(device, VGPGPU_PROGRAM_OPENCL_C, source, strlen(source), NULL,
                                    log, sizeof(log), &program);
    if (status == -ENOEXEC)
        fprintf(stderr, "%s", log);
    check(status, "build");
    check(malv_kernel_create(device, program, "empty", &kernel, NULL), "kernel");
    return kernel;
}

int main(void)
{
    static const uint64_t one_item[] = {1};
    struct bench bench = {0};
    check(malv_device_open(NULL, &bench.device), "open");
    uint32_t kernel = empty_kernel(bench.device);
    malv_batch_init(&bench.one);
    malv_batch_init(&bench.many);
    check(malv_batch_launch(&bench.one, kernel, 1, one_item, NULL, NULL, 0), "record");
    for (unsigned i = 0; i < BATCH; i++)
        check(malv_batch_launch(&bench.many, kernel, 1, one_item, NULL, NULL, 0), "record");
    measure(&bench, "launch_empty", launch_one);
    measure(&bench, "launch_batch64", launch_many);
    measure(&bench, "fence_signalled", look_at_fence);
    malv_batch_free(&bench.one);
    malv_batch_free(&bench.many);
    malv_device_close(bench.device);
    return 0;
}
