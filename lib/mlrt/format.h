/*
 * format.h: the layout of a model file (.mlm) as C; docs/mlrt.md explains it. All numbers are
 * little-endian. A file is a header, a table of layers and the layers' arrays; the layers run one
 * after the other, each on what the one before gave.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MLRT_MAGIC              0x314d4c4du /* "MLM1" */
#define MLRT_VERSION            1u
#define MLRT_NAME_BYTES         32u
#define MLRT_ALIGN              64u         /* of every array in the file */
#define MLRT_FILE_MAX           (64u << 20) /* bytes */
#define MLRT_LAYERS_MAX         32u
#define MLRT_WIDTH_MAX          4095u /* inputs and outputs of a layer */
#define MLRT_ARRAYS_MAX         6u    /* of one layer */
#define MLRT_PARAMS             8u
#define MLRT_PANEL              8u  /* outputs that lie side by side in a matrix */
#define MLRT_SHIFT_MAX          48u /* of a fixed-point product */
#define MLRT_FRACTION           16u /* fraction bits of integer models between layers */
#define MLRT_NEIGHBOURS_MAX     64u
#define MLRT_INPUT_FRACTION_MAX 24u

struct mlrt_header {
    uint32_t magic;
    uint32_t version; /* of the format */
    uint64_t file_bytes;
    uint32_t checksum; /* CRC-32 of the whole file, this field taken as zero */
    uint32_t layer_count;
    uint32_t inputs, outputs; /* numbers in a row that goes in, and that comes out */
    uint32_t integer;         /* 1: int8 weights and fixed point, 0: float32 */
    uint32_t input_fraction;  /* integer models: fraction bits of the inputs, 0 to 24 */
    uint32_t model_version;   /* the maker's */
    uint32_t reserved;
    char name[MLRT_NAME_BYTES]; /* 1 to 31 printable characters without blanks, then NULs */
    uint8_t reserved_too[48];
};
_Static_assert(sizeof(struct mlrt_header) == 128, "header layout");

enum mlrt_kind {
    MLRT_DENSE = 1,
    MLRT_SCALE = 2, /* (x - offset) * factor + addend, for each input */
    MLRT_PAIR = 3,  /* p becomes 1 - p, p */
    MLRT_GRU = 4,
    MLRT_LSTM = 5,
    MLRT_FOREST = 6,
    MLRT_NEAREST = 7, /* k nearest neighbours */
};
#define MLRT_KINDS 8u

/* What is done to a layer's outputs. */
enum mlrt_activation {
    MLRT_NO_ACTIVATION = 0,
    MLRT_RELU = 1,
    MLRT_SIGMOID = 2,
    MLRT_TANH = 3,
    MLRT_SOFTMAX = 4,
    MLRT_SHARES = 5, /* each divided by the sum of all */
};
#define MLRT_ACTIVATIONS 6u

struct mlrt_layer {
    uint32_t kind;
    uint32_t activation;
    uint32_t inputs, outputs;
    uint32_t params[MLRT_PARAMS]; /* by kind, the enums below; 0 where none is named */
    uint64_t offset;              /* of its first array, bytes from the file's start */
    uint64_t bytes;               /* of its arrays, with what aligns them */
};
_Static_assert(sizeof(struct mlrt_layer) == 64, "layer layout");

/*
 * Matrices lie in panels of 8 outputs. float32: [panel][input][8]. int8: [panel][pair of
 * inputs][8][2]. Outputs and inputs that fill up a panel or a pair have weight 0. Arrays for each
 * output have room for whole panels.
 *
 * A fixed-point matrix takes x (16 fraction bits) as int8, x * IN_MULT >> IN_SHIFT, and gives
 * (sum + bias) * mult >> OUT_SHIFT with 16 fraction bits; all shifts round to nearest.
 */

enum mlrt_dense_array { DENSE_WEIGHTS, DENSE_BIAS, DENSE_MULT /* integer */ };
enum mlrt_dense_param { DENSE_IN_MULT, DENSE_IN_SHIFT, DENSE_OUT_SHIFT };

enum mlrt_scale_array { SCALE_OFFSET, SCALE_FACTOR, SCALE_ADDEND, SCALE_SHIFT /* integer */ };

/* The gates' outputs follow each other, each gate in whole panels: z r h, or i o f c, as in ONNX.
 */
enum mlrt_cell_array {
    CELL_IN_WEIGHTS,
    CELL_IN_BIAS,
    CELL_STATE_WEIGHTS,
    CELL_STATE_BIAS,
    CELL_IN_MULT,    /* integer */
    CELL_STATE_MULT, /* integer */
};
enum mlrt_cell_param {
    CELL_RESET_AFTER,   /* GRU: the reset gate acts behind the matrix (linear_before_reset) */
    CELL_IN_SCALE_MULT, /* integer: the IN_MULT and shifts of the two matrices */
    CELL_IN_SCALE_SHIFT,
    CELL_IN_OUT_SHIFT,
    CELL_STATE_OUT_SHIFT,
};
#define CELL_STATE_SCALE_MULT  127u /* states lie in -1..1 */
#define CELL_STATE_SCALE_SHIFT MLRT_FRACTION

enum mlrt_forest_array { FOREST_TREES, FOREST_NODES, FOREST_VALUES, FOREST_BASE };
enum mlrt_forest_param { FOREST_TREE_COUNT, FOREST_NODE_COUNT, FOREST_VALUE_COUNT };

#define MLRT_ALL_OUTPUTS 0xffffffffu

struct mlrt_tree {
    uint32_t first; /* its nodes: node_count of them */
    uint32_t node_count;
    uint32_t output; /* the one its leaves add to, or MLRT_ALL_OUTPUTS */
    uint32_t reserved;
};
_Static_assert(sizeof(struct mlrt_tree) == 16, "tree layout");

/*
 * An inner node: x[feature] <= threshold goes to the node `distance` behind it, anything else to
 * the one after that. A leaf (feature LEAF): of a tree for one output, `threshold` is its value; of
 * a tree for all outputs, `distance` says which row of FOREST_VALUES is.
 */
struct mlrt_node {
    union {
        float threshold;
        int32_t threshold_fixed; /* integer models: fraction bits as what goes in */
    };
    uint32_t feature_distance; /* feature: the lower 12 bits */
};
_Static_assert(sizeof(struct mlrt_node) == 8, "node layout");
#define MLRT_LEAF         0xfffu
#define MLRT_FEATURE_BITS 12u
#define MLRT_DISTANCE_MAX ((1u << 20) - 1)

/* Points lie in blocks of 8: float32 [block][input][8], int8 [block][pair of inputs][8][2]. */
enum mlrt_nearest_array { NEAREST_POINTS, NEAREST_TARGETS };
enum mlrt_nearest_param {
    NEAREST_COUNT,
    NEAREST_K,
    NEAREST_REGRESSION,  /* targets: 1 rows of outputs, 0 u32 numbers of the output voted for */
    NEAREST_BY_DISTANCE, /* float only: votes weigh 1 / distance */
    NEAREST_IN_MULT,
    NEAREST_IN_SHIFT,
};
