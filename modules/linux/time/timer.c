/*
 * timer.c: alarm and the interval timers of a process: of real time, and of the CPU time it uses.
 *
 * A timer of CPU time is a timer of real time that looks, no earlier than the process can have used so
 * much, how much it has used, and waits on.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

/* Made when first used, freed with the process. */
struct interval_timer {
    struct timer timer;      /* armed under lock */
    struct process *process; /* not a reference: the process frees the timer before it goes */
    unsigned kind;           /* LINUX_ITIMER_* */
    struct spinlock lock;
    uint64_t due;      /* by the timer's clock; 0: not running; guarded by lock */
    uint64_t interval; /* 0: once; guarded by lock */
};

static const int signal_of_kind[LINUX_ITIMER_KINDS] = {LINUX_SIGALRM, LINUX_SIGVTALRM,
                                                       LINUX_SIGPROF};

/* The timer's clock. Time in the system counts for all three. Not under the timer's lock. */
static uint64_t clock_of(const struct interval_timer *i)
{
    return i->kind == LINUX_ITIMER_REAL ? time_now() : process_cpu_time(i->process);
}

/* When the timer is to look, if its clock shows `now`: all CPUs may work for the process. */
static uint64_t look_time(const struct interval_timer *i, uint64_t due, uint64_t now)
{
    uint64_t left = due > now ? due - now : 0;

    return i->kind == LINUX_ITIMER_REAL ? due : clock_due_in(MAX(left / cpu_count(), NS_PER_MS));
}

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
    uint64_t now = clock_of(i), flags = spin_lock_irqsave(&i->lock);
    bool due = i->due != 0 && i->due <= now;

    if (due)
        i->due = due_next(i, now);
    if (i->due != 0)
        timer_arm(&i->timer, look_time(i, i->due, now));
    spin_unlock_irqrestore(&i->lock, flags);
    if (due)
        signal_send_simple(i->process, signal_of_kind[i->kind], LINUX_SI_KERNEL, 0);
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
    for (unsigned kind = 0; kind < LINUX_ITIMER_KINDS; kind++) {
        uint64_t flags = spin_lock_irqsave(&p->lock);
        struct interval_timer *timer = p->timers[kind];

        p->timers[kind] = NULL;
        spin_unlock_irqrestore(&p->lock, flags);
        interval_timer_free(timer);
    }
    cpu_limit_free(p);
}

/* The process's timer, made if need be. NULL: no memory. */
static struct interval_timer *timer_of(struct process *p, unsigned kind)
{
    struct interval_timer *fresh = kzalloc(sizeof(*fresh)), *t;
    uint64_t flags;

    if (fresh) {
        fresh->process = p;
        fresh->kind = kind;
        timer_init(&fresh->timer, interval_expired);
    }
    flags = spin_lock_irqsave(&p->lock);
    t = p->timers[kind];
    if (!t)
        p->timers[kind] = t = fresh;
    spin_unlock_irqrestore(&p->lock, flags);
    if (t != fresh)
        kfree(fresh);
    return t;
}

static uint64_t add_limited(uint64_t now, uint64_t ns)
{
    return ns > TIME_NEVER - now ? TIME_NEVER : now + ns;
}

/* Sets first expiry (0: stop) and interval, in ns; gives the old ones. */
static int set_timer(struct process *p, unsigned kind, uint64_t first, uint64_t interval,
                     uint64_t *old_first, uint64_t *old_interval)
{
    struct interval_timer *t = timer_of(p, kind);
    uint64_t flags, now, due;

    if (!t)
        return ERR_NO_MEMORY;
    now = clock_of(t);
    due = first == 0 ? 0 : add_limited(now, first);
    flags = spin_lock_irqsave(&t->lock);
    *old_first = t->due == 0 ? 0 : t->due > now ? t->due - now : 1;
    *old_interval = t->interval;
    t->due = due;
    t->interval = interval;
    if (due != 0)
        timer_arm(&t->timer, look_time(t, due, now));
    spin_unlock_irqrestore(&t->lock, flags);
    return OK;
}

static void get_timer(struct process *p, unsigned kind, uint64_t *first, uint64_t *interval)
{
    uint64_t now = kind == LINUX_ITIMER_REAL ? time_now() : process_cpu_time(p);
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct interval_timer *t = p->timers[kind];

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

long sys_setitimer(struct call *c)
{
    uint64_t first = 0, interval = 0, old_first, old_interval;
    struct linux_itimerval t;
    int r = c->arg[0] < LINUX_ITIMER_KINDS ? OK : ERR_INVALID;

    if (r == OK && c->arg[1] != 0) {
        r = user_read(&t, c->arg[1], sizeof(t));
        if (r == OK)
            r = ns_of_timeval(&t.value, &first);
        if (r == OK)
            r = ns_of_timeval(&t.interval, &interval);
    }
    if (r == OK)
        r = set_timer(c->task->process, (unsigned)c->arg[0], first, interval, &old_first,
                      &old_interval);
    if (r == OK && c->arg[2] != 0)
        r = (int)write_timer(c->arg[2], old_first, old_interval);
    return r;
}

long sys_getitimer(struct call *c)
{
    uint64_t first, interval;

    if (c->arg[0] >= LINUX_ITIMER_KINDS)
        return ERR_INVALID;
    get_timer(c->task->process, (unsigned)c->arg[0], &first, &interval);
    return write_timer(c->arg[1], first, interval);
}

/* The seconds the old alarm had left, rounded up. */
long sys_alarm(struct call *c)
{
    uint64_t old_first, old_interval;
    int r = set_timer(c->task->process, LINUX_ITIMER_REAL, (uint32_t)c->arg[0] * NS_PER_SEC, 0,
                      &old_first, &old_interval);

    return r == OK ? (long)((old_first + NS_PER_SEC - 1) / NS_PER_SEC) : r;
}
