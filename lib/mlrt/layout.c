/*
 * layout.c: see layout.h.
 *
 * Widths are at most MLRT_WIDTH_MAX and counts at most a file's bytes, so that no product here
 * comes near 2^64.
 */
#include "lib/mlrt/layout.h"

static uint64_t matrix_bytes(uint32_t inputs, uint64_t padded_outputs, bool integer)
{
    return integer ? padded_outputs * mlrt_pairs(inputs) * 2 : padded_outputs * inputs * 4;
}

static void sizes_add(struct mlrt_sizes *sizes, uint64_t bytes)
{
    sizes->bytes[sizes->count++] = bytes;
}

static void dense_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes)
{
    uint64_t outputs = mlrt_padded(layer->outputs);
    sizes_add(sizes, matrix_bytes(layer->inputs, outputs, integer));
    sizes_add(sizes, outputs * 4);
    if (integer) {
        sizes_add(sizes, outputs * 4);
    }
}

static void cell_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes)
{
    uint64_t outputs = (uint64_t)mlrt_gates(layer->kind) * mlrt_padded(layer->outputs);
    sizes_add(sizes, matrix_bytes(layer->inputs, outputs, integer));
    sizes_add(sizes, outputs * 4);
    sizes_add(sizes, matrix_bytes(layer->outputs, outputs, integer));
    sizes_add(sizes, outputs * 4);
    if (integer) {
        sizes_add(sizes, outputs * 4);
        sizes_add(sizes, outputs * 4);
    }
}

static bool forest_sizes(const struct mlrt_layer *layer, struct mlrt_sizes *sizes)
{
    const uint32_t *counts = layer->params;
    for (uint32_t i = 0; i < 3; i++) {
        if (counts[i] > MLRT_FILE_MAX) {
            return false;
        }
    }
    sizes_add(sizes, (uint64_t)counts[FOREST_TREE_COUNT] * sizeof(struct mlrt_tree));
    sizes_add(sizes, (uint64_t)counts[FOREST_NODE_COUNT] * sizeof(struct mlrt_node));
    sizes_add(sizes, (uint64_t)counts[FOREST_VALUE_COUNT] * 4);
    sizes_add(sizes, (uint64_t)layer->outputs * 4);
    return counts[FOREST_TREE_COUNT] > 0 && counts[FOREST_NODE_COUNT] > 0 &&
           layer->inputs < MLRT_LEAF;
}

static bool nearest_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes)
{
    const uint32_t *params = layer->params;
    uint64_t count = params[NEAREST_COUNT];
    if (count == 0 || count > MLRT_FILE_MAX || params[NEAREST_K] == 0 ||
        params[NEAREST_K] > count || params[NEAREST_K] > MLRT_NEIGHBOURS_MAX ||
        params[NEAREST_REGRESSION] > 1 || params[NEAREST_BY_DISTANCE] > 1 ||
        (integer && params[NEAREST_BY_DISTANCE])) {
        return false;
    }
    sizes_add(sizes, matrix_bytes(layer->inputs, mlrt_padded((uint32_t)count), integer));
    sizes_add(sizes, params[NEAREST_REGRESSION] ? count * layer->outputs * 4 : count * 4);
    return true;
}

/* The shifts and multipliers by which fixed-point layers take in and give out. */
static bool scales_are_valid(const struct mlrt_layer *layer)
{
    const uint32_t *params = layer->params;
    switch (layer->kind) {
    case MLRT_DENSE:
        return params[DENSE_IN_MULT] <= INT32_MAX && params[DENSE_IN_SHIFT] <= MLRT_SHIFT_MAX &&
               params[DENSE_OUT_SHIFT] <= MLRT_SHIFT_MAX;
    case MLRT_GRU:
    case MLRT_LSTM:
        return params[CELL_IN_SCALE_MULT] <= INT32_MAX &&
               params[CELL_IN_SCALE_SHIFT] <= MLRT_SHIFT_MAX &&
               params[CELL_IN_OUT_SHIFT] <= MLRT_SHIFT_MAX &&
               params[CELL_STATE_OUT_SHIFT] <= MLRT_SHIFT_MAX;
    case MLRT_NEAREST:
        return params[NEAREST_IN_MULT] <= INT32_MAX && params[NEAREST_IN_SHIFT] <= MLRT_SHIFT_MAX;
    default:
        return true;
    }
}

/* How many params a kind has; all others are 0. */
static uint32_t params_used(uint32_t kind, bool integer)
{
    switch (kind) {
    case MLRT_DENSE:
        return integer ? DENSE_OUT_SHIFT + 1 : 0;
    case MLRT_GRU:
        return integer ? CELL_STATE_OUT_SHIFT + 1 : CELL_RESET_AFTER + 1;
    case MLRT_LSTM:
        return integer ? CELL_STATE_OUT_SHIFT + 1 : 0;
    case MLRT_FOREST:
        return FOREST_VALUE_COUNT + 1;
    case MLRT_NEAREST:
        return integer ? NEAREST_IN_SHIFT + 1 : NEAREST_BY_DISTANCE + 1;
    default:
        return 0;
    }
}

static bool params_are_valid(const struct mlrt_layer *layer, bool integer)
{
    for (uint32_t i = params_used(layer->kind, integer); i < MLRT_PARAMS; i++) {
        if (layer->params[i] != 0) {
            return false;
        }
    }
    if (layer->kind == MLRT_GRU && layer->params[CELL_RESET_AFTER] > 1) {
        return false;
    }
    if (layer->kind == MLRT_LSTM && layer->params[CELL_RESET_AFTER] != 0) {
        return false;
    }
    return !integer || scales_are_valid(layer);
}

static bool kind_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes)
{
    switch (layer->kind) {
    case MLRT_DENSE:
        dense_sizes(layer, integer, sizes);
        return true;
    case MLRT_SCALE:
        for (uint32_t i = 0; i < (integer ? 4u : 3u); i++) {
            sizes_add(sizes, (uint64_t)layer->inputs * 4);
        }
        return layer->inputs == layer->outputs;
    case MLRT_PAIR:
        return layer->inputs == 1 && layer->outputs == 2;
    case MLRT_GRU:
    case MLRT_LSTM:
        cell_sizes(layer, integer, sizes);
        return true;
    case MLRT_FOREST:
        return forest_sizes(layer, sizes);
    case MLRT_NEAREST:
        return nearest_sizes(layer, integer, sizes);
    default:
        return false;
    }
}

bool mlrt_layer_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes)
{
    sizes->count = 0;
    return layer->inputs >= 1 && layer->inputs <= MLRT_WIDTH_MAX && layer->outputs >= 1 &&
           layer->outputs <= MLRT_WIDTH_MAX && layer->activation < MLRT_ACTIVATIONS &&
           params_are_valid(layer, integer) && kind_sizes(layer, integer, sizes);
}

uint64_t mlrt_sizes_span(const struct mlrt_sizes *sizes)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < sizes->count; i++) {
        end = mlrt_aligned(end) + sizes->bytes[i];
    }
    return end;
}
