/*
 * operation_rules.c: the checks of normalisation, elementwise chains and LSTM. Each tensor was
 * looked at on its own before; here is what they must be to each other.
 */
#include "operation_check.h"

#include <string.h>

#define LIBRARY_RANK 5u /* more dimensions than these no library normalises */

static bool same_shape(const struct vgpgpu_tensor *a, const struct vgpgpu_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dimensions, b->dimensions, sizeof(a->dimensions)) == 0;
}

/* A tensor that may be left out, or not be counted: NULL then. */
static const struct vgpgpu_tensor *tensor_at(const struct operation_view *view, unsigned index)
{
    bool there = index < view->tensor_count && tensor_is_there(&view->tensors[index]);
    return there ? &view->tensors[index] : NULL;
}

static bool is_shape(const struct vgpgpu_tensor *tensor, unsigned rank, uint64_t first,
                     uint64_t second)
{
    return tensor->rank == rank && tensor->dimensions[0] == first &&
           (rank < 2 || tensor->dimensions[1] == second);
}

static bool is_vector(const struct vgpgpu_tensor *tensor, uint64_t length)
{
    return is_shape(tensor, 1, length, 0);
}

/* ---- Normalisation -----------------------------------------------------------------------------
 */

/* Result and source, then F32 vectors of `length` elements side by side. */
static uint32_t norm_check(const struct operation_view *view, uint64_t length)
{
    const struct vgpgpu_norm *norm = view->parameters;
    const struct vgpgpu_tensor *tensors = view->tensors;
    bool side_by_side = true;
    if (norm->reserved || !(norm->epsilon >= 0 && norm->epsilon < __builtin_inff()) ||
        !same_shape(&tensors[0], &tensors[1]))
        return VGPGPU_ERR_INVALID;
    for (unsigned i = 2; i < view->tensor_count; i++) {
        if (!tensor_is_there(&tensors[i]))
            continue;
        if (!is_vector(&tensors[i], length))
            return VGPGPU_ERR_INVALID;
        side_by_side &= length == 1 || tensors[i].strides[0] == 1;
    }
    return side_by_side && floats_are(view, 3, tensors[0].type) && floats_are(view, ~3u, VGPGPU_F32)
               ? VGPGPU_OK
               : VGPGPU_ERR_UNSUPPORTED;
}

uint32_t layer_norm_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *result = &view->tensors[0];
    uint32_t status = norm_check(view, result->dimensions[result->rank - 1u]);
    return !status && result->rank > LIBRARY_RANK ? VGPGPU_ERR_UNSUPPORTED : status;
}

uint32_t batch_norm_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *result = &view->tensors[0];
    if (result->rank < 2)
        return VGPGPU_ERR_INVALID;
    uint32_t status = norm_check(view, result->dimensions[1]);
    return !status && result->rank > LIBRARY_RANK ? VGPGPU_ERR_UNSUPPORTED : status;
}

/* ---- Elementwise chains ------------------------------------------------------------------------
 */

static uint32_t step_check(const struct operation_view *view, const struct vgpgpu_step *step)
{
    bool numbered = step->op >= VGPGPU_STEP_RELU && step->op <= VGPGPU_STEP_SWISH,
         plain = step->op >= VGPGPU_STEP_SIGMOID && step->op <= VGPGPU_STEP_GELU_TANH,
         two = step->op >= VGPGPU_STEP_ADD && step->op <= VGPGPU_STEP_MIN;
    if (!numbered && !plain && !two)
        return VGPGPU_ERR_UNSUPPORTED;
    if (step->reserved || (!numbered && (step->a != 0 || step->b != 0)) ||
        (two ? step->operand < 2 || step->operand >= view->tensor_count : step->operand != 0))
        return VGPGPU_ERR_INVALID;
    return step->op == VGPGPU_STEP_CLIP && !(step->a <= step->b) ? VGPGPU_ERR_INVALID : VGPGPU_OK;
}

/* Each dimension of an operand is the result's, or 1: the same element for all along it. */
static bool operand_fits(const struct vgpgpu_tensor *operand, const struct vgpgpu_tensor *result)
{
    if (operand->rank != result->rank)
        return false;
    for (unsigned i = 0; i < operand->rank; i++)
        if (operand->dimensions[i] != result->dimensions[i] && operand->dimensions[i] != 1)
            return false;
    return true;
}

uint32_t elementwise_check(const struct operation_view *view)
{
    const struct vgpgpu_elementwise *chain = view->parameters;
    const struct vgpgpu_step *steps = (const void *)(chain + 1);
    if (view->parameter_bytes < sizeof(*chain) || chain->reserved || !chain->count ||
        chain->count > VGPGPU_MAX_STEPS ||
        view->parameter_bytes != sizeof(*chain) + chain->count * sizeof(*steps))
        return VGPGPU_ERR_INVALID;
    if (!same_shape(&view->tensors[0], &view->tensors[1]))
        return VGPGPU_ERR_INVALID;
    for (unsigned i = 2; i < view->tensor_count; i++)
        if (!operand_fits(&view->tensors[i], &view->tensors[0]))
            return VGPGPU_ERR_INVALID;
    for (unsigned i = 0; i < chain->count; i++) {
        uint32_t status = step_check(view, &steps[i]);
        if (status)
            return status;
    }
    return floats_are(view, UINT32_MAX, view->tensors[0].type) ? VGPGPU_OK : VGPGPU_ERR_UNSUPPORTED;
}

/* ---- LSTM --------------------------------------------------------------------------------------
 */

/* Both there and steps x ... as the state is, or neither. */
static bool pair_fits(const struct operation_view *view, unsigned first, uint64_t batch,
                      uint64_t hidden)
{
    const struct vgpgpu_tensor *a = tensor_at(view, first), *b = tensor_at(view, first + 1);
    return (!a && !b) || (a && b && is_shape(a, 2, batch, hidden) && is_shape(b, 2, batch, hidden));
}

uint32_t lstm_check(const struct operation_view *view)
{
    const struct vgpgpu_tensor *result = &view->tensors[0], *source = &view->tensors[3];
    const struct vgpgpu_lstm *lstm = view->parameters;
    uint64_t batch = result->dimensions[1], hidden = result->dimensions[2];
    if (lstm->reserved || lstm->reverse > 1 || result->rank != 3 || source->rank != 3 ||
        source->dimensions[0] != result->dimensions[0] || source->dimensions[1] != batch)
        return VGPGPU_ERR_INVALID;
    if (!is_shape(&view->tensors[4], 2, 4 * hidden, source->dimensions[2]) ||
        !is_shape(&view->tensors[5], 2, 4 * hidden, hidden) ||
        !is_vector(&view->tensors[6], 4 * hidden) || !pair_fits(view, 1, batch, hidden) ||
        !pair_fits(view, 7, batch, hidden))
        return VGPGPU_ERR_INVALID;
    return floats_are(view, UINT32_MAX, VGPGPU_F32) ? VGPGPU_OK : VGPGPU_ERR_UNSUPPORTED;
}
