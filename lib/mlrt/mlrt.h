/*
 * mlrt.h: inference and online training of small models, for kernel, host and user programs.
 *
 * A model is a view of a file in memory (format.h, docs/mlrt.md); nothing is allocated, ever. The
 * caller gives a workspace, whose size is known once the model is open. A model that was opened may
 * be run by any number of threads at once, each with its own workspace and states.
 *
 * Two kinds of models: float32, and integer (int8 weights, fixed point). Both run with either kind
 * of input. Every path (scalar, SSE2, AVX2) gives the same bits.
 *
 * In the kernel: whatever touches vector registers must lie between cpu_vector_begin() and
 * cpu_vector_end(). That is everything here but mlrt_open() and its like, and mlrt_run_integer() of
 * an integer model on MLRT_SCALAR, which uses general registers only and runs in any context.
 * modules/mlaas/mlrt does the bracketing for other modules. The rounding and the exception masks
 * that a program has set do not matter: they are put aside for each run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mlrt/format.h"

enum mlrt_path {
    MLRT_SCALAR,
    MLRT_SSE2,
    MLRT_AVX2,
    MLRT_BEST, /* what the processor has */
};

enum mlrt_status {
    MLRT_OK = 0,
    MLRT_NOT_ONE = -1, /* the magic is another file's */
    MLRT_VERSION_NEW = -2,
    MLRT_TRUNCATED = -3, /* shorter or longer than the header says */
    MLRT_CHECKSUM = -4,
    MLRT_MALFORMED = -5, /* a field contradicts the layout */
    MLRT_ALIGNMENT = -6, /* the memory is not aligned to 8 bytes */
    MLRT_NO_PATH = -7,   /* this processor does not have the path */
    MLRT_NOT_TRAINABLE = -8,
    MLRT_NOT_FINITE = -9, /* training: the step would put infinity or NaN into the model */
};

struct mlrt_ops;

/* An open model. The fields are the library's. Valid as long as the file's memory is there,
 * unchanged. */
struct mlrt_model {
    const uint8_t *bytes;
    const struct mlrt_header *header;
    const struct mlrt_layer *layers;
    const struct mlrt_ops *ops;
    uint32_t arrays[MLRT_LAYERS_MAX][MLRT_ARRAYS_MAX]; /* offsets in the file */
    uint32_t widest;                                   /* cells of the widest row between layers */
    uint32_t scratch; /* cells that a layer wants for each row of a slice */
    uint32_t
        scratch_once;   /* cells that a layer wants, however many rows; the larger of both counts */
    uint32_t state;     /* cells of state for each row */
    uint32_t last_cell; /* layers behind this one run in the last step only */
};

/* The best path of this processor, and whether it has one. Any context. */
enum mlrt_path mlrt_best_path(void);
bool mlrt_has_path(enum mlrt_path path);
const char *mlrt_path_name(enum mlrt_path path);

/*
 * Checks the `size` bytes at `memory` (8-aligned, kept by the caller) as files of strangers are
 * checked and makes `model` a view of them. On an error (enum mlrt_status) `model` is left alone.
 * Any context.
 */
int mlrt_open(struct mlrt_model *model, const void *memory, size_t size, enum mlrt_path path);

/* What a status means: a phrase without a full stop. Never NULL. */
const char *mlrt_error_text(int status);

/* Bytes of workspace for runs of up to `rows` rows. It stops growing at some rows: large batches
 * run in slices. The workspace must be aligned to 32 bytes. */
size_t mlrt_workspace_bytes(const struct mlrt_model *model, uint32_t rows);

/* Bytes of state for each row of a model with GRU or LSTM layers; 0 for others. All zero: the
 * start. */
size_t mlrt_state_bytes(const struct mlrt_model *model);

/*
 * Runs a model on `rows` rows of header->inputs numbers and writes as many rows of header->outputs.
 * The integer form takes inputs with header->input_fraction fraction bits (float models: whole
 * numbers) and gives outputs with MLRT_FRACTION bits, saturated.
 */
void mlrt_run(const struct mlrt_model *model, const float *in, uint32_t rows, float *out,
              void *workspace);
void mlrt_run_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                      int32_t *out, void *workspace);

/*
 * The same for models with states: `steps` rows in a row for each sequence,
 * in[rows][steps][inputs]; the outputs are those of the last step. `state`, mlrt_state_bytes() for
 * each row, goes from call to call, so that sequences may come one step at a time. mlrt_run()
 * starts at zero and takes one step.
 */
void mlrt_run_steps(const struct mlrt_model *model, const float *in, uint32_t rows, uint32_t steps,
                    void *state, float *out, void *workspace);
void mlrt_run_steps_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                            uint32_t steps, void *state, int32_t *out, void *workspace);

/* The largest of `count` outputs; of equal ones the first. General registers only, any context. */
uint32_t mlrt_largest(const float *outputs, uint32_t count);
uint32_t mlrt_largest_integer(const int32_t *outputs, uint32_t count);

/*
 * Online training by stochastic gradient descent, of float models whose layers are dense (a first
 * SCALE layer stays as it is), with no activation but RELU, SIGMOID and TANH inside. What is
 * minimised follows from the last activation: none: half the squared error; SIGMOID and SOFTMAX:
 * cross-entropy.
 */
struct mlrt_sgd {
    uint32_t rate_millionths;  /* learning rate times 1,000,000 */
    uint32_t decay_millionths; /* weight decay times 1,000,000, as part of the loss */
    uint32_t clip_thousandths; /* largest norm of the outputs' error of a row times 1,000; 0: any */
};

/* MLRT_OK when a model can be trained, else MLRT_NOT_TRAINABLE. Any context. */
int mlrt_can_train(const struct mlrt_model *model);
size_t mlrt_train_workspace_bytes(const struct mlrt_model *model);

/*
 * One step for each of `rows` rows, in order, with targets[rows][outputs]. Writes to the model's
 * memory, so nobody may run it meanwhile: train a copy and let it take the other's place. A step
 * that is not finite is left out; the rest of the rows too, with MLRT_NOT_FINITE.
 */
int mlrt_train(const struct mlrt_model *model, void *memory, const float *in, const float *targets,
               uint32_t rows, const struct mlrt_sgd *how, void *workspace);

/* Makes the checksum of a trained model's memory right again, before it is stored. Any context. */
void mlrt_seal(void *memory, size_t size);
