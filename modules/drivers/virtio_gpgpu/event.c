/*
 * event.c: the event queue. Its buffers are always with the device, and its interrupts always on.
 */
#include <microlake/log.h>
#include <microlake/trace.h>
#include <microlake/memory.h>

#include "driver.h"

#define EVENTS         32u
#define EVENTS_AT_ONCE 1024u /* in one interrupt: nobody waits for so many */

static int event_give(struct gpgpu *g, struct vgpgpu_event *event)
{
    struct vring_buffer buffer = {virt_to_phys(event), sizeof(*event), true};

    return virtio_queue_add(g->event, &buffer, 1, event);
}

int gpgpu_events_start(struct gpgpu *g)
{
    paddr_t page = frame_alloc(0, FRAME_ZERO);

    if (!page)
        return ERR_NO_MEMORY;
    g->events = phys_to_virt(page);
    for (unsigned i = 0; i < EVENTS; i++)
        if (event_give(g, &g->events[i]) != OK)
            break;
    virtio_queue_interrupts_enable(g->event);
    return OK;
}

static void event_handle(struct gpgpu *g, const struct vgpgpu_event *event)
{
    if (event->type == VGPGPU_EVENT_FENCE) {
        gpu_fence_event(g->gpu, event->context);
    } else if (event->type == VGPGPU_EVENT_LOST) {
        gpgpu_lose(g, "says that it is lost");
    }
}

COUNTER(gpu_interrupts); /* of fences that somebody sleeps for */

void gpgpu_event_used(struct virtio_queue *q)
{
    struct gpgpu *g = virtio_queue_context(q);
    struct vgpgpu_event event;
    uint32_t written, count = 0;
    void *token;
    int r;

    COUNT(gpu_interrupts, 1);
    while ((r = virtio_queue_take(q, &token, &written)) == OK) {
        if (count++ == EVENTS_AT_ONCE)
            gpgpu_lose(g, "floods the machine with events");
        memcpy(&event, token, sizeof(event));
        if (!g->lost)
            event_give(g, token);
        if (written >= sizeof(event))
            event_handle(g, &event);
    }
    if (r == ERR_LOST)
        gpgpu_lose(g, "sends events that it has no room for");
    else
        virtio_queue_kick(q);
}
