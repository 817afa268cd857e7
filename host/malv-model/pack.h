/*
 * pack.h: from a chain to the bytes of a model file, float32 or integer.
 */
#pragma once

#include "host/malv-model/chain.h"

/* The bytes of a model file, allocated in the caller's arena (64-aligned enough for mlrt_open). */
struct packed {
    uint8_t *bytes;
    size_t size;
};

/* A float32 model of the chain's first `layers` layers; at least one. False: why. */
bool pack_float(struct arena *arena, const struct chain *chain, uint32_t layers, struct packed *out,
                struct why *why);

/* Rows that a model is calibrated on: [rows][steps][inputs]. */
struct samples {
    const float *inputs;
    uint32_t rows, steps;
};

/*
 * An integer model of the whole chain. How large numbers become inside is measured by running the
 * chain in float32 on the samples. `fraction`: fraction bits of its integer inputs, 0 to
 * MLRT_INPUT_FRACTION_MAX.
 */
bool pack_integer(struct arena *arena, const struct chain *chain, const struct samples *samples,
                  uint32_t fraction, struct packed *out, struct why *why);

/* For both: room for a model whose layers' kinds, widths and params are in `layers`; header and
 * layers are written, and all arrays zero. */
bool pack_begin(struct arena *arena, const struct chain *chain, const struct mlrt_layer *layers,
                uint32_t count, bool integer, struct packed *out, struct why *why);

/* An array of a layer of a model that pack_begin() made. */
void *packed_array(const struct packed *packed, uint32_t layer, uint32_t array);

/* What a layer of the file has in common with the chain's. */
struct mlrt_layer pack_layer(const struct chain_layer *from);
