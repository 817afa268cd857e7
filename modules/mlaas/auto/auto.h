/*
 * auto.h: what the files of module `auto` share. It is a pilot (modules/mlaas/core/include/mlaas.h): it
 * chooses, for the classes that the machine's owner gives it, among the policies that are loaded, by what
 * the class's objective measures in windows of time, and stays with the policy that it found where nothing
 * beats that one. bandit.h is the algorithm.
 *
 * Option auto.window_ms: the least length of a window, 200 unless given. It is longer where little happens.
 */
#pragma once

#include <microlake/policy.h>

#include "bandit.h"
#include "modules/mlaas/core/include/mlaas.h"

#define FLIGHTS_MAX POLICY_CLASSES_MAX

extern const struct mlaas_pilot auto_pilot;
extern unsigned auto_window_ms;

/* ---- load.c: what the machine is doing, coarsely ----------------------------------------------- */

struct load {
    uint64_t runnable, samples; /* sums over samples */
    uint64_t gpu, devices;      /* submissions, interrupts */
    uint64_t ns;
};

/* Begins with nothing; the counters count from here until load_end(). */
void load_begin(struct load *l);

/* Looks at the threads once more; a window has several of these. */
void load_sample(struct load *l);
void load_end(struct load *l);

void load_add(struct load *sum, const struct load *l);

/* The context of a load, below BANDIT_CONTEXTS; and in words. */
unsigned load_context(const struct load *l);
void load_describe(unsigned context, char *out, size_t size);

/* ---- flight.c: one class in the pilot's hands. The caller holds the module's lock --------------- */

struct flight {
    char class_name[POLICY_NAME_MAX]; /* empty: this place is free */
    struct bandit *bandit;
    char arms[BANDIT_ARMS][POLICY_NAME_MAX]; /* the first is the baseline */
    uint64_t cost, work; /* the class's figures when the window began */
    struct load load;    /* since then */
    unsigned spans;      /* times that it was made longer */
    unsigned context;    /* of the last window */
    uint64_t windows, idle, spoiled; /* counted; with too little work to tell; not the arm's own */
};

int flight_begin(struct flight *f, const char *class_name);
void flight_end(struct flight *f);

/* Time has passed with this load. Where that makes a window, learns from it and chooses. The policy's name,
 * to be set; NULL: what is in use stays. */
const char *flight_window(struct flight *f, const struct load *load);

/* The policy could not be set. */
void flight_refused(struct flight *f);

void flight_describe(const struct flight *f, struct text *out);
