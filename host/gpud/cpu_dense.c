/*
 * cpu_dense.c: operations on dense copies. A tensor that is dense already is used where it lies; of
 * any other a plan has a copy behind its scratchpad, filled before and, for a result, read after.
 */
#include "checked.h"
#include "cpu_plan.h"
#include "operation_check.h"

#define COPY_ALIGN 64u
#define MAX_COPIES (256u << 20) /* bytes that one plan copies */

/* The library has an LSTM's weights by columns. */
static bool lies_by_columns(const struct device_operation *operation, unsigned index)
{
    return operation->operation == VGPGPU_LSTM && (index == 4 || index == 5);
}

/* The n-th dimension from the one whose elements are neighbours on. */
static unsigned dimension_at(const struct vgpgpu_tensor *tensor, unsigned n, bool columns)
{
    return columns ? n : tensor->rank - 1u - n;
}

/* The same elements side by side, and how many there are. False: not even countable. */
static bool dense_make(const struct vgpgpu_tensor *tensor, bool columns,
                       struct vgpgpu_tensor *dense, uint64_t *count)
{
    *count = 1;
    *dense = *tensor;
    for (unsigned n = 0; n < tensor->rank; n++) {
        unsigned i = dimension_at(tensor, n, columns);
        dense->strides[i] = *count;
        if (!checked_multiply(*count, tensor->dimensions[i], count))
            return false;
    }
    return true;
}

/* Whether the elements lie so; the stride of a dimension of 1 does not matter. */
static bool is_same(const struct vgpgpu_tensor *tensor, const struct vgpgpu_tensor *dense)
{
    for (unsigned i = 0; i < tensor->rank; i++)
        if (tensor->dimensions[i] != 1 && tensor->strides[i] != dense->strides[i])
            return false;
    return true;
}

/* The library has not all elementwise steps on BF16; and a chain rounds once at its end so. */
static bool is_widened(const struct device_operation *operation, const struct vgpgpu_tensor *tensor)
{
    return operation->operation == VGPGPU_ELEMENTWISE && tensor->type == VGPGPU_BF16;
}

/* Fills `dense` and plans copies; *moved has 1 << index for each. */
static uint32_t copies_plan(struct cpu_plan *plan, const struct device_operation *operation,
                            struct vgpgpu_tensor *dense, uint32_t *moved)
{
    *moved = 0;
    for (unsigned i = 0; i < operation->tensor_count; i++) {
        const struct vgpgpu_tensor *tensor = &operation->tensors[i];
        uint64_t count;
        if (!dense_make(tensor, lies_by_columns(operation, i), &dense[i], &count))
            return VGPGPU_ERR_NO_MEMORY;
        bool widened = is_widened(operation, tensor);
        if (widened)
            dense[i].type = VGPGPU_F32;
        else if (is_same(tensor, &dense[i]))
            continue;
        if (count > MAX_COPIES)
            return VGPGPU_ERR_NO_MEMORY;
        uint64_t bytes = align_up(count * type_bytes(dense[i].type), COPY_ALIGN);
        if (bytes > MAX_COPIES - plan->copy_bytes)
            return VGPGPU_ERR_NO_MEMORY;
        plan->copies[i] = plan->copy_bytes;
        plan->copy_bytes += bytes;
        *moved |= 1u << i;
    }
    return VGPGPU_OK;
}

static uint32_t copy_add(struct cpu_plan *plan, const struct vgpgpu_tensor *tensor,
                         const struct vgpgpu_tensor *dense, unsigned index, bool back)
{
    dnnl_memory_desc_t layout, dense_layout;
    uint32_t status = cpu_layout(tensor, &layout);
    if (!status)
        status = cpu_layout(dense, &dense_layout);
    if (status)
        return status;
    return back ? cpu_reorder_add(plan, STAGE_COPY + index, &dense_layout, index, &layout)
                : cpu_reorder_add(plan, index, &layout, STAGE_COPY + index, &dense_layout);
}

/* The stages from `first` on use the copies. */
static void stages_redirect(struct cpu_plan *plan, unsigned first, uint32_t moved)
{
    for (unsigned i = first; i < plan->stage_count; i++)
        for (unsigned j = 0; j < plan->stages[i].arg_count; j++)
            if (moved >> plan->stages[i].args[j].tensor & 1)
                plan->stages[i].args[j].tensor += STAGE_COPY;
}

static bool reads_result(const struct device_operation *operation)
{
    const struct vgpgpu_gemm *gemm = operation->parameters;
    return operation->operation == VGPGPU_GEMM && gemm->beta != 0;
}

uint32_t cpu_dense_build(struct cpu_plan *plan, const struct device_operation *operation,
                         dnnl_primitive_attr_t attr, cpu_build build)
{
    struct vgpgpu_tensor dense[VGPGPU_MAX_TENSORS];
    struct device_operation copy = *operation;
    unsigned outputs = operation_outputs(operation->operation);
    uint32_t moved, status = copies_plan(plan, operation, dense, &moved);
    copy.tensors = dense;
    for (unsigned i = reads_result(operation) ? 0 : outputs; i < copy.tensor_count && !status; i++)
        if (moved >> i & 1)
            status = copy_add(plan, &operation->tensors[i], &dense[i], i, false);
    unsigned first = plan->stage_count;
    if (!status)
        status = build(plan, &copy, attr);
    if (status)
        return status;
    stages_redirect(plan, first, moved);
    for (unsigned i = 0; i < outputs && !status; i++)
        if (moved >> i & 1)
            status = copy_add(plan, &operation->tensors[i], &dense[i], i, true);
    return status;
}
