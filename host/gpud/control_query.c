/*
 * control_query.c: what a guest asks about programs and kernels. A binary gets its seal here (seal.h), so
 * all of it is fetched from the device process first; the guest has it in pieces, of the same bytes even if
 * the driver adds to the program meanwhile.
 */
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include "seal.h"

void sealed_forget(struct machine *machine)
{
    free(machine->sealed.bytes);
    machine->sealed.bytes = NULL;
    machine->sealed.count = 0;
}

/* One answer of the device process, malloc'd. */
static uint32_t piece_ask(const struct object *object, uint32_t what,
                          uint64_t offset, struct link_answer *answer, char **piece)
{
    struct link_request ask = {
        .kind = LINK_QUERY, .handle = object->handle, .count = what, .size = offset};
    return remote_call(object->context->remote, object->context->epoch, &ask, NULL, 0, answer, piece);
}

/* Puts a piece in its place. False: it is not one of this binary's. */
static bool piece_keep(struct machine *machine, const struct link_answer *answer, const char *piece,
                       size_t *have)
{
    size_t total = machine->sealed.count - SEAL_BYTES;
    if (answer->value != total || !piece || answer->payload_bytes > total - *have)
        return false;
    memcpy(machine->sealed.bytes + *have, piece, answer->payload_bytes);
    *have += answer->payload_bytes;
    return true;
}

static uint32_t sealed_room(struct machine *machine, uint32_t total)
{
    if (!total || total > MAX_PROGRAM_BYTES - SEAL_BYTES)
        return VGPGPU_ERR_LIMIT; /* it could not come back */
    machine->sealed.bytes = malloc(total + SEAL_BYTES);
    machine->sealed.count = total + SEAL_BYTES;
    return machine->sealed.bytes ? VGPGPU_OK : VGPGPU_ERR_NO_MEMORY;
}

/* Fetches a program's binary and seals it. */
static uint32_t sealed_fetch(struct machine *machine, const struct object *object)
{
    size_t have = 0;
    uint32_t status;
    sealed_forget(machine);
    do {
        struct link_answer answer;
        char *piece = NULL;
        status = piece_ask(object, VGPGPU_QUERY_BINARY, have, &answer, &piece);
        if (!status && !have)
            status = sealed_room(machine, answer.value);
        if (!status && !piece_keep(machine, &answer, piece, &have))
            status = VGPGPU_ERR_EXEC;
        free(piece);
    } while (!status && have < machine->sealed.count - SEAL_BYTES);
    if (status) {
        sealed_forget(machine);
        return status;
    }
    seal_make(machine->sealed.bytes, have, machine->sealed.bytes + have);
    machine->sealed.remote = object->context->remote;
    machine->sealed.epoch = object->context->epoch;
    machine->sealed.handle = object->handle;
    return VGPGPU_OK;
}

static uint32_t binary_query(struct control_call *call, const struct object *object, uint64_t offset)
{
    struct machine *machine = call->machine;
    const struct sealed *sealed = &machine->sealed;
    bool is_kept = offset && sealed->bytes && sealed->handle == object->handle &&
                   sealed->epoch == object->context->epoch &&
                   sealed->remote == object->context->remote;
    uint32_t status = is_kept ? VGPGPU_OK : sealed_fetch(machine, object);
    if (status)
        return status;
    size_t count = machine->sealed.count;
    call->value = count;
    if (offset >= count)
        return VGPGPU_OK;
    size_t rest = count - offset;
    call->payload_bytes = rest < LINK_LOG_BYTES ? rest : LINK_LOG_BYTES;
    call->payload = malloc(call->payload_bytes);
    if (!call->payload)
        return VGPGPU_ERR_NO_MEMORY;
    memcpy(call->payload, machine->sealed.bytes + offset, call->payload_bytes);
    return VGPGPU_OK;
}

static uint32_t kernel_query(struct control_call *call, const struct object *object, uint64_t offset)
{
    struct link_answer answer;
    uint32_t status =
        piece_ask(object, VGPGPU_QUERY_KERNEL, offset, &answer, &call->payload);
    if (status)
        return status;
    call->value = answer.value;
    call->payload_bytes = answer.payload_bytes;
    return VGPGPU_OK;
}

/* Of a program or a kernel that is there. */
uint32_t control_query(struct control_call *call)
{
    struct vgpgpu_query request;
    memcpy(&request, call->request, sizeof(request));
    if (request.reserved)
        return VGPGPU_ERR_INVALID;
    if (request.what != VGPGPU_QUERY_BINARY && request.what != VGPGPU_QUERY_KERNEL)
        return VGPGPU_ERR_UNSUPPORTED;
    bool binary = request.what == VGPGPU_QUERY_BINARY;
    struct context *context = context_find_locked(call->machine, request.header.context);
    struct object *object =
        context ? object_find_locked(context, binary ? OBJECT_PROGRAM : OBJECT_KERNEL,
                                     request.header.object)
                : NULL;
    if (!object)
        return VGPGPU_ERR_ID;
    if (context_is_lost(context))
        return VGPGPU_ERR_LOST;
    return binary ? binary_query(call, object, request.offset)
                  : kernel_query(call, object, request.offset);
}
