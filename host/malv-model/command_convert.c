/*
 * command_convert.c: malv-model convert.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/files/files.h"
#include "host/malv-model/model_file.h"
#include "host/malv-model/onnx.h"
#include "host/malv-model/pack.h"

#define ONNX_MOST (256u << 20) /* bytes */

struct convert_options {
    const char *from, *to, *name, *samples;
    uint32_t version, fraction;
};

static bool options_read(struct convert_options *o, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--name") == 0 && value) {
            o->name = argv[++i];
        } else if (strcmp(argv[i], "--int8") == 0 && value) {
            o->samples = argv[++i];
        } else if (strcmp(argv[i], "--model-version") == 0) {
            if (!option_number(argv[i++], value, 0, UINT32_MAX, &o->version)) {
                return false;
            }
        } else if (strcmp(argv[i], "--fraction") == 0) {
            if (!option_number(argv[i++], value, 0, MLRT_INPUT_FRACTION_MAX, &o->fraction)) {
                return false;
            }
        } else if (argv[i][0] == '-' || o->to) {
            usage_error("convert does not take \"%s\" here", argv[i]);
            return false;
        } else {
            *(o->from ? &o->to : &o->from) = argv[i];
        }
    }
    if (!o->to) {
        usage_error("convert needs the ONNX file and the model file to make");
    }
    return o->to != NULL;
}

/* The file's name without folder and ending, where no name was given. */
static bool name_set(struct chain *chain, const struct convert_options *o)
{
    const char *slash = strrchr(o->to, '/'), *from = o->name ? o->name : slash ? slash + 1 : o->to;
    size_t length = o->name ? strlen(from) : strcspn(from, ".");
    bool good = length >= 1 && length < MLRT_NAME_BYTES;
    for (size_t i = 0; i < length && good; i++) {
        good = from[i] > ' ' && from[i] <= '~';
        chain->name[i] = from[i];
    }
    if (!good) {
        usage_error("a model's name has 1 to %u printable characters; give one with --name",
                    MLRT_NAME_BYTES - 1);
    }
    return good;
}

static bool integer_make(struct arena *arena, const struct chain *chain,
                         const struct convert_options *o, struct packed *packed, struct why *why)
{
    struct reference samples;
    if (!reference_open(&samples, o->samples)) {
        why->text[0] = 0;
        return false;
    }
    bool done = samples.width == chain->inputs
                    ? pack_integer(arena, chain,
                                   &(struct samples){samples.inputs, samples.rows, samples.steps},
                                   o->fraction, packed, why)
                    : why_not(why, "takes rows of %u, %s has rows of %u", chain->inputs, o->samples,
                              samples.width);
    reference_close(&samples);
    return done;
}

static bool convert(struct arena *arena, struct chain *chain, const struct convert_options *o)
{
    struct packed packed;
    struct mlrt_model model;
    struct why why = {""};
    uint8_t *bytes;
    size_t size;
    unsigned notes = 0;
    if (!file_read(o->from, ONNX_MOST, &bytes, &size)) {
        return false;
    }
    bool done = onnx_read(arena, bytes, size, chain, &notes, &why) &&
                (o->samples ? integer_make(arena, chain, o, &packed, &why)
                            : pack_float(arena, chain, chain->count, &packed, &why));
    free(bytes);
    if (done && mlrt_open(&model, packed.bytes, packed.size, MLRT_SCALAR) != MLRT_OK) {
        done = why_not(&why, "became a model that can't be read");
    }
    if (!done) {
        if (why.text[0]) {
            fprintf(stderr, "malv-model: %s %s\n", o->from, why.text);
        }
        return false;
    }
    if (notes & ONNX_NOTE_MISSING_VALUES) {
        fputs("malv-model: note: the trees' rules for missing values are left out: inputs must be "
              "numbers\n",
              stderr);
    }
    return file_write(o->to, packed.bytes, packed.size, 0644);
}

int command_convert(int argc, char **argv)
{
    struct convert_options o = {.fraction = MLRT_FRACTION};
    static struct chain chain;
    struct arena arena = {0};
    if (!options_read(&o, argc, argv) || !name_set(&chain, &o)) {
        return 2;
    }
    chain.model_version = o.version;
    bool done = convert(&arena, &chain, &o);
    arena_free(&arena);
    return done ? 0 : 1;
}
