/*
 * history.c: see history.h.
 */
#include "history.h"

#define MEAN_ONE 16 /* the means' unit */

/* At most 255 below two hours; a burst of more looks shorter, but still long. */
static uint32_t lg(uint64_t ns)
{
    uint64_t x = MAX(ns >> 10, 8);
    uint32_t shift = (63 ^ (uint32_t)__builtin_clzll(x)) - 3;

    return shift * 8 + (uint32_t)(x >> shift);
}

/* A quarter of the way. (Unsigned, because another policy may have left anything there; shifted, because a
 * division rounds to zero, which costs more.) */
static uint32_t towards(uint32_t from, uint32_t to)
{
    return from + (uint32_t)((int32_t)(to - from) >> 2);
}

void history_capture(struct history *h, const struct sched_entity *e, uint64_t now)
{
    uint32_t burst = lg(e->ran - h->ran), sleep = lg(now - e->ran_until);
    uint32_t distance = burst * MEAN_ONE - h->burst_mean;

    h->ran = e->ran;
    h->bursts = h->bursts << 8 | burst;
    h->sleep = sleep;
    h->burst_mean = towards(h->burst_mean, burst * MEAN_ONE);
    h->burst_spread = towards(h->burst_spread, (int32_t)distance < 0 ? -distance : distance);
    h->sleep_mean = towards(h->sleep_mean, sleep * MEAN_ONE);
}

/* Unsigned: a shift of whatever another policy left there is defined. */
static int32_t feature(uint32_t value)
{
    return (int32_t)(value << BURST_FRACTION);
}

void history_features(const struct history *h, int32_t features[HISTORY_FEATURES])
{
    uint32_t burst = h->bursts & 255, mean = h->burst_mean;

    features[0] = feature(burst);
    features[1] = feature(h->bursts >> 8 & 255);
    features[2] = feature(h->bursts >> 16 & 255);
    features[3] = feature(h->bursts >> 24);
    features[4] = feature(h->sleep);
    features[5] = feature(mean);
    features[6] = feature(h->burst_spread);
    features[7] = feature(h->sleep_mean);
    features[8] = feature(mean - h->sleep * MEAN_ONE); /* whether it is short beside this sleep */
    features[9] = feature(burst - h->sleep);
}

enum burst_kind burst_kind_of(uint64_t burst, uint64_t sleep)
{
    if (burst > BURST_SHORT_NS)
        return BURST_LONG;
    if (burst > sleep)
        return BURST_BUSY;
    return burst > BURST_BRIEF_NS ? BURST_SHORT : BURST_BRIEF;
}
