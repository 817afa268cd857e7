/*
 * float_scalar.c: the inner loops in plain C, one number at a time. The other paths do the same
 * operations in the same order, so they are measured against these.
 */
#include "lib/mlrt/float_math.h"
#include "lib/mlrt/internal.h"

static void row_dense(const struct float_matrix *matrix, const float *in, float *out)
{
    for (uint32_t panel = 0; panel < matrix->panels; panel++) {
        const float *weights = matrix->weights + (size_t)panel * matrix->inputs * MLRT_PANEL;
        for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
            float sum = matrix->bias[panel * MLRT_PANEL + lane];
            for (uint32_t i = 0; i < matrix->inputs; i++) {
                sum += in[i] * weights[i * MLRT_PANEL + lane];
            }
            out[panel * MLRT_PANEL + lane] = sum;
        }
    }
}

static void dense(const struct float_matrix *matrix, struct float_rows in, uint32_t rows,
                  struct float_rows_out out)
{
    for (uint32_t i = 0; i < rows; i++) {
        row_dense(matrix, in.cells + i * in.stride, out.cells + i * out.stride);
    }
}

static float exp_one(float x)
{
    union {
        float value;
        uint32_t bits;
    } whole, power;
    x = x > EXP_LEAST ? x : EXP_LEAST;
    x = x < EXP_MOST ? x : EXP_MOST;
    whole.value = x * EXP_LOG2_E + EXP_ROUND;
    float n = whole.value - EXP_ROUND;
    float r = x - n * EXP_LN2_HIGH;
    r = r - n * EXP_LN2_LOW;
    power.value = exp_terms[0];
    for (uint32_t i = 1; i < EXP_TERMS; i++) {
        power.value = power.value * r + exp_terms[i];
    }
    power.bits += whole.bits << 23; /* the upper bits of `whole` fall out */
    return power.value;
}

static void exp_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x[i] = exp_one(x[i]);
    }
}

static void sigmoid_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x[i] = 1.0f / (1.0f + exp_one(0.0f - x[i]));
    }
}

static void tanh_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x[i] = 1.0f - 2.0f / (1.0f + exp_one(x[i] + x[i]));
    }
}

static void distances(const float *points, uint32_t inputs, uint32_t blocks, const float *in,
                      float *out)
{
    for (uint32_t at = 0; at < blocks * MLRT_PANEL; at++) {
        const float *point =
            points + (size_t)(at / MLRT_PANEL) * inputs * MLRT_PANEL + at % MLRT_PANEL;
        float sum = 0;
        for (uint32_t i = 0; i < inputs; i++) {
            float difference = in[i] - point[i * MLRT_PANEL];
            sum += difference * difference;
        }
        out[at] = sum;
    }
}

const struct float_ops mlrt_float_scalar = {
    .dense = dense,
    .sigmoid = sigmoid_all,
    .tanh = tanh_all,
    .exp = exp_all,
    .distances = distances,
};
