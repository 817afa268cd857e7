/*
 * float_layers.c: the simple layers and the activations of float models, and conversions between
 * floats and fixed point. Vector registers.
 */
#include "lib/mlrt/internal.h"

static void dense_run(const struct mlrt_job *job)
{
    const struct float_matrix matrix = {
        .weights = job_array(job, DENSE_WEIGHTS),
        .bias = job_array(job, DENSE_BIAS),
        .inputs = job->layer->inputs,
        .panels = mlrt_padded(job->layer->outputs) / MLRT_PANEL,
    };
    job->model->ops->floats->dense(&matrix, (struct float_rows){job->in, job->in_stride}, job->rows,
                                   (struct float_rows_out){job->out, job->out_stride});
}

static void scale_run(const struct mlrt_job *job)
{
    const float *offset = job_array(job, SCALE_OFFSET), *factor = job_array(job, SCALE_FACTOR);
    const float *addend = job_array(job, SCALE_ADDEND);
    for (uint32_t r = 0; r < job->rows; r++) {
        const float *in = (const float *)job->in + r * job->in_stride;
        float *out = (float *)job->out + r * job->out_stride;
        for (uint32_t i = 0; i < job->layer->inputs; i++) {
            out[i] = (in[i] - offset[i]) * factor[i] + addend[i];
        }
    }
}

static void pair_run(const struct mlrt_job *job)
{
    for (uint32_t r = 0; r < job->rows; r++) {
        float in = ((const float *)job->in)[r * job->in_stride];
        float *out = (float *)job->out + r * job->out_stride;
        out[0] = 1.0f - in;
        out[1] = in;
    }
}

const mlrt_layer_run mlrt_float_layers[MLRT_KINDS] = {
    [MLRT_DENSE] = dense_run,       [MLRT_SCALE] = scale_run, [MLRT_PAIR] = pair_run,
    [MLRT_GRU] = float_gru,         [MLRT_LSTM] = float_lstm, [MLRT_FOREST] = float_forest,
    [MLRT_NEAREST] = float_nearest,
};

static void relu(float *x, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        x[i] = x[i] > 0 ? x[i] : 0;
    }
}

/* Numbers are taken down by the largest first, so that none overflows. */
static void softmax(const struct float_ops *ops, float *x, uint32_t count)
{
    float most = x[mlrt_largest(x, count)], sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        x[i] -= most;
    }
    ops->exp(x, mlrt_padded(count));
    for (uint32_t i = 0; i < count; i++) {
        sum += x[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        x[i] /= sum;
    }
}

static void shares(float *x, uint32_t count)
{
    float sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += x[i] < 0 ? -x[i] : x[i];
    }
    for (uint32_t i = 0; i < count && sum > 0; i++) {
        x[i] /= sum;
    }
}

static void row_activate(const struct float_ops *ops, uint32_t activation, float *x, uint32_t count)
{
    switch (activation) {
    case MLRT_RELU:
        relu(x, count);
        break;
    case MLRT_SIGMOID:
        ops->sigmoid(x, mlrt_padded(count));
        break;
    case MLRT_TANH:
        ops->tanh(x, mlrt_padded(count));
        break;
    case MLRT_SOFTMAX:
        softmax(ops, x, count);
        break;
    case MLRT_SHARES:
        shares(x, count);
        break;
    default:
        break;
    }
}

void mlrt_float_activate(const struct mlrt_job *job)
{
    if (job->layer->activation == MLRT_NO_ACTIVATION) {
        return;
    }
    for (uint32_t r = 0; r < job->rows; r++) {
        row_activate(job->model->ops->floats, job->layer->activation,
                     (float *)job->out + r * job->out_stride, job->layer->outputs);
    }
}

/* 2^exponent, exponents from -126 to 127. */
static float power_of_two(int32_t exponent)
{
    uint32_t number = (uint32_t)(exponent + 127) << 23;
    return *(const float *)&number;
}

static int32_t round_down(float x)
{
    int32_t whole;
    __asm__("cvttss2si %1, %0" : "=r"(whole) : "x"(x));
    return whole - ((float)whole > x);
}

/* Rounds down, as thresholds of trees are, so that x <= threshold stays so; NaN becomes 0. */
void cells_from_floats(int32_t *out, const float *in, size_t count, uint32_t fraction)
{
    float scale = power_of_two((int32_t)fraction);
    for (size_t i = 0; i < count; i++) {
        float x = in[i] * scale;
        if (x >= 2147483648.0f) {
            out[i] = INT32_MAX;
        } else if (x < -2147483520.0f) {
            out[i] = INT32_MIN;
        } else if (x != x) {
            out[i] = 0;
        } else {
            out[i] = round_down(x);
        }
    }
}

void cells_to_floats(float *out, const int32_t *in, size_t count, uint32_t fraction)
{
    float scale = power_of_two(-(int32_t)fraction);
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)in[i] * scale;
    }
}
