/*
 * main.c: module mlrt: lib/mlrt for other modules; mlrt_kernel.h describes it. It keeps no state.
 */
#include <microlake/cpu.h>
#include <microlake/log.h>

#include "modules/mlaas/mlrt/include/mlrt_kernel.h"
#include "uapi/kmod.h"

/* Rows that run with preemption disabled. */
static uint32_t rows_at_once(const struct mlrt_model *model, uint32_t steps)
{
    uint64_t bytes = model->header->file_bytes * (steps ? steps : 1);
    uint64_t rows = MLRT_KERNEL_BYTES / bytes;

    return rows < 1 ? 1 : rows > MLRT_KERNEL_ROWS ? MLRT_KERNEL_ROWS : (uint32_t)rows;
}

/* A part of a batch; the arrays are of floats or of integers, both of four bytes. */
struct part {
    const uint32_t *in;
    uint32_t rows;
    uint8_t *state;
    uint32_t *out;
};

static struct part part_next(const struct mlrt_model *model, struct part *left, uint32_t steps)
{
    struct part part = *left;
    uint32_t most = rows_at_once(model, steps);

    part.rows = left->rows < most ? left->rows : most;
    left->in += (size_t)part.rows * steps * model->header->inputs;
    left->out += (size_t)part.rows * model->header->outputs;
    left->state += left->state ? part.rows * mlrt_state_bytes(model) : 0;
    left->rows -= part.rows;
    return part;
}

void mlrt_kernel_run(const struct mlrt_model *model, const float *in, uint32_t rows, uint32_t steps,
                     void *state, float *out, void *workspace)
{
    struct part left = {(const uint32_t *)in, rows, state, (uint32_t *)out};

    while (left.rows) {
        struct part part = part_next(model, &left, steps);

        cpu_vector_begin();
        mlrt_run_steps(model, (const float *)part.in, part.rows, steps, part.state,
                       (float *)part.out, workspace);
        cpu_vector_end();
    }
}

void mlrt_kernel_run_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                             uint32_t steps, void *state, int32_t *out, void *workspace)
{
    struct part left = {(const uint32_t *)in, rows, state, (uint32_t *)out};

    while (left.rows) {
        struct part part = part_next(model, &left, steps);

        cpu_vector_begin();
        mlrt_run_steps_integer(model, (const int32_t *)part.in, part.rows, steps, part.state,
                               (int32_t *)part.out, workspace);
        cpu_vector_end();
    }
}

int mlrt_kernel_train(const struct mlrt_model *model, void *memory, const float *in,
                      const float *targets, uint32_t rows, const struct mlrt_sgd *how,
                      void *workspace)
{
    int status = MLRT_OK;

    for (uint32_t row = 0; row < rows && status == MLRT_OK; row++) {
        cpu_vector_begin();
        status = mlrt_train(model, memory, in + (size_t)row * model->header->inputs,
                            targets + (size_t)row * model->header->outputs, 1, how, workspace);
        cpu_vector_end();
    }
    return status;
}

static int mlrt_init(void)
{
    log_info("mlrt: runs models with %s", mlrt_path_name(mlrt_best_path()));
    return OK;
}

static void mlrt_exit(void)
{
}

KMOD_MANIFEST(.name = "mlrt", .version = "1.0.0", .init = mlrt_init, .exit = mlrt_exit);
