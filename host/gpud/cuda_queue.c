/*
 * cuda_queue.c: runs batches on a stream. A batch's end is a callback in the stream, which comes
 * after errors too; it may not call the driver, and does not.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "device_cuda.h"

#define USUAL_GROUP 256u /* work-items of a work-group, when the device chooses */

/* A batch whose end is awaited, or the end of what is before a signal in it. */
struct batch {
    device_done done; /* or a device_reached */
    void *token;
    uint64_t start_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cuda_queue_begin(struct device_queue *queue)
{
    if (!queue->start_ns)
        queue->start_ns = now_ns();
}

uint32_t cuda_queue_create(struct device_context *context, struct device_queue **out)
{
    struct device_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return VGPGPU_ERR_NO_MEMORY;
    queue->context = context;
    cuda_enter(context);
    uint32_t status = cuda_status(cuda.stream_create(&queue->stream, CUDA_STREAM_NON_BLOCKING));
    cuda_leave();
    if (status)
        free(queue);
    else
        *out = queue;
    return status;
}

void cuda_queue_destroy(struct device_queue *queue)
{
    cuda_enter(queue->context);
    cuda.stream_wait(queue->stream);
    if (queue->blas)
        cublas.destroy(queue->blas);
    cuda.stream_destroy(queue->stream);
    cuda_leave();
    free(queue);
}

/* A kernel may take fewer than others, for what registers it needs. */
static size_t usual_group(const struct device_kernel *kernel)
{
    return kernel->most_items && kernel->most_items < USUAL_GROUP ? kernel->most_items : USUAL_GROUP;
}

/* Work-groups along each axis. CUDA launches whole ones only. */
static uint32_t grid_make(const struct device_launch *launch, unsigned grid[3], unsigned group[3])
{
    static const size_t most[3] = {INT32_MAX, 65535, 65535};
    for (unsigned i = 0; i < 3; i++) {
        size_t global = i < launch->dimensions ? launch->global[i] : 1, local = launch->local[i];
        if (!launch->local[0] && i == 0)
            for (local = usual_group(launch->kernel); global % local; local--)
                ;
        if (!local)
            local = 1;
        if (global % local || global / local > most[i] || local > 1024)
            return VGPGPU_ERR_EXEC;
        grid[i] = (unsigned)(global / local);
        group[i] = (unsigned)local;
    }
    return VGPGPU_OK;
}

uint32_t cuda_launch(struct device_queue *queue, const struct device_launch *launch, bool last)
{
    const struct device_kernel *kernel = launch->kernel;
    cuda_pointer places[VGPGPU_MAX_ARGS];
    void *arguments[VGPGPU_MAX_ARGS];
    unsigned grid[3], group[3];
    uint32_t status = grid_make(launch, grid, group);
    (void)last;
    for (unsigned i = 0; i < launch->arg_count && !status; i++) {
        const struct device_arg *arg = &launch->args[i];
        bool pointer = arg->kind == VGPGPU_ARG_BUFFER;
        if (pointer)
            places[i] = arg->buffer->place + arg->offset;
        else if (arg->size != kernel->params[i].bytes)
            status = VGPGPU_ERR_EXEC;
        arguments[i] = pointer ? (void *)&places[i] : (void *)(uintptr_t)arg->value;
    }
    if (status)
        return status;
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    status = cuda_status(cuda.launch(kernel->handle, grid[0], grid[1], grid[2], group[0], group[1],
                                     group[2], 0, queue->stream, arguments, NULL));
    cuda_leave();
    return status;
}

/* Rows so far apart that the driver has no number for it: there are few of them. */
static cuda_result far_rows_copy(struct device_queue *queue, const struct cuda_copy_2d *rows)
{
    cuda_result result = 0;
    for (size_t i = 0; i < rows->rows && !result; i++)
        result = cuda.copy(rows->target + i * rows->target_pitch, rows->source + i * rows->source_pitch,
                           rows->width, queue->stream);
    return result;
}

static bool is_far(const struct cuda_copy_2d *rows)
{
    return rows->source_pitch > CUDA_MAX_PITCH || rows->target_pitch > CUDA_MAX_PITCH;
}

uint32_t cuda_copy(struct device_queue *queue, const struct device_copy *copy, bool last)
{
    cuda_pointer source = copy->source->place + copy->source_offset,
                 target = copy->target->place + copy->target_offset;
    const struct cuda_copy_2d rows = {.source_kind = CUDA_MEMORY_UNIFIED,
                                      .source = source,
                                      .source_pitch = copy->source_pitch,
                                      .target_kind = CUDA_MEMORY_UNIFIED,
                                      .target = target,
                                      .target_pitch = copy->target_pitch,
                                      .width = copy->length,
                                      .rows = copy->rows};
    (void)last;
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    cuda_result result = copy->rows == 1 ? cuda.copy(target, source, copy->length, queue->stream)
                         : is_far(&rows) ? far_rows_copy(queue, &rows)
                                         : cuda.copy_2d(&rows, queue->stream);
    cuda_leave();
    return cuda_status(result);
}

/* Patterns of 4 bytes and more go word by word: each word is a column as wide as itself. */
static cuda_result words_fill(struct device_queue *queue, cuda_pointer target,
                              const struct device_fill *fill)
{
    cuda_result result = 0;
    for (uint32_t at = 0; at < fill->pattern_bytes && !result; at += 4) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)fill->pattern + at, sizeof(word));
        result = cuda.fill_2d_32(target + at, fill->pattern_bytes, word, 1,
                                 fill->length / fill->pattern_bytes, queue->stream);
    }
    return result;
}

uint32_t cuda_fill(struct device_queue *queue, const struct device_fill *fill, bool last)
{
    cuda_pointer target = fill->target->place + fill->offset;
    uint16_t half = 0;
    cuda_result result;
    (void)last;
    memcpy(&half, fill->pattern, fill->pattern_bytes == 1 ? 1 : sizeof(half));
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    if (fill->pattern_bytes == 1)
        result = cuda.fill_8(target, (unsigned char)half, fill->length, queue->stream);
    else if (fill->pattern_bytes == 2)
        result = cuda.fill_16(target, half, fill->length / 2, queue->stream);
    else
        result = words_fill(queue, target, fill);
    cuda_leave();
    return cuda_status(result);
}

static void batch_ended(cuda_stream stream, cuda_result result, void *data)
{
    struct batch *batch = data;
    (void)stream;
    batch->done(batch->token, cuda_status(result), batch->start_ns, now_ns());
    free(batch);
}

uint32_t cuda_signal(struct device_queue *queue, device_reached reached, void *token)
{
    struct batch *batch = malloc(sizeof(*batch));
    if (!batch)
        return VGPGPU_ERR_NO_MEMORY;
    cuda_queue_begin(queue);
    *batch = (struct batch){.done = reached, .token = token, .start_ns = queue->start_ns};
    cuda_enter(queue->context);
    uint32_t status = cuda_status(cuda.stream_callback(queue->stream, batch_ended, batch, 0));
    cuda_leave();
    if (status)
        free(batch);
    return status;
}

bool cuda_batch_end(struct device_queue *queue, bool may_run, device_done done, void *token)
{
    struct batch *batch = malloc(sizeof(*batch));
    (void)may_run; /* the GPU does it */
    cuda_queue_begin(queue);
    uint64_t start_ns = queue->start_ns;
    queue->start_ns = 0;
    cuda_enter(queue->context);
    cuda_result result = CUDA_OUT_OF_MEMORY;
    if (batch) {
        *batch = (struct batch){.done = done, .token = token, .start_ns = start_ns};
        result = cuda.stream_callback(queue->stream, batch_ended, batch, 0);
    }
    if (result) {
        /* Nobody will tell: wait here. */
        cuda_result ended = cuda.stream_wait(queue->stream);
        free(batch);
        done(token, cuda_status(ended ? ended : result), start_ns, now_ns());
    }
    cuda_leave();
    return false;
}
