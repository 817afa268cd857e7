/*
 * timer.c: one-shot timers, per CPU, over the local APIC's. An idle CPU with no timer armed gets no
 * interrupt at all.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/trace.h>
#include "time_internal.h"

TRACEPOINT(timer_expired, "due=%u late=%u calls=%p");
COUNTER(timers_expired);

#define LONGEST_NS (3 * NS_PER_SEC) /* the counter has 32 bits */

void timer_cpu_init(struct cpu *c)
{
    c->timer_programmed = TIME_NEVER;
}

void timer_program(uint64_t due)
{
    struct cpu *c = this_cpu();
    uint64_t now;

    if (due >= c->timer_programmed)
        return;
    now = time_now();
    c->timer_programmed = due;
    time_arm(&c->timer_span, due > now ? (uint32_t)MIN(due - now, LONGEST_NS) : 1);
}

void timer_init(struct timer *t, void (*expired)(struct timer *t))
{
    *t = (struct timer){.expired = expired};
}

static bool timer_remove(struct timer *t)
{
    struct cpu *c;
    uint64_t flags;
    bool armed;

    for (;;) { /* it may move between CPUs until its lock is held */
        unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);

        c = cpus[cpu];
        flags = spin_lock_irqsave(&c->timer_lock);
        if (cpu == t->cpu)
            break;
        spin_unlock_irqrestore(&c->timer_lock, flags);
    }
    armed = t->armed;
    if (armed) {
        treap_remove(&c->timers, &t->node);
        t->armed = false;
    }
    spin_unlock_irqrestore(&c->timer_lock, flags);
    return armed;
}

void timer_arm(struct timer *t, uint64_t due)
{
    uint64_t flags;
    struct cpu *c;

    timer_remove(t);
    flags = interrupts_disable();
    c = this_cpu();
    spin_lock(&c->timer_lock);
    t->cpu = c->id;
    t->due = due;
    t->armed = true;
    treap_insert(&c->timers, &t->node, due);
    spin_unlock(&c->timer_lock);
    timer_program(due);
    interrupts_restore(flags);
}

bool timer_cancel(struct timer *t)
{
    bool armed = timer_remove(t);

    /* Its callback may still run where it was armed before it was moved. */
    for (unsigned i = 0; i < cpu_count(); i++)
        while (__atomic_load_n(&cpus[i]->timer_running, __ATOMIC_ACQUIRE) == t && cpus[i] != this_cpu())
            cpu_relax();
    return armed;
}

static struct timer *timer_take_due(struct cpu *c, uint64_t now, uint64_t *next)
{
    struct timer *t = NULL;
    struct treap_node *n;

    spin_lock(&c->timer_lock);
    n = treap_first(&c->timers);
    *next = n ? n->key : TIME_NEVER;
    if (n && n->key <= now) {
        t = container_of(n, struct timer, node);
        treap_remove(&c->timers, n);
        t->armed = false;
    }
    c->timer_running = t;
    spin_unlock(&c->timer_lock);
    return t;
}

void timer_interrupt(void)
{
    struct cpu *c = this_cpu();
    uint64_t now = time_now(), next;
    struct timer *t;

    c->timer_programmed = TIME_NEVER;
    while ((t = timer_take_due(c, now, &next))) {
        COUNT(timers_expired, 1);
        TRACE(timer_expired, t->due, now - t->due, t->expired);
        t->expired(t);
    }
    if (c->slice_end <= now) {
        c->slice_end = TIME_NEVER;
        c->slice_expired = true;
        c->need_resched = true;
    }
    timer_program(MIN(next, c->slice_end));
}
