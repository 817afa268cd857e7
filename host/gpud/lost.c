/* lost.c: see lost.h. */
#include "lost.h"

#include <signal.h>
#include <string.h>

static struct machine *watched;

static void timeline_lose(struct timeline *timeline)
{
    struct vgpgpu_fence_slot *slot = timeline->slot;
    if (timeline->submitted <= timeline->signalled)
        return;
    if (!timeline->failed) {
        __atomic_store_n(&slot->status, VGPGPU_ERR_LOST, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->failed, timeline->signalled + 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&slot->signalled, timeline->submitted, __ATOMIC_RELEASE);
}

static void event_send(struct machine *machine)
{
    struct ring *ring = &machine->session.rings[VGPGPU_QUEUE_EVENT];
    const struct vgpgpu_event event = {.type = VGPGPU_EVENT_LOST};
    enum virtqueue_pop got;
    do {
        got = virtqueue_pop(&ring->queue, &machine->event_chain);
    } while (got == VIRTQUEUE_BAD_CHAIN);
    if (got != VIRTQUEUE_CHAIN || !chain_write(&machine->event_chain, 0, &event, sizeof(event)))
        return;
    virtqueue_push(&ring->queue, machine->event_chain.head, sizeof(event));
    eventfd_signal(ring->call);
}

void machine_lose(struct machine *machine)
{
    atomic_store(&machine->lost, true);
    for (unsigned id = 1; id <= MAX_CONTEXTS; id++)
        for (unsigned i = 0; machine->contexts[id] && i < VGPGPU_QUEUES_PER_CONTEXT; i++)
            timeline_lose(&machine->contexts[id]->timelines[i]);
    event_send(machine);
}

/* SA_RESETHAND: a second fault, here too, ends the process at once. */
static void on_fatal_signal(int number)
{
    machine_lose(watched);
    raise(number);
}

void lost_watch(struct machine *machine)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
    struct sigaction action = {.sa_handler = on_fatal_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    watched = machine;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}
