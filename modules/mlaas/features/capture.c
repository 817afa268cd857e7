/*
 * capture.c: a row goes in; the rest of the hot half is in include/features.h.
 */
#include <microlake/spinlock.h>

#include "ring.h"

/* Two at a time, from the last to the first. */
static inline void values_fill(int32_t *to, const int32_t *from, uint32_t fields)
{
    if (fields & 1)
        to[fields - 1] = from[fields - 1];
    for (int64_t i = (int64_t)(fields / 2) - 1; i >= 0; i--)
        __builtin_memcpy(to + i * 2, from + i * 2, 8);
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
