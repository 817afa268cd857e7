/*
 * device_opencl.c: the device layer over OpenCL, any implementation that the loader finds: contexts
 * and buffers. opencl_probe.c finds devices, opencl_program.c builds, opencl_queue.c runs.
 *
 * Guest memory becomes a buffer with CL_MEM_USE_HOST_PTR. A unified device (PoCL on the CPU) works
 * on those pages themselves. On any other, OpenCL may keep a copy of its own while commands run, so
 * the buffer is mapped whenever the guest owns it: unmapped before a batch, mapped again at its
 * end.
 */
#include "device_opencl.h"

#include <stdlib.h>
#include "checked.h"

uint32_t opencl_status(cl_int error)
{
    switch (error) {
    case CL_SUCCESS:
        return VGPGPU_OK;
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
        return VGPGPU_ERR_NO_MEMORY;
    default:
        return VGPGPU_ERR_EXEC;
    }
}

static void opencl_close(struct device *device)
{
    free(device);
}

static uint32_t opencl_context_create(struct device *device, struct device_context **out)
{
    struct device_context *context = calloc(1, sizeof(*context));
    if (!context)
        return VGPGPU_ERR_NO_MEMORY;
    cl_int error;
    context->device = device;
    context->handle = opencl.CreateContext(NULL, 1, &device->id, NULL, NULL, &error);
    if (context->handle && !device->unified) {
        context->upkeep = opencl.CreateCommandQueue(context->handle, device->id, 0, &error);
        if (!context->upkeep)
            opencl.ReleaseContext(context->handle);
    }
    if (error) {
        free(context);
        return opencl_status(error);
    }
    *out = context;
    return VGPGPU_OK;
}

static void opencl_context_destroy(struct device_context *context)
{
    if (context->upkeep)
        opencl.ReleaseCommandQueue(context->upkeep);
    opencl.ReleaseContext(context->handle);
    free(context);
}

/* Gives the guest its first view of a buffer in place on a device that is not unified. */
static cl_int buffer_give_to_guest(struct device_buffer *buffer)
{
    cl_int error = CL_SUCCESS;
    if (buffer->memory && !buffer->context->device->unified)
        buffer->map = opencl.EnqueueMapBuffer(buffer->context->upkeep, buffer->handle, CL_TRUE,
                                              CL_MAP_READ | CL_MAP_WRITE, 0, buffer->size, 0, NULL,
                                              NULL, &error);
    return error;
}

/* Where functions of this process work on buffers, their memory is this side's to know. */
static bool buffer_memory_get(struct device_buffer *buffer)
{
    if (buffer->memory || !buffer->context->device->native)
        return true;
    buffer->memory = aligned_alloc(VGPGPU_PAGE, align_up(buffer->size, VGPGPU_PAGE));
    buffer->own = buffer->memory != NULL;
    return buffer->own;
}

static void buffer_free(struct device_buffer *buffer)
{
    if (buffer->own)
        free(buffer->memory);
    pthread_mutex_destroy(&buffer->lock);
    free(buffer);
}

static uint32_t opencl_buffer_create(struct device_context *context, void *memory, uint64_t size,
                                     struct device_buffer **out)
{
    struct device_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return VGPGPU_ERR_NO_MEMORY;
    buffer->context = context;
    buffer->size = size;
    buffer->memory = memory;
    pthread_mutex_init(&buffer->lock, NULL);
    if (!buffer_memory_get(buffer)) {
        buffer_free(buffer);
        return VGPGPU_ERR_NO_MEMORY;
    }
    memory = buffer->memory;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (memory ? CL_MEM_USE_HOST_PTR : 0);
    cl_int error;
    buffer->handle = opencl.CreateBuffer(context->handle, flags, size, memory, &error);
    if (buffer->handle) {
        error = buffer_give_to_guest(buffer);
        if (error)
            opencl.ReleaseMemObject(buffer->handle);
    }
    if (error) {
        buffer_free(buffer);
        return opencl_status(error);
    }
    *out = buffer;
    return VGPGPU_OK;
}

static void opencl_buffer_destroy(struct device_buffer *buffer)
{
    if (buffer->map) {
        opencl.EnqueueUnmapMemObject(buffer->context->upkeep, buffer->handle, buffer->map, 0, NULL,
                                     NULL);
        opencl.Finish(buffer->context->upkeep);
    }
    for (unsigned i = 0; i < buffer->sub_count; i++)
        opencl.ReleaseMemObject(buffer->subs[i].handle);
    opencl.ReleaseMemObject(buffer->handle);
    buffer_free(buffer);
}

/* A new handle replaces the oldest: OpenCL keeps a released one until commands that use it end. */
static cl_mem sub_buffer_add_locked(struct device_buffer *buffer, uint64_t offset, cl_int *error)
{
    cl_buffer_region region = {.origin = offset, .size = buffer->size - offset};
    cl_mem handle = opencl.CreateSubBuffer(buffer->handle, CL_MEM_READ_WRITE,
                                           CL_BUFFER_CREATE_TYPE_REGION, &region, error);
    if (!handle)
        return NULL;
    unsigned slot =
        buffer->sub_count < SUB_BUFFERS ? buffer->sub_count++ : buffer->sub_next++ % SUB_BUFFERS;
    if (buffer->subs[slot].handle)
        opencl.ReleaseMemObject(buffer->subs[slot].handle);
    buffer->subs[slot].offset = offset;
    buffer->subs[slot].handle = handle;
    return handle;
}

cl_mem opencl_buffer_from(struct device_buffer *buffer, uint64_t offset, cl_int *error)
{
    cl_mem handle = NULL;
    *error = CL_SUCCESS;
    if (!offset)
        return buffer->handle;
    pthread_mutex_lock(&buffer->lock);
    for (unsigned i = 0; i < buffer->sub_count && !handle; i++)
        if (buffer->subs[i].offset == offset)
            handle = buffer->subs[i].handle;
    if (!handle)
        handle = sub_buffer_add_locked(buffer, offset, error);
    pthread_mutex_unlock(&buffer->lock);
    return handle;
}

const struct device_ops device_opencl = {
    .name = "opencl",
    .list = opencl_list,
    .open = opencl_open,
    .close = opencl_close,
    .context_create = opencl_context_create,
    .context_destroy = opencl_context_destroy,
    .buffer_create = opencl_buffer_create,
    .buffer_destroy = opencl_buffer_destroy,
    .program_create = opencl_program_create,
    .program_destroy = opencl_program_destroy,
    .kernel_create = opencl_kernel_create,
    .kernel_destroy = opencl_kernel_destroy,
    .program_binary = opencl_program_binary,
    .kernel_info = opencl_kernel_info,
    .queue_create = opencl_queue_create,
    .queue_destroy = opencl_queue_destroy,
    .launch = opencl_launch,
    .copy = opencl_copy,
    .fill = opencl_fill,
    .operation = opencl_operation,
    .barrier = opencl_barrier,
    .signal = opencl_signal,
    .batch_lend = opencl_batch_lend,
    .batch_end = opencl_batch_end,
    .batch_run = opencl_batch_run,
};
