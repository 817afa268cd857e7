/*
 * reclaim.c: watermarks and those who give memory back. See reclaim.h.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/log.h>
#include <microlake/reclaim.h>
#include <microlake/thread.h>
#include <microlake/trace.h>
#include "mm.h"

COUNTER(frames_reclaimed);

#define LOW_SHARE  64 /* of all frames */
#define HIGH_SHARE 32

static struct list reclaimers = LIST_INIT(reclaimers); /* guarded by lock */
static struct mutex lock = MUTEX_INIT(lock);           /* held while a reclaimer runs */
static struct wait_queue thread_queue = WAIT_QUEUE_INIT(thread_queue);
static struct thread *thread;
static bool wanted;
static struct reclaim_stats stats;
static int64_t reclaimable; /* atomic */

void reclaimable_add(int64_t frames)
{
    __atomic_add_fetch(&reclaimable, frames, __ATOMIC_RELAXED);
}

uint64_t reclaimable_frames(void)
{
    return (uint64_t)MAX(__atomic_load_n(&reclaimable, __ATOMIC_RELAXED), 0);
}

/* Caller holds the lock. */
static uint64_t reclaim_locked(uint64_t frames)
{
    uint64_t given = 0;

    list_for_each (it, &reclaimers) {
        struct reclaimer *r = list_entry(it, struct reclaimer, link);
        uint64_t n;

        if (given >= frames)
            break;
        n = r->reclaim(r, frames - given);
        r->reclaimed += n;
        given += n;
    }
    stats.reclaimed += given;
    COUNT(frames_reclaimed, given);
    return given;
}

static void reclaim_to_high(void)
{
    uint64_t free = frames_free();

    mutex_lock(&lock);
    stats.runs++;
    while (free < stats.high && reclaim_locked(stats.high - free))
        free = frames_free();
    mutex_unlock(&lock);
}

static void reclaim_thread(void *arg)
{
    (void)arg;
    for (;;) {
        WAIT_UNTIL(&thread_queue, __atomic_load_n(&wanted, __ATOMIC_ACQUIRE), TIME_NEVER, 0);
        reclaim_to_high();
        /* Whoever has nothing to give is not asked again at once. */
        thread_sleep(time_now() + 10 * NS_PER_MS, 0);
        __atomic_store_n(&wanted, false, __ATOMIC_RELEASE);
    }
}

bool reclaim_below_low(uint64_t free)
{
    return free < stats.low;
}

void reclaim_wake(void)
{
    if (!thread || __atomic_exchange_n(&wanted, true, __ATOMIC_ACQ_REL))
        return;
    wait_wake_all(&thread_queue);
}

bool reclaim_direct(uint64_t frames)
{
    uint64_t given;

    if (!thread || thread_current() == thread || this_cpu()->preempt_count || !interrupts_are_on() ||
        lock.owner == thread_current())
        return false;
    mutex_lock(&lock);
    stats.direct++;
    given = reclaim_locked(frames);
    mutex_unlock(&lock);
    return given;
}

/* The thread exists only in machines where somebody can give something. */
static int thread_ensure(void)
{
    struct memory_stats memory;
    struct thread *t;

    if (thread)
        return OK;
    memory_stats(&memory);
    stats.low = memory.total / PAGE_SIZE / LOW_SHARE;
    stats.high = memory.total / PAGE_SIZE / HIGH_SHARE;
    if (thread_create("reclaim", reclaim_thread, NULL, &t) != OK)
        return ERR_NO_MEMORY;
    thread = t;
    return OK;
}

int reclaimer_register(struct reclaimer *r)
{
    int result;

    mutex_lock(&lock);
    result = thread_ensure();
    if (result == OK)
        list_push_back(&reclaimers, &r->link);
    mutex_unlock(&lock);
    return result;
}

void reclaimer_unregister(struct reclaimer *r)
{
    mutex_lock(&lock);
    list_remove(&r->link);
    mutex_unlock(&lock);
}

void reclaim_stats(struct reclaim_stats *out)
{
    *out = stats;
}
