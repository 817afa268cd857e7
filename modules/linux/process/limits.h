/*
 * limits.h: what a process's limits (setrlimit) allow of files and CPU time. Those of memory are
 * mm/limits.h's, of descriptors fs/sys_file.c's, of processes clone.c's.
 */
#pragma once

#include <microlake/types.h>

struct process;

/* RLIMIT_FSIZE, for the calling task. May a file be `size` bytes long? If not, SIGXFSZ is sent. EFBIG. */
int limit_file_size(uint64_t size);

/* May *size bytes be written from there on? Fewer, if not all. EFBIG, with SIGXFSZ. */
int limit_file_write(uint64_t from, size_t *size);

/* RLIMIT_FSIZE is set for the calling task. */
bool limit_of_files_set(void);

/* time/cpu_limit.c: RLIMIT_CPU of p is another one now, or p has just inherited it. ERR_NO_MEMORY. */
int limit_cpu_changed(struct process *p);
