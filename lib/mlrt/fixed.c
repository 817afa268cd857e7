/*
 * fixed.c: see fixed.h.
 *
 * exp(x) = 2^(x / ln 2) = 2^n * 2^f, n whole, f in 0..1; 2^f = exp(f ln 2) by Taylor's series up to
 * the tenth power: what is left out is below 0.6932^11 / 11! = 4.5e-10.
 */
#include "lib/mlrt/fixed.h"

#define LOG2_E_FINE 1549082005 /* 1 / ln 2 and ln 2, with FIXED_FINE_BITS */
#define LN2_FINE    744261118
#define TERMS       11

int32_t fixed_exp(int32_t x)
{
    /* 1 / k! with FIXED_FINE_BITS, from k = 10 down. */
    static const int32_t terms[TERMS] = {
        296,      2959,      26630,     213044,     1491308,    8947849,
        44739243, 178956971, 536870912, 1073741824, 1073741824,
    };
    int64_t power = ((int64_t)x * LOG2_E_FINE) >> MLRT_FRACTION;
    int64_t n = -(power >> FIXED_FINE_BITS);
    int64_t r = ((power & (FIXED_FINE_ONE - 1)) * LN2_FINE) >> FIXED_FINE_BITS;
    int64_t sum = terms[0];
    for (uint32_t i = 1; i < TERMS; i++) {
        sum = terms[i] + ((sum * r) >> FIXED_FINE_BITS);
    }
    return n > FIXED_FINE_BITS ? 0 : (int32_t)(sum >> n);
}

static uint32_t size_of(int32_t x)
{
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

/* -x * factor, at least the least int32. */
static int32_t minus_times(uint32_t x, uint32_t factor)
{
    return fixed_saturate(-((int64_t)x * factor));
}

int32_t fixed_sigmoid(int32_t x)
{
    int64_t e = fixed_exp(minus_times(size_of(x), 1)), below = FIXED_FINE_ONE + e;
    int32_t right =
        (int32_t)((((int64_t)1 << (FIXED_FINE_BITS + MLRT_FRACTION)) + below / 2) / below);
    return x >= 0 ? right : FIXED_ONE - right;
}

int32_t fixed_tanh(int32_t x)
{
    int64_t e = fixed_exp(minus_times(size_of(x), 2)), below = FIXED_FINE_ONE + e;
    int32_t right = (int32_t)((((FIXED_FINE_ONE - e) << MLRT_FRACTION) + below / 2) / below);
    return x >= 0 ? right : -right;
}
