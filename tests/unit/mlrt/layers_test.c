/*
 * layers_test.c: float models of every kind of layer: against formulas in double, the same bits on
 * every path, in every batch, and step by step. Workspaces and outputs are exactly as large as the
 * library says, so that the address sanitizer sees one cell too far.
 */
#include "tests/unit/mlrt/samples.h"

#include <math.h>
#include <xmmintrin.h>

#define ROWS_MOST 70u
#define STEPS     5u

typedef void (*chain_maker)(struct arena *arena, struct chain *chain, uint32_t round);

static void make_dense(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(40);
    add_dense(arena, chain, 1 + random_below(50), round % MLRT_ACTIVATIONS);
    add_dense(arena, chain, 1 + random_below(20), MLRT_NO_ACTIVATION);
}

static void make_scale(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(30);
    add_scale(arena, chain, round % MLRT_ACTIVATIONS);
}

static void make_pair(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 3 + round % 3;
    add_dense(arena, chain, 1, MLRT_SIGMOID);
    add_pair(chain);
}

static void make_gru(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(12);
    add_cell(arena, chain, MLRT_GRU, 1 + random_below(30), round % 2);
    add_dense(arena, chain, 3, MLRT_NO_ACTIVATION);
}

static void make_lstm(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(12);
    add_cell(arena, chain, MLRT_LSTM, 1 + random_below(30), false);
    if (round % 2) {
        add_cell(arena, chain, MLRT_GRU, 1 + random_below(20), true);
    }
    add_dense(arena, chain, 3, MLRT_TANH);
}

static void make_forest(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(20);
    add_forest(arena, chain, 1 + random_below(6), 20, round % 2);
    chain->layers[0].activation = round % 3 ? MLRT_NO_ACTIVATION : MLRT_SOFTMAX;
}

static void make_nearest(struct arena *arena, struct chain *chain, uint32_t round)
{
    chain->inputs = 1 + random_below(9);
    add_nearest(arena, chain, 3, 20 + random_below(60), 1 + random_below(9), round % 2, round & 2);
}

static const struct {
    chain_maker make;
    uint32_t steps;
    double tolerance;
} makers[] = {
    {make_dense, 1, 3e-6},   {make_scale, 1, 1e-6},    {make_pair, 1, 1e-6},
    {make_gru, STEPS, 3e-6}, {make_lstm, STEPS, 3e-6}, {make_forest, 1, 5e-6},
    {make_nearest, 1, 2e-5},
};
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

/* A model, its inputs, and the scalar path's outputs. */
struct scene {
    struct arena arena;
    struct chain chain;
    struct packed packed;
    uint32_t steps, rows;
    float *in, *out;
};

static void outputs_run(const struct scene *scene, enum mlrt_path path, uint32_t rows, float *out)
{
    struct sample sample = sample_open(&scene->packed, path, rows);
    size_t in_row = (size_t)scene->steps * scene->chain.inputs,
           out_row = chain_width(&scene->chain);
    for (uint32_t first = 0; first < scene->rows; first += rows) {
        uint32_t taken = scene->rows - first < rows ? scene->rows - first : rows;
        float *exact = malloc(taken * out_row * sizeof(float));
        mlrt_run_steps(&sample.model, scene->in + first * in_row, taken, scene->steps, NULL, exact,
                       sample.workspace);
        memcpy(out + first * out_row, exact, taken * out_row * sizeof(float));
        free(exact);
    }
    sample_close(&sample);
}

static struct scene scene_make(uint32_t maker, uint32_t round)
{
    struct scene scene = {.steps = makers[maker].steps, .rows = ROWS_MOST};
    random_seed(maker * 1000 + round + 1);
    makers[maker].make(&scene.arena, &scene.chain, round);
    scene.packed = pack_or_fail(&scene.arena, &scene.chain);
    scene.in =
        random_numbers(&scene.arena, (size_t)ROWS_MOST * scene.steps * scene.chain.inputs, 1.5f);
    scene.out =
        arena_alloc(&scene.arena, (size_t)ROWS_MOST * chain_width(&scene.chain), sizeof(float));
    outputs_run(&scene, MLRT_SCALAR, ROWS_MOST, scene.out);
    return scene;
}

static void test_layers_follow_their_formulas(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        double largest = 0;
        for (uint32_t round = 0; round < 12; round++) {
            struct scene scene = scene_make(maker, round);
            uint32_t width = chain_width(&scene.chain);
            double right[MLRT_WIDTH_MAX];
            for (uint32_t row = 0; row < 20; row++) {
                chain_reference(&scene.chain,
                                scene.in + (size_t)row * scene.steps * scene.chain.inputs,
                                scene.steps, right);
                for (uint32_t i = 0; i < width; i++) {
                    double size = fmax(1, fabs(right[i]));
                    largest =
                        fmax(largest, fabs((double)scene.out[row * width + i] - right[i]) / size);
                }
            }
            arena_free(&scene.arena);
        }
        print_message("%u: largest error %.3g\n", maker, largest);
        assert_true(largest <= makers[maker].tolerance);
    }
}

static void test_paths_and_batches_give_the_same_bits(void **state)
{
    static const uint32_t batches[] = {1, 3, 4, 31, 32, 33, 70};
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        for (uint32_t round = 0; round < 12; round++) {
            struct scene scene = scene_make(maker, round);
            size_t bytes = (size_t)ROWS_MOST * chain_width(&scene.chain) * sizeof(float);
            float *out = malloc(bytes);
            for_each_path(path)
            {
                for (uint32_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
                    outputs_run(&scene, path, batches[b], out);
                    assert_memory_equal(out, scene.out, bytes);
                }
            }
            free(out);
            arena_free(&scene.arena);
        }
    }
}

static void test_states_go_from_call_to_call(void **state)
{
    (void)state;
    for (uint32_t maker = 3; maker <= 4; maker++) {
        struct scene scene = scene_make(maker, 1);
        struct sample sample = sample_open(&scene.packed, MLRT_BEST, 1);
        uint32_t width = chain_width(&scene.chain), inputs = scene.chain.inputs;
        assert_true(mlrt_state_bytes(&sample.model) > 0);
        for (uint32_t row = 0; row < 5; row++) {
            float out[MLRT_WIDTH_MAX], *kept = calloc(1, mlrt_state_bytes(&sample.model));
            for (uint32_t step = 0; step < STEPS; step++) {
                mlrt_run_steps(&sample.model, scene.in + (size_t)(row * STEPS + step) * inputs, 1,
                               1, kept, out, sample.workspace);
            }
            assert_memory_equal(out, scene.out + (size_t)row * width, width * sizeof(float));
            free(kept);
        }
        sample_close(&sample);
        arena_free(&scene.arena);
    }
}

/* A program may have set any rounding, and unmasked every exception. */
static void test_floating_point_control_is_put_aside(void **state)
{
    (void)state;
    struct scene scene = scene_make(0, 1);
    size_t bytes = (size_t)ROWS_MOST * chain_width(&scene.chain) * sizeof(float);
    float *out = malloc(bytes);
    for_each_path(path)
    {
        const uint32_t strange =
            0x8000 | 0x6000 | 0x40; /* flush to zero, round to zero, DAZ; no mask */
        uint32_t before = _mm_getcsr(), after;
        struct sample sample = sample_open(&scene.packed, path, ROWS_MOST);
        _mm_setcsr(strange);
        mlrt_run(&sample.model, scene.in, ROWS_MOST, out, sample.workspace);
        after = _mm_getcsr();
        _mm_setcsr(before);
        assert_int_equal(after, strange);
        assert_memory_equal(out, scene.out, bytes);
        sample_close(&sample);
    }
    free(out);
    arena_free(&scene.arena);
}

/* Whole numbers in, 16 fraction bits out. */
static void test_float_models_take_integers(void **state)
{
    (void)state;
    struct scene scene = scene_make(0, 2);
    struct sample sample = sample_open(&scene.packed, MLRT_BEST, 1);
    uint32_t inputs = scene.chain.inputs, width = chain_width(&scene.chain);
    int32_t whole[MLRT_WIDTH_MAX], fixed[MLRT_WIDTH_MAX];
    float same[MLRT_WIDTH_MAX], out[MLRT_WIDTH_MAX];
    for (uint32_t i = 0; i < inputs; i++) {
        whole[i] = (int32_t)random_below(9) - 4;
        same[i] = (float)whole[i];
    }
    mlrt_run(&sample.model, same, 1, out, sample.workspace);
    mlrt_run_integer(&sample.model, whole, 1, fixed, sample.workspace);
    for (uint32_t i = 0; i < width; i++) {
        assert_int_equal(fixed[i], (int32_t)floor((double)out[i] * 65536));
    }
    sample_close(&sample);
    arena_free(&scene.arena);
}

/* No rows, and what large batches take. */
static void test_workspaces_stop_growing(void **state)
{
    (void)state;
    for (uint32_t maker = 0; maker < MAKERS; maker++) {
        struct scene scene = scene_make(maker, 0);
        struct sample sample = sample_open(&scene.packed, MLRT_BEST, 1);
        float nothing;
        assert_true(mlrt_workspace_bytes(&sample.model, 1) <
                    mlrt_workspace_bytes(&sample.model, 32));
        assert_int_equal(mlrt_workspace_bytes(&sample.model, 32),
                         mlrt_workspace_bytes(&sample.model, UINT32_MAX));
        mlrt_run(&sample.model, scene.in, 0, &nothing, sample.workspace);
        sample_close(&sample);
        arena_free(&scene.arena);
    }
}

const struct CMUnitTest layers_tests[] = {
    cmocka_unit_test(test_layers_follow_their_formulas),
    cmocka_unit_test(test_paths_and_batches_give_the_same_bits),
    cmocka_unit_test(test_states_go_from_call_to_call),
    cmocka_unit_test(test_floating_point_control_is_put_aside),
    cmocka_unit_test(test_float_models_take_integers),
    cmocka_unit_test(test_workspaces_stop_growing),
};
const size_t layers_test_count = sizeof(layers_tests) / sizeof(layers_tests[0]);
