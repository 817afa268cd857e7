/*
 * internal.h: what the files of mlrt share.
 *
 * A value between layers is a cell of four bytes: a float, or an integer with MLRT_FRACTION
 * fraction bits. run.c moves cells without looking into them; layers of either kind are called
 * through a table. The paths differ in the inner loops only: struct mlrt_ops.
 */
#pragma once

#include "lib/mlrt/layout.h"
#include "lib/mlrt/mlrt.h"

/* Rows that run together; a larger batch runs in slices of so many. */
#define SLICE_ROWS 32u

/* A float32 matrix with its bias, in panels. */
struct float_matrix {
    const float *weights, *bias;
    uint32_t inputs, panels;
};

/* Rows of cells: `stride` cells from one to the next. */
struct float_rows {
    const float *cells;
    size_t stride;
};

struct float_rows_out {
    float *cells;
    size_t stride;
};

struct float_ops {
    /* out[row][output] = bias + sum over the inputs, in their order. Writes whole panels. */
    void (*dense)(const struct float_matrix *matrix, struct float_rows in, uint32_t rows,
                  struct float_rows_out out);
    /* In place, on a multiple of MLRT_PANEL numbers. Largest absolute errors (over all float32, by
     * tests/unit/mlrt): sigmoid and tanh 1.8e-7; exp 2.4e-7 of its value in -87..88, saturating
     * outside. */
    void (*sigmoid)(float *x, size_t count);
    void (*tanh)(float *x, size_t count);
    void (*exp)(float *x, size_t count);
    /* Squared distances of one row to `blocks` blocks of 8 points. */
    void (*distances)(const float *points, uint32_t inputs, uint32_t blocks, const float *in,
                      float *out);
};

/* An int8 matrix in panels; `pairs` of inputs. */
struct integer_panels {
    const int8_t *weights;
    uint32_t pairs, panels;
};

struct integer_ops {
    /* sums[output] = sum over the pairs of inputs; a pair is two int16 in one cell, values
     * -127..127. */
    void (*dense)(const struct integer_panels *matrix, const int32_t *pairs, int32_t *sums);
    void (*distances)(const struct integer_panels *points, const int32_t *pairs, int32_t *out);
};

struct mlrt_ops {
    const struct float_ops *floats;
    const struct integer_ops *integers;
};

extern const struct float_ops mlrt_float_scalar, mlrt_float_sse2, mlrt_float_avx2;
extern const struct integer_ops mlrt_integer_scalar, mlrt_integer_sse2, mlrt_integer_avx2;

/* paths.c */
const struct mlrt_ops *path_ops(enum mlrt_path path);

/* One layer's work on a slice of rows. */
struct mlrt_job {
    const struct mlrt_model *model;
    const struct mlrt_layer *layer;
    const uint32_t *arrays;
    const void *in;
    size_t in_stride; /* cells; so are all strides */
    void *out;        /* rows of out_stride cells, a multiple of MLRT_PANEL */
    size_t out_stride;
    uint32_t rows;
    void *state; /* the layer's part of the first row's state */
    size_t state_stride;
    void *scratch;
};

typedef void (*mlrt_layer_run)(const struct mlrt_job *job);

/* float_*.c: need vector registers */
extern const mlrt_layer_run mlrt_float_layers[MLRT_KINDS];
void mlrt_float_activate(const struct mlrt_job *job);
void float_gru(const struct mlrt_job *job);
void float_lstm(const struct mlrt_job *job);
void float_forest(const struct mlrt_job *job);
void float_nearest(const struct mlrt_job *job);
void cells_from_floats(int32_t *out, const float *in, size_t count, uint32_t fraction);
void cells_to_floats(float *out, const int32_t *in, size_t count, uint32_t fraction);

/* integer_*.c: general registers only, but for what ops->integers points to */
extern const mlrt_layer_run mlrt_integer_layers[MLRT_KINDS];
void mlrt_integer_activate(const struct mlrt_job *job);
void integer_gru(const struct mlrt_job *job);
void integer_lstm(const struct mlrt_job *job);
void integer_forest(const struct mlrt_job *job);
void integer_nearest(const struct mlrt_job *job);

/* run.c */
void model_measure(struct mlrt_model *model); /* fills in widest, scratch, state, last_cell */

static inline const void *model_array(const struct mlrt_model *model, const uint32_t *arrays,
                                      uint32_t index)
{
    return model->bytes + arrays[index];
}

static inline const void *job_array(const struct mlrt_job *job, uint32_t index)
{
    return model_array(job->model, job->arrays, index);
}

static inline bool layer_is_cell(const struct mlrt_layer *layer)
{
    return layer->kind == MLRT_GRU || layer->kind == MLRT_LSTM;
}
