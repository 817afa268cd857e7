/*
 * model.c: a decision tree (or a forest) of integer thresholds that tells what kind of burst comes. It runs inside
 * decisions of the scheduler, so with general registers only, and is not large.
 */
#include "model.h"

#include "lane.h"
#include "modules/mlaas/features/include/features.h"
#include "modules/mlaas/models/include/models.h"

/* Made by tools/train/sched_burst.py. The path is from the project's root. */
__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        "burst_model:\n"
        ".incbin \"modules/mlaas/sched_burst/sched_burst.mlm\"\n"
        "burst_model_end:\n"
        ".popsection\n");
extern const uint8_t burst_model[], burst_model_end[];

static struct models_want want = {
    .name = "sched_burst",
    .inputs = HISTORY_FEATURES,
    .outputs = BURST_KINDS,
    .numbers = MODELS_INTEGER,
    .input_fraction = BURST_FRACTION,
    .kinds = 1u << MLRT_FOREST,
    .bytes_max = 32u << 10,
    .workspace_bytes = 512,
    .path = MLRT_SCALAR,
    .embedded = burst_model,
};

static struct models_slot slot;

/* What it is asked with, as whole numbers, of which thread: for `mlctl record sched_burst`. */
static const char *const seen_fields[HISTORY_FEATURES] = {
    "burst", "burst2", "burst3", "burst4", "sleep",
    "burst_mean", "burst_spread", "sleep_mean", "mean_less_sleep", "burst_less_sleep",
};
static struct features_set seen = {
    .name = "sched_burst", .fields = seen_fields, .field_count = HISTORY_FEATURES, .rows = 0};

int model_open(void)
{
    int result;

    want.embedded_bytes = (size_t)(burst_model_end - burst_model);
    result = models_open(&slot, &want);
    if (result != OK)
        return result;
    result = features_register(&seen);
    if (result != OK)
        models_close(&slot);
    return result;
}

void model_close(void)
{
    features_unregister(&seen);
    models_close(&slot);
}

static void seen_record(const struct sched_entity *e, const int32_t features[HISTORY_FEATURES])
{
    uint32_t number;
    struct features_row *row = features_begin(&seen, (uint32_t)e->thread_id, &number);

    if (!row)
        return;
    for (unsigned i = 0; i < HISTORY_FEATURES; i++)
        row->values[i] = features[i] >> BURST_FRACTION;
    features_end(row, number);
}

enum burst_kind burst_predict(const struct history *h, const struct sched_entity *e)
{
    int32_t features[HISTORY_FEATURES], kinds[BURST_KINDS];

    history_features(h, features);
    seen_record(e, features);
    models_run_integer(&slot, features, kinds);
    return (enum burst_kind)mlrt_largest_integer(kinds, BURST_KINDS);
}
