/*
 * net.c: see net.h.
 */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/bench-common/bench.h"

enum kernel { FORWARD, BACKWARD, GRADIENT, UPDATE, LOSS, KERNELS };

static const char *const kernel_names[KERNELS] = {"forward", "backward", "gradient", "update", "loss"};

/* in: rows x n, weights: n x m, out: rows x m. Shifts keep numbers small. */
static const char source[] =
    "__kernel void forward(__global const int *in, __global const int *w, __global int *out, int n, int m)"
    "{ int j = get_global_id(0), r = get_global_id(1), sum = 0;"
    "  for (int k = 0; k < n; k++) sum += in[r * n + k] * w[k * m + j];"
    "  sum >>= 8; out[r * m + j] = sum > 0 ? sum & 0xfff : 0; }\n"
    "__kernel void backward(__global const int *err, __global const int *w, __global const int *in,"
    "                       __global int *out, int n, int m)"
    "{ int k = get_global_id(0), r = get_global_id(1), sum = 0;"
    "  for (int j = 0; j < m; j++) sum += err[r * m + j] * w[k * m + j];"
    "  out[r * n + k] = in[r * n + k] ? (sum >> 8) % 1024 : 0; }\n"
    "__kernel void gradient(__global const int *in, __global const int *err, __global int *g, int n, int m,"
    "                       int rows, int add)"
    "{ int j = get_global_id(0), k = get_global_id(1), sum = add ? g[k * m + j] : 0;"
    "  for (int r = 0; r < rows; r++) sum += in[r * n + k] * err[r * m + j];"
    "  g[k * m + j] = sum; }\n"
    "__kernel void update(__global int *w, __global int *v, __global const int *g)"
    "{ int i = get_global_id(0); v[i] = v[i] / 2 + (g[i] >> 12); w[i] = (w[i] - v[i]) % 256 + (i % 7) - 3; }\n"
    "__kernel void loss(__global const int *out, __global int *err)"
    "{ int i = get_global_id(0); err[i] = (out[i] & 255) - i % 100; }\n";

const struct net_shape net_shapes[] = {
    {.name = "mlp", .layers = 10, .width = {256, 320, 256, 384, 256, 256, 320, 256, 256, 192, 64}, .rows = 32, .trains = true},
    {.name = "deep", .layers = 18, .width = {128, 160, 160, 128, 192, 128, 128, 160, 224, 128, 128, 160, 160, 128, 192, 128, 96, 128, 64}, .rows = 96, .trains = true},
    {.name = "recurrent", .layers = 3, .width = {192, 192, 192, 192}, .rows = 96, .length = 8, .trains = true},
    {.name = "infer", .layers = 20, .width = {256, 256, 256, 320, 256, 256, 192, 256, 256, 256, 256, 256, 320, 256, 256, 192, 256, 256, 256, 256, 64}, .rows = 4},
    {.name = "infer-batches", .layers = 14, .width = {192, 256, 256, 256, 320, 256, 256, 256, 192, 256, 256, 256, 256, 256, 64}, .rows = 8, .changing = 4},
    {.name = NULL},
};

/* ---- Work -------------------------------------------------------------------------------------- */

static void submit(struct net *net, struct malv_batch *batch)
{
    bench_check(malv_submit(net->device, 0, batch, &net->fence), "submit");
    malv_batch_free(batch);
}

static void launch(struct net *net, enum kernel kernel, const struct malv_arg *args, unsigned count,
                   unsigned across, unsigned down)
{
    const uint64_t global[2] = {across, down};
    struct malv_batch batch;

    malv_batch_init(&batch);
    malv_batch_launch(&batch, net->kernels[kernel], 2, global, NULL, args, count);
    submit(net, &batch);
}

static void net_wait(struct net *net)
{
    bench_check(malv_wait(net->device, 0, net->fence, UINT64_MAX), "work");
}

#define READS(b)  malv_arg_buffer_as((b), 0, MALV_ARG_READ)
#define FILLS(b)  malv_arg_buffer_as((b), 0, MALV_ARG_OVERWRITE)
#define NUMBER(n) malv_arg_value(&(n), sizeof(n))

static void forward(struct net *net, const struct malv_buffer *in, unsigned layer, const struct malv_buffer *out,
                    unsigned rows)
{
    const unsigned n = net->shape->width[layer], m = net->shape->width[layer + 1];
    const bool whole = rows * m * 4ull == out->size;
    const struct malv_arg args[] = {READS(in), READS(&net->weights[layer]), whole ? FILLS(out) : malv_arg_buffer(out, 0),
                                    NUMBER(n), NUMBER(m)};

    launch(net, FORWARD, args, 5, m, rows);
}

static void backward(struct net *net, const struct malv_buffer *in, unsigned layer, const struct malv_buffer *from,
                     const struct malv_buffer *to, bool add)
{
    const unsigned n = net->shape->width[layer], m = net->shape->width[layer + 1], rows = net->shape->rows;
    const unsigned adds = add;
    struct malv_buffer *grad = &net->grads[layer];
    const struct malv_arg gradient[] = {READS(in),    READS(from), add ? malv_arg_buffer(grad, 0) : FILLS(grad),
                                        NUMBER(n),    NUMBER(m),   NUMBER(rows),
                                        NUMBER(adds)};
    const struct malv_arg error[] = {READS(from), READS(&net->weights[layer]), READS(in), FILLS(to), NUMBER(n), NUMBER(m)};

    launch(net, GRADIENT, gradient, 7, m, n);
    launch(net, BACKWARD, error, 6, n, rows);
}

static void update(struct net *net, unsigned layer)
{
    const struct malv_arg args[] = {malv_arg_buffer(&net->weights[layer], 0),
                                    malv_arg_buffer(&net->momenta[layer], 0), READS(&net->grads[layer])};

    launch(net, UPDATE, args, 3, net->shape->width[layer] * net->shape->width[layer + 1], 1);
}

/* ---- A step ------------------------------------------------------------------------------------ */

static void data_bring(struct net *net, unsigned number, unsigned rows)
{
    const unsigned count = net->shape->width[0] * rows;
    int32_t *data = net->staging.memory;
    struct malv_batch batch;

    for (unsigned i = 0; i < count; i++)
        data[i] = (int32_t)((i * 2654435761u + number * 40503u) >> 22);
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &net->staging, 0, &net->acts[0], 0, count * 4ull);
    submit(net, &batch);
}

/* Activation `at` is what the at-th use of a matrix reads. */
static unsigned layer_of(const struct net *net, unsigned at)
{
    return net->shape->length ? at / net->shape->length : at;
}

static void train(struct net *net)
{
    unsigned uses = net->acts_count - 1, last = layer_of(net, uses - 1);
    const struct malv_buffer *out = &net->acts[uses];
    const struct malv_arg loss[] = {READS(out), FILLS(&net->errors[0])};

    for (unsigned at = 0; at < uses; at++)
        forward(net, &net->acts[at], layer_of(net, at), &net->acts[at + 1], net->shape->rows);
    launch(net, LOSS, loss, 2, net->shape->rows * net->shape->width[net->shape->layers], 1);
    for (unsigned at = uses; at-- > 0;) {
        unsigned layer = layer_of(net, at), back = uses - 1 - at;

        backward(net, &net->acts[at], layer, &net->errors[back % 2], &net->errors[(back + 1) % 2],
                 at + 1 < uses && layer == layer_of(net, at + 1));
    }
    for (unsigned layer = 0; layer <= last; layer++)
        update(net, layer);
}

void net_step(struct net *net, unsigned number)
{
    static const unsigned order[] = {1, 3, 2, 1, 4, 2, 3, 1, 2, 4};
    const struct net_shape *s = net->shape;
    unsigned rows = s->rows;

    if (s->changing > 1)
        rows *= (order[number % 10] - 1) % s->changing + 1;
    data_bring(net, number, rows);
    if (s->trains)
        train(net);
    else
        for (unsigned at = 0; at + 1 < net->acts_count; at++)
            forward(net, &net->acts[at], layer_of(net, at), &net->acts[at + 1], rows);
    net_wait(net);
}

/* ---- Life -------------------------------------------------------------------------------------- */

static void managed(struct net *net, uint64_t numbers, struct malv_buffer *out)
{
    bench_check(malv_buffer_create(net->device, numbers * 4, MALV_BUFFER_MANAGED, out), "buffer");
    net->bytes += numbers * 4;
}

static void weights_fill(struct net *net, unsigned layer, unsigned count)
{
    int32_t *numbers = net->staging.memory;
    struct malv_batch batch;

    for (unsigned i = 0; i < count; i++)
        numbers[i] = (int32_t)((i * 2246822519u + layer * 97u) >> 26) - 30;
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &net->staging, 0, &net->weights[layer], 0, count * 4ull);
    submit(net, &batch);
    net_wait(net);
}

static void kernels_build(struct net *net)
{
    static char log[4096];
    uint32_t program;
    int r = malv_program_build(net->device, VGPGPU_PROGRAM_OPENCL_C, source, sizeof(source) - 1, NULL, log,
                               sizeof(log), &program);

    if (r != 0)
        fprintf(stderr, "%s\n", log);
    bench_check(r, "build");
    for (unsigned i = 0; i < KERNELS; i++)
        bench_check(malv_kernel_create(net->device, program, kernel_names[i], &net->kernels[i], NULL), "kernel");
}

void net_open(struct net *net, const struct net_shape *s)
{
    unsigned widest = 0, most = s->rows * (s->changing > 1 ? s->changing : 1);

    memset(net, 0, sizeof(*net));
    net->shape = s;
    bench_check(malv_device_open(NULL, &net->device), "open");
    kernels_build(net);
    for (unsigned i = 0; i <= s->layers; i++)
        widest = s->width[i] > widest ? s->width[i] : widest;
    bench_check(malv_buffer_create(net->device, (widest > most ? widest : most) * widest * 4ull, VGPGPU_BUFFER_GUEST,
                                   &net->staging),
                "buffer");
    bench_check(malv_buffer_map(net->device, &net->staging), "map");
    for (unsigned i = 0; i < s->layers; i++) {
        unsigned count = s->width[i] * s->width[i + 1];

        managed(net, count, &net->weights[i]);
        weights_fill(net, i, count);
        if (s->trains) {
            managed(net, count, &net->grads[i]);
            managed(net, count, &net->momenta[i]);
        }
    }
    net->acts_count = s->layers * (s->length ? s->length : 1) + 1;
    for (unsigned at = 0; at < net->acts_count; at++)
        managed(net, (uint64_t)most * s->width[s->length ? (at + s->length - 1) / s->length : at], &net->acts[at]);
    for (unsigned i = 0; i < 2 && s->trains; i++)
        managed(net, (uint64_t)s->rows * widest, &net->errors[i]);
}

uint64_t net_checksum(struct net *net)
{
    uint64_t sum = 14695981039346656037ull;

    for (unsigned i = 0; i <= net->shape->layers; i++) {
        const struct malv_buffer *b = i ? &net->weights[i - 1] : &net->acts[net->acts_count - 1];
        struct malv_batch batch;

        malv_batch_init(&batch);
        malv_batch_copy(&batch, b, 0, &net->staging, 0, b->size);
        submit(net, &batch);
        net_wait(net);
        for (uint64_t k = 0; k < b->size; k++)
            sum = (sum ^ ((const uint8_t *)net->staging.memory)[k]) * 1099511628211ull;
    }
    return sum;
}

void net_close(struct net *net)
{
    malv_buffer_unmap(&net->staging);
    malv_device_close(net->device);
}
