/*
 * wait.h: waiting for something. Thread context for waiting; waking from any context.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>

struct thread;

struct wait_queue {
    struct spinlock lock;
    struct list waiters; /* struct waiter, oldest first; guarded by lock */
};

#define WAIT_QUEUE_INIT(name) {SPINLOCK_INIT, LIST_INIT((name).waiters)}

struct waiter {
    struct list link;   /* guarded by the queue's lock */
    struct thread *thread;
    bool woken; /* set by a wake; guarded by the queue's lock */
};

enum wait_flags {
    WAIT_INTERRUPTIBLE = 1u << 0, /* thread_interrupt() ends the wait with ERR_INTERRUPTED */
};

void wait_queue_init(struct wait_queue *q);

/*
 * The pattern (WAIT_UNTIL below does it):
 *     wait_prepare(&q, &w);          from here on a wake is not lost
 *     if (!condition)
 *         r = wait_sleep(&q, &w, due, flags);
 *     wait_finish(&q, &w);
 * wait_sleep returns OK when woken, ERR_TIMED_OUT at time `due` (TIME_NEVER: no limit), or
 * ERR_INTERRUPTED. wait_finish returns true when the waiter had been woken.
 */
void wait_prepare(struct wait_queue *q, struct waiter *w);
int wait_sleep(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags);
bool wait_finish(struct wait_queue *q, struct waiter *w);

/* Wakes the oldest n waiters; returns how many. Any context. */
unsigned wait_wake(struct wait_queue *q, unsigned n);

static inline void wait_wake_all(struct wait_queue *q)
{
    wait_wake(q, ~0u);
}

/* Sleeps until condition holds; result is a status as of wait_sleep. The condition is evaluated several
 * times, also after it has held: it must have no side effects. */
#define WAIT_UNTIL(q, condition, due, flags)                                                       \
    ({                                                                                             \
        int wait_result_ = OK;                                                                     \
        while (!(condition)) {                                                                     \
            struct waiter wait_w_;                                                                 \
            wait_prepare((q), &wait_w_);                                                           \
            if (!(condition))                                                                      \
                wait_result_ = wait_sleep((q), &wait_w_, (due), (flags));                          \
            wait_finish((q), &wait_w_);                                                            \
            if (wait_result_ != OK)                                                                \
                break;                                                                             \
        }                                                                                          \
        wait_result_;                                                                              \
    })

/* A lock one may sleep under. Thread context only. Not recursive. */
struct mutex {
    uint32_t held; /* 0 free, 1 held, 2 held and somebody waits */
    struct thread *owner; /* for diagnostics */
    struct wait_queue queue;
};

#define MUTEX_INIT(name) {0, NULL, WAIT_QUEUE_INIT((name).queue)}
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
