/*
 * commands_test.c: rows copied and filled, submissions without an order, queries, programs of other
 * kinds than OpenCL C.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "front.h"
#include "rig.h"

#define PAGES  16u
#define BYTES  (PAGES * VGPGPU_PAGE)
#define ROUNDS 200u

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % limit;
}

static void bytes_fill(uint8_t *bytes)
{
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)random_below(256);
}

/* ---- Rows --------------------------------------------------------------------------------------
 */

static struct vgpgpu_cmd_copy_2d copy_random(uint32_t source, uint32_t target)
{
    struct vgpgpu_cmd_copy_2d copy = {.source = source,
                                      .target = target,
                                      .width = 1 + random_below(300),
                                      .rows = 1 + random_below(40)};
    copy.source_pitch = copy.width + random_below(400);
    copy.target_pitch = copy.width + random_below(400);
    copy.source_offset = random_below(BYTES - (copy.rows - 1) * copy.source_pitch - copy.width + 1);
    copy.target_offset = random_below(BYTES - (copy.rows - 1) * copy.target_pitch - copy.width + 1);
    return copy;
}

static void test_copy_2d(void **state)
{
    static uint8_t want[BYTES];
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint8_t *source = rig_guest_buffer(&rig, 1, PAGES), *target = rig_guest_buffer(&rig, 2, PAGES);
    bytes_fill(source);
    bytes_fill(target);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vgpgpu_cmd_copy_2d copy = copy_random(1, 2);
        memcpy(want, target, BYTES);
        for (uint64_t row = 0; row < copy.rows; row++)
            memcpy(want + copy.target_offset + row * copy.target_pitch,
                   source + copy.source_offset + row * copy.source_pitch, copy.width);
        batch_copy_2d(rig_batch(&rig), &copy);
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_memory_equal(target, want, BYTES);
    }
    rig_close(&rig);
}

/* The left half of a picture over its right half: between each other, but not over each other. */
static void test_copy_2d_between_rows(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint8_t *bytes = rig_guest_buffer(&rig, 1, PAGES);
    struct vgpgpu_cmd_copy_2d copy = {.source = 1,
                                      .target = 1,
                                      .target_offset = 32,
                                      .source_pitch = 64,
                                      .target_pitch = 64,
                                      .width = 32,
                                      .rows = BYTES / 64};
    bytes_fill(bytes);
    batch_copy_2d(rig_batch(&rig), &copy);
    assert_int_equal(rig_run(&rig, 0), 0);
    for (size_t row = 0; row < BYTES; row += 64)
        assert_memory_equal(bytes + row, bytes + row + 32, 32);
    rig_close(&rig);
}

/* Rows of one buffer that come to lie closer together, or farther apart, or as before, in front of where they
 * were or behind it. */
static void test_copy_2d_within_one_buffer(void **state)
{
    static uint8_t want[BYTES];
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint8_t *bytes = rig_guest_buffer(&rig, 1, PAGES);
    bytes_fill(bytes);
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool small = random_below(4) == 0;
        uint64_t width = 1 + random_below(small ? 3 : 100), rows = 2 + random_below(small ? 4 : 20);
        uint64_t narrow = width + random_below(small ? 3 : 50), wide = narrow + 1 + random_below(60);
        bool packs = random_below(2), forward = random_below(2);
        struct vgpgpu_cmd_copy_2d copy = {.source = 1,
                                          .target = 1,
                                          .source_pitch = packs ? wide : narrow,
                                          .target_pitch = packs ? narrow : wide,
                                          .width = width,
                                          .rows = rows};
        if (random_below(3) == 0)
            copy.source_pitch = copy.target_pitch = narrow;
        uint64_t first = random_below(small ? 3 : 1000);
        uint64_t before = (rows - 1) * (forward ? copy.source_pitch : copy.target_pitch) + width;
        uint64_t second = first + before + random_below(small ? 3 : 200);
        copy.source_offset = forward ? first : second;
        copy.target_offset = forward ? second : first;
        memcpy(want, bytes, BYTES);
        for (uint64_t row = 0; row < rows; row++)
            memcpy(want + copy.target_offset + row * copy.target_pitch,
                   bytes + copy.source_offset + row * copy.source_pitch, width);
        batch_copy_2d(rig_batch(&rig), &copy);
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_memory_equal(bytes, want, BYTES);
    }
    rig_close(&rig);
}

static void test_fill_2d(void **state)
{
    static uint8_t want[BYTES];
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint8_t *bytes = rig_guest_buffer(&rig, 1, PAGES);
    bytes_fill(bytes);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t unit = 1u << random_below(5);
        struct vgpgpu_cmd_fill_2d fill = {.target = 1,
                                          .pattern_bytes = unit,
                                          .width = unit * (1 + random_below(20)),
                                          .rows = 1 + random_below(40)};
        fill.pitch = fill.width + unit * random_below(20);
        fill.offset =
            unit * random_below((BYTES - (fill.rows - 1) * fill.pitch - fill.width) / unit + 1);
        for (unsigned i = 0; i < 16; i++)
            fill.pattern[i] = (uint8_t)random_below(256);
        memcpy(want, bytes, BYTES);
        for (uint64_t row = 0; row < fill.rows; row++)
            for (uint64_t at = 0; at < fill.width; at++)
                want[fill.offset + row * fill.pitch + at] = fill.pattern[at % unit];
        batch_fill_2d(rig_batch(&rig), &fill);
        if (round % 2)
            front_submit_flags(rig.front, 1, 0, ++rig.fences[0], VGPGPU_SUBMIT_UNORDERED,
                               rig.batch->commands, rig.batch->bytes);
        else
            rig_submit(&rig, 0);
        assert_int_equal(rig_wait(&rig, 0), 0);
        assert_memory_equal(bytes, want, BYTES);
    }
    rig_close(&rig);
}

/* clang-format off */
static void c_width(struct vgpgpu_cmd_copy_2d *c) { c->width = 0; }
static void c_rows(struct vgpgpu_cmd_copy_2d *c) { c->rows = 0; }
static void c_pitch(struct vgpgpu_cmd_copy_2d *c) { c->target_pitch = 7; }
static void c_source(struct vgpgpu_cmd_copy_2d *c) { c->source = 9; }
static void c_target(struct vgpgpu_cmd_copy_2d *c) { c->target = 0; }
static void c_past(struct vgpgpu_cmd_copy_2d *c) { c->source_offset = BYTES - 3 * 16 - 7; }
static void c_far(struct vgpgpu_cmd_copy_2d *c) { c->rows = UINT64_MAX; }
static void c_huge_pitch(struct vgpgpu_cmd_copy_2d *c) { c->source_pitch = 1ull << 63; }
static void c_overflow(struct vgpgpu_cmd_copy_2d *c) { c->target_offset = UINT64_MAX; }
static void c_overlap(struct vgpgpu_cmd_copy_2d *c) { c->target = 1; c->target_offset = 4; }
static void c_wrap(struct vgpgpu_cmd_copy_2d *c) { c->target = 1; c->target_offset = 12; }
static void c_same(struct vgpgpu_cmd_copy_2d *c) { c->target = 1; }
static void c_pitches(struct vgpgpu_cmd_copy_2d *c) { c->target = 1; c->target_offset = 8; c->target_pitch = 17; }
/* clang-format on */

static void test_bad_rows(void **state)
{
    static const struct {
        uint32_t status;
        void (*spoil)(struct vgpgpu_cmd_copy_2d *copy);
    } cases[] = {
        {VGPGPU_ERR_INVALID, c_width},   {VGPGPU_ERR_INVALID, c_rows},
        {VGPGPU_ERR_INVALID, c_pitch},   {VGPGPU_ERR_ID, c_source},
        {VGPGPU_ERR_ID, c_target},       {VGPGPU_ERR_RANGE, c_past},
        {VGPGPU_ERR_RANGE, c_far},       {VGPGPU_ERR_RANGE, c_huge_pitch},
        {VGPGPU_ERR_RANGE, c_overflow},  {VGPGPU_ERR_INVALID, c_overlap},
        {VGPGPU_ERR_INVALID, c_wrap},    {VGPGPU_ERR_INVALID, c_same},
        {VGPGPU_ERR_INVALID, c_pitches},
    };
    struct rig rig;
    (void)state;
    rig_open(&rig);
    rig_guest_buffer(&rig, 1, PAGES);
    rig_guest_buffer(&rig, 2, PAGES);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vgpgpu_cmd_copy_2d copy = {.source = 1,
                                          .target = 2,
                                          .source_pitch = 16,
                                          .target_pitch = 16,
                                          .width = 8,
                                          .rows = 4};
        cases[i].spoil(&copy);
        batch_copy_2d(rig_batch(&rig), &copy);
        uint32_t status = rig_run(&rig, i);
        if (status != cases[i].status)
            fail_msg("copy %u: status %u, not %u", i, status, cases[i].status);
    }
    struct vgpgpu_cmd_fill_2d fill = {
        .target = 1, .pattern_bytes = 4, .pitch = 16, .width = 8, .rows = BYTES / 16};
    for (uint32_t i = 0; i < 4; i++) {
        struct vgpgpu_cmd_fill_2d bad = fill;
        bad.pitch += i == 0 ? 1 : 0;
        bad.rows += i == 1 ? 1 : 0;
        bad.pattern_bytes = i == 2 ? 3 : 4;
        bad.width = i == 3 ? 20 : 8;
        batch_fill_2d(rig_batch(&rig), &bad);
        assert_int_equal(rig_run(&rig, 40 + i), i == 1 ? VGPGPU_ERR_RANGE : VGPGPU_ERR_INVALID);
    }
    rig_close(&rig);
}

/* ---- Order -------------------------------------------------------------------------------------
 */

/* Many independent sums, a barrier, and one kernel that needs them all; then work in order again.
 */
static void test_unordered(void **state)
{
    enum { COUNT = 64 };
    struct rig rig;
    (void)state;
    rig_open(&rig);
    int *numbers = rig_guest_buffer(&rig, 1, 1), total;
    rig_kernel(&rig, 1, "put", "kernel void put(global int *n, int at) { n[at] += at; }", 2);
    rig_kernel(
        &rig, 2, "sum",
        "kernel void sum(global int *n, int c) { int s = 0; for (int i = 0; i < c; i++) s += n[i];"
        " n[c] = s; }",
        2);
    for (unsigned round = 0; round < 20; round++) {
        int count = COUNT;
        memset(numbers, 0, VGPGPU_PAGE);
        rig_batch(&rig);
        for (int i = 0; i < COUNT; i++) {
            batch_launch(rig.batch, 1, 1, 0);
            batch_arg_buffer(rig.batch, 1, 0);
            batch_arg_value(rig.batch, &i, sizeof(i));
        }
        batch_barrier(rig.batch);
        batch_launch(rig.batch, 2, 1, 0);
        batch_arg_buffer(rig.batch, 1, 0);
        batch_arg_value(rig.batch, &count, sizeof(count));
        front_submit_flags(rig.front, 1, 3, ++rig.fences[3], VGPGPU_SUBMIT_UNORDERED,
                           rig.batch->commands, rig.batch->bytes);
        batch_copy(rig_batch(&rig), 1, COUNT * sizeof(int), 1, 2048, sizeof(int));
        assert_int_equal(rig_run(&rig, 3), 0);
        memcpy(&total, (uint8_t *)numbers + 2048, sizeof(total));
        assert_int_equal(total, COUNT * (COUNT - 1) / 2);
    }
    front_submit_flags(rig.front, 1, 4, ++rig.fences[4], 2, rig.batch->commands, 0);
    assert_int_equal(rig_wait(&rig, 4), VGPGPU_ERR_INVALID);
    rig_close(&rig);
}

/* ---- Queries and kinds of programs -------------------------------------------------------------
 */

static const char twice[] = "kernel void twice(global int *n) { n[get_global_id(0)] *= 2; }";

static void twice_check(struct rig *rig, int *numbers, uint32_t kernel)
{
    for (int i = 0; i < 16; i++)
        numbers[i] = i;
    batch_launch(rig_batch(rig), kernel, 16, 0);
    batch_arg_buffer(rig->batch, 1, 0);
    assert_int_equal(rig_run(rig, 0), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(numbers[i], 2 * i);
}

static void test_kernel_info(void **state)
{
    struct vgpgpu_kernel_info info;
    struct rig rig;
    uint64_t total;
    size_t came;
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "k",
               "kernel void k(global int *n) { local int l[100]; l[get_local_id(0)] = n[0];"
               " barrier(CLK_LOCAL_MEM_FENCE); n[1] = l[0]; }",
               1);
    assert_int_equal(
        front_query(rig.front, 1, 1, VGPGPU_QUERY_KERNEL, 0, &info, sizeof(info), &total, &came),
        0);
    assert_int_equal(came, sizeof(info));
    assert_int_equal(total, sizeof(info));
    assert_int_equal(info.arg_count, 1);
    assert_true(info.max_group >= 1 && info.group_multiple >= 1);
    assert_int_equal(info.local_bytes, 400);
    assert_int_equal(front_query(rig.front, 1, 1, VGPGPU_QUERY_KERNEL, UINT64_MAX, &info,
                                 sizeof(info), &total, &came),
                     0);
    assert_int_equal(came, 0);
    assert_int_equal(
        front_query(rig.front, 1, 2, VGPGPU_QUERY_KERNEL, 0, &info, sizeof(info), &total, &came),
        VGPGPU_ERR_ID);
    assert_int_equal(front_query(rig.front, 1, 1, 3, 0, &info, sizeof(info), &total, &came),
                     VGPGPU_ERR_UNSUPPORTED);
    rig_close(&rig);
}

/* All of a program's binary, piece by piece; the caller frees it. */
static uint8_t *binary_get(struct rig *rig, uint32_t program, size_t *bytes)
{
    uint64_t total = 1;
    uint8_t *binary = NULL;
    size_t came;
    for (*bytes = 0; *bytes < total; *bytes += came) {
        static uint8_t piece[1u << 16];
        assert_int_equal(front_query(rig->front, 1, program, VGPGPU_QUERY_BINARY, *bytes, piece,
                                     sizeof(piece), &total, &came),
                         0);
        assert_true(came > 0 && total < 4u << 20);
        binary = realloc(binary, total);
        assert_non_null(binary);
        memcpy(binary + *bytes, piece, came);
    }
    return binary;
}

static void test_binary(void **state)
{
    struct rig rig;
    char log[1024];
    uint64_t args;
    size_t bytes;
    (void)state;
    rig_open(&rig);
    int *numbers = rig_guest_buffer(&rig, 1, 1);
    rig_kernel(&rig, 1, "twice", twice, 1);
    twice_check(&rig, numbers, 1);
    uint8_t *binary = binary_get(&rig, 1, &bytes);
    assert_int_equal(
        front_program_kind(rig.front, 1, 2, VGPGPU_PROGRAM_BINARY, binary, bytes, log, sizeof(log)),
        0);
    assert_int_equal(front_kernel(rig.front, 1, 2, 2, "twice", &args), 0);
    assert_int_equal(args, 1);
    twice_check(&rig, numbers, 2);
    /* What is none does not build, and the device goes on. */
    assert_int_equal(front_program_kind(rig.front, 1, 3, VGPGPU_PROGRAM_BINARY, twice,
                                        sizeof(twice), log, sizeof(log)),
                     VGPGPU_ERR_BUILD);
    twice_check(&rig, numbers, 1);
    free(binary);
    rig_close(&rig);
}

/* Pieces of two programs' binaries, asked for in turns, are each of its own, wherever the programs are. */
static void test_binaries_in_turns(void **state)
{
    static uint8_t one[1u << 19], other[1u << 19], piece[1u << 19];
    struct rig rig;
    uint64_t total;
    size_t bytes, other_bytes, came;
    char log[1024];
    (void)state;
    rig_open(&rig);
    assert_int_equal(front_program(rig.front, 1, 1, twice, log, sizeof(log)), 0);
    assert_int_equal(front_context_create(rig.front, 2, front_pages(rig.front, 1)), 0);
    assert_int_equal(front_context_limit(rig.front, 2, 60000), 0);
    assert_int_equal(front_program(rig.front, 2, 1, "kernel void k(void) {}", log, sizeof(log)), 0);
    assert_int_equal(front_query(rig.front, 1, 1, VGPGPU_QUERY_BINARY, 0, one, sizeof(one), &total, &bytes), 0);
    assert_int_equal(
        front_query(rig.front, 2, 1, VGPGPU_QUERY_BINARY, 0, other, sizeof(other), &total, &other_bytes), 0);
    assert_true(bytes != other_bytes || memcmp(one, other, bytes) != 0);
    for (size_t at = 16; at < bytes; at += bytes / 5) {
        assert_int_equal(
            front_query(rig.front, 1, 1, VGPGPU_QUERY_BINARY, at, piece, 1024, &total, &came), 0);
        assert_memory_equal(piece, one + at, came < bytes - at ? came : bytes - at);
        assert_int_equal(
            front_query(rig.front, 2, 1, VGPGPU_QUERY_BINARY, 16, piece, 64, &total, &came), 0);
        assert_memory_equal(piece, other + 16, 64);
    }
    assert_int_equal(front_context_destroy(rig.front, 2), 0);
    rig_close(&rig);
}

/* A driver's loader was not made for what is nearly a binary: none of it gets there. */
static void test_binary_that_was_changed(void **state)
{
    struct rig rig, later;
    char log[1024];
    size_t bytes;
    (void)state;
    rig_open(&rig);
    int *numbers = rig_guest_buffer(&rig, 1, 1);
    rig_kernel(&rig, 1, "twice", twice, 1);
    uint8_t *binary = binary_get(&rig, 1, &bytes);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t at = random_below(round % 2 ? 300 : (unsigned)bytes);
        size_t count = round % 3 ? bytes : random_below((unsigned)bytes);
        binary[at] ^= 1u << round % 8;
        assert_int_equal(front_program_kind(rig.front, 1, 2, VGPGPU_PROGRAM_BINARY, binary,
                                            count ? count : 1, log, sizeof(log)),
                         VGPGPU_ERR_BUILD);
        binary[at] ^= 1u << round % 8;
    }
    assert_non_null(strstr(log, "not a binary that this gpud gave"));
    twice_check(&rig, numbers, 1);
    assert_int_equal(
        front_program_kind(rig.front, 1, 2, VGPGPU_PROGRAM_BINARY, binary, bytes, log, sizeof(log)),
        0);
    rig_broker_replace(); /* another gpud's is as good as none */
    rig_open(&later);
    assert_int_equal(front_program_kind(later.front, 1, 2, VGPGPU_PROGRAM_BINARY, binary, bytes, log,
                                        sizeof(log)),
                     VGPGPU_ERR_BUILD);
    rig_close(&later);
    free(binary);
    rig_close(&rig);
}

/* A module of nothing: a header, a capability, a memory model. */
static void test_spirv(void **state)
{
    static const uint32_t module[] = {0x07230203, 0x00010000, 0, 1,          0, 0x00020011,
                                      4,          0x00020011, 6, 0x0003000e, 2, 2};
    struct rig rig;
    char log[1024];
    (void)state;
    rig_open(&rig);
    uint32_t status = front_program_kind(rig.front, 1, 1, VGPGPU_PROGRAM_SPIRV, module,
                                         sizeof(module), log, sizeof(log));
    rig_close(&rig);
    if (status == VGPGPU_ERR_UNSUPPORTED) {
        print_message("skipped: this OpenCL device takes no SPIR-V\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_kinds_of_others(void **state)
{
    struct rig rig;
    char log[1024];
    (void)state;
    rig_open(&rig);
    assert_int_equal(front_program_kind(rig.front, 1, 1, VGPGPU_PROGRAM_PTX, "x", 1, log, 1024),
                     VGPGPU_ERR_UNSUPPORTED);
    assert_int_equal(front_program_kind(rig.front, 1, 1, VGPGPU_PROGRAM_CUDA_C, "x", 1, log, 1024),
                     VGPGPU_ERR_UNSUPPORTED);
    assert_int_equal(front_program_kind(rig.front, 1, 1, 6, "x", 1, log, 1024),
                     VGPGPU_ERR_UNSUPPORTED);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_2d),         cmocka_unit_test(test_copy_2d_between_rows),
        cmocka_unit_test(test_copy_2d_within_one_buffer),
        cmocka_unit_test(test_fill_2d),         cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_unordered),       cmocka_unit_test(test_kernel_info),
        cmocka_unit_test(test_binary), cmocka_unit_test(test_binary_that_was_changed),
        cmocka_unit_test(test_binaries_in_turns),
                cmocka_unit_test(test_spirv),
        cmocka_unit_test(test_kinds_of_others),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
