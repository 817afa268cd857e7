/*
 * chain.c: see chain.h.
 */
#include "host/malv-model/chain.h"

#include <stdarg.h>
#include <stdio.h>

bool why_not(struct why *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return false;
}

uint32_t chain_width(const struct chain *chain)
{
    return chain->count ? chain->layers[chain->count - 1].outputs : chain->inputs;
}

struct chain_layer *chain_add(struct chain *chain, uint32_t kind, uint32_t outputs, struct why *why)
{
    uint32_t inputs = chain_width(chain);
    if (chain->count == MLRT_LAYERS_MAX) {
        why_not(why, "has more than %u layers", MLRT_LAYERS_MAX);
        return NULL;
    }
    if (outputs == 0 || outputs > MLRT_WIDTH_MAX) {
        why_not(why, "has a layer of %u outputs; 1 to %u can be", outputs, MLRT_WIDTH_MAX);
        return NULL;
    }
    struct chain_layer *layer = &chain->layers[chain->count++];
    *layer = (struct chain_layer){.kind = kind, .inputs = inputs, .outputs = outputs};
    return layer;
}

struct chain_layer *chain_add_scale(struct arena *arena, struct chain *chain, struct why *why)
{
    uint32_t width = chain_width(chain);
    struct chain_layer *layer = chain_add(chain, MLRT_SCALE, width, why);
    if (!layer) {
        return NULL;
    }
    layer->scale.offset = arena_alloc(arena, width, sizeof(float));
    layer->scale.factor = arena_alloc(arena, width, sizeof(float));
    layer->scale.addend = arena_alloc(arena, width, sizeof(float));
    for (uint32_t i = 0; i < width; i++) {
        layer->scale.factor[i] = 1;
    }
    return layer;
}
