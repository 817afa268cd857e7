/* sandbox_calls.h: which system calls a worker may make. */
#pragma once

/*
 * Limits the calling process, and what it starts, for good. To be called last: what prepares a
 * sandbox is not allowed in it. 0, or -1 after a line in the log.
 */
int sandbox_calls_shut(void);

/* The name of a system call, never NULL. Allocated, and not given back: the caller is dying. */
const char *sandbox_call_name(int number);
