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

/* ---- The other operations, each good but for one thing ------------------------------------------
 */

/* What a case may spoil; the tensors' dimensions are dense once it has. */
struct shapes {
    uint16_t operation, count;
    uint32_t bytes;
    uint64_t dimensions[9][4];
    uint16_t rank[9], type;
    union {
        struct vgpgpu_conv2d conv;
        struct vgpgpu_pool2d pool;
        struct vgpgpu_softmax softmax;
        struct vgpgpu_reduce reduce;
        struct vgpgpu_norm norm;
        struct {
            struct vgpgpu_elementwise head;
            struct vgpgpu_step steps[2];
        } chain;
        struct vgpgpu_lstm lstm;
    } with;
};

static const struct vgpgpu_window plain = {.stride = {1, 1}, .dilation = {1, 1}};

static const struct shapes good_conv = {
    .operation = VGPGPU_CONV2D,
    .count = 4,
    .bytes = sizeof(struct vgpgpu_conv2d),
    .dimensions = {{1, 4, 4, 4}, {1, 2, 6, 6}, {4, 1, 3, 3}, {4}},
    .rank = {4, 4, 4, 1},
    .type = VGPGPU_F32,
    .with.conv = {.window = plain, .groups = 2}};
static const struct shapes good_pool = {
    .operation = VGPGPU_POOL2D,
    .count = 2,
    .bytes = sizeof(struct vgpgpu_pool2d),
    .dimensions = {{1, 2, 5, 5}, {1, 2, 6, 6}},
    .rank = {4, 4},
    .type = VGPGPU_F32,
    .with.pool = {.window = plain, .size = {2, 2}, .kind = VGPGPU_POOL_MAX}};
static const struct shapes good_softmax = {.operation = VGPGPU_SOFTMAX,
                                           .count = 2,
                                           .bytes = sizeof(struct vgpgpu_softmax),
                                           .dimensions = {{3, 7}, {3, 7}},
                                           .rank = {2, 2},
                                           .type = VGPGPU_F32,
                                           .with.softmax = {.axis = 1}};
static const struct shapes good_reduce = {.operation = VGPGPU_REDUCE,
                                          .count = 2,
                                          .bytes = sizeof(struct vgpgpu_reduce),
                                          .dimensions = {{3, 1}, {3, 7}},
                                          .rank = {2, 2},
                                          .type = VGPGPU_F32,
                                          .with.reduce = {.kind = VGPGPU_REDUCE_SUM}};

static const struct shapes good_layer = {.operation = VGPGPU_LAYER_NORM,
                                         .count = 4,
                                         .bytes = sizeof(struct vgpgpu_norm),
                                         .dimensions = {{3, 7}, {3, 7}, {7}, {7}},
                                         .rank = {2, 2, 1, 1},
                                         .type = VGPGPU_F32,
                                         .with.norm = {.epsilon = 1e-5f}};
static const struct shapes good_batch = {.operation = VGPGPU_BATCH_NORM,
                                         .count = 6,
                                         .bytes = sizeof(struct vgpgpu_norm),
                                         .dimensions = {{3, 7}, {3, 7}, {7}, {7}, {7}, {7}},
                                         .rank = {2, 2, 1, 1, 1, 1},
                                         .type = VGPGPU_F32,
                                         .with.norm = {.epsilon = 1e-5f}};
static const struct shapes good_chain = {
    .operation = VGPGPU_ELEMENTWISE,
    .count = 3,
    .bytes = sizeof(struct vgpgpu_elementwise) + 2 * sizeof(struct vgpgpu_step),
    .dimensions = {{3, 7}, {3, 7}, {1, 7}},
    .rank = {2, 2, 2},
    .type = VGPGPU_F32,
    .with.chain = {.head = {.count = 2},
                   .steps = {{.op = VGPGPU_STEP_CLIP, .a = -1, .b = 1},
                             {.op = VGPGPU_STEP_ADD, .operand = 2}}}};
static const struct shapes good_lstm = {
    .operation = VGPGPU_LSTM,
    .count = 9,
    .bytes = sizeof(struct vgpgpu_lstm),
    .dimensions = {{2, 3, 5}, {3, 5}, {3, 5}, {2, 3, 4}, {20, 4}, {20, 5}, {20}, {3, 5}, {3, 5}},
    .rank = {3, 2, 2, 3, 2, 2, 1, 2, 2},
    .type = VGPGPU_F32};

/* clang-format off */
static void n_nothing(struct shapes *s) { (void)s; }
static void n_type(struct shapes *s) { s->type = VGPGPU_S8; }
static void n_few(struct shapes *s) { s->count = 1; }
static void n_many(struct shapes *s) { s->count = 5; }
static void n_rank(struct shapes *s) { s->rank[0]--; }
static void n_parameters(struct shapes *s) { s->bytes += 8; }
static void n_result(struct shapes *s) { s->dimensions[0][s->rank[0] - 1]++; }
static void n_batch(struct shapes *s) { s->dimensions[0][0]++; }
static void w_stride_none(struct shapes *s) { s->with.conv.window.stride[1] = 0; }
static void w_stride_huge(struct shapes *s) { s->with.conv.window.stride[0] = UINT32_MAX; }
static void w_dilation_none(struct shapes *s) { s->with.conv.window.dilation[0] = 0; }
static void w_dilation_huge(struct shapes *s) { s->with.conv.window.dilation[1] = UINT32_MAX; }
static void w_before(struct shapes *s) { s->with.conv.window.before[0] = 3; }
static void w_after_huge(struct shapes *s) { s->with.conv.window.after[1] = UINT32_MAX; }
static void c_groups_none(struct shapes *s) { s->with.conv.groups = 0; }
static void c_groups_odd(struct shapes *s) { s->with.conv.groups = 3; }
static void c_groups_huge(struct shapes *s) { s->with.conv.groups = UINT32_MAX; }
static void c_reserved(struct shapes *s) { s->with.conv.reserved = 1; }
static void c_bias(struct shapes *s) { s->dimensions[3][0] = 3; }
static void c_outputs(struct shapes *s) { s->dimensions[2][0] = 6; }
static void p_size_none(struct shapes *s) { s->with.pool.size[0] = 0; }
static void p_size_huge(struct shapes *s) { s->with.pool.size[1] = UINT32_MAX; }
static void p_kind_none(struct shapes *s) { s->with.pool.kind = 0; }
static void p_kind_unknown(struct shapes *s) { s->with.pool.kind = 4; }
static void p_reserved(struct shapes *s) { s->with.pool.reserved = 1; }
static void s_axis(struct shapes *s) { s->with.softmax.axis = 2; }
static void s_axis_huge(struct shapes *s) { s->with.softmax.axis = UINT32_MAX; }
static void s_reserved(struct shapes *s) { s->with.softmax.reserved = 1; }
static void r_kind_none(struct shapes *s) { s->with.reduce.kind = 0; }
static void r_kind_unknown(struct shapes *s) { s->with.reduce.kind = 5; }
static void r_reserved(struct shapes *s) { s->with.reduce.reserved = 1; }
static void v_epsilon(struct shapes *s) { s->with.norm.epsilon = -1; }
static void v_epsilon_none(struct shapes *s) { s->with.norm.epsilon = __builtin_nanf(""); }
static void v_reserved(struct shapes *s) { s->with.norm.reserved = 1; }
static void v_vector(struct shapes *s) { s->dimensions[s->count - 1][0] = 6; }
static void v_vector_rank(struct shapes *s) { s->rank[s->count - 1] = 2; s->dimensions[s->count - 1][1] = 1; }
static void v_left_out(struct shapes *s) { s->rank[s->count - 1] = 0; }
static void v_mean(struct shapes *s) { s->rank[2] = 0; }
static void v_source(struct shapes *s) { s->dimensions[1][0] = 2; }
static void e_count_none(struct shapes *s) { s->with.chain.head.count = 0; }
static void e_count_long(struct shapes *s) { s->with.chain.head.count = 3; }
static void e_count_huge(struct shapes *s) { s->with.chain.head.count = UINT32_MAX; }
static void e_short(struct shapes *s) { s->bytes = 0; }
static void e_reserved(struct shapes *s) { s->with.chain.head.reserved = 1; }
static void e_step_none(struct shapes *s) { s->with.chain.steps[0].op = 0; }
static void e_step_between(struct shapes *s) { s->with.chain.steps[0].op = 17; }
static void e_step_huge(struct shapes *s) { s->with.chain.steps[0].op = UINT16_MAX; }
static void e_step_reserved(struct shapes *s) { s->with.chain.steps[0].reserved = 1; }
static void e_step_number(struct shapes *s) { s->with.chain.steps[1].b = 1; }
static void e_clip(struct shapes *s) { s->with.chain.steps[0].a = 2; }
static void e_operand_none(struct shapes *s) { s->with.chain.steps[1].operand = 0; }
static void e_operand_source(struct shapes *s) { s->with.chain.steps[1].operand = 1; }
static void e_operand_past(struct shapes *s) { s->with.chain.steps[1].operand = 3; }
static void e_operand_unused(struct shapes *s) { s->with.chain.steps[0].operand = 2; }
static void e_operand_shape(struct shapes *s) { s->dimensions[2][0] = 2; }
static void e_operand_rank(struct shapes *s) { s->rank[2] = 3; s->dimensions[2][2] = 1; }
static void l_reverse(struct shapes *s) { s->with.lstm.reverse = 2; }
static void l_reserved(struct shapes *s) { s->with.lstm.reserved = 1; }
static void l_steps(struct shapes *s) { s->dimensions[3][0] = 1; }
static void l_batch(struct shapes *s) { s->dimensions[3][1] = 2; }
static void l_inputs(struct shapes *s) { s->dimensions[3][2] = 5; }
static void l_weights(struct shapes *s) { s->dimensions[4][0] = 19; }
static void l_hidden(struct shapes *s) { s->dimensions[5][1] = 4; }
static void l_bias(struct shapes *s) { s->dimensions[6][0] = 5; }
static void l_bias_none(struct shapes *s) { s->rank[6] = 0; }
static void l_one_state(struct shapes *s) { s->rank[8] = 0; }
static void l_one_last(struct shapes *s) { s->rank[1] = 0; }
static void l_no_states(struct shapes *s) { s->count = 7; s->rank[1] = s->rank[2] = 0; }
static void l_state(struct shapes *s) { s->dimensions[7][0] = 2; }
static void l_many(struct shapes *s) { s->count = 10; }
static void r_nothing(struct shapes *s) { s->dimensions[0][1] = 7; }
/* clang-format on */

static const struct {
    const char *what;
    const struct shapes *good;
    uint32_t status;
    void (*spoil)(struct shapes *shapes);
} shape_cases[] = {
    {"conv2d", &good_conv, VGPGPU_OK, n_nothing},
    {"conv2d of whole numbers", &good_conv, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"conv2d of one tensor", &good_conv, VGPGPU_ERR_INVALID, n_few},
    {"conv2d of five tensors", &good_conv, VGPGPU_ERR_INVALID, n_many},
    {"conv2d of rank 3", &good_conv, VGPGPU_ERR_INVALID, n_rank},
    {"conv2d, long parameters", &good_conv, VGPGPU_ERR_INVALID, n_parameters},
    {"conv2d, a wide result", &good_conv, VGPGPU_ERR_INVALID, n_result},
    {"conv2d, another batch", &good_conv, VGPGPU_ERR_INVALID, n_batch},
    {"conv2d, no stride", &good_conv, VGPGPU_ERR_INVALID, w_stride_none},
    {"conv2d, a huge stride", &good_conv, VGPGPU_ERR_INVALID, w_stride_huge},
    {"conv2d, no dilation", &good_conv, VGPGPU_ERR_INVALID, w_dilation_none},
    {"conv2d, a huge dilation", &good_conv, VGPGPU_ERR_INVALID, w_dilation_huge},
    {"conv2d, padding of a window", &good_conv, VGPGPU_ERR_INVALID, w_before},
    {"conv2d, huge padding", &good_conv, VGPGPU_ERR_INVALID, w_after_huge},
    {"conv2d, no groups", &good_conv, VGPGPU_ERR_INVALID, c_groups_none},
    {"conv2d, groups that do not part", &good_conv, VGPGPU_ERR_INVALID, c_groups_odd},
    {"conv2d, huge groups", &good_conv, VGPGPU_ERR_INVALID, c_groups_huge},
    {"conv2d, reserved field", &good_conv, VGPGPU_ERR_INVALID, c_reserved},
    {"conv2d, a short bias", &good_conv, VGPGPU_ERR_INVALID, c_bias},
    {"conv2d, more weights", &good_conv, VGPGPU_ERR_INVALID, c_outputs},
    {"pool2d", &good_pool, VGPGPU_OK, n_nothing},
    {"pool2d of whole numbers", &good_pool, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"pool2d of rank 3", &good_pool, VGPGPU_ERR_INVALID, n_rank},
    {"pool2d, a wide result", &good_pool, VGPGPU_ERR_INVALID, n_result},
    {"pool2d, another batch", &good_pool, VGPGPU_ERR_INVALID, n_batch},
    {"pool2d, no stride", &good_pool, VGPGPU_ERR_INVALID, w_stride_none},
    {"pool2d, padding of a window", &good_pool, VGPGPU_ERR_INVALID, w_before},
    {"pool2d, no window", &good_pool, VGPGPU_ERR_INVALID, p_size_none},
    {"pool2d, a huge window", &good_pool, VGPGPU_ERR_INVALID, p_size_huge},
    {"pool2d of no kind", &good_pool, VGPGPU_ERR_INVALID, p_kind_none},
    {"pool2d of an unknown kind", &good_pool, VGPGPU_ERR_INVALID, p_kind_unknown},
    {"pool2d, reserved field", &good_pool, VGPGPU_ERR_INVALID, p_reserved},
    {"softmax", &good_softmax, VGPGPU_OK, n_nothing},
    {"softmax of whole numbers", &good_softmax, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"softmax, another result", &good_softmax, VGPGPU_ERR_INVALID, n_result},
    {"softmax, another rank", &good_softmax, VGPGPU_ERR_INVALID, n_rank},
    {"softmax beyond the rank", &good_softmax, VGPGPU_ERR_INVALID, s_axis},
    {"softmax, a huge axis", &good_softmax, VGPGPU_ERR_INVALID, s_axis_huge},
    {"softmax, reserved field", &good_softmax, VGPGPU_ERR_INVALID, s_reserved},
    {"reduce", &good_reduce, VGPGPU_OK, n_nothing},
    {"reduce of whole numbers", &good_reduce, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"reduce, another result", &good_reduce, VGPGPU_ERR_INVALID, n_result},
    {"reduce, another rank", &good_reduce, VGPGPU_ERR_INVALID, n_rank},
    {"reduce of no kind", &good_reduce, VGPGPU_ERR_INVALID, r_kind_none},
    {"reduce of an unknown kind", &good_reduce, VGPGPU_ERR_INVALID, r_kind_unknown},
    {"reduce, reserved field", &good_reduce, VGPGPU_ERR_INVALID, r_reserved},
    {"reduce of nothing", &good_reduce, VGPGPU_ERR_UNSUPPORTED, r_nothing},
    {"layer norm", &good_layer, VGPGPU_OK, n_nothing},
    {"layer norm without shift", &good_layer, VGPGPU_OK, v_left_out},
    {"layer norm of whole numbers", &good_layer, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"layer norm, another result", &good_layer, VGPGPU_ERR_INVALID, n_result},
    {"layer norm, another source", &good_layer, VGPGPU_ERR_INVALID, v_source},
    {"layer norm, epsilon below 0", &good_layer, VGPGPU_ERR_INVALID, v_epsilon},
    {"layer norm, epsilon no number", &good_layer, VGPGPU_ERR_INVALID, v_epsilon_none},
    {"layer norm, reserved field", &good_layer, VGPGPU_ERR_INVALID, v_reserved},
    {"layer norm, short shift", &good_layer, VGPGPU_ERR_INVALID, v_vector},
    {"layer norm, shift of rank 2", &good_layer, VGPGPU_ERR_INVALID, v_vector_rank},
    {"layer norm of five tensors", &good_layer, VGPGPU_ERR_INVALID, n_many},
    {"batch norm", &good_batch, VGPGPU_OK, n_nothing},
    {"batch norm without shift", &good_batch, VGPGPU_OK, v_left_out},
    {"batch norm without mean", &good_batch, VGPGPU_ERR_UNSUPPORTED, v_mean},
    {"batch norm, short shift", &good_batch, VGPGPU_ERR_INVALID, v_vector},
    {"batch norm, another batch", &good_batch, VGPGPU_ERR_INVALID, n_batch},
    {"batch norm, epsilon below 0", &good_batch, VGPGPU_ERR_INVALID, v_epsilon},
    {"elementwise", &good_chain, VGPGPU_OK, n_nothing},
    {"elementwise of whole numbers", &good_chain, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"elementwise, another result", &good_chain, VGPGPU_ERR_INVALID, n_result},
    {"elementwise, no steps", &good_chain, VGPGPU_ERR_INVALID, e_count_none},
    {"elementwise, more steps than bytes", &good_chain, VGPGPU_ERR_INVALID, e_count_long},
    {"elementwise, very many steps", &good_chain, VGPGPU_ERR_INVALID, e_count_huge},
    {"elementwise, no parameters", &good_chain, VGPGPU_ERR_INVALID, e_short},
    {"elementwise, reserved field", &good_chain, VGPGPU_ERR_INVALID, e_reserved},
    {"elementwise, step 0", &good_chain, VGPGPU_ERR_UNSUPPORTED, e_step_none},
    {"elementwise, a step between", &good_chain, VGPGPU_ERR_UNSUPPORTED, e_step_between},
    {"elementwise, a huge step", &good_chain, VGPGPU_ERR_UNSUPPORTED, e_step_huge},
    {"elementwise, step's reserved field", &good_chain, VGPGPU_ERR_INVALID, e_step_reserved},
    {"elementwise, a number too many", &good_chain, VGPGPU_ERR_INVALID, e_step_number},
    {"elementwise, nothing to clip to", &good_chain, VGPGPU_ERR_INVALID, e_clip},
    {"elementwise, operand missing", &good_chain, VGPGPU_ERR_INVALID, e_operand_none},
    {"elementwise, operand is source", &good_chain, VGPGPU_ERR_INVALID, e_operand_source},
    {"elementwise, operand beyond", &good_chain, VGPGPU_ERR_INVALID, e_operand_past},
    {"elementwise, operand too many", &good_chain, VGPGPU_ERR_INVALID, e_operand_unused},
    {"elementwise, operand of another shape", &good_chain, VGPGPU_ERR_INVALID, e_operand_shape},
    {"elementwise, operand of another rank", &good_chain, VGPGPU_ERR_INVALID, e_operand_rank},
    {"lstm", &good_lstm, VGPGPU_OK, n_nothing},
    {"lstm without states", &good_lstm, VGPGPU_OK, l_no_states},
    {"lstm of whole numbers", &good_lstm, VGPGPU_ERR_UNSUPPORTED, n_type},
    {"lstm both ways", &good_lstm, VGPGPU_ERR_INVALID, l_reverse},
    {"lstm, reserved field", &good_lstm, VGPGPU_ERR_INVALID, l_reserved},
    {"lstm, other steps", &good_lstm, VGPGPU_ERR_INVALID, l_steps},
    {"lstm, another batch", &good_lstm, VGPGPU_ERR_INVALID, l_batch},
    {"lstm, other inputs", &good_lstm, VGPGPU_ERR_INVALID, l_inputs},
    {"lstm, odd weights", &good_lstm, VGPGPU_ERR_INVALID, l_weights},
    {"lstm, narrow weights", &good_lstm, VGPGPU_ERR_INVALID, l_hidden},
    {"lstm, short bias", &good_lstm, VGPGPU_ERR_INVALID, l_bias},
    {"lstm without bias", &good_lstm, VGPGPU_ERR_UNSUPPORTED, l_bias_none},
    {"lstm, one first state", &good_lstm, VGPGPU_ERR_INVALID, l_one_state},
    {"lstm, one last state", &good_lstm, VGPGPU_ERR_INVALID, l_one_last},
    {"lstm, short state", &good_lstm, VGPGPU_ERR_INVALID, l_state},
    {"lstm of ten tensors", &good_lstm, VGPGPU_ERR_INVALID, l_many},
};

static void shapes_add(const struct shapes *shapes)
{
    struct vgpgpu_tensor tensors[10] = {0};
    for (unsigned i = 0; i < 9; i++)
        if (shapes->rank[i])
            tensors[i] = tensor_dense(i + 1, (enum vgpgpu_type)shapes->type, 0, shapes->rank[i],
                                      shapes->dimensions[i]);
    _Alignas(8) uint8_t parameters[sizeof(shapes->with) + 8] = {0};
    memcpy(parameters, &shapes->with, sizeof(shapes->with));
    batch_operation(rig_batch(&rig), shapes->operation, tensors, shapes->count, parameters,
                    shapes->bytes);
}

static void shapes_machine_open(void)
{
    rig_open(&rig);
    for (uint32_t i = 1; i <= 9; i++)
        rig_guest_buffer(&rig, i, 1);
}

/* A queue tells its first failure for ever: each case has one of its own. */
static void test_shapes(void **state)
{
    (void)state;
    shapes_machine_open();
    for (size_t i = 0; i < sizeof(shape_cases) / sizeof(shape_cases[0]); i++) {
        uint32_t queue = (uint32_t)i % VGPGPU_QUEUES_PER_CONTEXT;
        struct shapes shapes = *shape_cases[i].good;
        if (i && !queue) {
            rig_close(&rig);
            shapes_machine_open();
        }
        if (!rig.front->config.operations[shapes.operation])
            continue;
        shape_cases[i].spoil(&shapes);
        shapes_add(&shapes);
        uint32_t status = rig_run(&rig, queue);
        if (status != shape_cases[i].status)
            fail_msg("%s: status %u, not %u", shape_cases[i].what, status, shape_cases[i].status);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
