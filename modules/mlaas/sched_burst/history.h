/*
 * history.h: what a thread's last bursts on the CPU and its last sleeps were, and what that says of
 * the next burst.
 *
 * Lengths are kept as logarithms: lg(ns) is about 8 * log2(ns / 1024), so a doubling is 8. A
 * history is captured at each wake-up, from what the kernel says of the thread. It calls nothing,
 * so it is compiled for training too (tools/train/sched_burst.py): the features that a model learns
 * from are the ones it is asked with.
 */
#pragma once

#include <microlake/policy.h>

#define HISTORY_SURE     4 /* bursts that must have been seen before anything is predicted */
#define HISTORY_FEATURES 10
#define BURST_FRACTION   16

/* What kind of burst comes, as hindsight tells them apart: how long it is, and beside the sleep
 * before. */
enum burst_kind {
    BURST_LONG,  /* over 3 ms */
    BURST_BUSY,  /* shorter, but longer than the thread slept before: work in small pieces */
    BURST_SHORT, /* at most 3 ms, after a longer sleep */
    BURST_BRIEF, /* at most 1 ms, likewise */
    BURST_KINDS,
};
#define BURST_BRIEF_NS NS_PER_MS
#define BURST_SHORT_NS (3 * NS_PER_MS)

/* SCHED_SHADOW_WORDS of them, of zeros at first. */
struct history {
    uint64_t ran;     /* the entity's when it last woke */
    int64_t credit;   /* ns that it may run ahead of others (lane.c) */
    uint64_t vqueue;  /* virtual time of its queue up to which it has earned credit (lane.c) */
    uint64_t counted; /* time when it last counted as one of those here; 0: never (lane.c) */
    uint32_t bursts;  /* lg of the last four, the newest in the low byte; 0: there was none */
    uint32_t sleep;   /* lg of the last */
    uint32_t burst_mean, burst_spread; /* of lg, in 1/16: moving mean, and mean distance from it */
    uint32_t sleep_mean;
    uint8_t kind;     /* enum burst_kind: predicted */
    bool ahead;       /* this burst goes ahead of others, as long as there is credit */
    bool lane;        /* it waits among those that go first */
    uint8_t cpu;      /* of `vqueue` */
    uint8_t called;   /* of its last eight wake-ups, the newest in the lowest bit: from outside */
};
_Static_assert(sizeof(struct history) <= SCHED_SHADOW_WORDS * sizeof(uint64_t), "history fits");

/* Takes in the burst and the sleep that have ended, as e wakes. */
void history_capture(struct history *h, const struct sched_entity *e, uint64_t now);

/* What the model is asked with, with BURST_FRACTION fraction bits. */
void history_features(const struct history *h, int32_t features[HISTORY_FEATURES]);

/* What kind a burst was, in hindsight. */
enum burst_kind burst_kind_of(uint64_t burst, uint64_t sleep);

static inline bool history_is_sure(const struct history *h)
{
    return h->bursts >> 24 != 0;
}

static inline uint64_t history_burst(const struct history *h, const struct sched_entity *e)
{
    return e->ran - h->ran;
}
