/*
 * order.c: programs, and where in the history each touched the same before. The last EVICT_TIMES such places are kept;
 * they go on with the program as long as it does what came then, and are found anew where it goes on in another way.
 */
#include "internal.h"

#define ALIKE      8u /* touches before, by which other times are found */
#define RATE_SHARE 7u /* of one touch in a program's rate: 1 / 128 */

unsigned program_find(struct evict *e, const struct gpu_memory_buffer *b)
{
    unsigned slot = 0;

    for (unsigned i = 0; i < EVICT_PROGRAMS; i++) {
        if (e->programs[i].id == b->program && e->programs[i].touches)
            return i;
        if (e->programs[i].seen < e->programs[slot].seen)
            slot = i;
    }
    e->programs[slot] = (struct evict_program){
        .id = b->program, .seen = e->number - 1, .at = {NOWHERE}, .rate = 256, .right = {255 << 7, 255 << 7}};
    return slot;
}

void program_advance(const struct evict *e, struct evict_program *p)
{
    uint64_t step = (e->number - p->seen) << 8;

    if (step > 1u << 20)
        step = 1u << 20;
    p->rate += (uint32_t)(step >> RATE_SHARE) - (p->rate >> RATE_SHARE);
    p->seen = e->number;
    p->touches++;
}

/* ---- Other times ------------------------------------------------------------------------------- */

/* What was touched up to a and up to b is the same, as far back as `length`. */
static bool entries_alike(const struct evict *e, uint32_t a, uint32_t b, uint32_t length)
{
    unsigned slot = slot_of(key_at(e, a));

    for (; length; length--) {
        a = entry_ahead(e, slot, a);
        b = entry_ahead(e, slot, b);
        if (a == NOWHERE || b == NOWHERE || key_at(e, a) != key_at(e, b))
            return false;
    }
    return true;
}

/* at[1] and on have come to the same key as at[0]. */
static bool others_follow(const struct evict *e, struct evict_program *p)
{
    uint16_t key = key_at(e, p->at[0]);

    for (unsigned i = 1; i < EVICT_TIMES; i++) {
        uint32_t n = entry_behind(e, slot_of(key), p->at[i]);

        if (n == NOWHERE || key_at(e, n) != key)
            return false;
        p->at[i] = n;
    }
    return true;
}

/* The times before at[0] that it was touched after the same. */
static void others_find(const struct evict *e, struct evict_program *p)
{
    uint32_t n = p->at[0], length = p->length < ALIKE ? p->length : ALIKE;
    unsigned found = 1;

    for (unsigned steps = 0; steps < STEPS && found < EVICT_TIMES && n != NOWHERE; steps++) {
        n = entry_before(e, n);
        if (n != NOWHERE && entries_alike(e, p->at[0], n, length))
            p->at[found++] = n;
    }
    while (found < EVICT_TIMES)
        p->at[found++] = NOWHERE;
}

/* ---- Alignment --------------------------------------------------------------------------------- */

/* The program goes on at n, as it did then; `misses` touches were left out. */
static void order_follow(const struct evict *e, struct evict_program *p, uint32_t n, unsigned misses)
{
    p->at[0] = n;
    p->length = misses ? p->length / 2 + 1 : p->length + 1;
    share_move(&p->followed, misses == 0);
    if (misses || !others_follow(e, p))
        others_find(e, p);
}

/* It goes on elsewhere: where this touch came after the one before, or else where the buffer was touched. */
static void order_jump(const struct evict *e, struct evict_program *p, uint16_t key, uint32_t own)
{
    uint32_t n = pair_find(e, p->previous, key);

    share_move(&p->followed, false);
    p->length = n != NOWHERE;
    p->at[0] = n != NOWHERE ? n : entry_exists(e, own) ? own : NOWHERE;
    p->jumps++;
    others_find(e, p);
}

void align(struct evict *e, unsigned slot, uint16_t key, uint32_t own)
{
    struct evict_program *p = &e->programs[slot];
    uint32_t n = p->at[0];

    for (unsigned misses = 0; misses < MISSES; misses++) {
        n = entry_behind(e, slot, n);
        if (n == NOWHERE)
            break;
        if (key_at(e, n) == key) {
            order_follow(e, p, n, misses);
            return;
        }
    }
    order_jump(e, p, key, own);
}

/* ---- Keys -------------------------------------------------------------------------------------- */

/* n is the first touch of a buffer of that size that is gone; *last: its last touch, where that is known. */
static bool entry_was_like(const struct evict *e, uint32_t n, uint32_t units, uint32_t *last)
{
    uint32_t i = n % EVICT_HISTORY;

    if (n == NOWHERE || !(e->before[i] & FIRST) || e->sizes[i] != units)
        return false;
    *last = pair_find(e, e->keys[i], e->keys[i]);
    return *last == NOWHERE || entry_freed(e, *last);
}

uint16_t key_choose(struct evict *e, unsigned slot, uint32_t units, uint32_t *prior)
{
    struct evict_program *p = &e->programs[slot];
    uint32_t n = entry_behind(e, slot, p->at[0]);

    if (entry_was_like(e, n, units, prior))
        return key_at(e, n);
    n = new_find(e, p->previous, units);
    if (entry_was_like(e, n, units, prior) && slot_of(key_at(e, n)) == slot)
        return key_at(e, n);
    *prior = NOWHERE;
    p->names = p->names % ((1u << NAME_BITS) - 1) + 1;
    return (uint16_t)(slot << NAME_BITS | p->names);
}
