/*
 * onnx_cells.c: GRU and LSTM nodes.
 */
#include "host/malv-model/onnx_graph.h"

#include <string.h>

#include "lib/mlrt/layout.h"

enum {
    INPUT_X,
    INPUT_W,
    INPUT_R,
    INPUT_B,
    INPUT_LENGTHS,
    INPUT_FIRST_H,
    INPUT_FIRST_C,
    INPUT_PEEPHOLES
};

static bool starts_at_zero(struct reader *r, onnx_node node, size_t index)
{
    const struct value *value = has_input(node, index) ? value_find(r, node->input[index]) : NULL;
    return !value || value->kind == VALUE_ZEROS ||
           (value->kind == VALUE_TENSOR && tensor_is_zero(&value->tensor));
}

static bool cell_is_plain(struct reader *r, onnx_node node)
{
    if (!node_text_is(node, "direction", "forward", true)) {
        return node_refuse(r, node, "goes backwards or both ways; forward can be");
    }
    if (node_attribute(node, "activations") || node_attribute(node, "clip") ||
        node_int(node, "input_forget", 0) != 0 || node_int(node, "layout", 0) != 0 ||
        has_input(node, INPUT_PEEPHOLES)) {
        return node_refuse(r, node,
                           "has its own activations, clip, input_forget, layout or peepholes");
    }
    if (has_input(node, INPUT_LENGTHS)) {
        return node_refuse(r, node, "has sequences of different lengths");
    }
    if (!starts_at_zero(r, node, INPUT_FIRST_H) || !starts_at_zero(r, node, INPUT_FIRST_C)) {
        return node_refuse(r, node, "begins with a state that is not zero");
    }
    return r->form == FORM_STEPS || node_refuse(r, node, "takes what has no steps");
}

static bool shape_is(const struct tensor *tensor, size_t rows, size_t columns)
{
    return tensor->rank == 3 && tensor->shape[0] == 1 && tensor->shape[1] == rows &&
           tensor->shape[2] == columns;
}

static bool biases_read(struct reader *r, onnx_node node, struct chain_cell *cell, size_t rows)
{
    cell->in_bias = arena_alloc(r->arena, rows, sizeof(float));
    cell->state_bias = arena_alloc(r->arena, rows, sizeof(float));
    if (!has_input(node, INPUT_B)) {
        return true;
    }
    const struct tensor *bias = input_tensor(r, node, INPUT_B);
    if (!bias) {
        return false;
    }
    if (bias->count != 2 * rows) {
        return node_refuse(r, node, "has biases of another shape than its gates");
    }
    for (size_t i = 0; i < rows; i++) {
        cell->in_bias[i] = (float)bias->numbers[i];
        cell->state_bias[i] = (float)bias->numbers[rows + i];
    }
    return true;
}

/* The current value becomes the output that the graph goes on with: of all steps, or of the last.
 */
static bool cell_output(struct reader *r, onnx_node node)
{
    bool last = true;
    for (size_t i = 0; i < r->graph->n_node; i++) {
        onnx_node user = r->graph->node[i];
        for (size_t k = 0; k < user->n_input && node->n_output > 0; k++) {
            last = last && (!user->input[k] || strcmp(user->input[k], node->output[0]) != 0);
        }
    }
    r->form = last ? FORM_CELL_LAST : FORM_CELL_ALL;
    return chain_goes_to(r, node, last ? 1 : 0);
}

bool op_cell(struct reader *r, onnx_node node)
{
    uint32_t kind = strcmp(node->op_type, "GRU") == 0 ? MLRT_GRU : MLRT_LSTM;
    int64_t hidden = node_int(node, "hidden_size", 0);
    const struct tensor *w = NULL, *state = NULL;
    struct chain_cell cell = {.reset_after = node_int(node, "linear_before_reset", 0) != 0};
    if (!cell_is_plain(r, node) || !(w = input_tensor(r, node, INPUT_W)) ||
        !(state = input_tensor(r, node, INPUT_R))) {
        return false;
    }
    if (hidden < 1 || hidden > MLRT_WIDTH_MAX) {
        return node_refuse(r, node, "has a hidden_size that is not 1 to %u", MLRT_WIDTH_MAX);
    }
    size_t rows = mlrt_gates(kind) * (size_t)hidden;
    if (!shape_is(w, rows, chain_width(r->chain)) || !shape_is(state, rows, (size_t)hidden)) {
        return node_refuse(r, node, "has weights of another shape than %lld states and %u inputs",
                           (long long)hidden, chain_width(r->chain));
    }
    if (!biases_read(r, node, &cell, rows)) {
        return false;
    }
    cell.in_weights = tensor_floats(r, w);
    cell.state_weights = tensor_floats(r, state);
    struct chain_layer *layer = chain_add(r->chain, kind, (uint32_t)hidden, r->why);
    if (!layer) {
        return false;
    }
    layer->cell = cell;
    return cell_output(r, node);
}
