/*
 * usage.h: figures of what a process has used.
 */
#pragma once

#include <microlake/types.h>

/* Writes a struct rusage for `cpu_time` ns to user memory. ERR_FAULT. */
int usage_write(vaddr_t at, uint64_t cpu_time);
