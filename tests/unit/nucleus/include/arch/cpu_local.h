/*
 * cpu_local.h: the nucleus's own, but the running CPU is what the test says, not what GS points at.
 */
#pragma once

#define this_cpu       kernel_this_cpu
#define current_thread kernel_current_thread
#define guard_is_inside kernel_guard_is_inside
#include "kernel/arch/x86/include/arch/cpu_local.h"
#undef this_cpu
#undef current_thread
#undef guard_is_inside

extern struct cpu *running_cpu;

static inline struct cpu *this_cpu(void)
{
    return running_cpu;
}

static inline struct thread *current_thread(void)
{
    return running_cpu->current;
}

static inline bool guard_is_inside(void)
{
    return running_cpu->guard.active;
}
