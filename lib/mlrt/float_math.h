/*
 * float_math.h: the constants of exp, which all paths share, so that they give the same bits.
 *
 * exp(x) = 2^n * exp(r), n the whole number nearest to x / ln 2, r = x - n ln 2 in -0.3466..0.3466,
 * ln 2 in two parts (Cody and Waite, 1980), exp(r) by Taylor's series up to r^7: what is left out
 * is below 0.3466^8 / 8! = 5.2e-9 of the value, less than a tenth of a float's last place.
 */
#pragma once

#define EXP_LEAST    (-87.0f)
#define EXP_MOST     88.0f
#define EXP_LOG2_E   1.44269504f
#define EXP_LN2_HIGH 0.693359375f /* 355 / 512: products with whole numbers up to 2^15 are exact   \
                                   */
#define EXP_LN2_LOW (-2.12194440e-4f)
#define EXP_ROUND   12582912.0f /* 1.5 * 2^23: adding it rounds to a whole number in the lower bits \
                                 */

#define EXP_TERMS 8
static const float exp_terms[EXP_TERMS] = {
    1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f,
};
