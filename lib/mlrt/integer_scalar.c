/*
 * integer_scalar.c: the inner loops of integer models in plain C, with general registers only: they
 * may run in any context of the kernel. Sums of int32 are exact, so every path gives the same.
 */
#include "lib/mlrt/internal.h"

static int32_t pair_first(int32_t pair)
{
    return (int16_t)pair;
}

static int32_t pair_second(int32_t pair)
{
    return pair >> 16;
}

static void dense(const struct integer_panels *matrix, const int32_t *pairs, int32_t *sums)
{
    const int8_t *weights = matrix->weights;
    for (uint32_t panel = 0; panel < matrix->panels; panel++, sums += MLRT_PANEL) {
        for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
            sums[lane] = 0;
        }
        for (uint32_t i = 0; i < matrix->pairs; i++, weights += 2 * MLRT_PANEL) {
            int32_t first = pair_first(pairs[i]), second = pair_second(pairs[i]);
            for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
                sums[lane] += first * weights[2 * lane] + second * weights[2 * lane + 1];
            }
        }
    }
}

static void distances(const struct integer_panels *points, const int32_t *pairs, int32_t *out)
{
    const int8_t *at = points->weights;
    for (uint32_t block = 0; block < points->panels; block++, out += MLRT_PANEL) {
        for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
            out[lane] = 0;
        }
        for (uint32_t i = 0; i < points->pairs; i++, at += 2 * MLRT_PANEL) {
            int32_t first = pair_first(pairs[i]), second = pair_second(pairs[i]);
            for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
                int32_t a = first - at[2 * lane], b = second - at[2 * lane + 1];
                out[lane] += a * a + b * b;
            }
        }
    }
}

const struct integer_ops mlrt_integer_scalar = {.dense = dense, .distances = distances};
