/*
 * history.c: see history.h.
 */
#include "history.h"

#define MEAN_ONE 16   /* the means' unit */
#define BY_ONE   4096 /* of by_thread */
#define LG_MOST  (1ull << 33)

static uint32_t lg(uint64_t ns)
{
    uint64_t x = MIN(ns >> 10, LG_MOST);
    uint32_t e;

    if (x < 8)
        return (uint32_t)x;
    e = 63 - (uint32_t)__builtin_clzll(x);
    return (e - 2) * 8 + ((uint32_t)(x >> (e - 3)) & 7);
}

/* A quarter of the way; what is less than the unit stays. */
static uint16_t towards(uint16_t from, int32_t to)
{
    return (uint16_t)(from + (to - from) / 4);
}

static void mean_take(uint16_t *mean, uint16_t *spread, uint32_t value)
{
    int32_t at = (int32_t)(value * MEAN_ONE), distance = at - *mean;

    *mean = towards(*mean, at);
    *spread = towards(*spread, distance < 0 ? -distance : distance);
}

void history_capture(struct history *h, const struct sched_entity *e, uint64_t now)
{
    uint32_t burst = lg(e->ran - h->ran), sleep = lg(now - e->ran_until);

    h->ran = e->ran;
    h->bursts = h->bursts << 8 | burst;
    h->sleeps = h->sleeps << 8 | sleep;
    if (!h->seen) {
        h->burst_mean = (uint16_t)(burst * MEAN_ONE);
        h->sleep_mean = (uint16_t)(sleep * MEAN_ONE);
    }
    mean_take(&h->burst_mean, &h->burst_spread, burst);
    mean_take(&h->sleep_mean, &h->sleep_spread, sleep);
    h->by_thread = towards(h->by_thread, e->flags & SCHED_BY_THREAD ? BY_ONE : 0);
    h->seen = (uint8_t)(h->seen + (h->seen < 255));
}

void history_features(const struct history *h, int32_t features[HISTORY_FEATURES])
{
    for (unsigned i = 0; i < 4; i++) {
        features[i] = h->bursts >> 8 * i & 255;
        features[4 + i] = h->sleeps >> 8 * i & 255;
    }
    features[8] = h->burst_mean;
    features[9] = h->burst_spread;
    features[10] = h->sleep_mean;
    features[11] = h->sleep_spread;
    features[12] = h->by_thread;
    features[13] =
        h->burst_mean - features[4] * MEAN_ONE; /* whether it is short beside this sleep */
    features[14] = features[0] - features[4];
    for (unsigned i = 0; i < HISTORY_FEATURES; i++)
        features[i] = (int32_t)((uint32_t)features[i] << BURST_FRACTION);
}

enum burst_kind burst_kind_of(uint64_t burst, uint64_t sleep)
{
    if (burst > BURST_SHORT_NS)
        return BURST_LONG;
    if (burst > sleep)
        return BURST_BUSY;
    return burst > BURST_BRIEF_NS ? BURST_SHORT : BURST_BRIEF;
}
