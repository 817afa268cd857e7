/*
 * operations_test.c: the built-in operations against plain C, on random shapes, strides and places;
 * and what the device says to descriptors that are wrong. Inputs are small whole numbers, so that
 * what is sums and products must come out to the last bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tensor_rig.h"

/* ---- GEMM --------------------------------------------------------------------------------------
 */

static void gemm_expect(const struct vgpgpu_tensor *tensors, const struct vgpgpu_gemm *gemm)
{
    const struct vgpgpu_tensor *c = &tensors[0], *a = &tensors[1], *b = &tensors[2];
    uint64_t index[VGPGPU_MAX_RANK] = {0}, in_a[3] = {0}, in_b[3] = {0};
    unsigned row = c->rank - 2u, column = c->rank - 1u;
    do {
        double sum = 0;
        memcpy(in_a, index, sizeof(in_a));
        memcpy(in_b, index, sizeof(in_b));
        for (uint64_t k = 0; k < a->dimensions[column]; k++) {
            in_a[column] = in_b[row] = k;
            sum += value_at(a, in_a) * value_at(b, in_b);
        }
        double want = (double)gemm->alpha * sum;
        if (gemm->beta != 0)
            want += (double)gemm->beta * former_at(c, index);
        element_expect(c, index, want, 0);
    } while (index_step(c, index));
    gaps_expect(c);
}

static struct vgpgpu_tensor matrix_random(uint32_t buffer, unsigned type, unsigned rank,
                                          uint64_t batch, uint64_t rows, uint64_t columns)
{
    bool transposed = random_below(2);
    uint64_t dimensions[3] = {batch, transposed ? columns : rows, transposed ? rows : columns};
    struct vgpgpu_tensor tensor = tensor_random(buffer, type, rank, dimensions + (3 - rank));
    tensor_fill(&tensor);
    return transposed ? tensor_transposed(tensor) : tensor;
}

static void gemm_round(unsigned type, unsigned result, uint32_t largest)
{
    bool exact = result == VGPGPU_S32;
    struct vgpgpu_gemm gemm = {.alpha = exact || random_below(2) ? 1 : 0.5f,
                               .beta = random_below(2)            ? 0
                                       : exact || random_below(2) ? 1
                                                                  : -2};
    uint64_t m = 1 + random_below(largest), n = 1 + random_below(largest),
             k = 1 + random_below(largest), batch = 1 + random_below(3);
    unsigned rank = random_below(4) ? 2 : 3;
    struct vgpgpu_tensor tensors[3] = {matrix_random(1, result, rank, batch, m, n),
                                       matrix_random(2, type, rank, batch, m, k),
                                       matrix_random(3, type, rank, batch, k, n)};
    operation_try(VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
    gemm_expect(tensors, &gemm);
}

static void test_gemm(void **state)
{
    static const unsigned types[][2] = {{VGPGPU_F32, VGPGPU_F32},
                                        {VGPGPU_BF16, VGPGPU_F32},
                                        {VGPGPU_BF16, VGPGPU_BF16},
                                        {VGPGPU_S8, VGPGPU_S32}};
    (void)state;
    machine_open();
    if (!is_supported(VGPGPU_GEMM, VGPGPU_F32)) {
        rig_close(&rig);
        skip();
    }
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (unsigned round = 0; round < ROUNDS && is_supported(VGPGPU_GEMM, types[i][0]); round++)
            gemm_round(types[i][0], types[i][1], round < ROUNDS / 2 ? 9 : 70);
    rig_close(&rig);
}

/* A matrix times itself, and a result in the same buffer behind it. */
static void test_gemm_in_one_buffer(void **state)
{
    struct vgpgpu_gemm gemm = {.alpha = 1};
    (void)state;
    machine_open();
    if (is_supported(VGPGPU_GEMM, VGPGPU_F32)) {
        struct vgpgpu_tensor a = tensor_matrix(1, VGPGPU_F32, 0, 9, 9, 9);
        struct vgpgpu_tensor tensors[3] = {tensor_matrix(1, VGPGPU_F32, 4096, 9, 9, 9), a, a};
        tensor_fill(&a);
        operation_try(VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
        gemm_expect(tensors, &gemm);
    }
    rig_close(&rig);
}

/* Buffers in another order than that in which they were made: each tensor is in its own all the same. */
static void test_gemm_buffers_in_any_order(void **state)
{
    static const uint32_t orders[][3] = {{3, 1, 2}, {2, 3, 1}, {3, 9, 2}, {2, 1, 3}, {1, 5, 4}};
    struct vgpgpu_gemm gemm = {.alpha = 1};
    (void)state;
    machine_open();
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (!is_supported(VGPGPU_GEMM, VGPGPU_F32))
            break;
        struct vgpgpu_tensor tensors[3] = {
            matrix_random(orders[i][0], VGPGPU_F32, 2, 1, 5, 7),
            matrix_random(orders[i][1], VGPGPU_F32, 2, 1, 5, 11),
            matrix_random(orders[i][2], VGPGPU_F32, 2, 1, 11, 7)};
        operation_try(VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
        gemm_expect(tensors, &gemm);
    }
    rig_close(&rig);
}

/* F32, or sometimes BF16 where the device has it. */
static unsigned type_random(unsigned operation)
{
    return is_supported(operation, VGPGPU_BF16) && !random_below(3) ? VGPGPU_BF16 : VGPGPU_F32;
}

/* ---- Windows -----------------------------------------------------------------------------------
 */

/* A window of `size` that fits into `in`; how many places there are for it. */
static uint64_t window_random(struct vgpgpu_window *window, unsigned axis, uint64_t size,
                              uint64_t in)
{
    uint64_t dilation = 1 + (random_below(4) ? 0 : random_below(2));
    uint64_t extent = (size - 1) * dilation + 1;
    uint32_t most = (uint32_t)(extent > 3 ? 3 : extent);
    window->stride[axis] = 1 + random_below(3);
    window->dilation[axis] = (uint32_t)dilation;
    window->before[axis] = random_below(2) ? 0 : random_below(most);
    window->after[axis] = random_below(2) ? 0 : random_below(most);
    uint64_t room = in + window->before[axis] + window->after[axis];
    return room < extent ? 0 : (room - extent) / window->stride[axis] + 1;
}

/* Where element `tap` of the window at place `at` lies in the source; false: in the padding. */
static bool window_tap(const struct vgpgpu_window *window, unsigned axis, uint64_t at, uint64_t tap,
                       uint64_t in, uint64_t *out)
{
    uint64_t place = at * window->stride[axis] + tap * window->dilation[axis];
    *out = place - window->before[axis];
    return place >= window->before[axis] && *out < in;
}

static double conv2d_at(const struct vgpgpu_tensor *tensors, unsigned count,
                        const struct vgpgpu_conv2d *conv, const uint64_t *at)
{
    const uint64_t *weights = tensors[2].dimensions, *in = tensors[1].dimensions;
    uint64_t group = at[1] / (tensors[0].dimensions[1] / conv->groups);
    double sum = count == 4 ? value_at(&tensors[3], &at[1]) : 0;
    for (uint64_t channel = 0; channel < weights[1]; channel++)
        for (uint64_t y = 0; y < weights[2]; y++)
            for (uint64_t x = 0; x < weights[3]; x++) {
                uint64_t from[4] = {at[0], group * weights[1] + channel},
                         by[4] = {at[1], channel, y, x};
                if (window_tap(&conv->window, 0, at[2], y, in[2], &from[2]) &&
                    window_tap(&conv->window, 1, at[3], x, in[3], &from[3]))
                    sum += value_at(&tensors[1], from) * value_at(&tensors[2], by);
            }
    return sum;
}

static void conv2d_round(void)
{
    unsigned type = type_random(VGPGPU_CONV2D);
    struct vgpgpu_conv2d conv = {.groups = 1 + random_below(3)};
    uint64_t groups = conv.groups, inputs = 1 + random_below(5), outputs = 1 + random_below(5),
             batch = 1 + random_below(2);
    uint64_t in[4] = {batch, groups * inputs, 1 + random_below(14), 1 + random_below(14)},
             weights[4] = {groups * outputs, inputs, 1 + random_below(4), 1 + random_below(4)},
             out[4] = {batch, groups * outputs, 0, 0};
    for (unsigned axis = 0; axis < 2; axis++)
        out[2 + axis] = window_random(&conv.window, axis, weights[2 + axis], in[2 + axis]);
    if (!out[2] || !out[3])
        return;
    uint16_t count = (uint16_t)(3 + random_below(2));
    struct vgpgpu_tensor tensors[4] = {
        tensor_random(1, type, 4, out), tensor_random(2, type, 4, in),
        tensor_random(3, type, 4, weights), tensor_random(4, type, 1, &out[1])};
    for (unsigned i = 0; i < 4; i++)
        tensor_fill(&tensors[i]);
    operation_try(VGPGPU_CONV2D, tensors, count, &conv, sizeof(conv));
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        element_expect(&tensors[0], index, conv2d_at(tensors, count, &conv, index), 1e-6);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

/* False when the window holds nothing but padding. */
static bool pool2d_at(const struct vgpgpu_tensor *in, const struct vgpgpu_pool2d *pool,
                      const uint64_t *at, double *out)
{
    double sum = 0, largest = -1e30;
    unsigned real = 0;
    for (uint64_t y = 0; y < pool->size[0]; y++)
        for (uint64_t x = 0; x < pool->size[1]; x++) {
            uint64_t from[4] = {at[0], at[1]};
            if (!window_tap(&pool->window, 0, at[2], y, in->dimensions[2], &from[2]) ||
                !window_tap(&pool->window, 1, at[3], x, in->dimensions[3], &from[3]))
                continue;
            double value = value_at(in, from);
            sum += value;
            largest = value > largest ? value : largest;
            real++;
        }
    unsigned all = pool->size[0] * pool->size[1];
    *out = pool->kind == VGPGPU_POOL_MAX    ? largest
           : pool->kind == VGPGPU_POOL_MEAN ? sum / (real ? real : 1)
                                            : sum / all;
    return real;
}

static void pool2d_round(void)
{
    struct vgpgpu_pool2d pool = {.kind = 1 + random_below(3),
                                 .size = {1 + random_below(4), 1 + random_below(4)}};
    uint64_t in[4] = {1 + random_below(2), 1 + random_below(20), 1 + random_below(14),
                      1 + random_below(14)},
             out[4] = {in[0], in[1], 0, 0};
    double want;
    for (unsigned axis = 0; axis < 2; axis++)
        out[2 + axis] = window_random(&pool.window, axis, pool.size[axis], in[2 + axis]);
    for (unsigned axis = 0; axis < 2;
         axis++) /* more padding than elements is too much for oneDNN */
        if (pool.window.before[axis] >= pool.size[axis] ||
            pool.window.after[axis] >= pool.size[axis])
            return;
    if (!out[2] || !out[3])
        return;
    struct vgpgpu_tensor tensors[2] = {tensor_random(1, VGPGPU_F32, 4, out),
                                       tensor_random(2, VGPGPU_F32, 4, in)};
    tensor_fill(&tensors[0]);
    tensor_fill(&tensors[1]);
    operation_try(VGPGPU_POOL2D, tensors, 2, &pool, sizeof(pool));
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        if (pool2d_at(&tensors[1], &pool, index, &want))
            element_expect(&tensors[0], index, want, 1e-6);
        else /* undefined, but in its place */
            element_skip(&tensors[0], index);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

static void test_conv2d(void **state)
{
    (void)state;
    machine_open();
    for (unsigned round = 0; round < 3 * ROUNDS && is_supported(VGPGPU_CONV2D, VGPGPU_F32); round++)
        conv2d_round();
    rig_close(&rig);
}

static void test_pool2d(void **state)
{
    (void)state;
    machine_open();
    for (unsigned round = 0; round < 3 * ROUNDS && is_supported(VGPGPU_POOL2D, VGPGPU_F32); round++)
        pool2d_round();
    rig_close(&rig);
}

/* ---- Along an axis -----------------------------------------------------------------------------
 */

static unsigned shape_random(uint64_t *dimensions)
{
    unsigned rank = 1 + random_below(4);
    for (unsigned i = 0; i < rank; i++)
        dimensions[i] = 1 + random_below(i + 1 == rank ? 40 : 7);
    return rank;
}

static void softmax_round(void)
{
    unsigned type = type_random(VGPGPU_SOFTMAX);
    uint64_t dimensions[VGPGPU_MAX_RANK];
    unsigned rank = shape_random(dimensions);
    struct vgpgpu_softmax softmax = {.axis = random_below(rank)};
    struct vgpgpu_tensor tensors[2] = {tensor_random(1, type, rank, dimensions),
                                       tensor_random(2, type, rank, dimensions)};
    tensor_fill(&tensors[1]);
    operation_try(VGPGPU_SOFTMAX, tensors, 2, &softmax, sizeof(softmax));
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        uint64_t other[VGPGPU_MAX_RANK];
        double sum = 0;
        memcpy(other, index, sizeof(other));
        for (uint64_t i = 0; i < dimensions[softmax.axis]; i++) {
            other[softmax.axis] = i;
            sum += exp(value_at(&tensors[1], other));
        }
        element_expect(&tensors[0], index, exp(value_at(&tensors[1], index)) / sum, 1e-5);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

static double reduce_at(const struct vgpgpu_tensor *tensors, uint32_t kind, const uint64_t *at)
{
    uint64_t from[VGPGPU_MAX_RANK] = {0};
    double sum = 0, largest = -1e30, smallest = 1e30;
    unsigned count = 0;
    do {
        bool here = true;
        for (unsigned i = 0; i < tensors[1].rank; i++)
            here &= tensors[0].dimensions[i] == 1 || from[i] == at[i];
        if (!here)
            continue;
        double value = value_at(&tensors[1], from);
        sum += value;
        count++;
        largest = value > largest ? value : largest;
        smallest = value < smallest ? value : smallest;
    } while (index_step(&tensors[1], from));
    return kind == VGPGPU_REDUCE_SUM    ? sum
           : kind == VGPGPU_REDUCE_MEAN ? sum / count
           : kind == VGPGPU_REDUCE_MAX  ? largest
                                        : smallest;
}

static void reduce_round(void)
{
    unsigned type = type_random(VGPGPU_REDUCE);
    uint64_t in[VGPGPU_MAX_RANK], out[VGPGPU_MAX_RANK];
    unsigned rank = shape_random(in), axis = random_below(rank);
    struct vgpgpu_reduce reduce = {.kind = 1 + random_below(4)};
    for (unsigned i = 0; i < rank; i++)
        out[i] = i == axis || !random_below(4) ? 1 : in[i];
    in[axis] += in[axis] == 1;
    struct vgpgpu_tensor tensors[2] = {tensor_random(1, type, rank, out),
                                       tensor_random(2, type, rank, in)};
    tensor_fill(&tensors[1]);
    operation_try(VGPGPU_REDUCE, tensors, 2, &reduce, sizeof(reduce));
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        element_expect(&tensors[0], index, reduce_at(tensors, reduce.kind, index), 1e-6);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

static void test_softmax(void **state)
{
    (void)state;
    machine_open();
    for (unsigned round = 0; round < 2 * ROUNDS && is_supported(VGPGPU_SOFTMAX, VGPGPU_F32);
         round++)
        softmax_round();
    rig_close(&rig);
}

/* Along a dimension of 1, with strides of such that lead far away: nothing steps there. */
static void test_softmax_of_one(void **state)
{
    const uint64_t dimensions[VGPGPU_MAX_RANK] = {4, 2, 2, 1, 1, 1};
    (void)state;
    machine_open();
    for (unsigned which = 0; which < 9 && is_supported(VGPGPU_SOFTMAX, VGPGPU_F32); which++) {
        struct vgpgpu_softmax softmax = {.axis = 3 + which / 3};
        struct vgpgpu_tensor tensors[2] = {tensor_dense(1, VGPGPU_F32, 0, 6, dimensions),
                                           tensor_dense(2, VGPGPU_F32, 84, 6, dimensions)};
        uint64_t index[VGPGPU_MAX_RANK] = {0};
        tensors[0].strides[3 + which % 3] = 4097;
        tensor_fill(&tensors[1]);
        operation_try(VGPGPU_SOFTMAX, tensors, 2, &softmax, sizeof(softmax));
        do {
            element_expect(&tensors[0], index, 1, 1e-6);
        } while (index_step(&tensors[0], index));
        gaps_expect(&tensors[0]);
    }
    rig_close(&rig);
}

static void test_reduce(void **state)
{
    (void)state;
    machine_open();
    for (unsigned round = 0; round < 2 * ROUNDS && is_supported(VGPGPU_REDUCE, VGPGPU_F32); round++)
        reduce_round();
    rig_close(&rig);
}

/* An argument: the tests of that name alone, with * for anything. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),   cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_pool2d), cmocka_unit_test(test_softmax), cmocka_unit_test(test_softmax_of_one),
        cmocka_unit_test(test_reduce), cmocka_unit_test(test_gemm_in_one_buffer),
        cmocka_unit_test(test_gemm_buffers_in_any_order),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
