/*
 * cpu_limit.c: RLIMIT_CPU: SIGXCPU when a process has used so many seconds of CPU time and each second
 * from then on, SIGKILL at the maximum.
 *
 * As timers of CPU time do (timer.c), a timer of real time looks, no earlier than the process can have
 * used so much, how much it has used.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>

#include "modules/linux/process/limits.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/time/clock.h"

struct cpu_limit {
    struct timer timer;      /* armed under lock */
    struct process *process; /* not a reference: the process frees it before it goes */
    struct spinlock lock;
    bool ended; /* guarded by lock */
};

static uint64_t ns_of(uint64_t seconds)
{
    return seconds > TIME_NEVER / NS_PER_SEC ? TIME_NEVER : seconds * NS_PER_SEC;
}

/* What is to be sent to a process that has used so much; 0: nothing. The next limit is in *next. */
static int attend(struct process *p, uint64_t used, uint64_t *next)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct linux_rlimit *limit = &p->limits[LINUX_RLIMIT_CPU];
    int signal = 0;

    if (used >= ns_of(limit->maximum)) {
        signal = LINUX_SIGKILL;
    } else if (used >= ns_of(limit->current)) {
        signal = LINUX_SIGXCPU;
        limit->current = MIN(used / NS_PER_SEC + 1, limit->maximum);
    }
    *next = MIN(ns_of(limit->current), ns_of(limit->maximum));
    spin_unlock_irqrestore(&p->lock, flags);
    return signal;
}

/* All CPUs may work for the process. */
static void arm(struct cpu_limit *c, uint64_t used, uint64_t next)
{
    uint64_t flags = spin_lock_irqsave(&c->lock);
    uint64_t left = next > used ? next - used : 0;

    if (!c->ended && next != TIME_NEVER)
        timer_arm(&c->timer, clock_due_in(MAX(left / cpu_count(), NS_PER_MS)));
    spin_unlock_irqrestore(&c->lock, flags);
}

/* Interrupt context. */
static void look(struct timer *timer)
{
    struct cpu_limit *c = container_of(timer, struct cpu_limit, timer);
    uint64_t used = process_cpu_time(c->process), next;
    int signal = attend(c->process, used, &next);

    if (signal != LINUX_SIGKILL)
        arm(c, used, next);
    if (signal != 0)
        signal_send_simple(c->process, signal, LINUX_SI_KERNEL, 0);
}

/* What watches the process, made if need be. NULL: no memory. */
static struct cpu_limit *limit_of(struct process *p)
{
    struct cpu_limit *fresh = kzalloc(sizeof(*fresh)), *c;
    uint64_t flags;

    if (fresh) {
        fresh->process = p;
        timer_init(&fresh->timer, look);
    }
    flags = spin_lock_irqsave(&p->lock);
    c = p->cpu_limit;
    if (!c)
        p->cpu_limit = c = fresh;
    spin_unlock_irqrestore(&p->lock, flags);
    if (c != fresh)
        kfree(fresh);
    return c;
}

int limit_cpu_changed(struct process *p)
{
    struct cpu_limit *c;

    if (p->limits[LINUX_RLIMIT_CPU].current == LINUX_RLIM_INFINITY && !p->cpu_limit)
        return OK;
    c = limit_of(p);
    if (!c)
        return ERR_NO_MEMORY;
    arm(c, 0, 0); /* it looks at once */
    return OK;
}

void cpu_limit_free(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct cpu_limit *c = p->cpu_limit;

    p->cpu_limit = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
    if (!c)
        return;
    flags = spin_lock_irqsave(&c->lock);
    c->ended = true;
    spin_unlock_irqrestore(&c->lock, flags);
    timer_cancel(&c->timer);
    kfree(c);
}
