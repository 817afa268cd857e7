/*
 * expect.c: see tensors.h. Each operation in plain C and double precision, from what was kept before it.
 *
 * Tolerance: a result differs from what is expected by at most 1e-4 of it (or of 1, when it is smaller), 2e-3
 * in LSTM, and 1/128 more when it is BF16; a product's by 1e-6 of the sum of its terms' sizes more. A chain of steps may make small errors large: it is done three
 * times, with each step's result a millionth larger and smaller, and what that makes of the end is allowed, too.
 * Results that are no finite number, and windows of nothing but padding, may be anything.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tensors.h"

#define CLOSE 1e-4

static char complaint[200];

/* Compares an element and puts it back. */
static const char *element_expect(const struct vgpgpu_tensor *tensor, const uint64_t *index, double want,
                                  double allowed)
{
    double got = element_now(tensor, index), size = fabs(want) > 1 ? fabs(want) : 1;
    if (tensor->type == VGPGPU_BF16)
        allowed += 1.0 / 128;
    element_restore(tensor, index);
    if (!isfinite(want) || fabs(want) > 1e30 || !isfinite(allowed) || fabs(got - want) <= allowed * size)
        return NULL;
    snprintf(complaint, sizeof(complaint), "element %llu %llu %llu %llu ...: %g, not %g (within %g)",
             (unsigned long long)index[0], (unsigned long long)index[1], (unsigned long long)index[2],
             (unsigned long long)index[3], got, want, allowed * size);
    return complaint;
}

static bool there(const struct trial *trial, unsigned index)
{
    return index < trial->count && trial->tensors[index].rank;
}

/* ---- Values of one element of the result */

/* Also the sum of the terms' sizes. */
static double gemm_value(const struct trial *trial, const uint64_t *index, double *sizes)
{
    const struct vgpgpu_tensor *a = &trial->tensors[1], *b = &trial->tensors[2];
    const struct vgpgpu_gemm *gemm = (const void *)trial->parameters;
    unsigned row = a->rank - 2u, column = a->rank - 1u;
    uint64_t at_a[VGPGPU_MAX_RANK], at_b[VGPGPU_MAX_RANK];
    double sum = 0, term, former, beta = (double)gemm->beta;
    *sizes = 0;
    memcpy(at_a, index, sizeof(at_a));
    memcpy(at_b, index, sizeof(at_b));
    for (uint64_t k = 0; k < b->dimensions[row]; k++) {
        at_a[column] = at_b[row] = k;
        term = (double)gemm->alpha * element_before(a, at_a) * element_before(b, at_b);
        sum += term;
        *sizes += fabs(term);
    }
    former = beta != 0 ? beta * element_before(&trial->tensors[0], index) : 0;
    *sizes += fabs(former);
    return sum + former;
}

/* The source's place of a window's element; false: it is padding. */
static bool window_at(const struct vgpgpu_window *window, const uint64_t *index, uint64_t y, uint64_t x,
                      const struct vgpgpu_tensor *source, uint64_t *at)
{
    const uint64_t place[2] = {y, x};
    for (unsigned axis = 0; axis < 2; axis++) {
        uint64_t far = index[2 + axis] * window->stride[axis] + place[axis] * window->dilation[axis];
        if (far < window->before[axis] || far - window->before[axis] >= source->dimensions[2 + axis])
            return false;
        at[2 + axis] = far - window->before[axis];
    }
    return true;
}

static double conv2d_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_tensor *source = &trial->tensors[1], *weights = &trial->tensors[2];
    const struct vgpgpu_conv2d *conv = (const void *)trial->parameters;
    const uint64_t *w = weights->dimensions, part = w[0] / conv->groups;
    double sum = there(trial, 3) ? element_before(&trial->tensors[3], &index[1]) : 0;
    for (uint64_t c = 0; c < w[1]; c++)
        for (uint64_t y = 0; y < w[2]; y++)
            for (uint64_t x = 0; x < w[3]; x++) {
                uint64_t at[VGPGPU_MAX_RANK] = {index[0], index[1] / part * w[1] + c};
                const uint64_t weight[VGPGPU_MAX_RANK] = {index[1], c, y, x};
                if (window_at(&conv->window, index, y, x, source, at))
                    sum += element_before(source, at) * element_before(weights, weight);
            }
    return sum;
}

static double pool2d_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_pool2d *pool = (const void *)trial->parameters;
    double sum = 0, most = -INFINITY;
    unsigned count = 0;
    for (uint64_t y = 0; y < pool->size[0]; y++)
        for (uint64_t x = 0; x < pool->size[1]; x++) {
            uint64_t at[VGPGPU_MAX_RANK] = {index[0], index[1]};
            if (!window_at(&pool->window, index, y, x, &trial->tensors[1], at))
                continue;
            double value = element_before(&trial->tensors[1], at);
            most = value > most ? value : most;
            sum += value;
            count++;
        }
    if (!count)
        return NAN;
    return pool->kind == VGPGPU_POOL_MAX    ? most
           : pool->kind == VGPGPU_POOL_MEAN ? sum / count
                                            : sum / ((double)pool->size[0] * pool->size[1]);
}

static double softmax_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_softmax *softmax = (const void *)trial->parameters;
    const struct vgpgpu_tensor *source = &trial->tensors[1];
    uint64_t at[VGPGPU_MAX_RANK];
    double sum = 0;
    memcpy(at, index, sizeof(at));
    for (uint64_t i = 0; i < source->dimensions[softmax->axis]; i++) {
        at[softmax->axis] = i;
        sum += exp(element_before(source, at));
    }
    return exp(element_before(source, index)) / sum;
}

static double reduce_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_reduce *reduce = (const void *)trial->parameters;
    const struct vgpgpu_tensor *source = &trial->tensors[1];
    struct vgpgpu_tensor part = *source; /* of which the steps are over the reduced dimensions */
    uint64_t at[VGPGPU_MAX_RANK] = {0}, all[VGPGPU_MAX_RANK];
    double sum = 0, least = INFINITY, most = -INFINITY, count = 0;
    for (unsigned i = 0; i < source->rank; i++)
        if (source->dimensions[i] == trial->tensors[0].dimensions[i])
            part.dimensions[i] = 1;
    do {
        for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++)
            all[i] = at[i] + index[i];
        double value = element_before(source, all);
        sum += value;
        count++;
        least = value < least ? value : least;
        most = value > most ? value : most;
    } while (index_step(&part, at));
    const double values[] = {0, sum, sum / count, most, least};
    return values[reduce->kind];
}

static double layer_norm_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_tensor *source = &trial->tensors[1];
    const struct vgpgpu_norm *norm = (const void *)trial->parameters;
    unsigned last = source->rank - 1u;
    double sum = 0, squares = 0, length = (double)source->dimensions[last], value;
    uint64_t at[VGPGPU_MAX_RANK];
    memcpy(at, index, sizeof(at));
    for (at[last] = 0; at[last] < source->dimensions[last]; at[last]++)
        sum += element_before(source, at);
    for (at[last] = 0; at[last] < source->dimensions[last]; at[last]++)
        squares += pow(element_before(source, at) - sum / length, 2);
    value = squares + (double)norm->epsilon == 0
                ? NAN
                : (element_before(source, index) - sum / length) / sqrt(squares / length + (double)norm->epsilon);
    if (there(trial, 2))
        value *= element_before(&trial->tensors[2], &index[last]);
    return value + (there(trial, 3) ? element_before(&trial->tensors[3], &index[last]) : 0);
}

static double batch_norm_value(const struct trial *trial, const uint64_t *index)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    const struct vgpgpu_norm *norm = (const void *)trial->parameters;
    double variance = element_before(&tensors[3], &index[1]) + (double)norm->epsilon;
    double value = variance == 0 ? NAN
                                 : (element_before(&tensors[1], index) - element_before(&tensors[2], &index[1])) /
                                       sqrt(variance);
    if (there(trial, 4))
        value *= element_before(&tensors[4], &index[1]);
    return value + (there(trial, 5) ? element_before(&tensors[5], &index[1]) : 0);
}

/* ---- Chains */

/* All steps, each result changed by `off` of it. A number that is none on the way makes the end NAN. */
static double chain_value(const struct trial *trial, const uint64_t *index, double off)
{
    const struct vgpgpu_elementwise *chain = (const void *)trial->parameters;
    const struct vgpgpu_step *steps = (const void *)(chain + 1);
    double x = element_before(&trial->tensors[1], index);
    for (uint32_t i = 0; i < chain->count; i++) {
        if (steps[i].op < VGPGPU_STEP_ADD) {
            x = step_value(&steps[i], x, 0);
        } else {
            const struct vgpgpu_tensor *operand = &trial->tensors[steps[i].operand];
            uint64_t at[VGPGPU_MAX_RANK];
            for (unsigned j = 0; j < VGPGPU_MAX_RANK; j++)
                at[j] = operand->dimensions[j] == 1 ? 0 : index[j];
            x = step_value(&steps[i], x, element_before(operand, at));
        }
        if (!isfinite(x) || fabs(x) > 1e30)
            return NAN;
        x += off * (fabs(x) + 1);
    }
    return x;
}

static const char *elementwise_expect(const struct trial *trial, const uint64_t *index)
{
    double want = chain_value(trial, index, 0), more = chain_value(trial, index, 2e-6),
           less = chain_value(trial, index, -2e-6);
    double spread = fabs(more - want) + fabs(want - less), size = fabs(want) > 1 ? fabs(want) : 1;
    return element_expect(&trial->tensors[0], index, want, CLOSE + 8 * spread / size);
}

static const char *gemm_expect(const struct trial *trial, const uint64_t *index)
{
    double sizes, want = gemm_value(trial, index, &sizes), size = fabs(want) > 1 ? fabs(want) : 1;
    return element_expect(&trial->tensors[0], index, want, CLOSE + 1e-6 * sizes / size);
}

/* ---- LSTM: all at once, because each step needs the one before */

#define MOST_STATE (16u * 17u * 5u)

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gate_value(const struct trial *trial, uint64_t t, uint64_t n, uint64_t row, const double *hidden)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    double sum = element_before(&tensors[6], &row);
    for (uint64_t i = 0; i < tensors[3].dimensions[2]; i++)
        sum += element_before(&tensors[4], (const uint64_t[]){row, i}) *
               element_before(&tensors[3], (const uint64_t[]){t, n, i});
    for (uint64_t i = 0; i < tensors[0].dimensions[2]; i++)
        sum += element_before(&tensors[5], (const uint64_t[]){row, i}) * hidden[i];
    return sum;
}

/* One sequence of the batch. */
static const char *sequence_expect(const struct trial *trial, uint64_t n)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    const struct vgpgpu_lstm *lstm = (const void *)trial->parameters;
    uint64_t steps = tensors[0].dimensions[0], h = tensors[0].dimensions[2];
    double hidden[MOST_STATE] = {0}, cell[MOST_STATE] = {0}, next[MOST_STATE];
    const char *wrong = NULL;
    for (uint64_t i = 0; there(trial, 7) && i < h; i++) {
        hidden[i] = element_before(&tensors[7], (const uint64_t[]){n, i});
        cell[i] = element_before(&tensors[8], (const uint64_t[]){n, i});
    }
    for (uint64_t step = 0; step < steps && !wrong; step++) {
        uint64_t t = lstm->reverse ? steps - 1 - step : step;
        for (uint64_t i = 0; i < h && !wrong; i++) {
            double in = sigmoid(gate_value(trial, t, n, i, hidden)),
                   forget = sigmoid(gate_value(trial, t, n, h + i, hidden)),
                   fresh = tanh(gate_value(trial, t, n, 2 * h + i, hidden)),
                   out = sigmoid(gate_value(trial, t, n, 3 * h + i, hidden));
            cell[i] = forget * cell[i] + in * fresh;
            next[i] = out * tanh(cell[i]);
            wrong = element_expect(&tensors[0], (const uint64_t[]){t, n, i, 0}, next[i], 2e-3);
        }
        memcpy(hidden, next, h * sizeof(*next));
    }
    for (uint64_t i = 0; there(trial, 1) && i < h && !wrong; i++) {
        const uint64_t at[4] = {n, i};
        wrong = element_expect(&tensors[1], at, hidden[i], 2e-3);
        if (!wrong)
            wrong = element_expect(&tensors[2], at, cell[i], 2e-3);
    }
    return wrong;
}

static double (*const values[])(const struct trial *trial, const uint64_t *index) = {
    [VGPGPU_CONV2D] = conv2d_value,
    [VGPGPU_POOL2D] = pool2d_value,
    [VGPGPU_SOFTMAX] = softmax_value,
    [VGPGPU_REDUCE] = reduce_value,
    [VGPGPU_LAYER_NORM] = layer_norm_value,
    [VGPGPU_BATCH_NORM] = batch_norm_value,
};

const char *trial_expect(const struct trial *trial)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    const char *wrong = NULL;
    if (trial->operation == VGPGPU_LSTM) {
        for (uint64_t n = 0; n < trial->tensors[0].dimensions[1] && !wrong; n++)
            wrong = sequence_expect(trial, n);
    } else {
        do
            wrong = trial->operation == VGPGPU_ELEMENTWISE
                        ? elementwise_expect(trial, index)
                    : trial->operation == VGPGPU_GEMM
                        ? gemm_expect(trial, index)
                        : element_expect(&trial->tensors[0], index, values[trial->operation](trial, index), CLOSE);
        while (!wrong && index_step(&trial->tensors[0], index));
    }
    return wrong ? wrong : memory_is_kept() ? NULL : "something was written that is no element of a result";
}
