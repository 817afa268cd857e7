/* matrix.h: a tensor of rank 2 or 3 as libraries of linear algebra have it. Pure code. */
#pragma once

#include <stdbool.h>
#include "uapi/virtio_gpgpu.h"

struct matrix {
    uint64_t rows, columns; /* as the tensor has them */
    uint64_t leading;       /* from row to row, or from column to column, elements */
    uint64_t step;          /* from matrix to matrix of a batch; 0: there is one */
    bool by_columns;        /* neighbours go down, not along */
};

/* False: no elements are neighbours, or they lie too far apart for a library. */
bool matrix_read(const struct vgpgpu_tensor *tensor, struct matrix *out);
/* Whether each element's number, from its buffer's start on, has 31 bits: for libraries that count in int. The tensor
 * has been checked. */
bool matrix_is_near(const struct vgpgpu_tensor *tensor, unsigned element_bytes);
