/*
 * chain.h: a model between ONNX and the model file: layers in a row, with their numbers in natural
 * order as float32. The numbers lie in an arena of the caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/malv-model/arena.h"
#include "lib/mlrt/mlrt.h"

#define WHY_MAX 240

/* Why something cannot be done: a sentence without a full stop. */
struct why {
    char text[WHY_MAX];
};

/* Writes the reason; false, so that a function can return it. */
bool why_not(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct chain_dense {
    float *weights; /* [outputs][inputs] */
    float *bias;    /* [outputs] */
};

struct chain_scale {
    float *offset, *factor, *addend; /* [inputs] */
};

struct chain_cell {
    float *in_weights;    /* [gates * outputs][inputs] */
    float *state_weights; /* [gates * outputs][outputs] */
    float *in_bias, *state_bias;
    bool reset_after;
};

struct chain_forest {
    struct mlrt_tree *trees;
    struct mlrt_node *nodes;
    float *values, *base;
    uint32_t tree_count, node_count, value_count;
};

struct chain_nearest {
    float *points;    /* [count][inputs] */
    float *targets;   /* regression: [count][outputs] */
    uint32_t *labels; /* classification: [count] */
    uint32_t count, k;
    bool by_distance;
};

struct chain_layer {
    uint32_t kind, activation, inputs, outputs;
    union {
        struct chain_dense dense;
        struct chain_scale scale;
        struct chain_cell cell;
        struct chain_forest forest;
        struct chain_nearest nearest;
    };
};

struct chain {
    char name[MLRT_NAME_BYTES];
    uint32_t model_version;
    uint32_t inputs;
    uint32_t count;
    struct chain_layer layers[MLRT_LAYERS_MAX];
};

/* Numbers in a row that come out of the last layer, or go in where there is none. */
uint32_t chain_width(const struct chain *chain);

/* Adds a layer to the end, or NULL: there are too many, or it is too wide. */
struct chain_layer *chain_add(struct chain *chain, uint32_t kind, uint32_t outputs,
                              struct why *why);

/* A SCALE layer that changes nothing yet. */
struct chain_layer *chain_add_scale(struct arena *arena, struct chain *chain, struct why *why);
