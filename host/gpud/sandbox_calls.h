/* sandbox_calls.h: which system calls a device process and a front may make. */
#pragma once

/*
 * Limits the calling process, and what it starts, for good. To be called last: what prepares a
 * sandbox is not allowed in it. 0, or -1 after a line in the log.
 */
int sandbox_calls_shut(void);
/* The same for a front, which needs few. */
int sandbox_calls_shut_front(void);

/* The name of a system call, never NULL. Allocated, and not given back: the caller is dying. */
const char *sandbox_call_name(int number);
