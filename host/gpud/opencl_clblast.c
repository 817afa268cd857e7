/*
 * opencl_clblast.c: products of matrices on OpenCL devices that are not the host's processor, by
 * CLBlast, opened when it is needed. It compiles its kernels at the first product on a device.
 */
#include <dlfcn.h>
#include <pthread.h>
#include "device_opencl.h"
#include "matrix.h"

enum { BY_ROWS = 101, BY_COLUMNS = 102 };
enum { PLAIN = 111, TRANSPOSED = 112 };

typedef int (*gemm_function)(int layout, int turn_a, int turn_b, size_t m, size_t n, size_t k,
                             float alpha, cl_mem a, size_t a_offset, size_t a_leading, cl_mem b,
                             size_t b_offset, size_t b_leading, float beta, cl_mem c,
                             size_t c_offset, size_t c_leading, cl_command_queue *queue,
                             cl_event *event);
typedef int (*batch_function)(int layout, int turn_a, int turn_b, size_t m, size_t n, size_t k,
                              float alpha, cl_mem a, size_t a_offset, size_t a_leading,
                              size_t a_step, cl_mem b, size_t b_offset, size_t b_leading,
                              size_t b_step, float beta, cl_mem c, size_t c_offset,
                              size_t c_leading, size_t c_step, size_t count,
                              cl_command_queue *queue, cl_event *event);

static gemm_function gemm;
static batch_function gemm_batch;

static void library_open(void)
{
    void *library = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    gemm_batch = (batch_function)dlsym(library, "CLBlastSgemmStridedBatched");
    gemm = gemm_batch ? (gemm_function)dlsym(library, "CLBlastSgemm") : NULL;
}

bool opencl_clblast_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_open);
    return gemm != NULL;
}

/* The library's own errors lie beyond OpenCL's. */
static uint32_t clblast_status(int error)
{
    return error < -1000 ? VGPGPU_ERR_EXEC : opencl_status(error);
}

static int product(struct device_queue *queue, const struct device_operation *operation,
                   const struct matrix *sides)
{
    const struct vgpgpu_gemm *factors = operation->parameters;
    const struct vgpgpu_tensor *tensors = operation->tensors;
    cl_mem memory[3];
    size_t offset[3];
    int turn[3];
    for (unsigned i = 0; i < 3; i++) {
        memory[i] = operation->buffers[i]->handle;
        offset[i] = tensors[i].offset / sizeof(float);
        turn[i] = sides[i].by_columns == sides[0].by_columns ? PLAIN : TRANSPOSED;
    }
    int layout = sides[0].by_columns ? BY_COLUMNS : BY_ROWS;
    size_t m = sides[0].rows, n = sides[0].columns, k = sides[1].columns;
    if (tensors[0].rank == 2)
        return gemm(layout, turn[1], turn[2], m, n, k, factors->alpha, memory[1], offset[1],
                    sides[1].leading, memory[2], offset[2], sides[2].leading, factors->beta,
                    memory[0], offset[0], sides[0].leading, &queue->active, NULL);
    return gemm_batch(layout, turn[1], turn[2], m, n, k, factors->alpha, memory[1], offset[1],
                      sides[1].leading, sides[1].step, memory[2], offset[2], sides[2].leading,
                      sides[2].step, factors->beta, memory[0], offset[0], sides[0].leading,
                      sides[0].step, tensors[0].dimensions[0], &queue->active, NULL);
}

uint32_t opencl_clblast(struct device_queue *queue, const struct device_operation *operation)
{
    struct matrix sides[3];
    uint32_t status = VGPGPU_OK;
    if (operation->operation != VGPGPU_GEMM || operation->tensors[1].type != VGPGPU_F32)
        return VGPGPU_ERR_UNSUPPORTED;
    for (unsigned i = 0; i < 3 && !status; i++) {
        if (!matrix_read(&operation->tensors[i], &sides[i]) || !matrix_is_near(&operation->tensors[i], sizeof(float)))
            return VGPGPU_ERR_UNSUPPORTED; /* its kernels count elements in int */
        status = opencl_buffer_take(queue, operation->buffers[i]);
    }
    if (status)
        return status;
    opencl_event_place(queue, false);
    return clblast_status(product(queue, operation, sides));
}
