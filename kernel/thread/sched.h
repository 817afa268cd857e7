/*
 * sched.h: the scheduler's mechanism, for the nucleus only.
 *
 * Each CPU owns its queue: nobody else touches it, so it needs no lock, and policies run with
 * interrupts on. Whoever wakes a thread posts it to a CPU (a lock-free list) and interrupts that CPU
 * if it is another one. Threads move between CPUs only through such posts: an idle CPU asks, the
 * owner gives.
 */
#pragma once

#include <arch/cpu_local.h>
#include <microlake/thread.h>

/* Lets another thread run if it should; the caller stays ready. Interrupts on, preemption enabled. */
void sched_preempt(void);

/* The same at the end of an interrupt that came to kernel code: entered and left with interrupts off.
 * Nothing may come between the switch and the return, or the next interrupt would stand on this one's
 * stack, and the next on that, for as long as they come fast enough. */
void sched_preempt_interrupted(void);

/* Switches away from a thread that has set its state to BLOCKED or DEAD. Preemption disabled once. */
void sched_block(void);

/* BLOCKED or NEW to READY, on a CPU of the scheduler's choice. False when it was not waiting. Any
 * context. */
bool sched_wake(struct thread *t);

/*
 * Marks the calling thread as BLOCKED, unless there is a reason not to wait: ERR_INTERRUPTED,
 * ERR_TIMED_OUT. Interrupts and preemption off; then sched_block() or sched_hand_off() must follow,
 * with interrupts on and preemption still disabled once. flags: enum wait_flags.
 */
int sched_block_begin(uint64_t due, unsigned flags);

/*
 * Takes a blocked thread out of its wait, for this CPU to run it at once with sched_hand_off(), which
 * must follow. False: it does not wait, or cannot run here now: use sched_wake(). Interrupts off.
 */
bool sched_claim(struct thread *t);

/*
 * As sched_block(), but straight to a claimed thread: no queue and no policy in between. It goes on
 * with the caller's slice; the policy is charged for both when it is asked the next time.
 */
void sched_hand_off(struct thread *t);

/* A timer that wakes the calling thread, whatever it waits for. Ends with timer_cancel(). */
struct alarm {
    struct timer timer;
    struct thread *thread;
};
void alarm_set(struct alarm *a, uint64_t due);

void sched_init(void);                                     /* boot CPU */
int sched_prepare_cpu(struct cpu *c, uint64_t *stack_top); /* before another CPU starts */
void sched_start(struct cpu *c) __noreturn;                /* the caller becomes the idle thread */

/* Makes the class "sched"'s policy p the one every CPU obeys; waits until they do. Thread context. */
void sched_policy_activate(struct policy *p);

/*
 * judge.c: how wake-ups turn out. `fresh`: the first in cpu->ready that the policy has just been given;
 * `next`: its choice; `running`: who wanted to go on, or NULL. On the entities' CPU, preemption disabled.
 */
void verdicts_begin(struct cpu *c, struct list *fresh, struct sched_entity *next,
                    const struct sched_entity *running, uint64_t now);
void verdict_end(struct sched_entity *e); /* it blocks */
static inline void verdict_runs(struct sched_entity *e, uint64_t now)
{
    if (e->verdict.number && !e->verdict.waited)
        e->verdict.waited = now - e->verdict.woke + 1;
}

/* The built-in round robin (round_robin.c). */
extern struct policy sched_round_robin;

/* Between sched.c and thread.c. */
void thread_switched_out(struct thread *t); /* its CPU has left it */
void thread_switch_state(struct thread *from, struct thread *to);
