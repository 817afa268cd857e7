/*
 * ktest.h: suites of tests that run in kernel threads.
 *
 * A case is a function that returns when it is done; EXPECT notes a failure and goes on. After each
 * case the machine must have its memory back, and what is alive on the GPU must be what was before:
 * the runner compares (LEAK_SLACK allows for caches).
 */
#pragma once

#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/types.h>

struct ktest_case {
    const char *name;
    void (*run)(void);
};

struct ktest_suite {
    const char *name;
    const struct ktest_case *cases; /* ends with a NULL name */
    bool ends_machine;              /* each case must end in a panic: run by its own name only */
    bool by_name;                   /* needs something from outside, or only measures: not in "all" */
    bool needs_gpu;                 /* "all" leaves it out on a machine without one */
};

extern const struct ktest_suite suite_memory, suite_threads, suite_time, suite_policies, suite_modules,
    suite_aspaces, suite_exhaustion, suite_ports, suite_costs, suite_gpu, suite_deaths,
    suite_storms, suite_cycles, suite_malformed, suite_soak, suite_traces, suite_gpu_crc, suite_crc,
    suite_gpu_costs, suite_gpu_memory, suite_decisions;

/* Adds a figure to the line of the case that runs. */
void ktest_note(const char *text);

/* A module that needs ktest lends its cases to the suite that has loaded it; NULL takes them back. */
void ktest_lend(const struct ktest_case *cases);

void ktest_fail(const char *file, int line, const char *what);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ktest_fail(__FILE__, __LINE__, #condition);                                            \
    } while (0)

/* Makes a scheduling policy active that goes wrong in the nth way, and waits until it is retired. */
void ktest_policy_misbehave(unsigned nth);

/* policies.c: a scheduling policy of no faults, "ktest_fifo". */
void ktest_fifo_register(void);
void ktest_fifo_unregister(void);

/* decisions.c: between the two a thread changes the policies of two classes each millisecond. */
void ktest_switches_begin(void);
void ktest_switches_end(void);

/* A cheap repeatable random sequence (xorshift64*, Vigna 2016). */
static inline uint64_t ktest_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}
