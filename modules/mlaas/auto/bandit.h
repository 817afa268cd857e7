/*
 * bandit.h: which of several arms costs least, learned while one of them is always in use: a contextual
 * bandit with discounted means and confidence bounds (after Garivier and Moulines, "On Upper-Confidence Bound
 * Policies for Switching Bandit Problems", 2011), and a baseline, arm 0, that an arm must beat by a margin
 * and with confidence. An arm is found out in a race (after Maron and Moore, "Hoeffding Races", 1994; with
 * variances as in Mnih, Szepesvari and Audibert, "Empirical Bernstein Stopping", 2008): it is given little
 * at a time, whoever asks may look into what has come so far at any moment, and as soon as that is clearly
 * much worse than what is known the arm is out. Pure code, integers only; the caller serialises.
 *
 * Costs are binary logarithms in 16.16 fixed point: what counts is by what factor an arm is better, and a
 * window that was ten times as slow weighs no more than it should. Time and weight are in 1/256 windows: a
 * window is the caller's unit of time, and the weight that a cost has when enough was seen for it.
 *
 * What it promises, and tests/unit/auto holds it to (K arms, T windows of one context, D the largest
 * difference of two arms' mean cost):
 *   stationary costs    sum of cost <= T * (best arm's + margin) + D * (T / BANDIT_EXPLORE + K * BANDIT_FIRST +
 *                       BANDIT_DWELL * K): a share of the windows tries others, the rest has the best arm
 *                       or one that is within the margin of it
 *   arms much worse     cost one trial each in BANDIT_FORGET / 2 windows, and no more of that than the look
 *                       takes that sees it
 *   all equal, or nothing better by the margin: the baseline, but for the share that tries
 *   a change            is followed within BANDIT_FORGET windows: means of arms that are not used lose
 *                       their weight, and are measured again
 *   adversarial costs   an arm that was taken for better and was not is left out for twice as long each
 *                       time, so such errors number K * log2(T / BANDIT_PENALTY_FIRST)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BANDIT_ARMS     16u
#define BANDIT_CONTEXTS 32u

#define BANDIT_ONE           65536 /* a factor of two */
#define BANDIT_MARGIN        4613  /* 5% */
#define BANDIT_COST_MOST     (1 << 23) /* beyond any logarithm */
#define BANDIT_WINDOW        256u  /* a window, as time and as weight */
#define BANDIT_TRIAL         (BANDIT_WINDOW / 2) /* that an arm is tried the first time */
#define BANDIT_AGAIN         (BANDIT_WINDOW * 2) /* and each time that was not enough to tell */
#define BANDIT_FIRST         2u    /* windows for each arm that may go into the first trials */
#define BANDIT_DWELL         6u    /* windows that a choice stays at least */
#define BANDIT_EXPLORE       16u   /* of so many windows one may try, in the long run */
#define BANDIT_FORGET        256u  /* after so many windows an arm's mean counts for nothing */
#define BANDIT_PENALTY_FIRST 32u   /* windows that an arm is left out when it was taken for better */
#define BANDIT_PENALTY_MOST  8192u
#define BANDIT_PROVEN        64u /* windows in use after which an arm is trusted again */
#define BANDIT_LAST          64u /* windows before an arm that is thought little of is tried */

enum bandit_why {
    BANDIT_NOTHING_WINS, /* no arm beats the baseline by the margin, with confidence */
    BANDIT_WINS,         /* this one does */
    BANDIT_TRIES,        /* to know more of it */
    BANDIT_MEASURES,     /* the baseline, which must be known first */
    BANDIT_WHYS,
};

struct bandit_arm {
    uint32_t weight; /* of its mean; recent windows count more */
    int32_t mean;    /* of its cost */
    int64_t variance; /* of the cost of a window, in 1/2^32 */
    uint32_t locked;  /* windows until it may be used again */
    uint32_t penalty; /* that it was locked out for last */
    uint64_t looks;   /* costs that were noted */
};

struct bandit_context {
    struct bandit_arm arms[BANDIT_ARMS];
    unsigned best;    /* the arm in use when nothing is tried */
    uint32_t in_use;  /* windows since it became that */
    uint32_t part;    /* of a window that has not counted yet */
    uint64_t windows; /* decided in this context */
    uint64_t tried;   /* time that went into trying */
    bool seeded;      /* means are another context's: only their differences count */
};

struct bandit {
    unsigned count; /* arms */
    unsigned arm;   /* in use */
    uint32_t hold;  /* time until another may be */
    enum bandit_why why;
    bool absent[BANDIT_ARMS]; /* it can't be used; never the baseline */
    int8_t hint[BANDIT_ARMS]; /* from elsewhere: 1 it may be better, -1 worse than what is in use, 0 who knows */
    struct bandit_context contexts[BANDIT_CONTEXTS];
};

/* 1 <= count <= BANDIT_ARMS; the baseline is in use. */
void bandit_init(struct bandit *b, unsigned count);

/* Has enough been seen? What the arm in use has cost since it was chosen is much worse than what is known. */
bool bandit_look(const struct bandit *b, unsigned context, int32_t cost, uint32_t weight);

/* What the arm in use cost in the time that has ended; weight: 1 to BANDIT_WINDOW, or some more. */
void bandit_observe(struct bandit *b, unsigned context, int32_t cost, uint32_t weight);

/* The arm in use is so bad that there is no cost to note. */
void bandit_reject(struct bandit *b, unsigned context);

/* The arm for what comes next, after so much time; b->why says why. A context's first window is the
 * baseline's. */
unsigned bandit_decide(struct bandit *b, unsigned context, uint32_t time);

/* Another arm has taken this one's place, or it is new: what was known of it is not true any more. */
void bandit_forget(struct bandit *b, unsigned arm);

/* A context that nothing is known of, and what is known in one like it: to begin with. */
void bandit_clear(struct bandit *b, unsigned context);
void bandit_seed(struct bandit *b, unsigned context, unsigned from);

/* Is enough known of an arm to compare it? */
bool bandit_knows(const struct bandit *b, unsigned context, unsigned arm);

/* By how much the means of an arm and the baseline may differ from the true difference. */
int32_t bandit_doubt(const struct bandit *b, unsigned context, unsigned arm);

/* The binary logarithm of cost / work, in 16.16; of 0 that of the smallest ratio. work > 0. */
int32_t bandit_cost(uint64_t cost, uint64_t work);

/* A mean of bandit_cost() as cost / work again, in thousandths. */
uint64_t bandit_ratio(int32_t mean);
