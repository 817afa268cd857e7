/*
 * onnx_shapes.c: nodes that change how a value lies, and no number of it.
 */
#include "host/malv-model/onnx_graph.h"

#define FROM_END (1ll << 31) /* at least this as an end: all there is */

bool op_pass(struct reader *r, onnx_node node)
{
    return chain_goes_to(r, node, 0);
}

bool op_cast(struct reader *r, onnx_node node)
{
    int64_t to = node_int(node, "to", 0);
    if (to == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || to == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE) {
        return chain_goes_to(r, node, 0);
    }
    return node_refuse(r, node, "makes whole numbers of what goes through the layers");
}

bool op_flatten(struct reader *r, onnx_node node)
{
    if (node_int(node, "axis", 1) != 1 || r->form > FORM_ROWS) {
        return node_refuse(r, node, "flattens steps, or not from the second dimension on");
    }
    r->form = FORM_ROWS;
    return chain_goes_to(r, node, 0);
}

/* To [rows][width]; of a cell's outputs to steps, as exporters do with Transpose before. */
bool op_reshape(struct reader *r, onnx_node node)
{
    const struct tensor *shape = input_tensor(r, node, 1);
    if (!shape) {
        return false;
    }
    double last = shape->count ? shape->numbers[shape->count - 1] : 0;
    bool width_stays = last == -1 || last == chain_width(r->chain);
    if (shape->count == 2 && r->form <= FORM_ROWS && width_stays) {
        r->form = FORM_ROWS;
        return chain_goes_to(r, node, 0);
    }
    if (shape->count == 3 && r->form == FORM_CELL_ALL && width_stays) {
        r->form = FORM_STEPS;
        return chain_goes_to(r, node, 0);
    }
    return node_refuse(r, node, "changes the shape to what is not [rows][%u]",
                       chain_width(r->chain));
}

/* The axes are an attribute or, from version 13 on, an input. False: not exactly this one. */
static bool axis_is(struct reader *r, onnx_node node, int64_t axis)
{
    const Onnx__AttributeProto *axes = node_attribute(node, "axes");
    if (axes) {
        return axes->n_ints == 1 && axes->ints[0] == axis;
    }
    const struct value *value = has_input(node, 1) ? value_find(r, node->input[1]) : NULL;
    return value && value->kind == VALUE_TENSOR && value->tensor.count == 1 &&
           value->tensor.numbers[0] == (double)axis;
}

bool op_squeeze(struct reader *r, onnx_node node)
{
    if (r->form == FORM_CELL_ALL && axis_is(r, node, 1)) {
        r->form = FORM_STEPS;
    } else if (r->form == FORM_CELL_LAST && axis_is(r, node, 0)) {
        r->form = FORM_ROWS;
    } else {
        return node_refuse(r, node, "takes a dimension away that is none of directions");
    }
    return chain_goes_to(r, node, 0);
}

static bool permutation_is(const Onnx__AttributeProto *perm, size_t count, const int64_t *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (!perm || perm->n_ints != count || perm->ints[i] != wanted[i]) {
            return false;
        }
    }
    return true;
}

/* Steps and rows may change places: the chain runs step by step in any case. */
bool op_transpose(struct reader *r, onnx_node node)
{
    static const int64_t steps[] = {1, 0, 2}, directions[] = {0, 2, 1, 3};
    const Onnx__AttributeProto *perm = node_attribute(node, "perm");
    if ((r->form == FORM_STEPS && permutation_is(perm, 3, steps)) ||
        (r->form == FORM_CELL_ALL && permutation_is(perm, 4, directions))) {
        return chain_goes_to(r, node, 0);
    }
    return node_refuse(r, node, "changes dimensions over that are not steps and rows");
}

bool op_gather(struct reader *r, onnx_node node)
{
    const struct tensor *index = input_tensor(r, node, 1);
    int64_t axis = node_int(node, "axis", 0);
    if (!index) {
        return false;
    }
    if (index->count == 1 && index->rank == 0 && r->form == FORM_STEPS && axis <= 1 && axis >= 0 &&
        index->numbers[0] == -1) {
        r->form = FORM_ROWS;
    } else if (index->count == 1 && index->rank == 0 && r->form == FORM_CELL_LAST && axis == 0 &&
               (index->numbers[0] == 0 || index->numbers[0] == -1)) {
        r->form = FORM_ROWS;
    } else {
        return node_refuse(r, node, "takes something else than the last step (index -1)");
    }
    return chain_goes_to(r, node, 0);
}

/* Slices that leave everything. */
bool op_slice(struct reader *r, onnx_node node)
{
    const struct tensor *starts = input_tensor(r, node, 1);
    const struct tensor *ends = starts ? input_tensor(r, node, 2) : NULL;
    if (!ends) {
        return false;
    }
    for (size_t i = 0; i < starts->count; i++) {
        if (starts->count != ends->count || starts->numbers[i] != 0 ||
            ends->numbers[i] < (double)(FROM_END - 1)) {
            return node_refuse(r, node, "takes a part");
        }
    }
    return chain_goes_to(r, node, 0);
}
