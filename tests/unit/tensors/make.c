/*
 * make.c: see tensors.h. Shapes that fit each other, at random places of the same few buffers, with any
 * strides; then, often, one thing that does not fit.
 */
#include <stdio.h>
#include <string.h>
#include "tensors.h"

uint16_t trial_operation;
static bool large; /* this trial's shapes are */

static uint64_t size_random(uint32_t most)
{
    if (large && one_in(2))
        return 1 + random_below(most * 5);
    static const uint8_t usual[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65};
    uint64_t size = one_in(3) ? 1 + random_below(6) : usual[random_below(sizeof(usual))];
    return size <= most ? size : 1 + random_below(most);
}

/* ---- Places */

/* Dimensions in any order, each a step over the ones before it and perhaps more. */
static void strides_make(struct vgpgpu_tensor *tensor, bool result)
{
    unsigned order[VGPGPU_MAX_RANK], turns = one_in(2) ? 0 : tensor->rank;
    uint64_t stride = one_in(6) ? 1 + random_below(3) : 1, gaps = random_below(3);
    for (unsigned i = 0; i < tensor->rank; i++)
        order[i] = tensor->rank - 1u - i;
    while (turns--) {
        unsigned a = random_below(tensor->rank), b = random_below(tensor->rank), other = order[a];
        order[a] = order[b];
        order[b] = other;
    }
    for (unsigned i = 0; i < tensor->rank; i++) {
        unsigned at = order[i];
        tensor->strides[at] = stride;
        if (!result && one_in(12))
            continue; /* the next one is no further: elements share places */
        stride *= tensor->dimensions[at];
        if (gaps && one_in(2))
            stride += random_below(gaps == 1 ? 4 : 20);
    }
    for (unsigned i = 0; i < tensor->rank; i++) /* which says nothing */
        if (tensor->dimensions[i] == 1 && one_in(3))
            tensor->strides[i] = 1 + random_below(1u << random_below(24));
}

static uint64_t bytes_of(const struct vgpgpu_tensor *tensor)
{
    uint64_t span = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        span += (tensor->dimensions[i] - 1) * tensor->strides[i];
    return span * element_bytes(tensor->type);
}

/* Whether it lies over a result that is there already. */
static bool is_over(const struct trial *trial, unsigned results, const struct vgpgpu_tensor *tensor)
{
    for (unsigned i = 0; i < results && i < trial->count; i++) {
        const struct vgpgpu_tensor *other = &trial->tensors[i];
        if (other->rank && other->buffer == tensor->buffer &&
            tensor->offset < other->offset + bytes_of(other) &&
            other->offset < tensor->offset + bytes_of(tensor))
            return true;
    }
    return false;
}

static void place_pick(struct vgpgpu_tensor *tensor)
{
    uint64_t bytes = bytes_of(tensor), unit = element_bytes(tensor->type);
    tensor->buffer = 1 + random_below(BUFFERS);
    uint64_t size = buffers[tensor->buffer].size, most = bytes < size ? (size - bytes) / unit : 0;
    tensor->offset = (one_in(3) ? most : one_in(3) ? 0 : random_below((uint32_t)most + 1)) * unit;
}

/* Adds a tensor; `results` tensors of the trial are written. */
static struct vgpgpu_tensor *tensor_add(struct trial *trial, unsigned results, unsigned type, unsigned rank,
                                        const uint64_t *dimensions)
{
    struct vgpgpu_tensor *tensor = &trial->tensors[trial->count];
    *tensor = (struct vgpgpu_tensor){.type = (uint16_t)type, .rank = (uint16_t)rank};
    memcpy(tensor->dimensions, dimensions, rank * sizeof(*dimensions));
    for (unsigned tries = 0; tries < 12; tries++) {
        strides_make(tensor, trial->count < results);
        place_pick(tensor);
        if (tensor->offset + bytes_of(tensor) <= buffers[tensor->buffer].size &&
            !is_over(trial, results, tensor))
            break;
    }
    trial->count++;
    return tensor;
}

static void *parameters_set(struct trial *trial, size_t bytes)
{
    trial->parameter_bytes = (uint32_t)bytes;
    return trial->parameters;
}

/* ---- Each operation */

static unsigned float_random(void)
{
    return one_in(3) ? VGPGPU_BF16 : VGPGPU_F32;
}

static void gemm_make(struct trial *trial)
{
    static const float alphas[] = {1, 1, 0.5f, -2, 0}, betas[] = {0, 0, 1, 0.25f, -1};
    uint64_t m = size_random(65), n = size_random(65), k = size_random(65), batch = 1 + random_below(4);
    const uint64_t c[3] = {batch, m, n}, a[3] = {batch, m, k}, b[3] = {batch, k, n};
    unsigned rank = 2 + random_below(2), kind = random_below(5);
    unsigned type = kind < 2 ? VGPGPU_F32 : kind < 4 ? VGPGPU_BF16 : VGPGPU_S8;
    unsigned out = kind < 2 || kind == 2 ? VGPGPU_F32 : kind == 3 ? VGPGPU_BF16 : VGPGPU_S32;
    struct vgpgpu_gemm *gemm = parameters_set(trial, sizeof(*gemm));
    *gemm = (struct vgpgpu_gemm){.alpha = kind == 4 ? 1 : alphas[random_below(5)],
                                 .beta = kind == 4 ? (float)random_below(2) : betas[random_below(5)]};
    tensor_add(trial, 1, out, rank, c + 3 - rank);
    tensor_add(trial, 1, type, rank, a + 3 - rank);
    tensor_add(trial, 1, type, rank, b + 3 - rank);
}

/* One axis: its window over `in` elements. Returns how many places it has. */
static uint64_t window_make(struct vgpgpu_window *window, unsigned axis, uint64_t size, uint64_t in)
{
    uint64_t dilation = one_in(4) ? 1 + random_below(3) : 1, extent;
    while (((extent = (size - 1) * dilation + 1) > in) && dilation > 1)
        dilation--;
    window->dilation[axis] = (uint32_t)dilation;
    window->stride[axis] = 1 + random_below(one_in(2) ? 4 : 1);
    window->before[axis] = one_in(2) ? random_below((uint32_t)extent) : 0;
    window->after[axis] = one_in(2) ? random_below((uint32_t)extent) : 0;
    uint64_t room = in + window->before[axis] + window->after[axis];
    return extent <= room ? (room - extent) / window->stride[axis] + 1 : 1;
}

static void conv2d_make(struct trial *trial)
{
    uint64_t groups = one_in(3) ? size_random(9) : 1, o = groups * size_random(groups > 1 ? 4 : 17),
             c = groups * size_random(groups > 1 ? 4 : 17), n = 1 + random_below(2);
    const uint64_t h = size_random(17), w = size_random(17), kh = 1 + random_below(h < 5 ? (uint32_t)h : 5),
                   kw = 1 + random_below(w < 5 ? (uint32_t)w : 5);
    struct vgpgpu_conv2d *conv = parameters_set(trial, sizeof(*conv));
    unsigned type = float_random();
    *conv = (struct vgpgpu_conv2d){.groups = (uint32_t)groups};
    uint64_t out_h = window_make(&conv->window, 0, kh, h), out_w = window_make(&conv->window, 1, kw, w);
    tensor_add(trial, 1, type, 4, (const uint64_t[]){n, o, out_h, out_w});
    tensor_add(trial, 1, type, 4, (const uint64_t[]){n, c, h, w});
    tensor_add(trial, 1, type, 4, (const uint64_t[]){o, c / groups, kh, kw});
    if (one_in(2))
        tensor_add(trial, 1, type, 1, &o);
}

static void pool2d_make(struct trial *trial)
{
    const uint64_t n = 1 + random_below(3), c = size_random(33), h = size_random(17), w = size_random(17);
    struct vgpgpu_pool2d *pool = parameters_set(trial, sizeof(*pool));
    *pool = (struct vgpgpu_pool2d){.kind = 1 + random_below(3),
                                   .size = {1 + random_below(h < 5 ? (uint32_t)h : 5),
                                            1 + random_below(w < 5 ? (uint32_t)w : 5)}};
    uint64_t out_h = window_make(&pool->window, 0, pool->size[0], h),
             out_w = window_make(&pool->window, 1, pool->size[1], w);
    tensor_add(trial, 1, VGPGPU_F32, 4, (const uint64_t[]){n, c, out_h, out_w});
    tensor_add(trial, 1, VGPGPU_F32, 4, (const uint64_t[]){n, c, h, w});
}

static unsigned shape_random(unsigned least, unsigned most, uint64_t *dimensions)
{
    unsigned rank = least + random_below(most - least + 1), long_one = random_below(rank);
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++)
        dimensions[i] = i == long_one ? size_random(rank < 4 ? 65 : 33) : 1 + random_below(rank < 3 ? 20 : 4);
    return rank;
}

static void softmax_make(struct trial *trial)
{
    uint64_t dimensions[VGPGPU_MAX_RANK];
    unsigned rank = shape_random(1, 6, dimensions), type = float_random();
    struct vgpgpu_softmax *softmax = parameters_set(trial, sizeof(*softmax));
    *softmax = (struct vgpgpu_softmax){.axis = random_below(rank)};
    tensor_add(trial, 1, type, rank, dimensions);
    tensor_add(trial, 1, type, rank, dimensions);
}

static void reduce_make(struct trial *trial)
{
    uint64_t dimensions[VGPGPU_MAX_RANK], smaller[VGPGPU_MAX_RANK];
    unsigned rank = shape_random(1, 6, dimensions), type = float_random();
    struct vgpgpu_reduce *reduce = parameters_set(trial, sizeof(*reduce));
    *reduce = (struct vgpgpu_reduce){.kind = 1 + random_below(4)};
    for (unsigned i = 0; i < rank; i++)
        smaller[i] = one_in(2) ? 1 : dimensions[i];
    tensor_add(trial, 1, type, rank, smaller);
    tensor_add(trial, 1, type, rank, dimensions);
}

static void vectors_add(struct trial *trial, unsigned count, uint64_t length)
{
    while (count--) {
        struct vgpgpu_tensor *vector = tensor_add(trial, 1, VGPGPU_F32, 1, &length);
        if (!one_in(40)) {
            vector->strides[0] = 1;
            for (unsigned tries = 0; tries < 12; tries++) {
                place_pick(vector);
                trial->count--;
                bool over = is_over(trial, 1, vector);
                trial->count++;
                if (!over)
                    break;
            }
        }
    }
}

static void norm_make(struct trial *trial, bool batch)
{
    static const float epsilons[] = {0.1f, 1e-3f, 1, 0};
    uint64_t dimensions[VGPGPU_MAX_RANK];
    unsigned rank = shape_random(batch ? 2 : 1, 5, dimensions), type = float_random();
    struct vgpgpu_norm *norm = parameters_set(trial, sizeof(*norm));
    *norm = (struct vgpgpu_norm){.epsilon = epsilons[random_below(one_in(8) ? 4 : 3)]};
    tensor_add(trial, 1, type, rank, dimensions);
    tensor_add(trial, 1, type, rank, dimensions);
    vectors_add(trial, (batch ? 2 : 0) + random_below(3), dimensions[batch ? 1 : rank - 1]);
    unsigned scale = batch ? 4 : 2;
    if (trial->count == scale + 2 && one_in(3)) /* the shift alone */
        memset(&trial->tensors[scale], 0, sizeof(trial->tensors[0]));
}

static void layer_norm_make(struct trial *trial)
{
    norm_make(trial, false);
}

static void batch_norm_make(struct trial *trial)
{
    norm_make(trial, true);
}

static void step_make(struct vgpgpu_step *step, unsigned operands)
{
    *step = (struct vgpgpu_step){.op = (uint16_t)(1 + random_below(16))};
    if (operands && one_in(3)) {
        step->op = (uint16_t)(32 + random_below(6));
        step->operand = (uint16_t)(2 + random_below(operands));
    } else if (step->op <= VGPGPU_STEP_SWISH) {
        step->a = (float)random_below(9) / 4 - 1;
        step->b = step->op == VGPGPU_STEP_CLIP ? step->a + 1 : (float)random_below(9) / 4 - 1;
    }
}

static void elementwise_make(struct trial *trial)
{
    uint64_t dimensions[VGPGPU_MAX_RANK], smaller[VGPGPU_MAX_RANK];
    uint32_t count = 1 + random_below(one_in(3) ? VGPGPU_MAX_STEPS : 3), operands = random_below(4);
    struct vgpgpu_elementwise *chain =
        parameters_set(trial, sizeof(*chain) + count * sizeof(struct vgpgpu_step));
    struct vgpgpu_step *steps = (void *)(chain + 1);
    unsigned rank = shape_random(1, 6, dimensions), type = float_random();
    *chain = (struct vgpgpu_elementwise){.count = count};
    for (uint32_t i = 0; i < count; i++)
        step_make(&steps[i], operands);
    tensor_add(trial, 1, type, rank, dimensions);
    if (one_in(3))
        trial->tensors[trial->count++] = trial->tensors[0];
    else
        tensor_add(trial, 1, type, rank, dimensions);
    while (operands--) {
        for (unsigned i = 0; i < rank; i++)
            smaller[i] = one_in(3) ? 1 : dimensions[i];
        tensor_add(trial, 1, type, rank, smaller);
    }
}

static void lstm_make(struct trial *trial)
{
    static const uint8_t ranks[9] = {3, 2, 2, 3, 2, 2, 1, 2, 2};
    uint64_t t = 1 + random_below(4), n = size_random(9), h = size_random(17), i = size_random(17);
    const uint64_t sizes[9][3] = {{t, n, h},  {n, h},  {n, h}, {t, n, i}, {4 * h, i},
                                  {4 * h, h}, {4 * h}, {n, h}, {n, h}};
    struct vgpgpu_lstm *lstm = parameters_set(trial, sizeof(*lstm));
    *lstm = (struct vgpgpu_lstm){.reverse = random_below(2)};
    for (unsigned at = 0; at < (one_in(2) ? 9u : 7u); at++) {
        struct vgpgpu_tensor *tensor = tensor_add(trial, 3, VGPGPU_F32, ranks[at], sizes[at]);
        if ((at == 4 || at == 5) && one_in(2)) { /* in place, by columns */
            tensor->strides[0] = 1;
            tensor->strides[1] = 4 * h;
        }
    }
    if (one_in(3)) /* the last states are not wanted */
        memset(&trial->tensors[1], 0, 2 * sizeof(trial->tensors[0]));
    if (trial->count == 9 && one_in(4))
        memset(&trial->tensors[7], 0, 2 * sizeof(trial->tensors[0]));
}

static void (*const makers[])(struct trial *trial) = {
    [VGPGPU_GEMM] = gemm_make,
    [VGPGPU_CONV2D] = conv2d_make,
    [VGPGPU_POOL2D] = pool2d_make,
    [VGPGPU_SOFTMAX] = softmax_make,
    [VGPGPU_REDUCE] = reduce_make,
    [VGPGPU_LAYER_NORM] = layer_norm_make,
    [VGPGPU_BATCH_NORM] = batch_norm_make,
    [VGPGPU_ELEMENTWISE] = elementwise_make,
    [VGPGPU_LSTM] = lstm_make,
};

/* ---- What does not fit */

static uint64_t number_spoilt(uint64_t number)
{
    switch (random_below(4)) {
    case 0:
        return random_edge();
    case 1:
        return number + random_below(3) - 1;
    case 2:
        return -number; /* backwards, if numbers had a sign */
    default:
        return random_below(8);
    }
}

static void trial_spoil(struct trial *trial)
{
    struct vgpgpu_tensor *tensor = &trial->tensors[random_below(trial->count)];
    unsigned at = random_below(one_in(4) || !tensor->rank || tensor->rank > VGPGPU_MAX_RANK ? VGPGPU_MAX_RANK : tensor->rank);
    uint32_t word;
    switch (random_below(9)) {
    case 0:
        tensor->offset = number_spoilt(tensor->offset);
        break;
    case 1:
        tensor->strides[at] = number_spoilt(tensor->strides[at]);
        break;
    case 2:
        tensor->dimensions[at] = number_spoilt(tensor->dimensions[at]);
        break;
    case 3:
        tensor->rank = (uint16_t)number_spoilt(tensor->rank);
        break;
    case 4:
        tensor->type = (uint16_t)random_below(6);
        break;
    case 5:
        tensor->buffer = random_below(BUFFERS + 2);
        break;
    case 6: /* a result where an input lies */
        tensor->offset = trial->tensors[random_below(trial->count)].offset + (one_in(2) ? 0 : 4);
        tensor->buffer = trial->tensors[random_below(trial->count)].buffer;
        break;
    case 7:
        memcpy(&word, trial->parameters + random_below(trial->parameter_bytes / 4) * 4, 4);
        word = one_in(2) ? (uint32_t)random_edge() : word + random_below(3) - 1;
        memcpy(trial->parameters + random_below(trial->parameter_bytes / 4) * 4, &word, 4);
        break;
    default:
        if (one_in(2))
            trial->parameter_bytes = 8 * random_below(12);
        else if (trial->count > 1)
            trial->count -= 1;
        break;
    }
}

void trial_make(struct trial *trial)
{
    large = one_in(40);
    memory_renew(large);
    *trial = (struct trial){.operation = (uint16_t)(1 + random_below(VGPGPU_LSTM))};
    if (trial_operation && !one_in(16))
        trial->operation = trial_operation;
    makers[trial->operation](trial);
    for (uint32_t spoils = one_in(2) ? 0 : 1 + random_below(2); spoils; spoils--)
        trial_spoil(trial);
}

/* Inputs are small, so that results can be told; variances are not negative. */
static double number_for(const struct trial *trial, unsigned tensor)
{
    double whole = random_below(9);
    if (trial->operation == VGPGPU_BATCH_NORM && tensor == 3)
        return whole / 4;
    if (trial->operation == VGPGPU_LSTM)
        return whole / 8 - 0.5;
    return trial->operation >= VGPGPU_SOFTMAX ? whole / 4 - 1 : whole - 4;
}

void trial_fill(const struct trial *trial)
{
    for (unsigned i = 0; i < trial->count; i++) {
        uint64_t index[VGPGPU_MAX_RANK] = {0};
        const struct vgpgpu_tensor *tensor = &trial->tensors[i];
        do {
            if (tensor->rank) /* else it is left out */
                element_set(tensor, index, number_for(trial, i));
        } while (tensor->rank && index_step(tensor, index));
    }
}

void trial_print(const struct trial *trial)
{
    fprintf(stderr, "operation %u, parameters", trial->operation);
    for (uint32_t i = 0; i < trial->parameter_bytes && i < PARAMETERS; i += 4)
        fprintf(stderr, " %#x", *(const uint32_t *)(const void *)(trial->parameters + i));
    fprintf(stderr, "\n");
    for (unsigned i = 0; i < trial->count; i++) {
        const struct vgpgpu_tensor *tensor = &trial->tensors[i];
        unsigned long long size = tensor->buffer <= BUFFERS ? buffers[tensor->buffer].size : 0;
        fprintf(stderr, "  tensor %u: type %u, buffer %u of %llu, offset %llu:", i, tensor->type, tensor->buffer,
                size, (unsigned long long)tensor->offset);
        for (unsigned j = 0; j < VGPGPU_MAX_RANK; j++)
            if (tensor->dimensions[j] || tensor->strides[j])
                fprintf(stderr, " %llu (%llu)", (unsigned long long)tensor->dimensions[j],
                        (unsigned long long)tensor->strides[j]);
        fprintf(stderr, ", rank %u\n", tensor->rank);
    }
}
