/*
 * fuzz_control.c: see fuzz.h. Control requests. What would only stop the fuzz is left out: device
 * buffers that take all memory, buffers over the fuzz's own rings.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "fuzz.h"

#define BUILD_ONE_IN  400u
#define BINARY_ONE_IN 4u
#define MAX_DEVICE    (1u << 20) /* bytes of a device buffer that is really made */
#define MAX_SEGMENT   16u        /* pages: what is longer goes beyond all memory */

static size_t make_context(uint8_t *out)
{
    struct vgpgpu_context_create *request = (void *)out;
    request->fence_page = random_address();
    return sizeof(*request);
}

/* Long ones: whatever is done here ends before. */
static size_t make_limit(uint8_t *out)
{
    struct vgpgpu_context_limit *request = (void *)out;
    request->time_ms = one_in(8) ? 0 : one_in(2) ? UINT32_MAX - random_below(9) : 60000 + random_below(1u << 24);
    request->reserved = one_in(12) ? (uint32_t)random_edge() : 0;
    return sizeof(*request);
}

static size_t make_buffer(uint8_t *out)
{
    struct vgpgpu_buffer_create *request = (void *)out;
    struct vgpgpu_segment *segments = (void *)(request + 1);
    uint32_t count = one_in(30) ? random_below(2000) : random_below(9);
    request->flags = one_in(12) ? (uint32_t)random_edge() : 1 + random_below(2);
    request->segment_count = request->flags == VGPGPU_BUFFER_DEVICE && !one_in(9) ? 0 : count;
    if (one_in(20))
        request->segment_count = (uint32_t)random_edge();
    request->size = random_or_edge(8 * VGPGPU_PAGE);
    if (request->size > MAX_DEVICE && request->size <= fuzz.rig.front->config.max_buffer)
        request->size = MAX_DEVICE;
    for (uint32_t i = 0; i < count; i++) {
        segments[i].address = random_address();
        segments[i].length = one_in(12) ? random_edge() : VGPGPU_PAGE * (1 + random_below(3));
        if (segments[i].length > MAX_SEGMENT * VGPGPU_PAGE)
            segments[i].length |= 1ull << 40;
        if (one_in(10) && i) /* the same again */
            segments[i] = segments[i - 1];
    }
    return sizeof(*request) + count * sizeof(*segments);
}

static size_t make_sub_buffer(uint8_t *out)
{
    struct vgpgpu_sub_buffer_create *request = (void *)out;
    request->buffer =
        one_in(8) ? random_id() : model_object(VGPGPU_BUFFER_CREATE, request->header.context, true);
    request->reserved = one_in(20) ? (uint32_t)random_edge() : 0;
    request->offset = one_in(12) ? random_edge()
                                 : (uint64_t)random_below(8) * fuzz.rig.front->config.offset_align;
    request->size = random_or_edge(2 * VGPGPU_PAGE);
    return sizeof(*request);
}

/* A program's binary as the device gave it, or nearly. */
static size_t make_binary(struct vgpgpu_program_create *request)
{
    uint8_t *bytes = (uint8_t *)(request + 1);
    size_t count = fuzz.binary_bytes;
    memcpy(bytes, fuzz.binary, count);
    if (one_in(3))
        bytes_spoil(bytes, count);
    else if (one_in(6))
        bytes_spoil(bytes, 256); /* the header */
    if (one_in(8))
        count = random_below((uint32_t)count + 1);
    request->kind = VGPGPU_PROGRAM_BINARY;
    request->source_bytes = (uint32_t)count;
    return sizeof(*request) + count;
}

static size_t make_program(uint8_t *out)
{
    static const char *const sources[] = {
        "kernel void broken(",
        "kernel void calls(global int *c) { nowhere(c); }",
        "#include \"/etc/passwd\"\n",
        "#error not this one\n",
        fuzz_source,
    };
    struct vgpgpu_program_create *request = (void *)out;
    if (one_in(BINARY_ONE_IN))
        return make_binary(request);
    const char *source = one_in(BUILD_ONE_IN) ? sources[random_below(5)] : "";
    size_t length = strlen(source);
    request->kind = one_in(8) ? (uint32_t)random_or_edge(8) : VGPGPU_PROGRAM_OPENCL_C;
    if (one_in(8) && !length) { /* bytes of no kind */
        length = random_below(200);
        for (size_t i = 0; i < length; i++)
            ((char *)(request + 1))[i] = (char)random_next();
        if (request->kind == VGPGPU_PROGRAM_OPENCL_C)
            request->kind = VGPGPU_PROGRAM_SPIRV;
    } else {
        memcpy(request + 1, source, length);
    }
    request->source_bytes = one_in(10) ? (uint32_t)random_edge() : (uint32_t)length;
    request->options_bytes = one_in(10) ? (uint32_t)random_edge() : 0;
    return sizeof(*request) + length;
}

static size_t make_kernel(uint8_t *out)
{
    static const char *const names[] = {"put", "loc", "many", "none", ""};
    struct vgpgpu_kernel_create *request = (void *)out;
    request->program = one_in(8) ? random_id() : model_object(VGPGPU_PROGRAM_CREATE, request->header.context, true);
    snprintf(request->name, sizeof(request->name), "%s", names[random_below(5)]);
    if (one_in(15))
        memset(request->name, 'x', sizeof(request->name));
    return sizeof(*request);
}

static size_t make_query(uint8_t *out)
{
    struct vgpgpu_query *request = (void *)out;
    request->what = one_in(12) ? (uint32_t)random_edge() : 1 + random_below(2);
    request->offset = one_in(2) ? 0 : random_or_edge(8192);
    if (request->what == VGPGPU_QUERY_BINARY && !one_in(8))
        request->header.object = model_object(VGPGPU_PROGRAM_CREATE, request->header.context, true);
    return sizeof(*request);
}

static size_t make_destroy(uint8_t *out)
{
    (void)out;
    return sizeof(struct vgpgpu_request);
}

static const struct {
    uint32_t type, weight;
    size_t (*make)(uint8_t *out);
} kinds[] = {
    {VGPGPU_CONTEXT_CREATE, 5, make_context}, {VGPGPU_CONTEXT_DESTROY, 1, make_destroy},
    {VGPGPU_BUFFER_CREATE, 8, make_buffer},   {VGPGPU_BUFFER_DESTROY, 3, make_destroy},
    {VGPGPU_PROGRAM_CREATE, 4, make_program}, {VGPGPU_PROGRAM_DESTROY, 1, make_destroy},
    {VGPGPU_KERNEL_CREATE, 5, make_kernel},   {VGPGPU_KERNEL_DESTROY, 2, make_destroy},
    {VGPGPU_QUERY, 3, make_query},            {VGPGPU_CONTEXT_LIMIT, 2, make_limit},
    {VGPGPU_SUB_BUFFER_CREATE, 5, make_sub_buffer},
};
#define WEIGHTS 39u

/* Mostly such that the request can be carried out. */
static void identifiers_make(struct vgpgpu_request *header, uint32_t type)
{
    bool creates = type % 2 && type != VGPGPU_QUERY;
    bool of_context = type <= VGPGPU_CONTEXT_DESTROY || type == VGPGPU_CONTEXT_LIMIT;
    header->type = type;
    header->context = one_in(8) ? random_id() : model_context(type != VGPGPU_CONTEXT_CREATE);
    if (of_context)
        header->object = one_in(10) ? random_id() : 0;
    else
        header->object = one_in(8) ? random_id() : model_object(type, header->context, !creates);
}

size_t control_make(uint8_t *out)
{
    unsigned which = random_below(WEIGHTS), kind = 0;
    while (which >= kinds[kind].weight)
        which -= kinds[kind++].weight;
    struct vgpgpu_request *header = (void *)out;
    memset(out, 0, sizeof(struct vgpgpu_program_create) + sizeof(struct vgpgpu_kernel_create));
    identifiers_make(header, kinds[kind].type);
    size_t bytes = kinds[kind].make(out);
    if (one_in(50))
        header->type = (uint32_t)random_edge();
    bytes_spoil(header, sizeof(*header));
    if (header->context == FUZZ_HOME)
        header->context = 1;
    return one_in(15) ? random_below((uint32_t)bytes + 1) : bytes;
}

void control_step(void)
{
    static _Alignas(8) uint8_t request[FUZZ_REQUEST_BYTES];
    size_t bytes = control_make(request);
    uint32_t room = one_in(20) ? random_below(16) : 16 + random_below(8192);
    const struct vgpgpu_reply *reply = request_post(request, bytes, room, one_in(20));
    if (!reply)
        return;
    model_check(request, bytes, reply->status);
    if (!fuzz.lossy)
        count_request(request, bytes, reply->status);
}
