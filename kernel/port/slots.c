/*
 * slots.c: growing and discarding (slots.h).
 */
#include "slots.h"
#include <microlake/memory.h>

#define FIRST_SIZE 8u

int slots_grow(struct slots *s)
{
    uint32_t size = s->size ? MIN(s->size * 2, s->limit) : MIN(FIRST_SIZE, s->limit);
    struct slot *slot;

    if (s->size >= s->limit)
        return ERR_LIMIT;
    slot = kzalloc(size * sizeof(*slot));
    if (!slot)
        return ERR_NO_MEMORY;
    if (s->size)
        memcpy(slot, s->slot, s->size * sizeof(*slot));
    kfree(s->slot);
    for (uint32_t i = size; i > s->size; i--) { /* the lowest place is used first */
        slot[i - 1].note = s->free;
        s->free = i;
    }
    s->slot = slot;
    s->size = size;
    return OK;
}

void slots_discard(struct slots *s)
{
    kfree(s->slot);
    s->slot = NULL;
    s->size = s->used = s->free = 0;
}
