/*
 * integer_test.c: integer models: exact across paths and batches, near their float originals, and
 * exact in forests on whole numbers.
 */
#include "tests/unit/mlrt/samples.h"

#include <math.h>

#define ROWS  70u
#define STEPS 4u

typedef void (*chain_maker)(struct arena *arena, struct chain *chain);

static void make_dense(struct arena *arena, struct chain *chain)
{
    chain->inputs = 17;
    add_scale(arena, chain, MLRT_NO_ACTIVATION);
    add_dense(arena, chain, 33, MLRT_RELU);
    add_dense(arena, chain, 12, MLRT_TANH);
    add_dense(arena, chain, 9, MLRT_SIGMOID);
    add_dense(arena, chain, 5, MLRT_SOFTMAX);
}

static void make_shares(struct arena *arena, struct chain *chain)
{
    chain->inputs = 6;
    add_dense(arena, chain, 4, MLRT_SIGMOID);
    add_scale(arena, chain, MLRT_SHARES);
    add_dense(arena, chain, 1, MLRT_SIGMOID);
    add_pair(chain);
}

static void make_gru(struct arena *arena, struct chain *chain)
{
    chain->inputs = 5;
    add_cell(arena, chain, MLRT_GRU, 19, true);
    add_cell(arena, chain, MLRT_GRU, 9, false);
    add_dense(arena, chain, 3, MLRT_NO_ACTIVATION);
}

static void make_lstm(struct arena *arena, struct chain *chain)
{
    chain->inputs = 4;
    add_cell(arena, chain, MLRT_LSTM, 21, false);
    add_dense(arena, chain, 3, MLRT_NO_ACTIVATION);
}

static void make_forest(struct arena *arena, struct chain *chain)
{
    chain->inputs = 11;
    add_forest(arena, chain, 4, 30, true);
    chain->layers[0].activation = MLRT_SOFTMAX;
}

static void make_boosted(struct arena *arena, struct chain *chain)
{
    chain->inputs = 11;
    add_forest(arena, chain, 3, 30, false);
}

static void make_nearest(struct arena *arena, struct chain *chain)
{
    chain->inputs = 7;
    add_nearest(arena, chain, 4, 53, 5, false, false);
}

static void make_nearest_mean(struct arena *arena, struct chain *chain)
{
    chain->inputs = 7;
    add_nearest(arena, chain, 2, 53, 5, true, false);
}

/* Tolerance: the mean difference to the float model. Neighbours jump where two are equally far. */
static const struct {
    chain_maker make;
    uint32_t steps;
    double tolerance;
} makers[] = {
    {make_dense, 1, 0.01},    {make_shares, 1, 0.01},       {make_gru, STEPS, 0.02},
    {make_lstm, STEPS, 0.02}, {make_forest, 1, 1e-4},       {make_boosted, 1, 3e-4},
    {make_nearest, 1, 0.02},  {make_nearest_mean, 1, 0.05},
};
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

struct scene {
    struct arena arena;
    struct chain chain;
    struct packed floats, integers;
    float *in;
    uint32_t steps;
};

static struct scene scene_make(uint32_t maker, uint32_t fraction)
{
    struct scene scene = {.steps = makers[maker].steps};
    random_seed(maker + 77);
    makers[maker].make(&scene.arena, &scene.chain);
    scene.in = random_numbers(&scene.arena, (size_t)ROWS * scene.steps * scene.chain.inputs, 1.5f);
    scene.floats = pack_or_fail(&scene.arena, &scene.chain);
    scene.integers = pack_integer_or_fail(&scene.arena, &scene.chain,
                                          &(struct samples){scene.in, ROWS, scene.steps}, fraction);
    return scene;
}

static float *outputs_of(struct scene *scene, const struct packed *packed, enum mlrt_path path,
                         uint32_t batch)
{
    struct sample sample = sample_open(packed, path, batch);
    uint32_t width = chain_width(&scene->chain);
    float *out = arena_alloc(&scene->arena, (size_t)ROWS * width, sizeof(float));
    for (uint32_t first = 0; first < ROWS; first += batch) {
        mlrt_run_steps(&sample.model,
                       scene->in + (size_t)first * scene->steps * scene->chain.inputs,
                       ROWS - first < batch ? ROWS - first : batch, scene->steps, NULL,
                       out + (size_t)first * width, sample.workspace);
    }
    sample_close(&sample);
    return out;
}

static void test_integer_models_are_near_their_originals(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        struct scene scene = scene_make(maker, MLRT_FRACTION);
        uint32_t width = chain_width(&scene.chain);
        const float *floats = outputs_of(&scene, &scene.floats, MLRT_SCALAR, ROWS);
        const float *integers = outputs_of(&scene, &scene.integers, MLRT_SCALAR, ROWS);
        double sum = 0, largest = 0;
        for (uint32_t i = 0; i < ROWS * width; i++) {
            double difference = fabs((double)floats[i] - (double)integers[i]);
            sum += difference;
            largest = fmax(largest, difference);
        }
        print_message("%u: mean difference %.3g, largest %.3g\n", maker, sum / (ROWS * width),
                      largest);
        assert_true(sum / (ROWS * width) <= makers[maker].tolerance);
        assert_true(scene.integers.size <= scene.floats.size + 1024);
        arena_free(&scene.arena);
    }
}

static void test_integer_models_are_exact_across_paths(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        struct scene scene = scene_make(maker, MLRT_FRACTION);
        size_t bytes = (size_t)ROWS * chain_width(&scene.chain) * sizeof(float);
        const float *first = outputs_of(&scene, &scene.integers, MLRT_SCALAR, ROWS);
        for_each_path(path)
        {
            assert_memory_equal(outputs_of(&scene, &scene.integers, path, ROWS), first, bytes);
            assert_memory_equal(outputs_of(&scene, &scene.integers, path, 1), first, bytes);
            assert_memory_equal(outputs_of(&scene, &scene.integers, path, 33), first, bytes);
        }
        arena_free(&scene.arena);
    }
}

/* Inputs as integers are the inputs as floats. */
static void test_integers_go_in_as_they_are(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        struct scene scene = scene_make(maker, 12);
        struct sample sample = sample_open(&scene.integers, MLRT_SCALAR, ROWS);
        uint32_t width = chain_width(&scene.chain);
        size_t count = (size_t)ROWS * scene.steps * scene.chain.inputs;
        int32_t *in = arena_alloc(&scene.arena, count, sizeof(*in));
        int32_t *out = arena_alloc(&scene.arena, (size_t)ROWS * width, sizeof(*out));
        const float *floats;
        for (size_t i = 0; i < count; i++) {
            in[i] = (int32_t)floor((double)scene.in[i] * 4096);
        }
        floats = outputs_of(&scene, &scene.integers, MLRT_BEST, ROWS);
        mlrt_run_steps_integer(&sample.model, in, ROWS, scene.steps, NULL, out, sample.workspace);
        for (uint32_t i = 0; i < ROWS * width; i++) {
            assert_true((double)floats[i] == (double)(float)out[i] / 65536);
        }
        sample_close(&sample);
        arena_free(&scene.arena);
    }
}

static void thresholds_spread(struct chain *chain)
{
    struct chain_forest *forest = &chain->layers[0].forest;
    for (uint32_t i = 0; i < forest->node_count; i++) {
        if ((forest->nodes[i].feature_distance & MLRT_LEAF) != MLRT_LEAF) {
            forest->nodes[i].threshold = floorf(forest->nodes[i].threshold * 40) / 4;
        }
    }
}

/* Whole features, fraction 0: every decision of a forest is the original's. */
static void test_forests_decide_alike_on_whole_numbers(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct chain chain = {0};
    int32_t in[11], out[4];
    float whole[11], right[4];
    random_seed(5);
    make_forest(&arena, &chain);
    chain.layers[0].activation = MLRT_NO_ACTIVATION;
    thresholds_spread(&chain);
    memset(whole, 0, sizeof(whole));
    struct packed floats = pack_or_fail(&arena, &chain);
    struct packed integers =
        pack_integer_or_fail(&arena, &chain, &(struct samples){whole, 1, 1}, 0);
    struct sample a = sample_open(&floats, MLRT_BEST, 1),
                  b = sample_open(&integers, MLRT_SCALAR, 1);
    for (uint32_t round = 0; round < 5000; round++) {
        for (uint32_t i = 0; i < 11; i++) {
            in[i] = (int32_t)random_below(25) - 12;
            whole[i] = (float)in[i];
        }
        mlrt_run(&a.model, whole, 1, right, a.workspace);
        mlrt_run_integer(&b.model, in, 1, out, b.workspace);
        for (uint32_t i = 0; i < 4; i++) {
            /* Each of 31 addends is rounded by half a last place; a wrong turn would be far off. */
            assert_true(fabs((double)right[i] - out[i] / 65536.0) < 31 * 0.5 / 65536 + 1e-5);
        }
    }
    sample_close(&a);
    sample_close(&b);
    arena_free(&arena);
}

/* Extremes saturate and never overflow (the undefined-behaviour sanitizer watches). */
static void test_extremes_saturate(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        struct scene scene = scene_make(maker, MLRT_FRACTION);
        struct sample sample = sample_open(&scene.integers, MLRT_SCALAR, 1);
        int32_t in[STEPS * 32], out[32];
        for (uint32_t round = 0; round < 200; round++) {
            for (uint32_t i = 0; i < scene.steps * scene.chain.inputs; i++) {
                in[i] = random_below(2) ? INT32_MAX : INT32_MIN;
            }
            mlrt_run_steps_integer(&sample.model, in, 1, scene.steps, NULL, out, sample.workspace);
        }
        sample_close(&sample);
        arena_free(&scene.arena);
    }
}

static void test_what_cannot_be_integer_is_refused(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct chain chain = {.inputs = 3};
    struct packed packed;
    struct why why = {""};
    const float in[3] = {1, NAN, 2}, good[3] = {1, 2, 3};
    add_nearest(&arena, &chain, 2, 9, 3, false, true);
    assert_false(pack_integer(&arena, &chain, &(struct samples){good, 1, 1}, 16, &packed, &why));
    chain.count = 0;
    add_dense(&arena, &chain, 2, MLRT_NO_ACTIVATION);
    assert_true(pack_integer(&arena, &chain, &(struct samples){good, 1, 1}, 16, &packed, &why));
    chain.layers[0].dense.weights[0] = INFINITY;
    add_dense(&arena, &chain, 2, MLRT_NO_ACTIVATION);
    assert_false(pack_integer(&arena, &chain, &(struct samples){in, 1, 1}, 16, &packed, &why));
    arena_free(&arena);
}

const struct CMUnitTest integer_tests[] = {
    cmocka_unit_test(test_integer_models_are_near_their_originals),
    cmocka_unit_test(test_integer_models_are_exact_across_paths),
    cmocka_unit_test(test_integers_go_in_as_they_are),
    cmocka_unit_test(test_forests_decide_alike_on_whole_numbers),
    cmocka_unit_test(test_extremes_saturate),
    cmocka_unit_test(test_what_cannot_be_integer_is_refused),
};
const size_t integer_test_count = sizeof(integer_tests) / sizeof(integer_tests[0]);
