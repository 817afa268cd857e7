/*
 * onnx_graph.c: the walk through an ONNX graph; onnx_graph.h describes it.
 */
#include "host/malv-model/onnx_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    onnx_op run;
} ops[] = {
    {"Gemm", op_gemm},
    {"MatMul", op_matmul},
    {"Add", op_add},
    {"Sub", op_sub},
    {"Mul", op_mul},
    {"Div", op_div},
    {"Relu", op_activation},
    {"Sigmoid", op_activation},
    {"Tanh", op_activation},
    {"Softmax", op_activation},
    {"GRU", op_cell},
    {"LSTM", op_cell},
    {"Scaler", op_scaler},
    {"Normalizer", op_normalizer},
    {"LinearClassifier", op_linear},
    {"LinearRegressor", op_linear},
    {"TreeEnsembleClassifier", op_trees},
    {"TreeEnsembleRegressor", op_trees},
    {"KNearest", op_nearest},
    {"Identity", op_pass},
    {"Dropout", op_pass},
    {"ZipMap", op_pass},
    {"Cast", op_cast},
    {"Flatten", op_flatten},
    {"Reshape", op_reshape},
    {"Squeeze", op_squeeze},
    {"Transpose", op_transpose},
    {"Gather", op_gather},
    {"Slice", op_slice},
    {"Concat", op_pair},
};

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static bool node_is(onnx_node node, const char *op)
{
    return strcmp(text_of(node->op_type), op) == 0;
}

bool node_refuse(struct reader *r, onnx_node node, const char *format, ...)
{
    char text[WHY_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return why_not(r->why, "node %.40s (%.30s): %s", text_of(node->name), text_of(node->op_type),
                   text);
}

struct value *value_find(const struct reader *r, const char *name)
{
    for (size_t i = r->value_count; name && i-- > 0;) {
        if (strcmp(r->values[i].name, name) == 0) {
            return &r->values[i];
        }
    }
    return NULL;
}

void value_set(struct reader *r, const char *name, enum value_kind kind)
{
    if (name && *name && r->value_count < r->value_room) {
        r->values[r->value_count++] = (struct value){.name = name, .kind = kind};
    }
}

bool has_input(onnx_node node, size_t index)
{
    return index < node->n_input && *text_of(node->input[index]);
}

bool chain_is_input(const struct reader *r, onnx_node node, size_t index)
{
    return has_input(node, index) && strcmp(node->input[index], r->current) == 0;
}

const struct tensor *input_tensor(struct reader *r, onnx_node node, size_t index)
{
    const struct value *value = has_input(node, index) ? value_find(r, node->input[index]) : NULL;
    if (value && value->kind == VALUE_TENSOR) {
        return &value->tensor;
    }
    node_refuse(r, node, "input %zu is no constant; export with constants folded", index);
    return NULL;
}

bool chain_goes_to(struct reader *r, onnx_node node, size_t index)
{
    if (index >= node->n_output || !*text_of(node->output[index])) {
        return node_refuse(r, node, "it has no output %zu", index);
    }
    for (size_t i = 0; i < node->n_output; i++) {
        value_set(r, node->output[i], i == index ? VALUE_CHAIN : VALUE_ASIDE);
    }
    r->current = node->output[index];
    return true;
}

static bool tensor_add(struct reader *r, const char *name, const Onnx__TensorProto *from)
{
    struct tensor tensor = {0};
    if (!tensor_read(r, from, &tensor)) {
        return false;
    }
    value_set(r, name, VALUE_TENSOR);
    struct value *value = value_find(r, name);
    if (value) {
        value->tensor = tensor;
    }
    return true;
}

static void outputs_set(struct reader *r, onnx_node node, enum value_kind kind)
{
    for (size_t i = 0; i < node->n_output; i++) {
        value_set(r, node->output[i], kind);
    }
}

static bool is_zeros(const struct reader *r, onnx_node node, size_t index)
{
    const struct value *value = has_input(node, index) ? value_find(r, node->input[index]) : NULL;
    return value && (value->kind == VALUE_ZEROS ||
                     (value->kind == VALUE_TENSOR && tensor_is_zero(&value->tensor)));
}

/* Zeros of a shape that is known only when the model runs, as exporters make for first states. */
static bool makes_zeros(struct reader *r, onnx_node node)
{
    static const char *const keeping[] = {"Expand",  "Slice",     "Squeeze", "Unsqueeze",
                                          "Reshape", "Transpose", "Cast",    "Identity"};
    const Onnx__AttributeProto *attribute = node_attribute(node, "value");
    struct tensor tensor;
    if (node_is(node, "ConstantOfShape")) {
        return !attribute || !attribute->t ||
               (tensor_read(r, attribute->t, &tensor) && tensor_is_zero(&tensor));
    }
    for (size_t i = 0; i < sizeof(keeping) / sizeof(keeping[0]); i++) {
        if (node_is(node, keeping[i])) {
            return is_zeros(r, node, 0);
        }
    }
    return false;
}

/* A node that has nothing to do with the chain. */
static bool aside_walk(struct reader *r, onnx_node node)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, "value");
    if (node_is(node, "Constant") && attribute && attribute->t && node->n_output == 1) {
        return tensor_add(r, node->output[0], attribute->t);
    }
    if (node_is(node, "Identity") && has_input(node, 0) && node->n_output == 1) {
        const struct value from = *value_find(r, node->input[0]);
        value_set(r, node->output[0], from.kind);
        struct value *to = value_find(r, node->output[0]);
        if (to) {
            to->tensor = from.tensor;
        }
        return true;
    }
    outputs_set(r, node, makes_zeros(r, node) ? VALUE_ZEROS : VALUE_ASIDE);
    return true;
}

/* 1 - p beside p: the first half of two classes of one probability. */
static bool is_complement(const struct reader *r, onnx_node node)
{
    const struct value *one = has_input(node, 0) ? value_find(r, node->input[0]) : NULL;
    return node_is(node, "Sub") && node->n_output == 1 && chain_is_input(r, node, 1) &&
           chain_width(r->chain) == 1 && one && one->kind == VALUE_TENSOR &&
           one->tensor.count == 1 && one->tensor.numbers[0] == 1;
}

/* How a node stands to the chain: takes its current value, an older one, or none. */
static bool node_walk(struct reader *r, onnx_node node)
{
    bool takes_current = false;
    if (node_is(node, "Shape") || node_is(node, "ArgMax")) {
        outputs_set(r, node, VALUE_ASIDE);
        return true;
    }
    for (size_t i = 0; i < node->n_input; i++) {
        const struct value *value = has_input(node, i) ? value_find(r, node->input[i]) : NULL;
        if (has_input(node, i) && !value) {
            return node_refuse(r, node, "takes %.40s, which nothing gives", node->input[i]);
        }
        if (chain_is_input(r, node, i)) {
            takes_current = true;
        } else if (value && value->kind == VALUE_CHAIN) {
            return node_refuse(r, node,
                               "takes a value that another node took: models must be "
                               "layers in a row");
        }
    }
    if (!takes_current) {
        return aside_walk(r, node);
    }
    if (is_complement(r, node)) {
        value_set(r, node->output[0], VALUE_COMPLEMENT);
        return true;
    }
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (node_is(node, ops[i].name)) {
            return ops[i].run(r, node);
        }
    }
    return node_refuse(r, node, "is of a kind that can't be converted");
}

static bool is_initializer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The size of a dimension of an input, 0 where it is left open. */
static size_t dimension(const Onnx__TensorShapeProto *shape, size_t index)
{
    const Onnx__TensorShapeProto__Dimension *d = shape->dim[index];
    return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                   d->dim_value > 0 && d->dim_value <= MLRT_WIDTH_MAX
               ? (size_t)d->dim_value
               : 0;
}

static bool input_width(struct reader *r, const Onnx__TensorShapeProto *shape)
{
    size_t width = 1;
    if (shape->n_dim == 3) {
        r->form = FORM_STEPS;
        width = dimension(shape, 2);
    } else {
        r->form = shape->n_dim == 2 ? FORM_ROWS : FORM_IMAGE;
        for (size_t i = 1; i < shape->n_dim && width <= MLRT_WIDTH_MAX; i++) {
            width *= dimension(shape, i);
        }
    }
    if (shape->n_dim < 2 || width == 0 || width > MLRT_WIDTH_MAX) {
        return why_not(r->why,
                       "its input must be [rows][1 to %u numbers], or [rows][steps][numbers], "
                       "the numbers counted",
                       MLRT_WIDTH_MAX);
    }
    r->chain->inputs = (uint32_t)width;
    return true;
}

static bool input_read(struct reader *r)
{
    const Onnx__ValueInfoProto *input = NULL;
    for (size_t i = 0; i < r->graph->n_input; i++) {
        const char *name = text_of(r->graph->input[i]->name);
        if (is_initializer(r->graph, name)) {
            continue;
        }
        if (input) {
            return why_not(r->why, "has several inputs; one tensor of all features can be");
        }
        input = r->graph->input[i];
    }
    if (!input || !*text_of(input->name)) {
        return why_not(r->why, "has no input");
    }
    const Onnx__TypeProto *type = input->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type ||
        !type->tensor_type->shape) {
        return why_not(r->why, "has an input that is no tensor, or says no shape");
    }
    value_set(r, input->name, VALUE_CHAIN);
    r->current = input->name;
    return input_width(r, type->tensor_type->shape);
}

static bool output_check(struct reader *r)
{
    if (r->chain->count == 0) {
        return why_not(r->why, "has no layers");
    }
    if (r->form != FORM_ROWS) {
        return why_not(r->why, "gives a row for every step; let it give the last one's");
    }
    for (size_t i = 0; i < r->graph->n_output; i++) {
        if (strcmp(text_of(r->graph->output[i]->name), r->current) == 0) {
            return true;
        }
    }
    return why_not(r->why, "has no output that is the end of its layers, %.60s", r->current);
}

/* Room for a value of every name that can come up, so that none is ever left out. */
static void values_prepare(struct reader *r)
{
    r->value_room = r->graph->n_initializer + r->graph->n_input;
    for (size_t i = 0; i < r->graph->n_node; i++) {
        r->value_room += r->graph->node[i]->n_output;
    }
    r->values = arena_alloc(r->arena, r->value_room, sizeof(*r->values));
}

static bool graph_walk(struct reader *r)
{
    values_prepare(r);
    for (size_t i = 0; i < r->graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = r->graph->initializer[i];
        if (tensor->name && !tensor_add(r, tensor->name, tensor)) {
            return false;
        }
    }
    if (!input_read(r)) {
        return false;
    }
    for (size_t i = 0; i < r->graph->n_node; i++) {
        if (!node_walk(r, r->graph->node[i])) {
            return false;
        }
    }
    return output_check(r);
}

bool onnx_read(struct arena *arena, const void *bytes, size_t size, struct chain *chain,
               unsigned *notes, struct why *why)
{
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    if (!model) {
        return why_not(why, "is not an ONNX file");
    }
    struct reader r = {.arena = arena, .graph = model->graph, .chain = chain, .why = why};
    bool done = model->graph ? graph_walk(&r) : why_not(why, "is an ONNX file without a graph");
    *notes = r.notes;
    onnx__model_proto__free_unpacked(model, NULL);
    return done;
}
