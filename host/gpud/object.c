/* object.c: contexts and their objects: tables, references, the end. */
#include "machine.h"

#include <stdlib.h>

bool context_is_lost(const struct context *context)
{
    return atomic_load(&context->remote->epoch) != context->epoch;
}

struct context *context_hold(struct context *context)
{
    atomic_fetch_add(&context->references, 1);
    return context;
}

static void context_free(struct context *context)
{
    struct machine *machine = context->machine;
    event_forget(machine, context);
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++) {
        if (context->timelines[i].handle) {
            remote_destroy(context->remote, context->epoch, context->timelines[i].handle);
            atomic_fetch_sub(&machine->queue_count, 1);
        }
        pthread_mutex_destroy(&context->timelines[i].lock);
    }
    if (context->handle)
        remote_destroy(context->remote, context->epoch, context->handle);
    if (context->remote != machine->remotes)
        remote_leave(context->remote);
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++)
        free(context->objects[kind]);
    guest_memory_release(context->memory);
    atomic_fetch_sub(&machine->context_count, 1);
    free(context);
}

void context_release(struct context *context)
{
    if (atomic_fetch_sub(&context->references, 1) == 1)
        context_free(context);
}

struct object *object_create(struct context *context, enum object_kind kind)
{
    struct object *object = calloc(1, sizeof(*object));
    if (!object)
        return NULL;
    atomic_init(&object->references, 1);
    object->kind = kind;
    object->context = context_hold(context);
    atomic_fetch_add(&context->machine->object_counts[kind], 1);
    return object;
}

struct object *object_create_sub(struct object *buffer, uint64_t offset, uint64_t size)
{
    struct object *object = object_create(buffer->context, OBJECT_BUFFER);
    struct object *parent = buffer->parent ? buffer->parent : buffer;
    if (!object)
        return NULL;
    object_hold(parent);
    atomic_fetch_add(&parent->sub_count, 1);
    atomic_fetch_add(&buffer->context->machine->sub_count, 1);
    object->parent = parent;
    object->facts.buffer.root = parent;
    object->facts.buffer.base = buffer->facts.buffer.base + offset;
    object->facts.buffer.size = size;
    return object;
}

void object_hold(struct object *object)
{
    atomic_fetch_add(&object->references, 1);
}

/* Gives back a buffer's share of the device's memory. */
static void buffer_free(struct object *object)
{
    struct machine *machine = object->context->machine;
    if (object->parent) {
        /* In this order: whoever looks at both numbers, this one last, never sees too few references. */
        atomic_fetch_sub(&object->parent->sub_count, 1);
        object_release(object->parent);
        atomic_fetch_sub(&machine->sub_count, 1);
        return;
    }
    if (object->guest)
        return;
    pthread_mutex_lock(&machine->objects_lock);
    machine->device_bytes -= object->facts.buffer.size;
    pthread_mutex_unlock(&machine->objects_lock);
}

void object_release(struct object *object)
{
    struct context *context = object->context;
    if (atomic_fetch_sub(&object->references, 1) != 1)
        return;
    if (object->handle)
        remote_destroy(context->remote, context->epoch, object->handle);
    if (object->kind == OBJECT_BUFFER)
        buffer_free(object);
    atomic_fetch_sub(&context->machine->object_counts[object->kind], 1);
    context_release(context);
    free(object);
}

struct context *context_find_locked(struct machine *machine, uint32_t id)
{
    return id && id <= MAX_CONTEXTS ? machine->contexts[id] : NULL;
}

struct object *object_find_locked(struct context *context, enum object_kind kind, uint32_t id)
{
    return id && id <= MAX_OBJECTS ? context->objects[kind][id] : NULL;
}

struct context *context_remove(struct machine *machine, uint32_t id)
{
    pthread_mutex_lock(&machine->objects_lock);
    struct context *context = context_find_locked(machine, id);
    if (context)
        machine->contexts[id] = NULL;
    struct inflight_context *note = inflight_context(&machine->session.inflight, id);
    if (note)
        atomic_store(&note->fence_page, 0);
    pthread_mutex_unlock(&machine->objects_lock);
    if (!context)
        return NULL;
    event_forget(machine, context);
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        for (uint32_t i = 1; i <= MAX_OBJECTS; i++) {
            struct object *object = context->objects[kind][i];
            context->objects[kind][i] = NULL;
            if (object)
                object_release(object);
        }
    }
    return context;
}
