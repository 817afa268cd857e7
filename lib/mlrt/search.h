/*
 * search.h: the nearest neighbours by distances that were computed, for float and integer models alike:
 * squares are not negative, and the bits of such floats have the order of the numbers.
 */
#pragma once

#include <stdint.h>

struct neighbour {
    union { /* squared */
        int32_t distance_fixed;
        float distance;
    };
    uint32_t point;
};

/* The k nearest in order; of equally far ones the first. */
static inline void neighbours_find(const int32_t *distances, uint32_t count, uint32_t k,
                                   struct neighbour *found)
{
    uint32_t have = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (have == k && distances[i] >= found[k - 1].distance_fixed) {
            continue;
        }
        uint32_t at = have < k ? have++ : k - 1;
        for (; at > 0 && distances[i] < found[at - 1].distance_fixed; at--) {
            found[at] = found[at - 1];
        }
        found[at] = (struct neighbour){.distance_fixed = distances[i], .point = i};
    }
}
