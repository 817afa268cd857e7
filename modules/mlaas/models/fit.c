/*
 * fit.c: does a model fit a slot? Pure code.
 */
#include <microlake/log.h>

#include "store.h"

bool name_is_valid(const char *name)
{
    size_t length = 0;

    for (; length < MODELS_NAME_MAX && name[length]; length++) {
        char c = name[length];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
              (c == '.' && length)))
            return false;
    }
    return length > 0 && length < MODELS_NAME_MAX;
}

static const char *numbers_text(bool integer)
{
    return integer ? "integers" : "float32";
}

/* The first layer of a kind that is not allowed; NULL: none. */
static const struct mlrt_layer *layer_forbidden(const struct models_want *want,
                                                const struct mlrt_model *model)
{
    for (uint32_t i = 0; want->kinds && i < model->header->layer_count; i++)
        if (!(want->kinds >> model->layers[i].kind & 1))
            return &model->layers[i];
    return NULL;
}

static int shape_fit(const struct models_want *want, const struct mlrt_model *model, char *why)
{
    const struct mlrt_header *h = model->header;
    const struct mlrt_layer *layer;

    if (h->inputs != want->inputs || h->outputs != want->outputs) {
        snprintf(why, MODELS_WHY_MAX, "%s wants %u inputs and %u outputs; this model has %u and %u",
                 want->name, want->inputs, want->outputs, h->inputs, h->outputs);
        return ERR_INVALID;
    }
    if (want->numbers != MODELS_EITHER && h->integer != (want->numbers == MODELS_INTEGER)) {
        snprintf(why, MODELS_WHY_MAX, "%s wants a model of %s; this one is of %s", want->name,
                 numbers_text(want->numbers == MODELS_INTEGER), numbers_text(h->integer));
        return ERR_INVALID;
    }
    if (h->integer && want->numbers == MODELS_INTEGER &&
        h->input_fraction != want->input_fraction) {
        snprintf(why, MODELS_WHY_MAX, "%s gives inputs with %u fraction bits; this model wants %u",
                 want->name, want->input_fraction, h->input_fraction);
        return ERR_INVALID;
    }
    layer = layer_forbidden(want, model);
    if (layer) {
        snprintf(why, MODELS_WHY_MAX, "%s can't run layers of kind %u", want->name, layer->kind);
        return ERR_INVALID;
    }
    return OK;
}

int model_fit(const struct models_want *want, const struct mlrt_model *model, size_t size,
              char *why)
{
    size_t most = want->bytes_max ? want->bytes_max : MLRT_FILE_MAX;
    size_t workspace = mlrt_workspace_bytes(model, 1), state = mlrt_state_bytes(model);
    int r = shape_fit(want, model, why);

    if (r != OK)
        return r;
    if (size > most) {
        snprintf(why, MODELS_WHY_MAX, "%s takes models of at most %zu bytes; this one has %zu",
                 want->name, most, size);
        return ERR_INVALID;
    }
    if (workspace > want->workspace_bytes || state > want->state_bytes) {
        snprintf(why, MODELS_WHY_MAX,
                 "%s has %u bytes to work in and %u for states; this model wants %zu and %zu",
                 want->name, want->workspace_bytes, want->state_bytes, workspace, state);
        return ERR_INVALID;
    }
    return OK;
}
