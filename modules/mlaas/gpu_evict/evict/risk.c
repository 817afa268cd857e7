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

uint16_t lru_touch(struct evict *e, uint32_t n, bool copied, uint32_t units)
{
    uint16_t dirty = lru_has(e, n) ? e->after[n % EVICT_HISTORY] & DIRTY : 0;

    if (!lru_has(e, n)) {
        e->lru_moved += copied ? units : 0;
        e->lru_back += copied && n != NOWHERE ? units : 0;
    }
    if (n != NOWHERE)
        entry_settle(e, n);
    return dirty;
}

void lru_make_place(struct evict *e)
{
    if (e->next - e->tail == EVICT_HISTORY)
        lru_drop(e);
    if (e->next >= EVICT_HISTORY)
        entry_settle(e, e->next - EVICT_HISTORY);
}

void lru_add(struct evict *e, uint32_t n)
{
    uint32_t i = n % EVICT_HISTORY;

    e->lru_units += e->sizes[i];
    e->risked += e->after[i] & HERE ? 0 : e->sizes[i];
    e->owed += owed_for(e, n);
    while (e->lru_units > UNITS && e->next - e->tail > 1)
        lru_drop(e);
}

void evict_moved(struct evict *e, struct gpu_memory_buffer *b, bool here, bool copied)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (!e->unit)
        return;
    e->moved += copied ? size_units(e, b->bytes) : 0;
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

    if (n == NOWHERE)
        return;
    entry_settle(e, n);
    e->after[i] = (uint16_t)((e->after[i] & ~DIRTY) | FREED);
}

bool affordable(const struct evict *e, uint32_t n, bool dirty)
{
    uint32_t units = e->sizes[n % EVICT_HISTORY];
    uint64_t slack = SLACK + 2 * (e->largest < UNITS / 8 ? e->largest : UNITS / 8);

    slack = slack < e->lru_back ? slack : e->lru_back;
    units = dirty && !owes(e, n) ? units * 2 : units;
    return e->moved + e->risked + e->owed + units <= e->lru_moved + e->lru_moved / 28 + slack;
}
