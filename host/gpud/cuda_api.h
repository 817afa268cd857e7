/*
 * cuda_api.h: NVIDIA's driver, its run-time compiler and its matrix library, each opened when it is
 * needed. The declarations are our own, of what their manuals describe: gpud builds without any of
 * the three, and says what is missing where it runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int cuda_result; /* CUresult, nvrtcResult, cublasStatus_t: 0 is success */
typedef int cuda_device;
typedef uint64_t cuda_pointer;
typedef struct cuda_context_s *cuda_context;
typedef struct cuda_module_s *cuda_module;
typedef struct cuda_function_s *cuda_function;
typedef struct cuda_stream_s *cuda_stream;
typedef struct nvrtc_program_s *nvrtc_program;
typedef struct cublas_handle_s *cublas_handle;
typedef void (*cuda_callback)(cuda_stream stream, cuda_result status, void *data);

enum { CUDA_INVALID = 1, CUDA_OUT_OF_MEMORY = 2, CUDA_NOT_FOUND = 500 };

enum { CUDA_CONTEXT_BLOCKING = 4 }; /* a wait for the device sleeps */
enum { CUDA_HOST_PORTABLE = 1, CUDA_HOST_MAPPED = 2 };
enum { CUDA_STREAM_NON_BLOCKING = 1 };

/* Of a device. */
enum {
    CUDA_MAX_GROUP = 1,
    CUDA_MAX_GROUP_SIZE = 2, /* and the two that follow: of each dimension */
    CUDA_GROUP_SHARED = 8,
    CUDA_WARP = 10,
    CUDA_UNITS = 16,
    CUDA_MAPS_HOST = 19,
    CUDA_COMPUTE_MODE = 20,
    CUDA_UNIFIED = 41, /* host and device have one address space */
    CUDA_MAJOR = 75,
    CUDA_MINOR = 76,
    CUDA_ALL_MEMORY = 88, /* kernels reach all memory of the process, registered or not */
};

enum { CUDA_MODE_PROHIBITED = 2 }; /* nobody may make a context */

/* Of a function. */
enum { CUDA_FUNCTION_MAX_GROUP = 0, CUDA_FUNCTION_SHARED = 1, CUDA_FUNCTION_LOCAL = 3 };

/* What the words in a launch's `extra` are; then comes what they say. */
#define CUDA_PARAMS_END   ((void *)0)
#define CUDA_PARAMS       ((void *)1)
#define CUDA_PARAMS_BYTES ((void *)2)

/* Options of a module's load. */
enum { CUDA_JIT_ERROR_LOG = 5, CUDA_JIT_ERROR_LOG_BYTES = 6 };

enum { CUDA_MEMORY_DEVICE = 2 };

/* CUDA_MEMCPY2D. */
struct cuda_copy_2d {
    size_t source_x, source_y;
    int source_kind;
    const void *source_host;
    cuda_pointer source;
    void *source_array;
    size_t source_pitch;
    size_t target_x, target_y;
    int target_kind;
    void *target_host;
    cuda_pointer target;
    void *target_array;
    size_t target_pitch;
    size_t width, rows;
};
_Static_assert(sizeof(struct cuda_copy_2d) == 128, "CUDA_MEMCPY2D");

enum { CUBLAS_PLAIN = 0, CUBLAS_TRANSPOSED = 1 };
enum { CUBLAS_NO_MEMORY = 3, CUBLAS_ARCH_MISMATCH = 8, CUBLAS_NOT_SUPPORTED = 15 };
enum { CUBLAS_F32 = 0, CUBLAS_BF16 = 14 };
/* F32 is not rounded to fewer bits, and sums of BF16 are kept in F32. */
enum { CUBLAS_NO_REDUCED_SUMS = 16 };
enum { CUBLAS_COMPUTE_F32 = 68, CUBLAS_DEFAULT = -1 };

/* name, symbol, arguments; all give a cuda_result. */
#define CUDA_FUNCTIONS(X)                                                                          \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(error_name, "cuGetErrorName", (cuda_result result, const char **name))                       \
    X(driver_version, "cuDriverGetVersion", (int *version))                                        \
    X(device_count, "cuDeviceGetCount", (int *count))                                              \
    X(device_get, "cuDeviceGet", (cuda_device * device, int index))                                \
    X(device_name, "cuDeviceGetName", (char *name, int bytes, cuda_device device))                 \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int which, cuda_device device))       \
    X(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, cuda_device device))                  \
    X(primary_flags, "cuDevicePrimaryCtxSetFlags_v2", (cuda_device device, unsigned flags))        \
    X(primary_hold, "cuDevicePrimaryCtxRetain", (cuda_context * context, cuda_device device))      \
    X(primary_release, "cuDevicePrimaryCtxRelease_v2", (cuda_device device))                       \
    X(context_push, "cuCtxPushCurrent_v2", (cuda_context context))                                 \
    X(context_pop, "cuCtxPopCurrent_v2", (cuda_context * context))                                 \
    X(memory_alloc, "cuMemAlloc_v2", (cuda_pointer * memory, size_t bytes))                        \
    X(memory_free, "cuMemFree_v2", (cuda_pointer memory))                                          \
    X(host_register, "cuMemHostRegister_v2", (void *memory, size_t bytes, unsigned flags))         \
    X(host_unregister, "cuMemHostUnregister", (void *memory))                                      \
    X(host_pointer, "cuMemHostGetDevicePointer_v2",                                                \
      (cuda_pointer *, void *memory, unsigned flags))                                              \
    X(copy, "cuMemcpyDtoDAsync_v2",                                                                \
      (cuda_pointer target, cuda_pointer source, size_t bytes, cuda_stream stream))                \
    X(copy_2d, "cuMemcpy2DAsync_v2", (const struct cuda_copy_2d *copy, cuda_stream stream))        \
    X(fill_8, "cuMemsetD8Async",                                                                   \
      (cuda_pointer target, unsigned char value, size_t count, cuda_stream stream))                \
    X(fill_16, "cuMemsetD16Async",                                                                 \
      (cuda_pointer target, unsigned short value, size_t count, cuda_stream stream))               \
    X(fill_32, "cuMemsetD32Async",                                                                 \
      (cuda_pointer target, unsigned value, size_t count, cuda_stream stream))                     \
    X(stream_create, "cuStreamCreate", (cuda_stream * stream, unsigned flags))                     \
    X(stream_destroy, "cuStreamDestroy_v2", (cuda_stream stream))                                  \
    X(stream_wait, "cuStreamSynchronize", (cuda_stream stream))                                    \
    X(stream_callback, "cuStreamAddCallback",                                                      \
      (cuda_stream stream, cuda_callback callback, void *data, unsigned flags))                    \
    X(module_load, "cuModuleLoadDataEx",                                                           \
      (cuda_module * module, const void *image, unsigned count, int *options, void **values))      \
    X(module_unload, "cuModuleUnload", (cuda_module module))                                       \
    X(function_get, "cuModuleGetFunction",                                                         \
      (cuda_function * function, cuda_module module, const char *name))                            \
    X(function_attribute, "cuFuncGetAttribute", (int *value, int which, cuda_function function))   \
    X(launch, "cuLaunchKernel",                                                                    \
      (cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,                  \
       unsigned group_x, unsigned group_y, unsigned group_z, unsigned shared_bytes,                \
       cuda_stream stream, void **arguments, void **extra))

#define NVRTC_FUNCTIONS(X)                                                                         \
    X(create, "nvrtcCreateProgram",                                                                \
      (nvrtc_program * program, const char *source, const char *name, int headers,                 \
       const char *const *texts, const char *const *names))                                        \
    X(destroy, "nvrtcDestroyProgram", (nvrtc_program * program))                                   \
    X(compile, "nvrtcCompileProgram",                                                              \
      (nvrtc_program program, int count, const char *const *options))                              \
    X(log_bytes, "nvrtcGetProgramLogSize", (nvrtc_program program, size_t * bytes))                \
    X(log, "nvrtcGetProgramLog", (nvrtc_program program, char *log))                               \
    X(ptx_bytes, "nvrtcGetPTXSize", (nvrtc_program program, size_t * bytes))                       \
    X(ptx, "nvrtcGetPTX", (nvrtc_program program, char *ptx))

#define CUBLAS_FUNCTIONS(X)                                                                        \
    X(create, "cublasCreate_v2", (cublas_handle * handle))                                         \
    X(destroy, "cublasDestroy_v2", (cublas_handle handle))                                         \
    X(mode_set, "cublasSetMathMode", (cublas_handle handle, int mode))                             \
    X(stream_set, "cublasSetStream_v2", (cublas_handle handle, cuda_stream stream))                \
    X(gemm, "cublasGemmStridedBatchedEx",                                                          \
      (cublas_handle handle, int turn_a, int turn_b, int m, int n, int k, const void *alpha,       \
       const void *a, int a_type, int a_leading, long long a_step, const void *b, int b_type,      \
       int b_leading, long long b_step, const void *beta, void *c, int c_type, int c_leading,      \
       long long c_step, int count, int compute, int algorithm))

#define CUDA_MEMBER(name, symbol, arguments) cuda_result(*name) arguments;
struct cuda_api {
    CUDA_FUNCTIONS(CUDA_MEMBER)
    /* cuFuncGetParamInfo, since CUDA 12.4; NULL before. */
    cuda_result (*function_param)(cuda_function function, size_t index, size_t *offset, size_t *bytes);
};
struct nvrtc_api {
    NVRTC_FUNCTIONS(CUDA_MEMBER)
};
struct cublas_api {
    CUBLAS_FUNCTIONS(CUDA_MEMBER)
};
#undef CUDA_MEMBER

extern struct cuda_api cuda;
extern struct nvrtc_api nvrtc;
extern struct cublas_api cublas;

/* Each opens its library once per process. cuda_load: 0, or -1 with a line in `why`. */
int cuda_load(char *why);
bool nvrtc_load(void);
bool cublas_load(void);
