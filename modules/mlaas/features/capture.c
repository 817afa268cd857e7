/*
 * capture.c: a row goes in; the rest of the hot half is in include/features.h.
 */
#include <microlake/spinlock.h>

#include "ring.h"

static inline void pair_fill(int32_t *to, const int32_t *from, uint32_t pair)
{
    __builtin_memcpy(to + pair * 2, from + pair * 2, 8);
}

/* Two at a time; up to 8 without a loop. */
static inline void values_fill(int32_t *to, const int32_t *from, uint32_t fields)
{
    if (fields & 1)
        to[fields - 1] = from[fields - 1];
    for (uint32_t pair = 4; pair < fields / 2; pair++)
        pair_fill(to, from, pair);
    switch (fields / 2) {
    default:
        pair_fill(to, from, 3);
        __attribute__((fallthrough));
    case 3:
        pair_fill(to, from, 2);
        __attribute__((fallthrough));
    case 2:
        pair_fill(to, from, 1);
        __attribute__((fallthrough));
    case 1:
        pair_fill(to, from, 0);
        __attribute__((fallthrough));
    case 0:
        break;
    }
}

void features_capture(struct features_set *set, uint32_t key, const int32_t *values)
{
    struct features_row *row;
    uint32_t number;

    preempt_disable();
    row = features_begin(set, key, &number);
    if (row) {
        values_fill(row->values, values, set->field_count);
        features_end(row, number);
    }
    preempt_enable();
}
