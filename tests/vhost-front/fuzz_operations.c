/*
 * fuzz_operations.c: see fuzz.h. Built-in operations: shapes that fit each other, results in buffer 1 and
 * inputs in the others, and then often one thing that does not fit.
 */
#include <string.h>
#include "fuzz.h"

#define PARAMETER_BYTES 512u

struct operation {
    uint16_t operation, count;
    uint32_t parameter_bytes;
    struct vgpgpu_tensor tensors[VGPGPU_MAX_TENSORS];
    _Alignas(8) uint8_t parameters[PARAMETER_BYTES];
};

static uint64_t size_small(void)
{
    return 1 + random_below(6);
}

/* Adds a dense tensor. */
static void tensor_add(struct operation *operation, uint32_t rank, const uint64_t *dimensions)
{
    struct vgpgpu_tensor *tensor = &operation->tensors[operation->count];
    uint64_t stride = 1;
    *tensor = (struct vgpgpu_tensor){.buffer = operation->count ? (one_in(10) ? 4 : 2) + random_below(2) : 1,
                                     .type = VGPGPU_F32,
                                     .rank = (uint16_t)rank,
                                     .offset = operation->count ? random_below(64) * 4 : 0};
    for (unsigned i = rank; i-- > 0;) {
        tensor->dimensions[i] = dimensions[i];
        tensor->strides[i] = stride;
        stride *= dimensions[i];
    }
    operation->count++;
}

static void *parameters_set(struct operation *operation, size_t bytes)
{
    operation->parameter_bytes = (uint32_t)bytes;
    return operation->parameters;
}

static void gemm_fit(struct operation *operation)
{
    uint64_t m = size_small(), n = size_small(), k = size_small(), batch = size_small();
    uint32_t rank = 2 + random_below(2);
    const uint64_t c[3] = {batch, m, n}, a[3] = {batch, m, k}, b[3] = {batch, k, n};
    tensor_add(operation, rank, c + 3 - rank);
    tensor_add(operation, rank, a + 3 - rank);
    tensor_add(operation, rank, b + 3 - rank);
    struct vgpgpu_gemm *gemm = parameters_set(operation, sizeof(*gemm));
    *gemm = (struct vgpgpu_gemm){.alpha = 1, .beta = (float)random_below(3)};
    if (one_in(4)) { /* whole numbers */
        operation->tensors[0].type = VGPGPU_S32;
        operation->tensors[1].type = operation->tensors[2].type = VGPGPU_S8;
    }
}

static void window_set(struct vgpgpu_window *window, uint64_t size)
{
    *window = (struct vgpgpu_window){.stride = {1, 1}, .dilation = {1, 1}};
    if (size > 1 && one_in(2))
        window->before[0] = window->before[1] = 1;
}

static void conv2d_fit(struct operation *operation)
{
    uint64_t n = size_small(), groups = 1 + random_below(2), o = groups * (1 + random_below(3)),
             c = groups * (1 + random_below(3)), size = 1 + random_below(3), h = size + size_small();
    struct vgpgpu_conv2d *conv = parameters_set(operation, sizeof(*conv));
    *conv = (struct vgpgpu_conv2d){.groups = (uint32_t)groups};
    window_set(&conv->window, size);
    uint64_t out = h + conv->window.before[0] - size + 1;
    tensor_add(operation, 4, (const uint64_t[]){n, o, out, out});
    tensor_add(operation, 4, (const uint64_t[]){n, c, h, h});
    tensor_add(operation, 4, (const uint64_t[]){o, c / groups, size, size});
    if (one_in(2))
        tensor_add(operation, 1, &o);
}

static void pool2d_fit(struct operation *operation)
{
    uint64_t n = size_small(), c = size_small(), size = 1 + random_below(3), h = size + size_small();
    struct vgpgpu_pool2d *pool = parameters_set(operation, sizeof(*pool));
    *pool = (struct vgpgpu_pool2d){.size = {(uint32_t)size, (uint32_t)size},
                                   .kind = 1 + random_below(3)};
    window_set(&pool->window, size);
    uint64_t out = h + pool->window.before[0] - size + 1;
    tensor_add(operation, 4, (const uint64_t[]){n, c, out, out});
    tensor_add(operation, 4, (const uint64_t[]){n, c, h, h});
}

/* Several tensors of the same dimensions; returns the rank. */
static uint32_t same_add(struct operation *operation, unsigned count, uint32_t least, uint32_t most,
                         uint64_t *dimensions)
{
    uint32_t rank = least + random_below(most - least + 1);
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++)
        dimensions[i] = 1 + random_below(4);
    while (count--)
        tensor_add(operation, rank, dimensions);
    return rank;
}

static void softmax_fit(struct operation *operation)
{
    uint64_t dimensions[VGPGPU_MAX_RANK];
    struct vgpgpu_softmax *softmax = parameters_set(operation, sizeof(*softmax));
    softmax->axis = random_below(same_add(operation, 2, 1, 6, dimensions));
}

static void reduce_fit(struct operation *operation)
{
    uint64_t dimensions[VGPGPU_MAX_RANK], smaller[VGPGPU_MAX_RANK];
    struct vgpgpu_reduce *reduce = parameters_set(operation, sizeof(*reduce));
    reduce->kind = 1 + random_below(4);
    uint32_t rank = same_add(operation, 2, 1, 6, dimensions);
    memcpy(smaller, dimensions, sizeof(smaller));
    smaller[random_below(rank)] = 1;
    operation->count = 0;
    tensor_add(operation, rank, smaller);
    tensor_add(operation, rank, dimensions);
}

static void norm_fit(struct operation *operation, unsigned channels, uint32_t rank_least)
{
    uint64_t dimensions[VGPGPU_MAX_RANK];
    struct vgpgpu_norm *norm = parameters_set(operation, sizeof(*norm));
    norm->epsilon = 0.1f;
    uint32_t rank = same_add(operation, 2, rank_least, 5, dimensions);
    uint64_t length = dimensions[rank_least == 2 ? 1 : rank - 1];
    for (unsigned more = channels + random_below(3); more; more--)
        tensor_add(operation, 1, &length);
}

static void layer_norm_fit(struct operation *operation)
{
    norm_fit(operation, 0, 1);
}

static void batch_norm_fit(struct operation *operation)
{
    norm_fit(operation, 2, 2);
}

static void elementwise_fit(struct operation *operation)
{
    uint64_t dimensions[VGPGPU_MAX_RANK];
    uint32_t count = 1 + random_below(VGPGPU_MAX_STEPS);
    struct vgpgpu_elementwise *chain =
        parameters_set(operation, sizeof(*chain) + count * sizeof(struct vgpgpu_step));
    struct vgpgpu_step *steps = (void *)(chain + 1);
    same_add(operation, 4, 1, 6, dimensions);
    *chain = (struct vgpgpu_elementwise){.count = count};
    for (uint32_t i = 0; i < count; i++) {
        bool both = one_in(2);
        steps[i] = (struct vgpgpu_step){
            .op = (uint16_t)(both ? 32 + random_below(6) : 1 + random_below(16)),
            .operand = (uint16_t)(both ? 2 + random_below(2) : 0)};
        if (!both && steps[i].op < 7) {
            steps[i].a = (float)random_below(2);
            steps[i].b = 1;
        }
    }
}

static void lstm_fit(struct operation *operation)
{
    uint64_t batch = 1 + random_below(3), hidden = 1 + random_below(4), steps = 1 + random_below(3);
    const uint64_t sizes[9][3] = {{steps, batch, hidden}, {batch, hidden}, {batch, hidden},
                                  {steps, batch, 3},      {4 * hidden, 3}, {4 * hidden, hidden},
                                  {4 * hidden},           {batch, hidden}, {batch, hidden}};
    static const uint32_t ranks[9] = {3, 2, 2, 3, 2, 2, 1, 2, 2};
    struct vgpgpu_lstm *lstm = parameters_set(operation, sizeof(*lstm));
    lstm->reverse = random_below(2);
    for (unsigned i = 0; i < (one_in(2) ? 9u : 7u); i++)
        tensor_add(operation, ranks[i], sizes[i]);
    operation->tensors[1].buffer = operation->tensors[2].buffer = 1;
    operation->tensors[1].offset = 2048;
    operation->tensors[2].offset = 3072;
    if (one_in(3)) /* the last states are not wanted */
        memset(&operation->tensors[1], 0, 2 * sizeof(operation->tensors[0]));
}

static void (*const fits[])(struct operation *operation) = {
    [VGPGPU_GEMM] = gemm_fit,
    [VGPGPU_CONV2D] = conv2d_fit,
    [VGPGPU_POOL2D] = pool2d_fit,
    [VGPGPU_SOFTMAX] = softmax_fit,
    [VGPGPU_REDUCE] = reduce_fit,
    [VGPGPU_LAYER_NORM] = layer_norm_fit,
    [VGPGPU_BATCH_NORM] = batch_norm_fit,
    [VGPGPU_ELEMENTWISE] = elementwise_fit,
    [VGPGPU_LSTM] = lstm_fit,
};

/* Changes one thing. */
static void operation_spoil(struct operation *operation)
{
    struct vgpgpu_tensor *tensor = &operation->tensors[random_below(operation->count)];
    unsigned at = random_below(VGPGPU_MAX_RANK);
    switch (random_below(14)) {
    case 0:
    case 12:
        tensor->buffer = one_in(4) ? random_id() : 0;
        break;
    case 1:
        tensor->type = (uint16_t)random_or_edge(6);
        break;
    case 2:
        tensor->rank = (uint16_t)random_or_edge(8);
        break;
    case 3:
    case 13:
        tensor->offset = random_edge();
        break;
    case 4:
        tensor->dimensions[at] = one_in(2) ? random_edge() : random_below(5);
        break;
    case 5:
        tensor->strides[at] = one_in(2) ? random_edge() : random_below(50);
        break;
    case 6:
        operation->count = (uint16_t)random_or_edge(VGPGPU_MAX_TENSORS + 1);
        break;
    case 7:
        for (unsigned i = 0; i < operation->count; i++)
            operation->tensors[i].type = VGPGPU_BF16;
        break;
    case 8:
        memset(tensor, 0, sizeof(*tensor));
        break;
    case 9: /* far, but it fits the others */
        tensor->strides[0] = 1ull << random_below(64);
        break;
    case 10:
        bytes_spoil(operation->parameters, operation->parameter_bytes);
        break;
    default:
        operation->parameter_bytes = 8 * random_below(12);
        break;
    }
    if (operation->count > VGPGPU_MAX_TENSORS)
        operation->count = VGPGPU_MAX_TENSORS;
}

/* One thing of all tensors, so that they still fit each other. */
static void operation_stretch(struct operation *operation)
{
    uint64_t edge = random_edge();
    unsigned at = random_below(2), what = random_below(3);
    for (unsigned i = 0; i < operation->count; i++) {
        struct vgpgpu_tensor *tensor = &operation->tensors[i];
        if (what == 0)
            tensor->dimensions[at] = edge;
        else if (what == 1)
            tensor->offset = edge;
        else
            tensor->strides[at] = edge;
    }
}

void operation_make(struct front_batch *batch)
{
    struct operation operation = {
        .operation = (uint16_t)(1 + random_below(sizeof(fits) / sizeof(fits[0]) - 1))};
    fits[operation.operation](&operation);
    for (uint32_t spoils = one_in(2) ? 0 : 1 + random_below(2); spoils && operation.count; spoils--)
        operation_spoil(&operation);
    if (one_in(10))
        operation_stretch(&operation);
    uint16_t name = one_in(60) ? (uint16_t)random_edge() : operation.operation;
    uint32_t start = batch->bytes;
    batch_operation(batch, name, operation.tensors, operation.count, operation.parameters,
                    operation.parameter_bytes);
    if (one_in(12))
        bytes_spoil(batch->commands + start + sizeof(struct vgpgpu_command),
                    batch->bytes - start - sizeof(struct vgpgpu_command));
}
