/*
 * gpu.h: a float32 model as built-in operations of the GPU (uapi/virtio_gpgpu.h): what its weights
 * look like there, and the commands that run it on a batch. Dense layers with every activation but
 * SHARES, SCALE, PAIR and LSTM; others are the processor's. Pure code with general registers only;
 * any context.
 *
 * Results differ from mlrt_run()'s by rounding: the device sums in another order.
 */
#pragma once

#include "lib/gpucmd/gpucmd.h"
#include "lib/mlrt/mlrt.h"

#define MLRT_GPU_STEPS_MAX 256u

/* How a model lies on the device. The fields are the library's, but those that are explained. */
struct mlrt_gpu {
    const struct mlrt_model *model;
    uint32_t weight_bytes;        /* of the weights' buffer */
    uint32_t widest;              /* numbers in the widest row between layers */
    uint32_t cells;               /* LSTM layers; they come before all others that are not SCALE */
    uint32_t at[MLRT_LAYERS_MAX]; /* of a layer's numbers in the weights' buffer, bytes */
};

/*
 * Lays a model out. operations: of the device's configuration. NULL, or why the device can't run
 * it, a phrase without a full stop.
 */
const char *mlrt_gpu_plan(struct mlrt_gpu *gpu, const struct mlrt_model *model,
                          const uint16_t *operations);

/* Writes `count` numbers of the weights' buffer from number `first` on. */
void mlrt_gpu_weights(const struct mlrt_gpu *gpu, uint32_t first, uint32_t count, uint32_t *out);

/* The device's buffers: numbers of objects. */
struct mlrt_gpu_buffers {
    uint32_t weights;
    uint32_t in;       /* rows * steps * inputs numbers, as mlrt_run_steps() takes them */
    uint32_t out;      /* rows * outputs numbers */
    uint32_t areas[2]; /* mlrt_gpu_area_bytes() each */
};

uint64_t mlrt_gpu_area_bytes(const struct mlrt_gpu *gpu, uint32_t rows, uint32_t steps);

/* Once, when the weights are there: what the device itself does to them. May be nothing. */
void mlrt_gpu_prepare(const struct mlrt_gpu *gpu, uint32_t weights, struct gpucmd *c);

/* One run from the state zero. steps: 1 for models without cells, at most MLRT_GPU_STEPS_MAX. */
void mlrt_gpu_run(const struct mlrt_gpu *gpu, const struct mlrt_gpu_buffers *buffers, uint32_t rows,
                  uint32_t steps, struct gpucmd *c);
