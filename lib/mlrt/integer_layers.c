/*
 * integer_layers.c: the simple layers and the activations of integer models. General registers
 * only.
 */
#include "lib/mlrt/integer.h"

static int8_t int8_of(int32_t x, int32_t mult, uint32_t shift)
{
    int32_t scaled = fixed_scale(x, mult, shift);
    return (int8_t)(scaled > 127 ? 127 : scaled < -127 ? -127 : scaled);
}

void integer_pairs(int32_t *pairs, const int32_t *in, uint32_t inputs, int32_t mult, uint32_t shift)
{
    for (uint32_t i = 0; i < inputs; i += 2) {
        int32_t first = int8_of(in[i], mult, shift);
        int32_t second = i + 1 < inputs ? int8_of(in[i + 1], mult, shift) : 0;
        pairs[i / 2] = (int32_t)((uint32_t)second << 16 | (uint16_t)first);
    }
}

void integer_multiply(const struct integer_ops *ops, const struct integer_matrix *matrix,
                      const int32_t *pairs, int32_t *out)
{
    ops->dense(&matrix->panels, pairs, out);
    for (uint32_t i = 0; i < matrix->panels.panels * MLRT_PANEL; i++) {
        out[i] = fixed_scale((int64_t)out[i] + matrix->bias[i], matrix->mult[i], matrix->shift);
    }
}

static void dense_run(const struct mlrt_job *job)
{
    const uint32_t *params = job->layer->params;
    const struct integer_matrix matrix = {
        .panels = {job_array(job, DENSE_WEIGHTS), mlrt_pairs(job->layer->inputs),
                   mlrt_padded(job->layer->outputs) / MLRT_PANEL},
        .bias = job_array(job, DENSE_BIAS),
        .mult = job_array(job, DENSE_MULT),
        .shift = params[DENSE_OUT_SHIFT],
    };
    for (uint32_t r = 0; r < job->rows; r++) {
        integer_pairs(job->scratch, job_in(job, r), job->layer->inputs,
                      (int32_t)params[DENSE_IN_MULT], params[DENSE_IN_SHIFT]);
        integer_multiply(job->model->ops->integers, &matrix, job->scratch, job_out(job, r));
    }
}

static void scale_run(const struct mlrt_job *job)
{
    const int32_t *offset = job_array(job, SCALE_OFFSET), *factor = job_array(job, SCALE_FACTOR);
    const int32_t *addend = job_array(job, SCALE_ADDEND);
    const uint32_t *shift = job_array(job, SCALE_SHIFT);
    for (uint32_t r = 0; r < job->rows; r++) {
        const int32_t *in = job_in(job, r);
        int32_t *out = job_out(job, r);
        for (uint32_t i = 0; i < job->layer->inputs; i++) {
            int32_t x = fixed_saturate((int64_t)in[i] - offset[i]);
            out[i] = fixed_add(fixed_scale(x, factor[i], shift[i]), addend[i]);
        }
    }
}

static void pair_run(const struct mlrt_job *job)
{
    for (uint32_t r = 0; r < job->rows; r++) {
        int32_t in = job_in(job, r)[0], *out = job_out(job, r);
        out[0] = fixed_saturate((int64_t)FIXED_ONE - in);
        out[1] = in;
    }
}

const mlrt_layer_run mlrt_integer_layers[MLRT_KINDS] = {
    [MLRT_DENSE] = dense_run,         [MLRT_SCALE] = scale_run,   [MLRT_PAIR] = pair_run,
    [MLRT_GRU] = integer_gru,         [MLRT_LSTM] = integer_lstm, [MLRT_FOREST] = integer_forest,
    [MLRT_NEAREST] = integer_nearest,
};

/* Numbers are taken down by the largest first; then exp is at most 1, and the sum at most the
 * width. */
static void softmax(int32_t *x, uint32_t count)
{
    int32_t most = x[mlrt_largest_integer(x, count)];
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        x[i] = fixed_exp(fixed_saturate((int64_t)x[i] - most));
        sum += x[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        x[i] = (int32_t)((((int64_t)x[i] << MLRT_FRACTION) + sum / 2) / sum);
    }
}

static void shares(int32_t *x, uint32_t count)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += x[i] < 0 ? -(int64_t)x[i] : x[i];
    }
    for (uint32_t i = 0; i < count && sum > 0; i++) {
        x[i] = (int32_t)((int64_t)x[i] * FIXED_ONE / sum);
    }
}

static void row_activate(uint32_t activation, int32_t *x, uint32_t count)
{
    switch (activation) {
    case MLRT_SOFTMAX:
        softmax(x, count);
        return;
    case MLRT_SHARES:
        shares(x, count);
        return;
    default:
        break;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (activation == MLRT_RELU) {
            x[i] = x[i] > 0 ? x[i] : 0;
        } else if (activation == MLRT_SIGMOID) {
            x[i] = fixed_sigmoid(x[i]);
        } else {
            x[i] = fixed_tanh(x[i]);
        }
    }
}

void mlrt_integer_activate(const struct mlrt_job *job)
{
    if (job->layer->activation == MLRT_NO_ACTIVATION) {
        return;
    }
    for (uint32_t r = 0; r < job->rows; r++) {
        row_activate(job->layer->activation, job_out(job, r), job->layer->outputs);
    }
}
