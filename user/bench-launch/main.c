/*
 * main.c: launch_bench, what a launch on the GPU costs a program.
 *
 * Prints one JSON object a line, medians in microseconds: an empty kernel launched and waited for,
 * 64 launches in one submission, a call that only looks at a fence that is signalled already, 64 MiB
 * to the device's memory and back; and exits from the machine for each. bench/run reads it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/bench-common/bench.h"

#define ROUNDS     201
#define FEW_ROUNDS 11
#define COPY_BYTES (64ull << 20)
#define COUNTERS   "/sys/kernel/malv/counters"
#define WARM_UP    20
#define BATCH      64

struct bench {
    struct malv_device *device;
    struct malv_batch one;
    struct malv_batch many;
    struct malv_batch copy;
    uint64_t fence; /* of the newest submission */
};

static void submit_and_wait(struct bench *bench, const struct malv_batch *batch)
{
    bench_check(malv_submit(bench->device, 0, batch, &bench->fence), "submit");
    bench_check(malv_wait(bench->device, 0, bench->fence, UINT64_MAX), "wait");
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
    bench_check(malv_wait(bench->device, 0, bench->fence, 0), "look");
}

static void copy_all(struct bench *bench)
{
    submit_and_wait(bench, &bench->copy);
}

/* Times a step and prints its median. rounds: at most ROUNDS. */
static void measure(struct bench *bench, const char *name, void (*step)(struct bench *bench),
                    unsigned rounds)
{
    static double times[ROUNDS];
    for (unsigned i = 0; i < (rounds < WARM_UP ? 2 : WARM_UP); i++)
        step(bench);
    for (unsigned i = 0; i < rounds; i++) {
        double start = bench_now_us();
        step(bench);
        times[i] = bench_now_us() - start;
    }
    double median = bench_median(times, rounds);
    printf(
        "{\"name\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"minimum\": %.2f, \"runs\": %u}\n",
        name, median, times[0], rounds);
}

/* What the driver has counted under this name since the machine's start. */
static unsigned long long counted(const char *name)
{
    char line[100], found[64];
    unsigned long long value = 0;
    FILE *file = fopen(COUNTERS, "r");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "%63s %llu", found, &value) == 2 && strcmp(found, name) == 0) {
            fclose(file);
            return value;
        }
    fprintf(stderr, "launch_bench: %s has no %s\n", COUNTERS, name);
    exit(1);
}

/* Prints how often a step leaves the machine: it tells the device of work, or the device it. */
static void exits_measure(struct bench *bench, const char *name, void (*step)(struct bench *bench))
{
    unsigned long long kicks = counted("gpu_kicks"), interrupts = counted("gpu_interrupts");
    for (unsigned i = 0; i < ROUNDS; i++)
        step(bench);
    kicks = counted("gpu_kicks") - kicks;
    interrupts = counted("gpu_interrupts") - interrupts;
    printf("{\"name\": \"%s\", \"kicks\": %.3f, \"interrupts\": %.3f, \"runs\": %u}\n", name,
           (double)kicks / ROUNDS, (double)interrupts / ROUNDS, ROUNDS);
}

static void copies_measure(struct bench *bench)
{
    struct malv_buffer here, there;
    bench_check(malv_buffer_create(bench->device, COPY_BYTES, VGPGPU_BUFFER_GUEST, &here), "buffer");
    bench_check(malv_buffer_create(bench->device, COPY_BYTES, VGPGPU_BUFFER_DEVICE, &there), "buffer");
    malv_batch_init(&bench->copy);
    bench_check(malv_batch_copy(&bench->copy, &here, 0, &there, 0, COPY_BYTES), "record");
    measure(bench, "write_64m", copy_all, FEW_ROUNDS);
    malv_batch_reset(&bench->copy);
    bench_check(malv_batch_copy(&bench->copy, &there, 0, &here, 0, COPY_BYTES), "record");
    measure(bench, "read_64m", copy_all, FEW_ROUNDS);
    malv_batch_free(&bench->copy);
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
    bench_check(status, "build");
    bench_check(malv_kernel_create(device, program, "empty", &kernel, NULL), "kernel");
    return kernel;
}

int main(void)
{
    static const uint64_t one_item[] = {1};
    struct bench bench = {0};
    bench_check(malv_device_open(NULL, &bench.device), "open");
    uint32_t kernel = empty_kernel(bench.device);
    malv_batch_init(&bench.one);
    malv_batch_init(&bench.many);
    bench_check(malv_batch_launch(&bench.one, kernel, 1, one_item, NULL, NULL, 0), "record");
    for (unsigned i = 0; i < BATCH; i++)
        bench_check(malv_batch_launch(&bench.many, kernel, 1, one_item, NULL, NULL, 0), "record");
    measure(&bench, "launch_empty", launch_one, ROUNDS);
    measure(&bench, "launch_batch64", launch_many, ROUNDS);
    measure(&bench, "fence_signalled", look_at_fence, ROUNDS);
    exits_measure(&bench, "exits_submission", launch_one);
    exits_measure(&bench, "exits_fence", look_at_fence);
    copies_measure(&bench);
    malv_batch_free(&bench.one);
    malv_batch_free(&bench.many);
    malv_device_close(bench.device);
    return 0;
}
