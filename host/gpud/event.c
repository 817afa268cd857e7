/*
 * event.c: tells the driver of fences that somebody sleeps on. A context has at most one event on
 * its way: it says "look at all slots", so that newer ones fold into it.
 */
#include "machine.h"

static void event_queue_locked(struct machine *machine, struct context *context,
                               const struct vgpgpu_event *event)
{
    context->event = *event;
    if (context->due)
        return;
    context->due = true;
    context->next_due = machine->due;
    machine->due = context;
}

static void events_send_locked(struct machine *machine, struct ring *ring)
{
    while (machine->due && !ring_is_wanted(ring) && ring_pop_locked(ring, &machine->event_chain)) {
        struct context *context = machine->due;
        uint32_t written = 0;
        if (chain_write(&machine->event_chain, 0, &context->event, sizeof(context->event))) {
            written = sizeof(context->event);
            machine->due = context->next_due;
            context->due = false;
        }
        ring_push_locked(ring, machine->event_chain.head, written);
    }
}

/* A driver that gives room for events says so only while one waits for it. */
void events_flush(struct machine *machine)
{
    struct ring *ring = &machine->session.rings[VGPGPU_QUEUE_EVENT];
    ring_lock(ring);
    pthread_mutex_lock(&machine->event_lock);
    do {
        events_send_locked(machine, ring);
        virtqueue_want_kicks(&ring->queue, machine->due != NULL);
    } while (machine->due && !ring_is_wanted(ring) && !virtqueue_is_empty(&ring->queue));
    bool more = machine->due && !virtqueue_is_empty(&ring->queue);
    pthread_mutex_unlock(&machine->event_lock);
    ring_unlock(ring);
    if (more) /* whoever wanted the ring has it now: the control thread goes on */
        eventfd_signal(machine->control_wake);
}

void event_raise(struct machine *machine, struct context *context, const struct vgpgpu_event *event)
{
    pthread_mutex_lock(&machine->event_lock);
    event_queue_locked(machine, context, event);
    pthread_mutex_unlock(&machine->event_lock);
    events_flush(machine);
}

void event_forget(struct machine *machine, struct context *context)
{
    pthread_mutex_lock(&machine->event_lock);
    for (struct context **link = &machine->due; *link; link = &(*link)->next_due) {
        if (*link == context) {
            *link = context->next_due;
            break;
        }
    }
    context->due = false;
    pthread_mutex_unlock(&machine->event_lock);
}
