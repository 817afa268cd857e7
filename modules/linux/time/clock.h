/*
 * clock.h: Linux's clocks in terms of the machine's. Times are nanoseconds; "due" is a time_now()
 * value. Thread context.
 */
#pragma once

#include <microlake/time.h>
#include <microlake/types.h>

struct linux_timespec;

/* A user's struct timespec as ns. ERR_FAULT; ERR_INVALID when negative or not normal. */
int clock_read_timespec(vaddr_t at, uint64_t *ns);
int clock_write_timespec(vaddr_t at, uint64_t ns);

/* The due time `ns` from now / at a time of the wall clock; saturates at TIME_NEVER. */
uint64_t clock_due_in(uint64_t ns);
uint64_t clock_due_at_wall(uint64_t ns);

/* What the wall clock shows more than the machine's. */
uint64_t clock_wall_offset(void);

/* The present moment as nodes keep times: by the wall clock, counted from when that said that the
 * machine started; who sets the clock changes no file's times. */
uint64_t clock_stamp(void);

/* Nanoseconds since 1970. */
uint64_t clock_wall(void);
