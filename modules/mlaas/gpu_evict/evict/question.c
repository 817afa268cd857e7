/*
 * question.c: who leaves, and who comes early. Who leaves is chosen by when it is expected and by what the move costs,
 * within what may be risked.
 */
#include "internal.h"

#define MUCH          4u /* times the bytes that are wanted */
#define PREFETCH_NEAR 4u /* touches from now */

static const struct evict_program *program_of(const struct evict *e, const struct gpu_memory_buffer *b)
{
    const struct evict_program *p = &e->programs[slot_of((uint16_t)b->data[GAPS])];

    return b->known && b->data[GAPS] && p->id == b->program && p->touches ? p : NULL;
}

/* How long b is not expected: the device's touches until then; of those about whom nothing is known, and who did not
 * come when they were expected, how long they have not been touched, as LRU has it. */
static uint64_t distance(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    uint64_t now = q->touches, age = now > b->last ? now - b->last : 0, idle;
    const struct evict_program *p = program_of(e, b);
    uint32_t own = p ? own_distance(e, p, b) : 0;

    if (!own)
        return age;
    if (own == FAR)
        return FAR + age;
    idle = now > p->seen ? (now - p->seen) * 16 : 0; /* a program that pauses is slower than it was */
    idle = (uint64_t)own * (idle > p->rate ? idle : p->rate) >> 8;
    return idle < FAR ? idle + 1 : FAR;
}

/* Touches without b by the moves that it costs to give it up: out when it has changed, in again unless it is
 * overwritten then. */
static uint64_t worth(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    uint64_t d = distance(e, q, b);
    bool back = d < FAR && !(b->known && b->data[STATE] & OVER);

    if (d > FAR)
        d = FAR + (d & (FAR - 1)) / 64;
    if (q->incoming && b->bytes > q->incoming->bytes * MUCH) /* most of its room would be idle for a while */
        d /= 2;
    return b->dirty && back ? d * 4 : b->dirty || back ? d * 8 : d * 64;
}

/* ---- Who leaves -------------------------------------------------------------------------------- */

struct best {
    uint32_t place; /* GPU_MEMORY_NONE: nobody */
    uint64_t worth;
};

/* found[1]: of those whom LRU may have; found[0]: of the others. Returns who was touched longest ago. */
static uint32_t best_find(const struct evict *e, const struct gpu_memory_question *q, struct best found[2])
{
    uint32_t oldest = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        struct gpu_memory_buffer *b = q->list[i];
        bool risky = b->known && lru_may_have(e, b);
        uint64_t value = worth(e, q, b);

        oldest = b->last < q->list[oldest]->last ? i : oldest;
        if (value >= found[risky].worth)
            found[risky] = (struct best){i, value};
    }
    return oldest;
}

/* Else what comes early would soon give its place back. */
static bool surely_far(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    return b->known && b->data[STATE] & SURE && distance(e, q, b) >= 4 * PREFETCH_NEAR;
}

uint32_t evict_victim(struct evict *e, const struct gpu_memory_question *q)
{
    struct best found[2] = {{GPU_MEMORY_NONE, 0}, {GPU_MEMORY_NONE, 0}};
    uint32_t oldest = best_find(e, q, found);
    struct best best = found[0], risky = found[1];

    if (risky.place != GPU_MEMORY_NONE && (best.place == GPU_MEMORY_NONE || risky.worth > best.worth) && e->unit &&
        affordable(e, q->list[risky.place]))
        best = risky;
    if (q->optional)
        return best.place != GPU_MEMORY_NONE && surely_far(e, q, q->list[best.place]) ? best.place : GPU_MEMORY_NONE;
    return best.place != GPU_MEMORY_NONE ? best.place : oldest;
}

/* ---- Who comes early --------------------------------------------------------------------------- */

uint32_t evict_prefetch(struct evict *e, const struct gpu_memory_question *q)
{
    uint32_t best = GPU_MEMORY_NONE;
    uint64_t nearest = PREFETCH_NEAR;

    for (uint32_t i = 0; i < q->count; i++) {
        struct gpu_memory_buffer *b = q->list[i];
        bool sure = b->known && (b->data[STATE] & (SURE | OVER)) == SURE;
        uint64_t d = sure ? distance(e, q, b) : nearest;

        if (d < nearest) {
            nearest = d;
            best = i;
        }
    }
    return best;
}
