/*
 * float_cells.c: GRU and LSTM cells of float models, one step of a slice of rows. Equations and the
 * order of gates are ONNX's. Vector registers.
 *
 * Scratch: for each row what the input gives for all gates, then for each row what the state gives.
 */
#include "lib/mlrt/internal.h"

struct cell {
    const struct mlrt_job *job;
    const struct float_ops *ops;
    uint32_t width; /* of a gate, padded */
    uint32_t gates;
    float *from_in, *from_state; /* rows of gates * width */
};

static struct cell cell_of(const struct mlrt_job *job)
{
    struct cell cell = {
        .job = job,
        .ops = job->model->ops->floats,
        .width = mlrt_padded(job->layer->outputs),
        .gates = mlrt_gates(job->layer->kind),
        .from_in = job->scratch,
    };
    cell.from_state = cell.from_in + (size_t)job->rows * cell.gates * cell.width;
    return cell;
}

static float *row_state(const struct cell *cell, uint32_t row)
{
    return (float *)cell->job->state + row * cell->job->state_stride;
}

static float *row_of(const struct cell *cell, float *all, uint32_t row)
{
    return all + (size_t)row * cell->gates * cell->width;
}

static void multiply_in(const struct cell *cell)
{
    const struct mlrt_job *job = cell->job;
    const struct float_matrix matrix = {
        .weights = job_array(job, CELL_IN_WEIGHTS),
        .bias = job_array(job, CELL_IN_BIAS),
        .inputs = job->layer->inputs,
        .panels = cell->gates * cell->width / MLRT_PANEL,
    };
    cell->ops->dense(&matrix, (struct float_rows){job->in, job->in_stride}, job->rows,
                     (struct float_rows_out){cell->from_in, cell->gates * cell->width});
}

/* The state's part of gates `first` to `end - 1`, from rows of states or of what stands for them.
 */
static void multiply_state(const struct cell *cell, uint32_t first, uint32_t end,
                           struct float_rows states)
{
    const struct mlrt_job *job = cell->job;
    uint32_t hidden = job->layer->outputs, skip = first * cell->width;
    const struct float_matrix matrix = {
        .weights = (const float *)job_array(job, CELL_STATE_WEIGHTS) + (size_t)skip * hidden,
        .bias = (const float *)job_array(job, CELL_STATE_BIAS) + skip,
        .inputs = hidden,
        .panels = (end - first) * cell->width / MLRT_PANEL,
    };
    cell->ops->dense(&matrix, states, job->rows,
                     (struct float_rows_out){cell->from_state + skip, cell->gates * cell->width});
}

static void add(float *x, const float *y, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        x[i] += y[i];
    }
}

/* The gates z and r of all rows: of the input's part, in place. */
static void gru_gates(const struct cell *cell)
{
    for (uint32_t row = 0; row < cell->job->rows; row++) {
        float *gates = row_of(cell, cell->from_in, row);
        add(gates, row_of(cell, cell->from_state, row), 2 * cell->width);
        cell->ops->sigmoid(gates, 2 * cell->width);
    }
}

/* The reset gate in front of the matrix: r * h goes through it, by way of the layer's outputs. */
static void gru_reset_before(const struct cell *cell)
{
    const struct mlrt_job *job = cell->job;
    for (uint32_t row = 0; row < job->rows; row++) {
        const float *r = row_of(cell, cell->from_in, row) + cell->width, *h = row_state(cell, row);
        float *out = (float *)job->out + row * job->out_stride;
        for (uint32_t i = 0; i < cell->width; i++) {
            out[i] = r[i] * h[i];
        }
    }
    multiply_state(cell, 2, 3, (struct float_rows){job->out, job->out_stride});
}

static void gru_finish(const struct cell *cell, uint32_t row, bool reset_after)
{
    float *z = row_of(cell, cell->from_in, row), *r = z + cell->width, *fresh = r + cell->width;
    const float *back = row_of(cell, cell->from_state, row) + 2 * cell->width;
    float *h = row_state(cell, row);
    float *out = (float *)cell->job->out + row * cell->job->out_stride;
    for (uint32_t i = 0; i < cell->width; i++) {
        fresh[i] += reset_after ? r[i] * back[i] : back[i];
    }
    cell->ops->tanh(fresh, cell->width);
    for (uint32_t i = 0; i < cell->width; i++) {
        h[i] = (1.0f - z[i]) * fresh[i] + z[i] * h[i];
        out[i] = h[i];
    }
}

void float_gru(const struct mlrt_job *job)
{
    const struct cell cell = cell_of(job);
    const bool reset_after = job->layer->params[CELL_RESET_AFTER];
    multiply_in(&cell);
    multiply_state(&cell, 0, reset_after ? 3 : 2,
                   (struct float_rows){job->state, job->state_stride});
    gru_gates(&cell);
    if (!reset_after) {
        gru_reset_before(&cell);
    }
    for (uint32_t row = 0; row < job->rows; row++) {
        gru_finish(&cell, row, reset_after);
    }
}

static void lstm_finish(const struct cell *cell, uint32_t row)
{
    float *i = row_of(cell, cell->from_in, row), *o = i + cell->width, *f = o + cell->width;
    float *fresh = f + cell->width;
    float *h = row_state(cell, row), *c = h + cell->width;
    float *out = (float *)cell->job->out + row * cell->job->out_stride;
    add(i, row_of(cell, cell->from_state, row), 4 * cell->width);
    cell->ops->sigmoid(i, 3 * cell->width);
    cell->ops->tanh(fresh, cell->width);
    for (uint32_t n = 0; n < cell->width; n++) {
        c[n] = f[n] * c[n] + i[n] * fresh[n];
        h[n] = c[n];
    }
    cell->ops->tanh(h, cell->width);
    for (uint32_t n = 0; n < cell->width; n++) {
        h[n] = o[n] * h[n];
        out[n] = h[n];
    }
}

void float_lstm(const struct mlrt_job *job)
{
    const struct cell cell = cell_of(job);
    multiply_in(&cell);
    multiply_state(&cell, 0, 4, (struct float_rows){job->state, job->state_stride});
    for (uint32_t row = 0; row < job->rows; row++) {
        lstm_finish(&cell, row);
    }
}
