/* cpu_network.c: the operations of neural networks in the library's words. */
#include "cpu_plan.h"

/* Adds a primitive that takes a source and gives a result of these layouts. */
static uint32_t one_to_one_add(struct cpu_plan *plan, const void *descriptor,
                               dnnl_primitive_attr_t attr, const dnnl_memory_desc_t layouts[2])
{
    struct cpu_stage *stage;
    uint32_t status = cpu_stage_add(plan, descriptor, attr, &stage);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_DST, 0, &layouts[0]);
    cpu_stage_arg(stage, DNNL_ARG_SRC, 1, &layouts[1]);
    return VGPGPU_OK;
}

static uint32_t layouts_make(const struct device_operation *operation, unsigned count,
                             dnnl_memory_desc_t *layouts)
{
    uint32_t status = VGPGPU_OK;
    for (unsigned i = 0; i < count && !status; i++)
        status = cpu_layout(&operation->tensors[i], &layouts[i]);
    return status;
}

/* A window in the library's words, whose dilation counts what is left out. */
struct window {
    dnnl_dims_t stride, dilation, before, after;
};

static void window_make(const struct vgpgpu_window *in, struct window *out)
{
    for (unsigned axis = 0; axis < 2; axis++) {
        out->stride[axis] = in->stride[axis];
        out->dilation[axis] = (dnnl_dim_t)in->dilation[axis] - 1;
        out->before[axis] = in->before[axis];
        out->after[axis] = in->after[axis];
    }
}

/* Weights by groups: one dimension more. */
static uint32_t weights_layout(const struct vgpgpu_tensor *weights, uint64_t groups,
                               dnnl_memory_desc_t *out)
{
    struct vgpgpu_tensor split = *weights;
    if (groups == 1)
        return cpu_layout(weights, out);
    split.rank = 5;
    for (unsigned i = 4; i > 0; i--) {
        split.dimensions[i] = weights->dimensions[i - 1];
        split.strides[i] = weights->strides[i - 1];
    }
    split.dimensions[0] = groups;
    split.dimensions[1] /= groups;
    split.strides[0] = split.dimensions[1] * split.strides[1];
    return cpu_layout(&split, out);
}

uint32_t cpu_conv2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_conv2d *conv = operation->parameters;
    bool biased = operation->tensor_count == 4 && operation->tensors[3].rank;
    dnnl_memory_desc_t layouts[4];
    dnnl_convolution_desc_t descriptor;
    struct window window;
    struct cpu_stage *stage;
    window_make(&conv->window, &window);
    uint32_t status = layouts_make(operation, 2, layouts);
    if (!status)
        status = weights_layout(&operation->tensors[2], conv->groups, &layouts[2]);
    if (!status && biased)
        status = cpu_layout(&operation->tensors[3], &layouts[3]);
    if (!status)
        status = cpu_status(dnnl.dilated_convolution_forward_desc_init(
            &descriptor, dnnl_forward_inference, dnnl_convolution_direct, &layouts[1], &layouts[2],
            biased ? &layouts[3] : NULL, &layouts[0], window.stride, window.dilation, window.before,
            window.after));
    if (!status)
        status = cpu_stage_add(plan, &descriptor, attr, &stage);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_DST, 0, &layouts[0]);
    cpu_stage_arg(stage, DNNL_ARG_SRC, 1, &layouts[1]);
    cpu_stage_arg(stage, DNNL_ARG_WEIGHTS, 2, &layouts[2]);
    if (biased)
        cpu_stage_arg(stage, DNNL_ARG_BIAS, 3, &layouts[3]);
    return VGPGPU_OK;
}

uint32_t cpu_pool2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr)
{
    static const dnnl_alg_kind_t kinds[] = {[VGPGPU_POOL_MAX] = dnnl_pooling_max,
                                            [VGPGPU_POOL_MEAN] = dnnl_pooling_avg_exclude_padding,
                                            [VGPGPU_POOL_MEAN_PADDED] =
                                                dnnl_pooling_avg_include_padding};
    const struct vgpgpu_pool2d *pool = operation->parameters;
    const dnnl_dims_t size = {pool->size[0], pool->size[1]};
    dnnl_memory_desc_t layouts[2];
    dnnl_pooling_v2_desc_t descriptor;
    struct window window;
    window_make(&pool->window, &window);
    for (unsigned axis = 0; axis < 2; axis++)
        if (pool->size[axis] == 1) /* one element has no distance, and the library wants none */
            window.dilation[axis] = 0;
    uint32_t status = layouts_make(operation, 2, layouts);
    if (!status)
        status = cpu_status(dnnl.pooling_v2_forward_desc_init(
            &descriptor, dnnl_forward_inference, kinds[pool->kind], &layouts[1], &layouts[0],
            window.stride, size, window.dilation, window.before, window.after));
    return status ? status : one_to_one_add(plan, &descriptor, attr, layouts);
}

uint32_t cpu_softmax_build(struct cpu_plan *plan, const struct device_operation *operation,
                           dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_softmax *softmax = operation->parameters;
    dnnl_memory_desc_t layouts[2];
    dnnl_softmax_v2_desc_t descriptor;
    uint32_t status = layouts_make(operation, 2, layouts);
    if (!status)
        status = cpu_status(dnnl.softmax_v2_forward_desc_init(&descriptor, dnnl_forward_inference,
                                                              dnnl_softmax_accurate, &layouts[1],
                                                              &layouts[0], (int)softmax->axis));
    return status ? status : one_to_one_add(plan, &descriptor, attr, layouts);
}

uint32_t cpu_reduce_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr)
{
    static const dnnl_alg_kind_t kinds[] = {[VGPGPU_REDUCE_SUM] = dnnl_reduction_sum,
                                            [VGPGPU_REDUCE_MEAN] = dnnl_reduction_mean,
                                            [VGPGPU_REDUCE_MAX] = dnnl_reduction_max,
                                            [VGPGPU_REDUCE_MIN] = dnnl_reduction_min};
    const struct vgpgpu_reduce *reduce = operation->parameters;
    dnnl_memory_desc_t layouts[2];
    dnnl_reduction_desc_t descriptor;
    uint32_t status = layouts_make(operation, 2, layouts);
    if (!status)
        status = cpu_status(dnnl.reduction_desc_init(&descriptor, kinds[reduce->kind], &layouts[1],
                                                     &layouts[0], 0, 0));
    return status ? status : one_to_one_add(plan, &descriptor, attr, layouts);
}
