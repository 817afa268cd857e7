/*
 * open.c: checks a model file and makes a model a view of it.
 *
 * Order of the checks: what the header says against the size that is there, the checksum, each
 * layer's place and shape, then what arrays say that steers a run: trees and neighbours' targets.
 * Weights may be any numbers. The checksum finds damage; the rest is checked all the same, because
 * anybody can compute a checksum.
 */
#include "lib/crc32/crc32.h"
#include "lib/mlrt/internal.h"

static bool all_zero(const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        if (from[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Printable, not empty, and nothing but NUL from the first NUL on. */
static bool name_is_valid(const char *name)
{
    size_t length = 0;
    while (length < MLRT_NAME_BYTES && name[length] > ' ' && name[length] <= '~') {
        length++;
    }
    return length > 0 && length < MLRT_NAME_BYTES &&
           all_zero(name + length, MLRT_NAME_BYTES - length);
}

static bool header_fields_are_valid(const struct mlrt_header *header)
{
    return header->layer_count >= 1 && header->layer_count <= MLRT_LAYERS_MAX &&
           header->integer <= 1 && header->input_fraction <= MLRT_INPUT_FRACTION_MAX &&
           (header->integer || header->input_fraction == 0) && header->reserved == 0 &&
           all_zero(header->reserved_too, sizeof(header->reserved_too)) &&
           name_is_valid(header->name) &&
           header->layer_count <=
               (header->file_bytes - sizeof(*header)) / sizeof(struct mlrt_layer);
}

static int header_check(const struct mlrt_header *header, size_t size)
{
    if (size < sizeof(header->magic) || header->magic != MLRT_MAGIC) {
        return MLRT_NOT_ONE;
    }
    if (size < sizeof(*header)) {
        return MLRT_TRUNCATED;
    }
    if (header->version != MLRT_VERSION) {
        return MLRT_VERSION_NEW;
    }
    if (header->file_bytes != size) {
        return MLRT_TRUNCATED;
    }
    if (size > MLRT_FILE_MAX) {
        return MLRT_MALFORMED;
    }
    if (header->checksum !=
        crc32_without_field(header, size, offsetof(struct mlrt_header, checksum))) {
        return MLRT_CHECKSUM;
    }
    return header_fields_are_valid(header) ? MLRT_OK : MLRT_MALFORMED;
}

/* A leaf's distance, or an inner node's feature and children, against what is there. */
static bool node_is_valid(const struct mlrt_layer *layer, const struct mlrt_tree *tree,
                          const struct mlrt_node *node, uint32_t at)
{
    uint32_t feature = node->feature_distance & MLRT_LEAF;
    uint32_t distance = node->feature_distance >> MLRT_FEATURE_BITS;
    if (feature == MLRT_LEAF) {
        return tree->output != MLRT_ALL_OUTPUTS ||
               ((uint64_t)distance + 1) * layer->outputs <= layer->params[FOREST_VALUE_COUNT];
    }
    /* Children lie behind their parent, so that every walk comes to an end. */
    return feature < layer->inputs && distance >= 1 &&
           (uint64_t)at + distance + 1 < tree->node_count;
}

static bool tree_is_valid(const struct mlrt_layer *layer, const struct mlrt_tree *tree,
                          const struct mlrt_node *nodes)
{
    uint32_t count = layer->params[FOREST_NODE_COUNT];
    if (tree->reserved != 0 || tree->node_count == 0 || tree->first > count ||
        tree->node_count > count - tree->first ||
        (tree->output >= layer->outputs && tree->output != MLRT_ALL_OUTPUTS)) {
        return false;
    }
    for (uint32_t i = 0; i < tree->node_count; i++) {
        if (!node_is_valid(layer, tree, &nodes[tree->first + i], i)) {
            return false;
        }
    }
    return true;
}

static bool forest_is_valid(const struct mlrt_model *model, const struct mlrt_layer *layer,
                            const uint32_t *arrays)
{
    const struct mlrt_tree *trees = model_array(model, arrays, FOREST_TREES);
    const struct mlrt_node *nodes = model_array(model, arrays, FOREST_NODES);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < layer->params[FOREST_TREE_COUNT]; i++) {
        if (!tree_is_valid(layer, &trees[i], nodes)) {
            return false;
        }
        seen += trees[i].node_count;
    }
    /* Trees that share nodes could make a small file take long. */
    return seen <= layer->params[FOREST_NODE_COUNT];
}

static bool nearest_is_valid(const struct mlrt_model *model, const struct mlrt_layer *layer,
                             const uint32_t *arrays)
{
    const uint32_t *targets = model_array(model, arrays, NEAREST_TARGETS);
    if (layer->params[NEAREST_REGRESSION]) {
        return true;
    }
    for (uint32_t i = 0; i < layer->params[NEAREST_COUNT]; i++) {
        if (targets[i] >= layer->outputs) {
            return false;
        }
    }
    return true;
}

static bool scale_is_valid(const struct mlrt_model *model, const struct mlrt_layer *layer,
                           const uint32_t *arrays)
{
    if (!model->header->integer) {
        return true;
    }
    const uint32_t *shifts = model_array(model, arrays, SCALE_SHIFT);
    for (uint32_t i = 0; i < layer->inputs; i++) {
        if (shifts[i] > MLRT_SHIFT_MAX) {
            return false;
        }
    }
    return true;
}

static bool contents_are_valid(const struct mlrt_model *model, uint32_t index)
{
    const struct mlrt_layer *layer = &model->layers[index];
    switch (layer->kind) {
    case MLRT_SCALE:
        return scale_is_valid(model, layer, model->arrays[index]);
    case MLRT_FOREST:
        return forest_is_valid(model, layer, model->arrays[index]);
    case MLRT_NEAREST:
        return nearest_is_valid(model, layer, model->arrays[index]);
    default:
        return true;
    }
}

/* Finds a layer's arrays, which begin at `*end` rounded up; *end becomes the end of the last. */
static bool layer_place(struct mlrt_model *model, uint32_t index, uint64_t *end)
{
    const struct mlrt_layer *layer = &model->layers[index];
    struct mlrt_sizes sizes;
    if (!mlrt_layer_sizes(layer, model->header->integer, &sizes) ||
        layer->offset != mlrt_aligned(*end) || layer->bytes != mlrt_sizes_span(&sizes) ||
        layer->offset > model->header->file_bytes ||
        layer->bytes > model->header->file_bytes - layer->offset) {
        return false;
    }
    uint64_t at = layer->offset;
    for (uint32_t i = 0; i < sizes.count; i++) {
        at = mlrt_aligned(at);
        model->arrays[index][i] = (uint32_t)at;
        at += sizes.bytes[i];
    }
    *end = at;
    return true;
}

static int layers_check(struct mlrt_model *model)
{
    const struct mlrt_header *header = model->header;
    uint64_t end = sizeof(*header) + (uint64_t)header->layer_count * sizeof(struct mlrt_layer);
    uint32_t width = header->inputs;
    for (uint32_t i = 0; i < header->layer_count; i++) {
        if (model->layers[i].inputs != width || !layer_place(model, i, &end) ||
            !contents_are_valid(model, i)) {
            return MLRT_MALFORMED;
        }
        width = model->layers[i].outputs;
    }
    /* The last layer may have no arrays; then the file ends where they would begin. */
    return width == header->outputs && end == header->file_bytes ? MLRT_OK : MLRT_MALFORMED;
}

int mlrt_open(struct mlrt_model *model, const void *memory, size_t size, enum mlrt_path path)
{
    if ((uintptr_t)memory % 8 != 0) {
        return MLRT_ALIGNMENT;
    }
    if (path == MLRT_BEST) {
        path = mlrt_best_path();
    }
    if (!mlrt_has_path(path)) {
        return MLRT_NO_PATH;
    }
    int status = header_check(memory, size);
    if (status != MLRT_OK) {
        return status;
    }
    struct mlrt_model view = {.bytes = memory, .header = memory, .ops = path_ops(path)};
    view.layers = (const struct mlrt_layer *)(view.header + 1);
    status = layers_check(&view);
    if (status != MLRT_OK) {
        return status;
    }
    model_measure(&view);
    *model = view;
    return MLRT_OK;
}

void mlrt_seal(void *memory, size_t size)
{
    struct mlrt_header *header = memory;
    header->checksum = crc32_without_field(memory, size, offsetof(struct mlrt_header, checksum));
}

const char *mlrt_error_text(int status)
{
    switch (status) {
    case MLRT_OK:
        return "no error";
    case MLRT_NOT_ONE:
        return "not a model file; malv-model convert makes one";
    case MLRT_VERSION_NEW:
        return "a model file of a version that this program can't read";
    case MLRT_TRUNCATED:
        return "truncated, or longer than it was written";
    case MLRT_CHECKSUM:
        return "corrupt: the checksum does not match";
    case MLRT_MALFORMED:
        return "malformed: a field contradicts the layout";
    case MLRT_ALIGNMENT:
        return "loaded at an address that is not a multiple of 8";
    case MLRT_NO_PATH:
        return "for a path that this processor does not have";
    case MLRT_NOT_TRAINABLE:
        return "not trainable: only float models of dense layers are";
    case MLRT_NOT_FINITE:
        return "left as it was by a step that would not be finite";
    default:
        return "unknown error";
    }
}
