/*
 * ring.h: the rows of a set: a ring a CPU. Pure code, for the kernel and for unit tests; the hot
 * half of it is in include/features.h. A CPU writes its own rows; anybody reads.
 *
 * A row that is being written has number 0, one that has been overwritten another number than
 * expected: so a reader that finds the same expected number before and after has read one whole
 * row. Stores of a CPU become visible in order, and loads are made in order (x86).
 */
#pragma once

#include "include/features.h"

/* Bytes of a ring. */
size_t ring_bytes(uint32_t fields, uint32_t rows, uint32_t cpus);

/* Rows of a CPU for a wish of `rows`; see features_set.rows. */
uint32_t ring_rows(uint32_t fields, uint32_t rows, uint32_t cpus, size_t bytes_max);

/* Makes a ring of `memory`, zeroed and aligned to 64, of ring_bytes(). rows: a power of two. */
struct features_ring *ring_make(void *memory, uint32_t fields, uint32_t rows, uint32_t cpus);

enum ring_look { RING_ROW, RING_BUSY, RING_GONE };

/* Reads the nth row (from 0) of a CPU. values: ring->fields of them. */
enum ring_look ring_row(const struct features_ring *ring, uint32_t cpu, uint64_t nth,
                        struct features_row *head, int32_t *values);

/* As features_window(), without a lock; times are those of the processor. */
unsigned ring_window(const struct features_ring *ring, uint32_t cpu, uint64_t key, unsigned rows,
                     int32_t *out, uint64_t *times);

/* Reads on from row *cursor of a CPU, and moves it on. False: there is none now. */
bool ring_next(const struct features_ring *ring, uint32_t cpu, uint64_t *cursor,
               struct features_row *head, int32_t *values);
