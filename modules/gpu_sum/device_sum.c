/*
 * device_sum.c: a reduction in two launches of one batch: work-groups add up stripes of the words,
 * then one work-group adds up their results.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "gpu_sum.h"
#include "lib/gpucmd/gpucmd.h"

#define GROUP       64ull
#define GROUPS      64ull
#define BATCH_BYTES 1024u
#define WAIT_NS     (60 * NS_PER_SEC)

_Static_assert(GROUPS == GROUP, "one work-group folds all results");

static const char source[] =
    "static ulong group_sum(ulong mine, __local ulong *scratch)\n"
    "{\n"
    "    uint me = get_local_id(0);\n"
    "    scratch[me] = mine;\n"
    "    for (uint n = get_local_size(0) / 2; n > 0; n /= 2) {\n"
    "        barrier(CLK_LOCAL_MEM_FENCE);\n"
    "        if (me < n)\n"
    "            scratch[me] += scratch[me + n];\n"
    "    }\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    return scratch[0];\n"
    "}\n"
    "__kernel void sum_words(__global const uint *words, uint count, __global ulong *results,\n"
    "                        __local ulong *scratch)\n"
    "{\n"
    "    ulong mine = 0;\n"
    "    for (uint i = get_global_id(0); i < count; i += get_global_size(0))\n"
    "        mine += words[i];\n"
    "    mine = group_sum(mine, scratch);\n"
    "    if (get_local_id(0) == 0)\n"
    "        results[get_group_id(0)] = mine;\n"
    "}\n"
    "__kernel void sum_results(__global ulong *results, __local ulong *scratch)\n"
    "{\n"
    "    ulong total = group_sum(results[get_local_id(0)], scratch);\n"
    "    if (get_local_id(0) == 0)\n"
    "        results[0] = total;\n"
    "}\n";

/* What the device needs; everything goes with the context. */
struct sum {
    struct gpu_context *ctx;
    uint32_t words, results; /* buffers */
    uint32_t program, sum_words, sum_results;
};

static int program_build(struct sum *s)
{
    char log[256];
    struct gpu_program_source text = {
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source = source,
        .source_bytes = sizeof(source) - 1,
        .log = log,
        .log_bytes = sizeof(log),
    };
    uint32_t arg_count;
    int r = gpu_program_build(s->ctx, &text, &s->program);

    if (r == ERR_BUILD)
        log_error("gpu_sum: its program does not build: %s", log);
    if (r == OK)
        r = gpu_kernel_create(s->ctx, s->program, "sum_words", &s->sum_words, &arg_count);
    if (r == OK)
        r = gpu_kernel_create(s->ctx, s->program, "sum_results", &s->sum_results, &arg_count);
    return r;
}

static void commands_write(const struct sum *s, struct gpucmd *c)
{
    const uint64_t all = GROUP * GROUPS, group = GROUP;
    const uint32_t count = SUM_BYTES / sizeof(uint32_t);
    const struct gpucmd_arg words_args[] = {
        GPUCMD_BUFFER(s->words),
        GPUCMD_VALUE(count),
        GPUCMD_BUFFER(s->results),
        GPUCMD_LOCAL(GROUP * sizeof(uint64_t)),
    };
    const struct gpucmd_arg results_args[] = {
        GPUCMD_BUFFER(s->results),
        GPUCMD_LOCAL(GROUP * sizeof(uint64_t)),
    };
    const struct gpucmd_launch words = {s->sum_words, 1, 4, &all, &group, words_args};
    const struct gpucmd_launch results = {s->sum_results, 1, 2, &group, &group, results_args};

    gpucmd_launch(c, &words);
    gpucmd_launch(c, &results);
}

static struct vgpgpu_submit *batch_create(const struct sum *s)
{
    uint64_t room[BATCH_BYTES / sizeof(uint64_t)];
    struct vgpgpu_submit *batch;
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    commands_write(s, &c);
    batch = c.failed ? NULL : gpu_batch_alloc(s->ctx, c.used);
    if (batch)
        memcpy(batch + 1, room, c.used);
    return batch;
}

static int sum_run(const struct sum *s, uint64_t *took)
{
    struct vgpgpu_submit *batch = batch_create(s);
    enum vgpgpu_status failed;
    uint64_t fence, started;
    int r;

    if (!batch)
        return ERR_NO_MEMORY;
    started = time_now();
    r = gpu_submit(s->ctx, 0, batch, 0, &fence);
    if (r == OK)
        r = gpu_fence_wait(s->ctx, 0, fence, started + WAIT_NS, 0, &failed);
    *took = time_now() - started;
    return r == OK ? gpu_status(failed) : r;
}

int device_sum(struct gpu_context *ctx, uint32_t buffer, uint64_t *sum, uint64_t *took)
{
    struct sum s = {.ctx = ctx, .words = buffer};
    uint64_t run;
    const uint64_t *results;
    int r = gpu_buffer_create(ctx, GROUPS * sizeof(uint64_t), VGPGPU_BUFFER_GUEST, &s.results);

    if (r == OK)
        r = program_build(&s);
    if (r == OK)
        r = sum_run(&s, took);
    if (r != OK)
        return r;
    results = gpu_buffer_at(ctx, s.results, 0, &run);
    *sum = results[0];
    return OK;
}
