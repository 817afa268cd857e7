/*
 * device.c: a model on the device. Inputs and outputs are pages of this machine that the device
 * uses in place; weights and what lies between layers are the device's own memory.
 */
#include <microlake/memory.h>
#include <microlake/time.h>

#include "batch.h"

#define COMMAND_BYTES 32768u
#define CHUNK_NUMBERS 4096u /* of weights that are laid out at once */
#define LEAST_WAIT_NS NS_PER_SEC
#define WAIT_FACTOR   32u /* longer than so many times what it should take: something is wrong */

static uint32_t row_bytes(const struct batch_device *d, bool out)
{
    const struct mlrt_header *h = d->view->model.header;

    return (out ? h->outputs : h->inputs * d->steps) * (uint32_t)sizeof(float);
}

/* Runs commands, and waits. */
static int commands_run(struct batch_device *d, const struct gpucmd *c, uint64_t wait_ns)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    struct vgpgpu_submit *batch;
    uint64_t fence;
    int r;

    if (c->failed)
        return ERR_LIMIT;
    if (c->used == 0)
        return OK;
    batch = gpu_batch_alloc(d->ctx, c->used);
    if (!batch)
        return ERR_NO_MEMORY;
    memcpy(batch + 1, c->out, c->used);
    r = gpu_submit(d->ctx, 0, batch, 0, &fence);
    if (r == OK)
        r = gpu_fence_wait(d->ctx, 0, fence, time_now() + wait_ns, 0, &failed);
    return r == OK ? gpu_status(failed) : r;
}

static void *commands_alloc(struct gpucmd *c)
{
    void *room = kmalloc(COMMAND_BYTES);

    gpucmd_begin(c, room, COMMAND_BYTES);
    return room;
}

/* The weights go over a guest buffer, a chunk after the other. */
static int weights_chunk(struct batch_device *d, uint32_t staging, uint32_t *at, uint32_t first,
                         uint32_t count)
{
    struct gpucmd c;
    uint8_t room[sizeof(struct vgpgpu_cmd_copy)] __attribute__((aligned(8)));

    mlrt_gpu_weights(&d->gpu, first, count, at);
    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_copy(&c, staging, 0, d->buffers.weights, first * 4ull, count * 4ull);
    return commands_run(d, &c, LEAST_WAIT_NS * 10);
}

static int weights_send(struct batch_device *d)
{
    uint32_t numbers = d->gpu.weight_bytes / 4, staging;
    uint64_t run;
    int r = gpu_buffer_create(d->ctx, CHUNK_NUMBERS * 4, VGPGPU_BUFFER_GUEST, &staging);
    uint32_t *at = r == OK ? gpu_buffer_at(d->ctx, staging, 0, &run) : NULL;
    uint32_t chunk;

    if (r != OK)
        return r;
    chunk = (uint32_t)MIN(run / 4, (uint64_t)CHUNK_NUMBERS);
    for (uint32_t first = 0; first < numbers && r == OK; first += chunk)
        r = weights_chunk(d, staging, at, first, MIN(chunk, numbers - first));
    gpu_object_destroy(d->ctx, GPU_BUFFER, staging);
    return r;
}

static int prepare(struct batch_device *d)
{
    struct gpucmd c;
    void *room = commands_alloc(&c);
    int r = ERR_NO_MEMORY;

    if (room) {
        mlrt_gpu_prepare(&d->gpu, d->buffers.weights, &c);
        r = commands_run(d, &c, LEAST_WAIT_NS * 10);
    }
    kfree(room);
    return r;
}

static int buffers_create(struct batch_device *d)
{
    uint64_t area = mlrt_gpu_area_bytes(&d->gpu, d->rows_max, d->steps);
    struct mlrt_gpu_buffers *b = &d->buffers;
    const struct {
        uint64_t bytes;
        uint32_t flags, *id;
    } wanted[] = {
        {d->gpu.weight_bytes, VGPGPU_BUFFER_DEVICE, &b->weights},
        {(uint64_t)d->rows_max * row_bytes(d, false), VGPGPU_BUFFER_GUEST, &b->in},
        {(uint64_t)d->rows_max * row_bytes(d, true), VGPGPU_BUFFER_GUEST, &b->out},
        {area, VGPGPU_BUFFER_DEVICE, &b->areas[0]},
        {area, VGPGPU_BUFFER_DEVICE, &b->areas[1]},
    };
    int r = OK;

    for (unsigned i = 0; i < ARRAY_SIZE(wanted) && r == OK; i++)
        r = gpu_buffer_create(d->ctx, wanted[i].bytes, wanted[i].flags, wanted[i].id);
    return r;
}

static int device_start(struct batch_device *d, const char **why)
{
    struct vgpgpu_config config;
    int r = gpu_device_info(0, &config);

    if (r != OK)
        return r;
    *why = mlrt_gpu_plan(&d->gpu, &d->view->model, config.operations);
    if (*why)
        return ERR_UNSUPPORTED;
    r = gpu_context_open(0, &d->ctx);
    if (r == OK)
        r = buffers_create(d);
    if (r == OK)
        r = weights_send(d);
    return r == OK ? prepare(d) : r;
}

int device_create(struct models_view *view, uint32_t rows_max, uint32_t steps,
                  struct batch_device **out, const char **why)
{
    struct batch_device *d = kzalloc(sizeof(*d));
    int r;

    *why = NULL;
    if (!d)
        return ERR_NO_MEMORY;
    d->view = view;
    d->rows_max = rows_max;
    d->steps = steps;
    r = device_start(d, why);
    if (r == OK) {
        *out = d;
        return OK;
    }
    if (d->ctx)
        gpu_context_close(d->ctx);
    kfree(d);
    return r;
}

void device_close(struct batch_device *device)
{
    gpu_context_close(device->ctx);
    models_put(device->view);
    kfree(device);
}

/* Copies between the caller's rows and a guest buffer's pages. */
static void rows_copy(const struct batch_device *d, bool out, uint32_t row, float *rows,
                      uint32_t count)
{
    uint64_t at = (uint64_t)row * row_bytes(d, out), end = at + (uint64_t)count * row_bytes(d, out);
    uint8_t *mine = (uint8_t *)rows;
    uint64_t run;

    for (; at < end; at += run, mine += run) {
        void *theirs = gpu_buffer_at(d->ctx, out ? d->buffers.out : d->buffers.in, at, &run);

        run = MIN(run, end - at);
        if (out)
            memcpy(mine, theirs, run);
        else
            memcpy(theirs, mine, run);
    }
}

void device_put(struct batch_device *device, uint32_t row, const float *in, uint32_t count)
{
    rows_copy(device, false, row, (float *)in, count);
}

void device_get(const struct batch_device *device, uint32_t row, float *out, uint32_t count)
{
    rows_copy(device, true, row, out, count);
}

/* Whole classes only, so that few shapes are to be made ready by the device: what lies in the rest
 * of the rows does not matter. */
int device_run(struct batch_device *device, uint32_t rows, uint64_t expected_ns)
{
    struct gpucmd c;
    void *room = commands_alloc(&c);
    int r = ERR_NO_MEMORY;

    if (room) {
        mlrt_gpu_run(&device->gpu, &device->buffers, 1u << crossing_class(rows), device->steps, &c);
        r = commands_run(device, &c, MAX(LEAST_WAIT_NS, expected_ns * WAIT_FACTOR));
    }
    kfree(room);
    return r;
}
