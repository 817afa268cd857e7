/*
 * missing.h: names that a server said are not there, remembered for as long as its other facts are.
 * Thread context.
 */
#pragma once

#include <microlake/types.h>

/* folder: a number that no other folder has had. */
bool missing_known(uint64_t folder, const char *name);

/* Before the server is asked, and with that what it said, should nothing have been made since. */
uint64_t missing_before(void);
void missing_remember(uint64_t before, uint64_t folder, const char *name);

/* The name may be there now: goes before it is made. */
void missing_forget(uint64_t folder, const char *name);
