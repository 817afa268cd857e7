/*
 * gpu.c: puts the net on the device: kernels, weights, images, room for the layers.
 */
#include "gpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "message.h"

#define LOG_BYTES 16384u

static const char *const kernel_names[GPU_KERNEL_COUNT] = {
    [GPU_SCALE_PIXELS] = "scale_pixels",
    [GPU_CONV3X3_RELU] = "conv3x3_relu",
    [GPU_MAX_POOL] = "max_pool",
    [GPU_DENSE] = "dense",
    [GPU_SOFTMAX_ARGMAX] = "softmax_argmax",
};

/* Floats of one image. */
static const uint32_t layer_floats[GPU_LAYER_COUNT] = {
    [GPU_PIXELS] = DIGITS_PIXELS,
    [GPU_CONV1] = DIGITS_CHANNELS1 * DIGITS_PIXELS,
    [GPU_CONV2] = DIGITS_CHANNELS2 * DIGITS_PIXELS,
    [GPU_FEATURES] = DIGITS_FEATURES,
    [GPU_SCORES] = DIGITS_CLASSES,
};

int gpu_open(struct gpu *gpu, const char *path)
{
    memset(gpu, 0, sizeof(*gpu));
    malv_batch_init(&gpu->commands);
    int error = malv_device_open(path, &gpu->device);
    if (error != 0) {
        return message_error("no device at %s: %s; start the machine with a GPU (malv run --gpu "
                             "auto) or name one with --device",
                             path != NULL ? path : MALV_DEVICE_PATH, malv_error_text(error));
    }
    const struct vgpgpu_config *config = malv_device_config(gpu->device);
    printf("device: %s (%s, %s)\n", config->device_name, config->backend, config->backend_version);
    return 0;
}

/* The build log on standard error: what the compiler of the host said. */
static void log_print(const char *log)
{
    if (log[0] != '\0') {
        fprintf(stderr, "%s%s", log, log[strlen(log) - 1] == '\n' ? "" : "\n");
    }
}

static int program_build(struct gpu *gpu, uint32_t *program)
{
    char *log = calloc(1, LOG_BYTES);
    int error =
        malv_program_build(gpu->device, VGPGPU_PROGRAM_OPENCL_C, digits_kernels,
                           strlen(digits_kernels), NULL, log, log != NULL ? LOG_BYTES : 0, program);
    if (error == -ENOEXEC && log != NULL) {
        log_print(log);
    }
    free(log);
    if (error != 0) {
        return message_error("the device can't build the kernels: %s; try another back end",
                             malv_error_text(error));
    }
    return 0;
}

static int kernels_create(struct gpu *gpu)
{
    uint32_t program;
    if (program_build(gpu, &program) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < GPU_KERNEL_COUNT; i++) {
        int error =
            malv_kernel_create(gpu->device, program, kernel_names[i], &gpu->kernels[i], NULL);
        if (error != 0) {
            return message_error("the device has no kernel %s: %s; try another back end",
                                 kernel_names[i], malv_error_text(error));
        }
    }
    malv_program_destroy(gpu->device, program);
    return 0;
}

static int buffer_create(struct gpu *gpu, uint64_t size, uint32_t flags, struct malv_buffer *buffer)
{
    int error = malv_buffer_create(gpu->device, size, flags, buffer);
    if (error == 0 && (flags & VGPGPU_BUFFER_GUEST)) {
        error = malv_buffer_map(gpu->device, buffer);
    }
    if (error != 0) {
        return message_error("can't create a buffer of %llu bytes: %s; lower --batch or give the "
                             "machine more memory",
                             (unsigned long long)size, malv_error_text(error));
    }
    return 0;
}

static int buffers_create(struct gpu *gpu)
{
    uint64_t count = gpu->count;
    if (buffer_create(gpu, count * DIGITS_PIXELS, VGPGPU_BUFFER_GUEST, &gpu->images) != 0 ||
        buffer_create(gpu, count * DIGITS_CLASSES * sizeof(float), VGPGPU_BUFFER_GUEST,
                      &gpu->probabilities) != 0 ||
        buffer_create(gpu, count * sizeof(uint32_t), VGPGPU_BUFFER_GUEST, &gpu->answers) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < GPU_LAYER_COUNT; i++) {
        uint64_t size = (uint64_t)gpu->batch * layer_floats[i] * sizeof(float);
        if (buffer_create(gpu, size, VGPGPU_BUFFER_DEVICE, &gpu->layers[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Copies the weights from `staging`, guest memory, into buffers of the device, and waits. */
static int weights_copy(struct gpu *gpu, const struct digits_model *model,
                        const struct malv_buffer *staging)
{
    uint64_t offset = 0;
    uint64_t fence;
    malv_batch_reset(&gpu->commands);
    for (uint32_t i = 0; i < DIGITS_TENSOR_COUNT; i++) {
        uint64_t bytes = model->bytes[i];
        if (buffer_create(gpu, bytes, VGPGPU_BUFFER_DEVICE, &gpu->tensors[i]) != 0) {
            return -1;
        }
        memcpy((uint8_t *)staging->memory + offset, model->tensors[i], bytes);
        malv_batch_copy(&gpu->commands, staging, offset, &gpu->tensors[i], 0, bytes);
        offset += bytes;
    }
    int error = malv_submit(gpu->device, 0, &gpu->commands, &fence);
    if (error == 0) {
        error = malv_wait(gpu->device, 0, fence, UINT64_MAX);
    }
    if (error != 0) {
        return message_error("can't copy the weights to the device: %s; start the machine again",
                             malv_error_text(error));
    }
    return 0;
}

static int weights_load(struct gpu *gpu, const struct digits_model *model)
{
    struct malv_buffer staging;
    uint64_t total = 0;
    for (uint32_t i = 0; i < DIGITS_TENSOR_COUNT; i++) {
        total += model->bytes[i];
    }
    int result = buffer_create(gpu, total, VGPGPU_BUFFER_GUEST, &staging);
    if (result == 0) {
        result = weights_copy(gpu, model, &staging);
    }
    malv_buffer_destroy(gpu->device, &staging);
    return result;
}

int gpu_load(struct gpu *gpu, const struct digits_model *model, const struct digits_set *set,
             uint32_t batch)
{
    gpu->count = set->count;
    gpu->batch = batch;
    if (kernels_create(gpu) != 0 || buffers_create(gpu) != 0 || weights_load(gpu, model) != 0) {
        return -1;
    }
    memcpy(gpu->images.memory, set->images, (size_t)set->count * DIGITS_PIXELS);
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    if (gpu->device == NULL) {
        return;
    }
    malv_buffer_unmap(&gpu->images);
    malv_buffer_unmap(&gpu->probabilities);
    malv_buffer_unmap(&gpu->answers);
    malv_batch_free(&gpu->commands);
    malv_device_close(gpu->device); /* and with it all that was created */
    gpu->device = NULL;
}
