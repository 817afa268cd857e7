/* memory_limit.h: what a device process may take of the host's memory. */
#pragma once

#include <stdint.h>

/*
 * From now on at most `most` bytes more than it has, and what its library needs; when the host runs out of memory
 * it is the first to be ended. 0: no limit. To be called before the sandbox is entered.
 */
void memory_limit_enter(uint64_t most);
/* A build, between these, may take what a large program needs: a short text can want more than any host has. The
 * process dies of it rather than the host. */
void memory_build_begin(void);
void memory_build_end(void);
