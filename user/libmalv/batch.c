/*
 * batch.c: records commands in the device's own layout.
 *
 * Every command is checked whole before any of its bytes are written, so that an error leaves the
 * commands before it intact.
 */
#include "user/libmalv/malv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u

static size_t align8(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static int batch_fail(struct malv_batch *batch, int error)
{
    if (batch->error == 0) {
        batch->error = error;
    }
    return batch->error;
}

/* `bytes` zeroed bytes at the end of the batch, or NULL with the batch's error set. */
static void *batch_extend(struct malv_batch *batch, size_t bytes)
{
    size_t needed;
    if (__builtin_add_overflow(batch->used, bytes, &needed) || needed > UINT32_MAX) {
        batch_fail(batch, -E2BIG);
        return NULL;
    }
    if (needed > batch->capacity) {
        size_t capacity = batch->capacity != 0 ? batch->capacity : FIRST_CAPACITY;
        while (capacity < needed) {
            capacity *= 2;
        }
        uint8_t *bigger = realloc(batch->bytes, capacity);
        if (bigger == NULL) {
            batch_fail(batch, -ENOMEM);
            return NULL;
        }
        batch->bytes = bigger;
        batch->capacity = capacity;
    }
    uint8_t *place = batch->bytes + batch->used;
    memset(place, 0, bytes);
    batch->used = needed;
    return place;
}

void malv_batch_init(struct malv_batch *batch)
{
    memset(batch, 0, sizeof(*batch));
}

void malv_batch_reset(struct malv_batch *batch)
{
    batch->used = 0;
    batch->error = 0;
}

void malv_batch_free(struct malv_batch *batch)
{
    free(batch->bytes);
    malv_batch_init(batch);
}

static bool arg_is_valid(const struct malv_arg *arg)
{
    switch (arg->kind) {
    case VGPGPU_ARG_VALUE:
        return arg->value != NULL && arg->size > 0 && arg->size <= VGPGPU_MAX_VALUE;
    case VGPGPU_ARG_BUFFER:
        return arg->object != 0;
    case VGPGPU_ARG_LOCAL:
        return arg->size > 0;
    default:
        return false;
    }
}

static size_t arg_bytes(const struct malv_arg *arg)
{
    return sizeof(struct vgpgpu_arg) + (arg->kind == VGPGPU_ARG_VALUE ? align8(arg->size) : 0);
}

/* Bytes of the launch with these arguments, or 0 when they are not valid. */
static size_t launch_bytes(const struct malv_arg *args, uint32_t arg_count)
{
    size_t bytes = sizeof(struct vgpgpu_cmd_launch);
    if (arg_count > VGPGPU_MAX_ARGS) {
        return 0;
    }
    for (uint32_t i = 0; i < arg_count; i++) {
        if (!arg_is_valid(&args[i])) {
            return 0;
        }
        bytes += arg_bytes(&args[i]);
    }
    return bytes;
}

static bool extents_are_valid(uint32_t dimensions, const uint64_t *global, const uint64_t *local)
{
    if (dimensions < 1 || dimensions > 3) {
        return false;
    }
    for (uint32_t i = 0; i < dimensions; i++) {
        if (global[i] == 0 || (local != NULL && local[i] == 0)) {
            return false;
        }
    }
    return true;
}

/* Writes one argument at `place` (zeroed) and returns where the next one goes. */
static uint8_t *arg_write(uint8_t *place, const struct malv_arg *arg)
{
    struct vgpgpu_arg *out = (struct vgpgpu_arg *)place;
    out->kind = arg->kind;
    if (arg->kind == VGPGPU_ARG_BUFFER) {
        out->object = arg->object;
        out->offset = arg->offset;
    } else {
        out->size = arg->size;
    }
    if (arg->kind == VGPGPU_ARG_VALUE) {
        memcpy(out + 1, arg->value, arg->size);
    }
    return place + arg_bytes(arg);
}

int malv_batch_launch(struct malv_batch *batch, uint32_t kernel, uint32_t dimensions,
                      const uint64_t *global, const uint64_t *local, const struct malv_arg *args,
                      uint32_t arg_count)
{
    size_t bytes = launch_bytes(args, arg_count);
    if (batch->error != 0) {
        return batch->error;
    }
    if (kernel == 0 || bytes == 0 || !extents_are_valid(dimensions, global, local)) {
        return batch_fail(batch, -EINVAL);
    }
    struct vgpgpu_cmd_launch *command = batch_extend(batch, bytes);
    if (command == NULL) {
        return batch->error;
    }
    command->header = (struct vgpgpu_command){.op = VGPGPU_CMD_LAUNCH, .bytes = (uint32_t)bytes};
    command->kernel = kernel;
    command->dimensions = dimensions;
    command->arg_count = arg_count;
    for (uint32_t i = 0; i < 3; i++) {
        command->global[i] = i < dimensions ? global[i] : 1;
        if (local != NULL) {
            command->local[i] = i < dimensions ? local[i] : 1;
        }
    }
    uint8_t *place = (uint8_t *)(command + 1);
    for (uint32_t i = 0; i < arg_count; i++) {
        place = arg_write(place, &args[i]);
    }
    return 0;
}

static bool range_is_inside(const struct malv_buffer *buffer, uint64_t offset, uint64_t length)
{
    return offset <= buffer->size && length <= buffer->size - offset;
}

int malv_batch_copy(struct malv_batch *batch, const struct malv_buffer *source,
                    uint64_t source_offset, const struct malv_buffer *target,
                    uint64_t target_offset, uint64_t length)
{
    if (batch->error != 0) {
        return batch->error;
    }
    if (source->id == 0 || target->id == 0 || length == 0) {
        return batch_fail(batch, -EINVAL);
    }
    if (!range_is_inside(source, source_offset, length) ||
        !range_is_inside(target, target_offset, length)) {
        return batch_fail(batch, -ERANGE);
    }
    bool overlap = source->id == target->id && source_offset < target_offset + length &&
                   target_offset < source_offset + length;
    if (overlap) {
        return batch_fail(batch, -EINVAL);
    }
    struct vgpgpu_cmd_copy *command = batch_extend(batch, sizeof(*command));
    if (command == NULL) {
        return batch->error;
    }
    *command = (struct vgpgpu_cmd_copy){
        .header = {.op = VGPGPU_CMD_COPY, .bytes = sizeof(*command)},
        .source = source->id,
        .target = target->id,
        .source_offset = source_offset,
        .target_offset = target_offset,
        .length = length,
    };
    return 0;
}

static bool pattern_is_valid(uint32_t bytes, uint64_t offset, uint64_t length)
{
    bool power_of_two = bytes != 0 && (bytes & (bytes - 1)) == 0;
    return power_of_two && bytes <= 16 && offset % bytes == 0 && length % bytes == 0;
}

int malv_batch_fill(struct malv_batch *batch, const struct malv_buffer *target, uint64_t offset,
                    uint64_t length, const void *pattern, uint32_t pattern_bytes)
{
    if (batch->error != 0) {
        return batch->error;
    }
    if (target->id == 0 || length == 0 || !pattern_is_valid(pattern_bytes, offset, length)) {
        return batch_fail(batch, -EINVAL);
    }
    if (!range_is_inside(target, offset, length)) {
        return batch_fail(batch, -ERANGE);
    }
    struct vgpgpu_cmd_fill *command = batch_extend(batch, sizeof(*command));
    if (command == NULL) {
        return batch->error;
    }
    *command = (struct vgpgpu_cmd_fill){
        .header = {.op = VGPGPU_CMD_FILL, .bytes = sizeof(*command)},
        .target = target->id,
        .pattern_bytes = pattern_bytes,
        .offset = offset,
        .length = length,
    };
    memcpy(command->pattern, pattern, pattern_bytes);
    return 0;
}

int malv_batch_barrier(struct malv_batch *batch)
{
    if (batch->error != 0) {
        return batch->error;
    }
    struct vgpgpu_command *command = batch_extend(batch, sizeof(*command));
    if (command == NULL) {
        return batch->error;
    }
    *command = (struct vgpgpu_command){.op = VGPGPU_CMD_BARRIER, .bytes = sizeof(*command)};
    return 0;
}
