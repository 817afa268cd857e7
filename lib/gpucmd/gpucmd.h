/*
 * gpucmd.h: writes the commands of uapi/virtio_gpgpu.h into a buffer, one behind the other. Pure
 * code; any context.
 *
 * Start with gpucmd_begin(), append commands, and look at `failed` once at the end: after a command
 * that does not fit or makes no sense, it is set and nothing more is written. With a NULL buffer
 * nothing is written at all and `used` counts the room that the commands need.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/virtio_gpgpu.h"

struct gpucmd {
    uint8_t *out;
    uint32_t room; /* bytes */
    uint32_t used; /* bytes, a multiple of 8 */
    bool failed;
};

/* One argument of a launch. VALUE: `value` points to `size` bytes. */
struct gpucmd_arg {
    enum vgpgpu_arg_kind kind;
    uint16_t hint; /* BUFFER: names.h's, for who looks at names; 0 on the wire */
    uint32_t buffer;
    uint64_t offset, size;
    const void *value;
};

#define GPUCMD_BUFFER(id)   ((struct gpucmd_arg){.kind = VGPGPU_ARG_BUFFER, .buffer = (id)})
#define GPUCMD_LOCAL(bytes) ((struct gpucmd_arg){.kind = VGPGPU_ARG_LOCAL, .size = (bytes)})
#define GPUCMD_VALUE(v)                                                                            \
    ((struct gpucmd_arg){.kind = VGPGPU_ARG_VALUE, .size = sizeof(v), .value = &(v)})

/* global, local: `dimensions` sizes each; local NULL: the device chooses. */
struct gpucmd_launch {
    uint32_t kernel, dimensions, arg_count;
    const uint64_t *global, *local;
    const struct gpucmd_arg *args;
};

/* buffer: 8-byte aligned, `room` bytes; or NULL to count. */
void gpucmd_begin(struct gpucmd *c, void *buffer, uint32_t room);

void gpucmd_launch(struct gpucmd *c, const struct gpucmd_launch *launch);

/* `bytes` from a place in one buffer to a place in another, or elsewhere in the same one. */
void gpucmd_copy(struct gpucmd *c, uint32_t source, uint64_t source_offset, uint32_t target,
                 uint64_t target_offset, uint64_t bytes);

/* pattern_bytes: 1, 2, 4, 8 or 16. */
void gpucmd_fill(struct gpucmd *c, uint32_t target, uint64_t offset, uint64_t bytes,
                 const void *pattern, uint32_t pattern_bytes);

/* `rows` rows of `width` bytes; the pitch is from row to row. The header is filled in here. */
void gpucmd_copy_2d(struct gpucmd *c, const struct vgpgpu_cmd_copy_2d *copy);
void gpucmd_fill_2d(struct gpucmd *c, const struct vgpgpu_cmd_fill_2d *fill);

void gpucmd_barrier(struct gpucmd *c);
/* All before it has ended: the queue's value becomes the submission's fence less `before`. */
void gpucmd_signal(struct gpucmd *c, uint64_t before);

/*
 * A built-in operation (docs/virtio-gpgpu.md, 9): its tensors, as lib/gpucmd/tensor.h makes them,
 * the written ones first, and `bytes` of its parameters, a multiple of 8.
 */
void gpucmd_operation(struct gpucmd *c, enum vgpgpu_operation operation,
                      const struct vgpgpu_tensor *tensors, uint32_t count, const void *parameters,
                      uint32_t bytes);

/* The product of two matrices, or batches of them: into = a * b, or into += a * b with `add`. */
void gpucmd_multiply(struct gpucmd *c, const struct vgpgpu_tensor *into,
                     const struct vgpgpu_tensor *a, const struct vgpgpu_tensor *b, bool add);
