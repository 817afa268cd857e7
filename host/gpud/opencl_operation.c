/*
 * opencl_operation.c: built-in operations in a queue's order, and large copies and fills. On a device that
 * is this host's processor a function of this process does them, on the buffers' own memory.
 *
 * A batch of nothing but these, on a queue with no other work, is left to the thread that ends
 * it: it is the same for all such batches, so that the library, which keeps a team of threads for
 * each thread that calls it, works with one. All others OpenCL runs, as native kernels. What comes
 * into a queue while a batch of it is done here waits in OpenCL for an event, the gate.
 */
#include <poll.h>
#include <stdlib.h>
#include "clock.h"
#include "device_opencl.h"

/* What a native kernel gets, a copy that OpenCL makes. */
struct native_call {
    struct batch *batch;
    struct cpu_scratch *scratch;
    struct direct_operation operation;
};

static void operation_run(struct direct_operation *operation, struct cpu_scratch *scratch,
                          struct batch *batch)
{
    if (!operation->plan) {
        cpu_move_run(&operation->move);
        return;
    }
    unsigned none = VGPGPU_OK, status = cpu_plan_run(operation->plan, operation->memory, scratch);
    if (status)
        atomic_compare_exchange_strong(&batch->status, &none, status);
    cpu_plan_release(operation->plan);
}

/* It is not carried out. */
static void operation_drop(const struct direct_operation *operation)
{
    if (operation->plan)
        cpu_plan_release(operation->plan);
}

static void CL_CALLBACK native_run(void *data)
{
    struct native_call *call = data;
    operation_run(&call->operation, call->scratch, call->batch);
}

static uint32_t native_enqueue(struct device_queue *queue, const struct direct_operation *operation,
                               bool last)
{
    struct native_call call = {
        .batch = queue->batch, .scratch = &queue->scratch, .operation = *operation};
    uint32_t status = opencl_status(
        opencl.EnqueueNativeKernel(queue->handle, native_run, &call, sizeof(call), 0, NULL, NULL, 0,
                                   NULL, opencl_event_place(queue, last)));
    if (status)
        operation_drop(operation);
    return status;
}

/* Nothing of the batch is in OpenCL, nor anything of those before it. */
static bool is_direct(struct device_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool runs = queue->direct_runs;
    pthread_mutex_unlock(&queue->lock);
    return !queue->start_ns && queue->active == queue->handle && !runs &&
           !atomic_load(&queue->under_way) && queue->direct_count < MAX_DIRECT;
}

static uint32_t direct_enqueue(struct device_queue *queue, const struct direct_operation *direct)
{
    if (!direct->reached)
        return native_enqueue(queue, direct, false);
    uint32_t status = opencl_signal_enqueue(queue, direct->reached, direct->token);
    if (status)
        opencl_signal_tell(queue->batch, direct->reached, direct->token, status);
    return status;
}

uint32_t opencl_direct_give(struct device_queue *queue)
{
    uint32_t status = VGPGPU_OK;
    for (unsigned i = 0; i < queue->direct_count; i++) {
        const struct direct_operation *direct = &queue->direct[i];
        if (!status)
            status = direct_enqueue(queue, direct);
        else if (direct->reached)
            opencl_signal_tell(queue->batch, direct->reached, direct->token, status);
        else
            operation_drop(direct);
    }
    queue->direct_count = 0;
    return status;
}

bool opencl_direct_signal(struct device_queue *queue, device_reached reached, void *token)
{
    if (!queue->context->device->native || !is_direct(queue))
        return false;
    queue->direct[queue->direct_count++] =
        (struct direct_operation){.reached = reached, .token = token};
    return true;
}

void opencl_direct_leave(struct device_queue *queue, struct batch *batch)
{
    queue->direct_left = queue->direct_count;
    queue->direct_count = 0;
    queue->direct_batch = batch;
    pthread_mutex_lock(&queue->lock);
    queue->direct_runs = true;
    pthread_mutex_unlock(&queue->lock);
}

/* An event that all wait for which comes into the queue in order from now on, until it is opened; NULL is open. */
static cl_int gate_make(struct device_queue *queue, cl_event *gate)
{
    cl_int error;
    cl_event made = opencl.CreateUserEvent(queue->context->handle, &error);
    if (error)
        return error;
    error = opencl.EnqueueBarrierWithWaitList(queue->handle, 1, &made, NULL);
    if (error)
        opencl.ReleaseEvent(made);
    else
        *gate = made;
    return error;
}

static void gate_open(cl_event gate)
{
    if (!gate)
        return;
    opencl.SetUserEventStatus(gate, CL_COMPLETE);
    opencl.ReleaseEvent(gate);
}

void opencl_batch_run(struct device_queue *queue)
{
    struct batch *batch = queue->direct_batch;
    batch->start_ns = now_ns();
    for (unsigned i = 0; i < queue->direct_left; i++) {
        struct direct_operation *direct = &queue->direct[i];
        if (direct->reached)
            opencl_signal_tell(batch, direct->reached, direct->token, VGPGPU_OK);
        else
            operation_run(direct, &queue->scratch, batch);
    }
    pthread_mutex_lock(&queue->lock);
    queue->direct_runs = false;
    cl_event gate = queue->gate;
    queue->gate = NULL;
    pthread_mutex_unlock(&queue->lock);
    gate_open(gate);
    opencl_batch_finish(batch, VGPGPU_OK);
}

uint32_t opencl_direct_gate(struct device_queue *queue)
{
    cl_int error = CL_SUCCESS;
    pthread_mutex_lock(&queue->lock);
    if (queue->direct_runs && !queue->gate)
        error = gate_make(queue, &queue->gate);
    pthread_mutex_unlock(&queue->lock);
    return opencl_status(error);
}

/* Keeps it for the batch's thread, or gives it to OpenCL. */
static uint32_t direct_add(struct device_queue *queue, const struct direct_operation *direct,
                           bool last)
{
    if (is_direct(queue)) {
        queue->direct[queue->direct_count++] = *direct;
        return VGPGPU_OK;
    }
    uint32_t status = opencl_begin(queue);
    if (!status)
        return native_enqueue(queue, direct, last);
    operation_drop(direct);
    return status;
}

static uint32_t native_add(struct device_queue *queue, const struct device_operation *operation,
                           bool last)
{
    struct direct_operation direct = {.plan = NULL};
    if (!opencl_batch_get(queue))
        return VGPGPU_ERR_NO_MEMORY;
    uint32_t status = cpu_plan_prepare(operation, &direct.plan);
    if (status)
        return status;
    for (unsigned i = 0; i < operation->tensor_count; i++)
        direct.memory[i] = operation->buffers[i] ? (uint8_t *)operation->buffers[i]->memory +
                                                       operation->tensors[i].offset
                                                 : NULL;
    return direct_add(queue, &direct, last);
}

bool opencl_moves(const struct device_queue *queue, const struct device_buffer *source,
                  const struct device_buffer *target, uint64_t bytes)
{
    return bytes >= MOVE_LEAST_BYTES && queue->context->device->native &&
           queue->active == queue->handle && source->memory && target->memory;
}

uint32_t opencl_move(struct device_queue *queue, const struct cpu_move *move, bool last)
{
    struct direct_operation direct = {.plan = NULL, .move = *move};
    return opencl_batch_get(queue) ? direct_add(queue, &direct, last) : VGPGPU_ERR_NO_MEMORY;
}

static uint32_t operation_enqueue(struct device_queue *queue,
                                  const struct device_operation *operation, bool last)
{
    if (queue->context->device->native)
        return native_add(queue, operation, last);
    if (!queue->context->device->clblast)
        return VGPGPU_ERR_UNSUPPORTED;
    uint32_t status = opencl_begin(queue);
    return status ? status : opencl_clblast(queue, operation);
}

/* In the middle of commands in any order, an operation has its turn alone: it has scratch memory. */
uint32_t opencl_operation(struct device_queue *queue, const struct device_operation *operation,
                          bool last)
{
    bool loose = queue->active != queue->handle;
    uint32_t status = loose ? opencl_barrier(queue, false) : VGPGPU_OK;
    if (!status)
        status = operation_enqueue(queue, operation, last && !loose);
    if (!status && loose)
        status = opencl_barrier(queue, true);
    return status;
}
