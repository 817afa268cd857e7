/*
 * slots.h: a growing table of pointers under numbers that are never given out twice: a number holds
 * the slot's place and its generation, and a slot whose generations are used up is not used again.
 * Finding, taking and releasing take constant time, growing apart. The owner's lock guards it.
 */
#pragma once

#include <microlake/types.h>

struct slot {
    void *item; /* NULL: free */
    uint32_t generation;
    uint32_t note; /* the owner's; of a free slot: the next free one's place + 1 */
};

struct slots {
    struct slot *slot;
    uint32_t size, limit;
    uint32_t used;
    uint32_t free; /* place + 1 of the first free slot; 0: none */
};

/* At least doubles the table. ERR_LIMIT, ERR_NO_MEMORY. May move the slots. */
int slots_grow(struct slots *s);

/* Frees the table's own memory. */
void slots_discard(struct slots *s);

/* Puts an item into a free slot and gives its number, which is never 0. ERR_LIMIT, ERR_NO_MEMORY.
 */
static inline int slots_take(struct slots *s, void *item, uint32_t note, uint64_t *number)
{
    struct slot *slot;

    if (unlikely(!s->free)) {
        int r = slots_grow(s);

        if (r != OK)
            return r;
    }
    slot = &s->slot[s->free - 1];
    *number = (uint64_t)slot->generation << 32 | s->free;
    s->free = slot->note;
    s->used++;
    slot->item = item;
    slot->note = note;
    return OK;
}

/* NULL: nothing has this number (any more). */
static inline struct slot *slots_find(const struct slots *s, uint64_t number)
{
    uint32_t at = (uint32_t)number - 1;
    struct slot *slot;

    if (unlikely(at >= s->size))
        return NULL;
    slot = &s->slot[at];
    return likely(slot->item && slot->generation == number >> 32) ? slot : NULL;
}

static inline void slots_release(struct slots *s, struct slot *slot)
{
    slot->item = NULL;
    s->used--;
    if (unlikely(++slot->generation == 0))
        return;
    slot->note = s->free;
    s->free = (uint32_t)(slot - s->slot) + 1;
}
