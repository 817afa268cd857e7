/*
 * bad_operations_test.c: built-in operations whose descriptors are wrong: each gets its status, the
 * device goes on, and nothing is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "front.h"
#include "lib/gpucmd/tensor.h"
#include "rig.h"

#define BYTES VGPGPU_PAGE

static struct rig rig;
static uint8_t *memory[4];

/* A good gemm: 4 x 6 = 4 x 5 times 5 x 6, each in a buffer of a page. */
static struct wrong {
    struct vgpgpu_cmd_operation *command;
    struct vgpgpu_tensor *c, *a, *b;
    struct vgpgpu_gemm *gemm;
} wrong;

static void gemm_add(void)
{
    struct vgpgpu_tensor tensors[3] = {tensor_matrix(1, VGPGPU_F32, 0, 4, 6, 6),
                                       tensor_matrix(2, VGPGPU_F32, 0, 4, 5, 5),
                                       tensor_matrix(3, VGPGPU_F32, 0, 5, 6, 6)};
    struct vgpgpu_gemm gemm = {.alpha = 1};
    batch_operation(rig_batch(&rig), VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
    wrong.command = (void *)rig.batch->commands;
    wrong.c = (void *)(wrong.command + 1);
    wrong.a = wrong.c + 1;
    wrong.b = wrong.c + 2;
    wrong.gemm = (void *)(wrong.c + 3);
}

/* clang-format off */
static void o_zero(void) { wrong.command->operation = 0; }
static void o_unknown(void) { wrong.command->operation = 15; }
static void o_beyond(void) { wrong.command->operation = 16; }
static void o_huge(void) { wrong.command->operation = UINT16_MAX; }
static void o_no_tensors(void) { wrong.command->tensor_count = 0; }
static void o_few_tensors(void) { wrong.command->tensor_count = 2; }
static void o_many_tensors(void) { wrong.command->tensor_count = 17; }
static void o_all_tensors(void) { wrong.command->tensor_count = UINT16_MAX; }
static void o_parameters_none(void) { wrong.command->parameter_bytes = 0; }
static void o_parameters_long(void) { wrong.command->parameter_bytes = 16; }
static void o_parameters_huge(void) { wrong.command->parameter_bytes = UINT32_MAX; }
static void o_parameters_eat(void) { wrong.command->tensor_count = 2; wrong.command->parameter_bytes = 8 + sizeof(struct vgpgpu_tensor); }
static void t_missing(void) { memset(wrong.a, 0, sizeof(*wrong.a)); }
static void t_no_buffer(void) { wrong.a->buffer = 77; }
static void t_buffer_zero(void) { wrong.c->buffer = 0; }
static void t_buffer_huge(void) { wrong.b->buffer = UINT32_MAX; }
static void t_type_none(void) { wrong.a->type = 0; }
static void t_type_unknown(void) { wrong.b->type = 5; }
static void t_type_huge(void) { wrong.c->type = UINT16_MAX; }
static void t_rank_none(void) { wrong.a->rank = 0; }
static void t_rank_one(void) { wrong.a->rank = 1; wrong.a->dimensions[1] = wrong.a->strides[1] = 0; }
static void t_rank_large(void) { wrong.a->rank = 7; }
static void t_rank_huge(void) { wrong.a->rank = UINT16_MAX; }
static void t_rank_mixed(void) { wrong.a->rank = 3; wrong.a->dimensions[2] = wrong.a->strides[2] = 1; }
static void t_dimension_none(void) { wrong.a->dimensions[1] = 0; }
static void t_dimension_unused(void) { wrong.a->dimensions[4] = 1; }
static void t_dimension_huge(void) { wrong.a->dimensions[0] = wrong.c->dimensions[0] = UINT64_MAX; }
static void t_dimension_many(void) { wrong.a->dimensions[0] = wrong.c->dimensions[0] = INT32_MAX; }
static void t_stride_none(void) { wrong.a->strides[0] = 0; }
static void t_stride_unused(void) { wrong.b->strides[2] = 1; }
static void t_stride_huge(void) { wrong.a->strides[0] = UINT64_MAX; }
static void t_stride_overflow(void) { wrong.a->strides[0] = 1ull << 62; }
static void t_stride_past(void) { wrong.a->strides[0] = 400; }
static void t_stride_shared(void) { wrong.c->strides[0] = 5; }
static void t_offset_odd(void) { wrong.a->offset = 2; }
static void t_offset_past(void) { wrong.a->offset = BYTES; }
static void t_offset_last(void) { wrong.a->offset = BYTES - 19 * 4; }
static void t_offset_overflow(void) { wrong.a->offset = UINT64_MAX - 3; }
static void t_output_is_input(void) { wrong.a->buffer = 1; }
static void t_output_overlaps(void) { wrong.b->buffer = 1; wrong.b->offset = 23 * 4; }
static void g_m(void) { wrong.a->dimensions[0] = 3; }
static void g_n(void) { wrong.b->dimensions[1] = 5; }
static void g_k(void) { wrong.b->dimensions[0] = 4; }
static void g_mixed_types(void) { wrong.a->type = VGPGPU_BF16; }
static void g_result_type(void) { wrong.c->type = VGPGPU_S32; }
static void g_result_narrow(void) { wrong.c->type = VGPGPU_BF16; }
static void g_whole_alpha(void) { wrong.a->type = wrong.b->type = VGPGPU_S8; wrong.c->type = VGPGPU_S32; wrong.gemm->alpha = 0.5f; }
static void g_whole_beta(void) { wrong.a->type = wrong.b->type = VGPGPU_S8; wrong.c->type = VGPGPU_S32; wrong.gemm->beta = 2; }
/* clang-format on */

static const struct {
    const char *what;
    uint32_t status;
    void (*spoil)(void);
} cases[] = {
    {"operation 0", VGPGPU_ERR_UNSUPPORTED, o_zero},
    {"unknown operation", VGPGPU_ERR_UNSUPPORTED, o_unknown},
    {"operation beyond the table", VGPGPU_ERR_UNSUPPORTED, o_beyond},
    {"huge operation", VGPGPU_ERR_UNSUPPORTED, o_huge},
    {"no tensors", VGPGPU_ERR_INVALID, o_no_tensors},
    {"too few tensors", VGPGPU_ERR_INVALID, o_few_tensors},
    {"too many tensors", VGPGPU_ERR_INVALID, o_many_tensors},
    {"most tensors", VGPGPU_ERR_INVALID, o_all_tensors},
    {"no parameters", VGPGPU_ERR_INVALID, o_parameters_none},
    {"too many parameters", VGPGPU_ERR_INVALID, o_parameters_long},
    {"huge parameters", VGPGPU_ERR_INVALID, o_parameters_huge},
    {"a tensor among the parameters", VGPGPU_ERR_INVALID, o_parameters_eat},
    {"a tensor left out that may not be", VGPGPU_ERR_UNSUPPORTED, t_missing},
    {"no such buffer", VGPGPU_ERR_ID, t_no_buffer},
    {"buffer 0", VGPGPU_ERR_ID, t_buffer_zero},
    {"huge buffer", VGPGPU_ERR_ID, t_buffer_huge},
    {"no type", VGPGPU_ERR_UNSUPPORTED, t_type_none},
    {"unknown type", VGPGPU_ERR_UNSUPPORTED, t_type_unknown},
    {"huge type", VGPGPU_ERR_UNSUPPORTED, t_type_huge},
    {"no rank", VGPGPU_ERR_INVALID, t_rank_none},
    {"rank 1", VGPGPU_ERR_INVALID, t_rank_one},
    {"rank 7", VGPGPU_ERR_INVALID, t_rank_large},
    {"huge rank", VGPGPU_ERR_INVALID, t_rank_huge},
    {"different ranks", VGPGPU_ERR_INVALID, t_rank_mixed},
    {"an empty dimension", VGPGPU_ERR_INVALID, t_dimension_none},
    {"a dimension beyond the rank", VGPGPU_ERR_INVALID, t_dimension_unused},
    {"a huge dimension", VGPGPU_ERR_LIMIT, t_dimension_huge},
    {"a dimension beyond the buffer", VGPGPU_ERR_RANGE, t_dimension_many},
    {"no stride", VGPGPU_ERR_INVALID, t_stride_none},
    {"a stride beyond the rank", VGPGPU_ERR_INVALID, t_stride_unused},
    {"a huge stride", VGPGPU_ERR_LIMIT, t_stride_huge},
    {"a stride that overflows", VGPGPU_ERR_LIMIT, t_stride_overflow},
    {"a stride beyond the buffer", VGPGPU_ERR_RANGE, t_stride_past},
    {"results that share a place", VGPGPU_ERR_INVALID, t_stride_shared},
    {"a misaligned offset", VGPGPU_ERR_RANGE, t_offset_odd},
    {"an offset beyond the buffer", VGPGPU_ERR_RANGE, t_offset_past},
    {"one element too many", VGPGPU_ERR_RANGE, t_offset_last},
    {"an offset that overflows", VGPGPU_ERR_RANGE, t_offset_overflow},
    {"a result over an input", VGPGPU_ERR_INVALID, t_output_is_input},
    {"a result over part of an input", VGPGPU_ERR_INVALID, t_output_overlaps},
    {"rows that differ", VGPGPU_ERR_INVALID, g_m},
    {"columns that differ", VGPGPU_ERR_INVALID, g_n},
    {"inner dimensions that differ", VGPGPU_ERR_INVALID, g_k},
    {"inputs of two types", VGPGPU_ERR_UNSUPPORTED, g_mixed_types},
    {"a result of a wrong type", VGPGPU_ERR_UNSUPPORTED, g_result_type},
    {"a result narrower than its inputs", VGPGPU_ERR_UNSUPPORTED, g_result_narrow},
    {"whole numbers scaled", VGPGPU_ERR_UNSUPPORTED, g_whole_alpha},
    {"whole numbers added twice", VGPGPU_ERR_UNSUPPORTED, g_whole_beta},
};

/* The good gemm works, on a queue that nothing has failed on. */
static void assert_works(uint32_t queue)
{
    static const float ones[2] = {1, 0};
    float first;
    memcpy(memory[2], ones, sizeof(ones));
    memcpy(memory[3], ones, sizeof(ones));
    gemm_add();
    assert_int_equal(rig_run(&rig, queue), VGPGPU_OK);
    memcpy(&first, memory[1], sizeof(first));
    assert_true(first == 1);
    memset(memory[1], 0, BYTES);
}

static void test_descriptors(void **state)
{
    static const uint8_t nothing[BYTES];
    (void)state;
    rig_open(&rig);
    if (!rig.front->config.operations[VGPGPU_GEMM]) {
        rig_close(&rig);
        skip();
    }
    for (uint32_t i = 1; i <= 3; i++)
        memory[i] = rig_guest_buffer(&rig, i, 1);
    assert_works(63);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gemm_add();
        cases[i].spoil();
        uint32_t status = rig_run(&rig, (uint32_t)i);
        if (status != cases[i].status)
            fail_msg("%s: status %u, not %u", cases[i].what, status, cases[i].status);
        assert_memory_equal(memory[1], nothing, BYTES);
    }
    assert_works(63);
    rig_close(&rig);
}

/* What comes before a command that is wrong does not run either. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    rig_open(&rig);
    memory[1] = rig_guest_buffer(&rig, 1, 1);
    uint32_t bytes, mark = 7;
    gemm_add();
    wrong.a->rank = 9;
    bytes = rig.batch->bytes;
    _Alignas(8) uint8_t bad[1024];
    memcpy(bad, rig.batch->commands, bytes);
    batch_fill(rig_batch(&rig), 1, 0, BYTES, &mark, sizeof(mark));
    memcpy(rig.batch->commands + rig.batch->bytes, bad, bytes);
    rig.batch->bytes += bytes;
    assert_int_not_equal(rig_run(&rig, 0), VGPGPU_OK);
    assert_int_equal(memory[1][0], 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
