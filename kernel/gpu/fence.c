/*
 * fence.c: waiting for the device. The words in the fence page are shared with it; the order of the
 * stores and loads below is the one that uapi/virtio_gpgpu.h promises to the device.
 */
#include <microlake/cpu.h>

#include "internal.h"

#define SPIN_MARGIN_NS  (2 * NS_PER_US)
#define SPIN_WORTH_NS   (50 * NS_PER_US) /* where waits usually take longer, sleeping costs less */
#define ALIVE_PERIOD_NS NS_PER_SEC
#define USUAL_WEIGHT    8 /* one wait's share in the mean is 1 / this */

static bool fence_signalled(const struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    return __atomic_load_n(&ctx->fences[queue].signalled, __ATOMIC_ACQUIRE) >= fence;
}

bool gpu_fence_poll(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    if (queue >= VGPGPU_QUEUES_PER_CONTEXT)
        return true;
    return fence_signalled(ctx, queue, fence) || ctx->device->lost;
}

/* Spins for about as long as it usually takes. True: the wait is over. */
static bool fence_spin(struct gpu_context *ctx, uint32_t queue, uint64_t fence, uint64_t started,
                       uint64_t due)
{
    uint64_t usual = ctx->queues[queue].usual_ns;
    uint64_t end = started + SPIN_MARGIN_NS + (usual <= SPIN_WORTH_NS ? 2 * usual : 0);

    for (end = MIN(end, due); time_now() < end; cpu_relax())
        if (gpu_fence_poll(ctx, queue, fence))
            return true;
    return gpu_fence_poll(ctx, queue, fence);
}

/*
 * Tells the device that somebody sleeps for this fence, then looks again. One word serves all who
 * sleep for the queue: it holds the lowest fence that is still to come. Whoever replaces a value
 * that has passed wakes the others, because the device may not have seen it. True: no need to
 * sleep.
 */
static bool fence_arm(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    struct vgpgpu_fence_slot *slot = &ctx->fences[queue];
    uint64_t flags = spin_lock_irqsave(&ctx->submit_lock);
    uint64_t armed = __atomic_load_n(&slot->wait, __ATOMIC_RELAXED);
    bool passed = fence_signalled(ctx, queue, armed);

    if (passed || armed > fence)
        __atomic_store_n(&slot->wait, fence, __ATOMIC_SEQ_CST);
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    if (passed)
        wait_wake_all(&ctx->sleepers);
    cpu_full_barrier();
    return gpu_fence_poll(ctx, queue, fence);
}

/* A sleeper goes: its value must not call the device to send events for nobody. */
static void fence_disarm(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    struct vgpgpu_fence_slot *slot = &ctx->fences[queue];
    uint64_t flags = spin_lock_irqsave(&ctx->submit_lock);

    if (slot->wait <= fence || fence_signalled(ctx, queue, slot->wait))
        __atomic_store_n(&slot->wait, VGPGPU_NOBODY_WAITS, __ATOMIC_SEQ_CST);
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    wait_wake_all(&ctx->sleepers);
}

/* Sleeps; looks from time to time whether the device is still there. */
static int fence_sleep(struct gpu_context *ctx, uint32_t queue, uint64_t fence, uint64_t due,
                       unsigned flags)
{
    struct gpu_device *d = ctx->device;
    uint64_t until;
    int r;

    gpu_count(&gpu_counters.sleeps, 1);
    do {
        until = MIN(due, time_now() + ALIVE_PERIOD_NS);
        r = WAIT_UNTIL(&ctx->sleepers, fence_arm(ctx, queue, fence), until, flags);
    } while (r == ERR_TIMED_OUT && until < due && d->ops->alive(d->driver) == OK);
    fence_disarm(ctx, queue, fence);
    return gpu_fence_poll(ctx, queue, fence) ? OK : r;
}

/*
 * How long a wait takes when it spins is not known where it slept at once: then what the device says the work took is
 * as good a guess, and without it nobody would ever spin again after some long waits. It is only a guess, and the
 * device's: never more than the wait itself.
 */
static void usual_update(struct gpu_context *ctx, uint32_t queue, uint64_t took)
{
    const struct vgpgpu_fence_slot *slot = &ctx->fences[queue];
    struct gpu_timeline *line = &ctx->queues[queue];
    uint64_t work = __atomic_load_n(&slot->end_ns, __ATOMIC_RELAXED) -
                    __atomic_load_n(&slot->start_ns, __ATOMIC_RELAXED);

    if (line->usual_ns > SPIN_WORTH_NS)
        took = MIN(took, work);
    line->usual_ns += took / USUAL_WEIGHT - line->usual_ns / USUAL_WEIGHT;
}

static bool fence_submitted(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    if (queue >= VGPGPU_QUEUES_PER_CONTEXT)
        return false;
    return fence <= __atomic_load_n(&ctx->queues[queue].last, __ATOMIC_RELAXED);
}

int gpu_fence_wait(struct gpu_context *ctx, uint32_t queue, uint64_t fence, uint64_t due,
                   unsigned flags, enum vgpgpu_status *failed)
{
    const struct vgpgpu_fence_slot *slot = &ctx->fences[queue];
    uint64_t started, first_failed;
    int r = OK;

    if (!fence_submitted(ctx, queue, fence))
        return ERR_INVALID;
    if (!gpu_fence_poll(ctx, queue, fence)) {
        started = time_now();
        if (!fence_spin(ctx, queue, fence, started, due))
            r = due > started ? fence_sleep(ctx, queue, fence, due, flags) : ERR_TIMED_OUT;
        if (r == OK)
            usual_update(ctx, queue, time_now() - started);
    }
    if (r != OK)
        return r;
    if (!fence_signalled(ctx, queue, fence))
        return ERR_LOST;
    if (failed) {
        first_failed = __atomic_load_n(&slot->failed, __ATOMIC_ACQUIRE);
        *failed = first_failed && first_failed <= fence ? slot->status : VGPGPU_OK;
    }
    return OK;
}

void gpu_context_drain(struct gpu_context *ctx)
{
    for (uint32_t queue = 0; queue < VGPGPU_QUEUES_PER_CONTEXT; queue++) {
        uint64_t last = __atomic_load_n(&ctx->queues[queue].last, __ATOMIC_RELAXED);

        if (last)
            gpu_fence_wait(ctx, queue, last, TIME_NEVER, 0, NULL);
    }
}
