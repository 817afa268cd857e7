/*
 * touch.c: a touch of a buffer: it goes into the history, its program is aligned, and its next touch is guessed. A touch
 * with another quota than before, or with a number that is not larger, begins everything anew.
 */
#include "internal.h"

void evict_init(struct evict *e, evict_model_fn *model)
{
    __builtin_memset(e, 0, sizeof(*e));
    e->model = model;
}

static void evict_reset(struct evict *e, uint64_t quota)
{
    evict_init(e, e->model);
    e->quota = quota;
    e->unit = quota / UNITS + 1;
    for (unsigned i = 0; i < EVICT_PROGRAMS; i++)
        e->programs[i].at[0] = NOWHERE;
}

/* The place of the program that touches. */
static unsigned touch_begin(struct evict *e, const struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    unsigned slot;

    if (t->quota != e->quota || t->number <= e->number)
        evict_reset(e, t->quota);
    e->number = t->number;
    slot = program_find(e, b);
    program_advance(e, &e->programs[slot]);
    return slot;
}

/* b's key, which this program has given it; *first: only now. *prior: the entry of that key before. */
static uint16_t key_take(struct evict *e, unsigned slot, struct gpu_memory_buffer *b, uint32_t units, uint32_t *prior,
                         bool *first)
{
    struct evict_program *p = &e->programs[slot];

    *first = !b->data[GAPS] || slot_of((uint16_t)b->data[GAPS]) != slot;
    if (*first) {
        b->data[GAPS] = key_choose(e, slot, units, prior);
        b->data[MEAN] = 0;
    } else {
        gap_take(p, b, gap_since(p, b));
    }
    return (uint16_t)b->data[GAPS];
}

static uint16_t flags_after(const struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    return (uint16_t)((b->resident ? HERE : 0) | (t->writes ? DIRTY : 0));
}

static uint16_t flags_before(const struct gpu_memory_buffer *b, const struct gpu_memory_touch *t, bool first)
{
    bool changed = t->writes || (b->resident && b->dirty);

    return (uint16_t)((t->reads ? 0 : OVERWRITES) | (first ? FIRST : 0) | (changed ? CHANGED : 0));
}

void evict_touch(struct evict *e, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    unsigned slot = touch_begin(e, b, t);
    struct evict_program *p = &e->programs[slot];
    uint32_t own = own_entry(e, b), prior = own, units = size_units(e, b->bytes);
    uint16_t dirty = lru_touch(e, b, own, t->copied), key;
    bool first;

    e->largest = units > e->largest ? units : e->largest;
    key = key_take(e, slot, b, units, &prior, &first);
    align(e, slot, key, own);
    b->data[PLACE] = e->next | (uint64_t)p->touches << 32;
    entry_add(e, key, units, prior, dirty | flags_after(b, t), flags_before(b, t, first));
    entry_note(e, p->previous, e->next - 1);
    p->previous = key;
    guesses_make(e, p, b, t);
    expect(e, p, b);
}
