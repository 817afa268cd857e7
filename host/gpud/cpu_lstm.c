/*
 * cpu_lstm.c: LSTM in the library's words: one layer, one direction. The library has the weights as
 * layers x directions x inputs x gates x outputs; the guest's rows are gates x outputs.
 */
#include "cpu_plan.h"

enum {
    RESULT,
    LAST_HIDDEN,
    LAST_CELL,
    SOURCE,
    INPUT_WEIGHTS,
    HIDDEN_WEIGHTS,
    BIAS,
    FIRST_HIDDEN,
    FIRST_CELL,
    LSTM_TENSORS
};

/* What the library calls each tensor. */
static const int lstm_args[LSTM_TENSORS] = {
    [RESULT] = DNNL_ARG_DST_LAYER,
    [LAST_HIDDEN] = DNNL_ARG_DST_ITER,
    [LAST_CELL] = DNNL_ARG_DST_ITER_C,
    [SOURCE] = DNNL_ARG_SRC_LAYER,
    [INPUT_WEIGHTS] = DNNL_ARG_WEIGHTS_LAYER,
    [HIDDEN_WEIGHTS] = DNNL_ARG_WEIGHTS_ITER,
    [BIAS] = DNNL_ARG_BIAS,
    [FIRST_HIDDEN] = DNNL_ARG_SRC_ITER,
    [FIRST_CELL] = DNNL_ARG_SRC_ITER_C,
};

static bool is_there(const struct device_operation *operation, unsigned index)
{
    return index < operation->tensor_count && operation->tensors[index].rank;
}

/* layers x directions, one each, x batch x hidden. */
static struct vgpgpu_tensor state_view(const struct vgpgpu_tensor *state)
{
    uint64_t whole = state->dimensions[0] * state->strides[0];
    return (struct vgpgpu_tensor){.type = state->type,
                                  .rank = 4,
                                  .dimensions = {1, 1, state->dimensions[0], state->dimensions[1]},
                                  .strides = {whole, whole, state->strides[0], state->strides[1]}};
}

static struct vgpgpu_tensor weights_view(const struct vgpgpu_tensor *weights)
{
    uint64_t outputs = weights->dimensions[0] / 4, row = weights->strides[0],
             column = weights->strides[1];
    uint64_t whole = column == 1 ? weights->dimensions[0] * row : weights->dimensions[1] * column;
    return (struct vgpgpu_tensor){.type = weights->type,
                                  .rank = 5,
                                  .dimensions = {1, 1, weights->dimensions[1], 4, outputs},
                                  .strides = {whole, whole, column, outputs * row, row}};
}

static struct vgpgpu_tensor bias_view(const struct vgpgpu_tensor *bias)
{
    uint64_t outputs = bias->dimensions[0] / 4, step = bias->strides[0];
    return (struct vgpgpu_tensor){
        .type = bias->type,
        .rank = 4,
        .dimensions = {1, 1, 4, outputs},
        .strides = {bias->dimensions[0] * step, bias->dimensions[0] * step, outputs * step, step}};
}

/* The layout of each tensor that is there; all zero for the others. */
static uint32_t layouts_make(const struct device_operation *operation, dnnl_memory_desc_t *layouts)
{
    uint32_t status = VGPGPU_OK;
    for (unsigned i = 0; i < LSTM_TENSORS && !status; i++) {
        layouts[i] = (dnnl_memory_desc_t){0};
        if (!is_there(operation, i))
            continue;
        const struct vgpgpu_tensor *tensor = &operation->tensors[i];
        struct vgpgpu_tensor view = i == RESULT || i == SOURCE ? *tensor
                                    : i == INPUT_WEIGHTS || i == HIDDEN_WEIGHTS
                                        ? weights_view(tensor)
                                    : i == BIAS ? bias_view(tensor)
                                                : state_view(tensor);
        status = cpu_layout(&view, &layouts[i]);
    }
    return status;
}

uint32_t cpu_lstm_build(struct cpu_plan *plan, const struct device_operation *operation,
                        dnnl_primitive_attr_t attr)
{
    const struct vgpgpu_lstm *lstm = operation->parameters;
    dnnl_memory_desc_t layouts[LSTM_TENSORS];
    dnnl_rnn_desc_t descriptor;
    struct cpu_stage *stage;
    uint32_t status = layouts_make(operation, layouts);
    if (!status)
        status = cpu_status(dnnl.lstm_forward_desc_init(
            &descriptor, dnnl_forward_inference,
            lstm->reverse ? dnnl_unidirectional_right2left : dnnl_unidirectional_left2right,
            &layouts[SOURCE], &layouts[FIRST_HIDDEN], &layouts[FIRST_CELL], &layouts[INPUT_WEIGHTS],
            &layouts[HIDDEN_WEIGHTS], &layouts[BIAS], &layouts[RESULT], &layouts[LAST_HIDDEN],
            &layouts[LAST_CELL], dnnl_rnn_flags_undef));
    if (!status)
        status = cpu_stage_add(plan, &descriptor, attr, &stage);
    for (unsigned i = 0; i < LSTM_TENSORS && !status; i++)
        if (is_there(operation, i))
            cpu_stage_arg(stage, lstm_args[i], i, &layouts[i]);
    return status;
}
