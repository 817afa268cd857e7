/*
 * fixed.h: functions on fixed-point numbers of MLRT_FRACTION (16) fraction bits, exact to the bit
 * everywhere. General registers only, any context.
 */
#pragma once

#include <stdint.h>

#include "lib/mlrt/format.h"

#define FIXED_ONE       (1 << MLRT_FRACTION)
#define FIXED_FINE_BITS 30
#define FIXED_FINE_ONE  (1 << FIXED_FINE_BITS)

static inline int32_t fixed_saturate(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* x / 2^shift to the nearest, halves up; shift is at most MLRT_SHIFT_MAX, |x| at most 2^62. */
static inline int64_t fixed_shift(int64_t x, uint32_t shift)
{
    return shift == 0 ? x : (x + ((int64_t)1 << (shift - 1))) >> shift;
}

/* x * mult / 2^shift, saturated. |x| is below 2^32. */
static inline int32_t fixed_scale(int64_t x, int32_t mult, uint32_t shift)
{
    return fixed_saturate(fixed_shift(x * mult, shift));
}

static inline int32_t fixed_multiply(int32_t a, int32_t b)
{
    return fixed_saturate(fixed_shift((int64_t)a * b, MLRT_FRACTION));
}

static inline int32_t fixed_add(int32_t a, int32_t b)
{
    return fixed_saturate((int64_t)a + b);
}

/* exp(x) of x <= 0, with FIXED_FINE_BITS fraction bits. Largest error 4e-9. */
int32_t fixed_exp(int32_t x);

/* Largest error of both: 1 / 2^16, one last place. */
int32_t fixed_sigmoid(int32_t x);
int32_t fixed_tanh(int32_t x);
