/*
 * operations.c: the built-in operations by their names. The device checks the tensors: what is
 * refused here would not fit the command.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define LSTM_TENSORS 9u

/* Puts tensors side by side; one that is NULL is left out. */
static void tensors_gather(struct vgpgpu_tensor *out, const struct vgpgpu_tensor *const *in,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = in[i] != NULL ? *in[i] : (struct vgpgpu_tensor){0};
    }
}

int malv_batch_conv2d(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *weights,
                      const struct vgpgpu_tensor *bias, const struct vgpgpu_conv2d *parameters)
{
    const struct vgpgpu_tensor *const all[4] = {result, source, weights, bias};
    struct vgpgpu_tensor tensors[4];
    tensors_gather(tensors, all, 4);
    return malv_batch_operation(batch, VGPGPU_CONV2D, tensors, 4, parameters, sizeof(*parameters));
}

/* Result and source with parameters. */
static int pair_add(struct malv_batch *batch, uint32_t operation,
                    const struct vgpgpu_tensor *result, const struct vgpgpu_tensor *source,
                    const void *parameters, size_t bytes)
{
    const struct vgpgpu_tensor tensors[2] = {*result, *source};
    return malv_batch_operation(batch, operation, tensors, 2, parameters, bytes);
}

int malv_batch_pool2d(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, const struct vgpgpu_pool2d *parameters)
{
    return pair_add(batch, VGPGPU_POOL2D, result, source, parameters, sizeof(*parameters));
}

int malv_batch_softmax(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                       const struct vgpgpu_tensor *source, uint32_t axis)
{
    const struct vgpgpu_softmax softmax = {.axis = axis};
    return pair_add(batch, VGPGPU_SOFTMAX, result, source, &softmax, sizeof(softmax));
}

int malv_batch_reduce(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, uint32_t kind)
{
    const struct vgpgpu_reduce reduce = {.kind = kind};
    return pair_add(batch, VGPGPU_REDUCE, result, source, &reduce, sizeof(reduce));
}

int malv_batch_layer_norm(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                          const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *scale,
                          const struct vgpgpu_tensor *shift, float epsilon)
{
    const struct vgpgpu_tensor *const all[4] = {result, source, scale, shift};
    const struct vgpgpu_norm norm = {.epsilon = epsilon};
    struct vgpgpu_tensor tensors[4];
    tensors_gather(tensors, all, 4);
    return malv_batch_operation(batch, VGPGPU_LAYER_NORM, tensors, 4, &norm, sizeof(norm));
}

int malv_batch_batch_norm(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                          const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *mean,
                          const struct vgpgpu_tensor *variance, const struct vgpgpu_tensor *scale,
                          const struct vgpgpu_tensor *shift, float epsilon)
{
    const struct vgpgpu_tensor *const all[6] = {result, source, mean, variance, scale, shift};
    const struct vgpgpu_norm norm = {.epsilon = epsilon};
    struct vgpgpu_tensor tensors[6];
    tensors_gather(tensors, all, 6);
    return malv_batch_operation(batch, VGPGPU_BATCH_NORM, tensors, 6, &norm, sizeof(norm));
}

int malv_batch_elementwise(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                           const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *operands,
                           uint32_t operand_count, const struct vgpgpu_step *steps, uint32_t count)
{
    struct vgpgpu_tensor tensors[VGPGPU_MAX_TENSORS] = {*result, *source};
    struct {
        struct vgpgpu_elementwise head;
        struct vgpgpu_step steps[VGPGPU_MAX_STEPS];
    } chain = {.head = {.count = count}};
    if (batch->error != 0) {
        return batch->error;
    }
    if (count > VGPGPU_MAX_STEPS || operand_count > VGPGPU_MAX_TENSORS - 2) {
        return batch->error = -EINVAL;
    }
    if (operand_count > 0) {
        memcpy(tensors + 2, operands, operand_count * sizeof(*operands));
    }
    memcpy(chain.steps, steps, count * sizeof(*steps));
    return malv_batch_operation(batch, VGPGPU_ELEMENTWISE, tensors, 2 + operand_count, &chain,
                                sizeof(chain.head) + count * sizeof(*steps));
}

int malv_batch_lstm(struct malv_batch *batch, const struct malv_lstm *lstm)
{
    const struct vgpgpu_tensor *const all[LSTM_TENSORS] = {
        lstm->result, lstm->last_hidden,   lstm->last_cell,
        lstm->source, lstm->input_weights, lstm->hidden_weights,
        lstm->bias,   lstm->first_hidden,  lstm->first_cell};
    const struct vgpgpu_lstm parameters = {.reverse = lstm->reverse};
    struct vgpgpu_tensor tensors[LSTM_TENSORS];
    tensors_gather(tensors, all, LSTM_TENSORS);
    return malv_batch_operation(batch, VGPGPU_LSTM, tensors, LSTM_TENSORS, &parameters,
                                sizeof(parameters));
}
