/*
 * fuzz_model.c: see fuzz.h. Which contexts and objects there are, from what was answered so far, and that each
 * answer is one that the specification has for it: what is right is done, what is wrong is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "fuzz.h"

#define ROOM         5u /* identifiers that are picked */
#define MOST_CONTEXT 256u
#define MOST_OBJECT  4096u

static struct {
    bool there, limited;
    bool objects[MODEL_KINDS][MOST_OBJECT + 1]; /* none of MODEL_CONTEXT */
    bool ours[MOST_OBJECT + 1];                 /* programs of fuzz_source */
    uint64_t bytes[MOST_OBJECT + 1];            /* of buffers */
} contexts[MOST_CONTEXT + 1];

void model_clear(void)
{
    memset(contexts, 0, sizeof(contexts));
}

bool model_has(enum model_kind kind, uint32_t context, uint32_t object)
{
    if (!context || context > MOST_CONTEXT || !contexts[context].there)
        return false;
    return kind == MODEL_CONTEXT || (object && object <= MOST_OBJECT && contexts[context].objects[kind][object]);
}

bool model_is_limited(uint32_t context)
{
    return contexts[context].limited;
}

uint64_t model_bytes(uint32_t context, uint32_t buffer)
{
    return contexts[context].bytes[buffer];
}

bool model_program_is_ours(uint32_t context, uint32_t program)
{
    return contexts[context].ours[program];
}

/* An identifier of 1 to ROOM that is taken, or free, as wanted; any if there is none such. */
static uint32_t pick(const bool *taken, size_t step, bool there)
{
    uint32_t first = random_below(ROOM);
    for (uint32_t i = 0; i < ROOM; i++) {
        uint32_t id = 1 + (first + i) % ROOM;
        if (taken[id * step] == there)
            return id;
    }
    return 1 + first;
}

uint32_t model_context(bool there)
{
    return pick(&contexts[0].there, sizeof(contexts[0]) / sizeof(bool), there);
}

static enum model_kind kind_of(uint32_t type)
{
    switch (type) {
    case VGPGPU_BUFFER_CREATE:
    case VGPGPU_BUFFER_DESTROY:
    case VGPGPU_SUB_BUFFER_CREATE:
        return MODEL_BUFFER;
    case VGPGPU_PROGRAM_CREATE:
    case VGPGPU_PROGRAM_DESTROY:
        return MODEL_PROGRAM;
    case VGPGPU_KERNEL_CREATE:
    case VGPGPU_KERNEL_DESTROY:
    case VGPGPU_QUERY:
        return MODEL_KERNEL;
    default:
        return MODEL_CONTEXT;
    }
}

uint32_t model_object(uint32_t type, uint32_t context, bool there)
{
    return context <= ROOM ? pick(contexts[context].objects[kind_of(type)], 1, there) : 1;
}

/* It was done. */
static void model_change(const void *request)
{
    const struct vgpgpu_request *header = request;
    const struct vgpgpu_buffer_create *buffer = request;
    const struct vgpgpu_sub_buffer_create *sub = request;
    enum model_kind kind = kind_of(header->type);
    bool *place = kind == MODEL_CONTEXT ? NULL : &contexts[header->context].objects[kind][header->object];
    switch (header->type) {
    case VGPGPU_CONTEXT_CREATE:
    case VGPGPU_CONTEXT_DESTROY:
        memset(&contexts[header->context], 0, sizeof(contexts[0]));
        contexts[header->context].there = header->type == VGPGPU_CONTEXT_CREATE;
        break;
    case VGPGPU_CONTEXT_LIMIT:
        contexts[header->context].limited = true;
        break;
    case VGPGPU_BUFFER_DESTROY:
    case VGPGPU_PROGRAM_DESTROY:
    case VGPGPU_KERNEL_DESTROY:
        *place = false;
        break;
    case VGPGPU_QUERY:
        break;
    default:
        *place = true;
        break;
    }
    if (header->type == VGPGPU_BUFFER_CREATE)
        contexts[header->context].bytes[header->object] = buffer->size;
    if (header->type == VGPGPU_SUB_BUFFER_CREATE)
        contexts[header->context].bytes[header->object] = sub->size;
    if (header->type == VGPGPU_PROGRAM_CREATE)
        contexts[header->context].ours[header->object] = program_is_ours(request);
}

/* Room may run out, and not every device has binaries of all programs. */
static bool may_refuse(uint32_t type, uint32_t status)
{
    return status == VGPGPU_ERR_NO_MEMORY || (fuzz.lossy && status == VGPGPU_ERR_LOST) || (type == VGPGPU_QUERY && status == VGPGPU_ERR_UNSUPPORTED);
}

void model_check(const void *request, size_t bytes, uint32_t status)
{
    const struct vgpgpu_request *header = request;
    enum verdict verdict = request_judge(request, bytes);
    if (status == VGPGPU_OK && verdict == WRONG)
        fail_msg("a request of kind %u, %zu bytes, of context %u, object %u, is wrong and was done", header->type,
                 bytes, header->context, header->object);
    if (status != VGPGPU_OK && verdict == RIGHT && !may_refuse(header->type, status))
        fail_msg("a request of kind %u of context %u, object %u, is right: status %u", header->type, header->context,
                 header->object, status);
    if (status == VGPGPU_OK)
        model_change(request);
}
