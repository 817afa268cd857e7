/* matrix.c: see matrix.h. The stride of a dimension of 1 says nothing. */
#include "matrix.h"

bool matrix_read(const struct vgpgpu_tensor *tensor, struct matrix *out)
{
    unsigned row = tensor->rank - 2u, column = tensor->rank - 1u;
    uint64_t rows = tensor->dimensions[row], columns = tensor->dimensions[column];
    uint64_t down = tensor->strides[row], along = tensor->strides[column];
    *out = (struct matrix){
        .rows = rows, .columns = columns, .step = tensor->rank == 3 ? tensor->strides[0] : 0};
    if ((along == 1 || columns == 1) && (down >= columns || rows == 1)) {
        out->leading = rows == 1 ? columns : down;
    } else if ((down == 1 || rows == 1) && (along >= rows || columns == 1)) {
        out->by_columns = true;
        out->leading = columns == 1 ? rows : along;
    }
    return out->leading && out->leading <= INT32_MAX;
}

bool matrix_is_near(const struct vgpgpu_tensor *tensor, unsigned element_bytes)
{
    uint64_t last = tensor->offset / element_bytes;
    for (unsigned i = 0; i < tensor->rank; i++)
        last += (tensor->dimensions[i] - 1) * tensor->strides[i];
    return last <= INT32_MAX;
}
