/*
 * main.c: gpu_memory_bench: trains or runs a network with less room on the GPU than it needs.
 *
 *     gpu_memory_bench NET STEPS PERCENT    PERCENT: the quota, of the network's buffers
 *     gpu_memory_bench NET STEPS record     prints the touches (module gpu_record) as a trace
 *
 * Prints a line of JSON: time and bytes moved in all, and in the second half of the steps, when a policy has
 * seen the order; a checksum of the weights, which is the same whatever the quota is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "net.h"
#include "user/bench-common/bench.h"

#define SHADOW  "/sys/kernel/mlaas/classes/gpu_memory/shadow"
#define TOUCHES "/sys/kernel/mlaas/gpu_touches"

struct figures {
    double us;
    uint64_t moved, touched, evictions, prefetches;
};

static struct figures figures_now(void)
{
    return (struct figures){
        .us = bench_now_us(),
        .moved = gpu_figure("moved_in") + gpu_figure("moved_out"),
        .touched = gpu_figure("touched"),
        .evictions = gpu_figure("evictions"),
        .prefetches = gpu_figure("prefetches"),
    };
}

static void figures_print(const char *name, const struct figures *from, const struct figures *to)
{
    printf(", \"%s_us\": %.0f, \"%s_moved\": %llu, \"%s_touched\": %llu", name, to->us - from->us, name,
           (unsigned long long)(to->moved - from->moved), name, (unsigned long long)(to->touched - from->touched));
}

static const struct net_shape *shape_find(const char *name)
{
    for (const struct net_shape *s = net_shapes; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

static void steps_run(struct net *net, unsigned steps, unsigned percent)
{
    struct figures start, half = {0}, end;

    quota_set(net->bytes * percent / 100);
    start = figures_now();
    for (unsigned i = 0; i < steps; i++) {
        if (i == steps / 2)
            half = figures_now();
        net_step(net, i);
    }
    end = figures_now();
    printf("{\"net\": \"%s\", \"bytes\": %llu, \"percent\": %u", net->shape->name, (unsigned long long)net->bytes, percent);
    figures_print("all", &start, &end);
    figures_print("second", &half, &end);
    printf(", \"evictions\": %llu, \"prefetches\": %llu", (unsigned long long)(end.evictions - start.evictions),
           (unsigned long long)(end.prefetches - start.prefetches));
    printf(", \"checksum\": \"%016llx\"}\n", (unsigned long long)net_checksum(net));
}

int main(int argc, char **argv)
{
    const struct net_shape *shape = argc == 4 ? shape_find(argv[1]) : NULL;
    bool record = argc == 4 && !strcmp(argv[3], "record");
    static struct net net;

    if (!shape || atoi(argv[2]) < 1 || (!record && atoi(argv[3]) < 1)) {
        fprintf(stderr, "usage: gpu_memory_bench NET STEPS PERCENT|record\n");
        return 2;
    }
    if (record && !file_write(SHADOW, "gpu_record\n")) {
        perror(SHADOW);
        return 1;
    }
    net_open(&net, shape);
    if (record)
        for (unsigned i = 0; i < (unsigned)atoi(argv[2]); i++)
            net_step(&net, i);
    else
        steps_run(&net, (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
    net_close(&net);
    return record && !file_print(TOUCHES) ? 1 : 0;
}
