/* watch.c: see watch.h. */
#include "watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include "clock.h"
#include "remote.h"

/* The thread looks this many times within a limit, at most once in LEAST_MS. */
#define LOOKS    8u
#define LEAST_MS 20u

int watch_init(struct watch *watch, uint64_t limit_ns)
{
    watch->limit_ns = limit_ns;
    atomic_init(&watch->least_ns, limit_ns);
    pthread_mutex_init(&watch->lock, NULL);
    watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return watch->wake < 0 ? -1 : 0;
}

void watch_limit_add(struct watch *watch, uint64_t limit_ns)
{
    uint64_t least = atomic_load(&watch->least_ns);
    if (least && least <= limit_ns)
        return;
    atomic_store(&watch->least_ns, limit_ns);
    eventfd_signal(watch->wake);
}

void watch_call_begin(struct remote *remote)
{
    struct watch *watch = &remote->machine->watch;
    atomic_store(&watch->call_remote, remote);
    atomic_store(&watch->call_since_ns, now_ns());
}

void watch_call_end(struct remote *remote)
{
    atomic_store(&remote->machine->watch.call_since_ns, 0);
}

void watch_next(struct timeline *timeline)
{
    atomic_store_explicit(&timeline->since_ns, now_ns(), memory_order_relaxed);
}

void watch_add(struct timeline *timeline)
{
    struct watch *watch = &timeline->context->machine->watch;
    watch_next(timeline);
    pthread_mutex_lock(&watch->lock);
    timeline->watch_before = NULL;
    timeline->watch_after = watch->first;
    if (watch->first)
        watch->first->watch_before = timeline;
    watch->first = timeline;
    pthread_mutex_unlock(&watch->lock);
}

void watch_remove(struct timeline *timeline)
{
    struct watch *watch = &timeline->context->machine->watch;
    pthread_mutex_lock(&watch->lock);
    if (timeline->watch_before)
        timeline->watch_before->watch_after = timeline->watch_after;
    else
        watch->first = timeline->watch_after;
    if (timeline->watch_after)
        timeline->watch_after->watch_before = timeline->watch_before;
    pthread_mutex_unlock(&watch->lock);
}

static bool is_late(const struct remote *remote, uint64_t since_ns, uint64_t now)
{
    uint64_t own = atomic_load(&remote->limit_ns);
    uint64_t limit = own ? own : remote->machine->watch.limit_ns;
    return limit && since_ns && now > since_ns && now - since_ns > limit;
}

static uint64_t since_of(struct timeline *timeline)
{
    return atomic_load_explicit(&timeline->since_ns, memory_order_relaxed);
}

/* Whether none of the same device process waits longer. */
static bool is_oldest_locked(struct watch *watch, struct timeline *timeline, uint64_t since)
{
    for (struct timeline *other = watch->first; other; other = other->watch_after)
        if (other->context->remote == timeline->context->remote && since_of(other) && since_of(other) < since)
            return false;
    return true;
}

/* When this thread has come late, several may be late: it is the oldest that has kept the others waiting. */
static void timelines_look_locked(struct watch *watch, uint64_t now)
{
    for (struct timeline *timeline = watch->first; timeline; timeline = timeline->watch_after) {
        struct remote *remote = timeline->context->remote;
        uint64_t since = since_of(timeline);
        if (is_late(remote, since, now) && is_oldest_locked(watch, timeline, since))
            remote_kill(remote, timeline, false); /* what goes already, stays as it is */
    }
}

static void look(struct machine *machine)
{
    struct watch *watch = &machine->watch;
    uint64_t now = now_ns();
    pthread_mutex_lock(&watch->lock); /* what is in the list is not freed meanwhile */
    timelines_look_locked(watch, now);
    struct remote *asked = atomic_load(&watch->call_remote);
    if (asked && is_late(asked, atomic_load(&watch->call_since_ns), now))
        remote_kill(asked, NULL, true);
    pthread_mutex_unlock(&watch->lock);
}

/* -1: there is nothing to look for. */
static int pause_ms(const struct watch *watch)
{
    uint64_t least = atomic_load(&watch->least_ns);
    if (!least)
        return -1;
    uint64_t pause = least / 1000000u / LOOKS;
    return (int)(pause > LEAST_MS ? pause : LEAST_MS);
}

void *watch_run(void *argument)
{
    struct machine *machine = argument;
    struct pollfd event = {.fd = machine->watch.wake, .events = POLLIN};
    for (;;) {
        if (poll(&event, 1, pause_ms(&machine->watch)) > 0)
            eventfd_drain(machine->watch.wake);
        look(machine);
    }
    return NULL;
}
