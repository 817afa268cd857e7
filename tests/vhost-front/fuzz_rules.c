/*
 * fuzz_rules.c: see fuzz.h. Section 7 of docs/virtio-gpgpu.md once more, read from its words and not from gpud's
 * code: whether a control request is right, by what is there. Of programs' text it knows the fuzz's own alone.
 */
#include <string.h>
#include "fuzz.h"

static const struct vgpgpu_config *config(void)
{
    return &fuzz.rig.front->config;
}

static bool is_id(uint32_t id, uint32_t most)
{
    return id >= 1 && id <= most;
}

/* All of it lies in one of the two regions, which do not touch. */
static bool guest_has(uint64_t address, uint64_t length)
{
    uint64_t half = fuzz.rig.front->memory_bytes / 2, start = address >= FRONT_HIGH_GUEST ? FRONT_HIGH_GUEST : 0;
    return address - start < half && length <= half - (address - start);
}

/* A creation in a context that is there, of what is not. */
static bool is_free(const struct vgpgpu_request *header, enum model_kind kind)
{
    return model_has(MODEL_CONTEXT, header->context, 0) && is_id(header->object, config()->max_objects) &&
           !model_has(kind, header->context, header->object);
}

static enum verdict verdict_of(bool right)
{
    return right ? RIGHT : WRONG;
}

static enum verdict context_judge(const void *request)
{
    const struct vgpgpu_context_create *create = request;
    uint32_t id = create->header.context;
    return verdict_of(!create->header.object && is_id(id, config()->max_contexts) && id != FUZZ_HOME &&
                      !model_has(MODEL_CONTEXT, id, 0) && create->fence_page % VGPGPU_PAGE == 0 &&
                      guest_has(create->fence_page, VGPGPU_PAGE));
}

/* Submissions to it are not followed here, nor how many such contexts the device keeps apart. */
static enum verdict limit_judge(const void *request)
{
    const struct vgpgpu_context_limit *limit = request;
    bool right = !limit->header.object && !limit->reserved && limit->time_ms &&
                 model_has(MODEL_CONTEXT, limit->header.context, 0) && !model_is_limited(limit->header.context);
    return right ? OPEN : WRONG;
}

static bool segments_are_right(const struct vgpgpu_segment *segments, uint32_t count, uint64_t size)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct vgpgpu_segment segment;
        memcpy(&segment, &segments[i], sizeof(segment));
        if (!segment.length || segment.length % VGPGPU_PAGE || segment.address % VGPGPU_PAGE ||
            !guest_has(segment.address, segment.length))
            return false;
        total += segment.length; /* each is less than all guest memory, and they are few */
    }
    return total >= size;
}

static enum verdict buffer_judge(const void *request, size_t bytes)
{
    const struct vgpgpu_buffer_create *create = request;
    bool guest = create->flags == VGPGPU_BUFFER_GUEST;
    if (!is_free(&create->header, MODEL_BUFFER) || (!guest && create->flags != VGPGPU_BUFFER_DEVICE) ||
        !create->size || create->size > config()->max_buffer || (create->segment_count != 0) != guest ||
        create->segment_count > config()->max_segments ||
        create->segment_count > (bytes - sizeof(*create)) / sizeof(struct vgpgpu_segment))
        return WRONG;
    return verdict_of(segments_are_right((const void *)(create + 1), create->segment_count,
                                         guest ? create->size : 0));
}

static enum verdict sub_buffer_judge(const void *request)
{
    const struct vgpgpu_sub_buffer_create *create = request;
    if (create->reserved || !create->size || !is_free(&create->header, MODEL_BUFFER) ||
        !model_has(MODEL_BUFFER, create->header.context, create->buffer))
        return WRONG;
    uint64_t whole = model_bytes(create->header.context, create->buffer);
    return verdict_of(create->offset % config()->offset_align == 0 && create->size <= whole &&
                      create->offset <= whole - create->size);
}

static enum verdict program_judge(const void *request, size_t bytes)
{
    const struct vgpgpu_program_create *create = request;
    const char *options = (const char *)(create + 1);
    uint64_t text = (uint64_t)create->options_bytes + create->source_bytes;
    if (create->reserved || !create->source_bytes || text > config()->max_program_bytes ||
        text > bytes - sizeof(*create) || memchr(options, 0, create->options_bytes) ||
        !is_free(&create->header, MODEL_PROGRAM) || create->kind > 31 ||
        !(config()->program_kinds & 1u << create->kind))
        return WRONG;
    if (create->kind != VGPGPU_PROGRAM_BINARY)
        return OPEN;
    if (create->source_bytes != fuzz.binary_bytes ||
        memcmp(options + create->options_bytes, fuzz.binary, fuzz.binary_bytes) != 0)
        return WRONG;
    return create->options_bytes ? OPEN : RIGHT;
}

bool program_is_ours(const void *request)
{
    const struct vgpgpu_program_create *create = request;
    const char *source = (const char *)(create + 1) + create->options_bytes;
    size_t own = strlen(fuzz_source);
    return create->kind == VGPGPU_PROGRAM_BINARY ||
           (create->source_bytes == own && memcmp(source, fuzz_source, own) == 0);
}

static enum verdict kernel_judge(const void *request)
{
    const struct vgpgpu_kernel_create *create = request;
    uint32_t context = create->header.context;
    if (create->reserved || !memchr(create->name, 0, sizeof(create->name)) || !create->name[0] ||
        !is_free(&create->header, MODEL_KERNEL) || !model_has(MODEL_PROGRAM, context, create->program))
        return WRONG;
    if (!model_program_is_ours(context, create->program))
        return OPEN;
    return verdict_of(strcmp(create->name, "put") == 0 || strcmp(create->name, "loc") == 0);
}

static enum verdict query_judge(const void *request)
{
    const struct vgpgpu_query *query = request;
    const struct vgpgpu_request *header = &query->header;
    bool binary = query->what == VGPGPU_QUERY_BINARY;
    if (query->reserved || (!binary && query->what != VGPGPU_QUERY_KERNEL) ||
        !model_has(binary ? MODEL_PROGRAM : MODEL_KERNEL, header->context, header->object))
        return WRONG;
    return RIGHT;
}

enum verdict request_judge(const void *request, size_t bytes)
{
    static const uint8_t least[] = {
        [VGPGPU_CONTEXT_CREATE] = sizeof(struct vgpgpu_context_create),
        [VGPGPU_CONTEXT_DESTROY] = sizeof(struct vgpgpu_request),
        [VGPGPU_BUFFER_CREATE] = sizeof(struct vgpgpu_buffer_create),
        [VGPGPU_BUFFER_DESTROY] = sizeof(struct vgpgpu_request),
        [VGPGPU_PROGRAM_CREATE] = sizeof(struct vgpgpu_program_create),
        [VGPGPU_PROGRAM_DESTROY] = sizeof(struct vgpgpu_request),
        [VGPGPU_KERNEL_CREATE] = sizeof(struct vgpgpu_kernel_create),
        [VGPGPU_KERNEL_DESTROY] = sizeof(struct vgpgpu_request),
        [VGPGPU_QUERY] = sizeof(struct vgpgpu_query),
        [VGPGPU_CONTEXT_LIMIT] = sizeof(struct vgpgpu_context_limit),
        [VGPGPU_SUB_BUFFER_CREATE] = sizeof(struct vgpgpu_sub_buffer_create),
    };
    const struct vgpgpu_request *header = request;
    if (bytes < sizeof(*header) || !header->type || header->type >= sizeof(least) || bytes < least[header->type] ||
        header->reserved)
        return WRONG;
    switch (header->type) {
    case VGPGPU_CONTEXT_CREATE:
        return context_judge(request);
    case VGPGPU_CONTEXT_DESTROY:
        return verdict_of(!header->object && model_has(MODEL_CONTEXT, header->context, 0));
    case VGPGPU_CONTEXT_LIMIT:
        return limit_judge(request);
    case VGPGPU_BUFFER_CREATE:
        return buffer_judge(request, bytes);
    case VGPGPU_SUB_BUFFER_CREATE:
        return sub_buffer_judge(request);
    case VGPGPU_PROGRAM_CREATE:
        return program_judge(request, bytes);
    case VGPGPU_KERNEL_CREATE:
        return kernel_judge(request);
    case VGPGPU_QUERY:
        return query_judge(request);
    default:
        return verdict_of(model_has(header->type == VGPGPU_BUFFER_DESTROY    ? MODEL_BUFFER
                                    : header->type == VGPGPU_PROGRAM_DESTROY ? MODEL_PROGRAM
                                                                             : MODEL_KERNEL,
                                    header->context, header->object));
    }
}
