/*
 * opencl_queue.c: runs batches on an in-order OpenCL queue. Only the last command of a batch gets
 * an event: it tells that all have ended. Times are taken here, because a queue that profiles takes
 * a tenth longer over small kernels.
 */
#include "device_opencl.h"

#include <stdlib.h>
#include "checked.h"
#include "clock.h"

#define LOCAL_ALIGN 128u /* each local argument starts at a multiple of this, bytes */

uint32_t opencl_queue_create(struct device_context *context, struct device_queue **out)
{
    struct device_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return VGPGPU_ERR_NO_MEMORY;
    cl_int error;
    queue->context = context;
    queue->handle = opencl.CreateCommandQueue(context->handle, context->device->id, 0, &error);
    if (error) {
        free(queue);
        return opencl_status(error);
    }
    queue->active = queue->handle;
    pthread_mutex_init(&queue->lock, NULL);
    *out = queue;
    return VGPGPU_OK;
}

void opencl_queue_destroy(struct device_queue *queue)
{
    opencl.Finish(queue->handle);
    opencl.ReleaseCommandQueue(queue->handle);
    if (queue->loose)
        opencl.ReleaseCommandQueue(queue->loose);
    pthread_mutex_destroy(&queue->lock);
    free(queue->scratch.memory);
    free(queue);
}

uint32_t opencl_begin(struct device_queue *queue)
{
    uint32_t status = VGPGPU_OK;
    if (!queue->start_ns) {
        if (!queue->is_lent)
            opencl_unpark(queue->context->device);
        queue->start_ns = now_ns();
        status = opencl_direct_gate(queue);
    }
    return status ? status : opencl_direct_give(queue);
}

cl_event *opencl_event_place(struct device_queue *queue, bool last)
{
    if (queue->last)
        opencl.ReleaseEvent(queue->last);
    queue->last = NULL;
    return last ? &queue->last : NULL;
}

uint32_t opencl_buffer_take(struct device_queue *queue, struct device_buffer *buffer)
{
    if (queue->context->device->unified || !buffer->memory)
        return VGPGPU_OK;
    cl_int error = CL_SUCCESS;
    uint32_t status = VGPGPU_OK;
    pthread_mutex_lock(&buffer->lock);
    if (buffer->on != queue) {
        if (queue->taken_count == MAX_TAKEN) {
            status = VGPGPU_ERR_LIMIT;
        } else {
            queue->taken[queue->taken_count++] = buffer;
            buffer->on = queue;
            if (buffer->map)
                error = opencl.EnqueueUnmapMemObject(queue->handle, buffer->handle, buffer->map, 0,
                                                     NULL, NULL);
            buffer->map = NULL;
        }
    }
    pthread_mutex_unlock(&buffer->lock);
    return status ? status : opencl_status(error);
}

/* Gives every buffer the batch took back to the guest. */
static void buffers_give_back(struct device_queue *queue)
{
    for (unsigned i = 0; i < queue->taken_count; i++) {
        struct device_buffer *buffer = queue->taken[i];
        cl_int error;
        pthread_mutex_lock(&buffer->lock);
        if (buffer->on == queue) {
            buffer->on = NULL;
            buffer->map = opencl.EnqueueMapBuffer(queue->handle, buffer->handle, CL_FALSE,
                                                  CL_MAP_READ | CL_MAP_WRITE, 0, buffer->size, 0,
                                                  NULL, opencl_event_place(queue, true), &error);
        }
        pthread_mutex_unlock(&buffer->lock);
    }
    queue->taken_count = 0;
}

static cl_int arg_set(const struct device_kernel *of, cl_uint index, const struct device_arg *arg)
{
    cl_kernel kernel = of->handle;
    uint8_t bytes = of->value_bytes[index];
    if (arg->kind == VGPGPU_ARG_BUFFER) {
        cl_int error;
        cl_mem memory = opencl_buffer_from(arg->buffer, arg->offset, &error);
        return memory ? opencl.SetKernelArg(kernel, index, sizeof(memory), &memory) : error;
    }
    if (arg->kind == VGPGPU_ARG_VALUE && bytes && arg->size != bytes)
        return CL_INVALID_ARG_SIZE;
    return opencl.SetKernelArg(kernel, index, arg->size, arg->value);
}

/* PoCL ends the process when the arguments ask for more local memory than there is. */
static bool local_memory_fits(const struct device_launch *launch)
{
    uint64_t left = launch->kernel->local_bytes;
    for (unsigned i = 0; i < launch->arg_count; i++) {
        if (launch->args[i].kind != VGPGPU_ARG_LOCAL)
            continue;
        uint64_t bytes = launch->args[i].size;
        if (bytes > left || align_up(bytes, LOCAL_ALIGN) > left)
            return false;
        left -= align_up(bytes, LOCAL_ALIGN);
    }
    return true;
}

uint32_t opencl_launch(struct device_queue *queue, const struct device_launch *launch, bool last)
{
    cl_kernel kernel = launch->kernel->handle;
    uint32_t status = local_memory_fits(launch) ? opencl_begin(queue) : VGPGPU_ERR_LIMIT;
    if (status)
        return status;
    for (unsigned i = 0; i < launch->arg_count; i++) {
        const struct device_arg *arg = &launch->args[i];
        if (arg->kind == VGPGPU_ARG_BUFFER) {
            status = opencl_buffer_take(queue, arg->buffer);
            if (status)
                return status;
        }
        cl_int error = arg_set(launch->kernel, i, arg);
        if (error)
            return opencl_status(error);
    }
    cl_int error = opencl.EnqueueNDRangeKernel(
        queue->active, kernel, launch->dimensions, NULL, launch->global,
        launch->local[0] ? launch->local : NULL, 0, NULL, opencl_event_place(queue, last));
    return opencl_status(error);
}

/* Where the rows of a copy lie. */
struct area {
    cl_mem handle;
    uint64_t offset;
    uint64_t pitch;
};

/* OpenCL counts whole rows from the buffer's start, and a rest within the row. */
static cl_int rows_enqueue(struct device_queue *queue, const struct area *source,
                           const struct area *target, const struct device_copy *copy,
                           const cl_event *after, cl_event *event)
{
    const size_t from[3] = {source->offset % source->pitch, source->offset / source->pitch, 0};
    const size_t to[3] = {target->offset % target->pitch, target->offset / target->pitch, 0};
    const size_t region[3] = {copy->length, copy->rows, 1};
    return opencl.EnqueueCopyBufferRect(queue->active, source->handle, target->handle, from, to,
                                        region, source->pitch, 0, target->pitch, 0, after ? 1 : 0,
                                        after, event);
}

/* The rows go by way of another buffer, there and then on. */
static cl_int rows_detour(struct device_queue *queue, const struct area *source,
                          const struct area *target, const struct device_copy *copy, bool last)
{
    cl_int error;
    cl_event first;
    struct area way = {.pitch = copy->length};
    way.handle = opencl.CreateBuffer(queue->context->handle, CL_MEM_READ_WRITE,
                                     copy->rows * copy->length, NULL, &error);
    if (!way.handle)
        return error;
    error = rows_enqueue(queue, source, &way, copy, NULL, &first);
    if (!error) {
        error = rows_enqueue(queue, &way, target, copy, &first, opencl_event_place(queue, last));
        opencl.ReleaseEvent(first);
    }
    opencl.ReleaseMemObject(way.handle); /* once the commands have ended */
    return error;
}

/* Within one buffer OpenCL takes but one pitch, and sees overlaps where there are none. */
static uint32_t copy_rows(struct device_queue *queue, const struct device_copy *copy, bool last)
{
    const struct area source = {copy->source->handle, copy->source_offset, copy->source_pitch};
    const struct area target = {copy->target->handle, copy->target_offset, copy->target_pitch};
    cl_int error = CL_MEM_COPY_OVERLAP;
    if (copy->source != copy->target || copy->source_pitch == copy->target_pitch)
        error = rows_enqueue(queue, &source, &target, copy, NULL, opencl_event_place(queue, last));
    if (error == CL_MEM_COPY_OVERLAP)
        error = rows_detour(queue, &source, &target, copy, last);
    return opencl_status(error);
}

static uint32_t copy_move(struct device_queue *queue, const struct device_copy *copy, bool last)
{
    const struct cpu_move move = {
        .target = (uint8_t *)copy->target->memory + copy->target_offset,
        .source = (const uint8_t *)copy->source->memory + copy->source_offset,
        .length = copy->length,
        .rows = copy->rows,
        .source_pitch = copy->source_pitch,
        .target_pitch = copy->target_pitch};
    return opencl_move(queue, &move, last);
}

uint32_t opencl_copy(struct device_queue *queue, const struct device_copy *copy, bool last)
{
    if (opencl_moves(queue, copy->source, copy->target, copy->length * copy->rows))
        return copy_move(queue, copy, last);
    uint32_t status = opencl_begin(queue);
    if (!status)
        status = opencl_buffer_take(queue, copy->source);
    if (!status)
        status = opencl_buffer_take(queue, copy->target);
    if (status)
        return status;
    if (copy->rows > 1)
        return copy_rows(queue, copy, last);
    cl_int error = opencl.EnqueueCopyBuffer(
        queue->active, copy->source->handle, copy->target->handle, copy->source_offset,
        copy->target_offset, copy->length, 0, NULL, opencl_event_place(queue, last));
    return opencl_status(error);
}

static uint32_t fill_move(struct device_queue *queue, const struct device_fill *fill, bool last)
{
    struct cpu_move move = {.target = (uint8_t *)fill->target->memory + fill->offset,
                            .length = fill->length,
                            .rows = 1};
    for (uint32_t i = 0; i < MOVE_PATTERN; i++)
        move.pattern[i] = ((const uint8_t *)fill->pattern)[i % fill->pattern_bytes];
    return opencl_move(queue, &move, last);
}

uint32_t opencl_fill(struct device_queue *queue, const struct device_fill *fill, bool last)
{
    if (opencl_moves(queue, fill->target, fill->target, fill->length))
        return fill_move(queue, fill, last);
    uint32_t status = opencl_begin(queue);
    if (!status)
        status = opencl_buffer_take(queue, fill->target);
    if (status)
        return status;
    cl_int error = opencl.EnqueueFillBuffer(queue->active, fill->target->handle, fill->pattern,
                                            fill->pattern_bytes, fill->offset, fill->length, 0,
                                            NULL, opencl_event_place(queue, last));
    return opencl_status(error);
}

struct batch *opencl_batch_get(struct device_queue *queue)
{
    if (!queue->batch) {
        queue->batch = calloc(1, sizeof(*queue->batch));
        if (queue->batch)
            atomic_init(&queue->batch->holds, 1);
    }
    return queue->batch;
}

static void batch_release(struct batch *batch)
{
    if (atomic_fetch_sub(&batch->holds, 1) == 1)
        free(batch);
}

void opencl_signal_tell(struct batch *batch, device_reached reached, void *token, uint32_t status)
{
    uint32_t failed = atomic_load(&batch->status);
    reached(token, failed ? failed : status, batch->start_ns, now_ns());
}

/* What a signal's event gets. */
struct signal_call {
    struct batch *batch; /* held */
    device_reached reached;
    void *token;
};

static void CL_CALLBACK signal_ended(cl_event event, cl_int execution, void *data)
{
    struct signal_call *call = data;
    (void)event;
    opencl_signal_tell(call->batch, call->reached, call->token,
                       execution < 0 ? VGPGPU_ERR_EXEC : VGPGPU_OK);
    batch_release(call->batch);
    free(call);
}

static cl_int signal_watch(struct signal_call *call, cl_event event)
{
    atomic_fetch_add(&call->batch->holds, 1);
    cl_int error = opencl.SetEventCallback(event, CL_COMPLETE, signal_ended, call);
    if (error)
        batch_release(call->batch);
    return error;
}

static void CL_CALLBACK nothing_do(void *data)
{
    (void)data;
}

/* An event for the end of all that the queue has. A marker has PoCL look at every command that has not ended, where a
 * function in an in-order queue waits for the one before it. */
static cl_int here_enqueue(struct device_queue *queue, cl_event *event)
{
    if (queue->context->device->native && queue->active == queue->handle)
        return opencl.EnqueueNativeKernel(queue->handle, nothing_do, NULL, 0, 0, NULL, NULL, 0, NULL,
                                          event);
    return opencl.EnqueueMarkerWithWaitList(queue->active, 0, NULL, event);
}

uint32_t opencl_signal_enqueue(struct device_queue *queue, device_reached reached, void *token)
{
    struct signal_call *call = malloc(sizeof(*call));
    cl_event event;
    if (!call)
        return VGPGPU_ERR_NO_MEMORY;
    *call = (struct signal_call){queue->batch, reached, token};
    if (!queue->batch->start_ns) /* else another signal may be looking at it */
        queue->batch->start_ns = queue->start_ns;
    buffers_give_back(queue);
    opencl_event_place(queue, false);
    cl_int error = here_enqueue(queue, &event);
    if (!error) {
        error = signal_watch(call, event);
        opencl.ReleaseEvent(event);
    }
    if (error)
        free(call);
    return opencl_status(error);
}

uint32_t opencl_signal(struct device_queue *queue, device_reached reached, void *token)
{
    if (!opencl_batch_get(queue))
        return VGPGPU_ERR_NO_MEMORY;
    if (opencl_direct_signal(queue, reached, token))
        return VGPGPU_OK;
    uint32_t status = opencl_begin(queue);
    return status ? status : opencl_signal_enqueue(queue, reached, token);
}

/* The queue may be gone once done() has been called. */
void opencl_batch_finish(struct batch *batch, uint32_t status)
{
    uint32_t failed = atomic_load(&batch->status);
    if (batch->told)
        atomic_fetch_sub(&batch->told->under_way, 1);
    batch->done(batch->token, failed ? failed : status, batch->start_ns, now_ns());
    batch_release(batch);
}

static void CL_CALLBACK batch_ended(cl_event last, cl_int execution, void *data)
{
    (void)last;
    opencl_batch_finish(data, execution < 0 ? VGPGPU_ERR_EXEC : VGPGPU_OK);
}

/* Ends a batch that cannot be watched: waits for all of the queue. OpenCL's own thread would wait for itself: without
 * memory for a command there, this process makes room for another. */
static void batch_end_waiting(struct device_queue *queue, struct batch *batch, device_done done,
                              void *token, uint64_t start_ns)
{
    if (queue->is_lent)
        abort();
    opencl.Finish(queue->handle);
    if (batch)
        batch_release(batch);
    done(token, VGPGPU_ERR_NO_MEMORY, start_ns, now_ns());
}

/* The callback tells of the end, which may come at once. */
static void batch_watch(struct device_queue *queue, struct batch *batch, cl_event last)
{
    batch->told = queue;
    atomic_fetch_add(&queue->under_way, 1);
    if (opencl.SetEventCallback(last, CL_COMPLETE, batch_ended, batch)) {
        if (queue->is_lent)
            abort();
        opencl.Finish(queue->handle);
        opencl_batch_finish(batch, VGPGPU_OK);
    }
}

/* What is in one queue ends before what comes into the other begins. */
static cl_int queues_switch(struct device_queue *queue, cl_command_queue next)
{
    cl_event before;
    cl_int error = opencl.EnqueueMarkerWithWaitList(queue->active, 0, NULL, &before);
    if (error)
        return error;
    opencl.Flush(queue->active);
    error = opencl.EnqueueBarrierWithWaitList(next, 1, &before, NULL);
    opencl.ReleaseEvent(before);
    if (!error)
        queue->active = next;
    return error;
}

/* A device that has to hand buffers over, or has no such queues, stays in order: that is one, too. */
uint32_t opencl_barrier(struct device_queue *queue, bool loose)
{
    const struct device *device = queue->context->device;
    cl_int error;
    if (loose && !queue->loose && device->unified)
        queue->loose = opencl.CreateCommandQueue(queue->context->handle, device->id,
                                                 CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    cl_command_queue next = loose && queue->loose ? queue->loose : queue->handle;
    if (next == queue->handle && next == queue->active)
        return VGPGPU_OK;
    uint32_t status = opencl_begin(queue);
    if (status)
        return status;
    opencl_event_place(queue, false);
    return opencl_status(next != queue->active
                             ? queues_switch(queue, next)
                             : opencl.EnqueueBarrierWithWaitList(next, 0, NULL, NULL));
}

/* Gives a batch that OpenCL has its last event. NULL: there is none. */
static cl_event batch_last_take(struct device_queue *queue)
{
    if (queue->active != queue->handle && opencl_barrier(queue, false)) {
        opencl.Finish(queue->loose);
        queue->active = queue->handle;
    }
    buffers_give_back(queue);
    if (!queue->last)
        opencl.EnqueueMarkerWithWaitList(queue->handle, 0, NULL, opencl_event_place(queue, true));
    cl_event last = queue->last;
    queue->last = NULL;
    return last;
}

bool opencl_batch_end(struct device_queue *queue, bool may_run, device_done done, void *token)
{
    struct batch *batch = opencl_batch_get(queue);
    if (batch) {
        batch->done = done;
        batch->token = token;
    }
    if (may_run && queue->direct_count) { /* so there is a batch */
        queue->batch = NULL;
        opencl_direct_leave(queue, batch);
        return true;
    }
    uint32_t status = opencl_begin(queue);
    cl_event last = batch_last_take(queue);
    uint64_t start_ns = queue->start_ns;
    queue->start_ns = 0;
    queue->batch = NULL;
    if (last && batch) {
        unsigned none = VGPGPU_OK;
        if (!batch->start_ns) /* else there is a signal, which may be looking at it */
            batch->start_ns = start_ns;
        if (status)
            atomic_compare_exchange_strong(&batch->status, &none, status);
        batch_watch(queue, batch, last);
        opencl.Flush(queue->handle);
    } else {
        batch_end_waiting(queue, batch, done, token, start_ns);
    }
    if (last)
        opencl.ReleaseEvent(last);
    queue->is_lent = false;
    return false;
}
