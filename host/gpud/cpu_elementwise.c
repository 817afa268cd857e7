/*
 * cpu_elementwise.c: chains of elementwise steps in the library's words. One primitive takes as
 * many steps as the library can do in one go over memory; the next one goes on in place. The
 * tensors are dense (cpu_dense.c).
 */
#include "cpu_plan.h"

/* A chain while its stages are made. */
struct chain {
    struct cpu_plan *plan;
    const struct device_operation *operation;
    const struct vgpgpu_step *steps;
    unsigned count;
    unsigned from; /* the tensor that the next stage reads: the source, then the result */
    dnnl_memory_desc_t layouts[VGPGPU_MAX_TENSORS];
};

static bool has_operand(const struct vgpgpu_step *step)
{
    return step->op >= VGPGPU_STEP_ADD;
}

static dnnl_alg_kind_t step_kind(const struct vgpgpu_step *step)
{
    static const dnnl_alg_kind_t kinds[] = {
        [VGPGPU_STEP_RELU] = dnnl_eltwise_relu,
        [VGPGPU_STEP_ELU] = dnnl_eltwise_elu,
        [VGPGPU_STEP_LINEAR] = dnnl_eltwise_linear,
        [VGPGPU_STEP_CLIP] = dnnl_eltwise_clip,
        [VGPGPU_STEP_POW] = dnnl_eltwise_pow,
        [VGPGPU_STEP_SWISH] = dnnl_eltwise_swish,
        [VGPGPU_STEP_SIGMOID] = dnnl_eltwise_logistic,
        [VGPGPU_STEP_TANH] = dnnl_eltwise_tanh,
        [VGPGPU_STEP_EXP] = dnnl_eltwise_exp,
        [VGPGPU_STEP_LOG] = dnnl_eltwise_log,
        [VGPGPU_STEP_SQRT] = dnnl_eltwise_sqrt,
        [VGPGPU_STEP_SQUARE] = dnnl_eltwise_square,
        [VGPGPU_STEP_ABS] = dnnl_eltwise_abs,
        [VGPGPU_STEP_ROUND] = dnnl_eltwise_round,
        [VGPGPU_STEP_GELU] = dnnl_eltwise_gelu_erf,
        [VGPGPU_STEP_GELU_TANH] = dnnl_eltwise_gelu_tanh,
        [VGPGPU_STEP_ADD] = dnnl_binary_add,
        [VGPGPU_STEP_SUB] = dnnl_binary_sub,
        [VGPGPU_STEP_MUL] = dnnl_binary_mul,
        [VGPGPU_STEP_DIV] = dnnl_binary_div,
        [VGPGPU_STEP_MAX] = dnnl_binary_max,
        [VGPGPU_STEP_MIN] = dnnl_binary_min,
    };
    return kinds[step->op];
}

/* Attributes with `count` steps behind the primitive's own. */
static uint32_t attributes_make(const struct vgpgpu_step *steps, unsigned count,
                                dnnl_primitive_attr_t *out)
{
    dnnl_post_ops_t after;
    uint32_t status = cpu_attributes_make(out);
    if (status || !count)
        return status;
    dnnl_status_t error = dnnl.post_ops_create(&after);
    for (unsigned i = 0; i < count && !error; i++)
        error =
            dnnl.post_ops_append_eltwise(after, 1, step_kind(&steps[i]), steps[i].a, steps[i].b);
    if (!error)
        error = dnnl.primitive_attr_set_post_ops(*out, after);
    dnnl.post_ops_destroy(after);
    if (error)
        dnnl.primitive_attr_destroy(*out);
    return cpu_status(error);
}

/*
 * One stage for the first step and `after` more, which `attr` has. The library's elementwise
 * primitive takes no more than its own step in machine code, but its binary one does: a chain that
 * starts with a step of one operand starts with the larger of an element and itself instead.
 */
static uint32_t primitive_add(struct chain *chain, const struct vgpgpu_step *step, bool alone,
                              dnnl_primitive_attr_t attr, struct cpu_stage **stage)
{
    const dnnl_memory_desc_t *layout = &chain->layouts[0];
    dnnl_binary_desc_t binary;
    dnnl_eltwise_desc_t eltwise;
    dnnl_status_t error =
        has_operand(step) ? dnnl.binary_desc_init(&binary, step_kind(step), layout,
                                                  &chain->layouts[step->operand], layout)
        : alone ? dnnl.eltwise_forward_desc_init(&eltwise, dnnl_forward_inference, step_kind(step),
                                                 layout, step->a, step->b)
                : dnnl.binary_desc_init(&binary, dnnl_binary_max, layout, layout, layout);
    if (error)
        return cpu_status(error);
    return cpu_stage_add(
        chain->plan, alone && !has_operand(step) ? (void *)&eltwise : (void *)&binary, attr, stage);
}

/* One stage for `count` steps. */
static uint32_t stage_try(struct chain *chain, const struct vgpgpu_step *steps, unsigned count)
{
    dnnl_primitive_attr_t attr;
    struct cpu_stage *stage;
    unsigned own = has_operand(steps) || count == 1; /* steps that are the primitive itself */
    uint32_t status = attributes_make(steps + own, count - own, &attr);
    if (status)
        return status;
    status = primitive_add(chain, steps, count == 1, attr, &stage);
    dnnl.primitive_attr_destroy(attr);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_SRC_0, chain->from, &chain->layouts[0]);
    cpu_stage_arg(stage, DNNL_ARG_DST, 0, &chain->layouts[0]);
    if (!own)
        cpu_stage_arg(stage, DNNL_ARG_SRC_1, chain->from, &chain->layouts[0]);
    if (own && has_operand(steps))
        cpu_stage_arg(stage, DNNL_ARG_SRC_1, steps->operand, &chain->layouts[steps->operand]);
    chain->from = 0;
    return VGPGPU_OK;
}

/* Whether a step of this kind is among them. */
static bool is_among(const struct vgpgpu_step *steps, unsigned count, unsigned op)
{
    for (unsigned i = 0; i < count; i++)
        if (steps[i].op == op)
            return true;
    return false;
}

/*
 * Steps from `next` on that one stage may take. With what oneDNN 2.6 has after a primitive, of two
 * of a kind it mixes up the numbers, and an operand can end the process: so there is neither.
 */
static unsigned run_length(const struct chain *chain, unsigned next)
{
    const struct vgpgpu_step *steps = &chain->steps[next];
    unsigned count = 1;
    while (next + count < chain->count && !has_operand(&steps[count]) &&
           !is_among(steps, count, steps[count].op))
        count++;
    return count;
}

/* As many of the steps from `next` on as one stage can do. */
static uint32_t stage_add(struct chain *chain, unsigned next, unsigned *done)
{
    uint32_t status = VGPGPU_ERR_UNSUPPORTED;
    for (*done = run_length(chain, next); *done; (*done)--) {
        status = stage_try(chain, &chain->steps[next], *done);
        if (status != VGPGPU_ERR_UNSUPPORTED)
            return status;
    }
    return status;
}

uint32_t cpu_elementwise_build(struct cpu_plan *plan, const struct device_operation *operation,
                               dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_elementwise *parameters = operation->parameters;
    struct chain chain = {.plan = plan,
                          .operation = operation,
                          .steps = (const void *)(parameters + 1),
                          .count = parameters->count,
                          .from = 1};
    uint32_t status = VGPGPU_OK;
    (void)attr; /* each stage has its own */
    for (unsigned i = 0; i < operation->tensor_count && !status; i++)
        status = cpu_layout(&operation->tensors[i], &chain.layouts[i]);
    for (unsigned next = 0, done; next < chain.count && !status; next += done)
        status = stage_add(&chain, next, &done);
    return status;
}
