/*
 * cuda_test.c: gpud's CUDA implementation over the stand-in for the driver (tests/cuda-stand-in), which ends the
 * program at each wrong use: what is made, in what order, what is left; each call that fails; products in every
 * layout; the reading of PTX.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host/gpud/device_cuda.h"
#include "host/gpud/ptx_params.h"
#include "lib/gpucmd/tensor.h"
#include "tests/cuda-stand-in/hooks.h"

/* One kernel, which adds to as many numbers as there are work-items. */
static const char add_ptx[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                              ".visible .entry add(\n  .param .u64 add_param_0,\n"
                              "  .param .u32 add_param_1\n)\n{ ret; }\n";

static struct {
    struct device *device;
    struct device_info info;
    struct device_context *context;
    struct device_queue *queue;
    atomic_uint ends;
    uint32_t status; /* of the newest that has ended */
} rig;

static const struct device_ops *ops = &device_cuda;

static int rig_open(void **state)
{
    char why[DEVICE_WHY_BYTES];
    (void)state;
    memset(&rig, 0, sizeof(rig));
    assert_int_equal(ops->open("Stand-in 1", &rig.device, &rig.info, why), 0);
    assert_int_equal(ops->context_create(rig.device, &rig.context), 0);
    assert_int_equal(ops->queue_create(rig.context, &rig.queue), 0);
    return 0;
}

/* Whatever a test did, nothing is left. */
static int rig_close(void **state)
{
    static const struct stand_in_counts none;
    (void)state;
    ops->queue_destroy(rig.queue);
    ops->context_destroy(rig.context);
    ops->close(rig.device);
    struct stand_in_counts left = stand_in_counts();
    assert_memory_equal(&left, &none, sizeof(none));
    return 0;
}

static void on_end(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns)
{
    assert_ptr_equal(token, &rig);
    assert_true(start_ns > 0 && end_ns >= start_ns);
    rig.status = status;
    atomic_fetch_add(&rig.ends, 1);
}

/* The stand-in's thread counts it up. */
static void count_wait(atomic_uint *count, unsigned wanted)
{
    for (unsigned waited = 0; atomic_load(count) < wanted && waited < 20000; waited++)
        usleep(1000);
    assert_int_equal(atomic_load(count), wanted);
}

static uint32_t batch_run(void)
{
    unsigned before = atomic_load(&rig.ends);
    assert_false(ops->batch_end(rig.queue, true, on_end, &rig));
    count_wait(&rig.ends, before + 1);
    return rig.status;
}

static void test_devices(void **state)
{
    struct device_info infos[4];
    char why[DEVICE_WHY_BYTES];
    unsigned count;
    struct device *device;
    (void)state;
    assert_int_equal(ops->list(infos, 4, &count, why), 0);
    assert_int_equal(count, 2);
    assert_string_equal(infos[1].name, "CUDA stand-in 1");
    assert_string_equal(infos[1].backend_version, "12.4");
    assert_int_equal(infos[0].operations[VGPGPU_GEMM], 1 << VGPGPU_F32 | 1 << VGPGPU_BF16);
    assert_int_equal(infos[0].program_kinds,
                     1 << VGPGPU_PROGRAM_PTX | 1 << VGPGPU_PROGRAM_CUDA_C | 1 << VGPGPU_PROGRAM_BINARY);
    assert_true(infos[0].features & VGPGPU_FEATURE_IN_PLACE);
    assert_int_equal(infos[0].max_group, 1024);
    assert_int_equal(infos[0].max_group_size[2], 64);
    assert_int_equal(infos[0].local_bytes, 49152);
    assert_int_equal(ops->open("1", &device, &infos[0], why), 0);
    assert_string_equal(infos[0].name, "CUDA stand-in 1");
    ops->close(device);
    assert_int_equal(ops->open("none of them", &device, &infos[0], why), -1);
    assert_non_null(strstr(why, "none of them"));
}

static void test_buffers(void **state)
{
    enum { BYTES = 8192 };
    struct device_buffer *own, *guest, *again;
    (void)state;
    uint8_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    stand_in_fail("cuMemAlloc_v2", 1, CUDA_OUT_OF_MEMORY);
    assert_int_equal(ops->buffer_create(rig.context, NULL, BYTES, &own), VGPGPU_ERR_NO_MEMORY);
    assert_int_equal(ops->buffer_create(rig.context, NULL, BYTES, &own), 0);
    assert_int_equal(ops->buffer_create(rig.context, memory, BYTES, &guest), 0);
    /* The same pages a second time, and both views are of them. */
    assert_int_equal(ops->buffer_create(rig.context, memory + 4096, 4000, &again), 0);
    memory[4096] = 77;
    struct device_copy copy = {.source = again, .target = guest, .length = 1, .rows = 1};
    assert_int_equal(ops->copy(rig.queue, &copy, true), 0);
    assert_int_equal(batch_run(), 0);
    assert_int_equal(memory[0], 77);
    ops->buffer_destroy(guest);
    ops->buffer_destroy(again);
    ops->buffer_destroy(own);
    munmap(memory, BYTES);
}

/* It is told of once, when what is before it has been done, with the batch's beginning. */
static atomic_uint reached;

static void on_reached(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns)
{
    assert_int_equal(*(uint8_t *)token, 5);
    assert_int_equal(status, 0);
    assert_true(start_ns > 0 && end_ns >= start_ns);
    atomic_fetch_add(&reached, 1);
}

static void test_signals(void **state)
{
    struct device_buffer *buffer;
    (void)state;
    uint8_t *bytes = aligned_alloc(4096, 4096);
    assert_int_equal(ops->buffer_create(rig.context, bytes, 4096, &buffer), 0);
    for (uint8_t value = 5; value < 7; value++) {
        struct device_fill fill = {
            .target = buffer, .length = 1, .pattern = &value, .pattern_bytes = 1, .offset = value - 5u};
        assert_int_equal(ops->fill(rig.queue, &fill, false), 0);
        assert_int_equal(ops->signal(rig.queue, on_reached, bytes), 0);
        count_wait(&reached, value - 4u);
    }
    assert_int_equal(batch_run(), 0);
    assert_int_equal(ops->signal(rig.queue, on_reached, bytes), 0);
    assert_int_equal(batch_run(), 0);
    count_wait(&reached, 3);
    ops->buffer_destroy(buffer);
    free(bytes);
}

static void test_rows_and_fills(void **state)
{
    static uint8_t want[1024];
    uint8_t pattern[16];
    struct device_buffer *buffer;
    (void)state;
    uint8_t *bytes = aligned_alloc(4096, 4096);
    memset(bytes, 0, 4096);
    assert_int_equal(ops->buffer_create(rig.context, bytes, 1024, &buffer), 0);
    for (unsigned i = 0; i < 16; i++)
        pattern[i] = (uint8_t)(i + 1);
    for (uint32_t unit = 1; unit <= 16; unit *= 2) {
        struct device_fill fill = {.target = buffer,
                                   .offset = 64,
                                   .length = 128,
                                   .pattern = pattern,
                                   .pattern_bytes = unit};
        assert_int_equal(ops->fill(rig.queue, &fill, true), 0);
        assert_int_equal(batch_run(), 0);
        for (unsigned i = 0; i < 128; i++)
            want[64 + i] = pattern[i % unit];
        assert_memory_equal(bytes, want, 1024);
    }
    for (uint64_t pitch = 30; pitch <= 32; pitch++) { /* the stand-in refuses some */
        struct device_copy copy = {.source = buffer,
                                   .target = buffer,
                                   .source_offset = 64,
                                   .target_offset = 512,
                                   .length = 5,
                                   .rows = 4,
                                   .source_pitch = 16,
                                   .target_pitch = pitch};
        assert_int_equal(ops->copy(rig.queue, &copy, true), 0);
        assert_int_equal(batch_run(), 0);
        for (unsigned row = 0; row < 4; row++)
            memcpy(want + 512 + row * pitch, want + 64 + row * 16, 5);
        assert_memory_equal(bytes, want, 1024);
    }
    ops->buffer_destroy(buffer);
    free(bytes);
}

static uint32_t add_launch(struct device_kernel *kernel, struct device_buffer *buffer,
                           size_t global, size_t local, uint64_t value_bytes)
{
    static const uint64_t five = 5;
    const struct device_arg args[2] = {
        {.kind = VGPGPU_ARG_BUFFER, .buffer = buffer, .offset = 16},
        {.kind = VGPGPU_ARG_VALUE, .value = &five, .size = value_bytes}};
    const struct device_launch launch = {.kernel = kernel,
                                         .dimensions = 1,
                                         .global = {global, 1, 1},
                                         .local = {local, 0, 0},
                                         .args = args,
                                         .arg_count = 2};
    return ops->launch(rig.queue, &launch, true);
}

static void test_programs(void **state)
{
    static const uint32_t kinds[] = {VGPGPU_PROGRAM_PTX, VGPGPU_PROGRAM_CUDA_C,
                                     VGPGPU_PROGRAM_BINARY};
    static const char cuda_c[] = "extern \"C\" __global__ void add(int *n, unsigned more) {}";
    uint8_t wants[VGPGPU_MAX_ARGS];
    struct device_program *program;
    struct device_kernel *kernel;
    struct device_buffer *buffer;
    struct vgpgpu_kernel_info info;
    uint32_t args;
    char *log;
    void *binary;
    size_t count;
    (void)state;
    int *numbers = aligned_alloc(4096, 4096);
    assert_int_equal(ops->buffer_create(rig.context, numbers, 4096, &buffer), 0);
    for (unsigned i = 0; i < 3; i++) {
        const char *source = kinds[i] == VGPGPU_PROGRAM_CUDA_C ? cuda_c : add_ptx;
        memset(numbers, 0, 4096);
        assert_int_equal(ops->program_create(rig.context, kinds[i], "-lineinfo", source,
                                             strlen(source), &program, &log),
                         0);
        free(log);
        assert_int_equal(ops->kernel_create(program, "none", wants, &args, &kernel),
                         VGPGPU_ERR_INVALID);
        assert_int_equal(ops->kernel_create(program, "add", wants, &args, &kernel), 0);
        assert_int_equal(args, 2);
        assert_int_equal(wants[0], DEVICE_ARG_EITHER);
        assert_int_equal(wants[1], DEVICE_ARG_VALUE);
        assert_int_equal(add_launch(kernel, buffer, 96, 32, 4), 0);
        assert_int_equal(add_launch(kernel, buffer, 100, 0, 4), 0);
        assert_int_equal(add_launch(kernel, buffer, 97, 32, 4), VGPGPU_ERR_EXEC);
        assert_int_equal(add_launch(kernel, buffer, 96, 32, 8), VGPGPU_ERR_EXEC);
        assert_int_equal(batch_run(), 0);
        assert_true(numbers[3] == 0 && numbers[4] == 10 && numbers[4 + 95] == 10 &&
                    numbers[4 + 96] == 5 && numbers[4 + 100] == 0);
        assert_int_equal(ops->kernel_info(kernel, &info), 0);
        assert_true(info.max_group == 1024 && info.group_multiple == 32);
        assert_int_equal(ops->program_binary(program, &binary, &count), 0);
        assert_true(source == cuda_c ? memmem(binary, count, ".entry add(", 11) != NULL
                                     : count == strlen(add_ptx) && memcmp(binary, add_ptx, count) == 0);
        free(binary);
        ops->kernel_destroy(kernel);
        ops->program_destroy(program);
    }
    ops->buffer_destroy(buffer);
    free(numbers);
}

static void test_programs_that_do_not_build(void **state)
{
    static const struct {
        uint32_t kind, status;
        const char *source, *log;
    } cases[] = {
        {VGPGPU_PROGRAM_OPENCL_C, VGPGPU_ERR_UNSUPPORTED, "kernel void k() {}", NULL},
        {VGPGPU_PROGRAM_SPIRV, VGPGPU_ERR_UNSUPPORTED, "x", NULL},
        {VGPGPU_PROGRAM_PTX, VGPGPU_ERR_BUILD,
         "\x7f"
         "ELF",
         NULL},
        {VGPGPU_PROGRAM_PTX, VGPGPU_ERR_BUILD, ".version 7.0\n", "ptxas stand-in: no version or no target"},
        {VGPGPU_PROGRAM_PTX, VGPGPU_ERR_BUILD, "! .version 7.0\n.target sm_80\n", NULL},
        {VGPGPU_PROGRAM_PTX, VGPGPU_ERR_BUILD,
         ".version 7.0\n.target sm_80\n#define a a, .param .u64 b\n.entry k(.param .u64 a) { ret; }\n",
         "ptxas stand-in: a line for a preprocessor"},
        {VGPGPU_PROGRAM_CUDA_C, VGPGPU_ERR_BUILD, "nonsense", "it does not build"},
        /* NVRTC has nothing to say, and the driver then has. */
        {VGPGPU_PROGRAM_CUDA_C, VGPGPU_ERR_BUILD,
         "__global__ void k(int *a) {} __global__ void k(int *a) {}",
         "ptxas stand-in: an entry that is none, or too many, or of another's name"},
    };
    struct device_program *program;
    char *log;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ops->program_create(rig.context, cases[i].kind, "", cases[i].source,
                                             strlen(cases[i].source), &program, &log),
                         cases[i].status);
        if (cases[i].log)
            assert_string_equal(log, cases[i].log);
        free(log);
    }
}

/* c = 2 * a * b + c, each matrix by rows or by columns, single and in batches. */
static void gemm_case(unsigned layout, uint64_t m, uint64_t n, uint64_t k, uint16_t rank)
{
    static const struct vgpgpu_gemm gemm = {.alpha = 2, .beta = 1};
    const uint64_t rows[3] = {m, m, k}, columns[3] = {n, k, n};
    struct vgpgpu_tensor tensors[3];
    struct device_buffer *buffers[3];
    float *numbers[3], former[4096];
    for (unsigned i = 0; i < 3; i++) {
        bool turned = layout >> i & 1;
        uint64_t sizes[3] = {2, turned ? columns[i] : rows[i], turned ? rows[i] : columns[i]};
        tensors[i] = tensor_dense(1, VGPGPU_F32, 0, rank, sizes + 3 - rank);
        if (turned)
            tensors[i] = tensor_transposed(tensors[i]);
        numbers[i] = aligned_alloc(4096, 4096 * sizeof(float));
        for (unsigned at = 0; at < 4096; at++)
            numbers[i][at] = (float)((at * 7 + i) % 9) - 4;
        assert_int_equal(
            ops->buffer_create(rig.context, numbers[i], 4096 * sizeof(float), &buffers[i]), 0);
    }
    memcpy(former, numbers[0], sizeof(former));
    struct device_operation operation = {.operation = VGPGPU_GEMM,
                                         .tensor_count = 3,
                                         .tensors = tensors,
                                         .buffers = buffers,
                                         .parameters = &gemm,
                                         .parameter_bytes = sizeof(gemm)};
    assert_int_equal(ops->operation(rig.queue, &operation, true), 0);
    assert_int_equal(batch_run(), 0);
    for (uint64_t one = 0; one < (rank == 3 ? 2 : 1); one++)
        for (uint64_t row = 0; row < m; row++)
            for (uint64_t column = 0; column < n; column++) {
                float sum = 0;
                uint64_t at[3];
                for (uint64_t i = 0; i < k; i++) {
                    const uint64_t r[3] = {row, row, i}, c[3] = {column, i, column};
                    for (unsigned t = 0; t < 3; t++)
                        at[t] = (rank == 3 ? one * tensors[t].strides[0] : 0) +
                                r[t] * tensors[t].strides[rank - 2] +
                                c[t] * tensors[t].strides[rank - 1];
                    sum += numbers[1][at[1]] * numbers[2][at[2]];
                }
                assert_true(numbers[0][at[0]] == 2 * sum + former[at[0]]);
            }
    for (unsigned i = 0; i < 3; i++) {
        ops->buffer_destroy(buffers[i]);
        free(numbers[i]);
    }
}

static void test_gemm(void **state)
{
    (void)state;
    for (unsigned layout = 0; layout < 8; layout++) {
        gemm_case(layout, 5, 7, 3, 2);
        gemm_case(layout, 6, 4, 9, 3);
        gemm_case(layout, 1, 8, 5, 2);
        gemm_case(layout, 8, 1, 5, 2);
        gemm_case(layout, 3, 4, 1, 2);
    }
}

static void test_ptx(void **state)
{
    static const char ptx[] =
        "// .entry wrong(.param .u64 x)\n/* .entry a( */ .version 7.0\n"
        ".visible .entry ab(.param .f32 one)\n{}\n"
        ".entry a(\n\t.param .u64 .ptr .global .align 4 a_0, // first\n\t.param .align 8 .b8 "
        "a_1[24],"
        "\n\t.param .f64 a_2,\n\t.param .u8 a_3\n) .maxntid 128\n{ }\n.entry nothing()\n{}\n"
        ".entry large(.param .b8 l[257])\n{}\n.entry cut(.param .u32 c";
    struct ptx_param params[VGPGPU_MAX_ARGS];
    uint32_t count;
    (void)state;
    assert_int_equal(ptx_params_find(ptx, "a", params, &count), 0);
    assert_int_equal(count, 4);
    assert_true(params[0].bytes == 8 && params[0].want == DEVICE_ARG_EITHER);
    assert_true(params[1].bytes == 24 && params[1].want == DEVICE_ARG_VALUE);
    assert_true(params[2].bytes == 8 && params[2].want == DEVICE_ARG_VALUE);
    assert_true(params[3].bytes == 1 && params[3].want == DEVICE_ARG_VALUE);
    static const uint32_t places[] = {0, 8, 32, 40};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(params[i].offset, places[i]);
    static const char gaps[] = ".version 7.0 .entry g(.param .u8 a, .param .align 16 .b8 b[3], .param .f16 c,"
                               " .param .align 2 .f64 d, .param .align 3 .b8 e[3])";
    assert_int_equal(ptx_params_find(gaps, "g", params, &count), VGPGPU_ERR_UNSUPPORTED);
    static const uint32_t padded[] = {0, 16, 20, 24};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(params[i].offset, padded[i]);
    assert_int_equal(ptx_params_find(ptx, "ab", params, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(ptx_params_find(ptx, "nothing", params, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(ptx_params_find(ptx, "wrong", params, &count), VGPGPU_ERR_INVALID);
    assert_int_equal(ptx_params_find(ptx, "large", params, &count), VGPGPU_ERR_LIMIT);
    assert_int_equal(ptx_params_find(ptx, "cut", params, &count), VGPGPU_ERR_UNSUPPORTED);
}

/* Every beginning of a text, and every text with one character changed, ends in a status. */
static void test_ptx_of_nonsense(void **state)
{
    static const char marks[] = {0, '(', ')', ',', '.', '[', ']', '/', '*', '9', 'a', ' '};
    struct ptx_param params[VGPGPU_MAX_ARGS];
    uint32_t count;
    size_t length = strlen(add_ptx);
    (void)state;
    for (size_t at = 0; at < length; at++)
        for (size_t mark = 0; mark < sizeof(marks); mark++) {
            char *text = strdup(add_ptx);
            text[at] = marks[mark];
            assert_true(ptx_params_find(text, "add", params, &count) <= VGPGPU_ERR_TIMEOUT);
            assert_true(count <= VGPGPU_MAX_ARGS);
            free(text);
        }
}

/* ---- Failures: each call in turn */

/* What a round makes. */
struct all {
    struct device_context *context;
    struct device_queue *queue;
    struct device_buffer *own, *guest;
    struct device_program *program;
    struct device_kernel *kernel;
};

static unsigned all_make(struct all *all, uint8_t *memory)
{
    uint8_t wants[VGPGPU_MAX_ARGS];
    uint32_t args;
    char *log = NULL;
    *all = (struct all){0};
    if (ops->context_create(rig.device, &all->context))
        return 1;
    unsigned errors = ops->queue_create(all->context, &all->queue) != 0;
    errors += ops->buffer_create(all->context, NULL, 8192, &all->own) != 0;
    errors += ops->buffer_create(all->context, memory, 8192, &all->guest) != 0;
    errors += ops->program_create(all->context, VGPGPU_PROGRAM_PTX, "", add_ptx, strlen(add_ptx), &all->program,
                                  &log) != 0;
    errors += all->program && ops->kernel_create(all->program, "add", wants, &args, &all->kernel);
    free(log);
    return errors;
}

static unsigned all_use(const struct all *all)
{
    static const struct vgpgpu_gemm gemm = {.alpha = 1};
    static const uint64_t sizes[2] = {4, 4};
    static const uint8_t pattern[16] = {1, 2, 3};
    const struct device_copy copy = {.source = all->own, .target = all->guest, .length = 64, .rows = 1};
    const struct device_copy rows = {
        .source = all->own, .target = all->guest, .length = 8, .rows = 4, .source_pitch = 16, .target_pitch = 16};
    struct device_fill fill = {.target = all->own, .length = 64, .pattern = pattern};
    struct device_buffer *buffers[3] = {all->own, all->own, all->own};
    struct vgpgpu_tensor tensors[3];
    const struct device_operation operation = {.operation = VGPGPU_GEMM,
                                               .tensor_count = 3,
                                               .tensors = tensors,
                                               .buffers = buffers,
                                               .parameters = &gemm,
                                               .parameter_bytes = sizeof(gemm)};
    for (unsigned i = 0; i < 3; i++)
        tensors[i] = tensor_dense(1, VGPGPU_F32, i * 64, 2, sizes);
    unsigned errors = ops->copy(all->queue, &copy, false) != 0;
    errors += ops->copy(all->queue, &rows, false) != 0;
    for (fill.pattern_bytes = 1; fill.pattern_bytes <= 16; fill.pattern_bytes *= 2)
        errors += ops->fill(all->queue, &fill, false) != 0;
    errors += ops->operation(all->queue, &operation, false) != 0;
    struct device_queue *former = rig.queue;
    rig.queue = all->queue;
    errors += add_launch(all->kernel, all->own, 32, 32, 4) != 0;
    errors += batch_run() != 0;
    rig.queue = former;
    return errors;
}

static void all_destroy(const struct all *all)
{
    if (all->kernel)
        ops->kernel_destroy(all->kernel);
    if (all->program)
        ops->program_destroy(all->program);
    if (all->own)
        ops->buffer_destroy(all->own);
    if (all->guest)
        ops->buffer_destroy(all->guest);
    if (all->queue)
        ops->queue_destroy(all->queue);
    if (all->context)
        ops->context_destroy(all->context);
}

/* Makes all there is, uses it if it could all be made, and destroys it. */
static unsigned round_errors(uint8_t *memory)
{
    struct all all;
    unsigned errors = all_make(&all, memory);
    if (!errors)
        errors = all_use(&all);
    all_destroy(&all);
    return errors;
}

static void test_failures_one_by_one(void **state)
{
    static const struct {
        const char *call;
        unsigned times; /* that a round makes it */
    } calls[] = {{"cuDevicePrimaryCtxRetain", 1}, {"cuStreamCreate", 1},      {"cuMemAlloc_v2", 1},
                 {"cuMemHostRegister_v2", 1},  {"cuModuleLoadDataEx", 1},  {"cuModuleGetFunction", 1},
                 {"cuMemcpyDtoDAsync_v2", 6},  {"cuMemcpy2DAsync_v2", 1},  {"cuMemsetD8Async", 1},
                 {"cuMemsetD16Async", 1},      {"cuMemsetD32Async", 7},    {"cublasCreate_v2", 1},
                 {"cublasSetStream_v2", 1},    {"cublasSetMathMode", 1},   {"cublasGemmStridedBatchedEx", 1},
                 {"cuLaunchKernel", 1},        {"cuStreamAddCallback", 1}, {"cuMemHostGetDevicePointer_v2", 1}};
    struct stand_in_counts before = stand_in_counts();
    uint8_t *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_int_equal(round_errors(memory), 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (unsigned at = 1; at <= calls[i].times; at++)
            for (int code = 2; code <= 304; code += 302) {
                stand_in_fail(calls[i].call, at, code);
                unsigned errors = round_errors(memory);
                /* Other than for memory, the same pages are registered elsewhere. */
                bool again = code != 2 && strcmp(calls[i].call, "cuMemHostRegister_v2") == 0;
                if (errors != (again ? 0 : 1))
                    fail_msg("%s %u gives %d: %u errors", calls[i].call, at, code, errors);
                struct stand_in_counts after = stand_in_counts();
                assert_memory_equal(&after, &before, sizeof(after));
            }
    stand_in_fail("", 0, 0);
    munmap(memory, 8192);
}

/* An error after which no call works ends the process, and no other does. */
static void test_final_errors(void **state)
{
    static const struct {
        int code, exits;
    } cases[] = {{0, 7},   {1, 7},   {2, 7},   {46, 7},  {101, 7}, {201, 7}, {218, 7}, {304, 7}, {500, 7},
                 {214, 1}, {220, 1}, {226, 1}, {700, 1}, {702, 1}, {709, 1}, {710, 1}, {714, 1}, {715, 1},
                 {716, 1}, {717, 1}, {718, 1}, {719, 1}, {721, 1}, {810, 1}, {911, 1}, {999, 1}, {910, 7}, {701, 7}, {712, 7},
                 {801, 7}, {802, 7}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            cuda_status(cases[i].code);
            _exit(7);
        }
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != cases[i].exits)
            fail_msg("CUDA error %d: status %#x", cases[i].code, status);
    }
}

/* A device chooses groups that fit its grid. */
static void test_groups(void **state)
{
    static const struct {
        size_t global[3];
        unsigned dimensions;
        uint32_t status;
    } cases[] = {{{97, 1, 1}, 1, 0},          {{64, 70000, 1}, 2, 0},    {{2, 2, 70000}, 3, 0},
                 {{1, 70001, 1}, 2, VGPGPU_ERR_EXEC}, /* a prime */
                 {{1, 65536, 131072}, 3, 0}};
    struct device_program *program;
    struct device_kernel *kernel;
    uint8_t wants[VGPGPU_MAX_ARGS];
    uint32_t args;
    char *log;
    (void)state;
    static const char ptx[] = ".version 7.0\n.target sm_80\n.entry nop() { ret; }\n";
    assert_int_equal(
        ops->program_create(rig.context, VGPGPU_PROGRAM_PTX, "", ptx, strlen(ptx), &program, &log), 0);
    assert_int_equal(ops->kernel_create(program, "nop", wants, &args, &kernel), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct device_launch launch = {.kernel = kernel, .dimensions = cases[i].dimensions};
        memcpy(launch.global, cases[i].global, sizeof(launch.global));
        assert_int_equal(ops->launch(rig.queue, &launch, true), cases[i].status);
        assert_int_equal(batch_run(), 0);
    }
    ops->kernel_destroy(kernel);
    ops->program_destroy(program);
}

/* Where a driver is older than CUDA 12.4 the PTX alone says what a kernel takes. */
static void test_old_driver(void **state)
{
    void *told = *(void **)&cuda.function_param;
    (void)state;
    *(void **)&cuda.function_param = NULL;
    test_programs(state);
    *(void **)&cuda.function_param = told;
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_devices),        WITH_RIG(test_buffers),
        WITH_RIG(test_signals),
        WITH_RIG(test_rows_and_fills), WITH_RIG(test_programs),
        WITH_RIG(test_gemm),           WITH_RIG(test_programs_that_do_not_build),
        WITH_RIG(test_groups),         WITH_RIG(test_old_driver),
        WITH_RIG(test_failures_one_by_one),
        cmocka_unit_test(test_final_errors),
        cmocka_unit_test(test_ptx),    cmocka_unit_test(test_ptx_of_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
