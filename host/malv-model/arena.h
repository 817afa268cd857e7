/*
 * arena.h: memory that is freed all at once, when a conversion is over.
 */
#pragma once

#include <stddef.h>

struct arena {
    struct arena_piece *pieces;
};

/* Zeroed memory for `count` things of `size` bytes. Ends the program when there is none. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

void arena_free(struct arena *arena);
