/*
 * bandit.c: see bandit.h.
 */
#include "bandit.h"

#include <string.h>

#define UNIT           BANDIT_WINDOW
#define WEIGHT_MOST    (16u * UNIT)        /* older windows are forgotten */
#define WEIGHT_LEFT    (3u * UNIT)         /* of one that is no longer in use, at most */
#define WEIGHT_SEED    (UNIT / 2)          /* of what comes from another context */
#define KNOWN          (UNIT / 4)          /* less than that says nothing */
#define AGE_SHIFT      7                   /* a window takes 1/128 of the weight of a mean that gets old */
#define VARIANCE_MIN   ((int64_t)1310 * 1310) /* 2%, in 1/2^32: no arm is that even */
#define VARIANCE_FIRST ((int64_t)BANDIT_ONE * BANDIT_ONE / 16) /* as long as nothing is known of it */
#define CERTAIN        2                   /* standard deviations */
#define MUCH_WORSE     BANDIT_ONE          /* costs twice as much: a trial ends */

void bandit_init(struct bandit *b, unsigned count)
{
    memset(b, 0, sizeof(*b));
    b->count = count < 1 ? 1 : count > BANDIT_ARMS ? BANDIT_ARMS : count;
    b->why = BANDIT_MEASURES;
}

void bandit_forget(struct bandit *b, unsigned arm)
{
    for (unsigned i = 0; i < BANDIT_CONTEXTS; i++) {
        struct bandit_context *c = &b->contexts[i];

        memset(&c->arms[arm], 0, sizeof(c->arms[arm]));
        if (c->best == arm)
            c->best = 0;
    }
    if (b->arm == arm)
        b->hold = 0;
}

void bandit_clear(struct bandit *b, unsigned context)
{
    memset(&b->contexts[context % BANDIT_CONTEXTS], 0, sizeof(b->contexts[0]));
}

/* An arm that is much better or worse here than there is found out when its mean has got old. */
void bandit_seed(struct bandit *b, unsigned context, unsigned from)
{
    const struct bandit_context *there = &b->contexts[from % BANDIT_CONTEXTS];
    struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];

    bandit_clear(b, context);
    c->best = there->best;
    c->seeded = true;
    for (unsigned i = 0; i < b->count; i++) {
        c->arms[i] = (struct bandit_arm){.weight = there->arms[i].weight,
                                         .mean = there->arms[i].mean,
                                         .variance = there->arms[i].variance};
        if (c->arms[i].weight > WEIGHT_SEED)
            c->arms[i].weight = WEIGHT_SEED;
    }
}

/* ---- Logarithms and roots ---------------------------------------------------------------------- */

int32_t bandit_cost(uint64_t cost, uint64_t work)
{
    uint64_t whole_ratio = cost / work;
    uint64_t ratio = cost < 1ull << 48          ? (cost << 16) / work
                     : whole_ratio < 1ull << 48 ? whole_ratio << 16
                                                : UINT64_MAX;
    int whole, zeros = ratio ? __builtin_clzll(ratio) : 63;
    uint64_t part = ratio ? ratio << zeros : 1ull << 63; /* 1 <= part < 2, in 1.63 */
    int32_t fraction = 0;

    whole = 63 - zeros - 16;
    for (int bit = 15; bit >= 0; bit--) {
        unsigned __int128 square = (unsigned __int128)part * part;

        if (square >> 127) {
            fraction |= 1 << bit;
            part = (uint64_t)(square >> 64);
        } else {
            part = (uint64_t)(square >> 63);
        }
    }
    return whole * BANDIT_ONE + fraction;
}

uint64_t bandit_ratio(int32_t mean)
{
    /* 2^(1/2), 2^(1/4), ... in 2.30 */
    static const uint32_t roots[] = {1518500250, 1276901417, 1170923762, 1121280436,
                                     1097253708, 1085434106, 1079572121, 1076653003};
    int whole = mean >> 16;
    uint32_t fraction = (uint32_t)mean & 0xffff;
    unsigned __int128 value = (unsigned __int128)1000 << 30;

    for (unsigned i = 0; i < 8; i++)
        if (fraction & (0x8000u >> i))
            value = value * roots[i] >> 30;
    if (whole > 50 || whole < -60)
        return whole > 0 ? UINT64_MAX : 0;
    value = whole >= 0 ? value << whole : value >> -whole;
    return (uint64_t)(value >> 30);
}

static int64_t root(int64_t value)
{
    int64_t low = 0, high = 1ll << 31;

    while (low < high) {
        int64_t middle = (low + high + 1) / 2;

        if (middle * middle <= value)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* ---- What is known ----------------------------------------------------------------------------- */

static bool is_known(const struct bandit_arm *a)
{
    return a->weight >= KNOWN;
}

static int64_t variance_of_mean(const struct bandit_arm *a)
{
    int64_t variance = a->variance > VARIANCE_MIN ? a->variance : VARIANCE_MIN;

    return variance * (int64_t)UNIT / (int64_t)(a->weight ? a->weight : 1);
}

/* How far the difference of two means may be from the true one. */
static int64_t doubt(const struct bandit_arm *a, const struct bandit_arm *b)
{
    return CERTAIN * root(variance_of_mean(a) + variance_of_mean(b));
}

int32_t bandit_doubt(const struct bandit *b, unsigned context, unsigned arm)
{
    const struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];

    return (int32_t)doubt(&c->arms[arm], &c->arms[0]);
}

bool bandit_knows(const struct bandit *b, unsigned context, unsigned arm)
{
    return is_known(&b->contexts[context % BANDIT_CONTEXTS].arms[arm]);
}

static int32_t cost_limit(int32_t cost)
{
    return cost > BANDIT_COST_MOST ? BANDIT_COST_MOST : cost < -BANDIT_COST_MOST ? -BANDIT_COST_MOST : cost;
}

/* What an arm is held against while it is in use: one on trial against the best, the best one against the
 * baseline. NULL: nothing. */
static const struct bandit_arm *rival_of(const struct bandit *b, const struct bandit_context *c)
{
    unsigned rival = b->why == BANDIT_TRIES ? c->best : 0;

    return rival != b->arm && !c->seeded && is_known(&c->arms[rival]) ? &c->arms[rival] : NULL;
}

static bool is_much_worse(const struct bandit_arm *seen, const struct bandit_arm *rival)
{
    return seen->mean > rival->mean + MUCH_WORSE + doubt(seen, rival);
}

bool bandit_look(const struct bandit *b, unsigned context, int32_t cost, uint32_t weight)
{
    const struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];
    const struct bandit_arm *rival = rival_of(b, c);
    struct bandit_arm seen = {.weight = weight, .mean = cost_limit(cost), .variance = VARIANCE_FIRST};

    return rival && is_much_worse(&seen, rival);
}

/* The first cost that is measured in a context that was seeded says how its level differs. */
static void level_shift(struct bandit *b, struct bandit_context *c, int32_t cost)
{
    int32_t delta = cost - c->arms[b->arm].mean;

    if (c->arms[b->arm].weight)
        for (unsigned i = 0; i < b->count; i++)
            c->arms[i].mean = cost_limit(c->arms[i].mean + delta);
    c->seeded = false;
}

/* An exponential mean that starts as a plain one (Welford's update, weighted). */
static void mean_update(struct bandit_arm *a, int32_t cost, uint32_t weight)
{
    int64_t delta = (int64_t)cost - a->mean, whole = (int64_t)a->weight + weight, square;

    whole = whole > WEIGHT_MOST ? WEIGHT_MOST : whole;
    a->mean += (int32_t)(delta * (int64_t)weight / whole);
    square = delta * ((int64_t)cost - a->mean) / (int64_t)UNIT * (int64_t)weight;
    a->variance += (square - a->variance) / whole * (int64_t)weight;
    a->weight = (uint32_t)whole;
}

void bandit_observe(struct bandit *b, unsigned context, int32_t cost, uint32_t weight)
{
    struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];
    struct bandit_arm *a = &c->arms[b->arm];
    const struct bandit_arm *rival;

    cost = cost_limit(cost);
    weight = weight < 1 ? 1 : weight > 4 * UNIT ? 4 * UNIT : weight;
    if (c->seeded)
        level_shift(b, c, cost);
    a->looks++;
    if (a->weight == 0) {
        a->mean = cost;
        a->variance = VARIANCE_FIRST;
        a->weight = weight;
    } else {
        mean_update(a, cost, weight);
    }
    rival = rival_of(b, c);
    if (rival && is_much_worse(a, rival)) {
        b->hold = 0;
        if (a->weight < UNIT) /* so clear that it need not be seen again soon */
            a->weight = UNIT;
    }
}

void bandit_reject(struct bandit *b, unsigned context)
{
    struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];

    c->arms[b->arm] = (struct bandit_arm){.weight = UNIT,
                                          .mean = cost_limit(c->arms[c->best].mean + 4 * MUCH_WORSE),
                                          .variance = VARIANCE_FIRST,
                                          .looks = c->arms[b->arm].looks + 1};
    b->hold = 0;
}

/* What is not in use gets old, window by window. */
static void age(struct bandit *b, struct bandit_context *c, uint32_t time)
{
    for (c->part += time; c->part >= UNIT; c->part -= UNIT) {
        for (unsigned i = 0; i < b->count; i++) {
            struct bandit_arm *a = &c->arms[i];

            if (i != b->arm)
                a->weight -= (a->weight >> AGE_SHIFT) + (a->weight > 0);
            if (a->locked)
                a->locked--;
        }
        c->windows++;
        c->in_use++;
    }
    if (c->in_use >= BANDIT_PROVEN)
        c->arms[c->best].penalty = 0;
}

/* ---- Choosing ---------------------------------------------------------------------------------- */

static bool usable(const struct bandit_context *c, unsigned arm)
{
    return arm == 0 || (is_known(&c->arms[arm]) && c->arms[arm].locked == 0);
}

/* The one in use keeps its place until it loses it clearly. */
static bool keeps_place(const struct bandit_context *c)
{
    const struct bandit_arm *base = &c->arms[0], *a = &c->arms[c->best];

    return c->best != 0 && usable(c, c->best) && a->mean + BANDIT_MARGIN / 2 < base->mean;
}

static unsigned best_of(const struct bandit *b, const struct bandit_context *c)
{
    unsigned best = keeps_place(c) && !b->absent[c->best] ? c->best : 0;

    for (unsigned i = 1; i < b->count; i++) {
        const struct bandit_arm *a = &c->arms[i], *than = &c->arms[best];
        int64_t margin = best == 0 ? BANDIT_MARGIN : BANDIT_MARGIN / 2;

        if (i != best && !b->absent[i] && usable(c, i) && a->mean + margin + doubt(a, than) < than->mean)
            best = i;
    }
    return best;
}

/* An arm that was taken for better and lost its place without having proven itself is left out for a
 * while, for twice as long each time. */
static void best_set(struct bandit_context *c, unsigned best)
{
    struct bandit_arm *before = &c->arms[c->best];

    if (best == c->best)
        return;
    if (c->best != 0 && best == 0 && c->in_use < BANDIT_PROVEN) {
        before->penalty = before->penalty ? before->penalty * 2 : BANDIT_PENALTY_FIRST;
        if (before->penalty > BANDIT_PENALTY_MOST)
            before->penalty = BANDIT_PENALTY_MOST;
        before->locked = before->penalty;
        before->weight = 0;
    }
    c->best = best;
    c->in_use = 0;
}

/* Could it be better than the best one, for all that is known? One that is thought little of waits. */
static bool is_promising(const struct bandit *b, const struct bandit_context *c, unsigned arm)
{
    const struct bandit_arm *a = &c->arms[arm], *best = &c->arms[c->best];

    if (arm == c->best || a->locked || b->absent[arm])
        return false;
    if (!is_known(a))
        return arm == 0 || b->hint[arm] >= 0 || c->windows >= BANDIT_LAST;
    return a->mean - doubt(a, best) + BANDIT_MARGIN < best->mean;
}

/* The arm that is worth a trial most: what is thought well of, then of which least is known, then what has
 * come last; count: none. */
static unsigned trial_of(const struct bandit *b, const struct bandit_context *c)
{
    uint64_t first = (uint64_t)b->count * BANDIT_FIRST;
    unsigned chosen = b->count;

    if (c->tried >= (first + c->windows / BANDIT_EXPLORE) * UNIT)
        return b->count;
    for (unsigned i = b->count; i-- > 0;)
        if (is_promising(b, c, i) &&
            (chosen == b->count || b->hint[i] > b->hint[chosen] ||
             (b->hint[i] == b->hint[chosen] && c->arms[i].weight < c->arms[chosen].weight)))
            chosen = i;
    return chosen;
}

static void use(struct bandit *b, struct bandit_context *c, unsigned arm, enum bandit_why why,
                uint32_t time)
{
    struct bandit_arm *before = &c->arms[b->arm];

    if (arm != b->arm && before->weight > WEIGHT_LEFT)
        before->weight = WEIGHT_LEFT;
    b->hold = arm == b->arm && why != BANDIT_TRIES && why != BANDIT_MEASURES ? 0 : time;
    b->why = why;
    b->arm = arm;
}

/* How long a choice stays: not long while some arm has never been seen. */
static uint32_t dwell(const struct bandit *b, const struct bandit_context *c)
{
    for (unsigned i = 1; i < b->count; i++)
        if (is_promising(b, c, i) && !is_known(&c->arms[i]) && c->arms[i].looks == 0)
            return BANDIT_TRIAL;
    return BANDIT_DWELL * UNIT;
}

unsigned bandit_decide(struct bandit *b, unsigned context, uint32_t time)
{
    struct bandit_context *c = &b->contexts[context % BANDIT_CONTEXTS];
    unsigned trial;

    if (b->why == BANDIT_TRIES)
        c->tried += time;
    age(b, c, time);
    if (b->hold > time && !b->absent[b->arm]) {
        b->hold -= time;
        return b->arm;
    }
    b->hold = 0;
    if (!is_known(&c->arms[0]) && c->windows <= BANDIT_FIRST) {
        use(b, c, 0, BANDIT_MEASURES, UNIT);
        return b->arm;
    }
    best_set(c, best_of(b, c));
    trial = trial_of(b, c);
    if (trial < b->count)
        use(b, c, trial, BANDIT_TRIES, c->arms[trial].looks ? BANDIT_AGAIN : BANDIT_TRIAL);
    else
        use(b, c, c->best, c->best ? BANDIT_WINS : BANDIT_NOTHING_WINS, dwell(b, c));
    return b->arm;
}
