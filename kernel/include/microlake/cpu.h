/*
 * cpu.h: processors. Any context unless said otherwise.
 */
#pragma once

#include <microlake/types.h>

#define MAX_CPUS 64

typedef uint64_t cpu_mask_t; /* bit n: CPU n */

/* This CPU; meaningful only while preemption is disabled or the thread is pinned. */
unsigned cpu_id(void);

/* CPUs that are up. Grows during start; cpu_wait_all() waits for those that the machine has. */
unsigned cpu_count(void);
void cpu_wait_all(void); /* thread context */

/* CPUs that the machine's tables name. */
unsigned cpu_present(void);

uint64_t interrupts_disable(void); /* returns what interrupts_restore() takes */
void interrupts_restore(uint64_t flags);

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline void cpu_write_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline void cpu_full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * Lets kernel code use vector registers between begin and end (preemption is disabled there; do not
 * sleep, do not nest). Thread context.
 */
void cpu_vector_begin(void);
void cpu_vector_end(void);
