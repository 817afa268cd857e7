/*
 * launch_native.c: how long an empty kernel takes from launch to the end of the wait, through gpud
 * over vhost-user and on the host's OpenCL directly, by turns in the same run. Prints one JSON
 * object a line; value and baseline are medians over the runs, a run's figure being its median
 * launch.
 *
 *     launch-native [GPUD]     GPUD: the program, build/host/gpud by default
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "direct.h"
#include "tests/vhost-front/front.h"

#define RUNS      9u
#define LAUNCHES  500u
#define BATCHES   100u
#define BATCH     64u
#define WARM_UP   50u
#define SPIN_US   200u /* before the waiting side sleeps */
#define WAIT_MS   10000
#define QUEUE     0u
#define CONTEXT   1u
#define MAX_TIMES LAUNCHES

struct bench {
    struct front *front;
    struct vgpgpu_fence_slot *slot;
    uint64_t fence;
    struct front_batch one, many;
};

static struct bench bench;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void gpud_check(uint32_t status, const char *what)
{
    if (!status)
        return;
    fprintf(stderr, "launch-native: gpud refused %s: status %u\n", what, status);
    exit(1);
}

static void gpud_prepare(const char *socket)
{
    bench.front = front_open(socket, 64u << 20);
    uint64_t page = front_pages(bench.front, 1);
    bench.slot = (struct vgpgpu_fence_slot *)front_at(bench.front, page) + QUEUE;
    gpud_check(front_context_create(bench.front, CONTEXT, page), "a context");
    gpud_check(front_program(bench.front, CONTEXT, 1, "kernel void empty(void) {}", NULL, 0),
               "a program");
    gpud_check(front_kernel(bench.front, CONTEXT, 1, 1, "empty", NULL), "a kernel");
    batch_launch(&bench.one, 1, 1, 1);
    for (unsigned i = 0; i < BATCH; i++)
        batch_launch(&bench.many, 1, 1, 1);
}

static void gpud_run(unsigned count)
{
    const struct front_batch *batch = count == 1 ? &bench.one : &bench.many;
    front_submit(bench.front, CONTEXT, QUEUE, ++bench.fence, batch->commands, batch->bytes);
    if (front_wait(bench.front, bench.slot, bench.fence, SPIN_US, WAIT_MS)) {
        fprintf(stderr, "launch-native: gpud did not finish a launch within %d ms\n", WAIT_MS);
        exit(1);
    }
    gpud_check(bench.slot->status, "a launch");
}

/* The median of `times` repetitions of `count` launches and a wait, in microseconds. */
static double measure(void (*run)(unsigned count), unsigned count, unsigned times)
{
    static double passed[MAX_TIMES];
    for (unsigned i = 0; i < WARM_UP; i++)
        run(count);
    for (unsigned i = 0; i < times; i++) {
        double start = now_us();
        run(count);
        passed[i] = now_us() - start;
    }
    return median(passed, times);
}

static void row(const char *name, const char *baseline_name, unsigned count, unsigned times)
{
    double through[RUNS], direct[RUNS];
    for (unsigned i = 0; i < RUNS; i++) {
        direct[i] = measure(direct_run, count, times);
        through[i] = measure(gpud_run, count, times);
    }
    printf("{\"row\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"baseline_name\": \"%s\", "
           "\"baseline\": %.2f, \"runs\": %u}\n",
           name, median(through, RUNS), baseline_name, median(direct, RUNS), RUNS);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *gpud_path = argc > 1 ? argv[1] : "build/host/gpud";
    char folder[] = "/tmp/launch-native-XXXXXX", socket[64];
    if (argc > 2 || access(gpud_path, X_OK) != 0) {
        fprintf(stderr, "launch-native: no gpud at %s: run `make build/host/gpud` first\n",
                gpud_path);
        return 2;
    }
    if (!mkdtemp(folder)) {
        perror("launch-native: /tmp");
        return 1;
    }
    snprintf(socket, sizeof(socket), "%s/gpu", folder);
    pid_t gpud = gpud_start(gpud_path, socket, NULL);
    gpud_prepare(socket);
    direct_open();
    row("launch_native_empty", "direct PoCL in C", 1, LAUNCHES);
    row("launch_native_batch64", "direct PoCL in C", BATCH, BATCHES);
    direct_close();
    front_close(bench.front);
    int status = gpud_stop(gpud);
    rmdir(folder);
    return status ? 1 : 0;
}
