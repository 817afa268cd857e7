/*
 * opencl_operation.c: built-in operations in a queue's order. On a device that is this host's
 * processor a native kernel, a function of this process, runs the plan on the buffers' own memory.
 */
#include <stdlib.h>
#include "device_opencl.h"

/* What the function gets, a copy that OpenCL makes; it puts the buffers' memory in place. */
struct native_call {
    struct batch *batch;
    struct cpu_plan *plan;
    struct cpu_scratch *scratch;
    unsigned count;
    void *buffers[VGPGPU_MAX_TENSORS];   /* each once: PoCL forgets one for each that comes twice */
    uint8_t buffer[VGPGPU_MAX_TENSORS];  /* of each tensor, an index into them, or NO_BUFFER */
    uint64_t offset[VGPGPU_MAX_TENSORS]; /* of each tensor */
};

#define NO_BUFFER 255u

static void CL_CALLBACK native_run(void *data)
{
    struct native_call *call = data;
    void *memory[VGPGPU_MAX_TENSORS];
    for (unsigned i = 0; i < call->count; i++)
        memory[i] = call->buffer[i] != NO_BUFFER
                        ? (uint8_t *)call->buffers[call->buffer[i]] + call->offset[i]
                        : NULL;
    unsigned none = VGPGPU_OK, status = cpu_plan_run(call->plan, memory, call->scratch);
    if (status)
        atomic_compare_exchange_strong(&call->batch->status, &none, status);
    cpu_plan_release(call->plan);
}

/* Where a handle is among them, or their count. */
static unsigned handle_find(const cl_mem *handles, unsigned count, cl_mem handle)
{
    unsigned i = 0;
    while (i < count && handles[i] != handle)
        i++;
    return i;
}

static uint32_t native_enqueue(struct device_queue *queue, const struct device_operation *operation,
                               struct cpu_plan *plan, bool last)
{
    struct native_call call = {.batch = queue->batch,
                               .plan = plan,
                               .scratch = &queue->scratch,
                               .count = operation->tensor_count};
    cl_mem handles[VGPGPU_MAX_TENSORS];
    const void *places[VGPGPU_MAX_TENSORS];
    cl_uint used = 0;
    for (unsigned i = 0; i < operation->tensor_count; i++) {
        call.buffer[i] = NO_BUFFER;
        if (!operation->buffers[i])
            continue;
        unsigned at = handle_find(handles, used, operation->buffers[i]->handle);
        if (at == used) {
            handles[used] = operation->buffers[i]->handle;
            places[used] = &call.buffers[used];
            used++;
        }
        call.buffer[i] = (uint8_t)at;
        call.offset[i] = operation->tensors[i].offset;
    }
    return opencl_status(opencl.EnqueueNativeKernel(queue->handle, native_run, &call, sizeof(call),
                                                    used, handles, (const void **)places, 0, NULL,
                                                    opencl_event_place(queue, last)));
}

static uint32_t operation_enqueue(struct device_queue *queue,
                                  const struct device_operation *operation, bool last)
{
    struct cpu_plan *plan;
    if (queue->context->device->clblast)
        return opencl_clblast(queue, operation);
    if (!queue->context->device->native)
        return VGPGPU_ERR_UNSUPPORTED;
    if (!queue->batch)
        queue->batch = calloc(1, sizeof(*queue->batch));
    if (!queue->batch)
        return VGPGPU_ERR_NO_MEMORY;
    uint32_t status = cpu_plan_prepare(operation, &plan);
    if (status)
        return status;
    status = native_enqueue(queue, operation, plan, last);
    if (status)
        cpu_plan_release(plan);
    return status;
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
