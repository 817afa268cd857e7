/*
 * patterns.h: the orders in which a reader goes through a file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reader_pattern { SEQUENTIAL, STRIDED, RANDOM, SHUFFLED, PATTERNS };

struct reader {
    enum reader_pattern pattern;
    uint64_t file;   /* bytes */
    uint64_t record; /* bytes that are read from one place on */
    uint64_t read;   /* bytes of one read() of them */
    uint64_t stride; /* bytes from one record to the next one; STRIDED */
    uint64_t random; /* the generator's state, not 0 */
    uint64_t next;   /* record */
    uint32_t *order; /* SHUFFLED: of this epoch */
};

/* "sequential", "strided:16K:256K", "random:4K", "shuffled:64K:16K": a pattern with its record and its
 * stride, or with the size of its reads. False: it makes no sense for a file of this size. */
bool reader_parse(const char *text, uint64_t file, uint64_t seed, struct reader *out);

/* Where the next record begins, in bytes. */
uint64_t reader_next(struct reader *r);

extern const char *const pattern_names[PATTERNS];
