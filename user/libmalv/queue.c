/*
 * queue.c: submits batches and waits for fences.
 *
 * The device writes finished fences into a page that is mapped here read-only, so most short work
 * is seen to end without a call into the kernel.
 */
#include "internal.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define SPIN_NS        20000u /* about what a sleep and its wake-up cost */
#define SPINS_PER_LOOK 64u    /* fence reads between two looks at the clock */
#define NS_PER_S       1000000000ull

/* How many values below its fence a batch needs: what its first SIGNAL says. */
static uint32_t signals_needed(const struct malv_batch *batch)
{
    const struct vgpgpu_command *command;
    for (size_t at = 0; at < batch->used; at += command->bytes) {
        command = (const struct vgpgpu_command *)(const void *)(batch->bytes + at);
        if (command->op == VGPGPU_CMD_SIGNAL) {
            return (uint32_t)((const struct vgpgpu_cmd_signal *)(const void *)command)->before;
        }
    }
    return 0;
}

static int batch_submit(struct malv_device *device, uint32_t queue, uint32_t flags,
                        const struct malv_batch *batch, uint64_t *fence)
{
    if (batch->error != 0) {
        return batch->error;
    }
    if (batch->used == 0 || queue >= VGPGPU_QUEUES_PER_CONTEXT) {
        return -EINVAL;
    }
    if (batch->used > device->info.config.max_submit_bytes) {
        return -E2BIG;
    }
    struct malv_submit request = {
        .commands = (uintptr_t)batch->bytes,
        .command_bytes = (uint32_t)batch->used,
        .queue = queue | flags | MALV_SUBMIT_SIGNALS(signals_needed(batch)),
    };
    int error = malv_ioctl(device, MALV_IOC_SUBMIT, &request);
    if (error == 0) {
        *fence = request.fence;
    }
    return error;
}

int malv_submit(struct malv_device *device, uint32_t queue, const struct malv_batch *batch,
                uint64_t *fence)
{
    return batch_submit(device, queue, 0, batch, fence);
}

int malv_submit_unordered(struct malv_device *device, uint32_t queue,
                          const struct malv_batch *batch, uint64_t *fence)
{
    return batch_submit(device, queue, MALV_SUBMIT_UNORDERED, batch, fence);
}

int malv_times(const struct malv_device *device, uint32_t queue, struct malv_times *times)
{
    if (queue >= VGPGPU_QUEUES_PER_CONTEXT) {
        return -EINVAL;
    }
    const volatile struct vgpgpu_fence_slot *slot = &device->fences[queue];
    times->fence = __atomic_load_n(&slot->signalled, __ATOMIC_ACQUIRE);
    times->queued_ns = slot->queued_ns;
    times->ready_ns = slot->ready_ns;
    times->start_ns = slot->start_ns;
    times->end_ns = slot->end_ns;
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Acquire: what the device wrote before it signalled is seen after this. */
static bool fence_is_signalled(const volatile struct vgpgpu_fence_slot *slot, uint64_t fence)
{
    return __atomic_load_n(&slot->signalled, __ATOMIC_ACQUIRE) >= fence;
}

/* True once the fence is signalled, false when `spin_ns` have passed. */
static bool fence_spin(const volatile struct vgpgpu_fence_slot *slot, uint64_t fence,
                       uint64_t spin_ns)
{
    uint64_t start = now_ns();
    do {
        for (unsigned int i = 0; i < SPINS_PER_LOOK; i++) {
            if (fence_is_signalled(slot, fence)) {
                return true;
            }
            __builtin_ia32_pause();
        }
    } while (now_ns() - start < spin_ns);
    return false;
}

/* Lets the kernel wait: it also knows what a failed submission's status means. */
static int fence_sleep(struct malv_device *device, uint32_t queue, uint64_t fence,
                       uint64_t timeout_ns)
{
    uint64_t start = now_ns();
    uint64_t left = timeout_ns;
    for (;;) {
        struct malv_wait request = {.fence = fence, .timeout_ns = left, .queue = queue};
        int error = malv_ioctl_once(device, MALV_IOC_WAIT, &request);
        if (error != -EINTR) {
            return error;
        }
        if (timeout_ns != UINT64_MAX) {
            uint64_t passed = now_ns() - start;
            left = passed < timeout_ns ? timeout_ns - passed : 0;
        }
    }
}

int malv_wait(struct malv_device *device, uint32_t queue, uint64_t fence, uint64_t timeout_ns)
{
    if (queue >= VGPGPU_QUEUES_PER_CONTEXT) {
        return -EINVAL;
    }
    const volatile struct vgpgpu_fence_slot *slot = &device->fences[queue];
    uint64_t spin_ns = timeout_ns < SPIN_NS ? timeout_ns : SPIN_NS;
    bool ended =
        fence_is_signalled(slot, fence) || (spin_ns > 0 && fence_spin(slot, fence, spin_ns));
    uint64_t failed = __atomic_load_n(&slot->failed, __ATOMIC_RELAXED);
    if (ended && (failed == 0 || failed > fence)) {
        return 0;
    }
    return fence_sleep(device, queue, fence, timeout_ns);
}

int malv_notify(struct malv_device *device, uint32_t queue, uint64_t fence)
{
    struct malv_notify request = {.fence = fence, .queue = queue};
    return malv_ioctl(device, MALV_IOC_NOTIFY, &request);
}

int malv_device_fd(const struct malv_device *device)
{
    return device->fd;
}
