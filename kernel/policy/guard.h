/*
 * guard.h: calls into policies that come back whatever the policy does.
 *
 *     switch (guard_begin(&cpu->guard, policy, now)) {
 *     case 0:       call the policy; guard_end(); break;
 *     default:      it went wrong: the value less 1 is the enum policy_fault_kind
 *     }
 *
 * A guarded call runs with preemption off and interrupts on. A processor exception or a timer
 * interrupt beyond the budget abandons it at once, wherever it is, and guard_begin() returns again.
 * So what is called must hold nothing: no locks, no references, no half-made change of the kernel's.
 */
#pragma once

#include <arch/arch.h>
#include <arch/cpu_local.h>
#include <microlake/policy.h>

/*
 * The budget: a call is over it when interrupts have found it running so many times, this far apart and
 * without the time they took themselves. A decision takes microseconds. Elapsed time alone would tell
 * nothing: a busy host can take the processor away from the machine for longer than that.
 */
#define GUARD_LOOK_NS (5 * NS_PER_MS)
#define GUARD_LOOKS   4

/* The budget is enforced by the timer: it comes, after this. */
void guard_prepare(struct guard *g, struct policy *p, uint64_t now);

/* p: the policy that is called. Interrupts on. Must be a macro: the frame that guard_save() notes has to
 * be the caller's, and still alive. */
#define guard_begin(g, p, now) (guard_prepare(g, p, now), guard_save(g))

static inline void guard_end(struct guard *g)
{
    g->active = false;
}

/*
 * Functions that policies must not call begin with this: those that would leave something behind if the call
 * were abandoned (memory, a mutex), or sleep. Inside a guarded call it is an exception, and the policy is
 * retired; in an interrupt that came meanwhile, and everywhere else, it is nothing.
 */
static inline void guard_forbid(void)
{
    if (guard_is_inside())
        __builtin_trap();
}

/* From an exception: true when it was inside a guarded call; regs then lead to guard_begin(). */
bool guard_trip(struct user_regs *regs, enum policy_fault_kind kind);

/* At the end of an interrupt that came, at time `entered`, during a guarded call: abandons the call if it
 * is over its budget. */
void guard_check_budget(struct user_regs *regs, uint64_t entered);
