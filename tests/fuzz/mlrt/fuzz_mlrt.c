/*
 * fuzz_mlrt.c: damaged model files with right checksums for the loader, and runs of those that it
 * takes, on every path: fuzz_mlrt [SEED [ITERATIONS]].
 */
#include "tests/unit/mlrt/samples.h"

#include "tests/fuzz/fuzz.h"

#define ROWS  5u
#define STEPS 2u
#define SMALL 100000u /* inputs and workspaces up to so many bytes are tried */

static struct fuzz_plan plan;
static struct arena arena;
static struct packed files[4];

/* Between them: every kind of layer, float32 and integer. */
static void files_make(void)
{
    static struct chain cells = {.inputs = 3}, trees = {.inputs = 4};
    float in[8] = {1, -1, 2, -2, 3, -3, 4, -4};
    random_seed(9);
    add_scale(&arena, &cells, MLRT_NO_ACTIVATION);
    add_cell(&arena, &cells, MLRT_GRU, 5, true);
    add_cell(&arena, &cells, MLRT_LSTM, 4, false);
    add_dense(&arena, &cells, 1, MLRT_SIGMOID);
    add_pair(&cells);
    add_forest(&arena, &trees, 3, 3, true);
    add_dense(&arena, &trees, 4, MLRT_SHARES);
    add_nearest(&arena, &trees, 2, 9, 3, false, false);
    cells.layers[4].activation = MLRT_SOFTMAX;
    files[0] = pack_or_fail(&arena, &cells);
    files[1] = pack_or_fail(&arena, &trees);
    files[2] = pack_integer_or_fail(&arena, &cells, &(struct samples){in, 1, 2}, 16);
    files[3] = pack_integer_or_fail(&arena, &trees, &(struct samples){in, 2, 1}, 16);
}

static void model_use(const uint8_t *bytes, size_t size, enum mlrt_path path)
{
    struct mlrt_model model;
    if (mlrt_open(&model, bytes, size, path) != MLRT_OK) {
        return;
    }
    size_t in_bytes = (size_t)ROWS * STEPS * model.header->inputs * 4;
    size_t out_bytes = (size_t)ROWS * model.header->outputs * 4;
    size_t work_bytes = mlrt_workspace_bytes(&model, ROWS);
    if (in_bytes > SMALL || out_bytes > SMALL || work_bytes > SMALL) {
        return;
    }
    float *in = malloc(in_bytes), *out = malloc(out_bytes);
    void *workspace = malloc(work_bytes);
    for (size_t i = 0; i < in_bytes / 4; i++) {
        in[i] = (float)(i % 7) - 3;
    }
    mlrt_run_steps(&model, in, ROWS, STEPS, NULL, out, workspace);
    mlrt_run_integer(&model, (const int32_t *)in, ROWS, (int32_t *)out, workspace);
    assert_true(mlrt_largest(out, model.header->outputs) < model.header->outputs);
    free(in);
    free(out);
    free(workspace);
}

static void test_damaged_models(void **state)
{
    uint64_t taken = 0;
    (void)state;
    for (uint64_t i = 0; i < plan.iterations; i++) {
        const struct packed *from = &files[i % 4];
        struct mlrt_model model;
        size_t size = from->size;
        fuzz_seed(plan.seed, i);
        uint8_t *bytes = fuzz_mutate(from->bytes, &size);
        if (size >= sizeof(struct mlrt_header)) {
            struct mlrt_header *header = (struct mlrt_header *)bytes;
            header->file_bytes = fuzz_below(8) ? size : header->file_bytes;
            mlrt_seal(bytes, size);
        }
        taken += mlrt_open(&model, bytes, size, MLRT_SCALAR) == MLRT_OK;
        for_each_path(path)
        {
            model_use(bytes, size, path);
        }
        free(bytes);
    }
    print_message("%llu of %llu taken\n", (unsigned long long)taken,
                  (unsigned long long)plan.iterations);
    /* Weights may be any numbers: some files must have been taken, and run. */
    assert_true(plan.iterations < 1000 || taken > plan.iterations / 100);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_models)};

    plan = fuzz_plan_read(argc, argv, 100000);
    files_make();
    int failed = cmocka_run_group_tests_name("fuzz_mlrt", tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
