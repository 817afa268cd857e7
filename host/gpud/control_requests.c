/*
 * control_requests.c: what each control request does. The control thread alone changes the tables,
 * so that what it found there stays; it takes objects_lock to change them under the submit thread.
 */
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "checked.h"
#include "log.h"

static uint64_t control_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void control_device_open(struct machine *machine)
{
    char why[DEVICE_WHY_BYTES];
    struct device_info info;
    if (machine->ops->open(machine->selector, &machine->device, &info, why) == 0)
        return;
    machine->device = NULL;
    log_line("%s", why);
}

static struct vgpgpu_request header_of(const struct control_call *call)
{
    struct vgpgpu_request header;
    memcpy(&header, call->request, sizeof(header));
    return header;
}

static uint32_t fence_page_find(struct control_call *call, uint64_t address,
                                struct vgpgpu_fence_slot **slots)
{
    if (!is_aligned(address, VGPGPU_PAGE))
        return VGPGPU_ERR_INVALID;
    *slots = guest_memory_at(call->memory, address, VGPGPU_PAGE);
    return *slots ? VGPGPU_OK : VGPGPU_ERR_RANGE;
}

static bool context_tables_create(struct context *context)
{
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        context->objects[kind] = calloc(MAX_OBJECTS + 1, sizeof(struct object *));
        if (!context->objects[kind])
            return false;
    }
    return true;
}

uint32_t control_context_create(struct control_call *call)
{
    struct machine *machine = call->machine;
    struct vgpgpu_context_create request;
    struct vgpgpu_fence_slot *slots;
    memcpy(&request, call->request, sizeof(request));
    uint32_t id = request.header.context;
    if (request.header.object)
        return VGPGPU_ERR_INVALID;
    if (!id || id > MAX_CONTEXTS || machine->contexts[id])
        return VGPGPU_ERR_ID;
    uint32_t status = fence_page_find(call, request.fence_page, &slots);
    if (status)
        return status;
    if (!machine->device)
        return VGPGPU_ERR_LOST;

    struct context *context = calloc(1, sizeof(*context));
    if (!context)
        return VGPGPU_ERR_NO_MEMORY;
    atomic_init(&context->references, 1);
    context->id = id;
    context->machine = machine;
    context->memory = guest_memory_hold(call->memory);
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        timeline_init(&context->timelines[i], context, i, &slots[i]);
    status = context_tables_create(context)
                 ? machine->ops->context_create(machine->device, &context->device)
                 : VGPGPU_ERR_NO_MEMORY;
    if (status) {
        context_release(context);
        return status;
    }
    pthread_mutex_lock(&machine->objects_lock);
    machine->contexts[id] = context;
    pthread_mutex_unlock(&machine->objects_lock);
    return VGPGPU_OK;
}

uint32_t control_context_destroy(struct control_call *call)
{
    struct vgpgpu_request header = header_of(call);
    if (header.object)
        return VGPGPU_ERR_INVALID;
    call->dying_context = context_remove(call->machine, header.context);
    return call->dying_context ? VGPGPU_OK : VGPGPU_ERR_ID;
}

/* The context that a creation names, when the new object's identifier is free in it. */
static struct context *context_for_new(struct control_call *call, enum object_kind kind)
{
    struct vgpgpu_request header = header_of(call);
    struct context *context = context_find_locked(call->machine, header.context);
    if (!context || !header.object || header.object > MAX_OBJECTS ||
        context->objects[kind][header.object])
        return NULL;
    return context;
}

static void object_insert(struct control_call *call, struct object *object)
{
    pthread_mutex_lock(&call->machine->objects_lock);
    object->context->objects[object->kind][header_of(call).object] = object;
    pthread_mutex_unlock(&call->machine->objects_lock);
}

/* Takes an object out of its table; the caller gets the table's reference. NULL: no such object. */
static struct object *object_remove(struct control_call *call, enum object_kind kind)
{
    struct vgpgpu_request header = header_of(call);
    struct object *object = NULL;
    pthread_mutex_lock(&call->machine->objects_lock);
    struct context *context = context_find_locked(call->machine, header.context);
    if (context)
        object = object_find_locked(context, kind, header.object);
    if (object)
        context->objects[kind][header.object] = NULL;
    pthread_mutex_unlock(&call->machine->objects_lock);
    return object;
}

static uint32_t buffer_check(const struct control_call *call,
                             const struct vgpgpu_buffer_create *request)
{
    bool guest = request->flags == VGPGPU_BUFFER_GUEST;
    if (!guest && request->flags != VGPGPU_BUFFER_DEVICE)
        return VGPGPU_ERR_INVALID;
    if (!request->size || (guest ? !request->segment_count : request->segment_count))
        return VGPGPU_ERR_INVALID;
    if (request->size > call->machine->info.max_buffer || request->segment_count > MAX_SEGMENTS)
        return VGPGPU_ERR_LIMIT;
    if (call->bytes - sizeof(*request) < request->segment_count * sizeof(struct vgpgpu_segment))
        return VGPGPU_ERR_INVALID;
    return VGPGPU_OK;
}

/* Finds the buffer's memory: a span of the guest's, or a share of what the device has. */
static uint32_t buffer_memory_get(struct control_call *call,
                                  const struct vgpgpu_buffer_create *request, struct object *object)
{
    struct machine *machine = call->machine;
    uint32_t status = VGPGPU_OK;
    if (request->flags == VGPGPU_BUFFER_GUEST) {
        /* The copy is aligned: malloc's alignment, and the fixed part is a multiple of 8. */
        const struct vgpgpu_segment *segments =
            (const struct vgpgpu_segment *)(call->request + sizeof(*request));
        status =
            guest_span_create(call->memory, segments, request->segment_count, &object->buffer.span);
        if (!status && object->buffer.span.bytes < request->size)
            status = VGPGPU_ERR_RANGE;
    }
    pthread_mutex_lock(&machine->objects_lock);
    if (request->flags == VGPGPU_BUFFER_DEVICE &&
        request->size > machine->info.global_memory - machine->device_bytes)
        status = VGPGPU_ERR_NO_MEMORY;
    if (!status) {
        object->buffer.size = request->size;
        if (request->flags == VGPGPU_BUFFER_DEVICE)
            machine->device_bytes += request->size;
    }
    pthread_mutex_unlock(&machine->objects_lock);
    return status;
}

uint32_t control_buffer_create(struct control_call *call)
{
    struct vgpgpu_buffer_create request;
    memcpy(&request, call->request, sizeof(request));
    uint32_t status = buffer_check(call, &request);
    if (status)
        return status;
    struct context *context = context_for_new(call, OBJECT_BUFFER);
    if (!context)
        return VGPGPU_ERR_ID;
    struct object *object = object_create(context, OBJECT_BUFFER);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    status = buffer_memory_get(call, &request, object);
    if (!status)
        status = call->machine->ops->buffer_create(
            context->device,
            request.flags == VGPGPU_BUFFER_GUEST ? object->buffer.span.address : NULL, request.size,
            &object->buffer.device);
    if (status) {
        object_release(object);
        return status;
    }
    object_insert(call, object);
    return VGPGPU_OK;
}

uint32_t control_buffer_destroy(struct control_call *call)
{
    call->dying_object = object_remove(call, OBJECT_BUFFER);
    return call->dying_object ? VGPGPU_OK : VGPGPU_ERR_ID;
}

static uint32_t program_check(const struct control_call *call,
                              const struct vgpgpu_program_create *request)
{
    uint64_t text = (uint64_t)request->options_bytes + request->source_bytes;
    if (request->reserved || !request->source_bytes)
        return VGPGPU_ERR_INVALID;
    if (text > MAX_PROGRAM_BYTES)
        return VGPGPU_ERR_LIMIT;
    if (call->bytes - sizeof(*request) < text ||
        memchr(call->request + sizeof(*request), 0, request->options_bytes))
        return VGPGPU_ERR_INVALID;
    return VGPGPU_OK;
}

uint32_t control_program_create(struct control_call *call)
{
    struct vgpgpu_program_create request;
    memcpy(&request, call->request, sizeof(request));
    uint32_t status = program_check(call, &request);
    if (status)
        return status;
    struct context *context = context_for_new(call, OBJECT_PROGRAM);
    if (!context)
        return VGPGPU_ERR_ID;
    const char *text = (const char *)call->request + sizeof(request);
    char *options = strndup(text, request.options_bytes);
    char *source = calloc(1, (size_t)request.source_bytes + 1);
    struct object *object = object_create(context, OBJECT_PROGRAM);
    status = VGPGPU_ERR_NO_MEMORY;
    if (options && source && object) {
        memcpy(source, text + request.options_bytes, request.source_bytes);
        atomic_store(&call->machine->watch.build_since_ns, control_now_ns());
        status = call->machine->ops->program_create(context->device, request.kind, options, source,
                                                    request.source_bytes, &object->program,
                                                    &call->payload);
        atomic_store(&call->machine->watch.build_since_ns, 0);
    }
    free(options);
    free(source);
    if (!status)
        object_insert(call, object);
    else if (object)
        object_release(object);
    return status;
}

uint32_t control_program_destroy(struct control_call *call)
{
    struct object *object = object_remove(call, OBJECT_PROGRAM);
    if (!object)
        return VGPGPU_ERR_ID;
    object_release(object);
    return VGPGPU_OK;
}

uint32_t control_kernel_create(struct control_call *call)
{
    struct vgpgpu_kernel_create request;
    memcpy(&request, call->request, sizeof(request));
    if (request.reserved || !memchr(request.name, 0, sizeof(request.name)) || !request.name[0])
        return VGPGPU_ERR_INVALID;
    struct context *context = context_for_new(call, OBJECT_KERNEL);
    struct object *program =
        context ? object_find_locked(context, OBJECT_PROGRAM, request.program) : NULL;
    if (!program)
        return VGPGPU_ERR_ID;
    struct object *object = object_create(context, OBJECT_KERNEL);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    uint32_t status =
        call->machine->ops->kernel_create(program->program, request.name, object->kernel.wants,
                                          &object->kernel.arg_count, &object->kernel.device);
    if (status) {
        object_release(object);
        return status;
    }
    call->value = object->kernel.arg_count;
    object_insert(call, object);
    return VGPGPU_OK;
}

uint32_t control_kernel_destroy(struct control_call *call)
{
    struct object *object = object_remove(call, OBJECT_KERNEL);
    if (!object)
        return VGPGPU_ERR_ID;
    object_release(object);
    return VGPGPU_OK;
}
