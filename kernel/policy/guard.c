/*
 * guard.c: see guard.h.
 */
#include "guard.h"
#include <arch/x86.h>
#include <microlake/log.h>
#include "kernel/time/time_internal.h"
#include "kernel/module/symbols.h"

void guard_resume(void); /* entry.S */

void guard_prepare(struct guard *g)
{
    g->preempt_count = this_cpu()->preempt_count;
    g->started = time_now();
    __atomic_store_n(&g->active, true, __ATOMIC_RELEASE);
}

bool guard_trip(struct user_regs *regs, enum policy_fault_kind kind)
{
    struct cpu *c = this_cpu();
    struct guard *g = &c->guard;
    const char *symbol = "?", *module = NULL;
    uint64_t offset = 0;

    if (!g->active)
        return false;
    g->active = false;
    c->preempt_count = g->preempt_count + (regs->vector >= 32); /* trap_dispatch takes its own off */
    symbol_find(regs->rip, &symbol, &offset, &module);
    log_warn("policy: %s at %s+0x%lx%s%s", kind == POLICY_OVERRAN ? "over its budget" : "exception",
             symbol, offset, module ? " of module " : "", module ? module : "");
    regs->rip = (uint64_t)guard_resume;
    regs->rdi = (uint64_t)g;
    regs->rsi = 1 + kind;
    regs->rflags &= ~(RFLAGS_IF | RFLAGS_DF);
    return true;
}

void guard_check_budget(struct user_regs *regs)
{
    struct guard *g = &this_cpu()->guard;

    if (!g->active || (regs->cs & 3))
        return;
    if (time_now() - g->started > GUARD_BUDGET_NS)
        guard_trip(regs, POLICY_OVERRAN);
    else
        timer_program(g->started + GUARD_BUDGET_NS + NS_PER_US); /* look again */
}
