/*
 * batch.c: records commands; lib/gpucmd knows their layout.
 *
 * Every command is checked whole before any of its bytes are written, so that an error leaves the
 * commands before it intact.
 */
#include "lib/gpucmd/gpucmd.h"
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

/* Makes room for `bytes` at the end of the batch, where `*c` then writes. An error is the batch's. */
static int batch_extend(struct malv_batch *batch, size_t bytes, struct gpucmd *c)
{
    size_t needed;
    if (__builtin_add_overflow(batch->used, bytes, &needed) || needed > UINT32_MAX) {
        return batch_fail(batch, -E2BIG);
    }
    if (needed > batch->capacity) {
        size_t capacity = batch->capacity != 0 ? batch->capacity : FIRST_CAPACITY;
        while (capacity < needed) {
            capacity *= 2;
        }
        uint8_t *bigger = realloc(batch->bytes, capacity);
        if (bigger == NULL) {
            return batch_fail(batch, -ENOMEM);
        }
        batch->bytes = bigger;
        batch->capacity = capacity;
    }
    gpucmd_begin(c, batch->bytes + batch->used, (uint32_t)bytes);
    return 0;
}

/* Counts what `c` wrote as part of the batch. */
static int batch_take(struct malv_batch *batch, const struct gpucmd *c)
{
    if (c->failed) {
        return batch_fail(batch, -EINVAL);
    }
    batch->used += c->used;
    return 0;
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

int malv_batch_launch(struct malv_batch *batch, uint32_t kernel, uint32_t dimensions,
                      const uint64_t *global, const uint64_t *local, const struct malv_arg *args,
                      uint32_t arg_count)
{
    size_t bytes = launch_bytes(args, arg_count);
    struct gpucmd_arg wire[VGPGPU_MAX_ARGS];
    struct gpucmd c;
    if (batch->error != 0) {
        return batch->error;
    }
    if (kernel == 0 || bytes == 0 || !extents_are_valid(dimensions, global, local)) {
        return batch_fail(batch, -EINVAL);
    }
    if (batch_extend(batch, bytes, &c) != 0) {
        return batch->error;
    }
    for (uint32_t i = 0; i < arg_count; i++) {
        wire[i] = (struct gpucmd_arg){.kind = args[i].kind,
                                      .hint = args[i].hint,
                                      .buffer = args[i].object,
                                      .offset = args[i].offset,
                                      .size = args[i].size,
                                      .value = args[i].value};
    }
    gpucmd_launch(&c, &(struct gpucmd_launch){.kernel = kernel,
                                              .dimensions = dimensions,
                                              .arg_count = arg_count,
                                              .global = global,
                                              .local = local,
                                              .args = wire});
    return batch_take(batch, &c);
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
    struct gpucmd c;
    if (batch_extend(batch, sizeof(struct vgpgpu_cmd_copy), &c) != 0) {
        return batch->error;
    }
    gpucmd_copy(&c, source->id, source_offset, target->id, target_offset, length);
    return batch_take(batch, &c);
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
    struct gpucmd c;
    if (batch_extend(batch, sizeof(struct vgpgpu_cmd_fill), &c) != 0) {
        return batch->error;
    }
    gpucmd_fill(&c, target->id, offset, length, pattern, pattern_bytes);
    return batch_take(batch, &c);
}

static bool rows_are_inside(const struct malv_rows *at, uint64_t width, uint64_t rows)
{
    uint64_t last, end;
    return !__builtin_mul_overflow(rows - 1, at->pitch, &last) &&
           !__builtin_add_overflow(last, width, &end) &&
           range_is_inside(at->buffer, at->offset, end);
}

static bool rows_are_valid(const struct malv_rows *at, uint64_t width, uint64_t rows)
{
    return at->buffer->id != 0 && width != 0 && rows != 0 && at->pitch >= width;
}

int malv_batch_copy_2d(struct malv_batch *batch, const struct malv_rows *source,
                       const struct malv_rows *target, uint64_t width, uint64_t rows)
{
    if (batch->error != 0) {
        return batch->error;
    }
    if (!rows_are_valid(source, width, rows) || !rows_are_valid(target, width, rows)) {
        return batch_fail(batch, -EINVAL);
    }
    if (!rows_are_inside(source, width, rows) || !rows_are_inside(target, width, rows)) {
        return batch_fail(batch, -ERANGE);
    }
    struct gpucmd c;
    if (batch_extend(batch, sizeof(struct vgpgpu_cmd_copy_2d), &c) != 0) {
        return batch->error;
    }
    gpucmd_copy_2d(&c, &(struct vgpgpu_cmd_copy_2d){.source = source->buffer->id,
                                                    .target = target->buffer->id,
                                                    .source_offset = source->offset,
                                                    .target_offset = target->offset,
                                                    .source_pitch = source->pitch,
                                                    .target_pitch = target->pitch,
                                                    .width = width,
                                                    .rows = rows});
    return batch_take(batch, &c);
}

int malv_batch_fill_2d(struct malv_batch *batch, const struct malv_rows *target, uint64_t width,
                       uint64_t rows, const void *pattern, uint32_t pattern_bytes)
{
    if (batch->error != 0) {
        return batch->error;
    }
    if (!rows_are_valid(target, width, rows) ||
        !pattern_is_valid(pattern_bytes, target->offset, width) ||
        target->pitch % pattern_bytes != 0) {
        return batch_fail(batch, -EINVAL);
    }
    if (!rows_are_inside(target, width, rows)) {
        return batch_fail(batch, -ERANGE);
    }
    struct vgpgpu_cmd_fill_2d fill = {.target = target->buffer->id,
                                      .pattern_bytes = pattern_bytes,
                                      .offset = target->offset,
                                      .pitch = target->pitch,
                                      .width = width,
                                      .rows = rows};
    memcpy(fill.pattern, pattern, pattern_bytes);
    struct gpucmd c;
    if (batch_extend(batch, sizeof(fill), &c) != 0) {
        return batch->error;
    }
    gpucmd_fill_2d(&c, &fill);
    return batch_take(batch, &c);
}

int malv_batch_barrier(struct malv_batch *batch)
{
    struct gpucmd c;
    if (batch->error != 0) {
        return batch->error;
    }
    if (batch_extend(batch, sizeof(struct vgpgpu_command), &c) != 0) {
        return batch->error;
    }
    gpucmd_barrier(&c);
    return batch_take(batch, &c);
}

int malv_batch_signal(struct malv_batch *batch, uint32_t before)
{
    struct gpucmd c;
    if (batch->error != 0) {
        return batch->error;
    }
    if (before == 0 || before > MALV_SIGNALS_MAX) {
        return batch_fail(batch, -EINVAL);
    }
    if (batch_extend(batch, sizeof(struct vgpgpu_cmd_signal), &c) != 0) {
        return batch->error;
    }
    gpucmd_signal(&c, before);
    return batch_take(batch, &c);
}

int malv_batch_operation(struct malv_batch *batch, uint32_t operation,
                         const struct vgpgpu_tensor *tensors, uint32_t count,
                         const void *parameters, size_t bytes)
{
    struct gpucmd c;
    if (batch->error != 0) {
        return batch->error;
    }
    if (operation == 0 || operation >= VGPGPU_OPERATION_ROOM || count > VGPGPU_MAX_TENSORS ||
        bytes % 8 != 0 || bytes > UINT16_MAX) {
        return batch_fail(batch, -EINVAL);
    }
    size_t all = sizeof(struct vgpgpu_cmd_operation) + count * sizeof(*tensors) + bytes;
    if (batch_extend(batch, all, &c) != 0) {
        return batch->error;
    }
    gpucmd_operation(&c, operation, tensors, count, parameters, (uint32_t)bytes);
    return batch_take(batch, &c);
}

int malv_batch_gemm(struct malv_batch *batch, float alpha, const struct vgpgpu_tensor *a,
                    const struct vgpgpu_tensor *b, float beta, const struct vgpgpu_tensor *c)
{
    const struct vgpgpu_gemm gemm = {.alpha = alpha, .beta = beta};
    const struct vgpgpu_tensor tensors[3] = {*c, *a, *b};
    return malv_batch_operation(batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}
