/*
 * command_check.c: malv-model check: a model's outputs beside those of the framework it comes from.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/malv-model/model_file.h"

#define DEFAULT_TOLERANCE 1e-5

struct check {
    const char *model, *reference;
    double tolerance; /* 0: the reference's own, or the default */
    enum mlrt_path path;
    bool one_path;
};

struct outcome {
    double largest; /* difference */
    uint32_t same;  /* rows whose largest output is the same one */
};

static bool options_read(struct check *c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--tolerance") == 0 && i + 1 < argc) {
            char *end;
            c->tolerance = strtod(argv[++i], &end);
            if (*end || !(c->tolerance > 0) || !isfinite(c->tolerance)) {
                usage_error("--tolerance needs a number above 0");
                return false;
            }
        } else if (strcmp(argv[i], "--path") == 0) {
            c->one_path = true;
            if (!option_path(argv[i + 1], &c->path)) {
                return false;
            }
            i++;
        } else if (argv[i][0] == '-' || c->reference) {
            usage_error("check does not take \"%s\" here", argv[i]);
            return false;
        } else {
            *(c->model ? &c->reference : &c->model) = argv[i];
        }
    }
    if (!c->reference) {
        usage_error("check needs a model file and a reference");
    }
    return c->reference != NULL;
}

static struct outcome outputs_compare(const float *mine, const struct reference *reference)
{
    struct outcome outcome = {0};
    uint32_t width = reference->outputs_width;
    for (size_t i = 0; i < (size_t)reference->rows * width; i++) {
        double difference = fabs((double)mine[i] - (double)reference->outputs[i]);
        /* NaN must not pass for no difference. */
        outcome.largest = difference <= outcome.largest ? outcome.largest : difference;
    }
    for (uint32_t row = 0; row < reference->rows; row++) {
        size_t at = (size_t)row * width;
        outcome.same +=
            mlrt_largest(mine + at, width) == mlrt_largest(reference->outputs + at, width);
    }
    return outcome;
}

/* One path; true when it is within the tolerance. */
static bool path_check(const struct check *c, const struct reference *reference,
                       enum mlrt_path path)
{
    struct model_file file;
    if (!model_file_open(&file, c->model, path)) {
        return false;
    }
    if (file.model.header->inputs != reference->width ||
        file.model.header->outputs != reference->outputs_width) {
        fprintf(stderr, "malv-model: %s has %u inputs and %u outputs, %s has %u and %u\n", c->model,
                file.model.header->inputs, file.model.header->outputs, c->reference,
                reference->width, reference->outputs_width);
        model_file_close(&file);
        return false;
    }
    float *out = calloc((size_t)reference->rows * reference->outputs_width, sizeof(float));
    if (!out) {
        fputs("malv-model: there is not enough memory\n", stderr);
        exit(1);
    }
    reference_run(reference, &file, out);
    struct outcome outcome = outputs_compare(out, reference);
    bool good = outcome.largest <= c->tolerance;
    printf("%-6s  %u rows, largest difference %.3g (tolerance %.3g), same answer %u: %s\n",
           mlrt_path_name(path), reference->rows, outcome.largest, c->tolerance, outcome.same,
           good ? "ok" : "DIFFERS");
    free(out);
    model_file_close(&file);
    return good;
}

int command_check(int argc, char **argv)
{
    struct check c = {0};
    struct reference reference;
    bool good = true;
    if (!options_read(&c, argc, argv)) {
        return 2;
    }
    if (!reference_open(&reference, c.reference)) {
        return 1;
    }
    if (!reference.outputs) {
        fprintf(stderr, "malv-model: %s has no \"outputs\" to check against\n", c.reference);
        reference_close(&reference);
        return 1;
    }
    if (c.tolerance == 0) {
        c.tolerance = reference.tolerance > 0 ? (double)reference.tolerance : DEFAULT_TOLERANCE;
    }
    for (enum mlrt_path path = MLRT_SCALAR; path < MLRT_BEST; path++) {
        if (c.one_path ? path == c.path : mlrt_has_path(path)) {
            good = path_check(&c, &reference, path) && good;
        }
    }
    if (c.one_path && c.path == MLRT_BEST) {
        good = path_check(&c, &reference, mlrt_best_path());
    }
    reference_close(&reference);
    return good ? 0 : 1;
}
