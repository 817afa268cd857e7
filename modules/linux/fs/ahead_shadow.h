/*
 * ahead_shadow.h: what a policy would have read ahead that only answers in the shadow: its answers are
 * remembered, and the accesses that follow are held against them. Pure.
 */
#pragma once

#include "modules/linux/fs/ahead_pool.h"
#include "modules/linux/include/linux_readahead.h"

#define SHADOW_RANGES 32u

struct shadow_range {
    struct readahead_range range;
    uint32_t used; /* pages of it that were wanted since */
};

struct ahead_shadow {
    struct pool_piece piece;
    uint64_t data[READAHEAD_DATA];
    uint64_t owner;
    unsigned next; /* the oldest range, which goes next */
    struct shadow_range ranges[SHADOW_RANGES];
    uint64_t right, judged; /* to be told */
};

/* An access: pages that the answers had said count as right, with those that were in memory anyway
 * (`there_else` of them). */
void shadow_judge(struct ahead_shadow *s, const struct readahead_access *now, uint32_t there_else);

/* Remembers an answer; what goes for it and was not used counts as wrong. */
void shadow_remember(struct ahead_shadow *s, const struct readahead_answer *answer);
