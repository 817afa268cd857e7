/* operation_check.c: see operation_check.h. */
#include "operation_check.h"

#include <string.h>
#include "checked.h"

#define MAX_DIMENSION INT32_MAX
#define MAX_ELEMENTS  (1ull << 40) /* of one tensor, gaps between elements included */

/* What is known of an operation before its shapes are looked at. */
struct rule {
    uint8_t outputs, least_tensors, most_tensors;
    bool in_place;            /* the second tensor may be the first one */
    uint16_t optional;        /* 1 << index of each tensor that may be left out */
    uint32_t parameter_bytes; /* 0: the check looks at them itself */
    uint32_t (*check)(const struct operation_view *view);
};

unsigned type_bytes(unsigned type)
{
    static const uint8_t bytes[] = {
        [VGPGPU_F32] = 4, [VGPGPU_BF16] = 2, [VGPGPU_S8] = 1, [VGPGPU_S32] = 4};
    return type < sizeof(bytes) ? bytes[type] : 0;
}

bool tensor_is_there(const struct vgpgpu_tensor *tensor)
{
    static const struct vgpgpu_tensor left_out;
    return memcmp(tensor, &left_out, sizeof(left_out)) != 0;
}

/* Elements from the first to the last, both included. The sum was checked to fit. */
static uint64_t tensor_span(const struct vgpgpu_tensor *tensor)
{
    uint64_t span = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        span += (tensor->dimensions[i] - 1) * tensor->strides[i];
    return span;
}

uint64_t tensor_bytes(const struct vgpgpu_tensor *tensor)
{
    return tensor_span(tensor) * type_bytes(tensor->type);
}

static uint32_t dimensions_check(const struct vgpgpu_tensor *tensor)
{
    uint64_t span = 1, reach;
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++) {
        uint64_t dimension = tensor->dimensions[i], stride = tensor->strides[i];
        if (i >= tensor->rank) {
            if (dimension || stride)
                return VGPGPU_ERR_INVALID;
            continue;
        }
        if (!dimension || !stride)
            return VGPGPU_ERR_INVALID;
        if (dimension > MAX_DIMENSION || stride > MAX_ELEMENTS ||
            !checked_multiply(dimension - 1, stride, &reach) || !checked_add(span, reach, &span) ||
            span > MAX_ELEMENTS)
            return VGPGPU_ERR_LIMIT;
    }
    return VGPGPU_OK;
}

static uint32_t tensor_check(const struct vgpgpu_tensor *tensor)
{
    if (!type_bytes(tensor->type))
        return VGPGPU_ERR_UNSUPPORTED;
    if (!tensor->rank || tensor->rank > VGPGPU_MAX_RANK)
        return VGPGPU_ERR_INVALID;
    return dimensions_check(tensor);
}

/* Whether no two elements share a place: by growing stride, each steps over all before it. */
static bool elements_are_apart(const struct vgpgpu_tensor *tensor)
{
    unsigned done = 0;
    uint64_t span = 1;
    for (unsigned round = 0; round < tensor->rank; round++) {
        unsigned next = VGPGPU_MAX_RANK;
        for (unsigned i = 0; i < tensor->rank; i++)
            if (!(done & 1u << i) &&
                (next == VGPGPU_MAX_RANK || tensor->strides[i] < tensor->strides[next]))
                next = i;
        done |= 1u << next;
        if (tensor->dimensions[next] == 1)
            continue;
        if (tensor->strides[next] < span)
            return false;
        span += (tensor->dimensions[next] - 1) * tensor->strides[next];
    }
    return true;
}

/* ---- The operations ----------------------------------------------------------------------------
 */

static bool gemm_types_fit(unsigned c, unsigned a)
{
    return a == VGPGPU_F32    ? c == VGPGPU_F32
           : a == VGPGPU_BF16 ? c == VGPGPU_F32 || c == VGPGPU_BF16
                              : a == VGPGPU_S8 && c == VGPGPU_S32;
}

/* [batch,] m x n = m x k times k x n. */
static uint32_t gemm_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *c = &view->tensors[0], *a = &view->tensors[1],
                               *b = &view->tensors[2];
    const struct vgpgpu_gemm *gemm = view->parameters;
    unsigned rank = c->rank;
    if (rank < 2 || rank > 3 || a->rank != rank || b->rank != rank)
        return VGPGPU_ERR_INVALID;
    const uint64_t *m = &c->dimensions[rank - 2], *k = &a->dimensions[rank - 2],
                   *n = &b->dimensions[rank - 2];
    if (m[0] != k[0] || m[1] != n[1] || k[1] != n[0])
        return VGPGPU_ERR_INVALID;
    if (rank == 3 && (a->dimensions[0] != c->dimensions[0] || b->dimensions[0] != c->dimensions[0]))
        return VGPGPU_ERR_INVALID;
    if (a->type != b->type || !gemm_types_fit(c->type, a->type))
        return VGPGPU_ERR_UNSUPPORTED;
    bool exact = gemm->alpha == 1 && (gemm->beta == 0 || gemm->beta == 1);
    return c->type != VGPGPU_S32 || exact ? VGPGPU_OK : VGPGPU_ERR_UNSUPPORTED;
}

bool floats_are(const struct operation_view *view, uint32_t which, unsigned type)
{
    if (type != VGPGPU_F32 && type != VGPGPU_BF16)
        return false;
    for (unsigned i = 0; i < view->tensor_count; i++)
        if ((which >> i & 1) && tensor_is_there(&view->tensors[i]) && view->tensors[i].type != type)
            return false;
    return true;
}

/* Every tensor F32, or every one BF16. */
static uint32_t one_float_type(const struct operation_view *view)
{
    return floats_are(view, UINT32_MAX, view->tensors[0].type) ? VGPGPU_OK
                                                               : VGPGPU_ERR_UNSUPPORTED;
}

/* Along one axis: the window's numbers, and that `out` places for it fit into `in` elements. */
static bool window_fits(const struct vgpgpu_window *window, unsigned axis, uint64_t size,
                        uint64_t in, uint64_t out)
{
    uint64_t stride = window->stride[axis], dilation = window->dilation[axis],
             before = window->before[axis], after = window->after[axis];
    if (!size || size > VGPGPU_MAX_WINDOW || !stride || stride > VGPGPU_MAX_WINDOW || !dilation ||
        dilation > VGPGPU_MAX_WINDOW)
        return false;
    uint64_t extent = (size - 1) * dilation + 1, room = in + before + after;
    return before < extent && after < extent && extent <= room &&
           (room - extent) / stride + 1 == out;
}

/* n x outputs x height x width from n x inputs x height x width, outputs x inputs/groups x size. */
static uint32_t conv2d_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *tensors = view->tensors;
    const struct vgpgpu_conv2d *conv = view->parameters;
    const uint64_t *out = tensors[0].dimensions, *in = tensors[1].dimensions,
                   *weights = tensors[2].dimensions;
    uint64_t groups = conv->groups;
    if (tensors[0].rank != 4 || tensors[1].rank != 4 || tensors[2].rank != 4 || conv->reserved)
        return VGPGPU_ERR_INVALID;
    if (!groups || out[0] != in[0] || out[1] != weights[0] || out[1] % groups || in[1] % groups ||
        in[1] / groups != weights[1])
        return VGPGPU_ERR_INVALID;
    if (view->tensor_count == 4 && tensor_is_there(&tensors[3]) &&
        (tensors[3].rank != 1 || tensors[3].dimensions[0] != out[1]))
        return VGPGPU_ERR_INVALID;
    for (unsigned axis = 0; axis < 2; axis++)
        if (!window_fits(&conv->window, axis, weights[2 + axis], in[2 + axis], out[2 + axis]))
            return VGPGPU_ERR_INVALID;
    return one_float_type(view);
}

static uint32_t pool2d_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *tensors = view->tensors;
    const struct vgpgpu_pool2d *pool = view->parameters;
    const uint64_t *out = tensors[0].dimensions, *in = tensors[1].dimensions;
    if (tensors[0].rank != 4 || tensors[1].rank != 4 || pool->reserved || out[0] != in[0] ||
        out[1] != in[1] || pool->kind < VGPGPU_POOL_MAX || pool->kind > VGPGPU_POOL_MEAN_PADDED)
        return VGPGPU_ERR_INVALID;
    for (unsigned axis = 0; axis < 2; axis++)
        if (!window_fits(&pool->window, axis, pool->size[axis], in[2 + axis], out[2 + axis]))
            return VGPGPU_ERR_INVALID;
    return floats_are(view, UINT32_MAX, VGPGPU_F32) ? VGPGPU_OK : VGPGPU_ERR_UNSUPPORTED;
}

static uint32_t softmax_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *out = &view->tensors[0], *in = &view->tensors[1];
    const struct vgpgpu_softmax *softmax = view->parameters;
    if (out->rank != in->rank || softmax->axis >= out->rank || softmax->reserved ||
        memcmp(out->dimensions, in->dimensions, sizeof(out->dimensions)) != 0)
        return VGPGPU_ERR_INVALID;
    return one_float_type(view);
}

static uint32_t reduce_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *out = &view->tensors[0], *in = &view->tensors[1];
    const struct vgpgpu_reduce *reduce = view->parameters;
    bool smaller = false;
    if (out->rank != in->rank || reduce->reserved || reduce->kind < VGPGPU_REDUCE_SUM ||
        reduce->kind > VGPGPU_REDUCE_MIN)
        return VGPGPU_ERR_INVALID;
    for (unsigned i = 0; i < out->rank; i++) {
        if (out->dimensions[i] != in->dimensions[i] && out->dimensions[i] != 1)
            return VGPGPU_ERR_INVALID;
        smaller |= out->dimensions[i] != in->dimensions[i];
    }
    /* Where there is nothing to reduce, the library does not know how. */
    return smaller ? one_float_type(view) : VGPGPU_ERR_UNSUPPORTED;
}

static const struct rule rules[VGPGPU_OPERATION_ROOM] = {
    [VGPGPU_GEMM] = {1, 3, 3, false, 0, sizeof(struct vgpgpu_gemm), gemm_check},
    [VGPGPU_CONV2D] = {1, 3, 4, false, 1 << 3, sizeof(struct vgpgpu_conv2d), conv2d_check},
    [VGPGPU_POOL2D] = {1, 2, 2, false, 0, sizeof(struct vgpgpu_pool2d), pool2d_check},
    [VGPGPU_SOFTMAX] = {1, 2, 2, false, 0, sizeof(struct vgpgpu_softmax), softmax_check},
    [VGPGPU_REDUCE] = {1, 2, 2, false, 0, sizeof(struct vgpgpu_reduce), reduce_check},
    [VGPGPU_LAYER_NORM] = {1, 2, 4, false, 3 << 2, sizeof(struct vgpgpu_norm), layer_norm_check},
    [VGPGPU_BATCH_NORM] = {1, 4, 6, false, 3 << 4, sizeof(struct vgpgpu_norm), batch_norm_check},
    [VGPGPU_ELEMENTWISE] = {1, 2, VGPGPU_MAX_TENSORS, true, 0, 0, elementwise_check},
    [VGPGPU_LSTM] = {3, 7, 9, false, 3 << 1 | 3 << 7, sizeof(struct vgpgpu_lstm), lstm_check},
};

unsigned operation_outputs(uint32_t operation)
{
    return operation < VGPGPU_OPERATION_ROOM ? rules[operation].outputs : 0;
}

uint32_t operation_check(const struct operation_view *view)
{
    if (!operation_outputs(view->operation))
        return VGPGPU_ERR_UNSUPPORTED;
    const struct rule *rule = &rules[view->operation];
    if (view->tensor_count < rule->least_tensors || view->tensor_count > rule->most_tensors ||
        (rule->parameter_bytes && view->parameter_bytes != rule->parameter_bytes))
        return VGPGPU_ERR_INVALID;
    for (unsigned i = 0; i < view->tensor_count; i++) {
        if ((rule->optional >> i & 1) && !tensor_is_there(&view->tensors[i]))
            continue;
        uint32_t status = tensor_check(&view->tensors[i]);
        if (status)
            return status;
    }
    return rule->check(view);
}

/* Whether an output's bytes are another tensor's too. */
static bool tensors_overlap(const struct vgpgpu_tensor *a, const struct vgpgpu_tensor *b)
{
    return a->buffer == b->buffer && a->offset < b->offset + tensor_bytes(b) &&
           b->offset < a->offset + tensor_bytes(a);
}

uint32_t operation_places_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *tensors = view->tensors;
    const struct rule *rule = &rules[view->operation];
    for (unsigned i = 0; i < rule->outputs; i++) {
        if (!tensor_is_there(&tensors[i]))
            continue;
        if (!elements_are_apart(&tensors[i]))
            return VGPGPU_ERR_INVALID;
        for (unsigned j = i + 1; j < view->tensor_count; j++) {
            bool same = rule->in_place && j == 1 &&
                        memcmp(&tensors[0], &tensors[1], sizeof(tensors[0])) == 0;
            if (!same && tensor_is_there(&tensors[j]) && tensors_overlap(&tensors[i], &tensors[j]))
                return VGPGPU_ERR_INVALID;
        }
    }
    return VGPGPU_OK;
}
