/*
 * cpu_norm.c: normalisation in the library's words. The tensors are dense, result and source of one
 * layout (cpu_dense.c).
 */
#include "cpu_plan.h"

static bool is_there(const struct device_operation *operation, unsigned index)
{
    return index < operation->tensor_count && operation->tensors[index].rank;
}

/* Adds a vector that is there as an argument. */
static uint32_t vector_add(struct cpu_stage *stage, const struct device_operation *operation,
                           int arg, unsigned index)
{
    dnnl_memory_desc_t layout;
    if (!is_there(operation, index))
        return VGPGPU_OK;
    uint32_t status = cpu_layout(&operation->tensors[index], &layout);
    if (!status)
        cpu_stage_arg(stage, arg, index, &layout);
    return status;
}

static unsigned norm_flags(const struct device_operation *operation, unsigned scale)
{
    return (is_there(operation, scale) ? dnnl_use_scale : 0u) |
           (is_there(operation, scale + 1) ? dnnl_use_shift : 0u);
}

static uint32_t norm_stage_add(struct cpu_plan *plan, const struct device_operation *operation,
                               const void *descriptor, dnnl_primitive_attr_t attr,
                               const dnnl_memory_desc_t *layout, unsigned scale)
{
    struct cpu_stage *stage;
    uint32_t status = cpu_stage_add(plan, descriptor, attr, &stage);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_SRC, 1, layout);
    cpu_stage_arg(stage, DNNL_ARG_DST, 0, layout);
    status = vector_add(stage, operation, DNNL_ARG_SCALE, scale);
    if (!status)
        status = vector_add(stage, operation, DNNL_ARG_SHIFT, scale + 1);
    if (!status && scale == 4)
        status = vector_add(stage, operation, DNNL_ARG_MEAN, 2);
    if (!status && scale == 4)
        status = vector_add(stage, operation, DNNL_ARG_VARIANCE, 3);
    return status;
}

/* Mean and variance of each row, the library's own while it works. */
static uint32_t statistics_layout(const struct vgpgpu_tensor *result, dnnl_memory_desc_t *out)
{
    struct vgpgpu_tensor rows = {.type = VGPGPU_F32, .rank = (uint16_t)(result->rank - 1)};
    uint64_t stride = 1;
    for (unsigned i = rows.rank; i-- > 0;) {
        rows.dimensions[i] = result->dimensions[i];
        rows.strides[i] = stride;
        stride *= result->dimensions[i];
    }
    return cpu_layout(&rows, out);
}

/* The library wants two dimensions at least. */
static struct vgpgpu_tensor with_rows(const struct vgpgpu_tensor *tensor)
{
    struct vgpgpu_tensor rows = *tensor;
    if (tensor->rank != 1)
        return rows;
    rows.rank = 2;
    rows.dimensions[1] = tensor->dimensions[0];
    rows.strides[1] = tensor->strides[0];
    rows.dimensions[0] = 1;
    rows.strides[0] = tensor->dimensions[0] * tensor->strides[0];
    return rows;
}

uint32_t cpu_layer_norm_build(struct cpu_plan *plan, const struct device_operation *operation,
                              dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_norm *norm = operation->parameters;
    struct vgpgpu_tensor tensors[4];
    struct device_operation rows = *operation;
    dnnl_memory_desc_t layout, statistics;
    dnnl_layer_normalization_desc_t descriptor;
    for (unsigned i = 0; i < operation->tensor_count; i++)
        tensors[i] = i < 2 ? with_rows(&operation->tensors[i]) : operation->tensors[i];
    rows.tensors = tensors;
    uint32_t status = cpu_layout(&tensors[0], &layout);
    if (!status)
        status = statistics_layout(&tensors[0], &statistics);
    if (!status)
        status = cpu_status(dnnl.layer_normalization_forward_desc_init(
            &descriptor, dnnl_forward_inference, &layout, &statistics, norm->epsilon,
            norm_flags(&rows, 2)));
    return status ? status : norm_stage_add(plan, &rows, &descriptor, attr, &layout, 2);
}

uint32_t cpu_batch_norm_build(struct cpu_plan *plan, const struct device_operation *operation,
                              dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_norm *norm = operation->parameters;
    dnnl_memory_desc_t layout;
    dnnl_batch_normalization_desc_t descriptor;
    uint32_t status = cpu_layout(&operation->tensors[0], &layout);
    if (!status)
        status = cpu_status(dnnl.batch_normalization_forward_desc_init(
            &descriptor, dnnl_forward_inference, &layout, norm->epsilon,
            dnnl_use_global_stats | norm_flags(operation, 4)));
    return status ? status : norm_stage_add(plan, operation, &descriptor, attr, &layout, 4);
}
