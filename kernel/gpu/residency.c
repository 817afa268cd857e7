/*
 * residency.c: managed buffers: a quota of each device's memory is shared by more buffers than fit. A batch
 * goes through four steps under one lock: whom does it name; who leaves to make room; who comes, with
 * copies that the device makes before the batch, in order; and the batch itself, with the stand-ins' numbers
 * in it. What a batch names stays until its fence is signalled.
 *
 * Copies come in a queue of the context that has the buffer: the batch's, or one that is idle. Queues are
 * not ordered, so a batch whose buffer still moves in another queue waits for that here.
 */
#include <microlake/boot.h>
#include "lib/gpucmd/gpucmd.h"
#include "lib/gpucmd/names.h"
#include "residency.h"

#define PREFETCHES_MAX 2u /* after one submission */

/* One for all devices: policies are told of one event at a time. Held while others' work is waited for,
 * so that who waits for room gets it before others take more. */
static struct mutex gpu_residency_lock = MUTEX_INIT(gpu_residency_lock);

/* A batch: first being made ready, then under way. */
struct use {
    struct list link;
    struct gpu_context *ctx;
    uint32_t queue;
    uint64_t fence;
    uint32_t count;
    struct gpu_managed *buffers[];
};

void gpu_residency_init(struct gpu_device *d)
{
    list_init(&d->residency.buffers);
    list_init(&d->residency.uses);
    d->residency.quota = boot_option_number("gpu.quota", d->config.global_memory);
}

/* Those of `over` (NULL: nobody's), whose work is waited for no more, have ended whatever its fences say. */
static void uses_reap(struct gpu_residency *r, const struct gpu_context *over)
{
    list_for_each_safe (it, &r->uses) {
        struct use *u = list_entry(it, struct use, link);

        if (u->ctx != over && !gpu_fence_poll(u->ctx, u->queue, u->fence))
            continue;
        for (uint32_t i = 0; i < u->count; i++)
            if (--u->buffers[i]->pins == 0)
                u->buffers[i]->pinned_twice = false;
        list_remove(&u->link);
        kfree(u);
    }
}

/* ---- Moving ------------------------------------------------------------------------------------ */

static struct gpu_residency *residency_of(const struct gpu_managed *m)
{
    return &m->ctx->device->residency;
}

static uint32_t queue_find(struct gpu_context *ctx)
{
    uint32_t queue = VGPGPU_QUEUES_PER_CONTEXT;

    while (queue-- > 0)
        if (gpu_fence_poll(ctx, queue, __atomic_load_n(&ctx->queues[queue].last, __ATOMIC_RELAXED)))
            return queue;
    return VGPGPU_QUEUES_PER_CONTEXT - 1;
}

/* What comes in `queue` from now on finds the buffer where it was moved. */
static int move_wait(struct gpu_managed *m, struct gpu_context *ctx, uint32_t queue)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    int r;

    if (!m->fence || (m->ctx == ctx && m->queue == queue))
        return OK;
    r = gpu_work_wait(m->ctx, m->queue, m->fence, WAIT_INTERRUPTIBLE, &failed);
    return r == OK ? gpu_status(failed) : r;
}

/* Copies m's contents between its two buffers; source 0: fills the target with zeros. */
static int move_submit(struct gpu_managed *m, uint32_t queue, uint32_t source, uint32_t target)
{
    uint32_t bytes = source ? sizeof(struct vgpgpu_cmd_copy) : sizeof(struct vgpgpu_cmd_fill);
    struct vgpgpu_submit *batch = gpu_batch_alloc(m->ctx, bytes);
    struct gpucmd c;

    if (!batch)
        return ERR_NO_MEMORY;
    gpucmd_begin(&c, batch + 1, bytes);
    if (source)
        gpucmd_copy(&c, source, 0, target, 0, m->view.bytes);
    else
        gpucmd_fill(&c, target, 0, m->view.bytes, "", 1);
    m->queue = queue;
    return gpu_submit_plain(m->ctx, queue, batch, 0, &m->fence);
}

static void resident_count(struct gpu_managed *m, int64_t change)
{
    residency_of(m)->resident += (uint64_t)change;
    gpu_count(&gpu_counters.resident, change);
}

static void moved_count(struct gpu_managed *m, uint64_t *counter)
{
    gpu_count(counter, (int64_t)m->view.bytes);
    gpu_memory_measure(m->view.bytes, 0);
}

static int stand_in_create(struct gpu_managed *m)
{
    struct gpu_create what = {
        .kind = GPU_BUFFER,
        .buffer = {.size = m->view.bytes, .flags = VGPGPU_BUFFER_DEVICE},
    };
    struct gpu_buffer *b = kzalloc(sizeof(*b));
    int r;

    if (!b)
        return ERR_NO_MEMORY;
    b->size = m->view.bytes;
    b->hidden = true;
    r = gpu_object_create(m->ctx, &what, b, &m->device_id);
    if (r != OK) {
        kfree(b);
        return r;
    }
    resident_count(m, (int64_t)m->view.bytes);
    return OK;
}

/* The device answers when no work uses it any more, the copy that saved its contents least of all. */
static void stand_in_remove(struct gpu_managed *m)
{
    struct gpu_buffer *b;

    mutex_lock(&m->ctx->lock);
    b = gpu_table_get(&m->ctx->objects[GPU_BUFFER], m->device_id);
    gpu_table_set(&m->ctx->objects[GPU_BUFFER], m->device_id, GPU_TAKEN);
    mutex_unlock(&m->ctx->lock);
    gpu_object_remove(m->ctx, GPU_BUFFER, m->device_id);
    kfree(b);
    m->device_id = 0;
    resident_count(m, -(int64_t)m->view.bytes);
}

/* m's contents are not on the device any more. */
static void left(struct gpu_managed *m, bool copied)
{
    m->view.resident = false;
    gpu_memory_moved(m, copied);
    gpu_count(&gpu_counters.evictions, 1);
}

/* Who waited was called off, or has waited long enough. */
static bool wait_ended(int r)
{
    return r == ERR_INTERRUPTED || r == ERR_TIMED_OUT;
}

/* No work uses the stand-in any more. A device that is asked to end a buffer before counts as lost if that takes
 * long. */
static int work_wait(struct gpu_managed *m)
{
    int r = OK;

    if (m->pins)
        r = gpu_work_wait(m->ctx, m->pin_queue, m->pin_fence, WAIT_INTERRUPTIBLE, NULL);
    if (m->fence && !wait_ended(r))
        r = gpu_work_wait(m->ctx, m->queue, m->fence, WAIT_INTERRUPTIBLE, NULL);
    return wait_ended(r) ? r : OK;
}

/* v leaves. Where `next` can use what it leaves behind, it gets it: no object goes and comes then, and nothing
 * is waited for. */
static int evict(struct gpu_managed *v, struct gpu_managed *next, uint32_t queue)
{
    bool same = next && next->ctx == v->ctx, copied = v->view.dirty;
    uint32_t at = same ? queue : queue_find(v->ctx);
    int r = move_wait(v, v->ctx, at);

    if (wait_ended(r))
        return r;
    if (copied) {
        r = move_submit(v, at, v->device_id, v->id);
        if (r != OK)
            return r;
        v->view.dirty = false;
        moved_count(v, &gpu_counters.moved_out);
    }
    if (!same || next->view.bytes != v->view.bytes) {
        r = work_wait(v);
        if (r != OK)
            return r; /* it stays, and is not dirty any more */
        left(v, copied);
        stand_in_remove(v);
        return OK;
    }
    left(v, copied);
    next->device_id = v->device_id;
    v->device_id = 0;
    return OK;
}

/* Somebody leaves for m, once work ends if need be. ERR_NO_MEMORY: nobody can. */
static int room_make(struct gpu_managed *m, uint32_t queue)
{
    struct gpu_residency *r = residency_of(m);
    struct gpu_managed *v = gpu_memory_victim(r, m, false);
    struct use *oldest;
    int result;

    if (v)
        return evict(v, m, queue);
    if (list_empty(&r->uses))
        return ERR_NO_MEMORY;
    oldest = list_entry(list_first(&r->uses), struct use, link);
    result = gpu_work_wait(oldest->ctx, oldest->queue, oldest->fence, WAIT_INTERRUPTIBLE, NULL);
    uses_reap(r, NULL);
    return wait_ended(result) ? result : OK;
}

static int stand_in_get(struct gpu_managed *m, uint32_t queue)
{
    struct gpu_residency *r = residency_of(m);
    int result = OK;

    while (result == OK && !m->device_id) {
        bool room = r->resident + m->view.bytes <= r->quota;

        result = room ? stand_in_create(m) : OK;
        if (room && result != ERR_NO_MEMORY)
            break;
        result = room_make(m, queue); /* the device may have less than the quota says */
    }
    return result;
}

/* m's stand-in gets m's contents, unless they are to be overwritten. */
static int come(struct gpu_managed *m, uint32_t queue)
{
    bool skips = m->wanted && m->skips_reading, copied = !skips && !m->fresh;
    int r = OK;

    if (!skips)
        r = move_submit(m, queue, copied ? m->id : 0, m->device_id);
    if (r != OK) {
        stand_in_remove(m);
        return r;
    }
    m->view.resident = true;
    gpu_memory_moved(m, copied);
    if (copied)
        moved_count(m, &gpu_counters.moved_in);
    return OK;
}

static int make_resident(struct gpu_managed *m, uint32_t queue)
{
    int r = move_wait(m, m->ctx, queue);

    if (r != OK || m->device_id)
        return r;
    r = stand_in_get(m, queue);
    return r == OK ? come(m, queue) : r;
}

/* ---- Reading ahead ----------------------------------------------------------------------------- */

/* Whom the policy expects, where there is room or somebody who is expected later. Copies come in an idle
 * queue, beside the batch. */
static bool prefetch_one(struct gpu_context *ctx)
{
    struct gpu_residency *r = &ctx->device->residency;
    struct gpu_managed *m = gpu_memory_prefetch(r), *v;
    uint32_t queue;

    if (!m || m->view.bytes > r->quota || !gpu_fence_poll(m->ctx, m->queue, m->fence))
        return false;
    queue = queue_find(m->ctx);
    while (!m->device_id && r->resident + m->view.bytes > r->quota) {
        v = gpu_memory_victim(r, m, true);
        if (!v || !gpu_fence_poll(v->ctx, v->queue, v->fence) || evict(v, m, queue) != OK)
            return false;
    }
    if ((!m->device_id && stand_in_create(m) != OK) || come(m, queue) != OK)
        return false;
    gpu_count(&gpu_counters.prefetches, 1);
    return true;
}

/* ---- A batch ----------------------------------------------------------------------------------- */

/* The managed buffer of that number, NULL: another one. ERR_NOT_FOUND: not a program's. */
static int managed_find(struct gpu_context *ctx, uint32_t id, struct gpu_managed **out)
{
    struct gpu_buffer *b;

    mutex_lock(&ctx->lock);
    b = gpu_table_get(&ctx->objects[GPU_BUFFER], id);
    *out = b && b->managed && b->managed->id ? b->managed : NULL;
    mutex_unlock(&ctx->lock);
    return b && b->hidden ? ERR_NOT_FOUND : OK;
}

static int name_note(void *arg, const struct gpucmd_name *name)
{
    struct use *u = arg;
    struct gpu_managed *m;
    int r = managed_find(u->ctx, *name->id, &m);

    if (r != OK || !m)
        return r;
    if (!m->wanted) {
        m->wanted = true;
        m->access = 0;
        m->skips_reading = name->access == GPUCMD_WRITES && name->whole >= m->view.bytes;
        u->buffers[u->count++] = m;
    }
    m->access |= name->access;
    return OK;
}

static int name_translate(void *arg, const struct gpucmd_name *name)
{
    struct use *u = arg;
    struct gpu_managed *m;
    int r = managed_find(u->ctx, *name->id, &m);

    if (name->hint)
        *name->hint = 0;
    if (r == OK && m)
        *name->id = m->wanted ? m->device_id : 0; /* 0: it came meanwhile; the device refuses it */
    return r;
}

static int names_walk(struct vgpgpu_submit *batch, gpucmd_name_fn *fn, void *arg)
{
    int r = gpucmd_names(batch + 1, batch->command_bytes, fn, arg);

    return r == GPUCMD_MALFORMED ? ERR_INVALID : r == GPUCMD_UNKNOWN ? ERR_UNSUPPORTED : r;
}

#define NAME_BYTES 16u /* at least, of the commands for each name */

static struct use *use_create(struct gpu_context *ctx, uint32_t queue, const struct vgpgpu_submit *batch)
{
    struct use *u = kzalloc(sizeof(*u) + batch->command_bytes / NAME_BYTES * sizeof(u->buffers[0]));

    if (u) {
        u->ctx = ctx;
        u->queue = queue;
    }
    return u;
}

/* All at once must fit. In an unordered batch nobody can tell who reads first. */
static int use_admit(struct use *u, const struct vgpgpu_submit *batch)
{
    struct gpu_residency *r = &u->ctx->device->residency;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < u->count; i++) {
        bytes += u->buffers[i]->view.bytes;
        if (batch->flags & VGPGPU_SUBMIT_UNORDERED && u->buffers[i]->access & GPUCMD_READS)
            u->buffers[i]->skips_reading = false;
    }
    if (bytes > r->quota)
        return ERR_RANGE;
    gpu_count(&gpu_counters.touched, (int64_t)bytes);
    gpu_memory_measure(0, bytes);
    return OK;
}

static void use_touch(struct use *u)
{
    struct gpu_residency *r = &u->ctx->device->residency;
    struct gpu_memory_touch t = {.batch = ++r->batches};

    for (uint32_t i = 0; i < u->count; i++) {
        struct gpu_managed *m = u->buffers[i];

        t.position = i;
        t.reads = !m->skips_reading;
        t.writes = m->access & GPUCMD_WRITES;
        t.copied = !m->fresh && t.reads;
        gpu_memory_touched(r, m, &t);
        list_remove(&m->link);
        list_push_back(&r->buffers, &m->link);
    }
}

/* The batch is on its way: what it names stays, and is what it will have written. */
static void use_begin(struct use *u)
{
    for (uint32_t i = 0; i < u->count; i++) {
        struct gpu_managed *m = u->buffers[i];

        m->pinned_twice |= m->pins && m->pin_queue != u->queue;
        m->pins++;
        m->pin_queue = u->queue;
        m->pin_fence = u->fence;
        if (m->access & GPUCMD_WRITES) {
            m->view.dirty = true;
            m->fresh = false;
        }
    }
    list_push_back(&u->ctx->device->residency.uses, &u->link);
}

static int use_run(struct use *u, struct vgpgpu_submit *batch)
{
    int r = names_walk(batch, name_note, u);

    if (r == OK)
        r = use_admit(u, batch);
    if (r == OK)
        use_touch(u);
    for (uint32_t i = 0; i < u->count && r == OK; i++)
        r = make_resident(u->buffers[i], u->queue);
    return r == OK ? names_walk(batch, name_translate, u) : r;
}

int gpu_residency_submit(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch,
                         unsigned flags, uint64_t *fence)
{
    struct gpu_residency *residency = &ctx->device->residency;
    bool wrong = flags & GPU_NOWAIT || queue >= VGPGPU_QUEUES_PER_CONTEXT;
    struct use *u = wrong ? NULL : use_create(ctx, queue, batch);
    int r;

    if (!u) {
        gpu_batch_free(batch);
        return wrong ? ERR_INVALID : ERR_NO_MEMORY;
    }
    mutex_lock(&gpu_residency_lock);
    uses_reap(residency, NULL);
    residency->asking = ctx;
    residency->asking_queue = queue;
    r = use_run(u, batch);
    if (r == OK)
        r = gpu_submit_plain(ctx, queue, batch, flags, &u->fence);
    else
        gpu_batch_free(batch);
    *fence = u->fence;
    residency->asking = NULL;
    for (uint32_t i = 0; i < u->count; i++)
        u->buffers[i]->wanted = false;
    if (r == OK)
        use_begin(u);
    else
        kfree(u);
    for (uint32_t i = 0; i < PREFETCHES_MAX && r == OK && prefetch_one(ctx); i++)
        ;
    mutex_unlock(&gpu_residency_lock);
    return r;
}

/* ---- Life -------------------------------------------------------------------------------------- */

int gpu_residency_manage(struct gpu_context *ctx, uint32_t id)
{
    struct gpu_residency *r = &ctx->device->residency;
    struct gpu_managed *m = kzalloc(sizeof(*m));
    struct gpu_buffer *b;

    if (!m)
        return ERR_NO_MEMORY;
    mutex_lock(&gpu_residency_lock);
    mutex_lock(&ctx->lock);
    b = gpu_table_get(&ctx->objects[GPU_BUFFER], id);
    if (b) { /* else another thread of the program has guessed its number, and ended it */
        m->ctx = ctx;
        m->id = id;
        m->fresh = true;
        m->view = (struct gpu_memory_buffer){
            .id = ++r->buffers_made, .program = ctx->id, .bytes = b->size};
        m->shade = m->view;
        b->managed = m;
        list_push_back(&r->buffers, &m->link);
        gpu_count(&gpu_counters.managed, (int64_t)b->size);
    }
    mutex_unlock(&ctx->lock);
    mutex_unlock(&gpu_residency_lock);
    if (!b)
        kfree(m);
    __atomic_store_n(&ctx->manages, true, __ATOMIC_RELEASE);
    return OK;
}

static void forget(struct gpu_residency *r, struct gpu_managed *m)
{
    m->id = 0;
    list_remove(&m->link);
    gpu_memory_freed(r, m);
}

void gpu_residency_drop(struct gpu_context *ctx, struct gpu_buffer *b)
{
    struct gpu_residency *r = &ctx->device->residency;

    if (!b->managed)
        return;
    mutex_lock(&gpu_residency_lock);
    gpu_context_drain(ctx); /* what was under way, the copies made for others included */
    uses_reap(r, ctx);
    forget(r, b->managed);
    if (b->managed->device_id)
        stand_in_remove(b->managed);
    mutex_unlock(&gpu_residency_lock);
}

uint64_t gpu_residency_leave(struct gpu_context *ctx)
{
    struct gpu_residency *r = &ctx->device->residency;
    uint64_t bytes = 0;

    if (!ctx->manages)
        return 0;
    mutex_lock(&gpu_residency_lock);
    gpu_context_drain(ctx);
    uses_reap(r, ctx);
    list_for_each_safe (it, &r->buffers) {
        struct gpu_managed *m = list_entry(it, struct gpu_managed, link);

        if (m->ctx != ctx)
            continue;
        forget(r, m);
        bytes += m->device_id ? m->view.bytes : 0;
    }
    return bytes;
}

void gpu_residency_left(struct gpu_context *ctx, uint64_t bytes)
{
    if (!ctx->manages)
        return;
    ctx->device->residency.resident -= bytes;
    gpu_count(&gpu_counters.resident, -(int64_t)bytes);
    mutex_unlock(&gpu_residency_lock);
}

int gpu_quota(unsigned nth, const uint64_t *fresh, uint64_t *now)
{
    struct gpu_managed *v;
    struct gpu_device *d;
    int r = gpu_device_get(nth, &d);

    if (r != OK)
        return r;
    mutex_lock(&gpu_residency_lock);
    uses_reap(&d->residency, NULL);
    if (fresh)
        d->residency.quota = *fresh;
    *now = d->residency.quota;
    while (d->residency.resident > *now && (v = gpu_memory_victim(&d->residency, NULL, false)))
        if (evict(v, NULL, 0) != OK)
            break;
    mutex_unlock(&gpu_residency_lock);
    gpu_device_put(d);
    return OK;
}
