/*
 * model_file.h: models and references from files, for malv-model's commands. Errors are said in one
 * line on standard error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mlrt/mlrt.h"

struct model_file {
    uint8_t *bytes;
    size_t size;
    struct mlrt_model model;
    void *workspace; /* for as many rows as there may be */
    void *state;     /* of one row */
};

/* Opens a model for `path`; model_file_close() ends it. */
bool model_file_open(struct model_file *file, const char *name, enum mlrt_path path);
void model_file_close(struct model_file *file);

/* A tensor file with `inputs` [rows][width] or [rows][steps][width], and maybe `outputs`
 * [rows][...]. */
struct reference {
    uint8_t *bytes;
    const float *inputs, *outputs; /* outputs: NULL where there are none */
    uint32_t rows, steps, width, outputs_width;
    float tolerance; /* tensor `tolerance` [1]; 0 where there is none */
};

bool reference_open(struct reference *reference, const char *name);
void reference_close(struct reference *reference);

/* Every row through the model, all its steps; `out` has room for rows * outputs. */
void reference_run(const struct reference *reference, const struct model_file *file, float *out);

/* The command line of each command, from the word behind its name on; the exit status comes back.
 */
int command_convert(int argc, char **argv);
int command_info(int argc, char **argv);
int command_check(int argc, char **argv);
int command_time(int argc, char **argv);

/* One line on standard error, and the status of wrong usage. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The number behind an option. False: it is none from `least` to `most`; that is said. */
bool option_number(const char *option, const char *text, unsigned long least, unsigned long most,
                   uint32_t *out);
bool option_path(const char *text, enum mlrt_path *out);
