/*
 * costs.h: what the measurements of bench_costs share.
 *
 * The unit is the tick of the time-stamp counter. In a machine with --icount a tick is one guest
 * instruction, so a figure repeats to a few whatever the host does. Meant for one CPU.
 */
#pragma once

#include <stdint.h>

/* Where the program itself lies, and its argument to end at once: it is run by itself. */
#define OWN_PATH    "/bin/bench_costs"
#define END_AT_ONCE "--nothing"

/* Figures are medians of so many batches. */
#define BATCHES 9u

static inline uint64_t ticks_now(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Ends the program with a line about a call that failed, with errno's text. */
__attribute__((noreturn)) void cost_fail(const char *what);

/* Prints the median of one operation's cost over `batches`, which it sorts. */
void cost_print(const char *name, double batches[BATCHES]);

/* Measures `operation` in batches of `count`, without the loop around it, and prints. */
void cost_of_calls(const char *name, void (*operation)(void), unsigned count);

void costs_of_calls(void);
void costs_of_threads(void);
