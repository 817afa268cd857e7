/*
 * tensor.h: makes the tensor descriptors of built-in operations. Pure code; any context.
 *
 * `offset` is bytes into the buffer; dimensions and strides count elements.
 */
#pragma once

#include <stdbool.h>
#include "uapi/virtio_gpgpu.h"

/* Numbers that follow each other, the last dimension fastest. rank: 1..VGPGPU_MAX_RANK. */
static inline struct vgpgpu_tensor tensor_dense(uint32_t buffer, enum vgpgpu_type type,
                                                uint64_t offset, uint16_t rank,
                                                const uint64_t *dimensions)
{
    struct vgpgpu_tensor tensor = {
        .buffer = buffer, .type = (uint16_t)type, .rank = rank, .offset = offset};
    uint64_t stride = 1;
    for (unsigned i = rank < VGPGPU_MAX_RANK ? rank : VGPGPU_MAX_RANK; i-- > 0;) {
        tensor.dimensions[i] = dimensions[i];
        tensor.strides[i] = stride;
        stride *= dimensions[i];
    }
    return tensor;
}

/* A rows x columns matrix, rows `leading` (at least `columns`) elements apart. */
static inline struct vgpgpu_tensor tensor_matrix(uint32_t buffer, enum vgpgpu_type type,
                                                 uint64_t offset, uint64_t rows, uint64_t columns,
                                                 uint64_t leading)
{
    return (struct vgpgpu_tensor){.buffer = buffer,
                                  .type = (uint16_t)type,
                                  .rank = 2,
                                  .offset = offset,
                                  .dimensions = {rows, columns},
                                  .strides = {leading, 1}};
}

/* The same numbers with their last two dimensions exchanged. rank is at least 2. */
static inline struct vgpgpu_tensor tensor_transposed(struct vgpgpu_tensor tensor)
{
    unsigned i = tensor.rank - 2u, j = tensor.rank - 1u;
    uint64_t dimension = tensor.dimensions[i], stride = tensor.strides[i];
    tensor.dimensions[i] = tensor.dimensions[j];
    tensor.strides[i] = tensor.strides[j];
    tensor.dimensions[j] = dimension;
    tensor.strides[j] = stride;
    return tensor;
}
