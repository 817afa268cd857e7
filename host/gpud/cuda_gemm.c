/*
 * cuda_gemm.c: products of matrices by cuBLAS, which has matrices by columns: ours by rows are to
 * it their transposes, and c' = b' * a'. Each matrix must have neighbours along its rows or its
 * columns.
 */
#include "device_cuda.h"
#include "log.h"
#include "matrix.h"

static int type_of(const struct vgpgpu_tensor *tensor)
{
    return tensor->type == VGPGPU_BF16 ? CUBLAS_BF16 : CUBLAS_F32;
}

static uint32_t blas_status(cuda_result result)
{
    if (result == 0)
        return VGPGPU_OK;
    if (result == CUBLAS_NO_MEMORY)
        return VGPGPU_ERR_NO_MEMORY;
    if (result == CUBLAS_NOT_SUPPORTED || result == CUBLAS_ARCH_MISMATCH)
        return VGPGPU_ERR_UNSUPPORTED;
    log_guest("cuBLAS error %d", result);
    return VGPGPU_ERR_EXEC;
}

/* A handle of its own for each queue: its workspace is used in the queue's order. */
static uint32_t blas_get(struct device_queue *queue)
{
    if (queue->blas)
        return VGPGPU_OK;
    if (!cublas_load())
        return VGPGPU_ERR_UNSUPPORTED;
    cuda_result result = cublas.create(&queue->blas);
    if (result) {
        log_guest("cuBLAS does not start (error %d)", result);
        queue->blas = NULL;
        return VGPGPU_ERR_NO_MEMORY;
    }
    if (!cublas.stream_set(queue->blas, queue->stream) && !cublas.mode_set(queue->blas, CUBLAS_NO_REDUCED_SUMS))
        return VGPGPU_OK;
    cublas.destroy(queue->blas); /* it would work in another stream, beside the queue */
    queue->blas = NULL;
    return VGPGPU_ERR_EXEC;
}

static uint32_t gemm_run(struct device_queue *queue, const struct device_operation *operation)
{
    const struct vgpgpu_gemm *gemm = operation->parameters;
    const struct vgpgpu_tensor *tensors = operation->tensors;
    struct matrix c, sides[2]; /* a, b */
    const void *places[3];
    for (unsigned i = 0; i < 3; i++)
        places[i] = (void *)(uintptr_t)(operation->buffers[i]->place + tensors[i].offset);
    if (!matrix_read(&tensors[0], &c) || !matrix_read(&tensors[1], &sides[0]) ||
        !matrix_read(&tensors[2], &sides[1]))
        return VGPGPU_ERR_UNSUPPORTED;
    /* A result by rows: the library makes its transpose, b' * a'. One by columns: a * b itself. */
    unsigned left = c.by_columns ? 0 : 1, right = 1 - left;
    const struct matrix *l = &sides[left], *r = &sides[right];
    bool turn_left = l->by_columns != c.by_columns, turn_right = r->by_columns != c.by_columns;
    uint64_t m = c.by_columns ? c.rows : c.columns, n = c.by_columns ? c.columns : c.rows,
             k = sides[0].columns;
    return blas_status(cublas.gemm(
        queue->blas, turn_left ? CUBLAS_TRANSPOSED : CUBLAS_PLAIN,
        turn_right ? CUBLAS_TRANSPOSED : CUBLAS_PLAIN, (int)m, (int)n, (int)k, &gemm->alpha,
        places[1 + left], type_of(&tensors[1]), (int)l->leading, (long long)l->step,
        places[1 + right], type_of(&tensors[1]), (int)r->leading, (long long)r->step, &gemm->beta,
        (void *)(uintptr_t)places[0], type_of(&tensors[0]), (int)c.leading, (long long)c.step,
        tensors[0].rank == 3 ? (int)tensors[0].dimensions[0] : 1, CUBLAS_COMPUTE_F32,
        CUBLAS_DEFAULT));
}

uint32_t cuda_operation(struct device_queue *queue, const struct device_operation *operation,
                        bool last)
{
    (void)last;
    if (operation->operation != VGPGPU_GEMM || operation->tensors[1].type == VGPGPU_S8)
        return VGPGPU_ERR_UNSUPPORTED;
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    uint32_t status = blas_get(queue);
    if (!status)
        status = gemm_run(queue, operation);
    cuda_leave();
    return status;
}
