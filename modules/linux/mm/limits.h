/*
 * limits.h: what a process's limits allow of its memory. Thread context, for the calling task.
 */
#pragma once

#include <microlake/aspace.h>

struct task;

enum growth_kind {
    GROWTH_DATA = 1u << 0,  /* private and writable: it counts for RLIMIT_DATA */
    GROWTH_MEANT = 1u << 1, /* to be written to: refused where the machine has less */
};

/* May so much more be mapped? ERR_NO_MEMORY. */
int limits_check_growth(struct task *t, uint64_t length, unsigned kind);

/* May the range become writable? ERR_NO_MEMORY. */
int limits_check_protect(struct task *t, vaddr_t at, uint64_t length);

/* May memory be locked at all? EPERM. */
int limits_may_lock(struct task *t);

/* May the range be locked, as far as it is not? A range of no address is new. ERR_NO_MEMORY. */
int limits_check_lock(struct task *t, vaddr_t at, uint64_t length);

/* Bytes in locked mappings. */
uint64_t limits_locked_memory(struct aspace *as);
