/* operation_decode.c: a built-in operation of a submission: lengths, buffers, what the check says.
 */
#include "checked.h"
#include "operation_check.h"
#include "submit_decode.h"

/* The tensor's bytes lie in its buffer, whole elements apart from its start. It then names the buffer
 * underneath, should that be a sub-buffer. */
static uint32_t tensor_decode(struct decoder *decoder, struct vgpgpu_tensor *tensor,
                              struct device_buffer **out)
{
    *out = NULL;
    if (!tensor_is_there(tensor))
        return VGPGPU_OK;
    const struct object_facts *facts = decoder->find(decoder, OBJECT_BUFFER, &tensor->buffer);
    if (!facts)
        return VGPGPU_ERR_ID;
    if (tensor->offset % type_bytes(tensor->type) ||
        !range_inside(tensor->offset, tensor_bytes(tensor), facts->buffer.size))
        return VGPGPU_ERR_RANGE;
    tensor->offset += facts->buffer.base;
    *out = facts->buffer.device;
    return VGPGPU_OK;
}

/* The command's parts add up to its length. */
static bool parts_fit(const struct vgpgpu_cmd_operation *command)
{
    uint64_t bytes = sizeof(*command) +
                     (uint64_t)command->tensor_count * sizeof(struct vgpgpu_tensor) +
                     command->parameter_bytes;
    return command->tensor_count <= VGPGPU_MAX_TENSORS && bytes == command->header.bytes;
}

uint32_t operation_decode(struct decoder *decoder, struct vgpgpu_command *header,
                          struct operation *operation)
{
    struct vgpgpu_cmd_operation *command = (void *)header;
    if (header->bytes < sizeof(*command) || !parts_fit(command))
        return VGPGPU_ERR_INVALID;
    struct vgpgpu_tensor *tensors = (void *)(command + 1);
    struct operation_view view = {.operation = command->operation,
                                  .tensor_count = command->tensor_count,
                                  .tensors = tensors,
                                  .parameters = tensors + command->tensor_count,
                                  .parameter_bytes = command->parameter_bytes};
    uint32_t status = operation_check(&view);
    struct device_buffer **buffers = decoder->out->buffers + decoder->out->buffer_count;
    for (unsigned i = 0; i < view.tensor_count && !status; i++)
        status = tensor_decode(decoder, &tensors[i], &buffers[i]);
    if (!status)
        status = operation_places_check(&view);
    if (status)
        return status;
    decoder->out->buffer_count += view.tensor_count;
    operation->operation = (struct device_operation){.operation = view.operation,
                                                     .tensor_count = view.tensor_count,
                                                     .tensors = tensors,
                                                     .buffers = buffers,
                                                     .parameters = view.parameters,
                                                     .parameter_bytes = view.parameter_bytes};
    return VGPGPU_OK;
}
