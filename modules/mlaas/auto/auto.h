/*
 * auto.h: what the files of module `auto` share. It is a pilot (modules/mlaas/core/include/mlaas.h): it
 * chooses, for the classes that the machine's owner gives it, among the policies that are loaded, by what
 * the class's objective measures in windows of time, and stays with the policy that it found where nothing
 * beats that one. bandit.h is the algorithm.
 *
 * Option auto.window_ms: the least length of a window, 200 unless given. It is longer where little happens.
 * Every eighth part of a window, a tick, the pilot looks: a trial that is clearly bad ends there.
 */
#pragma once

#include <microlake/policy.h>

#include "bandit.h"
#include "modules/mlaas/core/include/mlaas.h"

#define FLIGHTS_MAX POLICY_CLASSES_MAX
#define TICKS       8u /* of a window */

extern const struct mlaas_pilot auto_pilot;
extern unsigned auto_window_ms;

/* ---- load.c: what the machine is doing, coarsely ----------------------------------------------- */

#define PROGRAM_MAX   16u
#define LOAD_PROGRAMS 8u

struct load {
    uint64_t runnable, samples; /* sums over samples */
    uint64_t gpu, devices;      /* submissions, interrupts */
    uint64_t ns;
    struct {
        char name[PROGRAM_MAX];
        uint64_t runnable;
    } programs[LOAD_PROGRAMS]; /* who is runnable most, more or less */
};

/* What choices are learned for: a kind of load, and the program that has most of it. */
struct context_key {
    unsigned load;             /* below LOADS */
    char program[PROGRAM_MAX]; /* "-": no single one */
};

#define LOADS 16u

/* Begins with nothing; the counters count from here until load_end(). */
void load_begin(struct load *l);

/* Looks at the threads once. */
void load_sample(struct load *l);
void load_end(struct load *l);

void load_add(struct load *sum, const struct load *l);

/* What was counts half: a window's load is that of a while. */
void load_fade(struct load *l);

void load_context(const struct load *l, struct context_key *out);
void load_describe(unsigned load, char *out, size_t size);

/* ---- contexts.c: the contexts that the bandit knows -------------------------------------------- */

struct contexts {
    struct context_key keys[BANDIT_CONTEXTS]; /* an empty program: free */
    uint64_t used[BANDIT_CONTEXTS], clock;    /* when last */
};

/* The context's number. Where it is new the one that was used least lately makes room, and it begins
 * with what is known in one like it; *fresh says so. */
unsigned context_find(struct contexts *all, struct bandit *b, const struct context_key *key, bool *fresh);

/* ---- shadow.c: what the shadow tells of a policy before it is tried ----------------------------- */

struct shadow {
    unsigned arm;   /* that is in the shadow; 0: none is, by our doing */
    unsigned ticks; /* since then */
    uint64_t active_number;                  /* the machine's policy since then */
    struct policy_figures active, shadowed;  /* when it began */
    unsigned rounds[BANDIT_ARMS];            /* that each arm has had */
    uint64_t right[BANDIT_ARMS], judged[BANDIT_ARMS];             /* in the shadow */
    uint64_t active_right[BANDIT_ARMS], active_judged[BANDIT_ARMS]; /* the machine's, meanwhile */
};

/* ---- flight.c: one class in the pilot's hands. The caller holds the module's lock --------------- */

struct flight {
    char class_name[POLICY_NAME_MAX]; /* empty: this place is free */
    struct bandit *bandit;
    struct contexts contexts;
    struct shadow shadow;
    char arms[BANDIT_ARMS][POLICY_NAME_MAX]; /* the first is the baseline */
    uint64_t cost, work; /* the class's figures when the window began */
    struct load load;    /* of a while */
    unsigned ticks;      /* since the window began */
    bool settling;       /* another policy has just been set: what ends now began under the one before */
    uint64_t usual_work, usual_ticks; /* of the last window without a trial */
    unsigned context;    /* of the last window */
    uint64_t windows, idle, spoiled; /* counted; with too little work to tell; not the arm's own */
};

int flight_begin(struct flight *f, const char *class_name);
void flight_end(struct flight *f);

/* A tick has passed with this load. Where that ends a window, learns from it and chooses. The policy's
 * name, to be set; NULL: what is in use stays. */
const char *flight_tick(struct flight *f, const struct load *load);

/* The policy could not be set. */
void flight_refused(struct flight *f);

/* The arm of that name; BANDIT_ARMS: none. */
unsigned flight_arm(const struct flight *f, const char *name);

/* The shadow's part of a tick, and of the end. A class that has a shadow of the owner's keeps it. */
void shadow_tick(struct flight *f);
void shadow_end(struct flight *f);
void shadow_restart(struct flight *f); /* there is something new to judge */

/* ---- words.c: a flight as text ------------------------------------------------------------------ */

void flight_describe(const struct flight *f, struct text *out);

/* What it has learned, a line for each context and policy, and such a line back: for the next machine of the
 * same kind. ERR_INVALID: it is no such line; ERR_NOT_FOUND: the policy is not there. */
void flight_recall(const struct flight *f, struct text *out);
int flight_teach(struct flight *f, const char *line);
