/*
 * gpu_run.c: the commands that run a model on the device. See gpu.h.
 *
 * Layers write the two areas in turn, the last one writes the results. Rows of sequences lie as
 * they come
 * ([row][step]) up to the first cell, behind it by steps ([step][row]); after the last cell only
 * the last step goes on.
 */
#include "lib/gpucmd/tensor.h"
#include "lib/mlrt/gpu.h"
#include "lib/mlrt/internal.h"

#define GATES     4u
#define STEPS_MAX 5u /* of an elementwise command here */

struct elementwise {
    struct vgpgpu_elementwise head;
    struct vgpgpu_step steps[STEPS_MAX];
};

struct flow {
    const struct mlrt_gpu *gpu;
    const struct mlrt_gpu_buffers *buffers;
    struct gpucmd *c;
    uint32_t rows, steps; /* of what flows now */
    bool by_steps;
    uint32_t cells_left, area; /* area: the next one to be written */
    uint32_t buffer;           /* where the numbers are now, */
    uint64_t offset;           /* bytes */
    uint32_t width;
};

/* `count` numbers of a layer as one row, from number `first` of it on. */
static struct vgpgpu_tensor numbers_row(const struct flow *f, uint32_t index, uint64_t first,
                                        uint32_t count)
{
    return tensor_matrix(f->buffers->weights, VGPGPU_F32, f->gpu->at[index] + first * 4, 1, count,
                         count);
}

static struct vgpgpu_tensor flow_matrix(const struct flow *f)
{
    return tensor_matrix(f->buffer, VGPGPU_F32, f->offset, (uint64_t)f->rows * f->steps, f->width,
                         f->width);
}

/* Where a command of layer `index` writes; `last`: the last one of the layer. */
static struct vgpgpu_tensor target_matrix(struct flow *f, uint32_t index, bool last, uint32_t width)
{
    bool ends = last && index + 1 == f->gpu->model->header->layer_count;
    uint32_t buffer = ends ? f->buffers->out : f->buffers->areas[f->area];

    f->area ^= !ends;
    return tensor_matrix(buffer, VGPGPU_F32, 0, (uint64_t)f->rows * f->steps, width, width);
}

static void flow_to(struct flow *f, const struct vgpgpu_tensor *t)
{
    f->buffer = t->buffer;
    f->offset = t->offset;
    f->width = (uint32_t)t->dimensions[1];
}

static void step_add(struct elementwise *e, uint16_t op, uint16_t operand)
{
    e->steps[e->head.count++] = (struct vgpgpu_step){.op = op, .operand = operand};
}

static void activation_add(struct elementwise *e, uint32_t activation)
{
    static const uint16_t ops[] = {[MLRT_RELU] = VGPGPU_STEP_RELU,
                                   [MLRT_SIGMOID] = VGPGPU_STEP_SIGMOID,
                                   [MLRT_TANH] = VGPGPU_STEP_TANH};

    if (activation != MLRT_NO_ACTIVATION && activation != MLRT_SOFTMAX)
        step_add(e, ops[activation], 0);
}

static void elementwise_put(struct flow *f, const struct elementwise *e,
                            const struct vgpgpu_tensor *tensors, uint32_t count)
{
    uint32_t bytes = (uint32_t)(sizeof(e->head) + e->head.count * sizeof(e->steps[0]));

    gpucmd_operation(f->c, VGPGPU_ELEMENTWISE, tensors, count, e, bytes);
}

/* Behind a layer whose numbers lie in `t`: not in place, so that the last command writes the
 * results. */
static void softmax_put(struct flow *f, uint32_t index)
{
    const struct vgpgpu_softmax softmax = {.axis = 1};
    struct vgpgpu_tensor tensors[2];

    if (f->gpu->model->layers[index].activation != MLRT_SOFTMAX)
        return;
    tensors[1] = flow_matrix(f);
    tensors[0] = target_matrix(f, index, true, f->width);
    gpucmd_operation(f->c, VGPGPU_SOFTMAX, tensors, 2, &softmax, sizeof(softmax));
    flow_to(f, &tensors[0]);
}

static void dense_put(struct flow *f, uint32_t index)
{
    const struct mlrt_layer *layer = &f->gpu->model->layers[index];
    bool last = layer->activation != MLRT_SOFTMAX;
    struct vgpgpu_tensor in = flow_matrix(f);
    struct vgpgpu_tensor weights = tensor_matrix(f->buffers->weights, VGPGPU_F32, f->gpu->at[index],
                                                 layer->inputs, layer->outputs, layer->outputs);
    struct vgpgpu_tensor out = target_matrix(f, index, last, layer->outputs);
    struct vgpgpu_tensor tensors[3] = {
        out, out, numbers_row(f, index, (uint64_t)layer->inputs * layer->outputs, layer->outputs)};
    struct elementwise e = {.head.count = 0};

    gpucmd_multiply(f->c, &out, &in, &weights, false);
    step_add(&e, VGPGPU_STEP_ADD, 2);
    activation_add(&e, layer->activation);
    elementwise_put(f, &e, tensors, 3);
    flow_to(f, &out);
    softmax_put(f, index);
}

static void scale_put(struct flow *f, uint32_t index)
{
    const struct mlrt_layer *layer = &f->gpu->model->layers[index];
    struct vgpgpu_tensor tensors[5] = {{.rank = 0}, flow_matrix(f)};
    struct elementwise e = {.head.count = 0};
    static const uint16_t ops[] = {VGPGPU_STEP_SUB, VGPGPU_STEP_MUL, VGPGPU_STEP_ADD};

    tensors[0] = target_matrix(f, index, layer->activation != MLRT_SOFTMAX, layer->outputs);
    for (uint16_t i = 0; i < 3; i++) {
        tensors[2 + i] = numbers_row(f, index, (uint64_t)i * layer->inputs, layer->inputs);
        step_add(&e, ops[i], (uint16_t)(2 + i));
    }
    activation_add(&e, layer->activation);
    elementwise_put(f, &e, tensors, 5);
    flow_to(f, &tensors[0]);
    softmax_put(f, index);
}

/* p becomes 1 - p, p: a column each. */
static void pair_put(struct flow *f, uint32_t index)
{
    static const struct vgpgpu_step columns[2] = {
        {.op = VGPGPU_STEP_LINEAR, .a = -1, .b = 1},
        {.op = VGPGPU_STEP_LINEAR, .a = 1, .b = 0},
    };
    const struct mlrt_layer *layer = &f->gpu->model->layers[index];
    struct vgpgpu_tensor in = flow_matrix(f);
    struct vgpgpu_tensor out = target_matrix(f, index, layer->activation != MLRT_SOFTMAX, 2);

    for (uint32_t i = 0; i < 2; i++) {
        struct elementwise e = {.head.count = 1};
        struct vgpgpu_tensor tensors[2] = {out, in};

        tensors[0].dimensions[1] = 1;
        tensors[0].offset += i * 4;
        __builtin_memcpy(&e.steps[0], &columns[i], sizeof(e.steps[0]));
        activation_add(&e, layer->activation);
        elementwise_put(f, &e, tensors, 2);
    }
    flow_to(f, &out);
    softmax_put(f, index);
}

/* Source and result of a cell: [step][row][number], in whatever order they lie. */
static struct vgpgpu_tensor sequence(const struct flow *f, uint32_t buffer, uint64_t offset,
                                     uint32_t width, bool by_steps)
{
    const uint64_t dimensions[3] = {f->steps, f->rows, width};
    struct vgpgpu_tensor t = tensor_dense(buffer, VGPGPU_F32, offset, 3, dimensions);

    if (!by_steps) {
        t.strides[0] = width;
        t.strides[1] = (uint64_t)f->steps * width;
    }
    return t;
}

static struct vgpgpu_tensor cell_matrix(const struct flow *f, uint32_t index, uint64_t first,
                                        uint32_t columns)
{
    return tensor_matrix(f->buffers->weights, VGPGPU_F32, f->gpu->at[index] + first * 4,
                         GATES * f->gpu->model->layers[index].outputs, columns, columns);
}

static uint64_t bias_first(const struct mlrt_layer *layer)
{
    return (uint64_t)GATES * layer->outputs * (layer->inputs + layer->outputs);
}

static void lstm_put(struct flow *f, uint32_t index)
{
    const struct mlrt_layer *layer = &f->gpu->model->layers[index];
    const struct vgpgpu_lstm lstm = {.reverse = 0};
    uint32_t h = layer->outputs;
    bool ends = index + 1 == f->gpu->model->header->layer_count;
    struct vgpgpu_tensor tensors[7] = {
        /* the last hidden state and cell, 1 and 2, are left out */
        [3] = sequence(f, f->buffer, f->offset, f->width, f->by_steps),
        [4] = cell_matrix(f, index, 0, layer->inputs),
        [5] = cell_matrix(f, index, (uint64_t)GATES * h * layer->inputs, h),
    };
    const uint64_t bias = GATES * (uint64_t)h;
    uint32_t area = f->area;

    f->area ^= 1;
    tensors[0] = sequence(f, f->buffers->areas[area], 0, h, true);
    tensors[6] = tensor_dense(f->buffers->weights, VGPGPU_F32,
                              f->gpu->at[index] + bias_first(layer) * 4, 1, &bias);
    f->buffer = f->buffers->areas[area];
    f->width = h;
    f->offset = 0;
    f->by_steps = true;
    gpucmd_operation(f->c, VGPGPU_LSTM, tensors, 7, &lstm, sizeof(lstm));
    if (--f->cells_left == 0) {
        f->offset = (uint64_t)(f->steps - 1) * f->rows * h * 4;
        f->steps = 1;
        if (ends)
            gpucmd_copy(f->c, f->buffer, f->offset, f->buffers->out, 0, (uint64_t)f->rows * h * 4);
    }
}

void mlrt_gpu_prepare(const struct mlrt_gpu *gpu, uint32_t weights, struct gpucmd *c)
{
    const struct mlrt_gpu_buffers buffers = {.weights = weights};
    struct flow f = {.gpu = gpu, .buffers = &buffers, .c = c};

    for (uint32_t i = 0; i < gpu->model->header->layer_count; i++) {
        const struct mlrt_layer *layer = &gpu->model->layers[i];
        uint32_t count = GATES * layer->outputs;
        struct elementwise e = {.head.count = 0};

        if (layer->kind == MLRT_LSTM) {
            struct vgpgpu_tensor bias = numbers_row(&f, i, bias_first(layer), count);
            struct vgpgpu_tensor tensors[3] = {
                bias, bias, numbers_row(&f, i, bias_first(layer) + count, count)};

            step_add(&e, VGPGPU_STEP_ADD, 2);
            elementwise_put(&f, &e, tensors, 3);
        }
    }
}

void mlrt_gpu_run(const struct mlrt_gpu *gpu, const struct mlrt_gpu_buffers *buffers, uint32_t rows,
                  uint32_t steps, struct gpucmd *c)
{
    struct flow f = {
        .gpu = gpu,
        .buffers = buffers,
        .c = c,
        .rows = rows,
        .steps = steps,
        .cells_left = gpu->cells,
        .buffer = buffers->in,
        .width = gpu->model->header->inputs,
    };

    for (uint32_t i = 0; i < gpu->model->header->layer_count; i++) {
        switch (gpu->model->layers[i].kind) {
        case MLRT_DENSE:
            dense_put(&f, i);
            break;
        case MLRT_SCALE:
            scale_put(&f, i);
            break;
        case MLRT_PAIR:
            pair_put(&f, i);
            break;
        default:
            lstm_put(&f, i);
            break;
        }
    }
}
