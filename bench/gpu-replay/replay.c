/*
 * replay.c: see replay.h.
 */
#include "replay.h"

#include <stdlib.h>

#define PREFETCHES 2

struct item {
    struct gpu_memory_buffer view;
    bool alive, fresh, wanted;
    char how;
    uint32_t before, after; /* in the order of touches; buffers + 1 stands for both ends */
};

struct replay {
    const struct trace *trace;
    const struct replay_policy *policy;
    struct replay_result *out;
    struct item *items;
    uint32_t end; /* the list's ends */
    struct gpu_memory_buffer *list[GPU_MEMORY_CANDIDATES];
    uint64_t quota, resident, touches, batches;
};

static void list_take(struct replay *r, uint32_t i)
{
    r->items[r->items[i].before].after = r->items[i].after;
    r->items[r->items[i].after].before = r->items[i].before;
}

static void list_append(struct replay *r, uint32_t i)
{
    uint32_t last = r->items[r->end].before;

    r->items[i].before = last;
    r->items[i].after = r->end;
    r->items[last].after = i;
    r->items[r->end].before = i;
}

/* ---- Questions, in lists as the kernel's ------------------------------------------------------- */

enum question { VICTIM, PREFETCH };

static struct gpu_memory_buffer *ask(struct replay *r, struct gpu_memory_question *q, enum question what,
                                     uint32_t count)
{
    uint32_t answer;

    q->list = r->list;
    q->count = count;
    q->touches = r->touches;
    r->out->decisions++;
    answer = what == VICTIM ? r->policy->victim(r->policy->context, q)
                            : r->policy->prefetch(r->policy->context, q);
    if (answer == GPU_MEMORY_NONE && q->optional)
        return NULL;
    if (answer >= count) {
        r->out->nonsense = true;
        answer = 0;
    }
    return r->list[answer];
}

static bool eligible(const struct item *m, enum question what)
{
    if (m->wanted)
        return false;
    return what == VICTIM ? m->view.resident : !m->view.resident && !m->fresh;
}

static struct gpu_memory_buffer *ask_all(struct replay *r, struct gpu_memory_question *q, enum question what)
{
    struct gpu_memory_buffer *best = NULL;
    uint32_t count = 0;

    for (uint32_t i = r->items[r->end].after; i != r->end; i = r->items[i].after) {
        if (!eligible(&r->items[i], what))
            continue;
        r->list[count++] = &r->items[i].view;
        if (count < GPU_MEMORY_CANDIDATES)
            continue;
        best = ask(r, q, what, count);
        count = best ? 1 : 0;
        r->list[0] = best;
    }
    return count > (best ? 1u : 0u) ? ask(r, q, what, count) : best;
}

/* ---- Moves ------------------------------------------------------------------------------------- */

static void move(struct replay *r, struct gpu_memory_buffer *b, bool here, bool copied)
{
    b->resident = here;
    b->dirty = b->dirty && here;
    r->resident += here ? b->bytes : 0 - b->bytes;
    *(here ? &r->out->moved_in : &r->out->moved_out) += copied ? b->bytes : 0;
    if (r->policy->moved)
        r->policy->moved(r->policy->context, b, here, copied);
}

static bool room_make(struct replay *r, const struct gpu_memory_buffer *incoming, bool optional)
{
    struct gpu_memory_question q = {.incoming = incoming, .optional = optional};

    while (r->resident + incoming->bytes > r->quota) {
        struct gpu_memory_buffer *gone = ask_all(r, &q, VICTIM);

        if (!gone)
            return false;
        move(r, gone, false, gone->dirty);
    }
    return true;
}

static bool prefetch_one(struct replay *r)
{
    struct gpu_memory_question q = {.optional = true};
    struct gpu_memory_buffer *b = ask_all(r, &q, PREFETCH);

    if (!b || !room_make(r, b, true))
        return false;
    move(r, b, true, true);
    r->out->prefetches++;
    return true;
}

/* ---- Events ------------------------------------------------------------------------------------ */

static void touch(struct replay *r, struct item *m, uint32_t position)
{
    struct gpu_memory_touch t = {
        .number = ++r->touches,
        .batch = r->batches,
        .position = position,
        .reads = m->how != 'o',
        .writes = m->how != 'r',
        .copied = !m->fresh && m->how != 'o',
        .quota = r->quota,
    };

    r->policy->touch(r->policy->context, &m->view, &t);
    r->out->touches++;
    r->out->hits += m->view.resident;
    m->view.touches++;
    m->view.last = t.number;
}

static void batch(struct replay *r, const struct trace_event *events, size_t count)
{
    r->batches++;
    for (size_t i = 0; i < count; i++) {
        struct item *m = &r->items[events[i].buffer];

        m->wanted = true;
        m->how = events[i].how;
    }
    for (size_t i = 0; i < count; i++) {
        touch(r, &r->items[events[i].buffer], (uint32_t)i);
        list_take(r, events[i].buffer);
        list_append(r, events[i].buffer);
    }
    for (size_t i = 0; i < count; i++) {
        struct item *m = &r->items[events[i].buffer];

        if (!m->view.resident && room_make(r, &m->view, false))
            move(r, &m->view, true, !m->fresh && m->how != 'o');
    }
    for (size_t i = 0; i < count; i++) {
        struct item *m = &r->items[events[i].buffer];

        m->wanted = false;
        m->view.dirty |= m->how != 'r';
        m->fresh = m->fresh && m->how == 'r';
    }
    for (int i = 0; i < PREFETCHES && r->policy->prefetch && prefetch_one(r); i++)
        ;
}

static void make(struct replay *r, const struct trace_event *e)
{
    r->items[e->buffer] = (struct item){
        .view = {.id = e->buffer + 1, .program = e->program, .bytes = e->bytes, .known = true},
        .alive = true,
        .fresh = true,
    };
    list_append(r, e->buffer);
}

static void end(struct replay *r, uint32_t buffer)
{
    struct item *m = &r->items[buffer];

    if (r->policy->freed)
        r->policy->freed(r->policy->context, &m->view);
    r->resident -= m->view.resident ? m->view.bytes : 0;
    m->alive = false;
    list_take(r, buffer);
}

bool replay_run(const struct trace *trace, uint64_t quota, const struct replay_policy *policy,
                struct replay_result *out)
{
    struct replay r = {.trace = trace, .policy = policy, .out = out, .quota = quota, .end = trace->buffers};
    size_t first = 0;

    *out = (struct replay_result){0};
    r.items = calloc(trace->buffers + 1, sizeof(*r.items));
    if (!r.items)
        return false;
    r.items[r.end].before = r.items[r.end].after = r.end;
    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];

        if (e->kind == TRACE_TOUCH)
            continue;
        if (e->kind == TRACE_NEW)
            make(&r, e);
        else if (e->kind == TRACE_FREE)
            end(&r, e->buffer);
        else if (e->kind == TRACE_BATCH)
            batch(&r, trace->events + first, i - first);
        first = i + 1;
    }
    free(r.items);
    return true;
}

/* ---- LRU --------------------------------------------------------------------------------------- */

static void lru_touch(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    (void)context;
    (void)b;
    (void)t;
}

static uint32_t lru_victim(void *context, const struct gpu_memory_question *q)
{
    (void)context;
    (void)q;
    return 0;
}

const struct replay_policy replay_lru = {.name = "lru", .touch = lru_touch, .victim = lru_victim};
