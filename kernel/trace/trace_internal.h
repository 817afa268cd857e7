/*
 * trace_internal.h: tracing, for the nucleus only.
 */
#pragma once

#include <microlake/trace.h>

/* Makes the nucleus's own points and counters known. First of all: before, counting is for nobody. */
void trace_init(void);

/* Obeys the option trace=NAME,NAME or trace=all. Thread context. */
void trace_start(void);

/* Makes the rings unless they are there. ERR_NO_MEMORY. Called under the registry's lock. */
int trace_rings_make(void);
