/*
 * wait.c: wait queues, sleeping, mutexes.
 *
 * Lock order: a queue's lock, then a thread's wake_lock. A thread is BLOCKED only from inside
 * wait_sleep() with preemption off, so a preempted thread is never taken for a waiting one.
 */
#include <microlake/log.h>
#include <microlake/thread.h>
#include <microlake/trace.h>
#include "kernel/policy/guard.h"
#include "queue.h"

TRACEPOINT(thread_wake, "thread=%u cpu=%u");
COUNTER(thread_wakes);

void wait_queue_init(struct wait_queue *q)
{
    q->lock = (struct spinlock)SPINLOCK_INIT;
    list_init(&q->waiters);
}

void wait_prepare(struct wait_queue *q, struct waiter *w)
{
    uint64_t flags;

    w->thread = thread_current();
    w->woken = false;
    flags = spin_lock_irqsave(&q->lock);
    list_push_back(&q->waiters, &w->link);
    spin_unlock_irqrestore(&q->lock, flags);
}

bool wait_finish(struct wait_queue *q, struct waiter *w)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);

    list_remove(&w->link);
    spin_unlock_irqrestore(&q->lock, flags);
    return w->woken;
}

unsigned wait_wake(struct wait_queue *q, unsigned n)
{
    uint64_t flags;
    unsigned woken = 0;

    flags = spin_lock_irqsave(&q->lock);
    while (woken < n && !list_empty(&q->waiters)) {
        struct waiter *w = list_entry(list_pop_front(&q->waiters), struct waiter, link);
        struct thread *t = w->thread;

        w->woken = true; /* w may be gone once the lock is free */
        sched_wake(t);
        woken++;
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return woken;
}

bool sched_wake(struct thread *t)
{
    uint64_t flags = spin_lock_irqsave(&t->wake_lock);
    bool waited = t->state == THREAD_BLOCKED || t->state == THREAD_NEW;
    const struct cpu *c = this_cpu();

    if (waited) {
        /* A thread whose registers are still live on a CPU must be posted to that CPU. */
        unsigned cpu = __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) ? t->cpu : cpu_choose(t);

        t->sched.flags = t->state == THREAD_NEW ? SCHED_NEW : SCHED_WAKEUP;
        t->sched.outside = c->in_interrupt || c->current == c->idle || c->current->sched.leads;
        t->state = THREAD_READY;
        COUNT(thread_wakes, 1);
        TRACE(thread_wake, t->id, cpu, 0);
        thread_post(t, cpu);
    }
    spin_unlock_irqrestore(&t->wake_lock, flags);
    return waited;
}

int sched_block_begin(uint64_t due, unsigned flags)
{
    struct thread *t = thread_current();
    int r = OK;

    spin_lock(&t->wake_lock);
    t->wait_interruptible = flags & WAIT_INTERRUPTIBLE;
    if (t->wait_interruptible && __atomic_load_n(&t->interrupted, __ATOMIC_ACQUIRE))
        r = ERR_INTERRUPTED;
    else if (due != TIME_NEVER && time_now() >= due)
        r = ERR_TIMED_OUT;
    else
        t->state = THREAD_BLOCKED;
    spin_unlock(&t->wake_lock);
    return r;
}

bool sched_claim(struct thread *t)
{
    bool claimed;

    spin_lock(&t->wake_lock);
    claimed = t->state == THREAD_BLOCKED && !__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) &&
              (t->affinity >> this_cpu()->id & 1);
    if (claimed)
        t->state = THREAD_READY;
    spin_unlock(&t->wake_lock);
    return claimed;
}

static void alarm_expired(struct timer *timer)
{
    sched_wake(container_of(timer, struct alarm, timer)->thread);
}

void alarm_set(struct alarm *a, uint64_t due)
{
    timer_init(&a->timer, alarm_expired);
    a->thread = thread_current();
    timer_arm(&a->timer, due);
}

/* Blocks unless there is a reason not to; OK means: look again. q may be NULL. */
static int block_once(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags)
{
    uint64_t irq;
    int r;

    preempt_disable();
    irq = q ? spin_lock_irqsave(&q->lock) : interrupts_disable();
    r = w && w->woken ? ERR_AGAIN : sched_block_begin(due, flags);
    if (q)
        spin_unlock_irqrestore(&q->lock, irq);
    else
        interrupts_restore(irq);
    if (r == OK)
        sched_block();
    preempt_enable();
    return r;
}

int wait_sleep(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags)
{
    struct alarm alarm;
    int r;

    guard_forbid();
    if (due != TIME_NEVER)
        alarm_set(&alarm, due);
    do
        r = block_once(q, w, due, flags);
    while (r == OK);
    if (due != TIME_NEVER)
        timer_cancel(&alarm.timer);
    return r == ERR_AGAIN ? OK : r;
}

int thread_sleep(uint64_t due, unsigned flags)
{
    int r = wait_sleep(NULL, NULL, due, flags);

    return r == ERR_TIMED_OUT ? OK : r;
}

void thread_interrupt(struct thread *t)
{
    uint64_t flags;
    bool wake;

    __atomic_store_n(&t->interrupted, true, __ATOMIC_SEQ_CST);
    t->user_work = true;
    flags = spin_lock_irqsave(&t->wake_lock);
    wake = t->state == THREAD_BLOCKED && t->wait_interruptible;
    spin_unlock_irqrestore(&t->wake_lock, flags);
    if (wake) {
        sched_wake(t);
    } else if (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE)) {
        preempt_disable();
        cpu_kick(t->cpu); /* out of user mode, for before_return() */
        preempt_enable();
    }
}

void thread_interrupt_clear(void)
{
    __atomic_store_n(&thread_current()->interrupted, false, __ATOMIC_SEQ_CST);
}

void mutex_init(struct mutex *m)
{
    m->held = 0;
    m->owner = NULL;
    wait_queue_init(&m->queue);
}

bool mutex_trylock(struct mutex *m)
{
    uint32_t free = 0;

    guard_forbid();
    if (!__atomic_compare_exchange_n(&m->held, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    m->owner = thread_current();
    return true;
}

/* Drepper's second mutex ("Futexes are tricky"): 2 says that somebody may wait. */
void mutex_lock(struct mutex *m)
{
    bool locked = mutex_trylock(m);

    ASSERT(locked || m->owner != thread_current());
    while (!locked) {
        struct waiter w;

        wait_prepare(&m->queue, &w);
        locked = __atomic_exchange_n(&m->held, 2, __ATOMIC_ACQUIRE) == 0;
        if (!locked)
            wait_sleep(&m->queue, &w, TIME_NEVER, 0);
        wait_finish(&m->queue, &w);
    }
    m->owner = thread_current();
}

void mutex_unlock(struct mutex *m)
{
    m->owner = NULL;
    if (__atomic_exchange_n(&m->held, 0, __ATOMIC_RELEASE) == 2)
        wait_wake(&m->queue, 1);
}
