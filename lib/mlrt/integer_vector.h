/*
 * integer_vector.h: the inner loops of integer models on vectors, for the file of each path to
 * include. The file defines LANES, the int32 of a vector; the types vec and halves of its int32 and
 * int16; halves_load(), which widens as many int8; MULTIPLY_PAIRS (products of int16, added by
 * pairs); and OPS, the table's name. A panel's 8 outputs are one vector or two.
 */
#define PER_PANEL   (MLRT_PANEL / LANES)
#define PANELS_MOST 4
#define PANEL_BYTES (2 * MLRT_PANEL)

typedef int32_t vec_anywhere __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* `panels` is a constant where this is called, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void panels_dense(const int8_t *weights,
                                                               uint32_t pairs, uint32_t panels,
                                                               const int32_t *in, int32_t *out)
{
    vec sums[PANELS_MOST][PER_PANEL];
#pragma GCC unroll 4
    for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
        for (uint32_t v = 0; v < PER_PANEL; v++) {
            sums[p][v] = (vec){0};
        }
    }
    for (uint32_t i = 0; i < pairs; i++) {
        halves x = (halves)(in[i] + (vec){0});
#pragma GCC unroll 4
        for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                const int8_t *at = weights + ((size_t)p * pairs + i) * PANEL_BYTES + v * 2 * LANES;
                sums[p][v] += (vec)MULTIPLY_PAIRS(halves_load(at), x);
            }
        }
    }
#pragma GCC unroll 4
    for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
        for (uint32_t v = 0; v < PER_PANEL; v++) {
            *(vec_anywhere *)(out + p * MLRT_PANEL + v * LANES) = sums[p][v];
        }
    }
}

static void dense(const struct integer_panels *matrix, const int32_t *pairs, int32_t *sums)
{
    const size_t panel_bytes = (size_t)matrix->pairs * PANEL_BYTES;
    uint32_t panel = 0;
    for (; panel + 4 <= matrix->panels; panel += 4) {
        panels_dense(matrix->weights + panel * panel_bytes, matrix->pairs, 4, pairs,
                     sums + panel * MLRT_PANEL);
    }
    for (; panel < matrix->panels; panel++) {
        panels_dense(matrix->weights + panel * panel_bytes, matrix->pairs, 1, pairs,
                     sums + panel * MLRT_PANEL);
    }
}

static void distances(const struct integer_panels *points, const int32_t *pairs, int32_t *out)
{
    const int8_t *at = points->weights;
    for (uint32_t block = 0; block < points->panels; block++) {
        vec sums[PER_PANEL] = {0};
        for (uint32_t i = 0; i < points->pairs; i++, at += PANEL_BYTES) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                halves x = (halves)(pairs[i] + (vec){0});
                halves difference = x - halves_load(at + v * 2 * LANES);
                sums[v] += (vec)MULTIPLY_PAIRS(difference, difference);
            }
        }
#pragma GCC unroll 4
        for (uint32_t v = 0; v < PER_PANEL; v++) {
            *(vec_anywhere *)(out + block * MLRT_PANEL + v * LANES) = sums[v];
        }
    }
}

const struct integer_ops OPS = {.dense = dense, .distances = distances};
