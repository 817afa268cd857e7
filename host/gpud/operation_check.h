/*
 * operation_check.h: whether a built-in operation makes sense: its tensors, their shapes together,
 * and its parameters. Pure code; buffers are the caller's affair. A library sees only what passed.
 */
#pragma once

#include <stdbool.h>
#include "uapi/virtio_gpgpu.h"

struct operation_view {
    uint32_t operation; /* enum vgpgpu_operation */
    unsigned tensor_count;
    const struct vgpgpu_tensor *tensors;
    const void *parameters;
    uint32_t parameter_bytes;
};

/* The size of an element in bytes; 0: no such type. */
unsigned type_bytes(unsigned type);

/* Whether a tensor is there: one that is left out is all zero. */
bool tensor_is_there(const struct vgpgpu_tensor *tensor);

/* Bytes from `offset` to the end of the last element, of a tensor that was checked. */
uint64_t tensor_bytes(const struct vgpgpu_tensor *tensor);

/* How many tensors, the first ones, an operation writes; 0: there is no such operation. */
unsigned operation_outputs(uint32_t operation);

/* ERR_UNSUPPORTED: unknown operation or type; ERR_INVALID: it makes no sense; ERR_LIMIT. */
uint32_t operation_check(const struct operation_view *view);
/* Of one that has passed that, where each tensor names the buffer that its bytes are in truth in. ERR_INVALID: a
 * result's elements share a place, or are in another tensor too. */
uint32_t operation_places_check(const struct operation_view *view);

/* Whether the tensors of a mask, 1 << index, are all of one type that is F32 or BF16. */
bool floats_are(const struct operation_view *view, uint32_t which, unsigned type);

/* operation_rules.c: what these operations want beyond what holds for every tensor. */
uint32_t layer_norm_check(const struct operation_view *view);
uint32_t batch_norm_check(const struct operation_view *view);
uint32_t elementwise_check(const struct operation_view *view);
uint32_t lstm_check(const struct operation_view *view);
