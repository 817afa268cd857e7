/*
 * command_time.c: malv-model time: how long an inference takes here, for benchmarks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/malv-model/model_file.h"

#define ROUNDS     9
#define ROUND_NS   20000000.0 /* how long a round should last */
#define BATCH_MOST 4096u

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double round_ns(const struct model_file *file, const float *in, uint32_t batch,
                       uint64_t runs, float *out)
{
    double start = now_ns();
    for (uint64_t i = 0; i < runs; i++) {
        mlrt_run(&file->model, in, batch, out, file->workspace);
    }
    return (now_ns() - start) / ((double)runs * batch);
}

/* Nanoseconds a row: the median of ROUNDS rounds, each long enough for the clock. */
static double row_ns(const struct model_file *file, uint32_t batch)
{
    size_t inputs = file->model.header->inputs, outputs = file->model.header->outputs;
    float *in = calloc(batch * inputs, sizeof(float)),
          *out = calloc(batch * outputs, sizeof(float));
    double rounds[ROUNDS];
    if (!in || !out) {
        fputs("malv-model: there is not enough memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < batch * inputs; i++) {
        in[i] = (float)(i * 7919 % 1000) / 500 - 1;
    }
    double once = round_ns(file, in, batch, 10, out) * batch;
    uint64_t runs = (uint64_t)(ROUND_NS / once) + 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        rounds[i] = round_ns(file, in, batch, runs, out);
    }
    qsort(rounds, ROUNDS, sizeof(*rounds), compare);
    free(in);
    free(out);
    return rounds[ROUNDS / 2];
}

int command_time(int argc, char **argv)
{
    struct model_file file;
    enum mlrt_path path = MLRT_BEST;
    uint32_t batch = 1;
    const char *name = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--batch") == 0) {
            if (!option_number(argv[i], argv[i + 1], 1, BATCH_MOST, &batch)) {
                return 2;
            }
            i++;
        } else if (strcmp(argv[i], "--path") == 0) {
            if (!option_path(argv[i + 1], &path)) {
                return 2;
            }
            i++;
        } else if (argv[i][0] == '-' || name) {
            return usage_error("time does not take \"%s\" here", argv[i]);
        } else {
            name = argv[i];
        }
    }
    if (!name) {
        return usage_error("time needs a model file");
    }
    if (!model_file_open(&file, name, path)) {
        return 1;
    }
    printf("%.1f ns a row\n", row_ns(&file, batch));
    model_file_close(&file);
    return 0;
}
