/*
 * onnx_tensor.c: constants and attributes of ONNX.
 */
#include "host/malv-model/onnx_graph.h"

#include <string.h>

#define NUMBERS_MAX (16u << 20)

static bool shape_read(struct reader *r, const Onnx__TensorProto *from, struct tensor *out)
{
    size_t count = 1;
    if (from->n_dims > ONNX_RANK_MAX) {
        return why_not(r->why, "constant %s has %zu dimensions", from->name ? from->name : "",
                       from->n_dims);
    }
    out->rank = (uint32_t)from->n_dims;
    for (size_t i = 0; i < from->n_dims; i++) {
        if (from->dims[i] < 0 || from->dims[i] > NUMBERS_MAX) {
            return why_not(r->why, "constant %s has a dimension that can't be",
                           from->name ? from->name : "");
        }
        out->shape[i] = (size_t)from->dims[i];
        count *= out->shape[i];
        if (count > NUMBERS_MAX) {
            return why_not(r->why, "constant %s has too many numbers",
                           from->name ? from->name : "");
        }
    }
    out->count = count;
    return true;
}

/* One number of raw data, which is little-endian and not aligned. */
static double raw_number(const uint8_t *at, int32_t type)
{
    union {
        float f;
        double d;
        int32_t i;
        int64_t l;
    } number;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        memcpy(&number, at, 4);
        return (double)number.f;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        memcpy(&number, at, 8);
        return number.d;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        memcpy(&number, at, 4);
        return number.i;
    default:
        memcpy(&number, at, 8);
        return (double)number.l;
    }
}

static size_t type_bytes(int32_t type)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return 8;
    default:
        return 0;
    }
}

/* A number of the list that belongs to the type; false: the list is not as long as the shape says.
 */
static bool list_read(const Onnx__TensorProto *from, size_t count, double *out)
{
    size_t have = from->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT    ? from->n_float_data
                  : from->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? from->n_double_data
                  : from->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32  ? from->n_int32_data
                                                                             : from->n_int64_data;
    if (have != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        switch (from->data_type) {
        case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
            out[i] = (double)from->float_data[i];
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
            out[i] = from->double_data[i];
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
            out[i] = from->int32_data[i];
            break;
        default:
            out[i] = (double)from->int64_data[i];
            break;
        }
    }
    return true;
}

bool tensor_read(struct reader *r, const Onnx__TensorProto *from, struct tensor *out)
{
    const char *name = from->name ? from->name : "";
    size_t width = type_bytes(from->data_type);
    if (!shape_read(r, from, out)) {
        return false;
    }
    if (width == 0) {
        return why_not(r->why,
                       "constant %.60s is of type %d; float, double, int32 and int64 can be", name,
                       from->data_type);
    }
    if (from->n_external_data || from->segment) {
        return why_not(r->why, "constant %.60s lies in another file: export it into one", name);
    }
    bool raw = from->has_raw_data && from->raw_data.len > 0;
    if (raw ? from->raw_data.len != out->count * width
            : out->count > from->n_float_data + from->n_double_data + from->n_int32_data +
                               from->n_int64_data) {
        return why_not(r->why, "constant %.60s has not the data that its shape says", name);
    }
    double *numbers = arena_alloc(r->arena, out->count + 1, sizeof(double));
    for (size_t i = 0; raw && i < out->count; i++) {
        numbers[i] = raw_number(from->raw_data.data + i * width, from->data_type);
    }
    if (!raw && !list_read(from, out->count, numbers)) {
        return why_not(r->why, "constant %.60s has not the data that its shape says", name);
    }
    out->numbers = numbers;
    return true;
}

const Onnx__AttributeProto *node_attribute(onnx_node node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (node->attribute[i]->name && strcmp(node->attribute[i]->name, name) == 0) {
            return node->attribute[i];
        }
    }
    return NULL;
}

int64_t node_int(onnx_node node, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute && attribute->has_i ? attribute->i : otherwise;
}

float node_float(onnx_node node, const char *name, float otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute && attribute->has_f ? attribute->f : otherwise;
}

bool bytes_are(const ProtobufCBinaryData *bytes, const char *text)
{
    return bytes->len == strlen(text) && memcmp(bytes->data, text, bytes->len) == 0;
}

bool node_text_is(onnx_node node, const char *name, const char *text, bool otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute && attribute->has_s ? bytes_are(&attribute->s, text) : otherwise;
}

float *tensor_floats(struct reader *r, const struct tensor *tensor)
{
    float *floats = arena_alloc(r->arena, tensor->count, sizeof(float));
    for (size_t i = 0; i < tensor->count; i++) {
        floats[i] = (float)tensor->numbers[i];
    }
    return floats;
}

bool tensor_is_zero(const struct tensor *tensor)
{
    for (size_t i = 0; i < tensor->count; i++) {
        if (tensor->numbers[i] != 0) {
            return false;
        }
    }
    return true;
}
