/*
 * sched_rig.h: CPUs and threads for the scheduler, all simulated by one thread of the build
 * machine: a switch only changes who "runs" on a CPU. A policy can be told to go wrong at a chosen
 * moment.
 */
#pragma once

#include "stand_ins.h"

#include <arch/x86.h>
#include <microlake/policy.h>
#include <microlake/thread.h>

#include "kernel/policy/policy_internal.h"
#include "kernel/thread/queue.h"

#define RIG_THREADS 24

extern struct thread rig_threads[RIG_THREADS];
extern uint64_t rig_clock;

/* CPUs all idle, threads all new, round robin active. */
void sched_rig_start(unsigned cpu_total);
void sched_rig_stop(void);

/* What a thread on that CPU, or an interrupt, does. A CPU must not be idle where its thread acts.
 */
bool rig_idle(unsigned cpu);
void rig_wake(unsigned from_cpu, unsigned thread); /* new or blocked */
void rig_block(unsigned cpu);
void rig_yield(unsigned cpu);
void rig_hand_off(unsigned cpu, unsigned thread); /* blocks; the blocked thread goes on at once */
void rig_slice_end(unsigned cpu);
void rig_interrupt(unsigned cpu); /* if somebody kicked it */
void rig_settle(void);            /* interrupts everywhere, until there are none */

/* Each thread that does not wait is in exactly one place, and the queues are what the lists say. */
void sched_rig_check(void);

/* Each thread that does not wait runs within a few rounds of slices. */
void sched_rig_check_progress(void);

/* ---- the policy under test: first in, first out; registered as "subject" ---- */

enum subject_call { ON_START, ON_ENQUEUE, ON_DEQUEUE, ON_PICK, ON_CHARGE, ON_SLICE, ON_PREEMPTS };
#define SUBJECT_CALLS 7

enum subject_fault {
    SUBJECT_FAULT,   /* a processor exception in the call */
    SUBJECT_OVERRUN, /* it does not come back */
    /* pick() answers: */
    SUBJECT_NOBODY,
    SUBJECT_RUNNING,   /* a thread that runs on another CPU */
    SUBJECT_ELSEWHERE, /* one that waits in another CPU's queue */
    SUBJECT_BLOCKED,
    SUBJECT_FORGED, /* no thread at all */
    SUBJECT_KEPT,   /* the right one, without letting go of it; for dequeue() too */
};

extern struct policy subject;

/* From now on the nth call of that kind goes wrong. 0: never. */
void subject_arm(enum subject_call call, unsigned nth, enum subject_fault fault);
bool subject_went_wrong(void);
