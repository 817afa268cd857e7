/*
 * stores_test.c: the pure parts of the stores: rings and windows, alone and with a writer beside
 * the reader; what fits a slot; where a crossing lies; and a model's weights as the GPU has them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/mlrt/gpu.h"
#include "modules/mlaas/batch/crossing.h"
#include "modules/mlaas/features/ring.h"
#include "modules/mlaas/models/store.h"

#define FIELDS 3u
#define CPUS   2u

static unsigned this_cpu; /* what features_begin() of include/features.h takes for its CPU */

unsigned cpu_id(void)
{
    return __atomic_load_n(&this_cpu, __ATOMIC_RELAXED);
}

void preempt_disable(void)
{
}

void preempt_enable(void)
{
}

static struct features_set set = {.field_count = FIELDS};

static void ring_open(uint32_t rows)
{
    size_t bytes = (ring_bytes(FIELDS, rows, CPUS) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    set.ring = ring_make(memory, FIELDS, rows, CPUS);
}

static void ring_close(void)
{
    free(set.ring);
    set.ring = NULL;
}

static void capture(unsigned cpu, uint32_t key, int32_t first)
{
    uint32_t number;
    this_cpu = cpu;
    struct features_row *row = features_begin(&set, key, &number);
    for (int32_t i = 0; i < (int32_t)FIELDS; i++)
        row->values[i] = first + i;
    features_end(row, number);
}

static void test_window(void **state)
{
    int32_t out[4][FIELDS];
    uint64_t times[4];
    (void)state;
    ring_open(8);
    assert_int_equal(ring_window(set.ring, 0, FEATURES_ANY_KEY, 4, &out[0][0], times), 0);
    assert_true(out[3][2] == 0 && times[3] == 0);
    for (int32_t i = 1; i <= 3; i++)
        capture(0, 7, i * 10);
    assert_int_equal(ring_window(set.ring, 0, FEATURES_ANY_KEY, 4, &out[0][0], times), 3);
    assert_true(out[0][0] == 0 && out[1][0] == 10 && out[2][0] == 20 && out[3][0] == 30);
    assert_true(out[3][2] == 32 && times[0] == 0 && times[1] && times[3] >= times[2]);
    for (int32_t i = 4; i <= 100; i++)
        capture(0, 7, i * 10);
    assert_int_equal(ring_window(set.ring, 0, FEATURES_ANY_KEY, 4, &out[0][0], NULL), 4);
    assert_true(out[0][0] == 970 && out[3][0] == 1000);
    assert_int_equal(ring_window(set.ring, 1, FEATURES_ANY_KEY, 4, &out[0][0], NULL), 0);
    ring_close();
}

/* Rows of every width, and not a byte beside them: the array is as long as the row. */
static void test_capture_of_any_width(void **state)
{
    (void)state;
    for (uint32_t fields = 1; fields <= FEATURES_FIELDS_MAX; fields++) {
        struct features_set wide = {.field_count = fields};
        size_t bytes = (ring_bytes(fields, 4, 1) + 63) / 64 * 64;
        int32_t *values = malloc(fields * sizeof(*values)), out[2 * FEATURES_FIELDS_MAX];
        void *memory = aligned_alloc(64, bytes);
        assert_true(memory && values);
        memset(memory, 0, bytes);
        wide.ring = ring_make(memory, fields, 4, 1);
        this_cpu = 0;
        for (int32_t row = 0; row < 2; row++) {
            for (uint32_t i = 0; i < fields; i++)
                values[i] = row * 100 + (int32_t)i + 1;
            features_capture(&wide, 9, values);
        }
        assert_int_equal(ring_window(wide.ring, 0, 9, 2, out, NULL), 2);
        for (uint32_t i = 0; i < fields; i++)
            assert_true(out[i] == (int32_t)i + 1 && out[fields + i] == (int32_t)i + 101);
        wide.ring = NULL;
        features_capture(&wide, 9, values); /* nobody has registered it */
        free(values);
        free(memory);
    }
}

static void test_window_of_a_key(void **state)
{
    int32_t out[4][FIELDS];
    (void)state;
    ring_open(16);
    for (int32_t i = 0; i < 12; i++)
        capture(0, (uint32_t)i % 3, i);
    assert_int_equal(ring_window(set.ring, 0, 1, 4, &out[0][0], NULL), 4);
    assert_true(out[0][0] == 1 && out[1][0] == 4 && out[2][0] == 7 && out[3][0] == 10);
    assert_int_equal(ring_window(set.ring, 0, 5, 4, &out[0][0], NULL), 0);
    ring_close();
}

static void test_window_of_all_cpus(void **state)
{
    int32_t out[6][FIELDS];
    uint64_t times[6];
    (void)state;
    ring_open(8);
    for (int32_t i = 0; i < 10; i++)
        capture((unsigned)i % 3 == 0, 1, i);
    assert_int_equal(
        ring_window(set.ring, FEATURES_ALL_CPUS, FEATURES_ANY_KEY, 6, &out[0][0], times), 6);
    for (int32_t i = 0; i < 6; i++)
        assert_int_equal(out[i][0], i + 4);
    ring_close();
}

/* A row that was begun and not ended is left out, and does not come later in the same window. */
static void test_rows_half_written(void **state)
{
    int32_t out[4][FIELDS], values[FIELDS];
    struct features_row head;
    uint64_t cursor = 0;
    uint32_t number;
    (void)state;
    ring_open(16);
    capture(0, 1, 10);
    this_cpu = 0;
    features_begin(&set, 1, &number);
    capture(0, 1, 30);
    assert_int_equal(ring_window(set.ring, 0, FEATURES_ANY_KEY, 4, &out[0][0], NULL), 2);
    assert_true(out[2][0] == 10 && out[3][0] == 30);
    assert_true(ring_next(set.ring, 0, &cursor, &head, values) && values[0] == 10);
    assert_false(ring_next(set.ring, 0, &cursor, &head, values)); /* it may still come */
    for (int32_t i = 0; i < 8; i++)
        capture(0, 1, 40 + i);
    assert_true(ring_next(set.ring, 0, &cursor, &head, values) && values[0] == 30); /* given up */
    ring_close();
}

static void test_rows_lost_to_a_reader(void **state)
{
    int32_t values[FIELDS];
    struct features_row head;
    uint64_t cursor = 0;
    int32_t count = 0, last = -1;
    (void)state;
    ring_open(8);
    for (int32_t i = 0; i < 100; i++)
        capture(0, 1, i);
    while (ring_next(set.ring, 0, &cursor, &head, values)) {
        assert_true(values[0] > last && head.number == (uint32_t)values[0] + 1);
        last = values[0];
        count++;
    }
    assert_true(last == 99 && count == 7);
    ring_close();
}

static bool writing;

static void *write_rows(void *arg)
{
    (void)arg;
    for (int32_t i = 0; __atomic_load_n(&writing, __ATOMIC_RELAXED); i++)
        capture(0, (uint32_t)i % 4, i * 4);
    return NULL;
}

/* A reader beside the writer sees whole rows in order only. */
static void test_writer_beside_reader(void **state)
{
    int32_t out[8][FIELDS];
    uint64_t times[8], seen = 0;
    pthread_t writer;
    (void)state;
    ring_open(16);
    writing = true;
    assert_int_equal(pthread_create(&writer, NULL, write_rows, NULL), 0);
    for (unsigned round = 0; round < 100000 || seen < 1000; round++) {
        uint32_t cpu = round % 2 ? 0 : FEATURES_ALL_CPUS;
        unsigned found = ring_window(set.ring, cpu, FEATURES_ANY_KEY, 8, &out[0][0], times);
        seen += found;
        for (unsigned i = 8 - found; i < 8; i++) {
            assert_true(out[i][1] == out[i][0] + 1 && out[i][2] == out[i][0] + 2);
            assert_true(i == 8 - found || (out[i][0] > out[i - 1][0] && times[i] >= times[i - 1]));
        }
    }
    __atomic_store_n(&writing, false, __ATOMIC_RELAXED);
    pthread_join(writer, NULL);
    ring_close();
}

static void test_rows_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(ring_rows(8, 256, 2, FEATURES_BYTES_MAX), 256);
    assert_int_equal(ring_rows(8, 100000, 2, FEATURES_BYTES_MAX), 256);
    assert_int_equal(ring_rows(8, 100, 2, FEATURES_BYTES_MAX), 128);
    assert_int_equal(ring_rows(8, 0, 2, FEATURES_BYTES_MAX), FEATURES_ROWS_MIN);
    for (uint32_t cpus = 1; cpus <= 64; cpus++)
        for (uint32_t fields = 1; fields <= FEATURES_FIELDS_MAX; fields++)
            assert_true(ring_bytes(fields, ring_rows(fields, 1u << 20, cpus, FEATURES_BYTES_MAX),
                                   cpus) <= FEATURES_BYTES_MAX);
}

/* ---- Models ---- */

static void file_read(const char *name, void **bytes, size_t *size)
{
    char path[128];
    snprintf(path, sizeof(path), "build/models/%s.mlm", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *bytes = malloc(1 << 20);
    assert_non_null(*bytes);
    *size = fread(*bytes, 1, 1 << 20, file);
    fclose(file);
}

static void test_fit(void **state)
{
    struct models_want want = {.name = "x",
                               .inputs = 16,
                               .outputs = 4,
                               .numbers = MODELS_INTEGER,
                               .input_fraction = 16,
                               .workspace_bytes = 1024};
    struct mlrt_model model;
    char why[MODELS_WHY_MAX] = "";
    void *bytes;
    size_t size;
    (void)state;
    file_read("torch_dense-int8", &bytes, &size);
    assert_int_equal(mlrt_open(&model, bytes, size, MLRT_SCALAR), MLRT_OK);
    assert_int_equal(model_fit(&want, &model, size, why), OK);
    want.kinds = 1u << MLRT_DENSE;
    assert_int_equal(model_fit(&want, &model, size, why), OK);
    want.kinds = 1u << MLRT_FOREST;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    assert_non_null(strstr(why, "layers of kind 1"));
    want.kinds = 0;
    want.inputs = 15;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    assert_non_null(strstr(why, "wants 15 inputs and 4 outputs; this model has 16 and 4"));
    want.inputs = 16;
    want.numbers = MODELS_FLOAT;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    want.numbers = MODELS_INTEGER;
    want.input_fraction = 8;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    want.input_fraction = 16;
    want.bytes_max = 100;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    assert_non_null(strstr(why, "at most 100 bytes"));
    want.bytes_max = 0;
    want.workspace_bytes = 16;
    assert_int_equal(model_fit(&want, &model, size, why), ERR_INVALID);
    free(bytes);
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "sched_burst", "net-31.256",
                                       "0123456789012345678901234567890"};
    static const char *const bad[] = {
        "", ".", ".a", "A", "a b", "a/b", "01234567890123456789012345678901"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(name_is_valid(bad[i]));
}

/* ---- The crossing ---- */

static void test_crossing(void **state)
{
    struct crossing c;
    uint32_t device = 0;
    (void)state;
    crossing_clear(&c);
    assert_int_equal(c.rows, CROSSING_NEVER);
    assert_true(crossing_class(1) == 0 && crossing_class(2) == 1 && crossing_class(3) == 2 &&
                crossing_class(4) == 2 && crossing_class(1u << 20) == CROSSING_CLASSES - 1);
    for (uint32_t rows = 1; rows <= 512; rows *= 2) { /* 100 + rows against 5 * rows: 25 */
        crossing_note(&c, CROSSING_PROCESSOR, rows, rows * 5000);
        crossing_note(&c, CROSSING_DEVICE, rows, 100000 + rows * 1000);
    }
    assert_int_equal(c.rows, 32);
    for (unsigned i = 0; i < 640; i++)
        device += crossing_choose(&c, 16) == CROSSING_DEVICE;
    assert_int_equal(device, 10); /* tried now and then */
    for (unsigned i = 0; i < 640; i++)
        assert_int_equal(crossing_choose(&c, 1), CROSSING_PROCESSOR); /* far away: never */
    for (unsigned i = 0; i < 100; i++)
        crossing_note(&c, CROSSING_DEVICE, 32, 900000); /* the device has become slower */
    assert_int_equal(c.rows, 64);
    for (unsigned i = 0; i < 100; i++)
        for (uint32_t rows = 1; rows <= 512; rows *= 2)
            crossing_note(&c, CROSSING_DEVICE, rows, 90000000);
    assert_int_equal(c.rows, CROSSING_NEVER);
}

static void test_one_outlier_moves_nothing(void **state)
{
    struct crossing c;
    (void)state;
    crossing_clear(&c);
    for (uint32_t rows = 1; rows <= 64; rows *= 2) {
        crossing_note(&c, CROSSING_PROCESSOR, rows, rows * 10000);
        crossing_note(&c, CROSSING_DEVICE, rows, 100000);
    }
    assert_int_equal(c.rows, 16);
    assert_false(
        crossing_note(&c, CROSSING_DEVICE, 64, 1000000000)); /* somebody had the host's CPU */
    assert_int_equal(c.rows, 16);
}

/* ---- Weights as the GPU has them ---- */

static void test_gpu_weights(void **state)
{
    uint16_t all[VGPGPU_OPERATION_ROOM];
    struct mlrt_model model;
    struct mlrt_gpu gpu;
    float in[5] = {1, -2, 0.5f, 0, 3}, out[4];
    void *bytes;
    size_t size;
    (void)state;
    memset(all, 0xff, sizeof(all));
    file_read("net_5_15_5_4", &bytes, &size);
    assert_int_equal(mlrt_open(&model, bytes, size, MLRT_SCALAR), MLRT_OK);
    assert_null(mlrt_gpu_plan(&gpu, &model, all));
    uint32_t *numbers = malloc(gpu.weight_bytes);
    assert_non_null(numbers);
    for (uint32_t n = 0; n < gpu.weight_bytes / 4; n += 7) /* in pieces, as a module sends them */
        mlrt_gpu_weights(&gpu, n, n + 7 <= gpu.weight_bytes / 4 ? 7 : gpu.weight_bytes / 4 - n,
                         numbers + n);
    /* The first layer by hand, beside the library's sums. */
    const float *weights = (const float *)numbers, *bias = weights + 5 * 15;
    const float *panels = (const float *)((const uint8_t *)bytes + model.arrays[0][DENSE_WEIGHTS]);
    for (uint32_t o = 0; o < 15; o++) {
        assert_true(bias[o] ==
                    ((const float *)((const uint8_t *)bytes + model.arrays[0][DENSE_BIAS]))[o]);
        for (uint32_t i = 0; i < 5; i++)
            assert_true(weights[i * 15 + o] == panels[(o / 8 * 5 + i) * 8 + o % 8]);
    }
    void *workspace = aligned_alloc(64, 4096);
    mlrt_run(&model, in, 1, out, workspace);
    assert_true(out[0] + out[1] + out[2] + out[3] > 0.99f);
    free(workspace);
    free(numbers);
    memset(all, 0, sizeof(all));
    assert_non_null(mlrt_gpu_plan(&gpu, &model, all));
    free(bytes);
}

static void test_gpu_commands(void **state)
{
    static const char *const names[] = {"net_31_256_2", "net_5_15_5_4", "torch_lstm"};
    static uint8_t room[32768] __attribute__((aligned(8)));
    const struct mlrt_gpu_buffers buffers = {1, 2, 3, {4, 5}};
    uint16_t all[VGPGPU_OPERATION_ROOM];
    (void)state;
    memset(all, 0xff, sizeof(all));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct mlrt_model model;
        struct mlrt_gpu gpu;
        struct gpucmd count, c;
        void *bytes;
        size_t size;
        file_read(names[i], &bytes, &size);
        assert_int_equal(mlrt_open(&model, bytes, size, MLRT_SCALAR), MLRT_OK);
        assert_null(mlrt_gpu_plan(&gpu, &model, all));
        gpucmd_begin(&count, NULL, 0);
        mlrt_gpu_run(&gpu, &buffers, 64, gpu.cells ? 8 : 1, &count);
        gpucmd_begin(&c, room, count.used); /* exactly what was counted */
        mlrt_gpu_run(&gpu, &buffers, 64, gpu.cells ? 8 : 1, &c);
        assert_true(!c.failed && c.used == count.used && c.used > 0);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_capture_of_any_width),
        cmocka_unit_test(test_window_of_a_key),
        cmocka_unit_test(test_window_of_all_cpus),
        cmocka_unit_test(test_rows_half_written),
        cmocka_unit_test(test_rows_lost_to_a_reader),
        cmocka_unit_test(test_writer_beside_reader),
        cmocka_unit_test(test_rows_within_bounds),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_one_outlier_moves_nothing),
        cmocka_unit_test(test_gpu_weights),
        cmocka_unit_test(test_gpu_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
