/*
 * queue.h: what the files of kernel/thread share.
 */
#pragma once

#include "sched.h"

extern struct policy_class sched_class;
extern cpu_mask_t idle_cpus; /* CPUs whose idle thread runs; atomic */

void entity_seal(struct sched_entity *e);

/* Makes cpu look at its posts and its policy soon. Any context. */
void cpu_kick(unsigned cpu);

/* Hands a ready thread to a CPU. Any context. */
void thread_post(struct thread *t, unsigned cpu);

/* The CPU a thread that becomes ready should go to. Interrupts off. */
unsigned cpu_choose(const struct thread *t);

void sched_class_init(void);
void sched_cpu_init(struct cpu *c);
void sched_thread_begin(void); /* first thing a new thread does */
/* Loads an address space on this CPU. Interrupts off. */
void aspace_activate(struct cpu *c, struct aspace *as);

void sched_idle_loop(void) __noreturn;
