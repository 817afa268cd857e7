/*
 * ring.c: see ring.h.
 */
#include "ring.h"

#define CPUS_MAX  64u
#define BUSY_SKIP 8u /* a row that is busy while so many newer ones are there has been given up */
#define STRIDE(f) ALIGN_UP(sizeof(struct features_row) + (f) * sizeof(int32_t), 8)

size_t ring_bytes(uint32_t fields, uint32_t rows, uint32_t cpus)
{
    return sizeof(struct features_ring) +
           cpus * (sizeof(struct features_cpu) + (size_t)rows * STRIDE(fields));
}

uint32_t ring_rows(uint32_t fields, uint32_t rows, uint32_t cpus, size_t bytes_max)
{
    uint32_t result = FEATURES_ROWS_MIN;

    while (result < rows && ring_bytes(fields, result * 2, cpus) <= bytes_max)
        result *= 2;
    return result;
}

struct features_ring *ring_make(void *memory, uint32_t fields, uint32_t rows, uint32_t cpus)
{
    struct features_ring *ring = memory;
    uint8_t *at = (uint8_t *)&ring->cpu[cpus];

    ring->fields = fields;
    ring->stride = (uint32_t)STRIDE(fields);
    ring->mask = rows - 1;
    ring->cpus = cpus;
    for (uint32_t i = 0; i < cpus; i++)
        ring->cpu[i].rows = at + (size_t)i * rows * ring->stride;
    return ring;
}

enum ring_look ring_row(const struct features_ring *ring, uint32_t cpu, uint64_t nth,
                        struct features_row *head, int32_t *values)
{
    const struct features_row *row =
        (const void *)(ring->cpu[cpu].rows + (uint32_t)(nth & ring->mask) * ring->stride);
    uint32_t number = __atomic_load_n(&row->number, __ATOMIC_ACQUIRE);

    if (number != (uint32_t)nth + 1)
        return number == 0 ? RING_BUSY : RING_GONE;
    head->tsc = __atomic_load_n(&row->tsc, __ATOMIC_RELAXED);
    head->key = __atomic_load_n(&row->key, __ATOMIC_RELAXED);
    head->number = number;
    for (uint32_t i = 0; i < ring->fields; i++)
        values[i] = __atomic_load_n(&row->values[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&row->number, __ATOMIC_RELAXED) == number ? RING_ROW : RING_GONE;
}

static uint64_t begun(const struct features_ring *ring, uint32_t cpu)
{
    return __atomic_load_n(&ring->cpu[cpu].next, __ATOMIC_ACQUIRE);
}

/* A walk of one CPU's rows from the newest on, those of a key. */
struct walk {
    uint64_t left, oldest; /* rows left..oldest are not looked at yet: the next one is left - 1 */
    bool found;
    struct features_row head;
    int32_t values[FEATURES_FIELDS_MAX];
};

static void walk_on(const struct features_ring *ring, uint32_t cpu, uint64_t key, struct walk *w)
{
    w->found = false;
    while (w->left > w->oldest && !w->found) {
        enum ring_look look = ring_row(ring, cpu, --w->left, &w->head, w->values);

        if (look == RING_GONE)
            w->left = w->oldest;
        w->found = look == RING_ROW && (key == FEATURES_ANY_KEY || w->head.key == key);
    }
}

static void walk_start(const struct features_ring *ring, uint32_t cpu, uint64_t key, struct walk *w)
{
    w->left = begun(ring, cpu);
    w->oldest = w->left > ring->mask ? w->left - ring->mask - 1 : 0;
    walk_on(ring, cpu, key, w);
}

static void values_put(const struct features_ring *ring, const struct walk *w, unsigned at,
                       int32_t *out, uint64_t *times)
{
    for (uint32_t i = 0; i < ring->fields; i++)
        out[at * ring->fields + i] = w->values[i];
    if (times)
        times[at] = w->head.tsc;
}

/* What was not found is zero, at the front. */
static void front_clear(const struct features_ring *ring, unsigned missing, int32_t *out,
                        uint64_t *times)
{
    for (unsigned i = 0; i < missing * ring->fields; i++)
        out[i] = 0;
    for (unsigned i = 0; times && i < missing; i++)
        times[i] = 0;
}

static unsigned window_of_cpu(const struct features_ring *ring, uint32_t cpu, uint64_t key,
                              unsigned rows, int32_t *out, uint64_t *times)
{
    unsigned left = rows;
    struct walk w;

    for (walk_start(ring, cpu, key, &w); w.found && left; walk_on(ring, cpu, key, &w))
        values_put(ring, &w, --left, out, times);
    front_clear(ring, left, out, times);
    return rows - left;
}

/* The newest row of any CPU that lies before where its cursor is. */
static bool newest_find(const struct features_ring *ring, uint64_t key, uint64_t *cursors,
                        struct walk *best)
{
    uint32_t from = UINT32_MAX;

    for (uint32_t cpu = 0; cpu < ring->cpus; cpu++) {
        struct walk w;

        w.left = cursors[cpu];
        w.oldest = begun(ring, cpu);
        w.oldest = w.oldest > ring->mask ? w.oldest - ring->mask - 1 : 0;
        walk_on(ring, cpu, key, &w);
        if (w.found && (from == UINT32_MAX || w.head.tsc > best->head.tsc)) {
            *best = w;
            from = cpu;
        }
        /* A row that was being written just now stays left out: it would come out of its turn. */
        cursors[cpu] = w.found ? w.left + 1 : 0;
    }
    if (from != UINT32_MAX)
        cursors[from] = best->left;
    return from != UINT32_MAX;
}

static unsigned window_of_all(const struct features_ring *ring, uint64_t key, unsigned rows,
                              int32_t *out, uint64_t *times)
{
    uint64_t cursors[CPUS_MAX];
    unsigned left = rows;
    struct walk best;

    for (uint32_t cpu = 0; cpu < ring->cpus; cpu++)
        cursors[cpu] = begun(ring, cpu);
    while (left && newest_find(ring, key, cursors, &best))
        values_put(ring, &best, --left, out, times);
    front_clear(ring, left, out, times);
    return rows - left;
}

unsigned ring_window(const struct features_ring *ring, uint32_t cpu, uint64_t key, unsigned rows,
                     int32_t *out, uint64_t *times)
{
    if (cpu < ring->cpus)
        return window_of_cpu(ring, cpu, key, rows, out, times);
    return window_of_all(ring, key, rows, out, times);
}

bool ring_next(const struct features_ring *ring, uint32_t cpu, uint64_t *cursor,
               struct features_row *head, int32_t *values)
{
    uint64_t next = begun(ring, cpu);

    if (next > *cursor + ring->mask)
        *cursor = next - ring->mask; /* one row less than are kept: the oldest is about to go */
    while (*cursor < next) {
        enum ring_look look = ring_row(ring, cpu, *cursor, head, values);

        if (look == RING_BUSY && next - *cursor < BUSY_SKIP)
            return false;
        ++*cursor;
        if (look == RING_ROW)
            return true;
    }
    return false;
}
