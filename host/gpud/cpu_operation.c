/* cpu_operation.c: the operations in the library's words; the others have files of
 * their own. */
#include "cpu_plan.h"

/* The masks of types, for a processor with or without arithmetic on bf16. */
#define TYPE(name) (uint16_t)(1u << VGPGPU_##name)

void cpu_operations_list(uint16_t operations[VGPGPU_OPERATION_ROOM])
{
    for (unsigned i = 0; i < VGPGPU_OPERATION_ROOM; i++)
        operations[i] = 0;
    if (!dnnl_load())
        return;
    bool wide =
        (dnnl.get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    uint16_t bf16 = wide ? TYPE(BF16) : 0;
    operations[VGPGPU_GEMM] = TYPE(F32) | TYPE(S8) | bf16;
    for (unsigned i = VGPGPU_CONV2D; i <= VGPGPU_ELEMENTWISE; i++)
        operations[i] = TYPE(F32) | bf16;
    operations[VGPGPU_POOL2D] = operations[VGPGPU_LSTM] = TYPE(F32);
}

/* ---- GEMM --------------------------------------------------------------------------------------
 */

static void last_two_swap(struct vgpgpu_tensor *tensor)
{
    unsigned i = tensor->rank - 2u, j = tensor->rank - 1u;
    uint64_t dimension = tensor->dimensions[i], stride = tensor->strides[i];
    tensor->dimensions[i] = tensor->dimensions[j];
    tensor->strides[i] = tensor->strides[j];
    tensor->dimensions[j] = dimension;
    tensor->strides[j] = stride;
}

/* The stride of a dimension of 1 is never used, but the library takes it for a leading dimension.
 */
static void matrix_tidy(struct vgpgpu_tensor *tensor)
{
    unsigned row = tensor->rank - 2u, column = tensor->rank - 1u;
    uint64_t *strides = tensor->strides, *dimensions = tensor->dimensions;
    if (dimensions[column] == 1)
        strides[column] = strides[row] == 1 ? dimensions[row] : 1;
    else if (dimensions[row] == 1)
        strides[row] = strides[column] == 1 ? dimensions[column] : 1;
    if (tensor->rank == 3 && dimensions[0] == 1)
        strides[0] = dimensions[row] * strides[row] + dimensions[column] * strides[column];
}

/* With a scale of 0 the library leaves out the product and takes what lay in its scratchpad times 0, which may
 * be no number: that scale is a step behind the product. */
static dnnl_status_t gemm_attributes(const struct vgpgpu_gemm *gemm, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t after;
    dnnl_status_t status = dnnl_success;
    if (gemm->alpha != 1 && gemm->alpha != 0)
        status = dnnl.primitive_attr_set_output_scales(attr, 1, 0, &gemm->alpha);
    if (status || (gemm->beta == 0 && gemm->alpha != 0))
        return status;
    status = dnnl.post_ops_create(&after);
    if (status)
        return status;
    if (gemm->alpha == 0)
        status = dnnl.post_ops_append_eltwise(after, 1, dnnl_eltwise_linear, 0, 0);
    if (!status && gemm->beta != 0)
        status = dnnl.post_ops_append_sum(after, gemm->beta);
    if (!status)
        status = dnnl.primitive_attr_set_post_ops(attr, after);
    dnnl.post_ops_destroy(after);
    return status;
}

/* The library's fast ways want rows of c that are contiguous: for columns, c' = b' * a'. */
static uint32_t gemm_build(struct cpu_plan *plan, const struct device_operation *operation,
                           dnnl_primitive_attr_t attr)
{
    struct vgpgpu_tensor c = operation->tensors[0], a = operation->tensors[1],
                         b = operation->tensors[2];
    unsigned left = 1, right = 2;
    matrix_tidy(&a);
    matrix_tidy(&b);
    matrix_tidy(&c);
    if (c.strides[c.rank - 1] != 1 && c.strides[c.rank - 2] == 1) {
        struct vgpgpu_tensor other = a;
        a = b;
        b = other;
        left = 2;
        right = 1;
        last_two_swap(&a);
        last_two_swap(&b);
        last_two_swap(&c);
    }
    dnnl_memory_desc_t layout_c, layout_a, layout_b;
    dnnl_matmul_desc_t matmul;
    struct cpu_stage *stage;
    uint32_t status = cpu_layout(&c, &layout_c);
    if (!status)
        status = cpu_layout(&a, &layout_a);
    if (!status)
        status = cpu_layout(&b, &layout_b);
    if (!status)
        status = cpu_status(dnnl.matmul_desc_init(&matmul, &layout_a, &layout_b, NULL, &layout_c));
    if (!status)
        status = cpu_status(gemm_attributes(operation->parameters, attr));
    if (!status)
        status = cpu_stage_add(plan, &matmul, attr, &stage);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_DST, 0, &layout_c);
    cpu_stage_arg(stage, DNNL_ARG_SRC, left, &layout_a);
    cpu_stage_arg(stage, DNNL_ARG_WEIGHTS, right, &layout_b);
    return VGPGPU_OK;
}

/* ---- All ---------------------------------------------------------------------------------------
 */

static const cpu_build builds[VGPGPU_OPERATION_ROOM] = {
    [VGPGPU_GEMM] = gemm_build,         [VGPGPU_CONV2D] = cpu_conv2d_build,
    [VGPGPU_POOL2D] = cpu_pool2d_build, [VGPGPU_SOFTMAX] = cpu_softmax_build,
    [VGPGPU_REDUCE] = cpu_reduce_build, [VGPGPU_LAYER_NORM] = cpu_layer_norm_build,
    [VGPGPU_BATCH_NORM] = cpu_batch_norm_build, [VGPGPU_ELEMENTWISE] = cpu_elementwise_build,
    [VGPGPU_LSTM] = cpu_lstm_build,
};

/* From normalisation on, oneDNN 2.6 makes mistakes with gaps between elements; before, with those of a bias. */
static bool takes_gaps(const struct device_operation *operation)
{
    const struct vgpgpu_tensor *bias = &operation->tensors[3];
    if (operation->operation == VGPGPU_CONV2D && operation->tensor_count == 4 && bias->rank)
        return bias->strides[0] == 1;
    return operation->operation < VGPGPU_LAYER_NORM;
}

uint32_t cpu_plan_build(struct cpu_plan *plan, const struct device_operation *operation)
{
    dnnl_primitive_attr_t attr;
    if (!builds[operation->operation])
        return VGPGPU_ERR_UNSUPPORTED;
    uint32_t status = cpu_attributes_make(&attr);
    if (status)
        return status;
    cpu_build build = builds[operation->operation];
    status = takes_gaps(operation) ? build(plan, operation, attr) : VGPGPU_ERR_UNSUPPORTED;
    if (status == VGPGPU_ERR_UNSUPPORTED)
        status = cpu_dense_build(plan, operation, attr, build);
    dnnl.primitive_attr_destroy(attr);
    return status;
}
