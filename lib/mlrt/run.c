/*
 * run.c: runs a model's layers over slices of rows.
 *
 * The workspace of a slice: two areas of rows that layers read and write in turn, the states where
 * the caller keeps none, and scratch. This file uses general registers only; so an integer model on
 * MLRT_SCALAR with integer input touches no other.
 */
#include "lib/mlrt/internal.h"

#define MXCSR_DEFAULT 0x1f80u /* round to nearest, nothing trapped, denormals as they are */

/* What a run goes over: the caller's memory, and the places in the workspace. */
struct run {
    const struct mlrt_model *model;
    const uint8_t *in; /* rows of steps * inputs cells */
    uint8_t *out;
    uint32_t steps;
    bool in_float, out_float;
    uint8_t *state; /* the caller's, or NULL */
    uint32_t *areas[2];
    uint32_t *own_state, *scratch;
};

static void cells_copy(uint32_t *to, const uint32_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
}

static void cells_clear(uint32_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cells[i] = 0;
    }
}

static uint32_t layer_state(const struct mlrt_layer *layer)
{
    if (!layer_is_cell(layer)) {
        return 0;
    }
    return mlrt_padded(layer->outputs) * (layer->kind == MLRT_LSTM ? 2 : 1);
}

/* Cells of scratch: for each row of a slice of a cell, once of any other layer. */
static uint32_t layer_scratch(const struct mlrt_layer *layer, bool integer)
{
    uint32_t widest = layer->inputs > layer->outputs ? layer->inputs : layer->outputs;
    uint32_t pairs = integer ? mlrt_padded(mlrt_pairs(widest)) : 0;
    switch (layer->kind) {
    case MLRT_GRU:
    case MLRT_LSTM:
        return pairs + 2 * mlrt_gates(layer->kind) * mlrt_padded(layer->outputs);
    case MLRT_NEAREST:
        return pairs + mlrt_padded(layer->params[NEAREST_COUNT]) + 2 * MLRT_NEIGHBOURS_MAX;
    default:
        return pairs;
    }
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void model_measure(struct mlrt_model *model)
{
    model->widest = mlrt_padded(model->header->inputs);
    for (uint32_t i = 0; i < model->header->layer_count; i++) {
        const struct mlrt_layer *layer = &model->layers[i];
        uint32_t scratch = layer_scratch(layer, model->header->integer);
        model->widest = larger(model->widest, mlrt_padded(layer->outputs));
        if (layer_is_cell(layer)) {
            model->scratch = larger(model->scratch, scratch);
            model->last_cell = i;
        } else {
            model->scratch_once = larger(model->scratch_once, scratch);
        }
        model->state += layer_state(layer);
    }
}

size_t mlrt_workspace_bytes(const struct mlrt_model *model, uint32_t rows)
{
    size_t slice = rows < SLICE_ROWS ? rows : SLICE_ROWS;
    size_t cells = slice * (2 * (size_t)model->widest + model->state);
    size_t scratch = slice * model->scratch;
    return (cells + (scratch > model->scratch_once ? scratch : model->scratch_once)) * 4;
}

size_t mlrt_state_bytes(const struct mlrt_model *model)
{
    return (size_t)model->state * 4;
}

static void layer_run(const struct mlrt_job *job)
{
    if (job->model->header->integer) {
        mlrt_integer_layers[job->layer->kind](job);
        mlrt_integer_activate(job);
    } else {
        mlrt_float_layers[job->layer->kind](job);
        mlrt_float_activate(job);
    }
}

/* Puts one step's inputs of a slice into an area, when they are not in the model's own form. */
static void inputs_convert(const struct run *run, const uint8_t *in, uint32_t rows)
{
    const struct mlrt_header *header = run->model->header;
    size_t stride = (size_t)run->steps * header->inputs * 4;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t *to = run->areas[1] + (size_t)i * run->model->widest;
        if (header->integer) {
            cells_from_floats((int32_t *)to, (const float *)(in + i * stride), header->inputs,
                              header->input_fraction);
        } else {
            cells_to_floats((float *)to, (const int32_t *)(in + i * stride), header->inputs, 0);
        }
    }
}

/* Runs the layers from the first to the one before `end`; the area with the outputs comes back. */
static uint32_t *slice_step(const struct run *run, const uint8_t *in, uint32_t rows, uint8_t *state,
                            uint32_t end)
{
    const struct mlrt_model *model = run->model;
    struct mlrt_job job = {
        .model = model,
        .in = in,
        .in_stride = (size_t)run->steps * model->header->inputs,
        .out_stride = model->widest,
        .rows = rows,
        .state = state,
        .state_stride = model->state,
        .scratch = run->scratch,
    };
    if (run->in_float == (bool)model->header->integer) {
        inputs_convert(run, in, rows);
        job.in = run->areas[1];
        job.in_stride = model->widest;
    }
    for (uint32_t i = 0; i < end; i++) {
        job.layer = &model->layers[i];
        job.arrays = model->arrays[i];
        job.out = run->areas[i % 2];
        layer_run(&job);
        job.in = job.out;
        job.in_stride = model->widest;
        job.state = (uint32_t *)job.state + layer_state(job.layer);
    }
    return run->areas[(end + 1) % 2];
}

static void outputs_write(const struct run *run, const uint32_t *area, uint32_t rows, uint8_t *out)
{
    const struct mlrt_header *header = run->model->header;
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t *row = area + (size_t)i * run->model->widest;
        uint8_t *to = out + (size_t)i * header->outputs * 4;
        if (run->out_float == !header->integer) {
            cells_copy((uint32_t *)to, row, header->outputs);
        } else if (header->integer) {
            cells_to_floats((float *)to, (const int32_t *)row, header->outputs, MLRT_FRACTION);
        } else {
            cells_from_floats((int32_t *)to, (const float *)row, header->outputs, MLRT_FRACTION);
        }
    }
}

static void slice_run(const struct run *run, uint32_t first, uint32_t rows)
{
    const struct mlrt_model *model = run->model;
    const struct mlrt_header *header = model->header;
    size_t step_bytes = (size_t)header->inputs * 4;
    const uint8_t *in = run->in + first * run->steps * step_bytes;
    uint8_t *state =
        run->state ? run->state + first * mlrt_state_bytes(model) : (uint8_t *)run->own_state;
    const uint32_t *area = NULL;
    if (!run->state) {
        cells_clear(run->own_state, (size_t)rows * model->state);
    }
    for (uint32_t step = 0; step < run->steps; step++) {
        uint32_t end = step + 1 == run->steps ? header->layer_count : model->last_cell + 1;
        area = slice_step(run, in + step * step_bytes, rows, state, end);
    }
    if (area) {
        outputs_write(run, area, rows, run->out + (size_t)first * header->outputs * 4);
    }
}

static void slices_run(struct run *run, uint32_t rows, void *workspace)
{
    const struct mlrt_model *model = run->model;
    uint32_t slice = rows < SLICE_ROWS ? rows : SLICE_ROWS;
    size_t area = (size_t)slice * model->widest;
    run->areas[0] = workspace;
    run->areas[1] = run->areas[0] + area;
    run->own_state = run->areas[1] + area;
    run->scratch = run->own_state + (size_t)slice * model->state;
    for (uint32_t first = 0; first < rows; first += SLICE_ROWS) {
        slice_run(run, first, rows - first < SLICE_ROWS ? rows - first : SLICE_ROWS);
    }
}

/* Slices with the floating-point control that results are promised for, whatever a program has set.
 */
static void run_controlled(struct run *run, uint32_t rows, void *workspace)
{
    uint32_t before, ours = MXCSR_DEFAULT;
    __asm__ volatile("stmxcsr %0" : "=m"(before));
    __asm__ volatile("ldmxcsr %0" ::"m"(ours) : "memory");
    slices_run(run, rows, workspace);
    __asm__ volatile("ldmxcsr %0" ::"m"(before) : "memory");
}

void mlrt_run_steps(const struct mlrt_model *model, const float *in, uint32_t rows, uint32_t steps,
                    void *state, float *out, void *workspace)
{
    struct run run = {.model = model,
                      .in = (const uint8_t *)in,
                      .out = (uint8_t *)out,
                      .steps = steps,
                      .in_float = true,
                      .out_float = true,
                      .state = state};
    run_controlled(&run, rows, workspace);
}

void mlrt_run_steps_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                            uint32_t steps, void *state, int32_t *out, void *workspace)
{
    struct run run = {.model = model,
                      .in = (const uint8_t *)in,
                      .out = (uint8_t *)out,
                      .steps = steps,
                      .state = state};
    if (model->header->integer) {
        slices_run(&run, rows, workspace);
    } else {
        run_controlled(&run, rows, workspace);
    }
}

void mlrt_run(const struct mlrt_model *model, const float *in, uint32_t rows, float *out,
              void *workspace)
{
    mlrt_run_steps(model, in, rows, 1, NULL, out, workspace);
}

/* One row through a forest alone, for who asks in the middle of something urgent: no copy, no slices. */
static void forest_run_row(const struct mlrt_model *model, const int32_t *in, int32_t *out)
{
    struct mlrt_job job = {
        .model = model, .layer = model->layers, .arrays = model->arrays[0], .in = in, .out = out, .rows = 1};
    integer_forest(&job);
    mlrt_integer_activate(&job);
}

void mlrt_run_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                      int32_t *out, void *workspace)
{
    if (rows == 1 && model->header->integer && model->header->layer_count == 1 &&
        model->layers->kind == MLRT_FOREST) {
        forest_run_row(model, in, out);
        return;
    }
    mlrt_run_steps_integer(model, in, rows, 1, NULL, out, workspace);
}

/* A float's bits as an integer of the same order; both zeros are equal. NaN is below everything. */
static int64_t float_order(const float *x)
{
    uint32_t bits = *(const uint32_t *)x, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) {
        return INT64_MIN;
    }
    return bits >> 31 ? -(int64_t)size : (int64_t)size;
}

uint32_t mlrt_largest(const float *outputs, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (float_order(&outputs[i]) > float_order(&outputs[best])) {
            best = i;
        }
    }
    return best;
}

uint32_t mlrt_largest_integer(const int32_t *outputs, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (outputs[i] > outputs[best]) {
            best = i;
        }
    }
    return best;
}
