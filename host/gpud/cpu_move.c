/*
 * cpu_move.c: see cpu_move.h. A piece is part of a row, or some rows: so long that it is worth a
 * thread's look for the next, so short that nobody waits long for who has the last one.
 */
#include "cpu_move.h"

#include <string.h>
#include "cpu_crew.h"

#define PIECE_BYTES (512u << 10) /* a multiple of MOVE_PATTERN */

/* What is there already is copied on, so that patterns of all sizes go as fast as copies. */
static void pattern_write(uint8_t *target, uint64_t length, const uint8_t pattern[MOVE_PATTERN])
{
    uint64_t done = length < MOVE_PATTERN ? length : MOVE_PATTERN;
    memcpy(target, pattern, done);
    while (done < length) {
        uint64_t most = done < 4096 ? done : 4096; /* which the nearest cache keeps */
        uint64_t more = length - done < most ? length - done : most;
        memcpy(target + done, target, more);
        done += more;
    }
}

static void run_move(const struct cpu_move *move, uint64_t row, uint64_t at, uint64_t length)
{
    uint8_t *target = move->target + row * move->target_pitch + at;
    if (move->source)
        memcpy(target, move->source + row * move->source_pitch + at, length);
    else
        pattern_write(target, length, move->pattern);
}

/* A piece of the only row. */
static void part_move(const void *job, uint64_t piece)
{
    const struct cpu_move *move = job;
    uint64_t at = piece * PIECE_BYTES, left = move->length - at;
    run_move(move, 0, at, left < PIECE_BYTES ? left : PIECE_BYTES);
}

static uint64_t piece_rows(const struct cpu_move *move)
{
    return move->length < PIECE_BYTES ? PIECE_BYTES / move->length : 1;
}

static void rows_move(const void *job, uint64_t piece)
{
    const struct cpu_move *move = job;
    uint64_t rows = piece_rows(move), row = piece * rows;
    for (uint64_t end = row + rows; row < end && row < move->rows; row++)
        run_move(move, row, 0, move->length);
}

void cpu_move_run(const struct cpu_move *move)
{
    uint64_t rows = piece_rows(move);
    if (move->rows == 1)
        cpu_crew_run(part_move, move, (move->length + PIECE_BYTES - 1) / PIECE_BYTES);
    else
        cpu_crew_run(rows_move, move, (move->rows + rows - 1) / rows);
}
