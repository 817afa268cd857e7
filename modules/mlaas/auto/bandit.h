/*
 * bandit.h: which of several arms costs least, learned while one of them is always in use: a contextual
 * bandit with discounted means and confidence bounds (after Garivier and Moulines, "On Upper-Confidence Bound
 * Policies for Switching Bandit Problems", 2011), and a baseline, arm 0, that an arm must beat by a margin
 * and with confidence. Pure code, integers only; the caller serialises.
 *
 * Costs are binary logarithms in 16.16 fixed point: what counts is by what factor an arm is better, and a
 * window that was ten times as slow weighs no more than it should.
 *
 * What it promises, and tests/unit/auto holds it to (K arms, T windows of one context, D the largest
 * difference of two arms' mean cost):
 *   stationary costs    sum of cost <= T * (best arm's + margin) + D * (T / BANDIT_EXPLORE + K * BANDIT_TRIAL +
 *                       BANDIT_DWELL * K): a share of the windows tries others, the rest has the best arm
 *                       or one that is within the margin of it
 *   all equal, or nothing better by the margin: the baseline, but for that share
 *   a change            is followed within BANDIT_FORGET windows: means of arms that are not used lose
 *                       their weight, and are measured again
 *   adversarial costs   an arm that was taken for better and was not is left out for twice as long each
 *                       time, so such errors number K * log2(T / BANDIT_PENALTY_FIRST)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BANDIT_ARMS     16u
#define BANDIT_CONTEXTS 16u

#define BANDIT_ONE           65536 /* a factor of two */
#define BANDIT_MARGIN        4613  /* 5% */
#define BANDIT_TRIAL         3u    /* windows that an arm is tried at once */
#define BANDIT_DWELL         6u    /* windows that a choice stays at least */
#define BANDIT_EXPLORE       16u   /* of so many windows one may try, in the long run */
#define BANDIT_FORGET        256u  /* after so many windows an arm's mean counts for nothing */
#define BANDIT_PENALTY_FIRST 32u   /* windows that an arm is left out when it was taken for better */
#define BANDIT_PENALTY_MOST  8192u
#define BANDIT_PROVEN        64u /* windows in use after which an arm is trusted again */

enum bandit_why {
    BANDIT_NOTHING_WINS, /* no arm beats the baseline by the margin, with confidence */
    BANDIT_WINS,         /* this one does */
    BANDIT_TRIES,        /* to know more of it */
    BANDIT_MEASURES,     /* the baseline, which must be known first */
    BANDIT_WHYS,
};

struct bandit_arm {
    uint32_t weight; /* of its mean: windows, recent ones counting more, in 1/256 */
    int32_t mean;    /* of its cost */
    int64_t variance; /* of its cost, in 1/2^32 */
    uint32_t locked;  /* windows until it may be used again */
    uint32_t penalty; /* that it was locked out for last */
    uint64_t windows; /* that it was measured in */
};

struct bandit_context {
    struct bandit_arm arms[BANDIT_ARMS];
    unsigned best;    /* the arm in use when nothing is tried */
    uint32_t in_use;  /* windows since it became that */
    uint64_t windows; /* decided in this context */
    uint64_t tried;   /* of these, for trying */
};

struct bandit {
    unsigned count; /* arms */
    unsigned arm;   /* in use */
    unsigned hold;  /* windows until another may be */
    enum bandit_why why;
    bool absent[BANDIT_ARMS]; /* it can't be used; never the baseline */
    struct bandit_context contexts[BANDIT_CONTEXTS];
};

/* 1 <= count <= BANDIT_ARMS; the baseline is in use. */
void bandit_init(struct bandit *b, unsigned count);

/* What the arm in use cost in the window that has ended. */
void bandit_observe(struct bandit *b, unsigned context, int32_t cost);

/* The arm for the next window; b->why says why. A context's first windows are the baseline's. */
unsigned bandit_decide(struct bandit *b, unsigned context);

/* Another arm has taken this one's place, or it is new: what was known of it is not true any more. */
void bandit_forget(struct bandit *b, unsigned arm);

/* By how much the means of an arm and the baseline may differ from the true difference. */
int32_t bandit_doubt(const struct bandit *b, unsigned context, unsigned arm);

/* The binary logarithm of cost / work, in 16.16; of 0 that of the smallest ratio. work > 0. */
int32_t bandit_cost(uint64_t cost, uint64_t work);

/* A mean of bandit_cost() as cost / work again, in thousandths. */
uint64_t bandit_ratio(int32_t mean);
