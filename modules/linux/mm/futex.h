/*
 * futex.h: one who waits on a word, for the calls that do (futex.c, futex_waitv.c). Thread context.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/wait.h>

struct mm;

struct futex_key {
    const void *space; /* struct mm or struct memobj; only compared */
    uint64_t offset;
};

struct futex_bucket {
    struct spinlock lock;
    uint32_t wakes;      /* guarded by lock; looked at without */
    struct list waiters; /* struct futex_waiter, oldest first; guarded by lock */
};

/* Memory of the waiting thread; it goes only after futex_waiter_leave(). */
struct futex_waiter {
    struct list link;            /* guarded by the bucket's lock */
    struct futex_key key;        /* guarded by the bucket's lock */
    struct futex_bucket *bucket; /* guarded by the lock of the bucket it names */
    uint32_t bits;               /* set by the waiter before it enters */
    bool woken;                  /* written once, atomic */
    struct wait_queue *queue;    /* where the thread sleeps; several waiters may share one */
};

/* Says on which word: w is zeroed but for bits. ERR_INVALID, ERR_FAULT. */
int futex_waiter_init(struct futex_waiter *w, struct mm *mm, vaddr_t at, bool shared,
                      struct wait_queue *queue);

/* Joins the bucket if the word still holds `expected`. OK, ERR_AGAIN: it does not, ERR_FAULT. */
int futex_waiter_enter(struct futex_waiter *w, vaddr_t at, uint32_t expected);

/* Leaves whatever bucket a requeue has put it in. true: it had been woken. */
bool futex_waiter_leave(struct futex_waiter *w);
