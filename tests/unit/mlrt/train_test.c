/*
 * train_test.c: online training: gradients against finite differences, learning, and what is
 * refused.
 */
#include "tests/unit/mlrt/samples.h"

#include <math.h>

static double loss(const struct chain *chain, const float *in, const float *target)
{
    double out[MLRT_WIDTH_MAX], sum = 0;
    const struct chain_layer *last = &chain->layers[chain->count - 1];
    chain_reference(chain, in, 1, out);
    for (uint32_t i = 0; i < last->outputs; i++) {
        double y = out[i], t = (double)target[i];
        sum += last->activation == MLRT_SOFTMAX   ? -t * log(y)
               : last->activation == MLRT_SIGMOID ? -t * log(y) - (1 - t) * log(1 - y)
                                                  : (y - t) * (y - t) / 2;
    }
    return sum;
}

/* What one step of rate 1 took from a weight of a packed dense layer. */
static double step_taken(const struct packed *before, const struct sample *after, uint32_t layer,
                         uint32_t array, size_t at)
{
    const float *old = packed_array(before, layer, array);
    const struct packed now = {after->bytes, after->size};
    return (double)old[at] - (double)((const float *)packed_array(&now, layer, array))[at];
}

static size_t weight_place(const struct chain_layer *layer, uint32_t output, uint32_t input)
{
    return ((size_t)(output / MLRT_PANEL) * layer->inputs + input) * MLRT_PANEL +
           output % MLRT_PANEL;
}

static double slope(struct chain *chain, float *number, const float *in, const float *target)
{
    const float kept = *number, step = 1.0f / 1024;
    *number = kept + step;
    double above = loss(chain, in, target), at = (double)*number;
    *number = kept - step;
    double below = loss(chain, in, target);
    at -= (double)*number;
    *number = kept;
    return (above - below) / at;
}

static void gradients_compare(struct chain *chain, const struct packed *packed, const float *in,
                              const float *target)
{
    struct sample sample = sample_open(packed, MLRT_BEST, 1);
    void *workspace = malloc(mlrt_train_workspace_bytes(&sample.model));
    const struct mlrt_sgd how = {.rate_millionths = 1000000};
    assert_int_equal(mlrt_train(&sample.model, sample.bytes, in, target, 1, &how, workspace),
                     MLRT_OK);
    for (uint32_t l = 0; l < chain->count; l++) {
        struct chain_layer *layer = &chain->layers[l];
        for (uint32_t n = 0; n < 40; n++) {
            uint32_t o = random_below(layer->outputs), i = random_below(layer->inputs);
            float *weight = &layer->dense.weights[(size_t)o * layer->inputs + i];
            double right = slope(chain, weight, in, target);
            double taken = step_taken(packed, &sample, l, DENSE_WEIGHTS, weight_place(layer, o, i));
            assert_true(fabs(right - taken) <= 2e-4 * fmax(1, fabs(right)));
            right = slope(chain, &layer->dense.bias[o], in, target);
            assert_true(fabs(right - step_taken(packed, &sample, l, DENSE_BIAS, o)) <=
                        2e-4 * fmax(1, fabs(right)));
        }
    }
    free(workspace);
    sample_close(&sample);
}

static void test_steps_follow_the_gradient(void **state)
{
    static const uint32_t ends[] = {MLRT_NO_ACTIVATION, MLRT_SIGMOID, MLRT_SOFTMAX};
    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        struct arena arena = {0};
        struct chain chain = {.inputs = 7};
        float target[3] = {0, 1, 0};
        random_seed(round + 40);
        add_dense(&arena, &chain, 13, round % 2 ? MLRT_TANH : MLRT_SIGMOID);
        add_dense(&arena, &chain, 9, MLRT_TANH);
        add_dense(&arena, &chain, 3, ends[round % 3]);
        struct packed packed = pack_or_fail(&arena, &chain);
        gradients_compare(&chain, &packed, random_numbers(&arena, 7, 1), target);
        arena_free(&arena);
    }
}

/* y = 3 a - 2 b + 1 behind a scale that stays as it is. */
static void test_linear_model_is_learned_online(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct chain chain = {.inputs = 2};
    const struct mlrt_sgd how = {.rate_millionths = 50000, .clip_thousandths = 5000};
    float in[2], target, out;
    random_seed(6);
    add_scale(&arena, &chain, MLRT_NO_ACTIVATION);
    chain.layers[0].scale.factor[0] = chain.layers[0].scale.factor[1] = 0.75f;
    add_dense(&arena, &chain, 1, MLRT_NO_ACTIVATION);
    struct packed packed = pack_or_fail(&arena, &chain);
    struct sample sample = sample_open(&packed, MLRT_BEST, 1);
    void *workspace = malloc(mlrt_train_workspace_bytes(&sample.model));
    for (uint32_t i = 0; i < 20000; i++) {
        in[0] = random_number(2);
        in[1] = random_number(2);
        target = 3 * in[0] - 2 * in[1] + 1;
        assert_int_equal(mlrt_train(&sample.model, sample.bytes, in, &target, 1, &how, workspace),
                         MLRT_OK);
    }
    for (uint32_t i = 0; i < 50; i++) {
        in[0] = random_number(2);
        in[1] = random_number(2);
        mlrt_run(&sample.model, in, 1, &out, sample.workspace);
        assert_true(fabsf(out - (3 * in[0] - 2 * in[1] + 1)) < 0.01f);
    }
    mlrt_seal(sample.bytes, sample.size);
    assert_int_equal(mlrt_open(&sample.model, sample.bytes, sample.size, MLRT_BEST), MLRT_OK);
    free(workspace);
    sample_close(&sample);
    arena_free(&arena);
}

static void test_what_is_not_finite_is_left_out(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct chain chain = {.inputs = 3};
    const struct mlrt_sgd how = {.rate_millionths = 4000000000u};
    const float bad[3] = {NAN, 1, 1}, huge[3] = {3e38f, 3e38f, -3e38f}, fine[3] = {1, 2, 3};
    const float target[2] = {0, 0};
    float out[2];
    random_seed(7);
    add_dense(&arena, &chain, 4, MLRT_RELU);
    add_dense(&arena, &chain, 2, MLRT_NO_ACTIVATION);
    struct packed packed = pack_or_fail(&arena, &chain);
    struct sample sample = sample_open(&packed, MLRT_BEST, 1);
    void *workspace = malloc(mlrt_train_workspace_bytes(&sample.model));
    mlrt_train(&sample.model, sample.bytes, bad, target, 1, &how, workspace);
    mlrt_train(&sample.model, sample.bytes, huge, target, 1, &how, workspace);
    mlrt_run(&sample.model, fine, 1, out, sample.workspace);
    assert_true(isfinite(out[0]) && isfinite(out[1]));
    chain.layers[1].dense.bias[0] = NAN;
    sample_close(&sample);
    packed = pack_or_fail(&arena, &chain);
    sample = sample_open(&packed, MLRT_BEST, 1);
    assert_int_equal(mlrt_train(&sample.model, sample.bytes, fine, target, 1, &how, workspace),
                     MLRT_NOT_FINITE);
    assert_memory_equal(sample.bytes, packed.bytes, packed.size);
    free(workspace);
    sample_close(&sample);
    arena_free(&arena);
}

static int trainable(const struct packed *packed)
{
    struct sample sample = sample_open(packed, MLRT_BEST, 1);
    int status = mlrt_can_train(&sample.model);
    sample_close(&sample);
    return status;
}

static void test_other_models_are_refused(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct chain chain = {.inputs = 3};
    const float in[3] = {1, 2, 3};
    struct packed packed;
    random_seed(8);
    add_forest(&arena, &chain, 2, 3, false);
    packed = pack_or_fail(&arena, &chain);
    assert_int_equal(trainable(&packed), MLRT_NOT_TRAINABLE);
    chain.count = 0;
    add_dense(&arena, &chain, 2, MLRT_TANH);
    packed = pack_or_fail(&arena, &chain);
    assert_int_equal(trainable(&packed), MLRT_NOT_TRAINABLE);
    chain.layers[0].activation = MLRT_NO_ACTIVATION;
    packed = pack_or_fail(&arena, &chain);
    assert_int_equal(trainable(&packed), MLRT_OK);
    packed = pack_integer_or_fail(&arena, &chain, &(struct samples){in, 1, 1}, 16);
    assert_int_equal(trainable(&packed), MLRT_NOT_TRAINABLE);
    arena_free(&arena);
}

const struct CMUnitTest train_tests[] = {
    cmocka_unit_test(test_steps_follow_the_gradient),
    cmocka_unit_test(test_linear_model_is_learned_online),
    cmocka_unit_test(test_what_is_not_finite_is_left_out),
    cmocka_unit_test(test_other_models_are_refused),
};
const size_t train_test_count = sizeof(train_tests) / sizeof(train_tests[0]);
