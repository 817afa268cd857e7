/*
 * integer_cells.c: GRU and LSTM cells of integer models, row by row. Weights are int8; gates and
 * states have MLRT_FRACTION bits. General registers only.
 *
 * Scratch: a row as pairs, what the input gives for all gates, what the state gives.
 */
#include "lib/mlrt/integer.h"

struct cell {
    const struct mlrt_job *job;
    const struct integer_ops *ops;
    uint32_t width; /* of a gate, padded */
    uint32_t gates;
    int32_t *pairs, *from_in, *from_state;
};

static struct cell cell_of(const struct mlrt_job *job)
{
    const struct mlrt_layer *layer = job->layer;
    uint32_t widest = layer->inputs > layer->outputs ? layer->inputs : layer->outputs;
    struct cell cell = {
        .job = job,
        .ops = job->model->ops->integers,
        .width = mlrt_padded(layer->outputs),
        .gates = mlrt_gates(layer->kind),
        .pairs = job->scratch,
    };
    cell.from_in = cell.pairs + mlrt_padded(mlrt_pairs(widest));
    cell.from_state = cell.from_in + cell.gates * cell.width;
    return cell;
}

static int32_t *row_state(const struct cell *cell, uint32_t row)
{
    return (int32_t *)cell->job->state + row * cell->job->state_stride;
}

static void multiply_in(const struct cell *cell, uint32_t row)
{
    const struct mlrt_job *job = cell->job;
    const uint32_t *params = job->layer->params;
    const struct integer_matrix matrix = {
        .panels = {job_array(job, CELL_IN_WEIGHTS), mlrt_pairs(job->layer->inputs),
                   cell->gates * cell->width / MLRT_PANEL},
        .bias = job_array(job, CELL_IN_BIAS),
        .mult = job_array(job, CELL_IN_MULT),
        .shift = params[CELL_IN_OUT_SHIFT],
    };
    integer_pairs(cell->pairs, job_in(job, row), job->layer->inputs,
                  (int32_t)params[CELL_IN_SCALE_MULT], params[CELL_IN_SCALE_SHIFT]);
    integer_multiply(cell->ops, &matrix, cell->pairs, cell->from_in);
}

/* The state's part of gates `first` to `end - 1`, from a state or what stands for it. */
static void multiply_state(const struct cell *cell, uint32_t first, uint32_t end,
                           const int32_t *state)
{
    const struct mlrt_job *job = cell->job;
    uint32_t pairs = mlrt_pairs(job->layer->outputs), skip = first * cell->width;
    const struct integer_matrix matrix = {
        .panels = {(const int8_t *)job_array(job, CELL_STATE_WEIGHTS) + (size_t)skip * pairs * 2,
                   pairs, (end - first) * cell->width / MLRT_PANEL},
        .bias = (const int32_t *)job_array(job, CELL_STATE_BIAS) + skip,
        .mult = (const int32_t *)job_array(job, CELL_STATE_MULT) + skip,
        .shift = job->layer->params[CELL_STATE_OUT_SHIFT],
    };
    integer_pairs(cell->pairs, state, job->layer->outputs, CELL_STATE_SCALE_MULT,
                  CELL_STATE_SCALE_SHIFT);
    integer_multiply(cell->ops, &matrix, cell->pairs, cell->from_state + skip);
}

static void add_and_sigmoid(const struct cell *cell, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        cell->from_in[i] = fixed_sigmoid(fixed_add(cell->from_in[i], cell->from_state[i]));
    }
}

static void gru_row(const struct cell *cell, uint32_t row, bool reset_after)
{
    const int32_t *z = cell->from_in, *r = z + cell->width, *fresh = r + cell->width;
    const int32_t *back = cell->from_state + 2 * cell->width;
    int32_t *h = row_state(cell, row), *out = job_out(cell->job, row);
    multiply_in(cell, row);
    multiply_state(cell, 0, reset_after ? 3 : 2, h);
    add_and_sigmoid(cell, 2 * cell->width);
    if (!reset_after) {
        for (uint32_t i = 0; i < cell->width; i++) {
            out[i] = fixed_multiply(r[i], h[i]);
        }
        multiply_state(cell, 2, 3, out);
    }
    for (uint32_t i = 0; i < cell->width; i++) {
        int32_t part = reset_after ? fixed_multiply(r[i], back[i]) : back[i];
        int32_t candidate = fixed_tanh(fixed_add(fresh[i], part));
        h[i] = fixed_add(fixed_multiply(FIXED_ONE - z[i], candidate), fixed_multiply(z[i], h[i]));
        out[i] = h[i];
    }
}

void integer_gru(const struct mlrt_job *job)
{
    const struct cell cell = cell_of(job);
    for (uint32_t row = 0; row < job->rows; row++) {
        gru_row(&cell, row, job->layer->params[CELL_RESET_AFTER]);
    }
}

static void lstm_row(const struct cell *cell, uint32_t row)
{
    const int32_t *i = cell->from_in, *o = i + cell->width, *f = o + cell->width;
    const int32_t *fresh = f + cell->width, *back = cell->from_state + 3 * cell->width;
    int32_t *h = row_state(cell, row), *c = h + cell->width, *out = job_out(cell->job, row);
    multiply_in(cell, row);
    multiply_state(cell, 0, 4, h);
    add_and_sigmoid(cell, 3 * cell->width);
    for (uint32_t n = 0; n < cell->width; n++) {
        int32_t candidate = fixed_tanh(fixed_add(fresh[n], back[n]));
        c[n] = fixed_add(fixed_multiply(f[n], c[n]), fixed_multiply(i[n], candidate));
        h[n] = fixed_multiply(o[n], fixed_tanh(c[n]));
        out[n] = h[n];
    }
}

void integer_lstm(const struct mlrt_job *job)
{
    const struct cell cell = cell_of(job);
    for (uint32_t row = 0; row < job->rows; row++) {
        lstm_row(&cell, row);
    }
}
