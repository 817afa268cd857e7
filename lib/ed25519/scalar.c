/*
 * scalar.c: see scalar.h.
 */
#include "lib/ed25519/scalar.h"

#include <string.h>

static const uint64_t order[4] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000};

static bool at_least_order(const uint64_t a[4])
{
    for (int i = 3; i >= 0; i--)
        if (a[i] != order[i])
            return a[i] > order[i];
    return true;
}

static void subtract_order(uint64_t a[4])
{
    unsigned __int128 borrow = 0;

    for (int i = 0; i < 4; i++) {
        unsigned __int128 difference = (unsigned __int128)a[i] - order[i] - borrow;

        a[i] = (uint64_t)difference;
        borrow = difference >> 64 & 1;
    }
}

/* The sum of two numbers below L is below 2^254. */
void scalar_add(struct scalar *out, const struct scalar *a, const struct scalar *b)
{
    unsigned __int128 sum = 0;

    for (int i = 0; i < 4; i++) {
        sum += (unsigned __int128)a->word[i] + b->word[i];
        out->word[i] = (uint64_t)sum;
        sum >>= 64;
    }
    if (at_least_order(out->word))
        subtract_order(out->word);
}

bool scalar_load(struct scalar *out, const uint8_t bytes[32])
{
    memcpy(out->word, bytes, 32);
    return !at_least_order(out->word);
}

void scalar_reduce(struct scalar *out, const uint8_t bytes[64])
{
    memset(out, 0, sizeof(*out));
    for (int i = 511; i >= 0; i--) {
        struct scalar bit = {{bytes[i / 8] >> i % 8 & 1}};

        scalar_add(out, out, out);
        scalar_add(out, out, &bit);
    }
}

void scalar_mul(struct scalar *out, const struct scalar *a, const struct scalar *b)
{
    struct scalar product = {{0}};

    for (int i = 255; i >= 0; i--) {
        scalar_add(&product, &product, &product);
        if (scalar_bit(a, i))
            scalar_add(&product, &product, b);
    }
    *out = product;
}
