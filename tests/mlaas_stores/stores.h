/*
 * stores.h: what the files of stores_test share. The module does what is written to
 * /sys/kernel/mlaas/stores_test, and shows there what it has found.
 */
#pragma once

#include <microlake/types.h>

struct boot_file;

/* load.c: threads on every CPU run a slot's model in "hooks" and capture features, as long as it is
 * on. */
int load_start(void);
void load_stop(void);
/* The set stays where it is, or comes and goes. */
void load_steady(bool on);
/* Runs and wrong answers of the model, rows captured and torn rows read, sets registered anew. */
struct load_figures {
    uint64_t runs, wrong, captures, torn, registrations;
};
void load_figures(struct load_figures *out);

/* batch.c: all cases in turn; each is noted with verdict(). */
void batch_check(void);
/* Works until the device was lost and has come back, or so many seconds have passed. */
void batch_survive(uint64_t seconds);
void batch_measure(void);

/* costs.c: host_stat() of what capturing and entering cost. */
void costs_measure(void);

/* main.c */
void verdict(const char *name, bool good, const char *why);

/* A file of the boot archive, copied. */
void *file_copy(const char *path, size_t *size);

/* A repeatable random sequence (xorshift64*, Vigna 2016). */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}
