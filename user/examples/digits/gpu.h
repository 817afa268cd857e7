/*
 * gpu.h: the net on the device, through libmalv.
 *
 * The images and the answers lie in guest memory that the device uses in place; weights and what is
 * between the layers lie in the device's own memory.
 */
#pragma once

#include "model.h"
#include "user/libmalv/malv.h"

enum gpu_kernel {
    GPU_SCALE_PIXELS,
    GPU_CONV3X3_RELU,
    GPU_MAX_POOL,
    GPU_DENSE,
    GPU_SOFTMAX_ARGMAX,
    GPU_KERNEL_COUNT,
};

/* Buffers of values between the layers, for one batch of images. */
enum gpu_layer {
    GPU_PIXELS,
    GPU_CONV1,
    GPU_CONV2,
    GPU_FEATURES,
    GPU_SCORES,
    GPU_LAYER_COUNT,
};

/* Used by one thread. */
struct gpu {
    struct malv_device *device;
    uint32_t count; /* images of the set */
    uint32_t batch; /* images of one submission */
    uint32_t kernels[GPU_KERNEL_COUNT];
    struct malv_buffer tensors[DIGITS_TENSOR_COUNT];
    struct malv_buffer layers[GPU_LAYER_COUNT];
    struct malv_buffer images;        /* guest memory, like the set's */
    struct malv_buffer probabilities; /* guest memory, float [count][DIGITS_CLASSES] */
    struct malv_buffer answers;       /* guest memory, uint32_t [count] */
    struct malv_batch commands;
};

/*
 * Opens the device `path` (NULL: the usual one) and says what it is on standard output; then puts
 * the net and the set on it. `batch` is 1..set->count. 0, or -1 with a message on standard error.
 * gpu_close is needed in both cases.
 */
int gpu_open(struct gpu *gpu, const char *path);
int gpu_load(struct gpu *gpu, const struct digits_model *model, const struct digits_set *set,
             uint32_t batch);

/*
 * The net on the whole set, batch by batch; afterwards probabilities.memory and answers.memory hold
 * the outcome. `meanwhile`, if not NULL, is called with `argument` while the device works. The time
 * from the first submission to the last fence is `*spent_ns`. 0, or -1 with a message on standard
 * error (from `meanwhile` too).
 */
int gpu_pass(struct gpu *gpu, int (*meanwhile)(void *argument), void *argument, uint64_t *spent_ns);

void gpu_close(struct gpu *gpu);
