/*
 * figures.h: the figures of a class (its file stats) as numbers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "classes.h"

#define FIGURE_NAME_BYTES 64
#define FIGURE_TEXT_BYTES 160
#define FIGURE_POLICIES   32

struct policy_figures {
    char name[FIGURE_NAME_BYTES], extends[FIGURE_NAME_BYTES]; /* extends is empty: nothing */
    uint64_t calls, timed, ns, right, judged, cost, work;
    uint64_t faulted, overran, nonsense;
    bool retired;
};

struct class_figures {
    uint64_t switches, fallbacks;
    char reason[FIGURE_TEXT_BYTES];    /* of the last fallback; empty: none yet */
    char objective[FIGURE_TEXT_BYTES]; /* what cost by work is; empty: nothing is measured */
    char judgement[FIGURE_TEXT_BYTES];
    char active[FIGURE_NAME_BYTES], shadow[FIGURE_NAME_BYTES]; /* shadow is empty: none */
    char notes[2048]; /* what the class's pilot and guard say of themselves, lines */
    unsigned count;
    struct policy_figures policies[FIGURE_POLICIES];
};

/* Takes a text apart; lines that it does not know are left out. */
void figures_parse(char *text, struct class_figures *figures);

/* Reads a class. On an error says so. */
bool figures_get(const char *class, struct class_figures *figures);

/* A policy by name; NULL. */
const struct policy_figures *figures_of(const struct class_figures *figures, const char *name);

/* part / whole, or -1 when there is nothing to divide by. */
double ratio_of(uint64_t part, uint64_t whole);

/* A ratio as text with that many digits behind the point, or "-" for less than 0. */
const char *ratio_text(double ratio, int digits, char out[32]);
