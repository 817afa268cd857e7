/* cublas.c: the stand-in for cuBLAS: products of matrices by columns, in a stream, of F32 and BF16. */
#include <stdlib.h>
#include <string.h>
#include "stand_in.h"

#define MAGIC_HANDLE 0xc0de0006u

struct cublas_handle_s {
    uint32_t magic;
    cuda_context context;
    cuda_stream stream;
    int mode;
};

cuda_result cublasCreate_v2(cublas_handle *out);
cuda_result cublasCreate_v2(cublas_handle *out)
{
    cuda_result result = call_begin("cublasCreate_v2", true, true);
    const char *tf32 = getenv("NVIDIA_TF32_OVERRIDE");
    if (!tf32 || strcmp(tf32, "0") != 0)
        wrong("products of F32 may be rounded to TF32");
    if (result)
        return 3; /* CUBLAS_STATUS_ALLOC_FAILED */
    *out = calloc(1, sizeof(**out));
    **out = (struct cublas_handle_s){.magic = MAGIC_HANDLE, .context = context_current()};
    counts_add(&(struct stand_in_counts){.handles = 1});
    (*out)->context->modules++; /* counted among what a context may not leave behind */
    return 0;
}

static void handle_check(cublas_handle handle)
{
    if (handle->magic != MAGIC_HANDLE || handle->context != context_current())
        wrong("a cuBLAS handle that is none, or of another context");
}

cuda_result cublasDestroy_v2(cublas_handle handle);
cuda_result cublasDestroy_v2(cublas_handle handle)
{
    call_begin("cublasDestroy_v2", true, false);
    handle_check(handle);
    context_wait(handle->context);
    handle->context->modules--;
    counts_take(&(struct stand_in_counts){.handles = 1});
    handle->magic = MAGIC_DEAD;
    free(handle);
    return 0;
}

cuda_result cublasSetStream_v2(cublas_handle handle, cuda_stream stream);
cuda_result cublasSetStream_v2(cublas_handle handle, cuda_stream stream)
{
    cuda_result result = call_begin("cublasSetStream_v2", true, true);
    handle_check(handle);
    stream_check(stream);
    if (result)
        return 1;
    handle->stream = stream;
    return 0;
}

cuda_result cublasSetMathMode(cublas_handle handle, int mode);
cuda_result cublasSetMathMode(cublas_handle handle, int mode)
{
    cuda_result result = call_begin("cublasSetMathMode", true, true);
    handle_check(handle);
    if (result)
        return 1;
    handle->mode = mode;
    return 0;
}

static unsigned bytes_of(int type)
{
    return type == CUBLAS_BF16 ? 2 : 4;
}

static double number_at(const uint8_t *matrix, int type, uint64_t index)
{
    uint32_t bits = 0;
    float number;
    memcpy((uint8_t *)&bits + (type == CUBLAS_BF16 ? 2 : 0), matrix + index * bytes_of(type), bytes_of(type));
    memcpy(&number, &bits, sizeof(number));
    return (double)number;
}

static void number_set(uint8_t *matrix, int type, uint64_t index, double value)
{
    float number = (float)value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    if (type == CUBLAS_BF16)
        bits += 0x7fff + (bits >> 16 & 1);
    memcpy(matrix + index * bytes_of(type), (uint8_t *)&bits + (type == CUBLAS_BF16 ? 2 : 0), bytes_of(type));
}

/* The bytes of a matrix, and not one more. */
static uint8_t *matrix_need(uint64_t place, int type, int rows, int columns, int leading, const char *what)
{
    uint64_t elements = (uint64_t)(columns - 1) * (uint64_t)leading + (uint64_t)rows;
    return memory_need(place, elements * bytes_of(type), what);
}

static cuda_result one_run(const struct gemm *gemm, uint64_t one)
{
    int m = gemm->m, n = gemm->n, k = gemm->k;
    uint64_t a_bytes = bytes_of(gemm->a_type), c_bytes = bytes_of(gemm->c_type);
    uint8_t *a = matrix_need(gemm->a + one * (uint64_t)gemm->a_step * a_bytes, gemm->a_type, gemm->turn_a ? k : m,
                             gemm->turn_a ? m : k, gemm->a_leading, "a product's first matrix"),
            *b = matrix_need(gemm->b + one * (uint64_t)gemm->b_step * a_bytes, gemm->a_type, gemm->turn_b ? n : k,
                             gemm->turn_b ? k : n, gemm->b_leading, "a product's second matrix"),
            *c = matrix_need(gemm->c + one * (uint64_t)gemm->c_step * c_bytes, gemm->c_type, m, n, gemm->c_leading,
                             "a product's result");
    for (uint64_t column = 0; column < (uint64_t)n; column++)
        for (uint64_t row = 0; row < (uint64_t)m; row++) {
            double sum = 0;
            uint64_t at = column * (uint64_t)gemm->c_leading + row, la = (uint64_t)gemm->a_leading,
                     lb = (uint64_t)gemm->b_leading;
            for (uint64_t i = 0; i < (uint64_t)k; i++)
                sum += number_at(a, gemm->a_type, gemm->turn_a ? row * la + i : i * la + row) *
                       number_at(b, gemm->a_type, gemm->turn_b ? i * lb + column : column * lb + i);
            double former = gemm->beta != 0 ? (double)gemm->beta * number_at(c, gemm->c_type, at) : 0;
            number_set(c, gemm->c_type, at, (double)gemm->alpha * sum + former);
        }
    return 0;
}

static cuda_result gemm_run(struct op *op)
{
    cuda_result result = 0;
    for (int one = 0; one < op->gemm.count && !result; one++)
        result = one_run(&op->gemm, (uint64_t)one);
    return result;
}

cuda_result cublasGemmStridedBatchedEx(cublas_handle handle, int turn_a, int turn_b, int m, int n, int k,
                                       const void *alpha, const void *a, int a_type, int a_leading,
                                       long long a_step, const void *b, int b_type, int b_leading,
                                       long long b_step, const void *beta, void *c, int c_type, int c_leading,
                                       long long c_step, int count, int compute, int algorithm);
cuda_result cublasGemmStridedBatchedEx(cublas_handle handle, int turn_a, int turn_b, int m, int n, int k,
                                       const void *alpha, const void *a, int a_type, int a_leading,
                                       long long a_step, const void *b, int b_type, int b_leading,
                                       long long b_step, const void *beta, void *c, int c_type, int c_leading,
                                       long long c_step, int count, int compute, int algorithm)
{
    cuda_result result = call_begin("cublasGemmStridedBatchedEx", true, true);
    handle_check(handle);
    if (!handle->stream)
        wrong("a product without a stream: it would be in the default one");
    stream_check(handle->stream);
    if (handle->mode != CUBLAS_NO_REDUCED_SUMS)
        wrong("a product whose sums may be rounded");
    if (result)
        return 14; /* CUBLAS_STATUS_INTERNAL_ERROR */
    if (compute != CUBLAS_COMPUTE_F32 || algorithm != CUBLAS_DEFAULT || a_type != b_type ||
        (a_type == CUBLAS_F32 && c_type != CUBLAS_F32))
        return 15; /* CUBLAS_STATUS_NOT_SUPPORTED */
    if (m < 0 || n < 0 || k < 0 || count < 0 || a_leading < (turn_a ? k : m) || b_leading < (turn_b ? n : k) ||
        c_leading < m || (count > 1 && c_step < m))
        return 7; /* CUBLAS_STATUS_INVALID_VALUE */
    struct op *op = op_new(gemm_run);
    op->gemm = (struct gemm){.turn_a = turn_a,
                             .turn_b = turn_b,
                             .m = m,
                             .n = n,
                             .k = k,
                             .a_type = a_type,
                             .c_type = c_type,
                             .a_leading = a_leading,
                             .b_leading = b_leading,
                             .c_leading = c_leading,
                             .count = count,
                             .alpha = *(const float *)alpha,
                             .beta = *(const float *)beta,
                             .a_step = a_step,
                             .b_step = b_step,
                             .c_step = c_step,
                             .a = (uintptr_t)a,
                             .b = (uintptr_t)b,
                             .c = (uintptr_t)c};
    op_add(op, handle->stream);
    return 0;
}
