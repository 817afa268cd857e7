/*
 * float_vector.h: the inner loops on vectors of LANES floats, for the file of each path to include.
 * The file defines LANES, VECTOR_MAX and VECTOR_MIN (of two vectors; the second where one is NaN),
 * ROW_PANELS (panels that one step takes of several rows at once) and OPS, the table's name.
 *
 * Sums run over the inputs in order, each output in its own lane; there is no fused multiply-add.
 * So every number is the one that float_scalar.c gives.
 */
#include "lib/mlrt/float_math.h"
#include "lib/mlrt/internal.h"

#define PER_PANEL   (MLRT_PANEL / LANES)
#define ROWS_MOST   4
#define PANELS_MOST 4

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_anywhere __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(LANES * 4)));

static inline vec vec_load(const float *from)
{
    return *(const vec_anywhere *)from;
}

static inline void vec_store(float *to, vec v)
{
    *(vec_anywhere *)to = v;
}

static inline vec vec_all(float x)
{
    return x - (vec){0};
}

/* `rows` rows times `panels` panels, both constants where this is called, so that the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void block_dense(const struct float_matrix *matrix,
                                                              uint32_t panel, uint32_t panels,
                                                              struct float_rows in, uint32_t rows,
                                                              struct float_rows_out out)
{
    const size_t panel_floats = (size_t)matrix->inputs * MLRT_PANEL;
    const float *weights = matrix->weights + panel * panel_floats;
    vec sums[ROWS_MOST][PANELS_MOST][PER_PANEL];
#pragma GCC unroll 4
    for (uint32_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                sums[r][p][v] = vec_load(matrix->bias + (panel + p) * MLRT_PANEL + v * LANES);
            }
        }
    }
    for (uint32_t i = 0; i < matrix->inputs; i++) {
#pragma GCC unroll 4
        for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                vec w = vec_load(weights + p * panel_floats + i * MLRT_PANEL + v * LANES);
#pragma GCC unroll 4
                for (uint32_t r = 0; r < rows; r++) {
                    sums[r][p][v] += vec_all(in.cells[r * in.stride + i]) * w;
                }
            }
        }
    }
#pragma GCC unroll 4
    for (uint32_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (uint32_t p = 0; p < panels; p++) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                vec_store(out.cells + r * out.stride + (panel + p) * MLRT_PANEL + v * LANES,
                          sums[r][p][v]);
            }
        }
    }
}

static void row_dense(const struct float_matrix *matrix, struct float_rows in,
                      struct float_rows_out out)
{
    uint32_t panel = 0;
    for (; panel + 4 <= matrix->panels; panel += 4) {
        block_dense(matrix, panel, 4, in, 1, out);
    }
    for (; panel + 2 <= matrix->panels; panel += 2) {
        block_dense(matrix, panel, 2, in, 1, out);
    }
    if (panel < matrix->panels) {
        block_dense(matrix, panel, 1, in, 1, out);
    }
}

static void rows_dense(const struct float_matrix *matrix, struct float_rows in,
                       struct float_rows_out out)
{
    uint32_t panel = 0;
    for (; panel + ROW_PANELS <= matrix->panels; panel += ROW_PANELS) {
        block_dense(matrix, panel, ROW_PANELS, in, ROWS_MOST, out);
    }
    for (; panel < matrix->panels; panel++) {
        block_dense(matrix, panel, 1, in, ROWS_MOST, out);
    }
}

static void dense(const struct float_matrix *matrix, struct float_rows in, uint32_t rows,
                  struct float_rows_out out)
{
    while (rows > 0) {
        uint32_t taken = rows >= ROWS_MOST ? ROWS_MOST : 1;
        if (taken == ROWS_MOST) {
            rows_dense(matrix, in, out);
        } else {
            row_dense(matrix, in, out);
        }
        in.cells += taken * in.stride;
        out.cells += taken * out.stride;
        rows -= taken;
    }
}

static inline vec exp_vec(vec x)
{
    x = VECTOR_MAX(x, vec_all(EXP_LEAST));
    x = VECTOR_MIN(x, vec_all(EXP_MOST));
    vec whole = x * EXP_LOG2_E + EXP_ROUND;
    vec n = whole - EXP_ROUND;
    vec r = x - n * EXP_LN2_HIGH;
    r = r - n * EXP_LN2_LOW;
    vec power = vec_all(exp_terms[0]);
#pragma GCC unroll 8
    for (uint32_t i = 1; i < EXP_TERMS; i++) {
        power = power * r + exp_terms[i];
    }
    return (vec)((bits)power + ((bits)whole << 23));
}

static void exp_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        vec_store(x + i, exp_vec(vec_load(x + i)));
    }
}

static void sigmoid_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        vec_store(x + i, 1.0f / (1.0f + exp_vec(0.0f - vec_load(x + i))));
    }
}

static void tanh_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        vec v = vec_load(x + i);
        vec_store(x + i, 1.0f - 2.0f / (1.0f + exp_vec(v + v)));
    }
}

static void distances(const float *points, uint32_t inputs, uint32_t blocks, const float *in,
                      float *out)
{
    for (uint32_t block = 0; block < blocks; block++) {
        vec sums[PER_PANEL] = {0};
        for (uint32_t i = 0; i < inputs; i++, points += MLRT_PANEL) {
#pragma GCC unroll 4
            for (uint32_t v = 0; v < PER_PANEL; v++) {
                vec difference = vec_all(in[i]) - vec_load(points + v * LANES);
                sums[v] += difference * difference;
            }
        }
#pragma GCC unroll 4
        for (uint32_t v = 0; v < PER_PANEL; v++) {
            vec_store(out + block * MLRT_PANEL + v * LANES, sums[v]);
        }
    }
}

const struct float_ops OPS = {
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .exp = exp_all,
    .distances = distances,
};
