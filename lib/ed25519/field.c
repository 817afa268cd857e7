/*
 * field.c: see field.h. Products of two limbs and their sums fit in 128 bits; 2^255 is 19.
 */
#include "lib/ed25519/field.h"

#include <string.h>

#define LIMB_BITS 51
#define LIMB_MASK ((1ull << LIMB_BITS) - 1)

/* Brings limbs of at most 63 bits below 2^51, but the lowest perhaps a little above. */
static void carry(struct field *a)
{
    for (int i = 0; i < 4; i++) {
        a->limb[i + 1] += a->limb[i] >> LIMB_BITS;
        a->limb[i] &= LIMB_MASK;
    }
    a->limb[0] += 19 * (a->limb[4] >> LIMB_BITS);
    a->limb[4] &= LIMB_MASK;
}

void field_load(struct field *out, const uint8_t bytes[32])
{
    uint64_t w[4];

    memcpy(w, bytes, sizeof(w));
    out->limb[0] = w[0] & LIMB_MASK;
    out->limb[1] = (w[0] >> 51 | w[1] << 13) & LIMB_MASK;
    out->limb[2] = (w[1] >> 38 | w[2] << 26) & LIMB_MASK;
    out->limb[3] = (w[2] >> 25 | w[3] << 39) & LIMB_MASK;
    out->limb[4] = w[3] >> 12 & LIMB_MASK;
}

/* 1 when a, with limbs below 2^51, is at least p. */
static uint64_t above_p(const struct field *a)
{
    uint64_t q = (a->limb[0] + 19) >> LIMB_BITS;

    for (int i = 1; i < 5; i++)
        q = (a->limb[i] + q) >> LIMB_BITS;
    return q;
}

void field_store(uint8_t bytes[32], const struct field *a)
{
    struct field t = *a;
    uint64_t w[4];

    carry(&t);
    carry(&t);
    t.limb[0] += 19 * above_p(&t); /* t - p, but for bit 255, which goes below */
    for (int i = 0; i < 4; i++) {
        t.limb[i + 1] += t.limb[i] >> LIMB_BITS;
        t.limb[i] &= LIMB_MASK;
    }
    t.limb[4] &= LIMB_MASK;
    w[0] = t.limb[0] | t.limb[1] << 51;
    w[1] = t.limb[1] >> 13 | t.limb[2] << 38;
    w[2] = t.limb[2] >> 26 | t.limb[3] << 25;
    w[3] = t.limb[3] >> 39 | t.limb[4] << 12;
    memcpy(bytes, w, sizeof(w));
}

void field_add(struct field *out, const struct field *a, const struct field *b)
{
    for (int i = 0; i < 5; i++)
        out->limb[i] = a->limb[i] + b->limb[i];
    carry(out);
}

void field_sub(struct field *out, const struct field *a, const struct field *b)
{
    /* 4p, limb by limb, keeps every limb above 0. */
    static const uint64_t four_p[5] = {
        4 * (LIMB_MASK - 18), 4 * LIMB_MASK, 4 * LIMB_MASK, 4 * LIMB_MASK, 4 * LIMB_MASK,
    };

    for (int i = 0; i < 5; i++)
        out->limb[i] = a->limb[i] + four_p[i] - b->limb[i];
    carry(out);
}

void field_mul(struct field *out, const struct field *a, const struct field *b)
{
    unsigned __int128 sum[5] = {0};
    uint64_t over = 0;

    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            uint64_t factor = i + j >= 5 ? 19 * b->limb[j] : b->limb[j];

            sum[(i + j) % 5] += (unsigned __int128)a->limb[i] * factor;
        }
    }
    for (int i = 0; i < 5; i++) {
        sum[i] += over;
        out->limb[i] = (uint64_t)sum[i] & LIMB_MASK;
        over = (uint64_t)(sum[i] >> LIMB_BITS);
    }
    out->limb[0] += 19 * over;
    carry(out);
}

/* a to the power of 2^bits - 1 - less, less < 32; bits above 5. */
static void power(struct field *out, const struct field *a, int bits, unsigned less)
{
    struct field result = *a;

    for (int i = bits - 2; i >= 0; i--) {
        field_mul(&result, &result, &result);
        if (i >= 5 || !(less >> i & 1))
            field_mul(&result, &result, a);
    }
    *out = result;
}

void field_invert(struct field *out, const struct field *a)
{
    power(out, a, 255, 20); /* p - 2 = 2^255 - 1 - 20 */
}

void field_power_p58(struct field *out, const struct field *a)
{
    power(out, a, 252, 2); /* (p - 5) / 8 = 2^252 - 1 - 2 */
}

bool field_equal(const struct field *a, const struct field *b)
{
    uint8_t x[32], y[32];

    field_store(x, a);
    field_store(y, b);
    return memcmp(x, y, sizeof(x)) == 0;
}

bool field_odd(const struct field *a)
{
    uint8_t bytes[32];

    field_store(bytes, a);
    return bytes[0] & 1;
}
