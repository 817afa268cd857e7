/*
 * context.c: opening and closing contexts.
 */
#include "internal.h"

static void context_init(struct gpu_context *ctx, struct gpu_device *d)
{
    ctx->device = d;
    mutex_init(&ctx->lock);
    wait_queue_init(&ctx->sleepers);
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++)
        ctx->objects[kind].limit = d->config.max_objects;
}

static int fences_create(struct gpu_context *ctx)
{
    int r = gpu_memory_create(PAGE_SIZE, 1, &ctx->fence_memory);

    if (r != OK)
        return r;
    ctx->fences = phys_to_virt(ctx->fence_memory->blocks[0].base);
    for (unsigned i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        ctx->fences[i].wait = VGPGPU_NOBODY_WAITS;
    return OK;
}

/* Changes the context that a number of the device stands for. */
static void number_set(struct gpu_device *d, uint32_t id, void *object)
{
    uint64_t flags = spin_lock_irqsave(&d->lock);

    gpu_table_set(&d->contexts, id, object);
    spin_unlock_irqrestore(&d->lock, flags);
}

static int number_take(struct gpu_device *d, uint32_t *id)
{
    uint64_t flags = spin_lock_irqsave(&d->lock);
    int r = gpu_table_take(&d->contexts, id);

    spin_unlock_irqrestore(&d->lock, flags);
    return r;
}

/* Makes the context on the device, under a number of its own. */
static int context_announce(struct gpu_context *ctx)
{
    struct gpu_device *d = ctx->device;
    int r = number_take(d, &ctx->id);

    if (r != OK)
        return r;
    r = d->ops->context_create(d->driver, ctx->id, ctx->fence_memory->blocks[0].base);
    number_set(d, ctx->id, r == OK ? ctx : NULL);
    return r;
}

int gpu_context_open(unsigned nth_device, struct gpu_context **out)
{
    struct gpu_context *ctx;
    struct gpu_device *d;
    int r = gpu_device_get(nth_device, &d);

    if (r != OK)
        return r;
    ctx = kzalloc(sizeof(*ctx));
    if (!ctx) {
        gpu_device_put(d);
        return ERR_NO_MEMORY;
    }
    context_init(ctx, d);
    r = fences_create(ctx);
    if (r == OK)
        r = context_announce(ctx);
    if (r != OK) {
        if (ctx->fence_memory)
            gpu_memory_unref(ctx->fence_memory);
        kfree(ctx);
        gpu_device_put(d);
        return r;
    }
    gpu_count(&gpu_counters.contexts, 1);
    *out = ctx;
    return OK;
}

int gpu_context_limit(struct gpu_context *ctx, uint32_t time_ms)
{
    struct gpu_device *d = ctx->device;

    return time_ms ? d->ops->context_limit(d->driver, ctx->id, time_ms) : ERR_INVALID;
}

static void objects_free(struct gpu_context *ctx)
{
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++) {
        void *object;

        while ((object = gpu_table_pop(&ctx->objects[kind]))) {
            gpu_count(&gpu_counters.objects[kind], -1);
            if (kind == GPU_BUFFER)
                gpu_buffer_free(object);
        }
        gpu_table_close(&ctx->objects[kind]);
    }
}

/*
 * The device answers CONTEXT_DESTROY when nothing of the context runs any more; only then may its
 * memory go. Long work is waited for before, because a device that is slow to answer counts as
 * lost.
 */
void gpu_context_close(struct gpu_context *ctx)
{
    struct gpu_device *d = ctx->device;
    uint64_t resident;

    gpu_context_drain(ctx);
    resident = gpu_residency_leave(ctx);
    number_set(d, ctx->id, GPU_TAKEN);
    d->ops->context_destroy(d->driver, ctx->id);
    number_set(d, ctx->id, NULL);
    gpu_residency_left(ctx, resident);
    objects_free(ctx);
    gpu_memory_unref(ctx->fence_memory);
    kfree(ctx);
    gpu_device_put(d);
    gpu_count(&gpu_counters.contexts, -1);
}
