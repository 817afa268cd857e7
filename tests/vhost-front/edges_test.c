/*
 * edges_test.c: operations, copies and fills that end where their buffer of guest memory ends, exactly: they work,
 * and what lies behind is neither written nor has a part in the result; one element more is refused, and nothing
 * is written. Buffers of pages in a row, of a list of pages, and parts of others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "guarded.h"
#include "tests/tensor-reference/reference.h"

#define PAGES   4u /* of an operation's buffer */
#define BYTES   (PAGES * VGPGPU_PAGE)
#define TENSORS 9u

#define MOVE_PAGES 520u /* of a copy's: so large that several processors share it */
#define MOVE_BYTES ((uint64_t)MOVE_PAGES * VGPGPU_PAGE)

struct fuzz fuzz; /* not used here */

static struct rig rig;
static uint32_t bad_queue; /* the last on which something was refused: a queue tells its first failure only */
static struct guarded buffers[TENSORS];
static uint8_t before[TENSORS][BYTES], after[TENSORS][BYTES], plain[TENSORS][BYTES];

/* ---- The operations */

#define MAIN 0 /* the type that the operation is tried with */

struct operation {
    const char *name;
    uint16_t operation, count, outputs, parameter_bytes;
    const void *parameters;
    struct {
        unsigned type, rank;
        uint64_t dimensions[VGPGPU_MAX_RANK];
    } tensors[TENSORS];
};

static const struct vgpgpu_gemm product = {.alpha = 1}, product_added = {.alpha = 1, .beta = 1};
static const struct vgpgpu_conv2d convolution = {
    .window = {.stride = {1, 1}, .dilation = {1, 1}, .before = {1, 1}, .after = {1, 1}}, .groups = 2};
static const struct vgpgpu_pool2d largest = {.window = {.stride = {2, 2}, .dilation = {1, 1}},
                                             .size = {3, 3},
                                             .kind = 1},
                                  mean = {.window = {.stride = {2, 2}, .dilation = {1, 1}},
                                          .size = {3, 3},
                                          .kind = 2};
static const struct vgpgpu_softmax along_rows = {.axis = 1}, along_columns = {.axis = 0};
static const struct vgpgpu_reduce sum = {.kind = 1}, most = {.kind = 3};
static const struct vgpgpu_norm norm = {.epsilon = 1e-3f};
static const struct vgpgpu_lstm forwards = {0}, backwards = {.reverse = 1};
static const struct {
    struct vgpgpu_elementwise head;
    struct vgpgpu_step steps[3];
} chain = {{.count = 3}, {{.op = 32, .operand = 2}, {.op = 34, .operand = 3}, {.op = 7}}};

#define WITH(parameters) sizeof(parameters), &(parameters)

static const struct operation operations[] = {
    {"GEMM", VGPGPU_GEMM, 3, 1, WITH(product), {{MAIN, 2, {37, 29}}, {MAIN, 2, {37, 53}}, {MAIN, 2, {53, 29}}}},
    {"GEMM, added", VGPGPU_GEMM, 3, 1, WITH(product_added),
     {{VGPGPU_F32, 2, {37, 29}}, {MAIN, 2, {37, 53}}, {MAIN, 2, {53, 29}}}},
    {"GEMM, a batch", VGPGPU_GEMM, 3, 1, WITH(product),
     {{VGPGPU_F32, 3, {3, 7, 9}}, {MAIN, 3, {3, 7, 17}}, {MAIN, 3, {3, 17, 9}}}},
    {"GEMM, whole numbers", VGPGPU_GEMM, 3, 1, WITH(product),
     {{VGPGPU_S32, 2, {37, 29}}, {VGPGPU_S8, 2, {37, 53}}, {VGPGPU_S8, 2, {53, 29}}}},
    {"CONV2D", VGPGPU_CONV2D, 4, 1, WITH(convolution),
     {{MAIN, 4, {2, 6, 9, 11}}, {MAIN, 4, {2, 4, 9, 11}}, {MAIN, 4, {6, 2, 3, 3}}, {MAIN, 1, {6}}}},
    {"POOL2D, largest", VGPGPU_POOL2D, 2, 1, WITH(largest), {{MAIN, 4, {2, 3, 4, 5}}, {MAIN, 4, {2, 3, 9, 11}}}},
    {"POOL2D, mean", VGPGPU_POOL2D, 2, 1, WITH(mean), {{MAIN, 4, {2, 3, 4, 5}}, {MAIN, 4, {2, 3, 9, 11}}}},
    {"SOFTMAX of rows", VGPGPU_SOFTMAX, 2, 1, WITH(along_rows), {{MAIN, 2, {7, 19}}, {MAIN, 2, {7, 19}}}},
    {"SOFTMAX of columns", VGPGPU_SOFTMAX, 2, 1, WITH(along_columns), {{MAIN, 2, {7, 19}}, {MAIN, 2, {7, 19}}}},
    {"REDUCE of rows", VGPGPU_REDUCE, 2, 1, WITH(sum), {{MAIN, 2, {7, 1}}, {MAIN, 2, {7, 19}}}},
    {"REDUCE of columns", VGPGPU_REDUCE, 2, 1, WITH(most), {{MAIN, 2, {1, 19}}, {MAIN, 2, {7, 19}}}},
    {"LAYER_NORM", VGPGPU_LAYER_NORM, 4, 1, WITH(norm),
     {{MAIN, 2, {7, 19}}, {MAIN, 2, {7, 19}}, {VGPGPU_F32, 1, {19}}, {VGPGPU_F32, 1, {19}}}},
    {"BATCH_NORM", VGPGPU_BATCH_NORM, 6, 1, WITH(norm),
     {{MAIN, 3, {3, 5, 7}}, {MAIN, 3, {3, 5, 7}}, {VGPGPU_F32, 1, {5}}, {VGPGPU_F32, 1, {5}}, {VGPGPU_F32, 1, {5}},
      {VGPGPU_F32, 1, {5}}}},
    {"ELEMENTWISE", VGPGPU_ELEMENTWISE, 4, 1, WITH(chain),
     {{MAIN, 2, {7, 19}}, {MAIN, 2, {7, 19}}, {MAIN, 2, {7, 19}}, {MAIN, 2, {1, 19}}}},
    {"ELEMENTWISE, many", VGPGPU_ELEMENTWISE, 4, 1, WITH(chain),
     {{MAIN, 2, {61, 61}}, {MAIN, 2, {61, 61}}, {MAIN, 2, {61, 61}}, {MAIN, 2, {61, 1}}}},
    {"LSTM", VGPGPU_LSTM, 9, 3, WITH(forwards),
     {{MAIN, 3, {3, 2, 4}}, {MAIN, 2, {2, 4}}, {MAIN, 2, {2, 4}}, {MAIN, 3, {3, 2, 5}}, {MAIN, 2, {16, 5}},
      {MAIN, 2, {16, 4}}, {MAIN, 1, {16}}, {MAIN, 2, {2, 4}}, {MAIN, 2, {2, 4}}}},
    {"LSTM, backwards", VGPGPU_LSTM, 7, 3, WITH(backwards),
     {{MAIN, 3, {3, 2, 4}}, {MAIN, 2, {2, 4}}, {MAIN, 2, {2, 4}}, {MAIN, 3, {3, 2, 5}}, {MAIN, 2, {16, 5}},
      {MAIN, 2, {16, 4}}, {MAIN, 1, {16}}}},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* ---- Tensors and what is in them */

/* At the beginning of its buffer, with `gap` elements behind each row. */
static struct vgpgpu_tensor tensor_make(const struct operation *operation, unsigned i, unsigned type, uint64_t gap)
{
    struct vgpgpu_tensor tensor = {.buffer = buffers[i].id,
                                   .type = (uint16_t)(operation->tensors[i].type ? operation->tensors[i].type : type),
                                   .rank = (uint16_t)operation->tensors[i].rank};
    uint64_t stride = 1;
    for (unsigned j = tensor.rank; j-- > 0;) {
        tensor.dimensions[j] = operation->tensors[i].dimensions[j];
        tensor.strides[j] = stride;
        stride = stride * tensor.dimensions[j] + (j + 1u == tensor.rank && tensor.rank > 1 ? gap : 0);
    }
    return tensor;
}

/* Bytes from its first element to the end of its last. */
static uint64_t tensor_extent(const struct vgpgpu_tensor *tensor)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < tensor->rank; i++)
        last += (tensor->dimensions[i] - 1) * tensor->strides[i];
    return (last + 1) * element_bytes(tensor->type);
}

static void number_put(uint8_t *at, unsigned type, uint32_t step)
{
    float value = 0.25f + (float)step / 16; /* of which bf16 keeps all */
    uint32_t bits;
    int32_t whole = (int32_t)step - 8;
    memcpy(&bits, &value, sizeof(bits));
    bits = type == VGPGPU_BF16 ? bits >> 16 : type == VGPGPU_F32 ? bits : (uint32_t)whole;
    memcpy(at, &bits, element_bytes(type));
}

static double number_get(const uint8_t *at, unsigned type)
{
    uint32_t bits = 0;
    float value;
    memcpy(&bits, at, element_bytes(type));
    if (type == VGPGPU_S8 || type == VGPGPU_S32)
        return type == VGPGPU_S8 ? (int8_t)bits : (int32_t)bits;
    bits <<= type == VGPGPU_BF16 ? 16 : 0;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

/* Numbers in the elements, the same wherever the tensor lies; what is beside them is no number. */
static void tensor_put(unsigned i, const struct vgpgpu_tensor *tensor)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    uint32_t number = i;
    memset(before[i], 0xff, BYTES);
    do {
        number = number * 1103515245u + 12345u;
        number_put(before[i] + element_place(tensor, index), tensor->type, number >> 16 & 15);
    } while (index_step(tensor, index));
    guarded_put(&buffers[i], before[i]);
}

/* The batch's status, which is to be OK or not. */
static uint32_t batch_run(bool good)
{
    uint32_t queue = good ? 0 : ++bad_queue;
    assert_true(queue < VGPGPU_QUEUES_PER_CONTEXT);
    return rig_run(&rig, queue);
}

static uint32_t operation_run(const struct operation *operation, const struct vgpgpu_tensor *tensors, bool good)
{
    batch_operation(rig_batch(&rig), operation->operation, tensors, operation->count, operation->parameters,
                    operation->parameter_bytes);
    return batch_run(good);
}

/* Writes nothing but the elements of its outputs, and nothing at all when it was refused. */
static void rest_check(const struct operation *operation, const struct vgpgpu_tensor *tensors, bool refused)
{
    for (unsigned i = 0; i < operation->count; i++) {
        uint64_t index[VGPGPU_MAX_RANK] = {0};
        guarded_check(&buffers[i]);
        guarded_get(&buffers[i], after[i]);
        do {
            uint64_t at = element_place(&tensors[i], index);
            if (!refused && i < operation->outputs)
                memcpy(before[i] + at, after[i] + at, element_bytes(tensors[i].type));
        } while (index_step(&tensors[i], index));
        if (memcmp(before[i], after[i], BYTES))
            fail_msg("%s: tensor %u: something beside its elements was written", operation->name, i);
    }
}

/* The results are those of the tensors at their buffers' beginnings. */
static void results_check(const struct operation *operation, const struct vgpgpu_tensor *first,
                          const struct vgpgpu_tensor *last)
{
    for (unsigned i = 0; i < operation->outputs; i++) {
        uint64_t index[VGPGPU_MAX_RANK] = {0};
        do {
            double want = number_get(plain[i] + element_place(&first[i], index), first[i].type);
            double got = number_get(after[i] + element_place(&last[i], index), last[i].type);
            double allowed = (last[i].type == VGPGPU_BF16 ? 1.0 / 64 : 1e-4) * (1 + fabs(want));
            if (!(fabs(want - got) <= allowed))
                fail_msg("%s: output %u: %g at the buffer's end, %g at its beginning", operation->name, i, got, want);
        } while (index_step(&last[i], index));
    }
}

/* Each tensor once a little beyond its buffer. */
static void refusals_check(const struct operation *operation, const struct vgpgpu_tensor *tensors)
{
    struct vgpgpu_tensor wrong[TENSORS];
    for (unsigned i = 0; i < operation->count; i++) {
        const uint64_t beyond[] = {element_bytes(tensors[i].type), VGPGPU_PAGE, BYTES};
        for (unsigned j = 0; j < sizeof(beyond) / sizeof(beyond[0]); j++) {
            memcpy(wrong, tensors, sizeof(wrong));
            wrong[i].offset += beyond[j];
            uint32_t status = operation_run(operation, wrong, false);
            if (status != VGPGPU_ERR_RANGE)
                fail_msg("%s: tensor %u, %llu bytes beyond its buffer: status %u", operation->name, i,
                         (unsigned long long)beyond[j], status);
        }
    }
    rest_check(operation, tensors, true);
}

static void operation_check(const struct operation *operation, unsigned type, uint64_t gap)
{
    struct vgpgpu_tensor first[TENSORS], last[TENSORS];
    for (unsigned i = 0; i < operation->count; i++) {
        first[i] = last[i] = tensor_make(operation, i, type, gap);
        assert_true(tensor_extent(&last[i]) < BYTES);
        last[i].offset = BYTES - tensor_extent(&last[i]);
        tensor_put(i, &first[i]);
    }
    uint32_t status = operation_run(operation, first, true);
    if (status)
        fail_msg("%s, type %u: status %u", operation->name, type, status);
    rest_check(operation, first, false);
    memcpy(plain, after, sizeof(plain));
    for (unsigned i = 0; i < operation->count; i++)
        tensor_put(i, &last[i]);
    assert_int_equal(operation_run(operation, last, true), 0);
    rest_check(operation, last, false);
    results_check(operation, first, last);
    refusals_check(operation, last);
}

static bool is_supported(const struct operation *operation, unsigned type)
{
    unsigned wanted = operation->tensors[1].type ? operation->tensors[1].type : type;
    return rig.front->config.operations[operation->operation] >> wanted & 1;
}

static void context_open(enum guarded_kind kind)
{
    rig_open(&rig);
    bad_queue = 0;
    for (unsigned i = 0; i < TENSORS; i++)
        guarded_make(&buffers[i], &rig, kind, 1 + i, PAGES);
}

static void context_close(void)
{
    for (unsigned i = 0; i < TENSORS; i++)
        guarded_free(&buffers[i]);
    rig_close(&rig);
}

static void test_operations(void **state)
{
    static const unsigned types[] = {VGPGPU_F32, VGPGPU_BF16};
    unsigned tried = 0;
    for (size_t i = 0; i < 2 * OPERATIONS; i++) {
        const struct operation *operation = &operations[i / 2];
        uint64_t gap = i % 2 ? 3 : 0;
        context_open(*(const enum guarded_kind *)*state);
        for (unsigned j = 0; j < 2; j++)
            if (is_supported(operation, types[j])) {
                operation_check(operation, types[j], gap);
                tried++;
            }
        context_close();
    }
    assert_true(tried >= 2 * OPERATIONS);
}

/* ---- Copies and fills: the second buffer is what they write to */

static struct guarded moved[2];
static uint8_t *want[2], *got;

/* The commands of a batch, as they are and with one byte more. */
struct move {
    uint64_t length, pitch, rows; /* of rows `length` wide; pitch 0: linear */
    uint32_t pattern;             /* bytes; 0: a copy */
};

static const uint8_t pattern[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static uint64_t move_extent(const struct move *move)
{
    return move->pitch ? (move->rows - 1) * move->pitch + move->length : move->length;
}

static uint32_t move_run(const struct move *move, uint64_t from, uint64_t to, bool good)
{
    struct front_batch *batch = rig_batch(&rig);
    if (move->pattern && move->pitch) {
        struct vgpgpu_cmd_fill_2d fill = {.target = 2, .pattern_bytes = move->pattern, .offset = to,
                                          .pitch = move->pitch, .width = move->length, .rows = move->rows};
        memcpy(fill.pattern, pattern, sizeof(pattern));
        batch_fill_2d(batch, &fill);
    } else if (move->pattern) {
        batch_fill(batch, 2, to, move->length, pattern, move->pattern);
    } else if (move->pitch) {
        const struct vgpgpu_cmd_copy_2d copy = {.source = 1, .target = 2, .source_offset = from, .target_offset = to,
                                                .source_pitch = move->pitch, .target_pitch = move->pitch,
                                                .width = move->length, .rows = move->rows};
        batch_copy_2d(batch, &copy);
    } else {
        batch_copy(batch, 1, from, 2, to, move->length);
    }
    return batch_run(good);
}

static void want_move(const struct move *move, uint64_t from, uint64_t to)
{
    for (uint64_t row = 0; row < (move->pitch ? move->rows : 1); row++)
        for (uint64_t i = 0; i < move->length; i++)
            want[1][to + row * move->pitch + i] =
                move->pattern ? pattern[i % move->pattern] : want[0][from + row * move->pitch + i];
}

static void moved_check(void)
{
    for (unsigned i = 0; i < 2; i++) {
        guarded_check(&moved[i]);
        guarded_get(&moved[i], got);
        assert_memory_equal(got, want[i], MOVE_BYTES);
    }
}

static void move_check(const struct move *move)
{
    uint64_t end = MOVE_BYTES - move_extent(move), more = move->pattern ? move->pattern : 1;
    assert_int_equal(move_run(move, end, 0, true), 0);
    want_move(move, end, 0);
    assert_int_equal(move_run(move, 0, end, true), 0);
    want_move(move, 0, end);
    assert_int_equal(move_run(move, end, end, true), 0);
    want_move(move, end, end);
    moved_check();
    assert_int_equal(move_run(move, 0, end + more, false), VGPGPU_ERR_RANGE);
    assert_int_equal(move_run(move, 0, MOVE_BYTES, false), VGPGPU_ERR_RANGE);
    if (!move->pattern) {
        assert_int_equal(move_run(move, end + 1, 0, false), VGPGPU_ERR_RANGE);
        assert_int_equal(move_run(move, MOVE_BYTES, 0, false), VGPGPU_ERR_RANGE);
    }
    moved_check();
}

static void test_moves(void **state)
{
    static const struct move moves[] = {
        {.length = 1}, {.length = 4099}, {.length = 1572867}, {.length = MOVE_BYTES},
        {.length = 5, .pitch = 13, .rows = 7}, {.length = 3001, .pitch = 4099, .rows = 500},
        {.length = 1, .pattern = 1}, {.length = 4096, .pattern = 16}, {.length = 1572864, .pattern = 4},
        {.length = MOVE_BYTES, .pattern = 16},
        {.length = 8, .pitch = 24, .rows = 7, .pattern = 8}, {.length = 3008, .pitch = 4096, .rows = 500, .pattern = 16},
    };
    rig_open(&rig);
    bad_queue = 0;
    got = malloc(MOVE_BYTES);
    assert_non_null(got);
    for (unsigned i = 0; i < 2; i++) {
        guarded_make(&moved[i], &rig, *(const enum guarded_kind *)*state, 1 + i, MOVE_PAGES);
        want[i] = malloc(MOVE_BYTES);
        assert_non_null(want[i]);
        for (uint64_t j = 0; j < MOVE_BYTES; j++)
            want[i][j] = (uint8_t)random_next();
        guarded_put(&moved[i], want[i]);
    }
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
        move_check(&moves[i]);
    for (unsigned i = 0; i < 2; i++) {
        guarded_free(&moved[i]);
        free(want[i]);
    }
    free(got);
    rig_close(&rig);
}

#define TEST(test, kind) {#test " " #kind, test, NULL, NULL, (void *)(uintptr_t)&(const enum guarded_kind){kind}}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_operations, GUARDED_WHOLE), TEST(test_operations, GUARDED_LIST), TEST(test_operations, GUARDED_PART),
        TEST(test_moves, GUARDED_WHOLE),      TEST(test_moves, GUARDED_LIST),      TEST(test_moves, GUARDED_PART),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
