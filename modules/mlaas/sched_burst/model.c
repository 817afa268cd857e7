/*
 * model.c: a decision tree (or a forest) of integer thresholds that tells what kind of burst comes. It runs inside
 * decisions of the scheduler, so with general registers only, and is not large.
 */
#include "model.h"

#include "lane.h"
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

int model_open(void)
{
    want.embedded_bytes = (size_t)(burst_model_end - burst_model);
    return models_open(&slot, &want);
}

void model_close(void)
{
    models_close(&slot);
}

enum burst_kind burst_predict(const struct history *h)
{
    int32_t features[HISTORY_FEATURES], kinds[BURST_KINDS];

    history_features(h, features);
    models_run_integer(&slot, features, kinds);
    return (enum burst_kind)mlrt_largest_integer(kinds, BURST_KINDS);
}
