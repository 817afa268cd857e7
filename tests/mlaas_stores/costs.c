/*
 * costs.c: what a captured row and the entry to a model cost, as host_stat("features.NAME=N"):
 * nanoseconds; with
 * --icount, instructions.
 */
#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>

#include "modules/mlaas/features/include/features.h"
#include "modules/mlaas/models/include/models.h"
#include "stores.h"

#define ROUNDS 1000u
#define FIELDS 8u

static const char *const field_names[FIELDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
static struct features_set set = {
    .name = "stores_costs", .fields = field_names, .field_count = FIELDS, .rows = 64};
static struct models_want want = {.name = "stores_costs",
                                  .inputs = 16,
                                  .outputs = 4,
                                  .numbers = MODELS_INTEGER,
                                  .input_fraction = 16,
                                  .workspace_bytes = 2048,
                                  .path = MLRT_SCALAR};
static struct models_slot slot;

static void nothing(int32_t n, const int32_t *values)
{
    __asm__ volatile("" : : "r"(n), "r"(values) : "memory");
}

static void capture(int32_t n, const int32_t *values)
{
    features_capture(&set, (uint32_t)n, values);
}

/* As a hook does it, with numbers that it has in registers or memory of its own. */
static void capture_in_hook(int32_t n, const int32_t *values)
{
    uint32_t number;
    struct features_row *row = features_begin(&set, (uint32_t)n, &number);

    if (!row)
        return;
    row->values[0] = n;
    row->values[1] = n + 1;
    row->values[2] = values[0];
    row->values[3] = values[1];
    row->values[4] = values[2];
    row->values[5] = values[3];
    row->values[6] = values[4];
    row->values[7] = values[5];
    features_end(row, number);
}

static void enter_leave(int32_t n, const int32_t *values)
{
    struct models_view *view = models_enter(&slot);

    nothing(n + (int32_t)view->version, values);
    models_leave();
}

static void look(int32_t n, const int32_t *values)
{
    nothing(n + (int32_t)models_now(&slot)->version, values);
}

static void window8(int32_t n, const int32_t *values)
{
    static int32_t out[8 * FIELDS];

    (void)n;
    (void)values;
    features_window(&set, cpu_id(), FEATURES_ANY_KEY, 8, out, NULL);
}

static uint64_t time_of(void (*step)(int32_t, const int32_t *))
{
    static const int32_t values[FIELDS] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t start = time_now();

    for (int32_t i = 0; i < (int32_t)ROUNDS; i++)
        step(i, values);
    return time_now() - start;
}

static void report(const char *name, void (*step)(int32_t, const int32_t *))
{
    uint64_t all, empty;

    preempt_disable();
    empty = time_of(nothing);
    all = time_of(step);
    preempt_enable();
    host_stat("features.%s=%lu", name, (all - empty + ROUNDS / 2) / ROUNDS);
}

void costs_measure(void)
{
    void *bytes = file_copy("lib/models/torch_dense-int8.mlm", &want.embedded_bytes);

    want.embedded = bytes;
    if (!bytes || models_open(&slot, &want) != OK || features_register(&set) != OK) {
        verdict("costs", false, "nothing to measure");
        return;
    }
    report("capture", capture);
    report("capture_in_hook", capture_in_hook);
    report("enter", enter_leave);
    report("look", look);
    report("window8", window8);
    features_unregister(&set);
    models_close(&slot);
    kfree(bytes);
    verdict("costs", true, "");
}
