/*
 * futex_waitv.c: waiting on many words at once: a waiter for each, all asleep on one queue.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/mm/futex.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define WORDS_MAX 128u

/* The words as the program gave them, then as waiters. */
struct many {
    struct wait_queue queue;
    unsigned count;
    struct linux_futex_word words[WORDS_MAX];
    struct futex_waiter waiters[WORDS_MAX];
};

static int decode_limit(const struct call *c, uint64_t *due)
{
    uint64_t time;
    int r;

    *due = TIME_NEVER;
    if (c->arg[3] == 0)
        return OK;
    if (c->arg[4] != LINUX_CLOCK_REALTIME && c->arg[4] != LINUX_CLOCK_MONOTONIC)
        return ERR_INVALID;
    r = clock_read_timespec(c->arg[3], &time);
    if (r == OK)
        *due = c->arg[4] == LINUX_CLOCK_REALTIME ? clock_due_at_wall(time) : time;
    return r;
}

static int decode_words(const struct call *c, struct many *m)
{
    int r = user_read(m->words, c->arg[0], m->count * sizeof(m->words[0]));

    for (unsigned i = 0; i < m->count && r == OK; i++) {
        const struct linux_futex_word *word = &m->words[i];

        if ((word->flags & ~(uint32_t)LINUX_FUTEX_PRIVATE) != LINUX_FUTEX_SIZE_32 ||
            word->reserved != 0)
            r = ERR_INVALID;
    }
    for (unsigned i = 0; i < m->count && r == OK; i++) {
        m->waiters[i].bits = LINUX_FUTEX_ANY;
        r = futex_waiter_init(&m->waiters[i], c->task->process->mm, m->words[i].address,
                              !(m->words[i].flags & LINUX_FUTEX_PRIVATE), &m->queue);
    }
    return r;
}

/* Leaves the first `count` buckets. Which of them was woken, the last one if several were, or -1. */
static long leave_all(struct many *m, unsigned count)
{
    long woken = -1;

    for (unsigned i = 0; i < count; i++) {
        if (futex_waiter_leave(&m->waiters[i]))
            woken = (long)i;
    }
    return woken;
}

static bool any_woken(const struct many *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (__atomic_load_n(&m->waiters[i].woken, __ATOMIC_ACQUIRE))
            return true;
    }
    return false;
}

static long wait_on_all(struct many *m, uint64_t due)
{
    long woken;
    int r = OK;
    unsigned entered;

    for (entered = 0; entered < m->count && r == OK; entered += r == OK)
        r = futex_waiter_enter(&m->waiters[entered], m->words[entered].address,
                               (uint32_t)m->words[entered].value);
    if (r == OK)
        r = WAIT_UNTIL(&m->queue, any_woken(m), due, WAIT_INTERRUPTIBLE);
    woken = leave_all(m, entered);
    return woken >= 0 ? woken : r;
}

long sys_futex_waitv(struct call *c)
{
    struct many *m;
    uint64_t due;
    long r;

    if ((uint32_t)c->arg[2] != 0 || (uint32_t)c->arg[1] - 1 >= WORDS_MAX || c->arg[0] == 0)
        return ERR_INVALID;
    r = decode_limit(c, &due);
    if (r != OK)
        return r;
    m = kzalloc(sizeof(*m));
    if (!m)
        return ERR_NO_MEMORY;
    wait_queue_init(&m->queue);
    m->count = (uint32_t)c->arg[1];
    r = decode_words(c, m);
    if (r == OK)
        r = wait_on_all(m, due);
    kfree(m);
    return r;
}
