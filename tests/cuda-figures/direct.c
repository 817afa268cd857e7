/* direct.c: see direct.h. */
#include "direct.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "bench/native/native.h"

static const char empty_ptx[] = ".version 6.0\n.target sm_50\n.address_size 64\n.visible .entry empty() { ret; }\n";

static struct {
    cuda_device device;
    cuda_context context;
    cuda_stream stream;
    cuda_module module;
    cuda_function empty;
    cublas_handle blas;
    cuda_pointer device_memory[DIRECT_BUFFERS], host_place[DIRECT_BUFFERS];
    void *memory[DIRECT_BUFFERS];
    size_t bytes;
    cuda_result (*upload)(cuda_pointer target, const void *source, size_t bytes, cuda_stream stream);
    cuda_result (*download)(void *target, cuda_pointer source, size_t bytes, cuda_stream stream);
} direct;

static void check(cuda_result result, const char *what)
{
    if (result)
        fprintf(stderr, "CUDA error %d: ", result);
    native_check(!result, what);
}

bool direct_open(char *why)
{
    if (cuda_load(why))
        return false;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    *(void **)&direct.upload = dlsym(library, "cuMemcpyHtoDAsync_v2");
    *(void **)&direct.download = dlsym(library, "cuMemcpyDtoHAsync_v2");
    check(cuda.device_get(&direct.device, 0), "CUDA: a device");
    check(cuda.primary_flags(direct.device, CUDA_CONTEXT_BLOCKING), "CUDA: a context's flags");
    check(cuda.primary_hold(&direct.context, direct.device), "CUDA: a context");
    check(cuda.context_push(direct.context), "CUDA: a context");
    check(cuda.stream_create(&direct.stream, CUDA_STREAM_NON_BLOCKING), "CUDA: a stream");
    static char log[1000];
    int options[2] = {CUDA_JIT_ERROR_LOG, CUDA_JIT_ERROR_LOG_BYTES};
    void *values[2] = {log, (void *)(uintptr_t)(sizeof(log) - 1)};
    check(cuda.module_load(&direct.module, empty_ptx, 2, options, values), log);
    check(cuda.function_get(&direct.empty, direct.module, "empty"), "CUDA: a kernel");
    setenv("NVIDIA_TF32_OVERRIDE", "0", 1); /* as gpud has it */
    if (cublas_load()) {
        check(cublas.create(&direct.blas), "cuBLAS: a handle");
        check(cublas.stream_set(direct.blas, direct.stream), "cuBLAS: its stream");
        check(cublas.mode_set(direct.blas, CUBLAS_NO_REDUCED_SUMS), "cuBLAS: its mode");
    }
    return true;
}

void direct_buffers(size_t bytes)
{
    direct.bytes = bytes;
    for (unsigned i = 0; i < DIRECT_BUFFERS; i++) {
        direct.memory[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        native_check(direct.memory[i] != MAP_FAILED, "memory");
        check(cuda.memory_alloc(&direct.device_memory[i], bytes), "CUDA: memory");
        check(cuda.host_register(direct.memory[i], bytes, CUDA_HOST_PORTABLE | CUDA_HOST_MAPPED),
              "CUDA: memory of the host");
        check(cuda.host_pointer(&direct.host_place[i], direct.memory[i], 0), "CUDA: memory of the host");
    }
}

void *direct_memory(unsigned which)
{
    return direct.memory[which];
}

void direct_close(void)
{
    cuda_context former;
    for (unsigned i = 0; i < DIRECT_BUFFERS && direct.bytes; i++) {
        check(cuda.host_unregister(direct.memory[i]), "CUDA: memory of the host");
        check(cuda.memory_free(direct.device_memory[i]), "CUDA: memory");
        munmap(direct.memory[i], direct.bytes);
    }
    if (direct.blas)
        cublas.destroy(direct.blas);
    check(cuda.module_unload(direct.module), "CUDA: a module");
    check(cuda.stream_destroy(direct.stream), "CUDA: a stream");
    cuda.context_pop(&former);
    check(cuda.primary_release(direct.device), "CUDA: a context");
}

static void stream_wait(const char *what)
{
    check(cuda.stream_wait(direct.stream), what);
}

void direct_launches(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        check(cuda.launch(direct.empty, 1, 1, 1, 1, 1, 1, 0, direct.stream, NULL, NULL), "CUDA: a launch");
    stream_wait("CUDA: a launch");
}

static void on_reached(cuda_stream stream, cuda_result result, void *data)
{
    (void)stream;
    (void)result;
    atomic_store((atomic_bool *)data, true);
}

void direct_callback(void)
{
    atomic_bool reached = false;
    check(cuda.stream_callback(direct.stream, on_reached, &reached, 0), "CUDA: a callback");
    while (!atomic_load(&reached))
        __builtin_ia32_pause();
    stream_wait("CUDA: a callback"); /* it may still return */
}

void direct_gemm(bool bf16, unsigned side, bool device)
{
    static const float one = 1, none = 0;
    const cuda_pointer *place = device ? direct.device_memory : direct.host_place;
    int type = bf16 ? CUBLAS_BF16 : CUBLAS_F32, n = (int)side;
    long long step = (long long)side * side;
    /* By rows, as gpud has them: c' = b' * a'. */
    check(cublas.gemm(direct.blas, CUBLAS_PLAIN, CUBLAS_PLAIN, n, n, n, &one, (void *)(uintptr_t)place[2], type, n, step,
                      (void *)(uintptr_t)place[1], type, n, step, &none, (void *)(uintptr_t)place[0], type, n, step, 1,
                      CUBLAS_COMPUTE_F32, CUBLAS_DEFAULT),
          "cuBLAS: a product");
    stream_wait("cuBLAS: a product");
}

void direct_upload(unsigned which, size_t bytes)
{
    check(direct.upload(direct.device_memory[which], direct.memory[which], bytes, direct.stream), "CUDA: a copy");
    stream_wait("CUDA: a copy");
}

void direct_download(unsigned which, size_t bytes)
{
    check(direct.download(direct.memory[which], direct.device_memory[which], bytes, direct.stream), "CUDA: a copy");
    stream_wait("CUDA: a copy");
}

void direct_copy(size_t bytes)
{
    check(cuda.copy(direct.device_memory[1], direct.device_memory[0], bytes, direct.stream), "CUDA: a copy");
    stream_wait("CUDA: a copy");
}

void direct_fill(size_t bytes)
{
    check(cuda.fill_32(direct.device_memory[0], 0x01020304, bytes / 4, direct.stream), "CUDA: a fill");
    stream_wait("CUDA: a fill");
}
