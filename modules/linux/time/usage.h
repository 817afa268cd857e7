/*
 * usage.h: figures of what processes have used.
 */
#pragma once

#include <microlake/types.h>

struct mm;
struct process;

struct usage {
    uint64_t cpu_time; /* ns */
    uint64_t most;     /* bytes of memory that it had at once, at most */
    uint64_t faults;   /* pages that were brought in */
    uint64_t switches; /* how often its threads got a CPU */
};

/* Of a process, the ended threads and former programs included. Thread context, no lock is held. */
void process_usage(struct process *p, struct usage *out);

/* Adds one process's figures to a sum. */
void usage_add(struct usage *sum, const struct usage *part);

/* p gives this memory back: its figures are kept. */
void usage_keep(struct process *p, struct mm *mm);

/* Writes a struct rusage to user memory. ERR_FAULT. */
int usage_write(vaddr_t at, const struct usage *u);
