/*
 * proc_process.h: the folders of processes in /proc.
 */
#pragma once

#include <microlake/aspace.h>

#include "modules/linux/include/linux_dev.h"

struct process;

/* Makes /proc itself, whose lookup knows "self" and the numbers. */
int proc_process_init(void);

/* ---- proc_memory.c: texts whose context is the process ---- */

extern const struct linux_pseudo_ops proc_maps, proc_smaps, proc_smaps_rollup, proc_statm,
    proc_limits;

/* Bytes of address space by what they are for. */
struct proc_memory {
    struct aspace_stats stats;
    uint64_t data, stack, program, libraries, shared, locked;
};
void proc_memory_of(struct process *p, struct proc_memory *out);
