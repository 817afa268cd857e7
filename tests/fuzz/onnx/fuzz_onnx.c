/*
 * fuzz_onnx.c: damaged ONNX files for malv-model's reader: fuzz_onnx [SEED [ITERATIONS]]. What it
 * takes must become a model that the loader takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/files/files.h"
#include "host/malv-model/onnx.h"
#include "host/malv-model/pack.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MOST (1u << 20)

static const char *const names[] = {"torch_dense", "torch_gru2", "torch_gru_state",
                                    "torch_lstm",  "boost_iris", "nearest_iris",
                                    "ovr_iris",    "net_cancer", "tree_iris"};
#define NAMES (sizeof(names) / sizeof(names[0]))

static struct fuzz_plan plan;
static struct packed files[NAMES];

static bool onnx_use(const uint8_t *bytes, size_t size)
{
    static struct chain chain;
    struct arena arena = {0};
    struct packed packed;
    struct mlrt_model model;
    struct why why = {""};
    unsigned notes = 0;
    chain = (struct chain){.name = "fuzz"};
    bool taken = onnx_read(&arena, bytes, size, &chain, &notes, &why);
    if (taken && pack_float(&arena, &chain, chain.count, &packed, &why)) {
        assert_int_equal(mlrt_open(&model, packed.bytes, packed.size, MLRT_SCALAR), MLRT_OK);
    } else {
        assert_int_not_equal(why.text[0], 0);
    }
    arena_free(&arena);
    return taken;
}

static void test_damaged_onnx(void **state)
{
    uint64_t taken = 0;
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        assert_true(onnx_use(files[i].bytes, files[i].size));
    }
    for (uint64_t i = 0; i < plan.iterations; i++) {
        const struct packed *from = &files[i % NAMES];
        size_t size = from->size;
        fuzz_seed(plan.seed, i);
        uint8_t *bytes = fuzz_mutate(from->bytes, &size);
        taken += onnx_use(bytes, size);
        free(bytes);
    }
    print_message("%llu of %llu taken\n", (unsigned long long)taken,
                  (unsigned long long)plan.iterations);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_onnx)};
    char path[80];

    plan = fuzz_plan_read(argc, argv, 40000);
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(path, sizeof(path), "tests/models/%s.onnx", names[i]);
        if (!file_read(path, FILE_MOST, &files[i].bytes, &files[i].size)) {
            return 1;
        }
    }
    int failed = cmocka_run_group_tests_name("fuzz_onnx", tests, NULL, NULL);
    for (size_t i = 0; i < NAMES; i++) {
        free(files[i].bytes);
    }
    return failed;
}
