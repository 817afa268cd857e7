/*
 * control.c: the control queue's thread. A request is copied out of guest memory once, checked by
 * its handler against nothing but the copy, and answered in order. Only the destruction of a buffer
 * or a context may be answered later than its successors: when the device has let go of guest
 * memory.
 */
#include "machine.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "checked.h"
#include "control.h"
#include "log.h"

#define MAX_REQUEST_BYTES (sizeof(struct vgpgpu_program_create) + MAX_PROGRAM_BYTES)
_Static_assert(MAX_REQUEST_BYTES >= sizeof(struct vgpgpu_buffer_create) +
                                        MAX_SEGMENTS * sizeof(struct vgpgpu_segment),
               "the longest request is a program");

static const struct {
    size_t least_bytes;
    uint32_t (*handle)(struct control_call *call);
    bool destroys;
} requests[] = {
    [VGPGPU_CONTEXT_CREATE] = {sizeof(struct vgpgpu_context_create), control_context_create},
    [VGPGPU_CONTEXT_DESTROY] = {sizeof(struct vgpgpu_request), control_context_destroy, true},
    [VGPGPU_BUFFER_CREATE] = {sizeof(struct vgpgpu_buffer_create), control_buffer_create},
    [VGPGPU_BUFFER_DESTROY] = {sizeof(struct vgpgpu_request), control_buffer_destroy, true},
    [VGPGPU_PROGRAM_CREATE] = {sizeof(struct vgpgpu_program_create), control_program_create},
    [VGPGPU_PROGRAM_DESTROY] = {sizeof(struct vgpgpu_request), control_program_destroy, true},
    [VGPGPU_KERNEL_CREATE] = {sizeof(struct vgpgpu_kernel_create), control_kernel_create},
    [VGPGPU_KERNEL_DESTROY] = {sizeof(struct vgpgpu_request), control_kernel_destroy, true},
    [VGPGPU_QUERY] = {sizeof(struct vgpgpu_query), control_query},
    [VGPGPU_CONTEXT_LIMIT] = {sizeof(struct vgpgpu_context_limit), control_context_limit},
    [VGPGPU_SUB_BUFFER_CREATE] = {sizeof(struct vgpgpu_sub_buffer_create), control_sub_buffer_create},
};

/* Whether a submission of the context, or one that cannot be told, waits up to that mark. */
static bool context_waits(struct virtqueue *queue, uint16_t mark, uint32_t context)
{
    static struct chain chain; /* the control thread's */
    struct vgpgpu_submit header;
    if (virtqueue_is_past(queue, mark))
        return false;
    if (queue->again_count || (uint16_t)(mark - queue->next_available) > queue->size)
        return true;
    for (uint16_t index = queue->next_available; index != mark; index++)
        if (virtqueue_peek(queue, index, &chain) && chain_read(&chain, 0, &header, sizeof(header)) &&
            header.context == context)
            return true;
    return false;
}

/*
 * Takes up what was submitted to the context before now, so that a destruction does not overtake its users. That
 * may be more than the device usually takes, because all other requests wait meanwhile.
 */
static void submissions_settle(struct machine *machine, uint32_t context)
{
    struct ring *control = &machine->session.rings[VGPGPU_QUEUE_CONTROL];
    struct ring *submit = &machine->session.rings[VGPGPU_QUEUE_SUBMIT];
    ring_lock_first(submit);
    uint16_t mark = virtqueue_mark(&submit->queue);
    bool waits = context_waits(&submit->queue, mark, context);
    ring_unlock(submit);
    atomic_store(&machine->settles, waits);
    while (waits && !ring_is_wanted(control)) {
        eventfd_signal(machine->submit_wake);
        poll(NULL, 0, 1);
        ring_lock_first(submit);
        waits = !virtqueue_is_past(&submit->queue, mark);
        ring_unlock(submit);
    }
    atomic_store(&machine->settles, false);
}

static uint32_t request_run(struct control_call *call)
{
    struct vgpgpu_request header;
    if (call->bytes < sizeof(header))
        return VGPGPU_ERR_INVALID;
    memcpy(&header, call->request, sizeof(header));
    if (header.type >= sizeof(requests) / sizeof(requests[0]) || !requests[header.type].handle)
        return VGPGPU_ERR_UNSUPPORTED;
    if (call->bytes < requests[header.type].least_bytes || header.reserved)
        return VGPGPU_ERR_INVALID;
    if (requests[header.type].destroys)
        submissions_settle(call->machine, header.context);
    return requests[header.type].handle(call);
}

/* Nothing is done: fronts died in doing it. What it is about is lost with them, or never was. */
static uint32_t request_refuse(const struct control_call *call)
{
    struct vgpgpu_request header = {0};
    memcpy(&header, call->request, call->bytes < sizeof(header) ? call->bytes : sizeof(header));
    log_line("request %u of context %u, which %u fronts have died with, is refused", header.type, header.context,
             VIRTQUEUE_DEATHS);
    return VGPGPU_ERR_LOST;
}

/* Writes a reply with as much payload as there is room for; returns the bytes written. */
static uint32_t reply_write(const struct chain *chain, uint32_t status, uint64_t value,
                            const char *payload, size_t length)
{
    struct vgpgpu_reply reply = {.status = status, .value = value};
    uint64_t room = chain->writable_bytes - sizeof(reply);
    reply.length = (uint32_t)(length < room ? length : room);
    chain_write(chain, sizeof(reply), payload, reply.length);
    chain_write(chain, 0, &reply, sizeof(reply));
    return (uint32_t)sizeof(reply) + reply.length;
}

/* Keeps the reply until the device is done with what the call destroyed. */
static bool reply_defer(struct machine *machine, struct control_call *call,
                        const struct chain *chain)
{
    size_t parts = chain->readable + chain->writable;
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    struct chain *copy = malloc(offsetof(struct chain, parts) + parts * sizeof(chain->parts[0]));
    if (!deferred || !copy) {
        free(deferred);
        free(copy);
        return false;
    }
    memcpy(copy, chain, offsetof(struct chain, parts) + parts * sizeof(chain->parts[0]));
    *deferred = (struct deferred){.next = machine->deferred,
                                  .object = call->dying_object,
                                  .context = call->dying_context,
                                  .chain = copy,
                                  .memory = guest_memory_hold(call->memory)};
    machine->deferred = deferred;
    atomic_fetch_add(&machine->deferred_count, 1);
    return true;
}

/* Nothing but the table's reference is left; those of sub-buffers do not count. */
static bool deferred_is_due(const struct deferred *deferred)
{
    const struct object *object = deferred->object;
    if (!object)
        return atomic_load(&deferred->context->references) == 1;
    unsigned references = atomic_load(&object->references);
    return references == 1 + atomic_load(&object->sub_count);
}

/* The last reference: the device process lets go of guest memory before the driver hears of it. */
static void dying_end(const struct deferred *deferred)
{
    const struct context *context =
        deferred->object ? deferred->object->context : deferred->context;
    struct remote *remote = context->remote;
    uint32_t epoch = context->epoch;
    if (deferred->object)
        object_release(deferred->object);
    else
        context_release(deferred->context);
    remote_settle(remote, epoch);
}

/* Answers what the device has let go of. */
static void deferred_finish_locked(struct machine *machine, struct ring *ring)
{
    for (struct deferred **link = &machine->deferred; *link;) {
        struct deferred *deferred = *link;
        if (!deferred_is_due(deferred)) {
            link = &deferred->next;
            continue;
        }
        *link = deferred->next;
        dying_end(deferred);
        uint32_t written = reply_write(deferred->chain, VGPGPU_OK, 0, NULL, 0);
        ring_push_locked(ring, deferred->chain->head, written);
        free(deferred->chain);
        guest_memory_release(deferred->memory);
        free(deferred);
        atomic_fetch_sub(&machine->deferred_count, 1);
    }
}

/* Without memory to defer: waits for the device here. */
static void dying_wait(struct machine *machine, struct control_call *call)
{
    struct deferred now = {.object = call->dying_object, .context = call->dying_context};
    while (!deferred_is_due(&now)) {
        poll(NULL, 0, 1);
        garbage_collect(machine);
    }
    dying_end(&now);
}

static void chain_serve_locked(struct machine *machine, struct ring *ring, struct chain *chain)
{
    struct control_call call = {
        .machine = machine, .memory = ring->queue.memory, .again = chain->again};
    if (chain->writable_bytes < sizeof(struct vgpgpu_reply)) {
        ring_push_locked(ring, chain->head, 0); /* nowhere to answer: nothing is done */
        return;
    }
    uint32_t status = VGPGPU_ERR_NO_MEMORY;
    uint64_t bytes = chain->readable_bytes < MAX_REQUEST_BYTES ? chain->readable_bytes : MAX_REQUEST_BYTES;
    uint8_t *request = malloc(bytes + 1);
    if (request) {
        chain_read(chain, 0, request, bytes); /* no request is longer: what is behind is ignored */
        call.request = request;
        call.bytes = bytes;
        status = chain->refused ? request_refuse(&call) : request_run(&call);
    }
    free(request);
    bool dying = call.dying_object || call.dying_context;
    if (dying && reply_defer(machine, &call, chain)) {
        virtqueue_put_down(&ring->queue, chain->head);
        garbage_collect(machine);
        deferred_finish_locked(machine, ring);
        return;
    }
    if (dying)
        dying_wait(machine, &call);
    if (call.payload && !call.payload_bytes)
        call.payload_bytes = strlen(call.payload);
    uint32_t written = reply_write(chain, status, call.value, call.payload, call.payload_bytes);
    free(call.payload);
    ring_push_locked(ring, chain->head, written);
}

static void ring_serve(struct machine *machine, struct chain *chain)
{
    struct ring *ring = &machine->session.rings[VGPGPU_QUEUE_CONTROL];
    bool more = true;
    while (more) {
        ring_lock(ring);
        garbage_collect(machine);
        deferred_finish_locked(machine, ring);
        while ((more = ring_pop_locked(ring, chain))) {
            chain_serve_locked(machine, ring, chain);
            if (ring_is_wanted(ring))
                break;
        }
        more = more || (!atomic_load(&ring->stops) && !virtqueue_is_empty(&ring->queue));
        ring_unlock(ring);
    }
}

void *control_run(void *argument)
{
    struct machine *machine = argument;
    struct ring *rings = machine->session.rings;
    static struct chain chain; /* one front, one control thread */
    remote_ensure(&machine->remotes[0]); /* without one, the first context tries again */
    for (;;) {
        struct pollfd events[3] = {{.fd = machine->control_wake, .events = POLLIN}};
        ring_lock(&rings[VGPGPU_QUEUE_CONTROL]);
        events[1] = (struct pollfd){.fd = rings[VGPGPU_QUEUE_CONTROL].kick, .events = POLLIN};
        ring_unlock(&rings[VGPGPU_QUEUE_CONTROL]);
        ring_lock(&rings[VGPGPU_QUEUE_EVENT]);
        events[2] = (struct pollfd){.fd = rings[VGPGPU_QUEUE_EVENT].kick, .events = POLLIN};
        ring_unlock(&rings[VGPGPU_QUEUE_EVENT]);
        poll(events, 3, -1);
        for (unsigned i = 0; i < 3; i++)
            if (events[i].revents)
                eventfd_drain(events[i].fd);
        ring_serve(machine, &chain);
        events_flush(machine);
    }
    return NULL;
}

void machine_reset(struct machine *machine)
{
    garbage_collect(machine);
    sealed_forget(machine);
    for (uint32_t id = 1; id <= MAX_CONTEXTS; id++) {
        struct context *context = context_remove(machine, id);
        if (!context)
            continue;
        /* A thread may be on its last steps out of submission_done(). */
        while (atomic_load(&context->references) != 1)
            poll(NULL, 0, 1);
        context_release(context);
    }
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        remote_settle(&machine->remotes[i], atomic_load(&machine->remotes[i].epoch));
}
