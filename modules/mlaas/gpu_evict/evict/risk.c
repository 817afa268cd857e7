/*
 * risk.c: LRU is simulated beside the device, from the history. Where the device does not have what LRU has, bytes are at
 * risk: LRU would find them there, and the device has to copy them. What LRU has moved so far and the device has not
 * pays for that.
 */
#include "internal.h"

#define SLACK (UNITS / 16) /* may be risked before anything has been won, where LRU is not good */

/* The device has to copy out what LRU has copied out already, or never changed. */
static bool owes(const struct evict *e, uint32_t n)
{
    return e->before[n % EVICT_HISTORY] & CHANGED && !(e->after[n % EVICT_HISTORY] & DIRTY);
}

static uint32_t owed_for(const struct evict *e, uint32_t n)
{
    return owes(e, n) ? e->sizes[n % EVICT_HISTORY] : 0;
}

/* LRU does not have the entry n any more. */
static void lru_without(struct evict *e, uint32_t n)
{
    uint32_t i = n % EVICT_HISTORY;

    e->lru_units -= e->sizes[i];
    e->risked -= e->after[i] & HERE ? 0 : e->sizes[i];
}

/* It gives up what it touched longest ago. */
static void lru_drop(struct evict *e)
{
    uint32_t n = e->tail++, i = n % EVICT_HISTORY;

    if (!entry_latest(e, n))
        return;
    lru_without(e, n);
    e->lru_moved += e->after[i] & DIRTY ? e->sizes[i] : 0;
    e->owed -= owed_for(e, n);
    e->after[i] &= (uint16_t)~DIRTY;
    e->owed += owed_for(e, n);
}

/* The device has nothing to copy out for the entry n any more. */
static void entry_clean(struct evict *e, uint32_t n)
{
    e->owed -= owed_for(e, n);
    e->before[n % EVICT_HISTORY] &= (uint16_t)~CHANGED;
}

/* The entry n is not the latest of its buffer any more, or not known any more. */
static void entry_settle(struct evict *e, uint32_t n)
{
    entry_clean(e, n);
    if (lru_has(e, n))
        lru_without(e, n);
}

/* ---- Before the history ------------------------------------------------------------------------ */

static void stretch_more(struct evict *e, uint32_t k, uint32_t units, bool risked)
{
    e->beyond[k].units += units;
    e->all_beyond.units += units;
    e->beyond[k].risked += risked ? units : 0;
    e->all_beyond.risked += risked ? units : 0;
}

/* Not more than there is. What is risked can't be more than all of it. */
static void stretch_less(struct evict *e, uint32_t k, uint32_t units, bool risked)
{
    struct evict_stretch *s = &e->beyond[k], before = *s;

    s->units -= units < s->units ? units : s->units;
    s->risked -= !risked ? 0 : units < s->risked ? units : s->risked;
    s->risked = s->risked < s->units ? s->risked : s->units;
    e->all_beyond.units -= before.units - s->units;
    e->all_beyond.risked -= before.risked - s->risked;
}

/* LRU gives up so much of the oldest stretch. */
static void oldest_drop(struct evict *e, uint32_t units)
{
    uint32_t k = stretch_of(e->gone);

    stretch_less(e, k, units, false);
    if (!e->beyond[k].units)
        e->gone += EVICT_STRETCH - e->gone % EVICT_STRETCH;
}

/* It gives up what it touched longest ago, until so much is left. */
static void beyond_drop(struct evict *e, uint32_t left)
{
    while (e->all_beyond.units > left)
        oldest_drop(e, e->all_beyond.units - left);
    if (!e->all_beyond.units)
        e->gone = e->tail;
}

/* What LRU touched longest ago leaves the history; LRU keeps it. */
static void beyond_add(struct evict *e)
{
    uint32_t n = e->tail, i = n % EVICT_HISTORY;

    if (!e->all_beyond.units)
        e->gone = n;
    while (n - e->gone >= EVICT_STRETCH * (EVICT_STRETCHES - 1)) /* too long ago to be told apart */
        oldest_drop(e, UNITS);
    e->tail++;
    if (!entry_latest(e, n))
        return;
    lru_without(e, n);
    stretch_more(e, stretch_of(n), e->sizes[i], !(e->after[i] & HERE));
}

/* b may be there: it is not any more. */
static void beyond_take(struct evict *e, const struct gpu_memory_buffer *b)
{
    if (lru_may_have(e, b))
        stretch_less(e, stretch_of((uint32_t)b->data[PLACE]), size_units(e, b->bytes), !b->resident);
}

/* b, which is not in the history, has come or left. */
static void beyond_moved(struct evict *e, const struct gpu_memory_buffer *b, bool here)
{
    uint32_t k = stretch_of((uint32_t)b->data[PLACE]), units = size_units(e, b->bytes), room;

    if (!lru_may_have(e, b))
        return;
    room = here ? e->beyond[k].risked : e->beyond[k].units - e->beyond[k].risked;
    units = units < room ? units : room;
    e->beyond[k].risked += here ? 0 - units : units;
    e->all_beyond.risked += here ? 0 - units : units;
}

/* ---- Events ------------------------------------------------------------------------------------ */

uint16_t lru_touch(struct evict *e, const struct gpu_memory_buffer *b, uint32_t n, bool copied)
{
    uint16_t dirty = lru_has(e, n) ? e->after[n % EVICT_HISTORY] & DIRTY : 0;

    if (!lru_may_have(e, b) && copied) {
        e->lru_moved += size_units(e, b->bytes);
        e->lru_back += b->data[GAPS] ? size_units(e, b->bytes) : 0;
    }
    if (n != NOWHERE)
        entry_settle(e, n);
    else
        beyond_take(e, b);
    return dirty;
}

void lru_make_place(struct evict *e)
{
    if (e->next - e->tail == EVICT_HISTORY)
        beyond_add(e);
    if (e->next >= EVICT_HISTORY)
        entry_settle(e, e->next - EVICT_HISTORY);
}

void lru_add(struct evict *e, uint32_t n)
{
    uint32_t i = n % EVICT_HISTORY;

    e->lru_units += e->sizes[i];
    e->risked += e->after[i] & HERE ? 0 : e->sizes[i];
    e->owed += owed_for(e, n);
    beyond_drop(e, e->lru_units < UNITS ? UNITS - (uint32_t)e->lru_units : 0);
    while (e->lru_units > UNITS && e->next - e->tail > 1) {
        lru_drop(e);
        e->gone = e->tail;
    }
}

void evict_moved(struct evict *e, struct gpu_memory_buffer *b, bool here, bool copied)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (!e->unit)
        return;
    e->moved += copied ? size_units(e, b->bytes) : 0;
    if (n == NOWHERE)
        beyond_moved(e, b, here);
    if (n == NOWHERE || here == !!(e->after[i] & HERE))
        return;
    e->after[i] ^= HERE;
    if (lru_has(e, n))
        e->risked += here ? 0 - (uint64_t)e->sizes[i] : e->sizes[i];
    if (!here)
        entry_clean(e, n);
}

void evict_freed(struct evict *e, struct gpu_memory_buffer *b)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (n == NOWHERE) {
        if (e->unit)
            beyond_take(e, b);
        return;
    }
    entry_settle(e, n);
    e->after[i] = (uint16_t)((e->after[i] & ~DIRTY) | FREED);
}

bool affordable(const struct evict *e, const struct gpu_memory_buffer *b)
{
    uint32_t n = own_entry(e, b), units = size_units(e, b->bytes);
    uint64_t slack = 2 * (e->largest < UNITS / 8 ? e->largest : UNITS / 8);

    slack = slack > SLACK ? slack : SLACK;
    slack = slack < e->lru_back ? slack : e->lru_back;
    units = b->dirty && (n == NOWHERE || !owes(e, n)) ? units * 2 : units;
    return e->moved + e->risked + e->all_beyond.risked + e->owed + units <= e->lru_moved + e->lru_moved / 28 + slack;
}
