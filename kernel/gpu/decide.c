/*
 * decide.c: the class "gpu_memory": asks policies which managed buffer leaves the device or comes back
 * early. What a policy answers is a place in a list that is made here, so it can choose nobody who is in
 * use, gone, or another device's; a place beyond the list is nonsense, and the least recently touched goes.
 */
#include <microlake/policy.h>
#include <microlake/thread.h>
#include "residency.h"

static uint32_t lru_victim(const struct gpu_memory_question *q)
{
    (void)q; /* the list's order is the answer */
    return 0;
}

static const struct gpu_memory_ops lru_ops = {.struct_size = sizeof(lru_ops), .victim = lru_victim};
static struct policy lru_policy = {.name = "lru", .ops = &lru_ops};

static bool ops_valid(const void *table)
{
    const struct gpu_memory_ops *ops = table;

    return ops->struct_size == sizeof(*ops) && ops->victim;
}

static struct policy_class memory_class = {
    .name = GPU_MEMORY_CLASS,
    .objective = "bytes moved for each KiB that batches touched",
    .judgement = "touches that found their buffer on the device",
    .valid = ops_valid,
    .can_shadow = ops_valid,
};

void gpu_memory_start(void)
{
    policy_class_register(&memory_class, &lru_policy);
}

void gpu_memory_measure(uint64_t moved, uint64_t touched)
{
    policy_measure(&memory_class, moved, touched >> 10);
}

static uint64_t own_choice(void)
{
    return thread_policy(thread_current(), memory_class.index);
}

/* ---- Questions --------------------------------------------------------------------------------- */

enum question { VICTIM, PREFETCH };

struct ask {
    struct gpu_memory_question q;
    enum question what;
    uint32_t answer;
};

/* Inside the guard, as all that is given to policy_call(). */
static bool ask_one(const struct policy *p, void *arg)
{
    const struct gpu_memory_ops *ops = p->ops;
    struct ask *a = arg;

    for (uint32_t i = 0; i < a->q.count; i++)
        a->q.list[i]->known = a->q.list[i]->owner == p->number;
    if (a->what == VICTIM)
        a->answer = ops->victim(&a->q);
    else
        a->answer = ops->prefetch ? ops->prefetch(&a->q) : GPU_MEMORY_NONE;
    return a->answer < a->q.count || (a->q.optional && a->answer == GPU_MEMORY_NONE);
}

/* Who of r's list is best; they are `count`. NULL: nobody, where that is allowed. */
static struct gpu_memory_buffer *ask_list(struct gpu_residency *r, struct ask *a, uint32_t count, bool shadow)
{
    uint64_t number;

    a->q.list = r->candidates;
    a->q.count = count;
    a->q.touches = r->touches;
    if (!shadow)
        policy_call(&memory_class, own_choice(), ask_one, a, &number);
    else if (!policy_call_shadow(&memory_class, ask_one, a, &number))
        a->answer = 0;
    return a->answer == GPU_MEMORY_NONE ? NULL : r->candidates[a->answer];
}

/* In use, but by nobody who would notice: what comes in the same queue finds it as it was left. */
static bool can_leave(const struct gpu_residency *r, const struct gpu_managed *m)
{
    return m->pins == 0 || (m->ctx == r->asking && m->pin_queue == r->asking_queue && !m->pinned_twice);
}

static bool eligible(const struct gpu_residency *r, const struct gpu_managed *m, enum question what, bool shadow)
{
    if (m->wanted || !m->id)
        return false;
    if (what == PREFETCH)
        return !m->view.resident && !m->fresh;
    return can_leave(r, m) && (shadow ? m->shade.resident : m->view.resident);
}

/* Lists too long for one question: the winner so far stands first among the next ones. */
static struct gpu_memory_buffer *ask_all(struct gpu_residency *r, struct ask *a, bool shadow)
{
    struct gpu_memory_buffer *best = NULL;
    uint32_t count = 0;

    list_for_each (it, &r->buffers) {
        struct gpu_managed *m = list_entry(it, struct gpu_managed, link);

        if (!eligible(r, m, a->what, shadow))
            continue;
        r->candidates[count++] = shadow ? &m->shade : &m->view;
        if (count < GPU_MEMORY_CANDIDATES)
            continue;
        best = ask_list(r, a, count, shadow);
        count = best ? 1 : 0;
        r->candidates[0] = best;
    }
    return count > (best ? 1 : 0) ? ask_list(r, a, count, shadow) : best;
}

struct gpu_managed *gpu_memory_victim(struct gpu_residency *r, struct gpu_managed *incoming, bool optional)
{
    struct ask a = {.what = VICTIM, .q = {.incoming = incoming ? &incoming->view : NULL, .optional = optional}};
    struct gpu_memory_buffer *b = ask_all(r, &a, false);

    return b ? container_of(b, struct gpu_managed, view) : NULL;
}

struct gpu_managed *gpu_memory_prefetch(struct gpu_residency *r)
{
    struct ask a = {.what = PREFETCH, .q = {.optional = true}};
    const struct policy *active = __atomic_load_n(&memory_class.active, __ATOMIC_ACQUIRE);
    struct gpu_memory_buffer *b;

    if (active == &lru_policy && !own_choice()) /* it has nothing to say */
        return NULL;
    b = ask_all(r, &a, false);
    return b ? container_of(b, struct gpu_managed, view) : NULL;
}

/* ---- Events ------------------------------------------------------------------------------------ */

struct event {
    struct gpu_memory_buffer *b;
    const struct gpu_memory_touch *touch; /* NULL: another event */
    bool moved, copied;                   /* it has moved; else it is freed */
};

/* What is told of a buffer only to whose `data` it has. */
static void event_tell_owner(const struct gpu_memory_ops *ops, const struct event *e)
{
    if (e->moved && ops->moved)
        ops->moved(e->b, e->b->resident, e->copied);
    if (!e->moved && ops->freed)
        ops->freed(e->b);
}

static bool event_tell(const struct policy *p, void *arg)
{
    const struct gpu_memory_ops *ops = p->ops;
    const struct event *e = arg;

    if (!e->touch) {
        if (e->b->owner == p->number)
            event_tell_owner(ops, e);
        return true;
    }
    if (e->b->owner != p->number) {
        memset(e->b->data, 0, sizeof(e->b->data));
        e->b->owner = p->number;
    }
    if (ops->touch)
        ops->touch(e->b, e->touch);
    return true;
}

/* One policy in both roles would be told everything twice. */
static bool shadow_is_there(void)
{
    const struct policy *shadow = __atomic_load_n(&memory_class.shadow, __ATOMIC_ACQUIRE);

    return shadow && shadow != __atomic_load_n(&memory_class.active, __ATOMIC_ACQUIRE);
}

void gpu_memory_moved(struct gpu_managed *m, bool copied)
{
    struct event e = {.b = &m->view, .moved = true, .copied = copied};
    uint64_t number;

    policy_call(&memory_class, own_choice(), event_tell, &e, &number);
}

static void shade_moved(struct gpu_memory_buffer *b, bool here, bool copied)
{
    struct event e = {.b = b, .moved = true, .copied = copied};
    uint64_t number;

    b->resident = here;
    policy_call_shadow(&memory_class, event_tell, &e, &number);
    b->dirty = b->dirty && here;
}

/* Nothing is moved: sets of buffers are enough to tell what the shadow's answers would have led to. */
static void shade_make_resident(struct gpu_residency *r, struct gpu_managed *m, bool copied)
{
    struct ask a = {.what = VICTIM, .q = {.incoming = &m->shade}};
    struct gpu_memory_buffer *gone;

    while (r->shade_resident + m->shade.bytes > r->quota && (gone = ask_all(r, &a, true))) {
        shade_moved(gone, false, gone->dirty);
        r->shade_resident -= gone->bytes;
    }
    shade_moved(&m->shade, true, copied);
    r->shade_resident += m->shade.bytes;
}

static void touch_note(struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    b->touches++;
    b->last = t->number;
}

void gpu_memory_touched(struct gpu_residency *r, struct gpu_managed *m, struct gpu_memory_touch *t)
{
    struct event e = {.b = &m->view, .touch = t}, shade = {.b = &m->shade, .touch = t};
    uint64_t number;

    t->number = ++r->touches;
    t->quota = r->quota;
    policy_call(&memory_class, own_choice(), event_tell, &e, &number);
    policy_judge(&memory_class, number, m->view.resident, 1);
    touch_note(&m->view, t);
    if (shadow_is_there() && policy_call_shadow(&memory_class, event_tell, &shade, &number)) {
        policy_judge(&memory_class, number, m->shade.resident, 1);
        if (!m->shade.resident)
            shade_make_resident(r, m, t->copied);
        m->shade.dirty |= t->writes;
    }
    touch_note(&m->shade, t);
}

void gpu_memory_freed(struct gpu_residency *r, struct gpu_managed *m)
{
    struct event e = {.b = &m->view}, shade = {.b = &m->shade};
    uint64_t number;

    if (m->shade.resident)
        r->shade_resident -= m->shade.bytes;
    policy_call(&memory_class, own_choice(), event_tell, &e, &number);
    if (shadow_is_there())
        policy_call_shadow(&memory_class, event_tell, &shade, &number);
}
