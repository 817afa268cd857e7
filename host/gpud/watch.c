/* watch.c: see watch.h. */
#include "watch.h"

#include <poll.h>
#include <time.h>
#include "remote.h"

/* The thread looks this many times within a limit, at most once in LEAST_MS. */
#define LOOKS    8u
#define LEAST_MS 20u

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void watch_init(struct watch *watch, uint64_t limit_ns)
{
    watch->limit_ns = limit_ns;
    pthread_mutex_init(&watch->lock, NULL);
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

static bool is_late(const struct watch *watch, uint64_t since_ns, uint64_t now)
{
    return since_ns && now > since_ns && now - since_ns > watch->limit_ns;
}

static void look(struct machine *machine)
{
    struct watch *watch = &machine->watch;
    uint64_t now = now_ns();
    struct timeline *late;
    pthread_mutex_lock(&watch->lock); /* what is in the list is not freed meanwhile */
    for (late = watch->first; late; late = late->watch_after)
        if (is_late(watch, atomic_load_explicit(&late->since_ns, memory_order_relaxed), now))
            break;
    bool call = is_late(watch, atomic_load(&watch->call_since_ns), now);
    if (late || call)
        remote_kill(machine, late, call);
    pthread_mutex_unlock(&watch->lock);
}

void *watch_run(void *argument)
{
    struct machine *machine = argument;
    uint64_t pause_ms = machine->watch.limit_ns / 1000000u / LOOKS;
    for (;;) {
        poll(NULL, 0, (int)(pause_ms > LEAST_MS ? pause_ms : LEAST_MS));
        look(machine);
    }
    return NULL;
}
