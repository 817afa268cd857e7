/*
 * cuda_test.c: gpud on a stand-in for CUDA's driver (tests/cuda-stand-in), which ends the device process at each
 * wrong use of the driver: arguments of each type, PTX that lies, kernels without their program, the same guest
 * memory many times, failures of the device and of each call. It says how gpud uses CUDA, and nothing of CUDA.
 *
 *     gpud_cuda_front [failures SEED | compiler]
 *
 * The last has the real NVRTC of CUDA 13 compile, where the host has it: that needs no GPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

struct fuzz fuzz; /* random_id() and its like are not used here */

#define HEAD ".version 8.4\n.target sm_80\n.address_size 64\n"

static uint32_t ptx_load(struct rig *rig, uint32_t id, const char *ptx)
{
    char log[512] = "";
    uint32_t status =
        front_program_kind(rig->front, 1, id, VGPGPU_PROGRAM_PTX, ptx, strlen(ptx), log, sizeof(log));
    assert_true(status != VGPGPU_ERR_BUILD || log[0] || !strstr(ptx, ".version"));
    return status;
}

/* ---- Arguments */

static void test_arguments(void **state)
{
    static const char ptx[] = HEAD ".visible .entry echo(.param .u64 .ptr .global .align 4 out, .param .u8 a,\n"
                                   ".param .s16 b, // two\n.param .f32 c, .param .f64 d, .param .align 8 .b8 e[24],"
                                   " .param .u64 f) { ret; }\n";
    static const uint8_t sizes[] = {1, 2, 4, 8, 24, 8};
    uint8_t values[6][24], want[47];
    struct rig rig;
    uint64_t count;
    (void)state;
    rig_open(&rig);
    uint8_t *out = rig_guest_buffer(&rig, 1, 1);
    assert_int_equal(ptx_load(&rig, 1, ptx), 0);
    assert_int_equal(front_kernel(rig.front, 1, 1, 1, "echo", &count), 0);
    assert_int_equal(count, 7);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 256);
    for (unsigned i = 0, at = 0; i < 6; at += sizes[i++]) {
        for (unsigned j = 0; j < 24; j++)
            values[i][j] = (uint8_t)(16 * i + j + 1);
        memcpy(want + at, values[i], sizes[i]);
        batch_arg_value(rig.batch, values[i], sizes[i]);
    }
    assert_int_equal(rig_run(&rig, 0), 0);
    assert_memory_equal(out + 256, want, sizeof(want));
    assert_true(out[255] == 0 && out[256 + sizeof(want)] == 0);
    /* One of another size; a buffer where none can be. */
    for (unsigned wrong = 0; wrong < 6; wrong++) {
        batch_launch(rig_batch(&rig), 1, 1, 1);
        batch_arg_buffer(rig.batch, 1, 0);
        for (unsigned i = 0; i < 6; i++)
            batch_arg_value(rig.batch, values[i], i == wrong ? sizes[i] % 24 + 1u : sizes[i]);
        assert_int_equal(rig_run(&rig, 1 + wrong), wrong == 5 ? VGPGPU_ERR_INVALID : VGPGPU_ERR_EXEC);
    }
    batch_launch(rig_batch(&rig), 1, 1, 1);
    for (unsigned i = 0; i < 7; i++)
        batch_arg_buffer(rig.batch, 1, 0);
    assert_int_equal(rig_run(&rig, 8), VGPGPU_ERR_INVALID);
    rig_close(&rig);
}

/* What looks like a kernel and is none: strings, comments, names that begin alike, and no body. */
static void test_ptx_that_lies(void **state)
{
    static const char *const lies[] = {
        HEAD ".file 1 \".entry echo()\"\n.visible .entry echo(.param .u64 o, .param .u32 v) { ret; }\n",
        HEAD ".pragma \"/*\"; .entry echo(.param .u64 o, .param .u32 v) { ret; } // */ .entry echo()\n",
        HEAD "/* .entry echo() { } */ .entry echo1() { ret; } .entry echo(.param .u64 o, .param .u32 v) { ret; }",
        HEAD ".entry other() { .pragma \".entry echo(\"; ret; }\n.entry echo(.param .u64 o, .param .u32 v) {}\n",
    };
    struct rig rig;
    uint64_t count;
    int five = 5;
    (void)state;
    rig_open(&rig);
    int *out = rig_guest_buffer(&rig, 1, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ptx_load(&rig, i + 1, lies[i]), 0);
        assert_int_equal(front_kernel(rig.front, 1, i + 1, i + 1, "echo", &count), 0);
        assert_int_equal(count, 2);
        out[0] = 0;
        batch_launch(rig_batch(&rig), i + 1, 1, 1);
        batch_arg_buffer(rig.batch, 1, 0);
        batch_arg_value(rig.batch, &five, sizeof(five));
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_int_equal(out[0], 5);
        assert_int_equal(front_kernel(rig.front, 1, 100, i + 1, "echo(", &count), VGPGPU_ERR_INVALID);
    }
    rig_close(&rig);
}

/* Random changes of PTX: an error, or a kernel that takes what gpud thinks it takes. */
static void test_ptx_of_nonsense(void **state)
{
    static const char good[] = HEAD ".visible .entry takes(.param .u64 out, .param .align 4 .b8 e[12], .param .u16 v)\n"
                                    ".maxntid 32, 1, 1\n{ .pragma \"body=x\"; ret; }\n.entry nop() { ret; }\n";
    static const char marks[] = "()[],.;\"/*0189 \n{}u6412";
    struct rig rig;
    unsigned built = 0;
    (void)state;
    rig_open(&rig);
    rig_guest_buffer(&rig, 1, 1);
    for (unsigned round = 0; round < 1000; round++) {
        char text[sizeof(good)];
        uint64_t count = 0, value[32] = {0};
        memcpy(text, good, sizeof(good));
        for (uint32_t changes = 1 + random_below(3); changes; changes--)
            text[random_below(sizeof(good) - 1)] = marks[random_below(sizeof(marks) - 1)];
        if (ptx_load(&rig, 1, text))
            continue;
        uint32_t status = front_kernel(rig.front, 1, 1, 1, "takes", &count);
        built += status == 0;
        batch_launch(rig_batch(&rig), 1, 1 + random_below(100), 0);
        for (unsigned i = 0; i < count; i++)
            if (i == 0)
                batch_arg_buffer(rig.batch, 1, 0);
            else
                batch_arg_value(rig.batch, value, i == 1 ? 12 : 2);
        static uint32_t queue;
        if (!status)
            rig_run(&rig, queue++ % VGPGPU_QUEUES_PER_CONTEXT);
        front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1);
        assert_int_equal(front_destroy(rig.front, VGPGPU_PROGRAM_DESTROY, 1, 1), 0);
    }
    printf("%u kernels of PTX that was changed\n", built);
    assert_true(built > 50);
    assert_int_equal(rig_log_count("the device process is gone"), 0);
    rig_close(&rig);
}

/* ---- Objects */

static void test_kernels_without_their_program(void **state)
{
    struct rig rig;
    int seven = 7;
    (void)state;
    int *out = rig_open_with(&rig, "put", "kernel void put(global int *out, int v) { out[0] = v; }", 2);
    assert_int_equal(front_kernel(rig.front, 1, 2, 1, "put", NULL), 0);
    assert_int_equal(front_destroy(rig.front, VGPGPU_PROGRAM_DESTROY, 1, 1), 0);
    for (uint32_t kernel = 1; kernel <= 2; kernel++) {
        out[0] = 0;
        batch_launch(rig_batch(&rig), kernel, 64, 0);
        batch_arg_buffer(rig.batch, 1, 0);
        batch_arg_value(rig.batch, &seven, sizeof(seven));
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_int_equal(out[0], 7);
        assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, kernel), 0);
    }
    rig_close(&rig);
}

/* Where the device chooses the work-group, it chooses one that the kernel takes. */
static void test_groups(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    assert_int_equal(ptx_load(&rig, 1, HEAD ".entry nop() .maxntid 48, 1, 1 { ret; }"), 0);
    assert_int_equal(front_kernel(rig.front, 1, 1, 1, "nop", NULL), 0);
    static const uint64_t items[] = {1, 47, 48, 96, 97, 1024, 4096};
    for (unsigned i = 0; i < 7; i++) {
        batch_launch(rig_batch(&rig), 1, items[i], 0);
        assert_int_equal(rig_run(&rig, 0), 0);
    }
    batch_launch(rig_batch(&rig), 1, 64, 64);
    assert_int_equal(rig_run(&rig, 1), VGPGPU_ERR_EXEC);
    rig_close(&rig);
}

/* The same guest memory in many buffers, of several contexts, in one piece and not, over both regions. */
static void test_memory_many_times(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint64_t page = front_pages(rig.front, 1), low_end = rig.front->memory_bytes / 2 - VGPGPU_PAGE;
    uint64_t other = front_pages(rig.front, 8);
    assert_int_equal(front_context_create(rig.front, 2, page), 0);
    const struct vgpgpu_segment shapes[][2] = {
        {{other, 4096}, {other + 4096, 4096}},         {{other + 4096, 4096}, {other, 4096}},
        {{low_end, 4096}, {FRONT_HIGH_GUEST, 4096}},   {{FRONT_HIGH_GUEST, 4096}, {low_end, 4096}},
        {{FRONT_HIGH_GUEST + low_end, 4096}, {0, 4096}},
    };
    uint32_t id = 0;
    for (unsigned shape = 0; shape < 5; shape++)
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(front_buffer_guest(rig.front, 1 + i % 2, ++id, 8192, shapes[shape], 2), 0);
    for (uint32_t buffer = 1; buffer <= id; buffer += 2) { /* context 1's */
        const struct vgpgpu_segment *at = shapes[(buffer - 1) / 4];
        uint8_t pattern = (uint8_t)(buffer + 100);
        uint8_t *first = front_at(rig.front, at[0].address), *second = front_at(rig.front, at[1].address);
        first[0] = second[0] = second[4095] = 0;
        batch_fill(rig_batch(&rig), buffer, 4095, 2, &pattern, 1);
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_true(first[4095] == pattern && second[0] == pattern && first[4094] != pattern && second[1] != pattern);
        first[4095] = second[0] = 0;
    }
    assert_int_equal(front_context_destroy(rig.front, 2), 0);
    rig_close(&rig);
}

static void test_memory_exhausted(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++) {
        uint32_t id = 1, status;
        while (!(status = front_buffer_device(rig.front, 1, id, 200u << 20)))
            id++;
        assert_true(id > 1 && (status == VGPGPU_ERR_NO_MEMORY || status == VGPGPU_ERR_LIMIT));
        while (--id)
            assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, id), 0);
    }
    rig_close(&rig);
}

/* ---- Failures */

/* A kernel that goes astray costs the device process: its batch and others are lost, and new contexts work. */
static void test_fault(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (unsigned round = 0; round < 3; round++) {
        memset(rig.fences, 0, sizeof(rig.fences));
        assert_int_equal(ptx_load(&rig, 1, HEAD ".entry fault() { ret; }"), 0);
        assert_int_equal(front_kernel(rig.front, 1, 1, 1, "fault", NULL), 0);
        batch_launch(rig_batch(&rig), 1, 1, 1);
        rig_submit(&rig, 0);
        assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_LOST);
        rig_batch(&rig);
        assert_int_equal(rig_run(&rig, 1), VGPGPU_ERR_LOST);
        assert_int_equal(front_buffer_device(rig.front, 1, 1, 4096), VGPGPU_ERR_LOST);
        assert_int_equal(front_context_destroy(rig.front, 1), 0);
        assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    }
    memset(rig.fences, 0, sizeof(rig.fences));
    rig_kernel(&rig, 1, "nop", "kernel void nop(void) {}", 0);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

static void work_random(struct rig *rig)
{
    static uint32_t queue;
    struct front_batch *batch = rig_batch(rig);
    int value = (int)random_next();
    uint8_t pattern[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (uint32_t count = random_below(5); count; count--) {
        uint32_t buffer = 1 + random_below(3), other = 1 + random_below(3), unit = 1u << random_below(5);
        const struct vgpgpu_cmd_copy_2d rows = {.source = buffer, .target = buffer, .target_offset = 2048,
                                                .source_pitch = 64, .target_pitch = 32, .width = 20, .rows = 9};
        const struct vgpgpu_gemm gemm = {.alpha = 1, .beta = 1};
        struct vgpgpu_tensor tensors[3];
        for (unsigned i = 0; i < 3; i++)
            tensors[i] = (struct vgpgpu_tensor){.buffer = buffer, .type = VGPGPU_F32, .rank = 2,
                                                .offset = i * 1024, .dimensions = {8, 8}, .strides = {8, 1}};
        switch (random_below(5)) {
        case 0:
            batch_launch(batch, buffer, 1 + random_below(64), 0);
            batch_arg_buffer(batch, other, 0);
            batch_arg_value(batch, &value, sizeof(value));
            break;
        case 1:
            batch_copy(batch, buffer, 0, other, 2048, 1024);
            break;
        case 2:
            batch_fill(batch, buffer, 64, 128, pattern, unit);
            break;
        case 3:
            batch_copy_2d(batch, &rows);
            break;
        default:
            batch_operation(batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
            break;
        }
    }
    queue = (queue + 1) % 8;
    rig_submit(rig, queue);
    if (one_in(3))
        assert_true(rig_wait(rig, queue) <= VGPGPU_ERR_EXEC);
}

/* Any call of the driver may fail: each has its error, nothing is left behind, and nothing is used after. */
static void test_failures(void **state)
{
    static const char source[] = "kernel void put(global int *out, int v) { out[0] = v; }";
    static unsigned long statuses[VGPGPU_ERR_TIMEOUT + 1];
    struct rig rig;
    (void)state;
    rig = (struct rig){.front = front_open(rig_socket(), 128u << 20), .batch = calloc(1, sizeof(*rig.batch))};
    rig.fence_guest = front_pages(rig.front, 1);
    rig.slots = front_at(rig.front, rig.fence_guest);
    struct vgpgpu_segment segment = {front_pages(rig.front, 1), VGPGPU_PAGE};
    for (unsigned round = 0; round < 60; round++) {
        uint32_t status = front_context_create(rig.front, 1, rig.fence_guest);
        memset(rig.fences, 0, sizeof(rig.fences));
        statuses[status]++;
        for (unsigned step = 0; step < 60 && !status; step++) {
            uint32_t id = 1 + random_below(3), type = random_below(12);
            if (type == 0)
                statuses[front_buffer_device(rig.front, 1, id, VGPGPU_PAGE)]++;
            else if (type == 1)
                statuses[front_buffer_guest(rig.front, 1, id, VGPGPU_PAGE, &segment, 1)]++;
            else if (type == 2)
                statuses[front_program(rig.front, 1, id, source, NULL, 0)]++;
            else if (type == 3)
                statuses[front_kernel(rig.front, 1, id, id, "put", NULL)]++;
            else if (type == 4)
                front_destroy(rig.front, VGPGPU_BUFFER_DESTROY + 2 * random_below(3), 1, id);
            else
                work_random(&rig);
        }
        for (unsigned queue = 0; queue < 8 && !status; queue++)
            rig_wait(&rig, queue);
        if (!status)
            assert_int_equal(front_context_destroy(rig.front, 1), 0);
    }
    for (unsigned i = 0; i <= VGPGPU_ERR_TIMEOUT; i++)
        printf("%lu ", statuses[i]);
    printf("statuses of creations from seed %llu\n", (unsigned long long)fuzz_seed);
    assert_true(statuses[VGPGPU_OK] > 100 && statuses[VGPGPU_ERR_NO_MEMORY] > 10);
    assert_int_equal(statuses[VGPGPU_ERR_LOST], 0);
    assert_int_equal(rig_log_count("the device process is gone"), 0);
    front_close(rig.front);
    free(rig.batch);
}

static void test_failures_of_every_call(void **state)
{
    char command[160];
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++) {
        snprintf(command, sizeof(command), "CUDA_STAND_IN_FAIL=random:%u:%u build/tests/gpud_cuda_front failures %u",
                 seed, 10 * seed, seed);
        assert_int_equal(system(command), 0);
    }
}

/* ---- The real compiler, in gpud's sandbox: what it makes is read, and its kernels' parameters are as expected */

static void test_compiler(void **state)
{
    static const struct {
        const char *source, *kernel;
        uint64_t args;
        uint8_t sizes[6];
    } cases[] = {
        {"kernel void put(global int *out, int v) { out[0] = v; }", "put", 2, {8, 4}},
        {"kernel void k(char a, short b, float c, double d, long e, global int *out)"
         "{ out[get_global_id(0)] = a + b + (int)c + (int)d + (int)e; }", "k", 6, {1, 2, 4, 8, 8, 8}},
        {"struct s { char c; double d[2]; short n; }; kernel void k(char a, struct s s, char b, global double *out)"
         "{ out[0] = s.d[1] + a + b; }", "k", 4, {1, 32, 1, 8}},
        {"struct t { short n[5]; }; kernel void k(struct t t, int4 v, char3 w, global int *out)"
         "{ out[0] = t.n[3] + v.y + w.z; }", "k", 4, {10, 16, 3, 8}},
        {"kernel void nop(void) {}", "nop", 0, {0}},
        {"__device__ int deep(int n) { return n ? deep(n - 1) + 1 : 0; } kernel void k(global int *out)"
         "{ out[0] = deep(out[1]); asm volatile(\"// .entry k(\"); }", "k", 1, {8}},
    };
    char log[2000];
    struct rig rig;
    uint64_t count;
    (void)state;
    rig_open(&rig);
    rig_guest_buffer(&rig, 1, 1);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t value[32] = {0};
        uint32_t status = front_program(rig.front, 1, i + 1, cases[i].source, log, sizeof(log));
        if (status)
            fail_msg("%s\n%s", cases[i].source, log);
        assert_int_equal(front_kernel(rig.front, 1, i + 1, i + 1, "none", &count), VGPGPU_ERR_INVALID);
        assert_int_equal(front_kernel(rig.front, 1, i + 1, i + 1, cases[i].kernel, &count), 0);
        assert_int_equal(count, cases[i].args);
        batch_launch(rig_batch(&rig), i + 1, 1, 1);
        for (unsigned arg = 0; arg < count; arg++)
            batch_arg_value(rig.batch, value, cases[i].sizes[arg]);
        if (strcmp(cases[i].kernel, "put") == 0) /* the stand-in would look for what it writes to */
            continue;
        assert_int_equal(rig_run(&rig, i), 0);
    }
    assert_int_equal(front_program(rig.front, 1, 20, "kernel void k(void) { nonsense(; }", log, sizeof(log)),
                     VGPGPU_ERR_BUILD);
    assert_non_null(strstr(log, "nonsense"));
    assert_non_null(strstr(log, "(1)")); /* the line */
    assert_int_equal(front_program(rig.front, 1, 20, "#include \"/etc/passwd\"\n", log, sizeof(log)),
                     VGPGPU_ERR_BUILD);
    assert_null(strstr(log, "root:"));
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_ptx_that_lies),
        cmocka_unit_test(test_ptx_of_nonsense),
        cmocka_unit_test(test_kernels_without_their_program),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_memory_many_times),
        cmocka_unit_test(test_memory_exhausted),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_failures_of_every_call),
    };
    const struct CMUnitTest failures[] = {cmocka_unit_test(test_failures)};
    const struct CMUnitTest compiler[] = {cmocka_unit_test(test_compiler)};
    bool compiles = argc == 2 && strcmp(argv[1], "compiler") == 0;
    setenv("GPUD", compiles ? "build/tests/gpud-cuda-driver" : "build/tests/gpud-cuda", 0);
    setenv("GPUD_DEVICE", "cuda", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    if (argc == 3 && strcmp(argv[1], "failures") == 0) {
        fuzz_seed = strtoull(argv[2], NULL, 0);
        return cmocka_run_group_tests(failures, rig_start, rig_stop);
    }
    if (compiles) {
        setenv("CUDA_STAND_IN_VERSION", "13000", 1);
        return cmocka_run_group_tests(compiler, rig_start, rig_stop);
    }
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
