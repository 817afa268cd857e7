/*
 * onnx_graph.h: what the files that read ONNX share: the graph as a walk along one chain of values.
 *
 * The walk takes the nodes in the file's order, which ONNX demands to be a possible order of
 * running. At each moment one value is the chain's current one. A node that takes it adds to the
 * chain or changes its form; nodes on constants make constants; nodes about shapes and labels stand
 * aside.
 */
#pragma once

#include "host/malv-model/onnx.h"
#include "onnx/onnx-ml.pb-c.h"

#define ONNX_RANK_MAX 4

/* Numbers of a constant, of whatever type, as doubles. */
struct tensor {
    const double *numbers;
    size_t count;
    uint32_t rank;
    size_t shape[ONNX_RANK_MAX];
};

enum value_kind {
    VALUE_CHAIN, /* of the chain; only the current one may be used again */
    VALUE_TENSOR,
    VALUE_ZEROS,      /* zeros of some shape */
    VALUE_ASIDE,      /* shapes, labels */
    VALUE_COMPLEMENT, /* 1 - the current value, which is one probability */
};

struct value {
    const char *name;
    enum value_kind kind;
    struct tensor tensor;
};

/* How the current value lies in memory; the chain's width is its last dimension. */
enum form {
    FORM_IMAGE,     /* [rows][...]: several dimensions to be flattened */
    FORM_ROWS,      /* [rows][width] */
    FORM_STEPS,     /* [steps][rows][width] or the first two changed over */
    FORM_CELL_ALL,  /* [steps][1][rows][width], of a GRU or LSTM */
    FORM_CELL_LAST, /* [1][rows][width], of the last step */
};

struct reader {
    struct arena *arena;
    const Onnx__GraphProto *graph;
    struct chain *chain;
    struct why *why;
    struct value *values;
    size_t value_count, value_room;
    const char *current; /* the chain's current value */
    enum form form;
    size_t steps; /* 0: any */
    unsigned notes;
};

typedef const Onnx__NodeProto *onnx_node;

/* onnx_tensor.c */
bool tensor_read(struct reader *r, const Onnx__TensorProto *from, struct tensor *out);
const Onnx__AttributeProto *node_attribute(onnx_node node, const char *name);
int64_t node_int(onnx_node node, const char *name, int64_t otherwise);
float node_float(onnx_node node, const char *name, float otherwise);
/* A text attribute is this one; `otherwise` where there is none. */
bool node_text_is(onnx_node node, const char *name, const char *text, bool otherwise);
bool bytes_are(const ProtobufCBinaryData *bytes, const char *text);
/* Numbers of an attribute as float32, in the arena. */
float *tensor_floats(struct reader *r, const struct tensor *tensor);
bool tensor_is_zero(const struct tensor *tensor);

/* onnx_graph.c */
struct value *value_find(const struct reader *r, const char *name);
/* The constant that is an input of a node; NULL, with the reason, when it is none. */
const struct tensor *input_tensor(struct reader *r, onnx_node node, size_t index);
/* There is an input of that number, not left empty. */
bool has_input(onnx_node node, size_t index);
/* False, with the node's name in front of the reason. */
bool node_refuse(struct reader *r, onnx_node node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool chain_is_input(const struct reader *r, onnx_node node, size_t index);
void value_set(struct reader *r, const char *name, enum value_kind kind);
/* Output `index` of the node becomes the current value. */
bool chain_goes_to(struct reader *r, onnx_node node, size_t index);

typedef bool (*onnx_op)(struct reader *r, onnx_node node);

/* onnx_layers.c, onnx_cells.c, onnx_trees.c, onnx_shapes.c */
bool op_gemm(struct reader *r, onnx_node node);
bool op_matmul(struct reader *r, onnx_node node);
bool op_add(struct reader *r, onnx_node node);
bool op_sub(struct reader *r, onnx_node node);
bool op_mul(struct reader *r, onnx_node node);
bool op_div(struct reader *r, onnx_node node);
bool op_activation(struct reader *r, onnx_node node);
bool op_normalizer(struct reader *r, onnx_node node);
bool op_scaler(struct reader *r, onnx_node node);
bool op_linear(struct reader *r, onnx_node node);
bool op_pair(struct reader *r, onnx_node node);
bool op_nearest(struct reader *r, onnx_node node);
bool op_cell(struct reader *r, onnx_node node);
bool op_trees(struct reader *r, onnx_node node);
bool op_pass(struct reader *r, onnx_node node);
bool op_cast(struct reader *r, onnx_node node);
bool op_flatten(struct reader *r, onnx_node node);
bool op_reshape(struct reader *r, onnx_node node);
bool op_squeeze(struct reader *r, onnx_node node);
bool op_transpose(struct reader *r, onnx_node node);
bool op_gather(struct reader *r, onnx_node node);
bool op_slice(struct reader *r, onnx_node node);

/* Applies post_transform to the last layer: sets its activation, and makes two classes of one score
 * where `classes` says that there are two. */
bool post_transform(struct reader *r, onnx_node node, uint32_t classes);
/* Sets the activation of the last layer, or adds a layer for it. */
bool chain_activate(struct reader *r, uint32_t activation);
