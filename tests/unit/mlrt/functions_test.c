/*
 * functions_test.c: the functions that paths have in common, against the C library's in double.
 */
#include "tests/unit/mlrt/samples.h"

#include <math.h>

#include "lib/mlrt/fixed.h"
#include "lib/mlrt/internal.h"

#define BLOCK  8u
#define STRIDE 1009u /* of all 2^32 floats, one in so many */

enum function { SIGMOID, TANH, EXP };

static void apply(const struct float_ops *ops, enum function function, float *x)
{
    if (function == SIGMOID) {
        ops->sigmoid(x, BLOCK);
    } else if (function == TANH) {
        ops->tanh(x, BLOCK);
    } else {
        ops->exp(x, BLOCK);
    }
}

static double truth(enum function function, double x)
{
    return function == SIGMOID ? 1 / (1 + exp(-x)) : function == TANH ? tanh(x) : exp(x);
}

/* The largest error over floats of all sizes; exp's is a part of its value. */
static double largest_error(enum mlrt_path path, enum function function, float least, float most)
{
    const struct float_ops *ops = path_ops(path)->floats;
    double largest = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += BLOCK * STRIDE) {
        float x[BLOCK], y[BLOCK];
        for (uint32_t i = 0; i < BLOCK; i++) {
            uint32_t word = (uint32_t)(bits + i * STRIDE);
            memcpy(&x[i], &word, sizeof(word));
            x[i] = x[i] >= least && x[i] <= most ? x[i] : least;
        }
        memcpy(y, x, sizeof(y));
        apply(ops, function, y);
        for (uint32_t i = 0; i < BLOCK; i++) {
            double right = truth(function, (double)x[i]);
            double error = fabs((double)y[i] - right) / (function == EXP ? right : 1);
            assert_false(isnan(error));
            largest = fmax(largest, error);
        }
    }
    return largest;
}

static void test_functions_are_as_exact_as_said(void **state)
{
    (void)state;
    for_each_path(path)
    {
        double sigmoid = largest_error(path, SIGMOID, -INFINITY, INFINITY);
        double hyperbolic = largest_error(path, TANH, -INFINITY, INFINITY);
        double power = largest_error(path, EXP, -87, 88);
        print_message("%s: sigmoid %.3g, tanh %.3g, exp %.3g\n", mlrt_path_name(path), sigmoid,
                      hyperbolic, power);
        assert_true(sigmoid <= 1.8e-7);
        assert_true(hyperbolic <= 1.8e-7);
        assert_true(power <= 2.4e-7);
    }
}

static void test_functions_are_the_same_on_every_path(void **state)
{
    (void)state;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += BLOCK * STRIDE * 7) {
        float x[BLOCK], first[BLOCK];
        for (uint32_t i = 0; i < BLOCK; i++) {
            uint32_t word = (uint32_t)(bits + i * STRIDE);
            memcpy(&x[i], &word, sizeof(word));
            x[i] = isnan(x[i]) ? 0 : x[i];
        }
        for (enum function f = SIGMOID; f <= EXP; f++) {
            memcpy(first, x, sizeof(x));
            apply(path_ops(MLRT_SCALAR)->floats, f, first);
            for_each_path(path)
            {
                float here[BLOCK];
                memcpy(here, x, sizeof(x));
                apply(path_ops(path)->floats, f, here);
                assert_memory_equal(here, first, sizeof(first));
            }
        }
    }
}

static void test_fixed_point_functions(void **state)
{
    (void)state;
    double sigmoid = 0, hyperbolic = 0, power = 0;
    for (int64_t x = INT32_MIN; x <= INT32_MAX; x += x > -900000 && x < 900000 ? 1 : 99991) {
        double real = (double)x / FIXED_ONE;
        sigmoid = fmax(sigmoid, fabs(fixed_sigmoid((int32_t)x) - FIXED_ONE / (1 + exp(-real))));
        hyperbolic = fmax(hyperbolic, fabs(fixed_tanh((int32_t)x) - FIXED_ONE * tanh(real)));
        if (x <= 0) {
            power = fmax(power, fabs((double)fixed_exp((int32_t)x) / FIXED_FINE_ONE - exp(real)));
        }
    }
    print_message("fixed point: sigmoid %.3g, tanh %.3g of a last place, exp %.3g\n", sigmoid,
                  hyperbolic, power);
    assert_true(sigmoid <= 1);
    assert_true(hyperbolic <= 1);
    assert_true(power <= 2e-8);
    assert_int_equal(fixed_exp(0), FIXED_FINE_ONE);
    assert_int_equal(fixed_sigmoid(0), FIXED_ONE / 2);
    assert_int_equal(fixed_tanh(INT32_MIN), -FIXED_ONE);
}

static void test_largest(void **state)
{
    (void)state;
    const float numbers[] = {-3, -0.0f, 0, 7, -INFINITY, 7}, below[] = {NAN, -INFINITY, -5, -4};
    const int32_t integers[] = {INT32_MIN, -1, 5, 5, INT32_MIN};
    assert_int_equal(mlrt_largest(numbers, 6), 3);
    assert_int_equal(mlrt_largest(numbers, 3), 1);
    assert_int_equal(mlrt_largest(below, 4), 3);
    assert_int_equal(mlrt_largest_integer(integers, 5), 2);
}

const struct CMUnitTest functions_tests[] = {
    cmocka_unit_test(test_functions_are_as_exact_as_said),
    cmocka_unit_test(test_functions_are_the_same_on_every_path),
    cmocka_unit_test(test_fixed_point_functions),
    cmocka_unit_test(test_largest),
};
const size_t functions_test_count = sizeof(functions_tests) / sizeof(functions_tests[0]);
