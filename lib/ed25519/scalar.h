/*
 * scalar.h: numbers modulo L = 2^252 + 27742317777372353535851937790883648493, the order of the
 * base point. Bit by bit: slow, short, and fast enough for a few signatures. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct scalar {
    uint64_t word[4]; /* below L */
};

static inline int scalar_bit(const struct scalar *a, int i)
{
    return (int)(a->word[i / 64] >> i % 64 & 1);
}

/* Little-endian. false: not below L. */
bool scalar_load(struct scalar *out, const uint8_t bytes[32]);

/* The rest of a number of 512 bits. */
void scalar_reduce(struct scalar *out, const uint8_t bytes[64]);

/* All modulo L; out may be a or b. */
void scalar_add(struct scalar *out, const struct scalar *a, const struct scalar *b);
void scalar_mul(struct scalar *out, const struct scalar *a, const struct scalar *b);
