/*
 * submit.c: batches on their way to the device. The queue never interrupts, but for threads that
 * wait for room; what the device has read is freed when the next batch comes.
 */
#include <microlake/memory.h>
#include <microlake/trace.h>

#include "driver.h"

#define PERIOD_NS (2 * NS_PER_SEC)

COUNTER(gpu_submissions);
COUNTER(gpu_kicks); /* submissions that the device was told of: exits from the machine */

void gpgpu_submit_reap(struct gpgpu *g)
{
    uint32_t written;
    void *batch;
    int r;

    while ((r = virtio_queue_take(g->submit, &batch, &written)) == OK)
        gpu_batch_free(batch);
    if (r == ERR_LOST)
        gpgpu_lose(g, "gives back batches that it does not have");
}

void gpgpu_submit_used(struct virtio_queue *q)
{
    struct gpgpu *g = virtio_queue_context(q);

    gpgpu_submit_reap(g);
    wait_wake_all(&g->submit_sleepers.queue);
}

void gpgpu_submit_lost(struct gpgpu *g)
{
    struct vgpgpu_submit *batch;

    while ((batch = virtio_queue_reclaim(g->submit)))
        gpu_batch_free(batch);
    wait_wake_all(&g->submit_sleepers.queue);
}

int gpgpu_submit(void *driver, struct vgpgpu_submit *batch)
{
    struct gpgpu *g = driver;
    struct vring_buffer buffer = {
        .address = virt_to_phys(batch),
        .length = (uint32_t)sizeof(*batch) + batch->command_bytes,
    };
    int r;

    if (virtio_queue_pending(g->submit))
        gpgpu_submit_reap(g);
    if (g->lost)
        return ERR_LOST;
    r = virtio_queue_add(g->submit, &buffer, 1, batch);
    if (r == ERR_LOST)
        gpgpu_lost(g);
    if (r == OK) {
        COUNT(gpu_submissions, 1);
        COUNT(gpu_kicks, virtio_queue_kick(g->submit));
    }
    if (r == OK && g->lost) /* meanwhile, and maybe too late for those who took everything back */
        gpgpu_submit_lost(g);
    return r;
}

static bool submit_has_room(struct gpgpu *g)
{
    if (virtio_queue_pending(g->submit))
        gpgpu_submit_reap(g);
    return g->lost || virtio_queue_room(g->submit) > 0;
}

int gpgpu_submit_wait(void *driver, uint64_t due)
{
    struct gpgpu *g = driver;
    uint64_t until;
    int r;

    sleepers_enter(&g->submit_sleepers, g->submit);
    do {
        until = MIN(due, time_now() + PERIOD_NS);
        r = WAIT_UNTIL(&g->submit_sleepers.queue, submit_has_room(g), until, WAIT_INTERRUPTIBLE);
    } while (r == ERR_TIMED_OUT && until < due && gpgpu_alive(g) == OK);
    sleepers_leave(&g->submit_sleepers, g->submit);
    return g->lost ? ERR_LOST : r;
}
