/*
 * onnx_layers.c: nodes that become dense layers, scales and activations.
 */
#include "host/malv-model/onnx_graph.h"

#include <string.h>

static struct chain_layer *last_layer(const struct reader *r)
{
    return r->chain->count ? &r->chain->layers[r->chain->count - 1] : NULL;
}

/* The last layer, when it is of this kind and nothing was done to its outputs. */
static struct chain_layer *last_plain(const struct reader *r, uint32_t kind)
{
    struct chain_layer *layer = last_layer(r);
    return layer && layer->kind == kind && layer->activation == MLRT_NO_ACTIVATION ? layer : NULL;
}

/* Adds a dense layer with zeros for the caller to fill in. */
static struct chain_layer *dense_add(struct reader *r, onnx_node node, size_t inputs,
                                     size_t outputs)
{
    if (inputs != chain_width(r->chain) || outputs > MLRT_WIDTH_MAX || r->form == FORM_IMAGE) {
        node_refuse(r, node, "has a matrix for %zu inputs, where %u come", inputs,
                    chain_width(r->chain));
        return NULL;
    }
    struct chain_layer *layer = chain_add(r->chain, MLRT_DENSE, (uint32_t)outputs, r->why);
    if (layer) {
        layer->dense.weights = arena_alloc(r->arena, inputs * outputs, sizeof(float));
        layer->dense.bias = arena_alloc(r->arena, outputs, sizeof(float));
    }
    return layer;
}

/* A layer of a constant [inputs][outputs], or the other way round when it is transposed. */
static struct chain_layer *matrix_add(struct reader *r, onnx_node node, const struct tensor *matrix,
                                      bool transposed, float factor)
{
    if (matrix->rank != 2) {
        node_refuse(r, node, "multiplies by a constant of %u dimensions", matrix->rank);
        return NULL;
    }
    size_t inputs = matrix->shape[transposed], outputs = matrix->shape[!transposed];
    struct chain_layer *layer = dense_add(r, node, inputs, outputs);
    for (size_t o = 0; layer && o < outputs; o++) {
        for (size_t i = 0; i < inputs; i++) {
            double value = matrix->numbers[transposed ? o * inputs + i : i * outputs + o];
            layer->dense.weights[o * inputs + i] = (float)value * factor;
        }
    }
    return layer;
}

/* A constant for each number of a row, or one for all. False: neither. */
static bool fits_row(const struct reader *r, const struct tensor *constant)
{
    uint32_t width = chain_width(r->chain);
    return constant->count == 1 ||
           (constant->count == width &&
            (constant->rank == 0 || constant->shape[constant->rank - 1] == width));
}

static float row_number(const struct tensor *constant, size_t index)
{
    return (float)constant->numbers[constant->count == 1 ? 0 : index];
}

bool op_gemm(struct reader *r, onnx_node node)
{
    float alpha = node_float(node, "alpha", 1), beta = node_float(node, "beta", 1);
    const struct tensor *matrix = input_tensor(r, node, 1), *bias = NULL;
    if (!matrix || !chain_is_input(r, node, 0)) {
        return matrix && node_refuse(r, node, "multiplies in another order");
    }
    if (node_int(node, "transA", 0) != 0) {
        return node_refuse(r, node, "transposes what goes through the layers");
    }
    if (has_input(node, 2) && !(bias = input_tensor(r, node, 2))) {
        return false;
    }
    struct chain_layer *layer =
        matrix_add(r, node, matrix, node_int(node, "transB", 0) != 0, alpha);
    if (!layer) {
        return false;
    }
    if (bias && !fits_row(r, bias)) {
        return node_refuse(r, node, "adds a constant of another shape than a row");
    }
    for (uint32_t i = 0; bias && i < layer->outputs; i++) {
        layer->dense.bias[i] = row_number(bias, i) * beta;
    }
    return chain_goes_to(r, node, 0);
}

bool op_matmul(struct reader *r, onnx_node node)
{
    const struct tensor *matrix = input_tensor(r, node, 1);
    if (!matrix || !chain_is_input(r, node, 0)) {
        return matrix && node_refuse(r, node, "multiplies in another order");
    }
    return matrix_add(r, node, matrix, false, 1) && chain_goes_to(r, node, 0);
}

/* The constant beside the chain in a node of two inputs, which may stand in either order. */
static const struct tensor *other_input(struct reader *r, onnx_node node)
{
    const struct tensor *other = input_tensor(r, node, chain_is_input(r, node, 0) ? 1 : 0);
    if (other && !fits_row(r, other)) {
        node_refuse(r, node, "combines with a constant of another shape than a row");
        return NULL;
    }
    return other;
}

bool op_add(struct reader *r, onnx_node node)
{
    const struct tensor *constant = other_input(r, node);
    struct chain_layer *dense = last_plain(r, MLRT_DENSE), *scale = last_plain(r, MLRT_SCALE);
    if (!constant) {
        return false;
    }
    if (!dense && !scale && !(scale = chain_add_scale(r->arena, r->chain, r->why))) {
        return false;
    }
    float *addend = dense ? dense->dense.bias : scale->scale.addend;
    for (uint32_t i = 0; i < chain_width(r->chain); i++) {
        addend[i] += row_number(constant, i);
    }
    return chain_goes_to(r, node, 0);
}

/* Taken away before the multiplication, so that large means lose no places. */
bool op_sub(struct reader *r, onnx_node node)
{
    const struct tensor *constant = other_input(r, node);
    if (!constant || !chain_is_input(r, node, 0)) {
        return constant && node_refuse(r, node, "takes the chain away from a constant");
    }
    struct chain_layer *scale = chain_add_scale(r->arena, r->chain, r->why);
    for (uint32_t i = 0; scale && i < scale->inputs; i++) {
        scale->scale.offset[i] = row_number(constant, i);
    }
    return scale && chain_goes_to(r, node, 0);
}

static bool multiply(struct reader *r, onnx_node node, bool divide)
{
    const struct tensor *constant = other_input(r, node);
    struct chain_layer *scale = last_plain(r, MLRT_SCALE);
    if (!constant) {
        return false;
    }
    if (!scale && !(scale = chain_add_scale(r->arena, r->chain, r->why))) {
        return false;
    }
    for (uint32_t i = 0; i < scale->inputs; i++) {
        float factor = row_number(constant, i);
        factor = divide ? 1 / factor : factor;
        scale->scale.factor[i] *= factor;
        scale->scale.addend[i] *= factor;
    }
    return chain_goes_to(r, node, 0);
}

bool op_mul(struct reader *r, onnx_node node)
{
    return multiply(r, node, false);
}

bool op_div(struct reader *r, onnx_node node)
{
    if (!chain_is_input(r, node, 0)) {
        return node_refuse(r, node, "divides a constant by the chain");
    }
    return multiply(r, node, true);
}

bool chain_activate(struct reader *r, uint32_t activation)
{
    struct chain_layer *layer = last_layer(r);
    if (!layer || layer->activation != MLRT_NO_ACTIVATION) {
        layer = chain_add_scale(r->arena, r->chain, r->why);
    }
    if (layer) {
        layer->activation = activation;
    }
    return layer != NULL;
}

bool op_activation(struct reader *r, onnx_node node)
{
    static const char *const names[] = {[MLRT_RELU] = "Relu",
                                        [MLRT_SIGMOID] = "Sigmoid",
                                        [MLRT_TANH] = "Tanh",
                                        [MLRT_SOFTMAX] = "Softmax"};
    uint32_t activation = MLRT_RELU;
    while (activation < MLRT_SOFTMAX && strcmp(names[activation], node->op_type) != 0) {
        activation++;
    }
    int64_t axis = node_int(node, "axis", -1);
    if (activation == MLRT_SOFTMAX && axis != -1 && axis != (r->form == FORM_STEPS ? 2 : 1)) {
        return node_refuse(r, node, "goes over another dimension than the last");
    }
    if (r->form == FORM_IMAGE) {
        return node_refuse(r, node, "comes before the input is flattened");
    }
    return chain_activate(r, activation) && chain_goes_to(r, node, 0);
}

bool op_normalizer(struct reader *r, onnx_node node)
{
    if (!node_text_is(node, "norm", "L1", false)) {
        return node_refuse(r, node, "has another norm than L1");
    }
    return chain_activate(r, MLRT_SHARES) && chain_goes_to(r, node, 0);
}

static bool list_fits(const struct reader *r, const Onnx__AttributeProto *list)
{
    return list && (list->n_floats == 1 || list->n_floats == chain_width(r->chain));
}

bool op_scaler(struct reader *r, onnx_node node)
{
    const Onnx__AttributeProto *offset = node_attribute(node, "offset");
    const Onnx__AttributeProto *factor = node_attribute(node, "scale");
    if (!list_fits(r, offset) || !list_fits(r, factor)) {
        return node_refuse(r, node, "has no offset and scale for each input");
    }
    struct chain_layer *scale = chain_add_scale(r->arena, r->chain, r->why);
    for (uint32_t i = 0; scale && i < scale->inputs; i++) {
        scale->scale.offset[i] = offset->floats[offset->n_floats == 1 ? 0 : i];
        scale->scale.factor[i] = factor->floats[factor->n_floats == 1 ? 0 : i];
    }
    return scale && chain_goes_to(r, node, 0);
}

bool post_transform(struct reader *r, onnx_node node, uint32_t classes)
{
    bool softmax = node_text_is(node, "post_transform", "SOFTMAX", false);
    bool logistic = node_text_is(node, "post_transform", "LOGISTIC", false);
    if (!softmax && !logistic && !node_text_is(node, "post_transform", "NONE", true)) {
        return node_refuse(r, node, "has a post_transform that is not NONE, LOGISTIC or SOFTMAX");
    }
    bool pair = classes == 2 && chain_width(r->chain) == 1;
    if (pair && softmax) {
        return node_refuse(r, node, "makes a softmax of one score");
    }
    if (softmax || logistic) {
        if (!chain_activate(r, softmax ? MLRT_SOFTMAX : MLRT_SIGMOID)) {
            return false;
        }
    }
    return !pair || chain_add(r->chain, MLRT_PAIR, 2, r->why) != NULL;
}

static uint32_t label_count(onnx_node node)
{
    const Onnx__AttributeProto *ints = node_attribute(node, "classlabels_ints");
    const Onnx__AttributeProto *texts = node_attribute(node, "classlabels_strings");
    size_t count = ints && ints->n_ints ? ints->n_ints : texts ? texts->n_strings : 0;
    return count <= MLRT_WIDTH_MAX ? (uint32_t)count : 0;
}

bool op_linear(struct reader *r, onnx_node node)
{
    bool classifier = strcmp(node->op_type, "LinearClassifier") == 0;
    const Onnx__AttributeProto *weights = node_attribute(node, "coefficients");
    const Onnx__AttributeProto *bias = node_attribute(node, "intercepts");
    uint32_t inputs = chain_width(r->chain);
    if (!weights || weights->n_floats == 0 || weights->n_floats % inputs != 0) {
        return node_refuse(r, node, "has no coefficients for %u inputs", inputs);
    }
    struct chain_layer *layer = dense_add(r, node, inputs, weights->n_floats / inputs);
    if (!layer) {
        return false;
    }
    if (bias && bias->n_floats != 0 && bias->n_floats != layer->outputs) {
        return node_refuse(r, node, "has no intercept for each output");
    }
    memcpy(layer->dense.weights, weights->floats, weights->n_floats * sizeof(float));
    if (bias && bias->n_floats) {
        memcpy(layer->dense.bias, bias->floats, bias->n_floats * sizeof(float));
    }
    return post_transform(r, node, classifier ? label_count(node) : 0) &&
           chain_goes_to(r, node, classifier ? 1 : 0);
}

/* Concat of 1 - p and p. */
bool op_pair(struct reader *r, onnx_node node)
{
    const struct value *first = has_input(node, 0) ? value_find(r, node->input[0]) : NULL;
    int64_t axis = node_int(node, "axis", 0);
    if (node->n_input != 2 || !first || first->kind != VALUE_COMPLEMENT ||
        !chain_is_input(r, node, 1) || (axis != 1 && axis != -1)) {
        return node_refuse(r, node, "puts together what is not 1 - p and p");
    }
    return chain_add(r->chain, MLRT_PAIR, 2, r->why) && chain_goes_to(r, node, 0);
}

/* Nearest neighbours have no node in ONNX: this one is the project's own (docs/mlrt.md). */
static bool nearest_targets(struct reader *r, onnx_node node, struct chain_nearest *nearest,
                            uint32_t *outputs)
{
    const Onnx__AttributeProto *labels = node_attribute(node, "labels");
    const Onnx__AttributeProto *targets = node_attribute(node, "targets");
    int64_t classes = node_int(node, "classes", 0);
    struct tensor tensor = {0};
    if (targets && targets->t) {
        if (!tensor_read(r, targets->t, &tensor)) {
            return false;
        }
        if (tensor.rank != 2 || tensor.shape[0] != nearest->count || tensor.shape[1] == 0 ||
            tensor.shape[1] > MLRT_WIDTH_MAX) {
            return node_refuse(r, node, "has no row of targets for each point");
        }
        nearest->targets = tensor_floats(r, &tensor);
        *outputs = (uint32_t)tensor.shape[1];
        return true;
    }
    if (!labels || labels->n_ints != nearest->count || classes < 1 || classes > MLRT_WIDTH_MAX) {
        return node_refuse(r, node, "has no label for each point");
    }
    nearest->labels = arena_alloc(r->arena, nearest->count, sizeof(uint32_t));
    for (uint32_t i = 0; i < nearest->count; i++) {
        if (labels->ints[i] < 0 || labels->ints[i] >= classes) {
            return node_refuse(r, node, "has a label that is not below %lld", (long long)classes);
        }
        nearest->labels[i] = (uint32_t)labels->ints[i];
    }
    *outputs = (uint32_t)classes;
    return true;
}

bool op_nearest(struct reader *r, onnx_node node)
{
    const Onnx__AttributeProto *points = node_attribute(node, "points");
    struct tensor tensor = {0};
    struct chain_nearest nearest = {.by_distance =
                                        node_text_is(node, "weights", "distance", false)};
    uint32_t outputs = 0;
    int64_t k = node_int(node, "k", 0);
    if (!points || !points->t || !tensor_read(r, points->t, &tensor)) {
        return node_refuse(r, node, "has no points that can be read");
    }
    if (tensor.rank != 2 || tensor.shape[1] != chain_width(r->chain) || k < 1 ||
        k > MLRT_NEIGHBOURS_MAX || (size_t)k > tensor.shape[0]) {
        return node_refuse(r, node, "has points of another width, or no k from 1 to %u",
                           MLRT_NEIGHBOURS_MAX);
    }
    nearest.count = (uint32_t)tensor.shape[0];
    nearest.k = (uint32_t)k;
    nearest.points = tensor_floats(r, &tensor);
    if (!nearest_targets(r, node, &nearest, &outputs)) {
        return false;
    }
    struct chain_layer *layer = chain_add(r->chain, MLRT_NEAREST, outputs, r->why);
    if (layer) {
        layer->nearest = nearest;
    }
    return layer && chain_goes_to(r, node, 0);
}
