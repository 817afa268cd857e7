/*
 * layout.h: the sizes of a layer's arrays, for who reads and who writes model files. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mlrt/format.h"

/* Sizes in bytes of a layer's arrays, in their order in the file. */
struct mlrt_sizes {
    uint64_t bytes[MLRT_ARRAYS_MAX];
    uint32_t count;
};

/* Numbers rounded up to whole panels, and panels, of `count` outputs or points. */
static inline uint32_t mlrt_padded(uint32_t count)
{
    return (count + MLRT_PANEL - 1) / MLRT_PANEL * MLRT_PANEL;
}

static inline uint32_t mlrt_pairs(uint32_t count)
{
    return (count + 1) / 2;
}

static inline uint64_t mlrt_aligned(uint64_t offset)
{
    return (offset + MLRT_ALIGN - 1) / MLRT_ALIGN * MLRT_ALIGN;
}

/* Gates of a cell: 3 of a GRU, 4 of an LSTM. */
static inline uint32_t mlrt_gates(uint32_t kind)
{
    return kind == MLRT_LSTM ? 4 : 3;
}

/*
 * What the arrays of this layer must be. False: its kind, widths or params are none that a layer
 * can have. Nothing of the layer's arrays is looked at; offset and bytes are not either.
 */
bool mlrt_layer_sizes(const struct mlrt_layer *layer, bool integer, struct mlrt_sizes *sizes);

/* From the first array's start to the last one's end. */
uint64_t mlrt_sizes_span(const struct mlrt_sizes *sizes);
