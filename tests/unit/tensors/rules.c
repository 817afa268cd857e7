/*
 * rules.c: see tensors.h. Section 9 of docs/virtio-gpgpu.md once more, read from its words and not from
 * gpud's code: what is right here gpud has to do or to say that it cannot; what is not it must refuse.
 */
#include <math.h>
#include <string.h>
#include "tensors.h"

typedef unsigned __int128 wide;

static bool is_there(const struct trial *trial, unsigned index)
{
    static const struct vgpgpu_tensor nothing;
    return index < trial->count && memcmp(&trial->tensors[index], &nothing, sizeof(nothing)) != 0;
}

static wide span_of(const struct vgpgpu_tensor *tensor)
{
    wide span = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        span += (wide)(tensor->dimensions[i] - 1) * tensor->strides[i];
    return span;
}

static bool tensor_is_right(const struct vgpgpu_tensor *tensor)
{
    if (tensor->type < VGPGPU_F32 || tensor->type > VGPGPU_S32 || tensor->rank < 1 ||
        tensor->rank > VGPGPU_MAX_RANK)
        return false;
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++) {
        bool within = i < tensor->rank;
        if ((tensor->dimensions[i] != 0) != within || (tensor->strides[i] != 0) != within)
            return false;
        if (tensor->dimensions[i] > INT32_MAX || tensor->strides[i] > 1ull << 40)
            return false;
    }
    wide bytes = span_of(tensor) * element_bytes(tensor->type);
    return span_of(tensor) <= 1ull << 40 && tensor->buffer >= 1 && tensor->buffer <= BUFFERS &&
           tensor->offset % element_bytes(tensor->type) == 0 &&
           bytes + tensor->offset <= buffers[tensor->buffer].size;
}

static bool overlap(const struct vgpgpu_tensor *a, const struct vgpgpu_tensor *b)
{
    uint64_t a_end = a->offset + (uint64_t)span_of(a) * element_bytes(a->type),
             b_end = b->offset + (uint64_t)span_of(b) * element_bytes(b->type);
    return a->buffer == b->buffer && a->offset < b_end && b->offset < a_end;
}

/* Each stride steps over all that smaller ones reach. */
static bool apart(const struct vgpgpu_tensor *tensor)
{
    for (unsigned i = 0; i < tensor->rank; i++) {
        wide smaller = 1;
        for (unsigned j = 0; j < tensor->rank; j++)
            if (j != i && (tensor->strides[j] < tensor->strides[i] ||
                           (tensor->strides[j] == tensor->strides[i] && j < i)))
                smaller += (wide)(tensor->dimensions[j] - 1) * tensor->strides[j];
        if (tensor->dimensions[i] > 1 && tensor->strides[i] < smaller)
            return false;
    }
    return true;
}

static bool results_are_right(const struct trial *trial, unsigned results, bool in_place)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    for (unsigned i = 0; i < results; i++) {
        if (!is_there(trial, i))
            continue;
        if (!apart(&tensors[i]))
            return false;
        for (unsigned j = i + 1; j < trial->count; j++) {
            bool same = in_place && j == 1 && memcmp(&tensors[0], &tensors[1], sizeof(tensors[0])) == 0;
            if (is_there(trial, j) && !same && overlap(&tensors[i], &tensors[j]))
                return false;
        }
    }
    return true;
}

static bool shape_is(const struct vgpgpu_tensor *tensor, unsigned rank, const uint64_t *sizes)
{
    return tensor->rank == rank && memcmp(tensor->dimensions, sizes, rank * sizeof(*sizes)) == 0;
}

static bool types_are(const struct trial *trial, unsigned first, unsigned end, unsigned type)
{
    for (unsigned i = first; i < end && i < trial->count; i++)
        if (is_there(trial, i) && trial->tensors[i].type != type)
            return false;
    return true;
}

/* F32 or BF16, the same everywhere. */
static bool one_float(const struct trial *trial)
{
    unsigned type = trial->tensors[0].type;
    return (type == VGPGPU_F32 || type == VGPGPU_BF16) && types_are(trial, 0, trial->count, type);
}

/* ---- Each operation */

static bool gemm_is_right(const struct trial *trial)
{
    const struct vgpgpu_tensor *c = &trial->tensors[0], *a = &trial->tensors[1], *b = &trial->tensors[2];
    const struct vgpgpu_gemm *gemm = (const void *)trial->parameters;
    unsigned rank = c->rank, row = rank - 2, column = rank - 1;
    if (rank < 2 || rank > 3 || a->rank != rank || b->rank != rank || a->type != b->type)
        return false;
    if (rank == 3 && (a->dimensions[0] != c->dimensions[0] || b->dimensions[0] != c->dimensions[0]))
        return false;
    if (a->dimensions[row] != c->dimensions[row] || b->dimensions[column] != c->dimensions[column] ||
        a->dimensions[column] != b->dimensions[row])
        return false;
    if (a->type == VGPGPU_S8)
        return c->type == VGPGPU_S32 && gemm->alpha == 1 && (gemm->beta == 0 || gemm->beta == 1);
    return a->type == VGPGPU_F32 ? c->type == VGPGPU_F32
                                 : a->type == VGPGPU_BF16 &&
                                       (c->type == VGPGPU_F32 || c->type == VGPGPU_BF16);
}

/* What one axis of a window has as its result; 0: nothing that is right. */
static uint64_t window_places(const struct vgpgpu_window *window, unsigned axis, uint64_t size, uint64_t in)
{
    uint64_t stride = window->stride[axis], dilation = window->dilation[axis],
             before = window->before[axis], after = window->after[axis],
             extent = (size - 1) * dilation + 1;
    if (!size || size > VGPGPU_MAX_WINDOW || !stride || stride > VGPGPU_MAX_WINDOW || !dilation ||
        dilation > VGPGPU_MAX_WINDOW || before >= extent || after >= extent || extent > in + before + after)
        return 0;
    return (in + before + after - extent) / stride + 1;
}

static bool conv2d_is_right(const struct trial *trial)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    const struct vgpgpu_conv2d *conv = (const void *)trial->parameters;
    const uint64_t *in = tensors[1].dimensions, *weights = tensors[2].dimensions, groups = conv->groups;
    if (tensors[1].rank != 4 || tensors[2].rank != 4 || !groups || conv->reserved || in[1] % groups ||
        weights[0] % groups || in[1] / groups != weights[1])
        return false;
    const uint64_t out[4] = {in[0], weights[0], window_places(&conv->window, 0, weights[2], in[2]),
                             window_places(&conv->window, 1, weights[3], in[3])};
    return out[2] && out[3] && shape_is(&tensors[0], 4, out) &&
           (!is_there(trial, 3) || shape_is(&tensors[3], 1, &weights[0])) && one_float(trial);
}

static bool pool2d_is_right(const struct trial *trial)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    const struct vgpgpu_pool2d *pool = (const void *)trial->parameters;
    const uint64_t *in = tensors[1].dimensions;
    if (tensors[1].rank != 4 || pool->kind < 1 || pool->kind > 3 || pool->reserved)
        return false;
    const uint64_t out[4] = {in[0], in[1], window_places(&pool->window, 0, pool->size[0], in[2]),
                             window_places(&pool->window, 1, pool->size[1], in[3])};
    return out[2] && out[3] && shape_is(&tensors[0], 4, out) && types_are(trial, 0, 2, VGPGPU_F32);
}

static bool same_shapes(const struct trial *trial)
{
    const struct vgpgpu_tensor *source = &trial->tensors[1];
    return shape_is(&trial->tensors[0], source->rank, source->dimensions);
}

static bool softmax_is_right(const struct trial *trial)
{
    const struct vgpgpu_softmax *softmax = (const void *)trial->parameters;
    return same_shapes(trial) && softmax->axis < trial->tensors[0].rank && !softmax->reserved && one_float(trial);
}

static bool reduce_is_right(const struct trial *trial)
{
    const struct vgpgpu_tensor *out = &trial->tensors[0], *in = &trial->tensors[1];
    const struct vgpgpu_reduce *reduce = (const void *)trial->parameters;
    unsigned reduced = 0;
    if (out->rank != in->rank || reduce->kind < 1 || reduce->kind > 4 || reduce->reserved)
        return false;
    for (unsigned i = 0; i < in->rank; i++) {
        reduced += out->dimensions[i] != in->dimensions[i];
        if (out->dimensions[i] != in->dimensions[i] && out->dimensions[i] != 1)
            return false;
    }
    return reduced && one_float(trial);
}

static bool norm_is_right(const struct trial *trial, uint64_t length)
{
    const struct vgpgpu_norm *norm = (const void *)trial->parameters;
    unsigned type = trial->tensors[0].type;
    if (!same_shapes(trial) || trial->tensors[0].rank > 5 || norm->reserved ||
        !(isfinite(norm->epsilon) && norm->epsilon >= 0))
        return false;
    for (unsigned i = 2; i < trial->count; i++)
        if (is_there(trial, i) && (!shape_is(&trial->tensors[i], 1, &length) ||
                                   (length > 1 && trial->tensors[i].strides[0] != 1)))
            return false;
    return (type == VGPGPU_F32 || type == VGPGPU_BF16) && types_are(trial, 0, 2, type) &&
           types_are(trial, 2, trial->count, VGPGPU_F32);
}

static bool layer_norm_is_right(const struct trial *trial)
{
    return norm_is_right(trial, trial->tensors[0].dimensions[trial->tensors[0].rank - 1]);
}

static bool batch_norm_is_right(const struct trial *trial)
{
    return trial->tensors[0].rank >= 2 && norm_is_right(trial, trial->tensors[0].dimensions[1]);
}

static bool step_is_right(const struct trial *trial, const struct vgpgpu_step *step)
{
    if (step->reserved)
        return false;
    if (step->op >= 32 && step->op <= 37)
        return step->operand >= 2 && step->operand < trial->count && step->a == 0 && step->b == 0;
    if (step->op < 1 || step->op > 16 || step->operand || (step->op > 6 && (step->a != 0 || step->b != 0)))
        return false;
    return step->op != VGPGPU_STEP_CLIP || step->a <= step->b;
}

static bool elementwise_is_right(const struct trial *trial)
{
    const struct vgpgpu_elementwise *chain = (const void *)trial->parameters;
    const struct vgpgpu_step *steps = (const void *)(chain + 1);
    if (trial->parameter_bytes < sizeof(*chain) || !chain->count || chain->count > 16 || chain->reserved ||
        trial->parameter_bytes != sizeof(*chain) + chain->count * sizeof(*steps) || !same_shapes(trial))
        return false;
    for (unsigned i = 0; i < chain->count; i++)
        if (!step_is_right(trial, &steps[i]))
            return false;
    for (unsigned i = 2; i < trial->count; i++)
        for (unsigned j = 0; j < VGPGPU_MAX_RANK; j++)
            if (trial->tensors[i].rank != trial->tensors[0].rank ||
                (trial->tensors[i].dimensions[j] != trial->tensors[0].dimensions[j] &&
                 trial->tensors[i].dimensions[j] != 1))
                return false;
    return one_float(trial);
}

static bool lstm_is_right(const struct trial *trial)
{
    const struct vgpgpu_tensor *tensors = trial->tensors;
    const struct vgpgpu_lstm *lstm = (const void *)trial->parameters;
    const uint64_t *result = tensors[0].dimensions, n = result[1], h = result[2], i = tensors[3].dimensions[2];
    const uint64_t state[2] = {n, h}, source[3] = {result[0], n, i}, weights[2] = {4 * h, i},
                   hidden[2] = {4 * h, h};
    if (lstm->reverse > 1 || lstm->reserved || tensors[0].rank != 3 || !shape_is(&tensors[3], 3, source) ||
        !shape_is(&tensors[4], 2, weights) || !shape_is(&tensors[5], 2, hidden) ||
        !shape_is(&tensors[6], 1, &hidden[0]) || is_there(trial, 1) != is_there(trial, 2) ||
        is_there(trial, 7) != is_there(trial, 8))
        return false;
    for (unsigned at = 1; at < 9; at += at == 2 ? 5 : 1)
        if (is_there(trial, at) && !shape_is(&tensors[at], 2, state))
            return false;
    return types_are(trial, 0, 9, VGPGPU_F32);
}

static const struct {
    uint8_t results, least, most;
    uint32_t optional; /* 1 << tensor */
    uint32_t parameter_bytes; /* 0: any */
    bool (*is_right)(const struct trial *trial);
} rules[] = {
    [VGPGPU_GEMM] = {1, 3, 3, 0, sizeof(struct vgpgpu_gemm), gemm_is_right},
    [VGPGPU_CONV2D] = {1, 3, 4, 1 << 3, sizeof(struct vgpgpu_conv2d), conv2d_is_right},
    [VGPGPU_POOL2D] = {1, 2, 2, 0, sizeof(struct vgpgpu_pool2d), pool2d_is_right},
    [VGPGPU_SOFTMAX] = {1, 2, 2, 0, sizeof(struct vgpgpu_softmax), softmax_is_right},
    [VGPGPU_REDUCE] = {1, 2, 2, 0, sizeof(struct vgpgpu_reduce), reduce_is_right},
    [VGPGPU_LAYER_NORM] = {1, 2, 4, 3 << 2, sizeof(struct vgpgpu_norm), layer_norm_is_right},
    [VGPGPU_BATCH_NORM] = {1, 4, 6, 3 << 4, sizeof(struct vgpgpu_norm), batch_norm_is_right},
    [VGPGPU_ELEMENTWISE] = {1, 2, 16, 0, 0, elementwise_is_right},
    [VGPGPU_LSTM] = {3, 7, 9, 3 << 1 | 3 << 7, sizeof(struct vgpgpu_lstm), lstm_is_right},
};

bool trial_is_right(const struct trial *trial)
{
    if (!trial->operation || trial->operation > VGPGPU_LSTM)
        return false;
    unsigned kind = trial->operation;
    if (trial->count < rules[kind].least || trial->count > rules[kind].most ||
        (rules[kind].parameter_bytes && trial->parameter_bytes != rules[kind].parameter_bytes))
        return false;
    for (unsigned i = 0; i < trial->count; i++)
        if (!(rules[kind].optional >> i & 1 && !is_there(trial, i)) && !tensor_is_right(&trial->tensors[i]))
            return false;
    return rules[kind].is_right(trial) &&
           results_are_right(trial, rules[kind].results, kind == VGPGPU_ELEMENTWISE);
}
