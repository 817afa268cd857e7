/*
 * call.c: guarded decisions of classes whose policies are asked one question at a time, and what is noted
 * of how they turned out.
 */
#include <arch/cpu_local.h>
#include <microlake/thread.h>
#include "guard.h"
#include "policy_internal.h"

#define TIMED_EVERY 16u

/* timed: it is one of those whose time counts; it began at `started`. */
static void figures_add(struct policy_figures *f, bool timed, uint64_t started)
{
    __atomic_fetch_add(&f->calls, 1, __ATOMIC_RELAXED);
    if (!timed)
        return;
    __atomic_fetch_add(&f->timed, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&f->ns, time_now() - started, __ATOMIC_RELAXED);
}

/* Preemption is off. False: it went wrong, and is retired. */
static bool call_guarded(struct policy_class *class, struct policy *p, policy_call_fn *fn, void *arg)
{
    struct guard *g = &this_cpu()->guard;
    bool timed = p->figures.calls % TIMED_EVERY == 0;
    uint64_t started = time_now(), trip;

    trip = guard_begin(g, p, started);
    if (!trip) {
        bool sane = fn(p, arg);

        guard_end(g);
        figures_add(&p->figures, timed, started);
        if (sane)
            return true;
        trip = 1 + POLICY_NONSENSE;
    }
    policy_misbehaved(class, p, (enum policy_fault_kind)(trip - 1));
    return false;
}

void policy_call(struct policy_class *class, uint64_t choice, policy_call_fn *fn, void *arg,
                 uint64_t *number)
{
    struct policy *p;

    preempt_disable();
    p = policy_numbered(class, choice);
    if (!p || p->retired)
        p = __atomic_load_n(&class->active, __ATOMIC_ACQUIRE);
    *number = p->number;
    if (p == class->builtin || !call_guarded(class, p, fn, arg)) {
        *number = class->builtin->number;
        fn(class->builtin, arg);
        figures_add(&class->builtin->figures, false, 0);
    }
    preempt_enable();
}

bool policy_call_shadow(struct policy_class *class, policy_call_fn *fn, void *arg, uint64_t *number)
{
    bool answered = false;
    struct policy *p;

    preempt_disable();
    p = __atomic_load_n(&class->shadow, __ATOMIC_ACQUIRE);
    if (p) {
        *number = p->number;
        answered = call_guarded(class, p, fn, arg);
    }
    preempt_enable();
    return answered;
}

void policy_judge(struct policy_class *class, uint64_t number, uint64_t right, uint64_t judged)
{
    struct policy *p;

    preempt_disable();
    p = policy_numbered(class, number);
    if (p) {
        __atomic_fetch_add(&p->figures.right, right, __ATOMIC_RELAXED);
        __atomic_fetch_add(&p->figures.judged, judged, __ATOMIC_RELAXED);
    }
    preempt_enable();
}

void policy_measure(struct policy_class *class, uint64_t cost, uint64_t work)
{
    struct policy *p;

    preempt_disable();
    p = __atomic_load_n(&class->machine, __ATOMIC_ACQUIRE);
    __atomic_fetch_add(&p->figures.cost, cost, __ATOMIC_RELAXED);
    __atomic_fetch_add(&p->figures.work, work, __ATOMIC_RELAXED);
    preempt_enable();
}

/* ---- What programs chose ----------------------------------------------------------------------- */

void thread_set_policy(struct thread *t, unsigned nth_class, uint64_t number)
{
    if (nth_class < POLICY_CLASSES_MAX)
        __atomic_store_n(&t->policies[nth_class], number, __ATOMIC_RELAXED);
}

uint64_t thread_policy(const struct thread *t, unsigned nth_class)
{
    return nth_class < POLICY_CLASSES_MAX ? __atomic_load_n(&t->policies[nth_class], __ATOMIC_RELAXED) : 0;
}
