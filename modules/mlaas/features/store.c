/*
 * store.c: the sets: registering, capturing, reading. See store.h.
 */
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "store.h"

#define RECORD_ROWS  4096u                         /* of a CPU while somebody records */
#define RECORD_BYTES ((2u << 20) - 2 * CACHE_LINE) /* of all CPUs: kmalloc() gives no more */
#define CACHE_LINE   64u

struct mutex store_lock = MUTEX_INIT(store_lock);
struct place store_places[FEATURES_SETS_MAX];
static uint64_t registrations; /* guarded by store_lock */

/* ---- Rings ---- */

/* The block that kmalloc() gave lies in front of the ring. */
static struct features_ring *ring_create(uint32_t fields, uint32_t wish, size_t bytes_max)
{
    uint32_t cpus = cpu_present();
    uint32_t rows = ring_rows(fields, wish, cpus, bytes_max);
    uint8_t *block = kzalloc(ring_bytes(fields, rows, cpus) + CACHE_LINE), *at;

    if (!block)
        return NULL;
    at = (uint8_t *)ALIGN_UP((uintptr_t)block + sizeof(void *), CACHE_LINE);
    ((void **)at)[-1] = block;
    return ring_make(at, fields, rows, cpus);
}

static void ring_free(struct features_ring *ring)
{
    if (ring)
        kfree(((void **)ring)[-1]);
}

/* Captures see the new one from now on; the old one is freed when none is inside it any more. */
static void ring_put(struct place *place, struct features_ring *ring)
{
    struct features_ring *old = place->ring;

    place->ring = ring;
    __atomic_store_n(&place->set->ring, ring, __ATOMIC_RELEASE);
    if (old) {
        cpus_pass();
        ring_free(old);
    }
}

/* ---- Sets ---- */

struct place *place_find_locked(const char *name)
{
    for (unsigned i = 0; i < FEATURES_SETS_MAX; i++)
        if (store_places[i].set && !strcmp(store_places[i].set->name, name))
            return &store_places[i];
    return NULL;
}

static bool name_is_valid(const char *name)
{
    size_t length = name ? strnlen(name, FEATURES_NAME_MAX) : 0;

    for (size_t i = 0; i < length; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '_'))
            return false;
    return length > 0 && length < FEATURES_NAME_MAX;
}

static bool schema_is_valid(const struct features_set *set)
{
    if (!name_is_valid(set->name) || set->field_count < 1 || set->field_count > FEATURES_FIELDS_MAX)
        return false;
    for (uint32_t i = 0; i < set->field_count; i++)
        if (!name_is_valid(set->fields[i]))
            return false;
    return true;
}

static int register_locked(struct features_set *set)
{
    struct place *place = store_places, *end = store_places + FEATURES_SETS_MAX;
    struct features_ring *ring = NULL;
    int r;

    if (place_find_locked(set->name))
        return ERR_EXISTS;
    while (place < end && place->set)
        place++;
    if (place == end)
        return ERR_LIMIT;
    if (set->rows && !(ring = ring_create(set->field_count, set->rows, FEATURES_BYTES_MAX)))
        return ERR_NO_MEMORY;
    *place = (struct place){.set = set, .number = ++registrations};
    r = files_start(place);
    if (r == OK) {
        ring_put(place, ring);
        return OK;
    }
    place->set = NULL;
    ring_free(ring);
    return r;
}

int features_register(struct features_set *set)
{
    int r;

    set->ring = NULL;
    if (!schema_is_valid(set))
        return ERR_INVALID;
    mutex_lock(&store_lock);
    r = register_locked(set);
    mutex_unlock(&store_lock);
    return r;
}

void features_unregister(struct features_set *set)
{
    struct place *place;

    mutex_lock(&store_lock);
    place = place_find_locked(set->name);
    if (place && place->set == set) {
        ring_put(place, NULL);
        files_stop(place);
        *place = (struct place){.set = NULL};
    }
    mutex_unlock(&store_lock);
}

int place_record_locked(struct place *place)
{
    struct features_ring *ring;

    if (place->recorders == 0) {
        ring = ring_create(place->set->field_count, RECORD_ROWS, RECORD_BYTES);
        if (!ring)
            return ERR_NO_MEMORY;
        ring_put(place, ring);
    }
    place->recorders++;
    return OK;
}

void place_release_locked(struct place *place)
{
    struct features_ring *ring;

    if (--place->recorders)
        return;
    ring = NULL;
    if (place->set->rows)
        ring = ring_create(place->set->field_count, place->set->rows, FEATURES_BYTES_MAX);
    if (ring || !place->set->rows)
        ring_put(place, ring); /* else the large one stays until the next recorder goes */
}

/* ---- Rows ---- */

/* All at the same rate: it becomes better now and then, and rows would come out of their order. */
static void times_convert(uint64_t *times, unsigned count)
{
    struct time_rate rate;

    time_rate(&rate);
    for (unsigned i = 0; i < count; i++)
        times[i] = rate.base_ns +
                   (uint64_t)((__int128)(int64_t)(times[i] - rate.base_tsc) * (int64_t)rate.mult >>
                              TIME_RATE_SHIFT);
}

unsigned features_window(const struct features_set *set, uint32_t cpu, uint64_t key, unsigned rows,
                         int32_t *out, uint64_t *times)
{
    const struct features_ring *ring;
    unsigned found = 0;

    preempt_disable();
    ring = __atomic_load_n(&set->ring, __ATOMIC_ACQUIRE);
    if (ring) {
        found = ring_window(ring, cpu, key, rows, out, times);
    } else {
        memset(out, 0, (size_t)rows * set->field_count * sizeof(*out));
        if (times)
            memset(times, 0, rows * sizeof(*times));
    }
    preempt_enable();
    if (times)
        times_convert(times + (rows - found), found);
    return found;
}
