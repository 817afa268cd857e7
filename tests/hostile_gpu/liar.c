/*
 * liar.c: see liar.h.
 */
#include "liar.h"

#define PIECES       8u
#define SIGNALLED_BY 5u     /* how far a fence jumps ahead */
#define FLOOD        50000u
#define FLOOD_STEP   4096u /* tries to send one; an interrupt for each 16 */
#define RANDOM_EVERY 6u /* one answer of so many is a lie */

enum {
    ID_HUGE, ID_SIZE, ID_FREE, TWICE, LENGTH_OVER, LENGTH_HUGE, INDEX_AHEAD, INDEX_BACK, SCRIBBLE, SILENT, DIE,
    STATUS_ODD, STATUS_HUGE, STATUS_MEMORY, STATUS_LOST, STATUS_ANY, PAYLOAD_HUGE, REPLY_SHORT, REPLY_EMPTY, VALUE_HUGE, NOISE,
    FENCE_NEVER, FENCE_AHEAD, FENCE_BACK, FAILED_FINE, FAILED_ODD, FAILED_AHEAD, WAIT_WORD,
    EVENT_NONE, EVENT_ODD, EVENT_NOBODY, EVENT_EMPTY, EVENT_FLOOD, EVENT_LOST,
    CONFIG_MAGIC, CONFIG_VERSION, CONFIG_ZERO, CONFIG_ONES, CONFIG_NONE, CONFIG_ALIGN, CONFIG_NAMES,
    NEEDS_RESET, CONFIG_CHANGED, HONEST, LIES,
};

const struct liar_lie liar_lies[LIES + 1] = {
    [ID_HUGE] = {"id-huge", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [ID_SIZE] = {"id-size", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [ID_FREE] = {"id-free", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [TWICE] = {"twice", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [LENGTH_OVER] = {"length-over", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [LENGTH_HUGE] = {"length-huge", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [INDEX_AHEAD] = {"index-ahead", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [INDEX_BACK] = {"index-back", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [SCRIBBLE] = {"scribble", LIAR_GIVES_BACK, LIAR_EXPECT_ANY},
    [SILENT] = {"silent", LIAR_GIVES_BACK, LIAR_EXPECT_ANY},
    [DIE] = {"die", LIAR_GIVES_BACK, LIAR_EXPECT_LOST},
    [STATUS_ODD] = {"status-odd", LIAR_REPLIES, LIAR_EXPECT_ANY},
    [STATUS_HUGE] = {"status-huge", LIAR_REPLIES, LIAR_EXPECT_ANY},
    [STATUS_MEMORY] = {"status-memory", LIAR_REPLIES, LIAR_EXPECT_ANY},
    [STATUS_LOST] = {"status-lost", LIAR_REPLIES, LIAR_EXPECT_ERRORS},
    [STATUS_ANY] = {"status-any", LIAR_REPLIES, LIAR_EXPECT_ANY},
    [PAYLOAD_HUGE] = {"payload-huge", LIAR_REPLIES, LIAR_EXPECT_LOST},
    [REPLY_SHORT] = {"reply-short", LIAR_REPLIES, LIAR_EXPECT_LOST},
    [REPLY_EMPTY] = {"reply-empty", LIAR_REPLIES, LIAR_EXPECT_LOST},
    [VALUE_HUGE] = {"value-huge", LIAR_REPLIES, LIAR_EXPECT_ERRORS},
    [NOISE] = {"noise", LIAR_REPLIES, LIAR_EXPECT_ANY},
    [FENCE_NEVER] = {"fence-never", LIAR_FENCES, LIAR_EXPECT_ERRORS},
    [FENCE_AHEAD] = {"fence-ahead", LIAR_FENCES, LIAR_EXPECT_LOST},
    [FENCE_BACK] = {"fence-back", LIAR_FENCES, LIAR_EXPECT_LOST},
    [FAILED_FINE] = {"failed-fine", LIAR_FENCES, LIAR_EXPECT_ERRORS},
    [FAILED_ODD] = {"failed-odd", LIAR_FENCES, LIAR_EXPECT_ERRORS},
    [FAILED_AHEAD] = {"failed-ahead", LIAR_FENCES, LIAR_EXPECT_ERRORS},
    [WAIT_WORD] = {"wait-word", LIAR_FENCES, LIAR_EXPECT_ERRORS},
    [EVENT_NONE] = {"event-none", LIAR_EVENTS, LIAR_EXPECT_ERRORS},
    [EVENT_ODD] = {"event-odd", LIAR_EVENTS, LIAR_EXPECT_ERRORS},
    [EVENT_NOBODY] = {"event-nobody", LIAR_EVENTS, LIAR_EXPECT_ERRORS},
    [EVENT_EMPTY] = {"event-empty", LIAR_EVENTS, LIAR_EXPECT_ERRORS},
    [EVENT_FLOOD] = {"event-flood", LIAR_EVENTS, LIAR_EXPECT_ANY},
    [EVENT_LOST] = {"event-lost", LIAR_EVENTS, LIAR_EXPECT_LOST},
    [CONFIG_MAGIC] = {"config-magic", LIAR_CONFIG, LIAR_EXPECT_ANY},
    [CONFIG_VERSION] = {"config-version", LIAR_CONFIG, LIAR_EXPECT_LOST},
    [CONFIG_ZERO] = {"config-zero", LIAR_CONFIG, LIAR_EXPECT_LOST},
    [CONFIG_ONES] = {"config-ones", LIAR_CONFIG, LIAR_EXPECT_LOST},
    [CONFIG_NONE] = {"config-none", LIAR_CONFIG, LIAR_EXPECT_ERRORS},
    [CONFIG_ALIGN] = {"config-align", LIAR_CONFIG, LIAR_EXPECT_LOST},
    [CONFIG_NAMES] = {"config-names", LIAR_CONFIG, LIAR_EXPECT_ERRORS},
    [NEEDS_RESET] = {"needs-reset", LIAR_STATE, LIAR_EXPECT_LOST},
    [CONFIG_CHANGED] = {"config-changed", LIAR_STATE, LIAR_EXPECT_ERRORS},
    [HONEST] = {"honest", LIAR_HONEST, LIAR_EXPECT_ERRORS},
    [LIES] = {"", LIAR_HONEST, LIAR_EXPECT_ANY},
};

/* By type of request; ALIVE is the question for a context that never is. */
enum { ALIVE = 0, SUBMIT = 12, EVENT = 13, PLACES };
/* Who lies when asked whether it is alive must be asked: this queue's work does not end then. */
#define UNSIGNALLED 63u
const char *const liar_places[PLACES + 1] = {
    [ALIVE] = "alive",
    [VGPGPU_CONTEXT_CREATE] = "context-create",
    [VGPGPU_CONTEXT_DESTROY] = "context-destroy",
    [VGPGPU_BUFFER_CREATE] = "buffer-create",
    [VGPGPU_BUFFER_DESTROY] = "buffer-destroy",
    [VGPGPU_PROGRAM_CREATE] = "program-create",
    [VGPGPU_PROGRAM_DESTROY] = "program-destroy",
    [VGPGPU_KERNEL_CREATE] = "kernel-create",
    [VGPGPU_KERNEL_DESTROY] = "kernel-destroy",
    [VGPGPU_QUERY] = "query",
    [VGPGPU_CONTEXT_LIMIT] = "context-limit",
    [VGPGPU_SUB_BUFFER_CREATE] = "sub-buffer-create",
    [SUBMIT] = "submit",
    [EVENT] = "event",
    [PLACES] = "",
};

/* ---- Numbers and names ------------------------------------------------------------------------- */

static uint64_t number(struct liar *l)
{
    uint64_t x = l->state += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64 (Steele, Lea, Flood, 2014) */
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* How many letters of `text` are the whole of `name`; 0: it is another. */
static size_t name_match(const char *text, const char *name)
{
    size_t i = 0;

    while (name[i] && text[i] == name[i])
        i++;
    return name[i] || (text[i] && text[i] != '@' && text[i] != '+') ? 0 : i;
}

static uint64_t digits(const char *text)
{
    uint64_t n = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

static bool parse(struct liar *l, const char *what)
{
    static const char by_chance[] = "random:";
    size_t i = 0, n = 0;

    while (by_chance[i] && what[i] == by_chance[i])
        i++;
    if (!by_chance[i]) {
        l->state = digits(what + i);
        return true;
    }
    for (l->lie = liar_lies; l->lie->name[0] && !(n = name_match(what, l->lie->name)); l->lie++)
        ;
    what += n;
    if (!n)
        return false;
    if (*what == '@') {
        for (n = 0; l->place < PLACES && !(n = name_match(what + 1, liar_places[l->place])); l->place++)
            ;
        what += n + 1;
    } else {
        l->place = l->lie->group == LIAR_REPLIES || l->lie->group == LIAR_GIVES_BACK ? PLACES : SUBMIT;
    }
    if (*what == '+')
        l->honest = (unsigned)digits(what + 1);
    return l->place < PLACES;
}

bool liar_init(struct liar *l, const char *what, const struct liar_calls *calls, void *owner)
{
    *l = (struct liar){.calls = calls, .owner = owner};
    return parse(l, what);
}

/* ---- Lying or not ------------------------------------------------------------------------------ */

/* Not what ends all at once in most places, nor what lasts. */
static const struct liar_lie *by_chance(struct liar *l, enum liar_group first, enum liar_group last)
{
    const struct liar_lie *lie = &liar_lies[number(l) % LIES];
    bool grave = lie->expect == LIAR_EXPECT_LOST || lie == &liar_lies[SILENT] || lie == &liar_lies[FENCE_NEVER];

    if (number(l) % RANDOM_EVERY || lie->group < first || lie->group > last || (grave && number(l) % 16))
        return NULL;
    l->told++;
    return lie;
}

/* The lie of one of these groups to be told now; NULL: none. */
static const struct liar_lie *lie_now(struct liar *l, unsigned place, enum liar_group first, enum liar_group last)
{
    if (!l->lie)
        return by_chance(l, first, last);
    if (l->place != place || l->lie->group < first || l->lie->group > last)
        return NULL;
    if (l->honest) {
        l->honest--;
        return NULL;
    }
    l->told++;
    return l->lie;
}

static bool is(const struct liar_lie *lie, unsigned what)
{
    return lie == &liar_lies[what];
}

static const char device_name[] = "a device that lies";

void liar_config(struct liar *l, struct vgpgpu_config *out)
{
    const struct liar_lie *lie = l->lie && l->lie->group == LIAR_CONFIG ? l->lie : NULL;

    *out = (struct vgpgpu_config){
        .magic = is(lie, CONFIG_MAGIC) ? 1 : VGPGPU_MAGIC,
        .version = VGPGPU_VERSION + is(lie, CONFIG_VERSION),
        .max_contexts = LIAR_CONTEXTS,
        .max_objects = 1000,
        .max_segments = 1000,
        .max_submit_bytes = 1 << 16,
        .max_program_bytes = 1 << 16,
        .offset_align = is(lie, CONFIG_ALIGN) ? 0 : 64,
        .device_type = VGPGPU_DEVICE_GPU,
        .compute_units = 1,
        .global_memory = 1 << 30,
        .max_buffer = 1 << 28,
        .program_kinds = 1 << VGPGPU_PROGRAM_OPENCL_C,
        .features = VGPGPU_FEATURE_SUB_BUFFER | VGPGPU_FEATURE_SIGNAL,
    };
    for (unsigned i = 0; device_name[i]; i++)
        out->device_name[i] = device_name[i];
    if (is(lie, CONFIG_ZERO) || is(lie, CONFIG_ONES))
        for (size_t i = 8; i < sizeof(*out); i++)
            ((uint8_t *)out)[i] = is(lie, CONFIG_ONES) ? 0xff : 0;
    if (is(lie, CONFIG_NONE))
        out->max_submit_bytes = out->max_program_bytes = 0, out->global_memory = 0, out->max_buffer = 1;
    if (is(lie, CONFIG_NAMES)) {
        for (size_t i = offsetof(struct vgpgpu_config, backend); i < offsetof(struct vgpgpu_config, operations); i++)
            ((uint8_t *)out)[i] = i % 7 ? 0x1b : '\n';
        out->max_contexts = out->max_objects = out->max_segments = UINT32_MAX;
        out->max_submit_bytes = out->max_program_bytes = UINT32_MAX;
        out->global_memory = out->max_buffer = UINT64_MAX;
        out->device_type = UINT32_MAX;
    }
}

/* ---- Rings ------------------------------------------------------------------------------------- */

struct chain {
    uint16_t head;
    unsigned count, readable; /* pieces; those that are read come first */
    uint64_t written_most;
    struct {
        uint8_t *at;
        uint32_t bytes;
    } pieces[PIECES];
};

static void piece_add(struct liar *l, struct chain *c, const struct vring_desc *d)
{
    uint8_t *at = l->calls->memory(l->owner, d->address, d->length);

    if (!at || c->count == PIECES)
        return;
    if (d->flags & VRING_DESC_WRITE)
        c->written_most += d->length;
    else
        c->readable = c->count + 1;
    c->pieces[c->count].at = at;
    c->pieces[c->count++].bytes = d->length;
}

static void table_walk(struct liar *l, struct chain *c, const struct vring_desc *table, uint32_t size, uint32_t at)
{
    for (unsigned steps = 0; steps < PIECES && at < size; steps++) {
        struct vring_desc d = table[at];

        if (d.flags & VRING_DESC_INDIRECT) {
            const struct vring_desc *other = l->calls->memory(l->owner, d.address, d.length);

            if (other && table != other && size != d.length / sizeof(d))
                table_walk(l, c, other, d.length / sizeof(d), 0);
            return;
        }
        piece_add(l, c, &d);
        if (!(d.flags & VRING_DESC_NEXT))
            return;
        at = d.next;
    }
}

static bool chain_take(struct liar *l, unsigned queue, struct chain *c)
{
    struct liar_ring *r = &l->rings[queue];

    if (!r->size || __atomic_load_n(&r->avail[1], __ATOMIC_ACQUIRE) == r->seen)
        return false;
    *c = (struct chain){.head = r->avail[2 + (r->seen & (r->size - 1))]};
    r->seen++;
    if (c->head < r->size)
        table_walk(l, c, r->desc, r->size, c->head);
    return true;
}

static void used_push(struct liar_ring *r, uint32_t id, uint32_t written)
{
    volatile struct vring_used_element *ring = (volatile void *)&r->used[2];

    ring[r->used_index & (r->size - 1)].id = id;
    ring[r->used_index & (r->size - 1)].length = written;
    __atomic_store_n(&r->used[1], ++r->used_index, __ATOMIC_RELEASE);
}

/* Over all that only the driver should write, with addresses where there is no memory: it finds them there itself. */
static void scribble(struct liar *l, struct liar_ring *r)
{
    struct vring_desc *desc = (struct vring_desc *)(uintptr_t)r->desc;

    for (uint16_t i = 0; i < r->size; i++)
        desc[i] = (struct vring_desc){number(l) | 1ull << 63, (uint32_t)number(l), (uint16_t)number(l),
                                      (uint16_t)number(l)};
}

static void chain_give(struct liar *l, unsigned queue, const struct chain *c, uint32_t written,
                       const struct liar_lie *lie)
{
    struct liar_ring *r = &l->rings[queue];
    uint32_t id = c->head;

    if (is(lie, DIE)) {
        l->quiet = true;
        l->calls->die(l->owner);
        return;
    }
    if (is(lie, SILENT))
        return;
    if (is(lie, SCRIBBLE))
        scribble(l, r);
    if (is(lie, ID_HUGE) || is(lie, ID_SIZE) || is(lie, ID_FREE))
        id = is(lie, ID_HUGE) ? UINT32_MAX : is(lie, ID_SIZE) ? r->size : r->size - 1u;
    if (is(lie, LENGTH_OVER) || is(lie, LENGTH_HUGE))
        written = is(lie, LENGTH_HUGE) ? UINT32_MAX : (uint32_t)c->written_most + 1;
    if (is(lie, INDEX_BACK))
        __atomic_store_n(&r->used[1], (uint16_t)(r->used_index - 2), __ATOMIC_RELEASE);
    else
        used_push(r, id, written);
    if (is(lie, TWICE))
        used_push(r, id, written);
    if (is(lie, INDEX_AHEAD))
        __atomic_store_n(&r->used[1], (uint16_t)(r->used_index + r->size), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(r->avail[0] & VRING_AVAIL_NO_INTERRUPT) && !l->floods)
        l->calls->interrupt(l->owner, queue);
}

/* ---- Control ----------------------------------------------------------------------------------- */

/* Bytes of the chain's readable part, zeroes behind its end. */
static void chain_read(const struct chain *c, void *out, size_t bytes)
{
    uint8_t *to = out;

    for (size_t i = 0; i < bytes; i++)
        to[i] = 0;
    for (unsigned p = 0; p < c->readable; p++)
        for (uint32_t i = 0; i < c->pieces[p].bytes && bytes > 0; i++, bytes--)
            *to++ = c->pieces[p].at[i];
}

/* As much as there is room for. */
static void chain_write(const struct chain *c, const void *from, size_t bytes)
{
    const uint8_t *next = from;

    for (unsigned p = c->readable; p < c->count; p++)
        for (uint32_t i = 0; i < c->pieces[p].bytes && bytes > 0; i++, bytes--)
            c->pieces[p].at[i] = *next++;
}

static struct vgpgpu_fence_slot *slot_find(struct liar *l, uint32_t context, uint32_t queue)
{
    uint64_t page = context <= LIAR_CONTEXTS ? l->fence_pages[context] : 0;
    struct vgpgpu_fence_slot *slots = page ? l->calls->memory(l->owner, page, VGPGPU_PAGE) : NULL;

    return slots && queue < VGPGPU_QUEUES_PER_CONTEXT ? &slots[queue] : NULL;
}

static void context_create(struct liar *l, const struct vgpgpu_context_create *request)
{
    uint32_t context = request->header.context;

    if (context > LIAR_CONTEXTS)
        return;
    l->fence_pages[context] = request->fence_page;
    for (uint32_t i = 0; i < VGPGPU_QUEUES_PER_CONTEXT; i++) {
        struct vgpgpu_fence_slot *slot = slot_find(l, context, i);

        if (slot)
            *slot = (struct vgpgpu_fence_slot){.wait = VGPGPU_NOBODY_WAITS};
    }
}

/* The bytes of an answer behind its header. */
static void answer_make(struct liar *l, const struct chain *c, struct vgpgpu_reply *reply)
{
    union {
        struct vgpgpu_request header;
        struct vgpgpu_context_create create;
        struct vgpgpu_query query;
    } request;

    chain_read(c, &request, sizeof(request));
    switch (request.header.type) {
    case VGPGPU_CONTEXT_CREATE:
        context_create(l, &request.create);
        break;
    case VGPGPU_CONTEXT_DESTROY:
        reply->status = request.header.context ? VGPGPU_OK : VGPGPU_ERR_ID;
        if (request.header.context <= LIAR_CONTEXTS)
            l->fence_pages[request.header.context] = 0;
        break;
    case VGPGPU_KERNEL_CREATE:
        reply->value = 2;
        break;
    case VGPGPU_QUERY:
        reply->value = sizeof(struct vgpgpu_kernel_info);
        if (request.query.offset < reply->value && c->written_most > sizeof(*reply))
            reply->length = (uint32_t)(reply->value - request.query.offset);
        if (reply->length > c->written_most - sizeof(*reply))
            reply->length = (uint32_t)(c->written_most - sizeof(*reply));
        break;
    }
}

/* What becomes of an answer, and how many bytes of it came. */
static uint32_t reply_damage(struct liar *l, struct vgpgpu_reply *reply, const struct liar_lie *lie)
{
    uint32_t written = (uint32_t)sizeof(*reply) + reply->length;

    if (is(lie, STATUS_ODD))
        reply->status = 77;
    if (is(lie, STATUS_HUGE))
        reply->status = UINT32_MAX;
    if (is(lie, STATUS_MEMORY))
        reply->status = VGPGPU_ERR_NO_MEMORY;
    if (is(lie, STATUS_LOST))
        reply->status = VGPGPU_ERR_LOST;
    if (is(lie, STATUS_ANY))
        reply->status = (uint32_t)(number(l) % 12);
    if (is(lie, PAYLOAD_HUGE))
        reply->length = UINT32_MAX;
    if (is(lie, VALUE_HUGE))
        reply->value = UINT64_MAX;
    if (is(lie, NOISE))
        *reply = (struct vgpgpu_reply){(uint32_t)number(l), (uint32_t)number(l) % 64, number(l)};
    return is(lie, REPLY_EMPTY) ? 0 : is(lie, REPLY_SHORT) ? sizeof(*reply) - 1 : written;
}

static void state_tell(struct liar *l, unsigned place)
{
    const struct liar_lie *lie = lie_now(l, place, LIAR_STATE, LIAR_STATE);

    if (lie)
        l->calls->config_changed(l->owner, is(lie, NEEDS_RESET));
}

static void control(struct liar *l, const struct chain *c)
{
    struct vgpgpu_request header;
    struct vgpgpu_reply reply = {0};
    const struct liar_lie *lie;
    unsigned place;
    uint32_t written;

    chain_read(c, &header, sizeof(header));
    place = header.type < SUBMIT && (header.type != VGPGPU_CONTEXT_DESTROY || header.context) ? header.type : ALIVE;
    state_tell(l, place);
    lie = lie_now(l, place, LIAR_GIVES_BACK, LIAR_REPLIES);
    answer_make(l, c, &reply);
    written = reply_damage(l, &reply, lie);
    chain_write(c, &reply, sizeof(reply));
    if (written > c->written_most)
        written = (uint32_t)c->written_most;
    chain_give(l, VGPGPU_QUEUE_CONTROL, c, written, lie);
}

/* ---- Work and events --------------------------------------------------------------------------- */

static bool event_send(struct liar *l, const struct vgpgpu_event *event, const struct liar_lie *lie)
{
    const struct liar_lie *ring_lie = lie_now(l, EVENT, LIAR_GIVES_BACK, LIAR_GIVES_BACK);
    struct chain c;

    if (!chain_take(l, VGPGPU_QUEUE_EVENT, &c))
        return false;
    chain_write(&c, event, sizeof(*event));
    chain_give(l, VGPGPU_QUEUE_EVENT, &c, is(lie, EVENT_EMPTY) ? 0 : sizeof(*event), ring_lie);
    return true;
}

static void event_lie(struct liar *l, const struct liar_lie *lie, struct vgpgpu_event event)
{
    if (is(lie, EVENT_FLOOD))
        l->flood = FLOOD;
    if (is(lie, EVENT_ODD))
        event.type = (uint32_t)number(l) | 4;
    if (is(lie, EVENT_NOBODY))
        event.context = number(l) % 2 ? UINT32_MAX : 0;
    if (is(lie, EVENT_LOST))
        event.type = VGPGPU_EVENT_LOST;
    if (!is(lie, EVENT_NONE))
        event_send(l, &event, lie);
}

static void failure_write(struct vgpgpu_fence_slot *slot, uint64_t fence, const struct liar_lie *lie)
{
    if (!is(lie, FAILED_FINE) && !is(lie, FAILED_ODD) && !is(lie, FAILED_AHEAD))
        return;
    __atomic_store_n(&slot->status, is(lie, FAILED_ODD) ? 0xdeadbeef : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->failed, is(lie, FAILED_AHEAD) ? UINT64_MAX : fence, __ATOMIC_RELAXED);
}

/* The fence's new value, and whether somebody sleeps for it. */
static bool fence_signal(struct vgpgpu_fence_slot *slot, uint64_t fence, const struct liar_lie *lie)
{
    uint64_t before = slot->signalled, wait;

    failure_write(slot, fence, lie);
    if (is(lie, FENCE_AHEAD))
        fence += SIGNALLED_BY;
    if (is(lie, FENCE_BACK) && before)
        fence = 0;
    if (is(lie, WAIT_WORD))
        __atomic_store_n(&slot->wait, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->signalled, fence, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    wait = __atomic_load_n(&slot->wait, __ATOMIC_RELAXED);
    return wait > before && wait <= fence;
}

static void submission(struct liar *l, const struct chain *c)
{
    const struct liar_lie *lie = lie_now(l, SUBMIT, LIAR_GIVES_BACK, LIAR_GIVES_BACK),
                          *fence_lie = lie ? NULL : lie_now(l, SUBMIT, LIAR_FENCES, LIAR_FENCES),
                          *event = lie || fence_lie ? NULL : lie_now(l, SUBMIT, LIAR_EVENTS, LIAR_EVENTS);
    struct vgpgpu_fence_slot *slot;
    struct vgpgpu_submit batch;
    struct vgpgpu_event told;
    bool awaited;

    chain_read(c, &batch, sizeof(batch));
    state_tell(l, SUBMIT);
    chain_give(l, VGPGPU_QUEUE_SUBMIT, c, 0, lie);
    slot = slot_find(l, batch.context, batch.queue);
    if (l->quiet || !slot || is(fence_lie, FENCE_NEVER) || (l->lie && l->place == ALIVE && batch.queue == UNSIGNALLED))
        return;
    awaited = fence_signal(slot, batch.fence, fence_lie);
    told = (struct vgpgpu_event){VGPGPU_EVENT_FENCE, batch.context, batch.queue, 0, batch.fence};
    if (event)
        event_lie(l, event, told);
    else if (awaited)
        event_send(l, &told, NULL);
}

static bool flood(struct liar *l)
{
    const struct vgpgpu_event event = {VGPGPU_EVENT_FENCE, 1, 0, 0, 1};

    if (!l->flood)
        return false;
    l->floods = true;
    for (unsigned i = 0; i < FLOOD_STEP && l->flood; i++)
        if (event_send(l, &event, NULL) && --l->flood % 16 == 0)
            l->calls->interrupt(l->owner, VGPGPU_QUEUE_EVENT);
    l->floods = false;
    return true;
}

/* ---- The device -------------------------------------------------------------------------------- */

void liar_ring_start(struct liar *l, unsigned queue, uint16_t size, uint16_t from, const void *desc,
                     const volatile void *avail, volatile void *used)
{
    l->rings[queue] = (struct liar_ring){size, from, from, desc, avail, used};
}

void liar_ring_stop(struct liar *l, unsigned queue)
{
    l->rings[queue] = (struct liar_ring){.seen = l->rings[queue].seen};
}

bool liar_step(struct liar *l)
{
    struct chain c;
    bool any = false;

    while (!l->quiet && chain_take(l, VGPGPU_QUEUE_CONTROL, &c)) {
        control(l, &c);
        any = true;
    }
    while (!l->quiet && chain_take(l, VGPGPU_QUEUE_SUBMIT, &c)) {
        submission(l, &c);
        any = true;
    }
    return (!l->quiet && flood(l)) || any;
}
