/*
 * batch.c: module mlbatch against mlrt: right answers on both sides, callers that come together, a
 * model that is replaced, and a device that somebody outside ends.
 */
#include <microlake/boot.h>
#include <microlake/gpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "modules/mlaas/batch/include/mlbatch.h"
#include "stores.h"

#define ROWS_MAX  512u
#define CALLERS   6u
#define ROUNDS    20u
#define TOLERANCE 2 /* of 65536 */
#define AWAIT_NS  (100 * NS_PER_SEC)
#define MEASURE_NS (600 * NS_PER_SEC)
#define OUTPUTS   4u
#define INPUTS    32u
#define REQUESTS  8u

static struct models_want want = {
    .numbers = MODELS_FLOAT, .workspace_bytes = 65536, .state_bytes = 256, .path = MLRT_BEST};
static struct models_slot slot;
static struct mlbatch_net *net;
static void *bytes;
static size_t size;
static float *inputs, *expected; /* ROWS_MAX rows */
static uint32_t wrong;           /* atomic */

/* A float as a number with 16 fraction bits; this code has no floating point. Sizes up to 2^14. */
static int32_t fixed_of(const float *x)
{
    uint32_t bits = *(const uint32_t *)x;
    int32_t shift = (int32_t)(bits >> 23 & 0xff) - 127 - 23 + 16;
    int64_t value = (bits & 0x7fffff) | 0x800000;

    value = shift < -40 ? 0 : shift < 0 ? value >> -shift : shift > 30 ? INT32_MAX : value << shift;
    return (int32_t)(bits >> 31 ? -value : value);
}

/* A float from -2 to 2 in steps of 2^-10. */
static uint32_t float_random(uint64_t *state)
{
    uint32_t n = (uint32_t)(random_next(state) >> 40) & 2047;
    uint32_t top = n ? 31 - (uint32_t)__builtin_clz(n) : 0;

    return n ? ((top + 127 - 10) << 23 | (n << (23 - top) & 0x7fffff) |
                (uint32_t)(random_next(state) >> 63) << 31)
             : 0;
}

static void inputs_make(void)
{
    uint64_t state = 88172645463325252ull;

    for (uint32_t i = 0; i < ROWS_MAX * want.inputs; i++)
        ((uint32_t *)inputs)[i] = float_random(&state);
}

static bool rows_match(const float *out, uint32_t first, uint32_t rows)
{
    for (uint32_t i = 0; i < rows * want.outputs; i++) {
        int32_t d = fixed_of(&out[i]) - fixed_of(&expected[first * want.outputs + i]);

        if (d > TOLERANCE || d < -TOLERANCE)
            return false;
    }
    return true;
}

static bool scene_open(const char *name, uint32_t width, uint32_t outputs, uint64_t linger_ns)
{
    struct mlbatch_want how = {
        .name = name, .slot = &slot, .rows_max = ROWS_MAX, .linger_ns = linger_ns};
    char path[64];
    void *workspace;

    snprintf(path, sizeof(path), "lib/models/%s.mlm", name);
    bytes = file_copy(path, &size);
    want.name = name;
    want.inputs = width;
    want.outputs = outputs;
    want.embedded = bytes;
    want.embedded_bytes = size;
    inputs = kmalloc(ROWS_MAX * width * sizeof(float));
    expected = kmalloc(ROWS_MAX * outputs * sizeof(float));
    if (!bytes || !inputs || !expected || models_open(&slot, &want) != OK)
        return false;
    inputs_make();
    workspace = kmalloc(32 * want.workspace_bytes);
    if (workspace)
        models_run(&slot, inputs, ROWS_MAX, expected, workspace);
    kfree(workspace);
    return workspace && mlbatch_open(&how, &net) == OK;
}

static void scene_close(void)
{
    mlbatch_close(net);
    models_close(&slot);
    kfree(bytes);
    kfree(inputs);
    kfree(expected);
}

/* Waits for a state of the device. */
static bool device_awaited(enum mlbatch_device state, uint64_t longest)
{
    uint64_t due = time_now() + longest;
    struct mlbatch_figures f;

    do {
        mlbatch_figures(net, &f);
        if (f.device == state)
            return true;
        thread_sleep(time_now() + NS_PER_MS, 0);
    } while (time_now() < due);
    return false;
}

static bool part_right(uint32_t first, uint32_t rows)
{
    float *out = kmalloc(rows * want.outputs * sizeof(float));
    bool right = out && mlbatch_run(net, inputs + (size_t)first * want.inputs, rows, out) == OK &&
                 rows_match(out, first, rows);

    kfree(out);
    return right;
}

static bool there_is_a_device(void)
{
    struct vgpgpu_config config;

    return gpu_device_info(0, &config) == OK;
}

/* Every size, on both sides. */
static void check_answers(const char *name, uint32_t width, uint32_t outputs)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 32, 100, 256, 511, 512};
    bool device = there_is_a_device(), right = scene_open(name, width, outputs, 0);
    struct mlbatch_figures f;
    char label[80];

    right = right && device_awaited(device ? MLBATCH_READY : MLBATCH_NO_DEVICE, AWAIT_NS);
    for (enum mlbatch_way way = MLBATCH_FASTEST; right && way <= MLBATCH_DEVICE; way++) {
        mlbatch_force(net, way);
        for (unsigned i = 0; i < ARRAY_SIZE(sizes) && right; i++)
            right = part_right(ROWS_MAX - sizes[i], sizes[i]);
    }
    mlbatch_figures(net, &f);
    snprintf(label, sizeof(label), "%s: answers are mlrt's", name);
    verdict(label, right, "they are not");
    snprintf(label, sizeof(label), "%s: the device was used if there is one", name);
    verdict(label, device ? f.batches >= ARRAY_SIZE(sizes) && f.fallbacks == 0 : f.batches == 0,
            "it was not");
    scene_close();
}

static void call_often(void *arg)
{
    uint64_t state = (uintptr_t)arg * 7919;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t rows = 1 + (uint32_t)(random_next(&state) >> 40) % 60;
        uint32_t first = (uint32_t)(random_next(&state) >> 40) % (ROWS_MAX - rows);

        if (!part_right(first, rows))
            __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    }
}

static void callers_run(void)
{
    struct thread *threads[CALLERS];
    unsigned count = 0;

    for (uintptr_t i = 1; i <= CALLERS; i++)
        if (thread_create("caller", call_often, (void *)i, &threads[count]) == OK)
            count++;
    while (count) {
        thread_join(threads[--count], TIME_NEVER);
        thread_unref(threads[count]);
    }
}

/* Callers with few rows each, that wait a moment for each other. */
static void check_joined(void)
{
    bool device = there_is_a_device(), right = scene_open("net_31_256_2", 31, 2, 2 * NS_PER_MS);
    struct mlbatch_figures f;

    wrong = 0;
    right = right && device_awaited(device ? MLBATCH_READY : MLBATCH_NO_DEVICE, AWAIT_NS);
    mlbatch_force(net, MLBATCH_DEVICE);
    callers_run();
    mlbatch_figures(net, &f);
    verdict("callers at once get their own rows", right && wrong == 0, "they do not");
    verdict("rows of callers go together", !device || f.joined > 0, "each went alone");
    scene_close();
}

static uint32_t done_count; /* atomic */

static void request_done(struct mlbatch_request *request)
{
    (void)request;
    __atomic_fetch_add(&done_count, 1, __ATOMIC_RELEASE);
}

static void check_requests(void)
{
    static struct mlbatch_request requests[REQUESTS];
    bool right = scene_open("net_15_10_1", 15, 1, 0);
    float *out = kmalloc(ROWS_MAX * sizeof(float));
    uint64_t due = time_now() + AWAIT_NS;

    done_count = 0;
    for (unsigned i = 0; i < REQUESTS && right && out; i++) {
        requests[i] = (struct mlbatch_request){.in = inputs + i * 60 * 15,
                                               .rows = 60,
                                               .out = out + i * 60,
                                               .done = i % 2 ? request_done : NULL};
        mlbatch_submit(net, &requests[i]);
    }
    for (unsigned i = 0; i < REQUESTS; i += 2)
        right = right && mlbatch_wait(net, &requests[i]) == OK;
    while (__atomic_load_n(&done_count, __ATOMIC_ACQUIRE) < REQUESTS / 2 && time_now() < due)
        thread_sleep(time_now() + NS_PER_MS, 0);
    for (unsigned i = 0; i < REQUESTS; i++)
        right = right && requests[i].status == OK && rows_match(out + i * 60, i * 60, 60);
    verdict("requests without waiting", right, "an answer is wrong");
    kfree(out);
    scene_close();
}

/* The slot's model is replaced by itself: the device gets each version, and no answer is wrong. */
static void check_replaced(void)
{
    bool device = there_is_a_device(), right = scene_open("net_15_10_1", 15, 1, 0);
    enum mlbatch_device state = device ? MLBATCH_READY : MLBATCH_NO_DEVICE;
    struct mlbatch_figures f = {.version = 0};
    char why[MODELS_WHY_MAX];

    for (uint32_t i = 0; i < 5 && right; i++) {
        uint64_t due = time_now() + AWAIT_NS;

        right = device_awaited(state, AWAIT_NS) && models_replace("net_15_10_1", bytes, size, why) == OK;
        do {
            right = right && part_right(i * 10, 200);
            mlbatch_figures(net, &f);
        } while (right && (f.version != i + 2 || f.device != state) && time_now() < due);
    }
    verdict("a model that is replaced", right && f.version == 6,
            "an answer is wrong, or it is the old one");
    scene_close();
}

void batch_check(void)
{
    check_answers("net_31_256_2", 31, 2);
    check_answers("net_31_256_256_256_2", 31, 2);
    check_answers("net_15_10_1", 15, 1);
    check_answers("net_5_15_5_4", 5, 4);
    check_joined();
    check_requests();
    check_replaced();
}

static void survive_round(struct mlbatch_figures *f)
{
    wrong += !part_right(0, 100);
    mlbatch_figures(net, f);
}

void batch_survive(uint64_t seconds)
{
    uint64_t due = time_now() + seconds * NS_PER_SEC;
    bool right = scene_open("net_31_256_2", 31, 2, 0) && device_awaited(MLBATCH_READY, AWAIT_NS);
    const struct host_channel *host = host_channel();
    struct mlbatch_figures f = {.fallbacks = 0};

    wrong = 0;
    mlbatch_force(net, MLBATCH_DEVICE);
    if (host->write)
        host->write(1, "working\n", 8);
    while (right && f.fallbacks == 0 && time_now() < due)
        survive_round(&f);
    verdict("the processor answers for a device that is lost", right && f.fallbacks && wrong == 0,
            "an answer is wrong, or nothing was lost");
    verdict("the figures say why", f.reason[0] != 0, "they do not");
    log_info("stores_test: the reason is: %s", f.reason);
    while (right && f.device != MLBATCH_READY && time_now() < due)
        survive_round(&f);
    f.batches = 0;
    for (unsigned i = 0; i < 10; i++)
        survive_round(&f);
    verdict("a device that comes back is used again", f.device == MLBATCH_READY && wrong == 0,
            "it is not");
    scene_close();
}

/* ---- For bench/run: both sides over the size of a batch ---- */

static const struct measured {
    const char *name;
    uint32_t inputs, outputs, steps;
} measured[] = {
    {"net_31_256_2", 31, 2, 1}, {"net_31_256_256_256_2", 31, 2, 1}, {"net_15_10_1", 15, 1, 1},
    {"net_5_15_5_4", 5, 4, 1},  {"torch_lstm", 2, 1, 8},
};

/* A net that nobody asks anything: the module measures when it comes to the device. */
static bool measured_open(const struct measured *m)
{
    struct mlbatch_want how = {.name = m->name, .slot = &slot, .steps = m->steps};
    char path[64];

    snprintf(path, sizeof(path), "lib/models/%s.mlm", m->name);
    bytes = file_copy(path, &size);
    want.name = m->name;
    want.inputs = m->inputs;
    want.outputs = m->outputs;
    want.embedded = bytes;
    want.embedded_bytes = size;
    return bytes && models_open(&slot, &want) == OK && mlbatch_open(&how, &net) == OK;
}

static void measure(const struct measured *m)
{
    struct mlbatch_figures f;

    if (!measured_open(m) || !device_awaited(MLBATCH_READY, MEASURE_NS)) {
        verdict(m->name, false, "it was not measured");
        return;
    }
    mlbatch_figures(net, &f);
    for (unsigned i = 0; i < MLBATCH_CLASSES; i++)
        if (f.device_ns[i])
            host_stat("batch.%s.%u=%lu %lu", m->name, 1u << i, f.device_ns[i], f.processor_ns[i]);
    host_stat("batch.%s.crossing=%u", m->name, f.crossing);
    mlbatch_close(net);
    models_close(&slot);
    kfree(bytes);
}

void batch_measure(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(measured); i++)
        measure(&measured[i]);
    verdict("measured", true, "");
}
