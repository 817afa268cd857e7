/* sandbox_calls.h: which system calls a device process and a front may make. */
#pragma once

#include <stdbool.h>
#include "sandbox.h"

/*
 * Limits the calling process, and what it starts, for good. To be called last: what prepares a
 * sandbox is not allowed in it. `strict`: an unexpected call ends the process. 0, or -1 after a line in the log.
 */
int sandbox_calls_shut(enum sandbox_kind kind, bool strict);
/* The same for a front, which needs few. */
int sandbox_calls_shut_front(void);

/* The name of a system call, never NULL. Allocated, and not given back: the caller is dying. */
const char *sandbox_call_name(int number);
