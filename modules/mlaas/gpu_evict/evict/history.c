/*
 * history.c: the last touches of all programs: a ring of entries, in which those of one key are linked, with an index of
 * pairs of touches that follow each other in a program.
 */
#include "internal.h"

uint32_t own_entry(const struct evict *e, const struct gpu_memory_buffer *b)
{
    uint32_t n = (uint32_t)b->data[PLACE];

    if (!b->data[GAPS] || e->next - n - 1 >= EVICT_HISTORY || e->next == n)
        return NOWHERE;
    return entry_latest(e, n) && key_at(e, n) == (uint16_t)b->data[GAPS] ? n : NOWHERE;
}

uint32_t entry_behind(const struct evict *e, unsigned slot, uint32_t n)
{
    for (unsigned i = 0; i < SKIPS && entry_exists(e, n); i++) {
        n++;
        if (n != e->next && slot_of(key_at(e, n)) == slot)
            return n;
    }
    return NOWHERE;
}

uint32_t entry_ahead(const struct evict *e, unsigned slot, uint32_t n)
{
    for (unsigned i = 0; i < SKIPS && entry_exists(e, n - 1); i++)
        if (slot_of(key_at(e, --n)) == slot)
            return n;
    return NOWHERE;
}

/* ---- The index --------------------------------------------------------------------------------- */

static uint32_t index_of(uint16_t previous, uint16_t key)
{
    uint32_t hash = (previous * 2654435761u ^ key * 2246822519u) * 3266489917u;

    return (hash >> 16) % EVICT_INDEX;
}

static uint32_t index_of_new(uint16_t previous, uint32_t units)
{
    return index_of(previous, (uint16_t)(units * 40503u >> 3));
}

/* The entry whose place in the history is noted there, or NOWHERE. */
static uint32_t noted_find(const struct evict *e, uint32_t index)
{
    uint32_t place = e->index[index], n;

    if (place-- == 0 || e->next == 0)
        return NOWHERE;
    n = e->next - 1 - (e->next - 1 + EVICT_HISTORY - place % EVICT_HISTORY) % EVICT_HISTORY;
    return entry_exists(e, n) ? n : NOWHERE;
}

uint32_t pair_find(const struct evict *e, uint16_t previous, uint16_t key)
{
    uint32_t n = noted_find(e, index_of(previous, key));

    return n != NOWHERE && key_at(e, n) == key ? n : NOWHERE;
}

uint32_t new_find(const struct evict *e, uint16_t previous, uint32_t units)
{
    return noted_find(e, index_of_new(previous, units));
}

void entry_note(struct evict *e, uint16_t previous, uint32_t n)
{
    uint32_t i = n % EVICT_HISTORY;
    uint16_t key = e->keys[i], noted = (uint16_t)(i + 1);

    e->index[index_of(previous, key)] = e->index[index_of(key, key)] = noted;
    if (e->before[i] & FIRST)
        e->index[index_of_new(previous, e->sizes[i])] = noted;
}

/* ---- Entries ----------------------------------------------------------------------------------- */

void entry_add(struct evict *e, uint16_t key, uint32_t units, uint32_t prior, uint16_t after, uint16_t before)
{
    uint32_t n = e->next, i = n % EVICT_HISTORY, back = n - prior;

    if (prior == NOWHERE || back > EVICT_HISTORY)
        back = 0;
    if (back)
        e->after[prior % EVICT_HISTORY] |= (uint16_t)back;
    lru_make_place(e);
    e->next++;
    e->keys[i] = key;
    e->stamps[i] = (uint16_t)e->programs[slot_of(key)].touches;
    e->sizes[i] = (uint16_t)units;
    e->after[i] = after;
    e->before[i] = before | (uint16_t)(back < EVICT_HISTORY ? back : 0);
    lru_add(e, n);
}
