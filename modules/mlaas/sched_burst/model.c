/*
 * model.c: a forest of integer thresholds that tells what kind of burst comes. It runs inside
 * decisions of the scheduler, so with general registers only.
 */
#include "model.h"

#include "lane.h"
#include "modules/mlaas/mlrt/include/mlrt_kernel.h"

#define WORKSPACE_MOST 512

static struct mlrt_model model;

bool model_open(const void *bytes, size_t size, const char **why)
{
    struct mlrt_model opened;
    int status = mlrt_open(&opened, bytes, size, MLRT_SCALAR);

    *why = mlrt_error_text(status);
    if (status != MLRT_OK)
        return false;
    *why = "it is no integer model of this policy's features";
    if (!opened.header->integer || opened.header->inputs != HISTORY_FEATURES ||
        opened.header->outputs != BURST_KINDS ||
        mlrt_workspace_bytes(&opened, 1) > WORKSPACE_MOST || mlrt_state_bytes(&opened))
        return false;
    model = opened;
    return true;
}

enum burst_kind burst_predict(const struct history *h)
{
    uint8_t workspace[WORKSPACE_MOST] __attribute__((aligned(32)));
    int32_t features[HISTORY_FEATURES], kinds[BURST_KINDS];

    history_features(h, features);
    for (unsigned i = 0; i < HISTORY_FEATURES; i++)
        features[i] = (int32_t)((uint32_t)features[i] << model.header->input_fraction);
    mlrt_run_integer(&model, features, 1, kinds, workspace);
    return (enum burst_kind)mlrt_largest_integer(kinds, BURST_KINDS);
}
