/*
 * batch_native.c: how long batches of small models take: mlrt on the host's processor, and the same
 * model as built-in operations through gpud, by turns in the same run. Rows
 * batch_native_MODEL_ROWS, the value being the device's time and the baseline the processor's:
 * medians, in microseconds. What the device gives must be what mlrt gives, within TOLERANCE.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bench/native/native.h"
#include "lib/mlrt/gpu.h"
#include "lib/mlrt/mlrt.h"

#define MEMORY       (64ull << 20)
#define ROWS_MAX     4096u
#define TURNS        31u
#define WARM_UP      5u
#define SPIN_US      50
#define TOLERANCE    2e-5
#define NUMBERS_MAX  (ROWS_MAX * 64u)
#define COMMANDS_MAX 16384u

static const char *const models[] = {"net_31_256_2", "net_31_256_256_256_2", "net_15_10_1",
                                     "net_5_15_5_4", "torch_lstm"};

static struct native *machine;
static uint32_t buffer_count;

/* A model on both sides. */
struct scene {
    struct mlrt_model model;
    struct mlrt_gpu gpu;
    struct mlrt_gpu_buffers buffers;
    uint32_t steps;
    float *there_in, *there_out; /* the device's, as this side sees them */
    float *in, *out;
    void *workspace;
};

static void *file_read(const char *name, size_t *size)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof(path), "build/models/%s.mlm", name);
    FILE *file = fopen(path, "rb");
    native_check(file && fstat(fileno(file), &info) == 0, path);
    *size = (size_t)info.st_size;
    void *bytes = malloc(*size);
    native_check(bytes && fread(bytes, 1, *size, file) == *size, path);
    fclose(file);
    return bytes;
}

static void *buffer(uint64_t bytes, uint32_t *id)
{
    *id = ++buffer_count;
    return native_buffer(machine, *id, bytes);
}

static void commands_run(struct gpucmd *c, uint8_t *bytes)
{
    native_check(!c->failed, "commands");
    if (c->used == 0)
        return;
    front_submit(machine->front, NATIVE_CONTEXT, NATIVE_QUEUE, ++machine->fence, bytes, c->used);
    native_check(
        !front_wait(machine->front, machine->slot, machine->fence, SPIN_US, NATIVE_WAIT_MS),
        "gpud: work within a minute");
    native_check(!machine->slot->status, "gpud: work");
}

static void scene_open(struct scene *s, const char *name)
{
    static uint8_t commands[COMMANDS_MAX] __attribute__((aligned(8)));
    struct gpucmd c;
    size_t size;
    void *bytes = file_read(name, &size);
    native_check(mlrt_open(&s->model, bytes, size, MLRT_BEST) == MLRT_OK, name);
    const char *problem = mlrt_gpu_plan(&s->gpu, &s->model, machine->front->config.operations);
    native_check(!problem, problem ? problem : name);
    s->steps = s->gpu.cells ? 8 : 1;
    uint32_t inputs = s->model.header->inputs * s->steps, outputs = s->model.header->outputs;
    uint64_t area = mlrt_gpu_area_bytes(&s->gpu, ROWS_MAX, s->steps);
    uint32_t *weights = buffer(s->gpu.weight_bytes, &s->buffers.weights);
    mlrt_gpu_weights(&s->gpu, 0, s->gpu.weight_bytes / 4, weights);
    s->there_in = buffer((uint64_t)ROWS_MAX * inputs * 4, &s->buffers.in);
    s->there_out = buffer((uint64_t)ROWS_MAX * outputs * 4, &s->buffers.out);
    buffer(area, &s->buffers.areas[0]);
    buffer(area, &s->buffers.areas[1]);
    s->in = malloc((size_t)ROWS_MAX * inputs * 4);
    s->out = malloc((size_t)ROWS_MAX * outputs * 4);
    s->workspace = aligned_alloc(64, (mlrt_workspace_bytes(&s->model, ROWS_MAX) + 63) / 64 * 64);
    native_check(s->in && s->out && s->workspace, "memory");
    srand(7);
    for (uint32_t i = 0; i < ROWS_MAX * inputs; i++)
        s->in[i] = (float)(rand() % 2001 - 1000) / 500.0f;
    gpucmd_begin(&c, commands, sizeof(commands));
    mlrt_gpu_prepare(&s->gpu, s->buffers.weights, &c);
    commands_run(&c, commands);
}

static void here_run(struct scene *s, uint32_t rows)
{
    mlrt_run_steps(&s->model, s->in, rows, s->steps, NULL, s->out, s->workspace);
}

/* With the copies that a caller with memory of its own has. */
static void there_run(struct scene *s, uint32_t rows, float *out)
{
    static uint8_t commands[COMMANDS_MAX] __attribute__((aligned(8)));
    const struct mlrt_header *h = s->model.header;
    struct gpucmd c;
    memcpy(s->there_in, s->in, (size_t)rows * s->steps * h->inputs * 4);
    gpucmd_begin(&c, commands, sizeof(commands));
    mlrt_gpu_run(&s->gpu, &s->buffers, rows, s->steps, &c);
    commands_run(&c, commands);
    memcpy(out, s->there_out, (size_t)rows * h->outputs * 4);
}

static void difference_check(const struct scene *s, const char *name, uint32_t rows,
                             const float *out)
{
    double largest = 0;
    for (uint32_t i = 0; i < rows * s->model.header->outputs; i++)
        largest = fmax(largest, fabs((double)out[i] - (double)s->out[i]));
    if (largest > TOLERANCE)
        fprintf(stderr, "batch-native: %s, %u rows: %.2e off\n", name, rows, largest);
    native_check(largest <= TOLERANCE, "the same results on both ways");
}

static void rows_measure(struct scene *s, const char *name, uint32_t rows)
{
    static double there[TURNS], here[TURNS];
    static float out[NUMBERS_MAX];
    char row[96];
    for (unsigned i = 0; i < WARM_UP; i++) {
        here_run(s, rows);
        there_run(s, rows, out);
    }
    difference_check(s, name, rows, out);
    for (unsigned i = 0; i < TURNS; i++) {
        double start = native_now_us(), middle;
        here_run(s, rows);
        middle = native_now_us();
        there_run(s, rows, out);
        here[i] = middle - start;
        there[i] = native_now_us() - middle;
    }
    snprintf(row, sizeof(row), "batch_native_%s_%u", name, rows);
    native_row(row, "mlrt on the host's CPU", there, here, TURNS);
}

static void measure(struct native *n)
{
    machine = n;
    for (unsigned i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        struct scene s = {.steps = 1};
        scene_open(&s, models[i]);
        for (uint32_t rows = 1; rows <= ROWS_MAX; rows *= 2)
            rows_measure(&s, models[i], rows);
    }
}

int main(int argc, char **argv)
{
    return native_main(argc, argv, MEMORY, measure);
}
