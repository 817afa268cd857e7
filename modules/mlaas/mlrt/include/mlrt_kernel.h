/*
 * mlrt_kernel.h: lib/mlrt for modules, from module mlrt: one copy of the code for all policies,
 * with cpu_vector_begin() and cpu_vector_end() around what needs them. Name modules/mlaas/mlrt and
 * lib/mlrt in NEEDS and mlrt in the manifest's needs. (NEEDS of lib/mlrt alone gives a module a
 * copy of its own, without these.)
 *
 * A policy's hook, which must not wait and may come from an interrupt, runs an integer model that
 * it opened on MLRT_SCALAR with mlrt_run_integer(): general registers only, nothing of this file.
 */
#pragma once

#include "lib/mlrt/gpu.h"
#include "lib/mlrt/mlrt.h"

/*
 * mlrt_run_steps() and mlrt_run_steps_integer() of mlrt.h. A long batch lets other threads run
 * after every MLRT_KERNEL_BYTES of work. Thread context. The workspace is for MLRT_KERNEL_ROWS
 * rows, or for fewer where `rows` is smaller.
 */
#define MLRT_KERNEL_ROWS  32u
#define MLRT_KERNEL_BYTES (512u << 10) /* of weights read: some tens of microseconds */

void mlrt_kernel_run(const struct mlrt_model *model, const float *in, uint32_t rows, uint32_t steps,
                     void *state, float *out, void *workspace);
void mlrt_kernel_run_integer(const struct mlrt_model *model, const int32_t *in, uint32_t rows,
                             uint32_t steps, void *state, int32_t *out, void *workspace);

/* mlrt_train() of mlrt.h, row by row. Thread context. */
int mlrt_kernel_train(const struct mlrt_model *model, void *memory, const float *in,
                      const float *targets, uint32_t rows, const struct mlrt_sgd *how,
                      void *workspace);
