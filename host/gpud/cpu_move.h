/*
 * cpu_move.h: large copies and fills on this host's processor, shared between its processors.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MOVE_LEAST_BYTES (1u << 20) /* less is not worth it */
#define MOVE_PATTERN     16u

struct cpu_move {
    uint8_t *target;
    const uint8_t *source;               /* NULL: a fill */
    uint64_t length, rows;               /* bytes of each row */
    uint64_t source_pitch, target_pitch; /* from row to row */
    uint8_t pattern[MOVE_PATTERN];       /* of a fill, as often as it fits */
};

/* Source and target do not overlap. */
void cpu_move_run(const struct cpu_move *move);
