/*
 * gpu_plan.c: how a model lies on the device. See gpu.h.
 *
 * The numbers of a layer, one array behind the other:
 *     DENSE   weights [inputs][outputs], bias [outputs]
 *     SCALE   offset, factor, addend [inputs]
 *     LSTM    input weights [4 * outputs][inputs], state weights [4 * outputs][outputs], bias and
 *             state's bias [4 * outputs]; the gates are input, forget, cell, output
 * Each layer begins at a multiple of MLRT_ALIGN. Numbers are moved as cells of four bytes.
 */
#include "lib/mlrt/gpu.h"
#include "lib/mlrt/internal.h"

#define GATES 4u

static const uint32_t gate_in_file[GATES] = {0, 2, 3,
                                             1}; /* of input, forget, cell, output, in i o f c */

static uint32_t layer_numbers(const struct mlrt_layer *layer)
{
    switch (layer->kind) {
    case MLRT_DENSE:
        return (layer->inputs + 1) * layer->outputs;
    case MLRT_SCALE:
        return 3 * layer->inputs;
    case MLRT_LSTM:
        return GATES * layer->outputs * (layer->inputs + layer->outputs + 2);
    default:
        return 0;
    }
}

static bool takes_float(const uint16_t *operations, enum vgpgpu_operation operation)
{
    return operations[operation] >> VGPGPU_F32 & 1;
}

static const char *layer_problem(const struct mlrt_layer *layer, const uint16_t *operations)
{
    if (layer->kind == MLRT_GRU || layer->kind == MLRT_FOREST || layer->kind == MLRT_NEAREST)
        return "the device has no operation for a layer of its kind";
    if (layer->activation == MLRT_SHARES)
        return "the device has no operation for its activation";
    if (!takes_float(operations, VGPGPU_ELEMENTWISE) ||
        (layer->kind == MLRT_DENSE && !takes_float(operations, VGPGPU_GEMM)) ||
        (layer->kind == MLRT_LSTM && !takes_float(operations, VGPGPU_LSTM)) ||
        (layer->activation == MLRT_SOFTMAX && !takes_float(operations, VGPGPU_SOFTMAX)))
        return "this device does not have the operations for it";
    return NULL;
}

const char *mlrt_gpu_plan(struct mlrt_gpu *gpu, const struct mlrt_model *model,
                          const uint16_t *operations)
{
    const struct mlrt_header *header = model->header;
    uint64_t at = 0;
    bool dense = false;

    *gpu = (struct mlrt_gpu){.model = model, .widest = header->inputs};
    if (header->integer)
        return "it is an integer model";
    for (uint32_t i = 0; i < header->layer_count; i++) {
        const struct mlrt_layer *layer = &model->layers[i];
        const char *problem = layer_problem(layer, operations);

        if (problem)
            return problem;
        if (layer->kind == MLRT_LSTM && (dense || layer->activation != MLRT_NO_ACTIVATION))
            return "a cell behind another layer is not for the device";
        dense |= layer->kind != MLRT_LSTM && layer->kind != MLRT_SCALE;
        gpu->cells += layer->kind == MLRT_LSTM;
        gpu->widest = layer->outputs > gpu->widest ? layer->outputs : gpu->widest;
        gpu->at[i] = (uint32_t)at;
        at += ((uint64_t)layer_numbers(layer) * 4 + MLRT_ALIGN - 1) / MLRT_ALIGN * MLRT_ALIGN;
    }
    gpu->weight_bytes = at ? (uint32_t)at : MLRT_ALIGN;
    return NULL;
}

uint64_t mlrt_gpu_area_bytes(const struct mlrt_gpu *gpu, uint32_t rows, uint32_t steps)
{
    return (uint64_t)gpu->widest * rows * steps * 4;
}

/* ---- One number of the weights' buffer ---- */

/* Weight of an output for an input, of a matrix in panels. */
static uint32_t panel_cell(const uint32_t *matrix, uint32_t inputs, uint32_t output, uint32_t input)
{
    return matrix[((size_t)(output / MLRT_PANEL) * inputs + input) * MLRT_PANEL +
                  output % MLRT_PANEL];
}

/* An output of a cell's matrices: gates lie in whole panels there. */
static uint32_t gate_output(const struct mlrt_layer *layer, uint32_t row)
{
    return gate_in_file[row / layer->outputs] * mlrt_padded(layer->outputs) + row % layer->outputs;
}

static uint32_t dense_number(const struct mlrt_gpu *gpu, uint32_t index, uint32_t n)
{
    const struct mlrt_layer *layer = &gpu->model->layers[index];
    const uint32_t *arrays = gpu->model->arrays[index];
    uint32_t input = n / layer->outputs, output = n % layer->outputs;

    if (input == layer->inputs)
        return ((const uint32_t *)model_array(gpu->model, arrays, DENSE_BIAS))[output];
    return panel_cell(model_array(gpu->model, arrays, DENSE_WEIGHTS), layer->inputs, output, input);
}

static uint32_t scale_number(const struct mlrt_gpu *gpu, uint32_t index, uint32_t n)
{
    uint32_t inputs = gpu->model->layers[index].inputs;

    return ((const uint32_t *)model_array(gpu->model, gpu->model->arrays[index],
                                          n / inputs))[n % inputs];
}

static uint32_t lstm_number(const struct mlrt_gpu *gpu, uint32_t index, uint32_t n)
{
    const struct mlrt_layer *layer = &gpu->model->layers[index];
    const uint32_t *arrays = gpu->model->arrays[index];
    uint32_t rows = GATES * layer->outputs;
    uint32_t widths[] = {layer->inputs, layer->outputs, 1, 1};
    static const enum mlrt_cell_array of[] = {CELL_IN_WEIGHTS, CELL_STATE_WEIGHTS, CELL_IN_BIAS,
                                              CELL_STATE_BIAS};
    uint32_t which = 0;

    for (; n >= rows * widths[which]; which++)
        n -= rows * widths[which];
    const uint32_t *array = model_array(gpu->model, arrays, of[which]);
    uint32_t output = gate_output(layer, n / widths[which]);

    return which < 2 ? panel_cell(array, widths[which], output, n % widths[which]) : array[output];
}

static uint32_t layer_number(const struct mlrt_gpu *gpu, uint32_t index, uint32_t n)
{
    switch (gpu->model->layers[index].kind) {
    case MLRT_DENSE:
        return dense_number(gpu, index, n);
    case MLRT_SCALE:
        return scale_number(gpu, index, n);
    default:
        return lstm_number(gpu, index, n);
    }
}

void mlrt_gpu_weights(const struct mlrt_gpu *gpu, uint32_t first, uint32_t count, uint32_t *out)
{
    uint32_t layers = gpu->model->header->layer_count;

    for (uint32_t index = 0; index < layers; index++) {
        uint32_t begin = gpu->at[index] / 4;
        uint32_t end = index + 1 < layers ? gpu->at[index + 1] / 4 : gpu->weight_bytes / 4;
        uint32_t numbers = layer_numbers(&gpu->model->layers[index]);
        uint32_t from = begin > first ? begin : first;
        uint32_t to = end < first + count ? end : first + count;

        for (uint32_t n = from; n < to; n++)
            out[n - first] = n - begin < numbers ? layer_number(gpu, index, n - begin) : 0;
    }
}
