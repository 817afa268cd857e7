/* native.c: see native.h. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *program = "native";

void native_check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s failed\n", program, what);
    exit(1);
}

double native_now_us(void)
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

double native_median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void native_row(const char *name, const char *baseline_name, double *values, double *baselines,
                unsigned count)
{
    printf("{\"row\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"baseline_name\": \"%s\", "
           "\"baseline\": %.2f, \"runs\": %u}\n",
           name, native_median(values, count), baseline_name, native_median(baselines, count),
           count);
    fflush(stdout);
}

void *native_buffer(struct native *n, uint32_t buffer, uint64_t bytes)
{
    uint64_t pages = (bytes + VGPGPU_PAGE - 1) / VGPGPU_PAGE;
    struct vgpgpu_segment segment = {front_pages(n->front, pages), pages * VGPGPU_PAGE};
    native_check(!front_buffer_guest(n->front, NATIVE_CONTEXT, buffer, bytes, &segment, 1),
                 "gpud: a buffer");
    return front_at(n->front, segment.address);
}

void native_kernel(struct native *n, uint32_t id, const char *name, const char *source)
{
    native_check(!front_program(n->front, NATIVE_CONTEXT, id, source, NULL, 0), "gpud: a program");
    native_check(!front_kernel(n->front, NATIVE_CONTEXT, id, id, name, NULL), "gpud: a kernel");
}

void native_run(struct native *n, const struct front_batch *batch, unsigned spin_us)
{
    front_submit(n->front, NATIVE_CONTEXT, NATIVE_QUEUE, ++n->fence, batch->commands, batch->bytes);
    native_check(!front_wait(n->front, n->slot, n->fence, spin_us, NATIVE_WAIT_MS),
                 "gpud: work within a minute");
    native_check(!n->slot->status, "gpud: work");
}

static void machine_open(struct native *n, const char *socket, uint64_t memory)
{
    n->front = front_open(socket, memory);
    uint64_t page = front_pages(n->front, 1);
    n->slot = (struct vgpgpu_fence_slot *)front_at(n->front, page) + NATIVE_QUEUE;
    native_check(!front_context_create(n->front, NATIVE_CONTEXT, page), "gpud: a context");
}

int native_main(int argc, char **argv, uint64_t memory, void (*measure)(struct native *n))
{
    const char *path = argc > 1 ? argv[1] : "build/host/gpud", *slash = strrchr(argv[0], '/');
    char folder[] = "/tmp/gpud-bench-XXXXXX", socket[64];
    struct native n = {.fence = 0};
    program = slash ? slash + 1 : argv[0];
    if (argc > 2 || access(path, X_OK) != 0) {
        fprintf(stderr, "%s: no gpud at %s: run `make build/host/gpud` first\n", program, path);
        return 2;
    }
    native_check(mkdtemp(folder), "a folder in /tmp");
    snprintf(socket, sizeof(socket), "%s/gpu", folder);
    n.gpud = gpud_start(path, socket, NULL);
    machine_open(&n, socket, memory);
    measure(&n);
    front_close(n.front);
    int status = gpud_stop(n.gpud);
    rmdir(folder);
    return status ? 1 : 0;
}
