/*
 * pack.c: see pack.h. The layout is lib/mlrt/format.h's.
 */
#include "host/malv-model/pack.h"

#include <string.h>

#include "lib/mlrt/layout.h"

static struct mlrt_header *packed_header(const struct packed *packed)
{
    return (struct mlrt_header *)packed->bytes;
}

static struct mlrt_layer *packed_layers(const struct packed *packed)
{
    return (struct mlrt_layer *)(packed_header(packed) + 1);
}

void *packed_array(const struct packed *packed, uint32_t layer, uint32_t array)
{
    struct mlrt_sizes sizes;
    const struct mlrt_layer *at = &packed_layers(packed)[layer];
    uint64_t offset = at->offset;
    mlrt_layer_sizes(at, packed_header(packed)->integer, &sizes);
    for (uint32_t i = 0; i < array; i++) {
        offset = mlrt_aligned(offset + sizes.bytes[i]);
    }
    return packed->bytes + offset;
}

struct mlrt_layer pack_layer(const struct chain_layer *from)
{
    struct mlrt_layer layer = {
        .kind = from->kind,
        .activation = from->activation,
        .inputs = from->inputs,
        .outputs = from->outputs,
    };
    if (from->kind == MLRT_GRU) {
        layer.params[CELL_RESET_AFTER] = from->cell.reset_after;
    } else if (from->kind == MLRT_FOREST) {
        layer.params[FOREST_TREE_COUNT] = from->forest.tree_count;
        layer.params[FOREST_NODE_COUNT] = from->forest.node_count;
        layer.params[FOREST_VALUE_COUNT] = from->forest.value_count;
    } else if (from->kind == MLRT_NEAREST) {
        layer.params[NEAREST_COUNT] = from->nearest.count;
        layer.params[NEAREST_K] = from->nearest.k;
        layer.params[NEAREST_REGRESSION] = from->nearest.targets != NULL;
        layer.params[NEAREST_BY_DISTANCE] = from->nearest.by_distance;
    }
    return layer;
}

/* Gives every layer its place; the end of the last comes back, or 0: why. */
static uint64_t layers_place(struct mlrt_layer *layers, uint32_t count, bool integer,
                             struct why *why)
{
    uint64_t end = sizeof(struct mlrt_header) + count * sizeof(struct mlrt_layer);
    for (uint32_t i = 0; i < count; i++) {
        struct mlrt_sizes sizes;
        if (!mlrt_layer_sizes(&layers[i], integer, &sizes)) {
            why_not(why, "layer %u has a size that no model file can hold", i);
            return 0;
        }
        layers[i].offset = mlrt_aligned(end);
        layers[i].bytes = mlrt_sizes_span(&sizes);
        end = layers[i].offset + layers[i].bytes;
    }
    if (end > MLRT_FILE_MAX) {
        why_not(why, "would be %llu bytes; a model file has at most %u", (unsigned long long)end,
                MLRT_FILE_MAX);
        return 0;
    }
    return end;
}

bool pack_begin(struct arena *arena, const struct chain *chain, const struct mlrt_layer *layers,
                uint32_t count, bool integer, struct packed *out, struct why *why)
{
    struct mlrt_layer placed[MLRT_LAYERS_MAX];
    memcpy(placed, layers, count * sizeof(*layers));
    out->size = layers_place(placed, count, integer, why);
    if (out->size == 0) {
        return false;
    }
    out->bytes = arena_alloc(arena, 1, out->size);
    *packed_header(out) = (struct mlrt_header){
        .magic = MLRT_MAGIC,
        .version = MLRT_VERSION,
        .file_bytes = out->size,
        .layer_count = count,
        .inputs = chain->inputs,
        .outputs = layers[count - 1].outputs,
        .integer = integer,
        .model_version = chain->model_version,
    };
    memcpy(packed_header(out)->name, chain->name, sizeof(chain->name));
    memcpy(packed_layers(out), placed, count * sizeof(*placed));
    return true;
}

/* [outputs][inputs] into panels: [panel][input][8]. */
static void matrix_pack(float *to, const float *from, uint32_t outputs, uint32_t inputs)
{
    for (uint32_t o = 0; o < outputs; o++) {
        float *panel = to + (size_t)(o / MLRT_PANEL) * inputs * MLRT_PANEL + o % MLRT_PANEL;
        for (uint32_t i = 0; i < inputs; i++) {
            panel[(size_t)i * MLRT_PANEL] = from[(size_t)o * inputs + i];
        }
    }
}

static void cell_pack(const struct packed *out, uint32_t index, const struct chain_layer *layer)
{
    uint32_t hidden = layer->outputs, width = mlrt_padded(hidden);
    const struct chain_cell *cell = &layer->cell;
    for (uint32_t gate = 0; gate < mlrt_gates(layer->kind); gate++) {
        size_t rows = (size_t)gate * hidden, place = (size_t)gate * width;
        matrix_pack((float *)packed_array(out, index, CELL_IN_WEIGHTS) + place * layer->inputs,
                    cell->in_weights + rows * layer->inputs, hidden, layer->inputs);
        matrix_pack((float *)packed_array(out, index, CELL_STATE_WEIGHTS) + place * hidden,
                    cell->state_weights + rows * hidden, hidden, hidden);
        memcpy((float *)packed_array(out, index, CELL_IN_BIAS) + place, cell->in_bias + rows,
               hidden * sizeof(float));
        memcpy((float *)packed_array(out, index, CELL_STATE_BIAS) + place, cell->state_bias + rows,
               hidden * sizeof(float));
    }
}

static void forest_pack(const struct packed *out, uint32_t index, const struct chain_layer *layer)
{
    const struct chain_forest *forest = &layer->forest;
    memcpy(packed_array(out, index, FOREST_TREES), forest->trees,
           forest->tree_count * sizeof(*forest->trees));
    memcpy(packed_array(out, index, FOREST_NODES), forest->nodes,
           forest->node_count * sizeof(*forest->nodes));
    if (forest->value_count) {
        memcpy(packed_array(out, index, FOREST_VALUES), forest->values,
               forest->value_count * sizeof(float));
    }
    memcpy(packed_array(out, index, FOREST_BASE), forest->base, layer->outputs * sizeof(float));
}

static void nearest_pack(const struct packed *out, uint32_t index, const struct chain_layer *layer)
{
    const struct chain_nearest *nearest = &layer->nearest;
    void *targets = packed_array(out, index, NEAREST_TARGETS);
    matrix_pack(packed_array(out, index, NEAREST_POINTS), nearest->points, nearest->count,
                layer->inputs);
    if (nearest->targets) {
        memcpy(targets, nearest->targets, (size_t)nearest->count * layer->outputs * sizeof(float));
    } else {
        memcpy(targets, nearest->labels, nearest->count * sizeof(uint32_t));
    }
}

static void layer_pack(const struct packed *out, uint32_t index, const struct chain_layer *layer)
{
    switch (layer->kind) {
    case MLRT_DENSE:
        matrix_pack(packed_array(out, index, DENSE_WEIGHTS), layer->dense.weights, layer->outputs,
                    layer->inputs);
        memcpy(packed_array(out, index, DENSE_BIAS), layer->dense.bias,
               layer->outputs * sizeof(float));
        break;
    case MLRT_SCALE:
        memcpy(packed_array(out, index, SCALE_OFFSET), layer->scale.offset, layer->inputs * 4);
        memcpy(packed_array(out, index, SCALE_FACTOR), layer->scale.factor, layer->inputs * 4);
        memcpy(packed_array(out, index, SCALE_ADDEND), layer->scale.addend, layer->inputs * 4);
        break;
    case MLRT_GRU:
    case MLRT_LSTM:
        cell_pack(out, index, layer);
        break;
    case MLRT_FOREST:
        forest_pack(out, index, layer);
        break;
    case MLRT_NEAREST:
        nearest_pack(out, index, layer);
        break;
    default:
        break;
    }
}

bool pack_float(struct arena *arena, const struct chain *chain, uint32_t layers, struct packed *out,
                struct why *why)
{
    struct mlrt_layer table[MLRT_LAYERS_MAX];
    for (uint32_t i = 0; i < layers; i++) {
        table[i] = pack_layer(&chain->layers[i]);
    }
    if (layers == 0) {
        return why_not(why, "has no layers");
    }
    if (!pack_begin(arena, chain, table, layers, false, out, why)) {
        return false;
    }
    for (uint32_t i = 0; i < layers; i++) {
        layer_pack(out, i, &chain->layers[i]);
    }
    mlrt_seal(out->bytes, out->size);
    return true;
}
