/*
 * arena.c: see arena.h.
 */
#include "host/malv-model/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_piece {
    struct arena_piece *next;
    max_align_t bytes[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    struct arena_piece *piece = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX - sizeof(*piece)) {
        piece = calloc(1, sizeof(*piece) + bytes);
    }
    if (!piece) {
        fputs("malv-model: there is not enough memory\n", stderr);
        exit(1);
    }
    piece->next = arena->pieces;
    arena->pieces = piece;
    return piece->bytes;
}

void arena_free(struct arena *arena)
{
    while (arena->pieces) {
        struct arena_piece *next = arena->pieces->next;
        free(arena->pieces);
        arena->pieces = next;
    }
}
