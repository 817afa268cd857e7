/*
 * load.c: a policy of the tests: on each CPU a thread that runs the slot's model as a hook does and
 * checks the answer, captures rows and reads windows; and one that takes the set away and brings it
 * back.
 *
 * A right answer is that of one of the two models of the slot's shape that the test puts there by
 * turns (torch_dense as integers, and the same with other weights). Rows hold numbers
 * that follow from the first one, so that a torn row shows.
 */
#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "modules/mlaas/features/include/features.h"
#include "modules/mlaas/models/include/models.h"
#include "stores.h"

#define INPUTS    16u
#define OUTPUTS   4u
#define FIELDS    8u
#define THREADS   8u
#define WINDOW    8u
#define KEYS      4u
#define PAUSE     64u
#define WORKSPACE 2048u

static const char *const field_names[FIELDS] = {"first", "second", "third",   "fourth",
                                                "fifth", "sixth",  "seventh", "eighth"};
static struct features_set set = {
    .name = "stores_rows", .fields = field_names, .field_count = FIELDS, .rows = 64};
static struct models_want want = {
    .name = "stores_model",
    .inputs = INPUTS,
    .outputs = OUTPUTS,
    .numbers = MODELS_INTEGER,
    .input_fraction = 16,
    .bytes_max = 65536,
    .workspace_bytes = WORKSPACE,
    .path = MLRT_SCALAR,
};
static struct models_slot slot;
static void *model_bytes;
static int32_t inputs[INPUTS], answers[2][OUTPUTS];
static struct thread *threads[THREADS + 1];
static unsigned thread_count;
static bool stopping, steady; /* atomic */
static struct load_figures figures; /* atomic */

static void count(uint64_t *figure, uint64_t by)
{
    __atomic_fetch_add(figure, by, __ATOMIC_RELAXED);
}

static bool stops(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

static void model_run(void)
{
    int32_t out[OUTPUTS] = {0};

    models_run_integer(&slot, inputs, out);
    count(&figures.runs, 1);
    count(&figures.wrong,
          memcmp(out, answers[0], sizeof(out)) && memcmp(out, answers[1], sizeof(out)));
}

static void row_capture(int32_t n)
{
    int32_t values[FIELDS];

    for (uint32_t i = 0; i < FIELDS; i++)
        values[i] = n * (int32_t)(i + 1);
    features_capture(&set, (uint32_t)n % KEYS, values);
    count(&figures.captures, 1);
}

static void window_check(uint64_t key)
{
    int32_t out[WINDOW][FIELDS];
    uint64_t times[WINDOW];
    unsigned found = features_window(&set, FEATURES_ALL_CPUS, key, WINDOW, &out[0][0], times);

    for (unsigned row = WINDOW - found; row < WINDOW; row++) {
        bool torn = key != FEATURES_ANY_KEY && (uint32_t)out[row][0] % KEYS != key;

        for (uint32_t i = 0; i < FIELDS; i++)
            torn |= out[row][i] != out[row][0] * (int32_t)(i + 1);
        torn |= row > WINDOW - found && times[row] < times[row - 1];
        count(&figures.torn, torn);
    }
}

static void work(void *arg)
{
    int32_t n = (int32_t)(uintptr_t)arg * 100000;

    while (!stops()) {
        row_capture(++n);
        if (n % 8 == 0)
            model_run();
        if (n % 16 == 0)
            window_check(n % 32 ? FEATURES_ANY_KEY : (uint64_t)(n / 32) % KEYS);
        if (n % PAUSE == 0)
            thread_yield();
    }
}

static void register_again(void *arg)
{
    (void)arg;
    while (!stops()) {
        if (__atomic_load_n(&steady, __ATOMIC_ACQUIRE)) {
            thread_sleep(time_now() + NS_PER_MS, 0);
            continue;
        }
        features_unregister(&set);
        thread_sleep(time_now() + NS_PER_MS, 0);
        if (features_register(&set) == OK)
            count(&figures.registrations, 1);
        thread_sleep(time_now() + 5 * NS_PER_MS, 0);
    }
}

/* The other model is this one with some weights changed, as t_stores changes them. */
static int answers_find(void)
{
    struct mlrt_header *header = model_bytes;
    struct mlrt_layer *last = (struct mlrt_layer *)(header + 1) + header->layer_count - 1;
    char why[MODELS_WHY_MAX];
    int r;

    for (uint32_t i = 0; i < INPUTS; i++)
        inputs[i] = (int32_t)(i * 7919u % 32768u) - 16384;
    models_unload(want.name, why); /* what a program has left there */
    models_run_integer(&slot, inputs, answers[0]);
    for (uint32_t i = 0; i < 64; i++)
        ((uint8_t *)model_bytes)[last->offset + i] ^= 0x55;
    mlrt_seal(model_bytes, want.embedded_bytes);
    r = models_replace(want.name, model_bytes, want.embedded_bytes, why);
    models_run_integer(&slot, inputs, answers[1]);
    return r == OK && !memcmp(answers[0], answers[1], sizeof(answers[0])) ? ERR_INVALID : r;
}

static int slot_open(void)
{
    int r;

    model_bytes = file_copy("lib/models/torch_dense-int8.mlm", &want.embedded_bytes);
    want.embedded = model_bytes;
    r = model_bytes ? models_open(&slot, &want) : ERR_NOT_FOUND;
    return r == OK ? answers_find() : r;
}

int load_start(void)
{
    int r = slot_open();

    if (r == OK)
        r = features_register(&set);
    if (r != OK)
        return r;
    stopping = steady = false;
    figures = (struct load_figures){.runs = 0};
    for (unsigned i = 0; i < MIN(cpu_count() * 2, THREADS); i++)
        if (thread_create("stores", work, (void *)(uintptr_t)(i + 1), &threads[thread_count]) == OK)
            thread_count++;
    if (thread_create("stores_again", register_again, NULL, &threads[thread_count]) == OK)
        thread_count++;
    return OK;
}

void load_steady(bool on)
{
    __atomic_store_n(&steady, on, __ATOMIC_RELEASE);
    thread_sleep(time_now() + 20 * NS_PER_MS, 0);
}

void load_stop(void)
{
    char why[MODELS_WHY_MAX];

    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    while (thread_count) {
        thread_join(threads[--thread_count], TIME_NEVER);
        thread_unref(threads[thread_count]);
    }
    features_unregister(&set);
    models_unload(want.name, why);
    models_close(&slot);
    kfree(model_bytes);
    model_bytes = NULL;
}

void load_figures(struct load_figures *out)
{
    *out = figures;
}
