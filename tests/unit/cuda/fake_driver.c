/* fake_driver.c: see fake_driver.h. Streams do their work in the call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_driver.h"
#include "host/gpud/cuda_api.h"

#define MOST 16u

struct cuda_context_s {
    int live;
};
struct cuda_stream_s {
    cuda_context of;
};
struct cuda_module_s {
    cuda_context of;
};
struct cuda_function_s {
    int number;
};
struct nvrtc_program_s {
    char *source;
    bool good;
};
struct cublas_handle_s {
    cuda_stream stream;
};

const char fake_ptx[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                        ".visible .entry add(\n  .param .u64 add_param_0,\n"
                        "  .param .u32 add_param_1\n)\n{ ret; }\n";

static struct fake_counts counts;
static cuda_context stack[MOST]; /* of current contexts: one thread uses this driver */
static unsigned depth;
static bool in_callback, fail_allocation;
static struct {
    uint8_t *memory;
    size_t bytes;
} registered[MOST];
static struct cuda_function_s add_function = {1};

struct fake_counts fake_counts(void)
{
    return counts;
}

void fake_fail_next_allocation(void)
{
    fail_allocation = true;
}

static void expect_current(void)
{
    assert_false(in_callback);
    assert_true(depth > 0 && stack[depth - 1]->live);
}

static cuda_result fake_init(unsigned flags)
{
    return (int)flags;
}

static cuda_result fake_version(int *version)
{
    *version = 12040;
    return 0;
}

static cuda_result fake_count(int *count)
{
    *count = 2;
    return 0;
}

static cuda_result fake_get(cuda_device *device, int index)
{
    *device = 100 + index;
    return 0;
}

static cuda_result fake_name(char *name, int bytes, cuda_device device)
{
    snprintf(name, (size_t)bytes, "Stand-in %d", device - 100);
    return 0;
}

static cuda_result fake_attribute(int *value, int which, cuda_device device)
{
    (void)device;
    static const int values[CUDA_MINOR + 1] = {[CUDA_MAX_GROUP] = 1024,
                                               [CUDA_MAX_GROUP_SIZE] = 1024,
                                               [CUDA_MAX_GROUP_SIZE + 1] = 1024,
                                               [CUDA_MAX_GROUP_SIZE + 2] = 64,
                                               [CUDA_GROUP_SHARED] = 49152,
                                               [CUDA_WARP] = 32,
                                               [CUDA_UNITS] = 7,
                                               [CUDA_MAJOR] = 8};
    assert_in_range(which, 0, CUDA_MINOR);
    *value = values[which];
    return 0;
}

static cuda_result fake_memory(size_t *bytes, cuda_device device)
{
    (void)device;
    *bytes = 1u << 30;
    return 0;
}

static cuda_result fake_context_create(cuda_context *out, unsigned flags, cuda_device device)
{
    assert_true(flags == 0 && device >= 100 && depth < MOST);
    *out = calloc(1, sizeof(**out));
    (*out)->live = 1;
    stack[depth++] = *out;
    counts.contexts++;
    return 0;
}

static cuda_result fake_context_destroy(cuda_context context)
{
    assert_true(context->live);
    free(context);
    counts.contexts--;
    return 0;
}

static cuda_result fake_push(cuda_context context)
{
    assert_true(!in_callback && context->live && depth < MOST);
    stack[depth++] = context;
    return 0;
}

static cuda_result fake_pop(cuda_context *context)
{
    assert_true(!in_callback && depth > 0);
    *context = stack[--depth];
    return 0;
}

static cuda_result fake_alloc(cuda_pointer *memory, size_t bytes)
{
    expect_current();
    if (fail_allocation) {
        fail_allocation = false;
        return CUDA_OUT_OF_MEMORY;
    }
    *memory = (uintptr_t)malloc(bytes);
    counts.allocations++;
    return 0;
}

static cuda_result fake_free(cuda_pointer memory)
{
    expect_current();
    free((void *)(uintptr_t)memory);
    counts.allocations--;
    return 0;
}

static cuda_result fake_register(void *memory, size_t bytes, unsigned flags)
{
    expect_current();
    assert_int_equal(flags, CUDA_HOST_PORTABLE | CUDA_HOST_MAPPED);
    unsigned room = MOST;
    for (unsigned i = 0; i < MOST; i++) {
        if (!registered[i].memory)
            room = i;
        else if ((uint8_t *)memory < registered[i].memory + registered[i].bytes &&
                 registered[i].memory < (uint8_t *)memory + bytes)
            return CUDA_ALREADY_REGISTERED;
    }
    assert_true(room < MOST);
    registered[room].memory = memory;
    registered[room].bytes = bytes;
    counts.registrations++;
    return 0;
}

static cuda_result fake_unregister(void *memory)
{
    expect_current();
    for (unsigned i = 0; i < MOST; i++)
        if (registered[i].memory == memory) {
            registered[i].memory = NULL;
            counts.registrations--;
            return 0;
        }
    fail_msg("memory that was not registered is let go");
    return 1;
}

static cuda_result fake_host_pointer(cuda_pointer *out, void *memory, unsigned flags)
{
    expect_current();
    assert_int_equal(flags, 0);
    *out = (uintptr_t)memory;
    return 0;
}

static void expect_stream(cuda_stream stream)
{
    expect_current();
    assert_ptr_equal(stream->of, stack[depth - 1]);
}

static cuda_result fake_copy(cuda_pointer target, cuda_pointer source, size_t bytes,
                             cuda_stream stream)
{
    expect_stream(stream);
    memcpy((void *)(uintptr_t)target, (void *)(uintptr_t)source, bytes);
    return 0;
}

static cuda_result fake_copy_2d(const struct cuda_copy_2d *copy, cuda_stream stream)
{
    expect_stream(stream);
    assert_true(copy->source_kind == CUDA_MEMORY_UNIFIED && copy->source_pitch >= copy->width);
    assert_true(copy->target_kind == CUDA_MEMORY_UNIFIED && copy->target_pitch >= copy->width);
    for (size_t row = 0; row < copy->rows; row++)
        memcpy((uint8_t *)(uintptr_t)copy->target + row * copy->target_pitch,
               (uint8_t *)(uintptr_t)copy->source + row * copy->source_pitch, copy->width);
    return 0;
}

static cuda_result fake_fill_8(cuda_pointer target, unsigned char value, size_t count,
                               cuda_stream stream)
{
    expect_stream(stream);
    memset((void *)(uintptr_t)target, value, count);
    return 0;
}

static cuda_result fake_fill_16(cuda_pointer target, unsigned short value, size_t count,
                                cuda_stream stream)
{
    expect_stream(stream);
    for (size_t i = 0; i < count; i++)
        ((uint16_t *)(uintptr_t)target)[i] = value;
    return 0;
}

static cuda_result fake_fill_2d(cuda_pointer target, size_t pitch, unsigned value, size_t width,
                                size_t rows, cuda_stream stream)
{
    expect_stream(stream);
    assert_true(pitch >= width * 4 && target % 4 == 0);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < width; i++)
            memcpy((uint8_t *)(uintptr_t)target + row * pitch + i * 4, &value, 4);
    return 0;
}

static cuda_result fake_stream_create(cuda_stream *stream, unsigned flags)
{
    expect_current();
    assert_int_equal(flags, CUDA_STREAM_NON_BLOCKING);
    *stream = calloc(1, sizeof(**stream));
    (*stream)->of = stack[depth - 1];
    counts.streams++;
    return 0;
}

static cuda_result fake_stream_destroy(cuda_stream stream)
{
    expect_stream(stream);
    free(stream);
    counts.streams--;
    return 0;
}

static cuda_result fake_stream_wait(cuda_stream stream)
{
    expect_stream(stream);
    return 0;
}

static cuda_result fake_callback(cuda_stream stream, cuda_callback callback, void *data,
                                 unsigned flags)
{
    expect_stream(stream);
    assert_int_equal(flags, 0);
    in_callback = true;
    callback(stream, 0, data);
    in_callback = false;
    return 0;
}

static cuda_result fake_module_load(cuda_module *module, const void *image, unsigned count,
                                    int *options, void **values)
{
    expect_current();
    assert_int_equal(count, 2);
    assert_true(options[0] == CUDA_JIT_ERROR_LOG && options[1] == CUDA_JIT_ERROR_LOG_BYTES);
    if (!strstr(image, ".target")) {
        snprintf(values[0], (size_t)(uintptr_t)values[1], "no target");
        return 218;
    }
    *module = calloc(1, sizeof(**module));
    (*module)->of = stack[depth - 1];
    counts.modules++;
    return 0;
}

static cuda_result fake_module_unload(cuda_module module)
{
    expect_current();
    free(module);
    counts.modules--;
    return 0;
}

static cuda_result fake_function_get(cuda_function *function, cuda_module module, const char *name)
{
    expect_current();
    assert_ptr_equal(module->of, stack[depth - 1]);
    *function = &add_function;
    return strcmp(name, "add") == 0 ? 0 : CUDA_NOT_FOUND;
}

static cuda_result fake_function_attribute(int *value, int which, cuda_function function)
{
    expect_current();
    assert_ptr_equal(function, &add_function);
    *value = which == CUDA_FUNCTION_MAX_GROUP ? 1024 : 0;
    return 0;
}

static cuda_result fake_launch(cuda_function function, unsigned grid_x, unsigned grid_y,
                               unsigned grid_z, unsigned group_x, unsigned group_y,
                               unsigned group_z, unsigned shared, cuda_stream stream,
                               void **arguments, void **extra)
{
    uint32_t more;
    expect_stream(stream);
    assert_ptr_equal(function, &add_function);
    assert_true(grid_y == 1 && grid_z == 1 && group_y == 1 && group_z == 1 && !shared && !extra);
    int *numbers = *(int **)arguments[0];
    memcpy(&more, arguments[1], sizeof(more));
    for (unsigned i = 0; i < grid_x * group_x; i++)
        numbers[i] += (int)more;
    return 0;
}

struct cuda_api cuda = {
    .init = fake_init,
    .driver_version = fake_version,
    .device_count = fake_count,
    .device_get = fake_get,
    .device_name = fake_name,
    .device_attribute = fake_attribute,
    .device_memory = fake_memory,
    .context_create = fake_context_create,
    .context_destroy = fake_context_destroy,
    .context_push = fake_push,
    .context_pop = fake_pop,
    .memory_alloc = fake_alloc,
    .memory_free = fake_free,
    .host_register = fake_register,
    .host_unregister = fake_unregister,
    .host_pointer = fake_host_pointer,
    .copy = fake_copy,
    .copy_2d = fake_copy_2d,
    .fill_8 = fake_fill_8,
    .fill_16 = fake_fill_16,
    .fill_2d_32 = fake_fill_2d,
    .stream_create = fake_stream_create,
    .stream_destroy = fake_stream_destroy,
    .stream_wait = fake_stream_wait,
    .stream_callback = fake_callback,
    .module_load = fake_module_load,
    .module_unload = fake_module_unload,
    .function_get = fake_function_get,
    .function_attribute = fake_function_attribute,
    .launch = fake_launch,
};

/* ---- The compiler: CUDA C is good when it has __global__, and always is fake_ptx. */

static cuda_result fake_create(nvrtc_program *program, const char *source, const char *name,
                               int headers, const char *const *texts, const char *const *names)
{
    assert_true(name && !headers && !texts && !names);
    *program = calloc(1, sizeof(**program));
    (*program)->source = strdup(source);
    counts.programs++;
    return 0;
}

static cuda_result fake_destroy(nvrtc_program *program)
{
    free((*program)->source);
    free(*program);
    *program = NULL;
    counts.programs--;
    return 0;
}

static cuda_result fake_compile(nvrtc_program program, int count, const char *const *options)
{
    assert_true(count >= 1);
    assert_string_equal(options[0], "--gpu-architecture=compute_80");
    program->good = strstr(program->source, "__global__") != NULL;
    return program->good ? 0 : 6;
}

static cuda_result fake_log_bytes(nvrtc_program program, size_t *bytes)
{
    *bytes = program->good ? 1 : 6;
    return 0;
}

static cuda_result fake_log(nvrtc_program program, char *log)
{
    strcpy(log, program->good ? "" : "wrong");
    return 0;
}

static cuda_result fake_ptx_bytes(nvrtc_program program, size_t *bytes)
{
    assert_true(program->good);
    *bytes = strlen(fake_ptx) + 1;
    return 0;
}

static cuda_result fake_ptx_get(nvrtc_program program, char *ptx)
{
    assert_true(program->good);
    strcpy(ptx, fake_ptx);
    return 0;
}

struct nvrtc_api nvrtc = {.create = fake_create,
                          .destroy = fake_destroy,
                          .compile = fake_compile,
                          .log_bytes = fake_log_bytes,
                          .log = fake_log,
                          .ptx_bytes = fake_ptx_bytes,
                          .ptx = fake_ptx_get};

/* ---- The matrix library: by columns, as the real one. */

static cuda_result fake_blas_create(cublas_handle *handle)
{
    expect_current();
    *handle = calloc(1, sizeof(**handle));
    counts.handles++;
    return 0;
}

static cuda_result fake_blas_destroy(cublas_handle handle)
{
    expect_current();
    free(handle);
    counts.handles--;
    return 0;
}

static cuda_result fake_blas_stream(cublas_handle handle, cuda_stream stream)
{
    expect_stream(stream);
    handle->stream = stream;
    return 0;
}

static float side_at(const void *matrix, int leading, bool turned, int row, int column)
{
    const float *numbers = matrix;
    return turned ? numbers[(size_t)row * (size_t)leading + (size_t)column]
                  : numbers[(size_t)column * (size_t)leading + (size_t)row];
}

static cuda_result fake_gemm(cublas_handle handle, int turn_a, int turn_b, int m, int n, int k,
                             const void *alpha, const void *a, int a_type, int a_leading,
                             long long a_step, const void *b, int b_type, int b_leading,
                             long long b_step, const void *beta, void *c, int c_type, int c_leading,
                             long long c_step, int count, int compute, int algorithm)
{
    expect_stream(handle->stream);
    assert_true(!a_type && !b_type && !c_type && compute == CUBLAS_COMPUTE_F32 && algorithm == -1);
    assert_true(a_leading >= (turn_a ? k : m) && b_leading >= (turn_b ? n : k) && c_leading >= m);
    for (int one = 0; one < count; one++)
        for (int row = 0; row < m; row++)
            for (int column = 0; column < n; column++) {
                const float *from_a = (const float *)a + one * a_step,
                            *from_b = (const float *)b + one * b_step;
                float *to = (float *)c + one * c_step + column * c_leading + row, sum = 0;
                for (int i = 0; i < k; i++)
                    sum += side_at(from_a, a_leading, turn_a, row, i) *
                           side_at(from_b, b_leading, turn_b, i, column);
                *to = *(const float *)alpha * sum +
                      (*(const float *)beta != 0 ? *(const float *)beta * *to : 0);
            }
    return 0;
}

struct cublas_api cublas = {.create = fake_blas_create,
                            .destroy = fake_blas_destroy,
                            .stream_set = fake_blas_stream,
                            .gemm = fake_gemm};

int cuda_load(char *why)
{
    (void)why;
    return 0;
}

bool nvrtc_load(void)
{
    return true;
}

bool cublas_load(void)
{
    return true;
}
