/*
 * control_requests.c: what each control request does. The control thread alone changes the tables,
 * so that what it found there stays; it takes objects_lock to change them under the submit thread.
 */
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include "checked.h"
#include "log.h"
#include "watch.h"
#include "seal.h"

#define RESUMED 0u /* an epoch that no device process ever has */

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

/* The timelines are the caller's to make. */
static struct context *context_bare(struct control_call *call, uint32_t id)
{
    struct context *context = calloc(1, sizeof(*context));
    if (!context)
        return NULL;
    atomic_init(&context->references, 1);
    context->id = id;
    context->machine = call->machine;
    context->remote = &call->machine->remotes[0];
    context->memory = guest_memory_hold(call->memory);
    atomic_fetch_add(&call->machine->context_count, 1);
    if (context_tables_create(context))
        return context;
    context_release(context);
    return NULL;
}

static struct context *context_new(struct control_call *call, uint32_t id,
                                   struct vgpgpu_fence_slot *slots)
{
    struct context *context = context_bare(call, id);
    for (unsigned i = 0; context && i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        timeline_init(&context->timelines[i], context, i, &slots[i]);
    return context;
}

/* The next front finds the context there, should this one be killed. */
static void context_note(struct machine *machine, uint32_t id, uint64_t fence_page)
{
    struct inflight_context *note = inflight_context(&machine->session.inflight, id);
    if (!note)
        return;
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        atomic_store(&note->submitted[i], 0);
    atomic_store(&note->fence_page, fence_page | 1);
}

/* A context that a killed front had: it is lost, which its fences say; its owner can destroy it. */
static void context_resume(struct machine *machine, uint32_t id, struct inflight_context *note)
{
    struct control_call call = {.machine = machine, .memory = machine->session.memory};
    struct vgpgpu_fence_slot *slots;
    uint64_t page = atomic_load(&note->fence_page);
    if (!(page & 1) || machine->contexts[id] || fence_page_find(&call, page - 1, &slots))
        return;
    struct context *context = context_bare(&call, id);
    if (!context)
        return;
    context->epoch = RESUMED;
    machine->resumed = true;
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        timeline_resume(&context->timelines[i], context, i, &slots[i],
                        atomic_load(&note->submitted[i]));
    pthread_mutex_lock(&machine->objects_lock);
    machine->contexts[id] = context;
    pthread_mutex_unlock(&machine->objects_lock);
}

void control_resume(struct machine *machine)
{
    for (uint32_t id = 1; id <= MAX_CONTEXTS; id++) {
        struct inflight_context *note = inflight_context(&machine->session.inflight, id);
        if (note)
            context_resume(machine, id, note);
    }
}

/* Makes a context in the device process, which is started when there is none. */
static uint32_t place_make(struct remote *remote, uint32_t *epoch, uint32_t *handle)
{
    uint32_t status = remote_ensure(remote);
    if (status)
        return status;
    struct link_answer answer;
    struct link_request request = {.kind = LINK_CONTEXT};
    *epoch = atomic_load(&remote->epoch);
    request.handle = remote_handle(remote, *epoch);
    if (!request.handle)
        return remote_is_up(remote, *epoch) ? VGPGPU_ERR_NO_MEMORY : VGPGPU_ERR_LOST;
    status = remote_call(remote, *epoch, &request, NULL, 0, &answer, NULL);
    if (status)
        remote_handle_drop(remote, *epoch, request.handle);
    else
        *handle = request.handle;
    return status;
}

/* The device process may have been about to go: then another tries. */
static uint32_t context_place(struct remote *remote, uint32_t *epoch, uint32_t *handle)
{
    uint32_t status = place_make(remote, epoch, handle);
    return status == VGPGPU_ERR_LOST ? place_make(remote, epoch, handle) : status;
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
    if (!id || id > MAX_CONTEXTS)
        return VGPGPU_ERR_ID;
    if (call->again && machine->contexts[id] && machine->contexts[id]->epoch == RESUMED)
        context_release(context_remove(machine, id)); /* killed when it had been made, not answered */
    if (machine->contexts[id])
        return VGPGPU_ERR_ID;
    uint32_t status = fence_page_find(call, request.fence_page, &slots);
    if (status)
        return status;
    struct context *context = context_new(call, id, slots);
    if (!context)
        return VGPGPU_ERR_NO_MEMORY;
    status = context_place(context->remote, &context->epoch, &context->handle);
    if (status) {
        context_release(context);
        return status;
    }
    context_note(machine, id, request.fence_page);
    pthread_mutex_lock(&machine->objects_lock);
    machine->contexts[id] = context;
    pthread_mutex_unlock(&machine->objects_lock);
    return VGPGPU_OK;
}

static bool context_is_new(const struct context *context)
{
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++)
        for (uint32_t i = 1; i <= MAX_OBJECTS; i++)
            if (context->objects[kind][i])
                return false;
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        if (context->timelines[i].submitted)
            return false;
    return context->remote == context->machine->remotes;
}

/* Changes its place, unless something has been submitted to it meanwhile. */
static bool context_move(struct context *context, struct remote *remote, uint32_t epoch,
                         uint32_t handle)
{
    struct ring *submit = &context->machine->session.rings[VGPGPU_QUEUE_SUBMIT];
    ring_lock_first(submit);
    bool moves = context_is_new(context);
    if (moves) {
        remote_destroy(context->remote, context->epoch, context->handle);
        context->remote = remote;
        context->epoch = epoch;
        context->handle = handle;
    }
    ring_unlock(submit);
    return moves;
}

/* A context with a limit of its own has a device process of its own, which can be ended alone. */
uint32_t control_context_limit(struct control_call *call)
{
    struct machine *machine = call->machine;
    struct vgpgpu_context_limit request;
    uint32_t epoch, handle;
    memcpy(&request, call->request, sizeof(request));
    struct context *context = context_find_locked(machine, request.header.context);
    if (request.header.object || request.reserved || !request.time_ms)
        return VGPGPU_ERR_INVALID;
    if (!context)
        return VGPGPU_ERR_ID;
    if (context_is_lost(context))
        return VGPGPU_ERR_LOST;
    if (!context_is_new(context))
        return VGPGPU_ERR_INVALID;
    uint64_t limit_ns = request.time_ms * 1000000ull, most_ns = machine->watch.limit_ns;
    struct remote *remote =
        remote_take(machine, most_ns && most_ns < limit_ns ? most_ns : limit_ns);
    if (!remote)
        return VGPGPU_ERR_LIMIT;
    watch_limit_add(&machine->watch, limit_ns);
    uint32_t status = context_place(remote, &epoch, &handle);
    if (!status && !context_move(context, remote, epoch, handle)) {
        remote_destroy(remote, epoch, handle);
        status = VGPGPU_ERR_INVALID;
    }
    if (status)
        remote_leave(remote);
    return status;
}

uint32_t control_context_destroy(struct control_call *call)
{
    struct vgpgpu_request header = header_of(call);
    if (header.object)
        return VGPGPU_ERR_INVALID;
    call->dying_context = context_remove(call->machine, header.context);
    sealed_forget(call->machine);
    /* A front that was killed may have done it, and not said so. */
    return call->dying_context || call->again ? VGPGPU_OK : VGPGPU_ERR_ID;
}

/* Finds the context that a creation names, where the new object's identifier must be free. */
static uint32_t context_for_new(struct control_call *call, enum object_kind kind,
                                struct context **out)
{
    struct vgpgpu_request header = header_of(call);
    struct context *context = context_find_locked(call->machine, header.context);
    if (!context || !header.object || header.object > MAX_OBJECTS ||
        context->objects[kind][header.object])
        return VGPGPU_ERR_ID;
    *out = context;
    return context_is_lost(context) ? VGPGPU_ERR_LOST : VGPGPU_OK;
}

/* Asks the device process for the object. */
static uint32_t object_place(struct object *object, struct link_request *request,
                             const struct iovec *parts, unsigned count, struct link_answer *answer,
                             char **payload)
{
    struct context *context = object->context;
    request->handle = remote_handle(context->remote, context->epoch);
    if (!request->handle)
        return remote_is_up(context->remote, context->epoch) ? VGPGPU_ERR_NO_MEMORY
                                                              : VGPGPU_ERR_LOST;
    uint32_t status = remote_call(context->remote, context->epoch, request, parts, count, answer,
                                  payload);
    if (status)
        remote_handle_drop(context->remote, context->epoch, request->handle);
    else
        object->handle = request->handle;
    return status;
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

/* Checks the buffer's memory: segments of the guest's, or a share of what the device has. */
static uint32_t buffer_memory_get(struct control_call *call,
                                  const struct vgpgpu_buffer_create *request,
                                  const struct vgpgpu_segment *segments, struct object *object)
{
    struct machine *machine = call->machine;
    uint32_t status = VGPGPU_OK;
    uint64_t total = 0;
    object->guest = request->flags == VGPGPU_BUFFER_GUEST;
    if (object->guest) {
        status = guest_segments_check(call->memory, segments, request->segment_count, &total);
        if (!status && total < request->size)
            status = VGPGPU_ERR_RANGE;
    }
    pthread_mutex_lock(&machine->objects_lock);
    if (!object->guest && request->size > machine->info.global_memory - machine->device_bytes)
        status = VGPGPU_ERR_NO_MEMORY;
    if (!status) {
        object->facts.buffer.root = object;
        object->facts.buffer.size = request->size;
        if (!object->guest)
            machine->device_bytes += request->size;
    }
    pthread_mutex_unlock(&machine->objects_lock);
    return status;
}

static uint32_t buffer_place(struct control_call *call, const struct vgpgpu_segment *segments,
                             uint32_t count, struct object *object)
{
    struct link_answer answer;
    struct link_request request = {.kind = LINK_BUFFER,
                                   .parent = object->context->handle,
                                   .count = count,
                                   .size = object->facts.buffer.size};
    struct iovec part = {(void *)(uintptr_t)segments, count * sizeof(*segments)};
    uint32_t status = VGPGPU_OK;
    if (object->guest)
        status = remote_call_memory(object->context->remote, object->context->epoch, call->memory);
    if (!status)
        status = object_place(object, &request, &part, count ? 1 : 0, &answer, NULL);
    return status;
}

uint32_t control_buffer_create(struct control_call *call)
{
    struct vgpgpu_buffer_create request;
    struct context *context;
    memcpy(&request, call->request, sizeof(request));
    uint32_t status = buffer_check(call, &request);
    if (!status)
        status = context_for_new(call, OBJECT_BUFFER, &context);
    if (status)
        return status;
    struct object *object = object_create(context, OBJECT_BUFFER);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    /* The copy is aligned: malloc's alignment, and the fixed part is a multiple of 8. */
    const struct vgpgpu_segment *segments =
        (const struct vgpgpu_segment *)(call->request + sizeof(request));
    status = buffer_memory_get(call, &request, segments, object);
    if (!status)
        status = buffer_place(call, segments, request.segment_count, object);
    if (status) {
        object_release(object);
        return status;
    }
    object_insert(call, object);
    return VGPGPU_OK;
}

/* What becomes of the destruction of an object that is not there: it was, in a context that a killed front
 * had, and went with that. */
static uint32_t absent_destroy(const struct control_call *call)
{
    struct vgpgpu_request header = header_of(call);
    const struct context *context = context_find_locked(call->machine, header.context);
    return context && context->epoch == RESUMED && header.object && header.object <= MAX_OBJECTS
               ? VGPGPU_OK
               : VGPGPU_ERR_ID;
}

uint32_t control_buffer_destroy(struct control_call *call)
{
    call->dying_object = object_remove(call, OBJECT_BUFFER);
    if (!call->dying_object)
        return absent_destroy(call);
    pthread_mutex_lock(&call->machine->objects_lock);
    call->dying_object->gone = true;
    pthread_mutex_unlock(&call->machine->objects_lock);
    return VGPGPU_OK;
}

/* The device process knows nothing of it: commands get there with the name of the buffer underneath. */
uint32_t control_sub_buffer_create(struct control_call *call)
{
    struct vgpgpu_sub_buffer_create request;
    struct context *context;
    memcpy(&request, call->request, sizeof(request));
    if (request.reserved || !request.size)
        return VGPGPU_ERR_INVALID;
    uint32_t status = context_for_new(call, OBJECT_BUFFER, &context);
    if (status)
        return status;
    struct object *buffer = object_find_locked(context, OBJECT_BUFFER, request.buffer);
    if (!buffer)
        return VGPGPU_ERR_ID;
    if (!is_aligned(request.offset, call->machine->config.offset_align) ||
        !range_inside(request.offset, request.size, buffer->facts.buffer.size))
        return VGPGPU_ERR_RANGE;
    if (!remote_is_up(context->remote, context->epoch))
        return VGPGPU_ERR_LOST; /* or is about to be */
    struct object *object = object_create_sub(buffer, request.offset, request.size);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    object_insert(call, object);
    return VGPGPU_OK;
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
    struct context *context;
    memcpy(&request, call->request, sizeof(request));
    uint32_t status = program_check(call, &request);
    if (!status)
        status = context_for_new(call, OBJECT_PROGRAM, &context);
    if (status)
        return status;
    char *text = (char *)(uintptr_t)call->request + sizeof(request);
    if (request.kind == VGPGPU_PROGRAM_BINARY) {
        if (!seal_is_good(text + request.options_bytes, request.source_bytes)) {
            call->payload = strdup("not a binary that this gpud gave: build it from its source\n");
            return VGPGPU_ERR_BUILD;
        }
        request.source_bytes -= SEAL_BYTES;
    }
    struct object *object = object_create(context, OBJECT_PROGRAM);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    char *options = strndup(text, request.options_bytes);
    struct link_answer answer;
    struct link_request build = {.kind = LINK_PROGRAM,
                                 .parent = context->handle,
                                 .count = request.kind,
                                 .size = (uint64_t)request.options_bytes + 1};
    struct iovec parts[2] = {{options, request.options_bytes + 1u},
                             {text + request.options_bytes, request.source_bytes}};
    status = options ? object_place(object, &build, parts, 2, &answer, &call->payload)
                     : VGPGPU_ERR_NO_MEMORY;
    free(options);
    if (status)
        object_release(object);
    else
        object_insert(call, object);
    return status;
}

uint32_t control_program_destroy(struct control_call *call)
{
    struct object *object = object_remove(call, OBJECT_PROGRAM);
    if (!object)
        return absent_destroy(call);
    sealed_forget(call->machine);
    object_release(object);
    return VGPGPU_OK;
}

/* The device process says what arguments the kernel wants; what cannot be is never given. */
static void kernel_facts_take(struct object *object, const struct link_answer *answer,
                              const char *wants)
{
    uint32_t count = wants && answer->value <= VGPGPU_MAX_ARGS ? answer->value : 0;
    if (answer->payload_bytes < count)
        count = 0;
    object->facts.kernel.arg_count = count;
    for (uint32_t i = 0; i < count; i++)
        object->facts.kernel.wants[i] =
            (uint8_t)wants[i] <= DEVICE_ARG_EITHER ? (uint8_t)wants[i] : DEVICE_ARG_NEVER;
}

uint32_t control_kernel_create(struct control_call *call)
{
    struct vgpgpu_kernel_create request;
    struct context *context;
    memcpy(&request, call->request, sizeof(request));
    if (request.reserved || !memchr(request.name, 0, sizeof(request.name)) || !request.name[0])
        return VGPGPU_ERR_INVALID;
    uint32_t status = context_for_new(call, OBJECT_KERNEL, &context);
    if (status)
        return status;
    struct object *program = object_find_locked(context, OBJECT_PROGRAM, request.program);
    if (!program)
        return VGPGPU_ERR_ID;
    struct object *object = object_create(context, OBJECT_KERNEL);
    if (!object)
        return VGPGPU_ERR_NO_MEMORY;
    struct link_answer answer;
    struct link_request make = {.kind = LINK_KERNEL, .parent = program->handle};
    struct iovec name = {request.name, strlen(request.name) + 1};
    char *wants = NULL;
    status = object_place(object, &make, &name, 1, &answer, &wants);
    if (!status)
        kernel_facts_take(object, &answer, wants);
    free(wants);
    if (status) {
        object_release(object);
        return status;
    }
    call->value = object->facts.kernel.arg_count;
    object_insert(call, object);
    return VGPGPU_OK;
}

uint32_t control_kernel_destroy(struct control_call *call)
{
    struct object *object = object_remove(call, OBJECT_KERNEL);
    if (!object)
        return absent_destroy(call);
    object_release(object);
    return VGPGPU_OK;
}
