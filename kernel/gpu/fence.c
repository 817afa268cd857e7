/*
 * fence.c: waiting for the device. The words in the fence page are shared with it; the order of the
 * stores and loads below is the one that uapi/virtio_gpgpu.h promises to the device.
 */
#include <microlake/boot.h>
#include <microlake/cpu.h>

#include "internal.h"

#define SPIN_MARGIN_NS  (2 * NS_PER_US)
#define SPIN_WORTH_NS   (50 * NS_PER_US) /* where waits usually take longer, sleeping costs less */
#define ALIVE_PERIOD_NS NS_PER_SEC
#define USUAL_WEIGHT    8 /* one wait's share in the mean is 1 / this */
#define PATIENCE_S      150 /* more than gpud lets work take by default */

uint64_t gpu_patience_due(void)
{
    uint64_t seconds = MIN(boot_option_number("gpu.patience", PATIENCE_S), UINT32_MAX);

    return seconds ? time_now() + seconds * NS_PER_SEC : TIME_NEVER;
}

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

/* What the device shall see, and what this side believes: it never reads back what the device can write. */
static void armed_set(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    ctx->queues[queue].armed = fence;
    __atomic_store_n(&ctx->fences[queue].wait, fence ? fence : VGPGPU_NOBODY_WAITS, __ATOMIC_SEQ_CST);
}

/*
 * Tells the device that somebody sleeps for this fence, then looks again. One word serves all who
 * sleep for the queue: it holds the lowest fence that is still to come. Whoever replaces a value
 * that has passed wakes the others, because the device may not have seen it. True: no need to
 * sleep.
 */
static bool fence_arm(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    uint64_t flags = spin_lock_irqsave(&ctx->submit_lock);
    uint64_t armed = ctx->queues[queue].armed;
    bool passed = armed && fence_signalled(ctx, queue, armed);

    if (!armed || passed || armed > fence)
        armed_set(ctx, queue, fence);
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    if (passed)
        wait_wake_all(&ctx->sleepers);
    cpu_full_barrier();
    return gpu_fence_poll(ctx, queue, fence);
}

/* A sleeper goes: its value must not call the device to send events for nobody. */
static void fence_disarm(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    uint64_t flags = spin_lock_irqsave(&ctx->submit_lock);
    uint64_t armed = ctx->queues[queue].armed;

    if (armed <= fence || fence_signalled(ctx, queue, armed))
        armed_set(ctx, queue, 0);
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    wait_wake_all(&ctx->sleepers);
}

/*
 * Values of a queue only grow, and never beyond what was submitted: else the device is of no use any more. What was
 * seen is read first: who sees more than another may be the later one.
 */
static bool fence_credible(struct gpu_context *ctx, uint32_t queue)
{
    struct gpu_timeline *line = &ctx->queues[queue];
    struct gpu_device *d = ctx->device;
    uint64_t seen = __atomic_load_n(&line->seen, __ATOMIC_ACQUIRE), flags, last;
    uint64_t now = __atomic_load_n(&ctx->fences[queue].signalled, __ATOMIC_ACQUIRE);

    if (now > seen)
        __atomic_store_n(&line->seen, now, __ATOMIC_RELEASE);
    if (now >= seen && now <= __atomic_load_n(&line->last, __ATOMIC_RELAXED))
        return true;
    flags = spin_lock_irqsave(&ctx->submit_lock); /* a value is set down only after the device may know it */
    last = line->last;
    spin_unlock_irqrestore(&ctx->submit_lock, flags);
    if (now >= seen && now <= last)
        return true;
    d->ops->lose(d->driver, now < seen ? "takes a fence back" : "signals what was never submitted");
    return false;
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
    } while (r == ERR_TIMED_OUT && until < due && fence_credible(ctx, queue) && d->ops->alive(d->driver) == OK);
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

/* The device's word that it failed is worth more than its word why. */
static enum vgpgpu_status fence_failure(const struct vgpgpu_fence_slot *slot, uint64_t fence)
{
    uint64_t first = __atomic_load_n(&slot->failed, __ATOMIC_ACQUIRE);
    uint32_t status = __atomic_load_n(&slot->status, __ATOMIC_RELAXED);

    if (!first || first > fence)
        return VGPGPU_OK;
    return status > VGPGPU_OK && status <= VGPGPU_ERR_TIMEOUT ? status : VGPGPU_ERR_EXEC;
}

int gpu_fence_wait(struct gpu_context *ctx, uint32_t queue, uint64_t fence, uint64_t due,
                   unsigned flags, enum vgpgpu_status *failed)
{
    uint64_t started;
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
    if (!fence_signalled(ctx, queue, fence) || !fence_credible(ctx, queue))
        return ERR_LOST;
    if (failed)
        *failed = fence_failure(&ctx->fences[queue], fence);
    return OK;
}

int gpu_work_wait(struct gpu_context *ctx, uint32_t queue, uint64_t fence, unsigned flags,
                  enum vgpgpu_status *failed)
{
    const struct vgpgpu_fence_slot *slot = &ctx->fences[queue];
    uint64_t due, before;
    int r;

    do {
        before = __atomic_load_n(&slot->signalled, __ATOMIC_RELAXED);
        due = gpu_fence_poll(ctx, queue, fence) ? TIME_NEVER : gpu_patience_due();
        r = gpu_fence_wait(ctx, queue, fence, due, flags, failed);
    } while (r == ERR_TIMED_OUT && __atomic_load_n(&slot->signalled, __ATOMIC_RELAXED) > before);
    return r;
}

void gpu_context_drain(struct gpu_context *ctx)
{
    for (uint32_t queue = 0; queue < VGPGPU_QUEUES_PER_CONTEXT && !ctx->given_up; queue++) {
        uint64_t last = __atomic_load_n(&ctx->queues[queue].last, __ATOMIC_RELAXED);

        if (last)
            ctx->given_up = gpu_work_wait(ctx, queue, last, 0, NULL) == ERR_TIMED_OUT;
    }
}
