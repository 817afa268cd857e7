/*
 * gpu_pass.c: runs the net on the set. One batch of images is one submission of six launches; a few
 * submissions are under way at once, so that the device need not wait for this program.
 */
#include "gpu.h"

#include "clock.h"
#include "message.h"

#define QUEUE        0u
#define SUBMISSIONS  4u /* under way at once */
#define STALE_ANSWER 0xffffffffu

static void record_conv(struct gpu *gpu, enum gpu_layer from, uint32_t in_channels,
                        enum digits_tensor weight, enum gpu_layer to, uint32_t out_channels,
                        uint64_t images)
{
    const uint64_t global[] = {DIGITS_PIXELS, out_channels, images};
    const struct malv_arg args[] = {
        malv_arg_buffer(&gpu->layers[from], 0),
        malv_arg_buffer(&gpu->tensors[weight], 0),
        malv_arg_buffer(&gpu->tensors[weight + 1], 0), /* its bias */
        malv_arg_value(&in_channels, sizeof(in_channels)),
        malv_arg_buffer(&gpu->layers[to], 0),
    };
    malv_batch_launch(&gpu->commands, gpu->kernels[GPU_CONV3X3_RELU], 3, global, NULL, args, 5);
}

static void record_scale(struct gpu *gpu, uint32_t first, uint64_t images)
{
    const uint64_t global[] = {images * DIGITS_PIXELS};
    const struct malv_arg args[] = {
        malv_arg_buffer(&gpu->images, 0),
        malv_arg_value(&first, sizeof(first)),
        malv_arg_buffer(&gpu->layers[GPU_PIXELS], 0),
    };
    malv_batch_launch(&gpu->commands, gpu->kernels[GPU_SCALE_PIXELS], 1, global, NULL, args, 3);
}

static void record_pool(struct gpu *gpu, uint64_t images)
{
    const uint64_t global[] = {DIGITS_POOLED, DIGITS_CHANNELS2, images};
    const struct malv_arg args[] = {
        malv_arg_buffer(&gpu->layers[GPU_CONV2], 0),
        malv_arg_buffer(&gpu->layers[GPU_FEATURES], 0),
    };
    malv_batch_launch(&gpu->commands, gpu->kernels[GPU_MAX_POOL], 3, global, NULL, args, 2);
}

static void record_dense(struct gpu *gpu, uint64_t images)
{
    const uint64_t global[] = {DIGITS_CLASSES, images};
    const uint32_t features = DIGITS_FEATURES;
    const struct malv_arg args[] = {
        malv_arg_buffer(&gpu->layers[GPU_FEATURES], 0),
        malv_arg_buffer(&gpu->tensors[DIGITS_DENSE_WEIGHT], 0),
        malv_arg_buffer(&gpu->tensors[DIGITS_DENSE_BIAS], 0),
        malv_arg_value(&features, sizeof(features)),
        malv_arg_buffer(&gpu->layers[GPU_SCORES], 0),
    };
    malv_batch_launch(&gpu->commands, gpu->kernels[GPU_DENSE], 2, global, NULL, args, 5);
}

static void record_softmax(struct gpu *gpu, uint32_t first, uint64_t images)
{
    const uint64_t global[] = {images};
    const uint32_t classes = DIGITS_CLASSES;
    const struct malv_arg args[] = {
        malv_arg_buffer(&gpu->layers[GPU_SCORES], 0),
        malv_arg_value(&classes, sizeof(classes)),
        malv_arg_value(&first, sizeof(first)),
        malv_arg_buffer(&gpu->probabilities, 0),
        malv_arg_buffer(&gpu->answers, 0),
    };
    malv_batch_launch(&gpu->commands, gpu->kernels[GPU_SOFTMAX_ARGMAX], 1, global, NULL, args, 5);
}

/* The net on the images first .. first + images - 1. */
static void record_net(struct gpu *gpu, uint32_t first, uint64_t images)
{
    record_scale(gpu, first, images);
    record_conv(gpu, GPU_PIXELS, 1, DIGITS_CONV1_WEIGHT, GPU_CONV1, DIGITS_CHANNELS1, images);
    record_conv(gpu, GPU_CONV1, DIGITS_CHANNELS1, DIGITS_CONV2_WEIGHT, GPU_CONV2, DIGITS_CHANNELS2,
                images);
    record_pool(gpu, images);
    record_dense(gpu, images);
    record_softmax(gpu, first, images);
}

static int gpu_complain(int error)
{
    return message_error("the device failed: %s; start the machine again or try another back end",
                         malv_error_text(error));
}

static int batch_submit(struct gpu *gpu, uint32_t first, uint64_t *fence)
{
    uint32_t left = gpu->count - first;
    malv_batch_reset(&gpu->commands);
    if (first == 0) { /* answers of an earlier pass must not pass for this one's */
        const uint32_t stale = STALE_ANSWER;
        malv_batch_fill(&gpu->commands, &gpu->answers, 0, gpu->answers.size, &stale, sizeof(stale));
        malv_batch_fill(&gpu->commands, &gpu->probabilities, 0, gpu->probabilities.size, &stale,
                        sizeof(stale));
    }
    record_net(gpu, first, left < gpu->batch ? left : gpu->batch);
    return malv_submit(gpu->device, QUEUE, &gpu->commands, fence);
}

int gpu_pass(struct gpu *gpu, int (*meanwhile)(void *argument), void *argument, uint64_t *spent_ns)
{
    uint64_t fences[SUBMISSIONS] = {0}; /* of the newest submissions, 0: none yet */
    uint64_t fence = 0;
    uint32_t submission = 0;
    int result = 0;
    uint64_t start_ns = clock_now_ns();
    for (uint32_t first = 0; first < gpu->count; submission++) {
        uint64_t *oldest = &fences[submission % SUBMISSIONS];
        int error = malv_wait(gpu->device, QUEUE, *oldest, UINT64_MAX);
        if (error == 0) {
            error = batch_submit(gpu, first, &fence);
        }
        if (error != 0) {
            return gpu_complain(error);
        }
        *oldest = fence;
        if (first == 0 && meanwhile != NULL) {
            result = meanwhile(argument);
        }
        first += gpu->count - first < gpu->batch ? gpu->count - first : gpu->batch;
    }
    int error = malv_wait(gpu->device, QUEUE, fence, UINT64_MAX);
    *spent_ns = clock_now_ns() - start_ns;
    return error != 0 ? gpu_complain(error) : result;
}
