/*
 * guard.c: see guard.h.
 */
#include "guard.h"
#include <arch/x86.h>
#include <microlake/log.h>
#include <microlake/module.h>
#include "kernel/time/time_internal.h"

#define TRIP_FRAMES 6

void guard_resume(void); /* entry.S */

void guard_prepare(struct guard *g, struct policy *p, uint64_t now)
{
    if (this_cpu()->timer_programmed > now + GUARD_LOOK_NS) {
        interrupts_off();
        timer_program(now + GUARD_LOOK_NS);
        interrupts_on();
    }
    g->policy = p;
    g->preempt_count = this_cpu()->preempt_count;
    g->looked = now;
    g->looks = 0;
    __atomic_store_n(&g->active, true, __ATOMIC_RELEASE);
}

bool guard_trip(struct user_regs *regs, enum policy_fault_kind kind)
{
    struct cpu *c = this_cpu();
    struct guard *g = &c->guard;
    char where[80];

    if (!g->active)
        return false;
    g->active = false;
    c->preempt_count = g->preempt_count + (regs->vector >= 32); /* trap_dispatch takes its own off */
    symbol_text(regs->rip, where, sizeof(where));
    log_warn("policy: %s at %s", kind == POLICY_OVERRAN ? "over its budget" : "exception", where);
    if (!__atomic_exchange_n(&g->policy->retired, true, __ATOMIC_RELAXED)) /* other CPUs may follow */
        backtrace_print(LOG_WARN, TRIP_FRAMES, regs->rip, regs->rbp);
    regs->rip = (uint64_t)guard_resume;
    regs->rdi = (uint64_t)g;
    regs->rsi = 1 + kind;
    regs->rflags &= ~(RFLAGS_IF | RFLAGS_DF);
    return true;
}

void guard_check_budget(struct user_regs *regs, uint64_t entered)
{
    struct guard *g = &this_cpu()->guard;

    if (!g->active || (regs->cs & 3))
        return;
    if (entered - g->looked >= GUARD_LOOK_NS) {
        g->looked = entered;
        if (++g->looks == GUARD_LOOKS) {
            guard_trip(regs, POLICY_OVERRAN);
            return;
        }
    }
    timer_program(time_now() + GUARD_LOOK_NS);
    g->looked += time_now() - entered;
}
