/*
 * table.c: objects by number. The table grows as numbers are used and shrinks never; a context's
 * tables go with it.
 */
#include "internal.h"

#define FIRST_SIZE 16u

char gpu_taken_mark;

static int table_grow(struct gpu_table *t)
{
    uint32_t size = t->size ? t->size * 2 : FIRST_SIZE;
    void **slots;

    if (t->size >= t->limit)
        return ERR_LIMIT;
    size = MIN(size, t->limit);
    slots = kzalloc(size * sizeof(*slots));
    if (!slots)
        return ERR_NO_MEMORY;
    if (t->size)
        memcpy(slots, t->slots, t->size * sizeof(*slots));
    kfree(t->slots);
    t->slots = slots;
    t->hint = t->size;
    t->size = size;
    return OK;
}

int gpu_table_take(struct gpu_table *t, uint32_t *id)
{
    int r;

    for (uint32_t i = 0; i < t->size; i++) {
        uint32_t at = (t->hint + i) % t->size;

        if (!t->slots[at]) {
            t->slots[at] = GPU_TAKEN;
            t->hint = at + 1;
            *id = at + 1;
            return OK;
        }
    }
    r = table_grow(t);
    return r ? r : gpu_table_take(t, id);
}

void *gpu_table_get(const struct gpu_table *t, uint32_t id)
{
    void *object = id >= 1 && id <= t->size ? t->slots[id - 1] : NULL;

    return object == GPU_TAKEN ? NULL : object;
}

void gpu_table_set(struct gpu_table *t, uint32_t id, void *object)
{
    t->slots[id - 1] = object;
}

void *gpu_table_pop(struct gpu_table *t)
{
    for (uint32_t i = 0; i < t->size; i++) {
        void *object = t->slots[i];

        t->slots[i] = NULL;
        if (object && object != GPU_TAKEN)
            return object;
    }
    return NULL;
}

void gpu_table_close(struct gpu_table *t)
{
    kfree(t->slots);
    *t = (struct gpu_table){0};
}
