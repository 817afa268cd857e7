/*
 * cuda_queue.c: runs batches on a stream. A batch's end is a callback in the stream, which comes
 * after errors too; it may not call the driver, and does not.
 */
#include <stdlib.h>
#include <string.h>
#include "device_cuda.h"
#include "clock.h"

#define USUAL_GROUP 256u /* work-items of a work-group, when the device chooses */
#define MOST_DEEP   64u  /* of them along the third axis */

/* A batch whose end is awaited, or the end of what is before a signal in it. */
struct batch {
    device_done done; /* or a device_reached */
    void *token;
    uint64_t start_ns;
};

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
    cuda_status(cuda.stream_wait(queue->stream));
    if (queue->blas)
        cublas.destroy(queue->blas);
    cuda_status(cuda.stream_destroy(queue->stream));
    cuda_leave();
    free(queue);
}

/* A kernel may take fewer than others, for what registers it needs. */
static size_t usual_group(const struct device_kernel *kernel)
{
    return kernel->most_items && kernel->most_items < USUAL_GROUP ? kernel->most_items : USUAL_GROUP;
}

/* The largest divisor of `global` up to `most`; 1 is one. */
static size_t group_best(size_t global, size_t most)
{
    size_t local = most;
    while (global % local)
        local--;
    return local;
}

/*
 * Work-groups along each axis. CUDA launches whole ones only, and has fewer of them along the second and third:
 * where it may choose, a group is as large along the first axis as it can be, and along the others as it must be.
 */
static uint32_t grid_make(const struct device_launch *launch, unsigned grid[3], unsigned group[3])
{
    static const size_t most[3] = {INT32_MAX, 65535, 65535};
    size_t room = usual_group(launch->kernel);
    for (unsigned i = 3; i-- > 0;) {
        size_t global = i < launch->dimensions ? launch->global[i] : 1, local = launch->local[i];
        if (!launch->local[0] && (i == 0 || global > most[i]))
            local = group_best(global, i == 2 && room > MOST_DEEP ? MOST_DEEP : room);
        if (!local)
            local = 1;
        if (global % local || global / local > most[i] || local > 1024)
            return VGPGPU_ERR_EXEC;
        grid[i] = (unsigned)(global / local);
        group[i] = (unsigned)local;
        room = room / local ? room / local : 1;
    }
    return VGPGPU_OK;
}

/*
 * Lays the arguments out as the kernel has its parameters, so that the driver reads what is here and nothing else,
 * whatever it thinks that the kernel takes. False: one has another size than its parameter.
 */
static bool params_pack(const struct device_launch *launch, uint8_t *params)
{
    const struct device_kernel *kernel = launch->kernel;
    memset(params, 0, kernel->param_bytes);
    for (unsigned i = 0; i < launch->arg_count; i++) {
        const struct device_arg *arg = &launch->args[i];
        const struct ptx_param *param = &kernel->params[i];
        bool pointer = arg->kind == VGPGPU_ARG_BUFFER;
        cuda_pointer place = pointer ? arg->buffer->place + arg->offset : 0;
        if ((pointer ? sizeof(place) : arg->size) != param->bytes)
            return false;
        memcpy(params + param->offset, pointer ? &place : arg->value, param->bytes);
    }
    return true;
}

uint32_t cuda_launch(struct device_queue *queue, const struct device_launch *launch, bool last)
{
    const struct device_kernel *kernel = launch->kernel;
    uint8_t params[PTX_MOST_BYTES];
    size_t bytes = kernel->param_bytes;
    void *extra[] = {CUDA_PARAMS, params, CUDA_PARAMS_BYTES, &bytes, CUDA_PARAMS_END};
    unsigned grid[3], group[3];
    (void)last;
    if (grid_make(launch, grid, group) || !params_pack(launch, params))
        return VGPGPU_ERR_EXEC;
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    uint32_t status = cuda_status(cuda.launch(kernel->handle, grid[0], grid[1], grid[2], group[0], group[1],
                                              group[2], 0, queue->stream, NULL, bytes ? extra : NULL));
    cuda_leave();
    return status;
}

static cuda_result rows_copy(struct device_queue *queue, const struct cuda_copy_2d *rows)
{
    cuda_result result = 0;
    for (size_t i = 0; i < rows->rows && !result; i++)
        result = cuda.copy(rows->target + i * rows->target_pitch, rows->source + i * rows->source_pitch,
                           rows->width, queue->stream);
    return result;
}

/* Guest memory, too, has addresses of the device here. Rows that are too far apart for the driver, or that it
 * does not like for another reason, go one by one: far apart, there are few of them. */
uint32_t cuda_copy(struct device_queue *queue, const struct device_copy *copy, bool last)
{
    const struct cuda_copy_2d rows = {.source_kind = CUDA_MEMORY_DEVICE,
                                      .source = copy->source->place + copy->source_offset,
                                      .source_pitch = copy->source_pitch,
                                      .target_kind = CUDA_MEMORY_DEVICE,
                                      .target = copy->target->place + copy->target_offset,
                                      .target_pitch = copy->target_pitch,
                                      .width = copy->length,
                                      .rows = copy->rows};
    (void)last;
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    cuda_result result = copy->rows == 1 ? CUDA_INVALID : cuda.copy_2d(&rows, queue->stream);
    if (result == CUDA_INVALID)
        result = rows_copy(queue, &rows);
    cuda_leave();
    return cuda_status(result);
}

/* The pattern once, and then what is there once more, until all is. */
static cuda_result pattern_fill(struct device_queue *queue, cuda_pointer target, const struct device_fill *fill)
{
    cuda_result result = 0;
    for (uint32_t at = 0; at < fill->pattern_bytes && !result; at += 4) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)fill->pattern + at, sizeof(word));
        result = cuda.fill_32(target + at, word, 1, queue->stream);
    }
    for (uint64_t done = fill->pattern_bytes, more; done < fill->length && !result; done += more) {
        more = done < fill->length - done ? done : fill->length - done;
        result = cuda.copy(target + done, target, more, queue->stream);
    }
    return result;
}

uint32_t cuda_fill(struct device_queue *queue, const struct device_fill *fill, bool last)
{
    cuda_pointer target = fill->target->place + fill->offset;
    uint32_t word = 0;
    cuda_result result;
    (void)last;
    memcpy(&word, fill->pattern, fill->pattern_bytes < sizeof(word) ? fill->pattern_bytes : sizeof(word));
    cuda_queue_begin(queue);
    cuda_enter(queue->context);
    if (fill->pattern_bytes == 1)
        result = cuda.fill_8(target, (unsigned char)word, fill->length, queue->stream);
    else if (fill->pattern_bytes == 2)
        result = cuda.fill_16(target, (unsigned short)word, fill->length / 2, queue->stream);
    else if (fill->pattern_bytes == 4)
        result = cuda.fill_32(target, word, fill->length / 4, queue->stream);
    else
        result = pattern_fill(queue, target, fill);
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
