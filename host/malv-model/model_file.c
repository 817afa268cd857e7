/*
 * model_file.c: see model_file.h.
 */
#include "host/malv-model/model_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/files/files.h"
#include "lib/tensorfile/tensorfile.h"

#define RUN_ROWS 64u /* rows at a time: workspaces stop growing before */

static void *memory_or_end(size_t bytes)
{
    /* A workspace is aligned to 32 bytes; its size for that is a multiple. */
    void *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!memory) {
        fputs("malv-model: there is not enough memory\n", stderr);
        exit(1);
    }
    return memory;
}

bool model_file_open(struct model_file *file, const char *name, enum mlrt_path path)
{
    memset(file, 0, sizeof(*file));
    if (!file_read(name, MLRT_FILE_MAX, &file->bytes, &file->size)) {
        return false;
    }
    int status = mlrt_open(&file->model, file->bytes, file->size, path);
    if (status != MLRT_OK) {
        fprintf(stderr, "malv-model: %s is %s\n", name, mlrt_error_text(status));
        free(file->bytes);
        return false;
    }
    file->workspace = memory_or_end(mlrt_workspace_bytes(&file->model, RUN_ROWS));
    file->state = memory_or_end(mlrt_state_bytes(&file->model));
    return true;
}

void model_file_close(struct model_file *file)
{
    free(file->state);
    free(file->workspace);
    free(file->bytes);
}

static bool reference_refuse(struct reference *reference, const char *name, const char *why)
{
    fprintf(stderr, "malv-model: %s: %s\n", name, why);
    free(reference->bytes);
    return false;
}

static bool inputs_find(struct reference *reference, const struct tensorfile *tensors)
{
    const struct tensorfile_entry *inputs = tensorfile_find(tensors, "inputs");
    if (!inputs || inputs->type != TENSORFILE_FLOAT32 || inputs->rank < 2 || inputs->rank > 3) {
        return false;
    }
    reference->inputs = tensorfile_data(tensors, inputs);
    reference->rows = inputs->shape[0];
    reference->steps = inputs->rank == 3 ? inputs->shape[1] : 1;
    reference->width = inputs->shape[inputs->rank - 1];
    return true;
}

static bool outputs_find(struct reference *reference, const struct tensorfile *tensors)
{
    const struct tensorfile_entry *outputs = tensorfile_find(tensors, "outputs");
    const struct tensorfile_entry *tolerance = tensorfile_find(tensors, "tolerance");
    if (tolerance && tolerance->type == TENSORFILE_FLOAT32) {
        reference->tolerance = *(const float *)tensorfile_data(tensors, tolerance);
    }
    if (!outputs) {
        return true;
    }
    if (outputs->type != TENSORFILE_FLOAT32 || outputs->rank != 2 ||
        outputs->shape[0] != reference->rows) {
        return false;
    }
    reference->outputs = tensorfile_data(tensors, outputs);
    reference->outputs_width = outputs->shape[1];
    return true;
}

bool reference_open(struct reference *reference, const char *name)
{
    struct tensorfile tensors;
    size_t size;
    memset(reference, 0, sizeof(*reference));
    if (!file_read(name, TENSORFILE_MAX_BYTES, &reference->bytes, &size)) {
        return false;
    }
    int status = tensorfile_open(&tensors, reference->bytes, size);
    if (status != TENSORFILE_OK) {
        return reference_refuse(reference, name, tensorfile_error_text(status));
    }
    if (!inputs_find(reference, &tensors)) {
        return reference_refuse(
            reference, name, "it has no float32 \"inputs\" [rows][width] or [rows][steps][width]");
    }
    return outputs_find(reference, &tensors) ||
           reference_refuse(reference, name, "its \"outputs\" are not float32 [rows][width]");
}

void reference_close(struct reference *reference)
{
    free(reference->bytes);
}

void reference_run(const struct reference *reference, const struct model_file *file, float *out)
{
    size_t row_floats = (size_t)reference->steps * reference->width;
    for (uint32_t first = 0; first < reference->rows; first += RUN_ROWS) {
        uint32_t rows = reference->rows - first < RUN_ROWS ? reference->rows - first : RUN_ROWS;
        mlrt_run_steps(&file->model, reference->inputs + first * row_floats, rows, reference->steps,
                       NULL, out + (size_t)first * file->model.header->outputs, file->workspace);
    }
}

int usage_error(const char *format, ...)
{
    va_list args;
    fputs("malv-model: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; malv-model --help explains\n", stderr);
    return 2;
}

bool option_number(const char *option, const char *text, unsigned long least, unsigned long most,
                   uint32_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = text && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (!end || *end || errno || value < least || value > most) {
        usage_error("%s needs a number from %lu to %lu", option, least, most);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool option_path(const char *text, enum mlrt_path *out)
{
    for (enum mlrt_path path = MLRT_SCALAR; path <= MLRT_BEST; path++) {
        if (text && strcmp(text, mlrt_path_name(path)) == 0) {
            *out = path;
            return true;
        }
    }
    usage_error("--path needs scalar, sse2, avx2 or best");
    return false;
}
