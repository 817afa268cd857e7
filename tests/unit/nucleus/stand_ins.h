/*
 * stand_ins.h: what takes the place of the machine around a file of the nucleus: processors, locks,
 * interrupts, physical memory, log and panic, for one thread on the build machine. The headers
 * under include/ lead the nucleus's own source here.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arch/arch.h>
#include <microlake/memory.h>

/* ---- processors: the code under test runs on running_cpu ---- */

#define TEST_CPUS 4

void cpus_reset(unsigned count);
void cpu_run_on(unsigned id);

/* No lock is held, interrupts are on, preemption is enabled on every CPU. */
void machine_check_idle(void);

/* ---- physical memory: `size` bytes, zero, only those touched cost anything; reads beyond are
 * caught */

void memory_map(size_t size);
void memory_unmap(void);

/* ---- log and panic ---- */

bool logged(const char *part); /* a line of errors or warnings since the last log_forget() */
void log_forget(void);

/* call(a, b) must end in a panic whose message holds `part`. */
void assert_panics(const char *part, void (*call)(uint64_t a, uint64_t b), uint64_t a, uint64_t b);

/* ---- random numbers (xorshift64*), the same in every run ---- */

void random_seed(uint64_t seed);
uint64_t random_below(uint64_t limit);
