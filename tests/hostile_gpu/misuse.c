/*
 * misuse.c: every error that <microlake/gpu.h> promises to a caller who makes a mistake.
 */
#include <microlake/aspace.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "lib/gpucmd/gpucmd.h"
#include "machine.h"

#define EXPECT(call, status)                                                                                           \
    do {                                                                                                               \
        int r_ = (call);                                                                                               \
        CHECK(r_ == (status) && #call, r_);                                                                            \
    } while (0)

static void contexts(void)
{
    struct vgpgpu_config config;
    struct gpu_context *ctx, *all[LIAR_CONTEXTS + 1];
    unsigned count = 0;
    uint64_t quota;

    EXPECT(gpu_device_info(1, &config), ERR_NOT_FOUND);
    EXPECT(gpu_device_info(UINT32_MAX, &config), ERR_NOT_FOUND);
    EXPECT(gpu_context_open(UINT32_MAX, &ctx), ERR_NOT_FOUND);
    EXPECT(gpu_quota(1, NULL, &quota), ERR_NOT_FOUND);
    EXPECT(gpu_context_open(0, &ctx), OK);
    EXPECT(gpu_context_limit(ctx, 0), ERR_INVALID);
    gpu_context_close(ctx);
    while (count <= LIAR_CONTEXTS && gpu_context_open(0, &all[count]) == OK)
        count++;
    CHECK(count == LIAR_CONTEXTS, count);
    EXPECT(gpu_context_open(0, &ctx), ERR_LIMIT);
    while (count > 0)
        gpu_context_close(all[--count]);
}

static void buffers(struct gpu_context *ctx)
{
    paddr_t frame = frame_alloc(0, FRAME_ZERO);
    struct vgpgpu_segment segment = {frame, PAGE_SIZE};
    uint32_t id, sub, managed, wrapped, device;
    struct memobj *object;
    uint64_t run;

    EXPECT(gpu_buffer_create(ctx, 0, VGPGPU_BUFFER_GUEST, &id), ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, 0, &id), ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST | VGPGPU_BUFFER_DEVICE, &id), ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, GPU_BUFFER_MANAGED | VGPGPU_BUFFER_GUEST, &id), ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, (1 << 28) + 1, VGPGPU_BUFFER_DEVICE, &id), ERR_RANGE);
    EXPECT(gpu_buffer_create(ctx, UINT64_MAX, GPU_BUFFER_MANAGED, &id), ERR_RANGE);
    EXPECT(gpu_buffer_wrap(ctx, 4096, &segment, 0, &id), ERR_INVALID);
    EXPECT(gpu_buffer_wrap(ctx, 4096, &segment, 1001, &id), ERR_RANGE);
    EXPECT(gpu_buffer_wrap(ctx, 4096, &segment, UINT32_MAX, &id), ERR_RANGE);
    EXPECT(gpu_buffer_wrap(ctx, 0, &segment, 1, &id), ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id), OK);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_DEVICE, &device), OK);
    EXPECT(gpu_buffer_create(ctx, 4096, GPU_BUFFER_MANAGED, &managed), OK);
    EXPECT(gpu_buffer_wrap(ctx, 4096, &segment, 1, &wrapped), OK);
    EXPECT(gpu_buffer_sub(ctx, 0, 0, 64, &sub), ERR_NOT_FOUND);
    EXPECT(gpu_buffer_sub(ctx, 999, 0, 64, &sub), ERR_NOT_FOUND);
    EXPECT(gpu_buffer_sub(ctx, UINT32_MAX, 0, 64, &sub), ERR_NOT_FOUND);
    EXPECT(gpu_buffer_sub(ctx, managed, 0, 64, &sub), ERR_INVALID);
    EXPECT(gpu_buffer_sub(ctx, id, 0, 0, &sub), ERR_INVALID);
    EXPECT(gpu_buffer_sub(ctx, id, 64, 4096, &sub), ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, id, UINT64_MAX, 64, &sub), ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, id, 64, UINT64_MAX, &sub), ERR_RANGE);
    CHECK(!gpu_buffer_at(ctx, id, 4096, &run), 0);
    CHECK(!gpu_buffer_at(ctx, id, UINT64_MAX, &run), 0);
    CHECK(!gpu_buffer_at(ctx, 0, 0, &run) && !gpu_buffer_at(ctx, 999, 0, &run), 0);
    CHECK(!gpu_buffer_at(ctx, managed, 0, &run) && !gpu_buffer_at(ctx, wrapped, 0, &run), 0);
    EXPECT(gpu_buffer_memobj(ctx, 999, &object, NULL), ERR_NOT_FOUND);
    EXPECT(gpu_buffer_memobj(ctx, managed, &object, NULL), ERR_INVALID);
    EXPECT(gpu_buffer_memobj(ctx, wrapped, &object, NULL), ERR_INVALID);
    EXPECT(gpu_buffer_memobj(ctx, device, &object, NULL), ERR_INVALID);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, wrapped), OK);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, wrapped), ERR_NOT_FOUND);
    frame_free(frame, 0);
}

static void objects(struct gpu_context *ctx)
{
    struct gpu_program_source source = {.kind = VGPGPU_PROGRAM_OPENCL_C, .source = "x", .source_bytes = 0};
    uint32_t id, count;
    char name[80];

    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, 0), ERR_NOT_FOUND);
    EXPECT(gpu_object_destroy(ctx, GPU_PROGRAM, 1), ERR_NOT_FOUND);
    EXPECT(gpu_object_destroy(ctx, GPU_KERNEL, UINT32_MAX), ERR_NOT_FOUND);
    EXPECT(gpu_object_destroy(ctx, GPU_OBJECT_KINDS, 1), ERR_NOT_FOUND);
    EXPECT(gpu_object_destroy(ctx, (enum gpu_object_kind)77, 1), ERR_NOT_FOUND);
    EXPECT(gpu_program_build(ctx, &source, &id), ERR_INVALID);
    source.source_bytes = (1 << 16) + 1;
    EXPECT(gpu_program_build(ctx, &source, &id), ERR_RANGE);
    source.source_bytes = source.options_bytes = UINT32_MAX;
    EXPECT(gpu_program_build(ctx, &source, &id), ERR_RANGE);
    memset(name, 'n', sizeof(name));
    name[64] = '\0';
    EXPECT(gpu_kernel_create(ctx, 1, name, &id, &count), ERR_INVALID);
}

static struct vgpgpu_submit *batch_make(struct gpu_context *ctx, uint32_t buffer)
{
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, sizeof(struct vgpgpu_cmd_fill));
    struct gpucmd c;

    gpucmd_begin(&c, batch + 1, sizeof(struct vgpgpu_cmd_fill));
    gpucmd_fill(&c, buffer, 0, 64, "", 1);
    return batch;
}

/* A batch is taken over, whatever is wrong with it: the counters show it. */
static void work(struct gpu_context *ctx)
{
    uint64_t fence = 0;
    uint32_t managed;

    CHECK(!gpu_batch_alloc(ctx, 4) && !gpu_batch_alloc(ctx, UINT32_MAX) && !gpu_batch_alloc(ctx, (1 << 16) + 8), 0);
    EXPECT(gpu_submit(ctx, VGPGPU_QUEUES_PER_CONTEXT, batch_make(ctx, 1), 0, &fence), ERR_INVALID);
    EXPECT(gpu_submit(ctx, UINT32_MAX, batch_make(ctx, 1), 0, &fence), ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, VGPGPU_QUEUES_PER_CONTEXT, 0, 0, 0, NULL), ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, UINT32_MAX, 1, 0, 0, NULL), ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, 0, 1, TIME_NEVER, 0, NULL), ERR_INVALID);
    CHECK(gpu_fence_poll(ctx, VGPGPU_QUEUES_PER_CONTEXT, 1) && gpu_fence_poll(ctx, UINT32_MAX, 1), 0);
    EXPECT(gpu_submit(ctx, 0, batch_make(ctx, 1), GPU_SIGNALS(3), &fence), OK);
    CHECK(fence == 4, fence);
    EXPECT(gpu_fence_wait(ctx, 0, fence + 1, TIME_NEVER, 0, NULL), ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, 0, fence, time_now() + NS_PER_SEC, 0, NULL), OK);
    EXPECT(gpu_fence_wait(ctx, 0, fence - 1, 0, 0, NULL), OK);
    EXPECT(gpu_buffer_create(ctx, 4096, GPU_BUFFER_MANAGED, &managed), OK);
    EXPECT(gpu_submit(ctx, 0, batch_make(ctx, managed), GPU_NOWAIT, &fence), ERR_INVALID);
    EXPECT(gpu_submit(ctx, 64, batch_make(ctx, managed), 0, &fence), ERR_INVALID);
    EXPECT(gpu_submit(ctx, 0, gpu_batch_alloc(ctx, 8), 0, &fence), ERR_INVALID); /* nonsense, as it comes */
    EXPECT(gpu_submit(ctx, 0, batch_make(ctx, managed), 0, &fence), OK);
    EXPECT(gpu_fence_wait(ctx, 0, fence, time_now() + NS_PER_SEC, 0, NULL), OK);
}

static void devices(void)
{
    static const struct gpu_driver_ops odd = {.struct_size = sizeof(odd) - 8};
    static const struct gpu_driver_ops bare = {.struct_size = sizeof(bare)};
    struct gpu_device *device, *all[20];
    unsigned count = 0;

    EXPECT(gpu_device_register(&odd, NULL, &device), ERR_INVALID);
    while (count < ARRAY_SIZE(all) && gpu_device_register(&bare, NULL, &all[count]) == OK)
        count++;
    CHECK(count > 1 && count < ARRAY_SIZE(all), count);
    EXPECT(gpu_device_register(&bare, NULL, &device), ERR_LIMIT);
    while (count > 0)
        EXPECT(gpu_device_unregister(all[--count]), OK);
}

void misuse(void)
{
    struct gpu_context *ctx;

    contexts();
    devices();
    EXPECT(gpu_context_open(0, &ctx), OK);
    objects(ctx);
    buffers(ctx);
    gpu_context_close(ctx);
    EXPECT(gpu_context_open(0, &ctx), OK);
    work(ctx);
    gpu_context_close(ctx);
}
