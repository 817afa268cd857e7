/* copies.h: does a kernel see the machine's own memory, or a copy of it? */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * Whether, in a process below gpud, the address that a kernel saw is the byte at `offset` of the
 * file `memory_fd`: 0, or the number of bytes that are not, of `bytes` from there on. Ends the
 * program when no process has the file.
 */
uint64_t copies_count(pid_t gpud, int memory_fd, uint64_t address, uint64_t offset, uint64_t bytes);
