/*
 * entry.h: between the entry points and the rest of the module.
 */
#pragma once

#include "modules/linux/syscall.h"

void entry_init(void);

/* The handler of a call, or NULL: it is not there. */
syscall_handler syscall_find(uint64_t number);
