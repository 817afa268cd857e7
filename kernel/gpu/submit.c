/*
 * submit.c: batches of commands on their way to the device.
 */
#include "internal.h"

struct vgpgpu_submit *gpu_batch_alloc(struct gpu_context *ctx, uint32_t command_bytes)
{
    struct vgpgpu_submit *batch;

    if (command_bytes > ctx->device->config.max_submit_bytes || command_bytes % 8)
        return NULL;
    batch = kmalloc(sizeof(*batch) + command_bytes);
    if (!batch)
        return NULL;
    *batch = (struct vgpgpu_submit){.context = ctx->id, .command_bytes = command_bytes};
    gpu_count(&gpu_counters.batches, 1);
    return batch;
}

void gpu_batch_free(struct vgpgpu_submit *batch)
{
    gpu_count(&gpu_counters.batches, -1);
    kfree(batch);
}

/* Gives the batch the queue's next fence value and hands it to the driver, as one step: fence
 * values reach the device in their order. */
static int submit_once(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch,
                       uint64_t signals, uint64_t *fence)
{
    struct gpu_device *d = ctx->device;
    struct gpu_timeline *line = &ctx->queues[queue];
    uint64_t flags = spin_lock_irqsave(&ctx->submit_lock);
    uint64_t value = line->last + signals + 1;
    int r;

    batch->queue = queue;
    batch->fence = value;
    if (__atomic_load_n(&ctx->fences[queue].signalled, __ATOMIC_RELAXED) > line->last)
        d->ops->lose(d->driver, "signals what was never submitted"); /* this would seem to have ended at once */
    r = d->lost ? ERR_LOST : d->ops->submit(d->driver, batch);
    if (r == OK)
        *fence = line->last = value;
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    return r;
}

int gpu_submit_plain(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch, unsigned flags,
                     uint64_t *fence)
{
    struct gpu_device *d = ctx->device;
    int r = queue < VGPGPU_QUEUES_PER_CONTEXT ? ERR_AGAIN : ERR_INVALID;

    while (r == ERR_AGAIN) {
        r = submit_once(ctx, queue, batch, flags / GPU_SIGNALS(1), fence);
        if (r != ERR_AGAIN || (flags & GPU_NOWAIT))
            break;
        r = d->ops->submit_wait(d->driver, gpu_patience_due());
        if (r == OK)
            r = ERR_AGAIN;
    }
    if (r == OK)
        gpu_count(&gpu_counters.submissions, 1);
    else if (r != ERR_AGAIN)
        gpu_batch_free(batch);
    return r;
}

int gpu_submit(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch, unsigned flags,
               uint64_t *fence)
{
    if (flags & GPU_UNORDERED)
        batch->flags |= VGPGPU_SUBMIT_UNORDERED;
    if (__atomic_load_n(&ctx->manages, __ATOMIC_ACQUIRE))
        return gpu_residency_submit(ctx, queue, batch, flags, fence);
    return gpu_submit_plain(ctx, queue, batch, flags, fence);
}
