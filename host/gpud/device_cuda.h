/*
 * device_cuda.h: what the files of the CUDA implementation share. Every function of the driver
 * works on the current context of its thread: cuda_enter() and cuda_leave() go around each use.
 */
#pragma once

#include <stdatomic.h>
#include "cuda_api.h"
#include "device.h"
#include "ptx_params.h"

struct device {
    cuda_device id;
    int major, minor; /* of its instructions */
};

/*
 * All have the device's primary context: one of the driver's own takes some hundred megabytes of the device and a tenth
 * of a second to make, and the kernels of two never run at the same time.
 */
struct device_context {
    struct device *device;
    cuda_context handle; /* held once for each */
};

struct device_buffer {
    struct device_context *context;
    cuda_pointer place; /* as kernels see it */
    void *registered;   /* memory of the host that is registered, or NULL */
    void *alias;        /* a second view of it that is ours to unmap, or NULL */
    uint64_t size;
};

struct device_program {
    atomic_uint references; /* its own, and one of each kernel: functions are their module's */
    struct device_context *context;
    cuda_module handle;
    char *ptx;
};

struct device_kernel {
    cuda_function handle;
    struct device_context *context;
    struct device_program *program;
    uint32_t most_items; /* of a work-group */
    uint32_t param_count, param_bytes; /* bytes: of all, as they lie */
    struct ptx_param params[VGPGPU_MAX_ARGS];
};

struct device_queue {
    struct device_context *context;
    cuda_stream stream;
    cublas_handle blas; /* NULL until the first product */
    uint64_t start_ns;  /* of the batch under way; 0: nothing started yet */
};

uint32_t cuda_status(cuda_result result);
void cuda_enter(struct device_context *context);
void cuda_leave(void);

uint32_t cuda_program_create(struct device_context *context, uint32_t kind, const char *options,
                             const char *source, size_t source_bytes, struct device_program **out,
                             char **log);
void cuda_program_destroy(struct device_program *program);
uint32_t cuda_program_binary(struct device_program *program, void **bytes, size_t *count);
uint32_t cuda_kernel_create(struct device_program *program, const char *name, uint8_t *wants,
                            uint32_t *arg_count, struct device_kernel **out);
void cuda_kernel_destroy(struct device_kernel *kernel);
uint32_t cuda_kernel_info(struct device_kernel *kernel, struct vgpgpu_kernel_info *info);

uint32_t cuda_queue_create(struct device_context *context, struct device_queue **out);
void cuda_queue_destroy(struct device_queue *queue);
uint32_t cuda_launch(struct device_queue *queue, const struct device_launch *launch, bool last);
uint32_t cuda_copy(struct device_queue *queue, const struct device_copy *copy, bool last);
uint32_t cuda_fill(struct device_queue *queue, const struct device_fill *fill, bool last);
uint32_t cuda_signal(struct device_queue *queue, device_reached reached, void *token);
bool cuda_batch_end(struct device_queue *queue, bool may_run, device_done done, void *token);
/* Notes when a batch begins. */
void cuda_queue_begin(struct device_queue *queue);

/* cuda_gemm.c: products of matrices by cuBLAS; there is no other operation. */
uint32_t cuda_operation(struct device_queue *queue, const struct device_operation *operation,
                        bool last);
