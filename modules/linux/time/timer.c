/*
 * timer.c: alarm and the real interval timer of a process.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define ITIMER_REAL  0
#define ITIMER_KINDS 3

/* Made when first used, freed with the process. */
struct interval_timer {
    struct timer timer;      /* armed under lock */
    struct process *process; /* not a reference: the process frees the timer before it goes */
    struct spinlock lock;
    uint64_t due;      /* 0: not running; guarded by lock */
    uint64_t interval; /* 0: once; guarded by lock */
};

/* The shortest time between two expiries, whatever the interval: a machine whose timer goes off
 * faster than it can attend to has no time left for anything else. */
#define SHORTEST_NS (100 * NS_PER_US)

/* When it is due next after an expiry that is attended to at `now`; 0: never. */
static uint64_t due_next(const struct interval_timer *i, uint64_t now)
{
    uint64_t next = i->due + i->interval, soonest = now + SHORTEST_NS;

    if (i->interval == 0 || next >= soonest)
        return i->interval == 0 ? 0 : next;
    return next + ((soonest - next) / i->interval + 1) * i->interval;
}

/* Interrupt context. It may come late: set anew meanwhile, the timer is armed again already. */
static void interval_expired(struct timer *timer)
{
    struct interval_timer *i = container_of(timer, struct interval_timer, timer);
    uint64_t flags = spin_lock_irqsave(&i->lock), now = time_now();
    bool due = i->due != 0 && i->due <= now;

    if (due) {
        i->due = due_next(i, now);
        if (i->due != 0)
            timer_arm(&i->timer, i->due);
    }
    spin_unlock_irqrestore(&i->lock, flags);
    if (due)
        signal_send_simple(i->process, LINUX_SIGALRM, LINUX_SI_KERNEL, 0);
}

void interval_timer_free(struct interval_timer *timer)
{
    uint64_t flags;

    if (!timer)
        return;
    flags = spin_lock_irqsave(&timer->lock);
    timer->due = 0;
    spin_unlock_irqrestore(&timer->lock, flags);
    timer_cancel(&timer->timer);
    kfree(timer);
}

void process_stop_timers(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct interval_timer *timer = p->alarm;

    p->alarm = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
    interval_timer_free(timer);
}

/* The process's timer, made if need be. NULL: no memory. */
static struct interval_timer *timer_of(struct process *p)
{
    struct interval_timer *fresh = kzalloc(sizeof(*fresh)), *t;
    uint64_t flags;

    if (fresh) {
        fresh->process = p;
        timer_init(&fresh->timer, interval_expired);
    }
    flags = spin_lock_irqsave(&p->lock);
    t = p->alarm;
    if (!t)
        p->alarm = t = fresh;
    spin_unlock_irqrestore(&p->lock, flags);
    if (t != fresh)
        kfree(fresh);
    return t;
}

/* Sets first expiry (0: stop) and interval, in ns; gives the old ones. */
static int set_timer(struct process *p, uint64_t first, uint64_t interval, uint64_t *old_first,
                     uint64_t *old_interval)
{
    struct interval_timer *t = timer_of(p);
    uint64_t flags, now = time_now(), due = first == 0 ? 0 : clock_due_in(first);

    if (!t)
        return ERR_NO_MEMORY;
    flags = spin_lock_irqsave(&t->lock);
    *old_first = t->due == 0 ? 0 : t->due > now ? t->due - now : 1;
    *old_interval = t->interval;
    t->due = due;
    t->interval = interval;
    if (due != 0)
        timer_arm(&t->timer, due);
    spin_unlock_irqrestore(&t->lock, flags);
    return OK;
}

static void get_timer(struct process *p, uint64_t *first, uint64_t *interval)
{
    uint64_t now = time_now(), flags = spin_lock_irqsave(&p->lock);
    struct interval_timer *t = p->alarm;

    *first = *interval = 0;
    if (t) {
        spin_lock(&t->lock);
        *first = t->due == 0 ? 0 : t->due > now ? t->due - now : 1;
        *interval = t->interval;
        spin_unlock(&t->lock);
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

static int ns_of_timeval(const struct linux_timeval *t, uint64_t *ns)
{
    if (t->sec < 0 || t->usec < 0 || t->usec >= 1000000 || t->sec > INT32_MAX)
        return ERR_INVALID;
    *ns = (uint64_t)t->sec * NS_PER_SEC + (uint64_t)t->usec * NS_PER_US;
    return OK;
}

static long write_timer(vaddr_t at, uint64_t first, uint64_t interval)
{
    struct linux_itimerval t = {
        .interval = {(int64_t)(interval / NS_PER_SEC),
                     (int64_t)(interval % NS_PER_SEC / NS_PER_US)},
        .value = {(int64_t)(first / NS_PER_SEC), (int64_t)(first % NS_PER_SEC / NS_PER_US)},
    };

    return user_write(at, &t, sizeof(t));
}

/* Only the timer of real time is there. */
static int check_kind(uint64_t kind)
{
    if (kind >= ITIMER_KINDS)
        return ERR_INVALID;
    return kind == ITIMER_REAL ? OK : ERR_UNSUPPORTED;
}

long sys_setitimer(struct call *c)
{
    uint64_t first = 0, interval = 0, old_first, old_interval;
    struct linux_itimerval t;
    int r = check_kind(c->arg[0]);

    if (r == OK && c->arg[1] != 0) {
        r = user_read(&t, c->arg[1], sizeof(t));
        if (r == OK)
            r = ns_of_timeval(&t.value, &first);
        if (r == OK)
            r = ns_of_timeval(&t.interval, &interval);
    }
    if (r == OK)
        r = set_timer(c->task->process, first, interval, &old_first, &old_interval);
    if (r == OK && c->arg[2] != 0)
        r = (int)write_timer(c->arg[2], old_first, old_interval);
    return r;
}

long sys_getitimer(struct call *c)
{
    uint64_t first, interval;
    int r = check_kind(c->arg[0]);

    if (r != OK)
        return r;
    get_timer(c->task->process, &first, &interval);
    return write_timer(c->arg[1], first, interval);
}

/* The seconds the old alarm had left, rounded up. */
long sys_alarm(struct call *c)
{
    uint64_t old_first, old_interval;
    int r =
        set_timer(c->task->process, (uint32_t)c->arg[0] * NS_PER_SEC, 0, &old_first, &old_interval);

    return r == OK ? (long)((old_first + NS_PER_SEC - 1) / NS_PER_SEC) : r;
}
