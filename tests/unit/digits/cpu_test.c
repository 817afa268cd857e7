/*
 * cpu_test.c: the parts of digits that need no device: the net on the CPU, the command in between.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/examples/digits/cpu.h"
#include "user/examples/digits/midway.h"

#define WEIGHTS "user/examples/digits/weights.mtf"
#define HELDOUT "user/examples/digits/heldout.mtf"

struct loaded {
    struct digits_model model;
    struct digits_set set;
};

static int load(void **state)
{
    static struct loaded loaded;
    *state = &loaded;
    return model_load(&loaded.model, WEIGHTS) != 0 || set_load(&loaded.set, HELDOUT) != 0;
}

static int unload(void **state)
{
    struct loaded *loaded = *state;
    model_free(&loaded->model);
    set_free(&loaded->set);
    return 0;
}

static float *pass(const struct loaded *loaded, uint32_t threads)
{
    float *probabilities = calloc(loaded->set.count, DIGITS_CLASSES * sizeof(float));
    uint64_t spent_ns = 0;
    assert_non_null(probabilities);
    assert_int_equal(
        cpu_pass(&loaded->model, &loaded->set, threads, NULL, NULL, probabilities, &spent_ns), 0);
    assert_true(spent_ns > 0);
    return probabilities;
}

static uint32_t likeliest(const float *probabilities)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < DIGITS_CLASSES; i++) {
        best = probabilities[i] > probabilities[best] ? i : best;
    }
    return best;
}

static void test_net_reads_held_out_digits(void **state)
{
    const struct loaded *loaded = *state;
    float *probabilities = pass(loaded, 1);
    uint32_t right = 0;
    for (uint32_t i = 0; i < loaded->set.count; i++) {
        const float *row = probabilities + i * DIGITS_CLASSES;
        float sum = 0;
        for (uint32_t j = 0; j < DIGITS_CLASSES; j++) {
            assert_true(row[j] >= 0);
            sum += row[j];
        }
        assert_true(fabsf(sum - 1) < 1e-5f);
        right += likeliest(row) == loaded->set.labels[i];
    }
    assert_int_equal(loaded->set.count, 359);
    assert_in_range(right, 354, 359); /* 98.5 % */
    free(probabilities);
}

static void test_threads_change_nothing(void **state)
{
    const struct loaded *loaded = *state;
    const uint32_t threads[] = {2, 3, CPU_MAX_THREADS};
    float *one = pass(loaded, 1);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        float *many = pass(loaded, threads[i]);
        assert_memory_equal(one, many, loaded->set.count * DIGITS_CLASSES * sizeof(float));
        free(many);
    }
    free(one);
}

static int fail_meanwhile(void *argument)
{
    ++*(int *)argument;
    return -1;
}

static void test_meanwhile_fails_the_pass(void **state)
{
    const struct loaded *loaded = *state;
    float *probabilities = calloc(loaded->set.count, DIGITS_CLASSES * sizeof(float));
    uint64_t spent_ns;
    int calls = 0;
    assert_int_equal(
        cpu_pass(&loaded->model, &loaded->set, 2, fail_meanwhile, &calls, probabilities, &spent_ns),
        -1);
    assert_int_equal(calls, 1);
    free(probabilities);
}

static void test_files_for_each_other_are_refused(void **state)
{
    (void)state;
    struct digits_model model;
    struct digits_set set;
    assert_int_equal(model_load(&model, HELDOUT), -1);
    assert_null(model.file);
    assert_int_equal(set_load(&set, WEIGHTS), -1);
    assert_null(set.file);
    assert_int_equal(model_load(&model, "user/examples/digits"), -1);
    assert_int_equal(model_load(&model, "/dev/null"), -1);
    assert_int_equal(model_load(&model, "user/examples/digits/main.c"), -1);
}

static void test_midway_command(void **state)
{
    (void)state;
    assert_int_equal(midway_run("true"), 0);
    assert_int_equal(midway_run("  test  abc =\tabc "), 0);
    assert_int_equal(midway_run("false"), -1);
    assert_int_equal(midway_run("no-such-program-anywhere"), -1);
    assert_int_equal(midway_run(" "), -1);
    char many[200];
    memset(many, 'a', sizeof(many));
    for (size_t i = 1; i < sizeof(many); i += 2) {
        many[i] = ' ';
    }
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(midway_run(many), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_reads_held_out_digits),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_meanwhile_fails_the_pass),
        cmocka_unit_test(test_files_for_each_other_are_refused),
        cmocka_unit_test(test_midway_command),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
