/*
 * object.c: buffers, programs and kernels of a context. A number is taken first, then the device is
 * asked, then the number is filled: so no lock is held while the device works, and nobody can
 * destroy what is only half there.
 */
#include "internal.h"

/* What programs and kernels are here: something that exists. */
static char present;

static int number_take(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t *id)
{
    int r;

    mutex_lock(&ctx->lock);
    r = gpu_table_take(&ctx->objects[kind], id);
    mutex_unlock(&ctx->lock);
    return r;
}

static void number_set(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id,
                       void *object)
{
    mutex_lock(&ctx->lock);
    gpu_table_set(&ctx->objects[kind], id, object);
    mutex_unlock(&ctx->lock);
}

int gpu_object_create(struct gpu_context *ctx, struct gpu_create *what, void *object, uint32_t *id)
{
    struct gpu_device *d = ctx->device;
    int r = d->lost ? ERR_LOST : number_take(ctx, what->kind, &what->id);

    if (r != OK)
        return r;
    what->context = ctx->id;
    r = d->ops->create(d->driver, what);
    number_set(ctx, what->kind, what->id, r == OK ? object : NULL);
    if (r != OK)
        return r;
    gpu_count(&gpu_counters.objects[what->kind], 1);
    *id = what->id;
    return OK;
}

int gpu_object_remove(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id)
{
    int r = ctx->device->ops->destroy(ctx->device->driver, ctx->id, kind, id);

    number_set(ctx, kind, id, NULL);
    gpu_count(&gpu_counters.objects[kind], -1);
    return r;
}

static bool is_hidden(enum gpu_object_kind kind, const void *object)
{
    return kind == GPU_BUFFER && ((const struct gpu_buffer *)object)->hidden;
}

/* Takes the object out of its number; the number stays taken. NULL: there is none. */
static void *object_take_out(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id)
{
    void *object;

    mutex_lock(&ctx->lock);
    object = gpu_table_get(&ctx->objects[kind], id);
    if (object && is_hidden(kind, object))
        object = NULL;
    if (object)
        gpu_table_set(&ctx->objects[kind], id, GPU_TAKEN);
    mutex_unlock(&ctx->lock);
    return object;
}

/*
 * A guest buffer: what was submitted before ends first, so that it finds the buffer. Then the
 * device forgets the buffer, then whatever another thread submitted meanwhile ends; only now can
 * nothing write to the pages any more, and they may serve something else.
 */
int gpu_object_destroy(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id)
{
    struct gpu_device *d = ctx->device;
    void *object = kind < GPU_OBJECT_KINDS ? object_take_out(ctx, kind, id) : NULL;
    int r;

    if (!object)
        return ERR_NOT_FOUND;
    gpu_context_drain(ctx);
    if (kind == GPU_BUFFER)
        gpu_residency_drop(ctx, object);
    r = d->ops->destroy(d->driver, ctx->id, kind, id);
    gpu_context_drain(ctx);
    number_set(ctx, kind, id, NULL);
    gpu_count(&gpu_counters.objects[kind], -1);
    if (kind == GPU_BUFFER)
        gpu_buffer_free(object);
    return r;
}

/* ---- Buffers
 * ------------------------------------------------------------------------------------- */

void gpu_buffer_free(struct gpu_buffer *b)
{
    if (b->memory)
        gpu_memory_unref(b->memory);
    if (b->managed)
        gpu_count(&gpu_counters.managed, -(int64_t)b->size);
    kfree(b->managed);
    kfree(b);
}

static int buffer_check(struct gpu_context *ctx, uint64_t size, uint32_t flags)
{
    if (size == 0 || (flags != VGPGPU_BUFFER_GUEST && flags != VGPGPU_BUFFER_DEVICE))
        return ERR_INVALID;
    if (size > ctx->device->config.max_buffer || size > UINT64_MAX - PAGE_SIZE)
        return ERR_RANGE;
    return OK;
}

/* Tells the device about b. Consumes b when that fails. */
static int buffer_announce(struct gpu_context *ctx, struct gpu_buffer *b, uint32_t flags,
                           const struct vgpgpu_segment *segments, uint32_t count, uint32_t *id)
{
    struct gpu_create what = {
        .kind = GPU_BUFFER,
        .buffer = {.size = b->size, .flags = flags, .count = count, .segments = segments},
    };
    int r = gpu_object_create(ctx, &what, b, id);

    if (r != OK)
        gpu_buffer_free(b);
    return r;
}

/* Guest memory for b, and its segments, which the caller frees. */
static int buffer_fill(struct gpu_context *ctx, struct gpu_buffer *b,
                       struct vgpgpu_segment **segments, uint32_t *count)
{
    int r = gpu_memory_create(b->size, ctx->device->config.max_segments, &b->memory);

    if (r != OK)
        return r;
    *segments = kmalloc(b->memory->count * sizeof(**segments));
    if (!*segments)
        return ERR_NO_MEMORY;
    *count = gpu_memory_segments(b->memory, *segments);
    return OK;
}

static int buffer_create(struct gpu_context *ctx, uint64_t size, uint32_t flags, uint32_t *id)
{
    struct vgpgpu_segment *segments = NULL;
    struct gpu_buffer *b;
    uint32_t count = 0;
    int r = buffer_check(ctx, size, flags);

    if (r != OK)
        return r;
    b = kzalloc(sizeof(*b));
    if (!b)
        return ERR_NO_MEMORY;
    b->size = size;
    if (flags == VGPGPU_BUFFER_GUEST)
        r = buffer_fill(ctx, b, &segments, &count);
    if (r != OK)
        gpu_buffer_free(b);
    else
        r = buffer_announce(ctx, b, flags, segments, count, id);
    kfree(segments);
    return r;
}

int gpu_buffer_create(struct gpu_context *ctx, uint64_t size, uint32_t flags, uint32_t *id)
{
    int r;

    if (flags != GPU_BUFFER_MANAGED)
        return buffer_create(ctx, size, flags, id);
    r = buffer_create(ctx, size, VGPGPU_BUFFER_GUEST, id);
    if (r != OK)
        return r;
    r = gpu_residency_manage(ctx, *id);
    if (r != OK)
        gpu_object_destroy(ctx, GPU_BUFFER, *id);
    return r;
}

int gpu_buffer_wrap(struct gpu_context *ctx, uint64_t size, const struct vgpgpu_segment *segments,
                    uint32_t count, uint32_t *id)
{
    struct gpu_buffer *b;
    int r = buffer_check(ctx, size, VGPGPU_BUFFER_GUEST);

    if (r != OK)
        return r;
    if (count == 0 || count > ctx->device->config.max_segments)
        return count ? ERR_RANGE : ERR_INVALID;
    b = kzalloc(sizeof(*b));
    if (!b)
        return ERR_NO_MEMORY;
    b->size = size;
    return buffer_announce(ctx, b, VGPGPU_BUFFER_GUEST, segments, count, id);
}

/* The lock is held over all of it: the device means the same buffer by this number as we do. */
static int sub_create_locked(struct gpu_context *ctx, struct gpu_create *what, struct gpu_buffer *b)
{
    struct gpu_buffer *of = gpu_table_get(&ctx->objects[GPU_BUFFER], what->buffer.parent);
    int r;

    if (!of || of->hidden)
        return ERR_NOT_FOUND;
    if (of->managed || b->size == 0)
        return ERR_INVALID;
    if (what->buffer.offset > of->size || b->size > of->size - what->buffer.offset)
        return ERR_RANGE;
    r = ctx->device->ops->create(ctx->device->driver, what);
    if (r != OK)
        return r;
    b->offset = of->offset + what->buffer.offset;
    b->memory = of->memory;
    if (b->memory)
        __atomic_fetch_add(&b->memory->refs, 1, __ATOMIC_RELAXED);
    gpu_count(&gpu_counters.objects[GPU_BUFFER], 1);
    return OK;
}

int gpu_buffer_sub(struct gpu_context *ctx, uint32_t buffer, uint64_t offset, uint64_t size, uint32_t *id)
{
    struct gpu_create what = {.kind = GPU_BUFFER,
                              .context = ctx->id,
                              .buffer = {.size = size, .offset = offset, .parent = buffer}};
    struct gpu_buffer *b = kzalloc(sizeof(*b));
    int r = b ? number_take(ctx, GPU_BUFFER, &what.id) : ERR_NO_MEMORY;

    if (r == OK) {
        b->size = size;
        mutex_lock(&ctx->lock);
        r = sub_create_locked(ctx, &what, b);
        gpu_table_set(&ctx->objects[GPU_BUFFER], what.id, r == OK ? b : NULL);
        mutex_unlock(&ctx->lock);
    }
    if (r != OK)
        kfree(b);
    *id = what.id;
    return r;
}

void *gpu_buffer_at(struct gpu_context *ctx, uint32_t id, uint64_t offset, uint64_t *run)
{
    const struct gpu_block *block = NULL;
    uint64_t into = 0;
    struct gpu_buffer *b;

    mutex_lock(&ctx->lock);
    b = gpu_table_get(&ctx->objects[GPU_BUFFER], id);
    if (b && b->memory && !b->managed && offset < b->size) {
        block = gpu_memory_block(b->memory, (b->offset + offset) >> PAGE_SHIFT);
        into = b->offset + offset - (block->first << PAGE_SHIFT);
        *run = MIN((PAGE_SIZE << block->order) - into, b->size - offset);
    }
    mutex_unlock(&ctx->lock);
    return block ? (uint8_t *)phys_to_virt(block->base) + into : NULL;
}

int gpu_buffer_memobj(struct gpu_context *ctx, uint32_t id, struct memobj **out, uint64_t *first)
{
    struct gpu_buffer *b;
    int r;

    mutex_lock(&ctx->lock);
    b = gpu_table_get(&ctx->objects[GPU_BUFFER], id);
    if (!b)
        r = ERR_NOT_FOUND;
    else
        r = b->memory && !b->managed ? gpu_memory_object(b->memory, out) : ERR_INVALID;
    if (r == OK && first)
        *first = b->offset;
    mutex_unlock(&ctx->lock);
    return r;
}

int gpu_fences_memobj(struct gpu_context *ctx, struct memobj **out)
{
    return gpu_memory_object(ctx->fence_memory, out);
}

/* ---- Programs and kernels
 * ------------------------------------------------------------------------ */

int gpu_program_build(struct gpu_context *ctx, const struct gpu_program_source *source,
                      uint32_t *id)
{
    struct gpu_create what = {.kind = GPU_PROGRAM, .program = source};

    if (source->log && source->log_bytes)
        source->log[0] = 0;
    if (source->source_bytes == 0)
        return ERR_INVALID;
    if ((uint64_t)source->source_bytes + source->options_bytes >
        ctx->device->config.max_program_bytes)
        return ERR_RANGE;
    return gpu_object_create(ctx, &what, &present, id);
}

int gpu_kernel_create(struct gpu_context *ctx, uint32_t program, const char *name, uint32_t *id,
                      uint32_t *arg_count)
{
    struct gpu_create what = {.kind = GPU_KERNEL, .kernel = {.program = program, .name = name}};
    int r = gpu_object_create(ctx, &what, &present, id);

    if (r == OK)
        *arg_count = what.kernel.arg_count;
    return r;
}

int gpu_query(struct gpu_context *ctx, uint32_t what, uint32_t id, uint64_t offset, void *out,
              uint32_t *bytes, uint64_t *total)
{
    struct gpu_question question = {
        .context = ctx->id, .what = what, .id = id, .offset = offset, .out = out, .bytes = *bytes};
    int r = ctx->device->lost ? ERR_LOST : ctx->device->ops->query(ctx->device->driver, &question);

    if (r != OK)
        return r;
    *bytes = question.bytes;
    *total = question.total;
    return OK;
}
