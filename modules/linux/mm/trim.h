/*
 * trim.h: taking pages of files from programs that have not used them lately, so that fs/cache.c can give them
 * back. Such a page is in memory still, and a touch maps it again, until the cache lets it go; pages that were
 * written to go to their file first. Locked mappings keep theirs.
 *
 * The calling task looks through its own memory, also while it waits inside a page fault; a thread looks through
 * everybody's.
 */
#pragma once

#include <microlake/types.h>

/* Makes the thread. Thread context. */
int trim_start(void);

/* Takes about so many pages from the calling thread's program; how many. It may hold the lock of its address
 * space only inside a pager's bring(). */
uint64_t trim_own(uint64_t pages);

/* What the thread wanted from the calling thread's program when that was busy. As above. */
void trim_owed(void);

/* Has the thread take so many from all programs. Any context. */
void trim_want(uint64_t pages);

/* The same, and waits for a moment. False: it took none. Thread context; any locks may be held that are not
 * waited for while trimming is on: those of address spaces and memory objects may. */
bool trim_await(uint64_t pages);
