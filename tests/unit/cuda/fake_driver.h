/*
 * fake_driver.h: a stand-in for NVIDIA's driver, compiler and matrix library, which does their work
 * on the processor, at once, and asserts that they are used as their manuals say: a context is
 * current, what is named is there, nothing is called from a callback. What it cannot show is what a
 * real driver makes of it.
 */
#pragma once

#include <stdint.h>

struct fake_counts {
    int contexts, allocations, registrations, streams, modules, programs, handles;
};

/* What is there now. */
struct fake_counts fake_counts(void);

/* The next call of this kind fails: out of memory. */
void fake_fail_next_allocation(void);

/* PTX of one kernel: add(pointer, u32 number) adds to as many numbers as there are work-items. */
extern const char fake_ptx[];
