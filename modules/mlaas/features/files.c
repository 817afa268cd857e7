/*
 * files.c: /sys/kernel/mlaas/features/NAME: a set's schema, how many rows there were, and the
 * newest ones.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "store.h"

#define FOLDER    "/sys/kernel/mlaas/features/"
#define PATH_MAX  (sizeof(FOLDER) + FEATURES_NAME_MAX)
#define ROWS_SHOW 16u /* of a CPU */

static void row_show(struct text *t, uint32_t cpu, const struct features_row *head,
                     const int32_t *values, uint32_t fields)
{
    text_add(t, "row %u %u %lu %u", cpu, head->number, time_from_tsc(head->tsc), head->key);
    for (uint32_t i = 0; i < fields; i++)
        text_add(t, " %d", values[i]);
    text_add(t, "\n");
}

static void rows_show(struct text *t, const struct features_ring *ring, uint32_t cpu)
{
    int32_t values[FEATURES_FIELDS_MAX];
    uint64_t next = __atomic_load_n(&ring->cpu[cpu].next, __ATOMIC_ACQUIRE);
    uint64_t kept = MIN(next, MIN((uint64_t)ring->mask, ROWS_SHOW));
    struct features_row head;

    for (uint64_t nth = next - kept; nth < next; nth++)
        if (ring_row(ring, cpu, nth, &head, values) == RING_ROW)
            row_show(t, cpu, &head, values, ring->fields);
}

static uint64_t rows_captured(const struct features_ring *ring)
{
    uint64_t sum = 0;

    for (uint32_t cpu = 0; cpu < ring->cpus; cpu++)
        sum += __atomic_load_n(&ring->cpu[cpu].next, __ATOMIC_RELAXED);
    return sum;
}

static void set_show_locked(struct text *t, const struct place *place)
{
    const struct features_ring *ring = place->ring;

    text_add(t, "name %s\nfields", place->set->name);
    for (uint32_t i = 0; i < place->set->field_count; i++)
        text_add(t, " %s", place->set->fields[i]);
    text_add(t, "\nrows_per_cpu %u\ncpus %u\nbytes %zu\n", ring ? ring->mask + 1 : 0, cpu_present(),
             ring ? ring_bytes(ring->fields, ring->mask + 1, ring->cpus) : 0);
    text_add(t, "captured %lu\nrecorders %u\n", ring ? rows_captured(ring) : 0, place->recorders);
    for (uint32_t cpu = 0; ring && cpu < ring->cpus; cpu++)
        rows_show(t, ring, cpu);
}

static long set_show(void *context, char *out, size_t size)
{
    const struct place *place = context;
    struct text t = {out, size, 0};
    int r = ERR_NOT_FOUND;

    mutex_lock(&store_lock);
    if (place->set) {
        set_show_locked(&t, place);
        r = OK;
    }
    mutex_unlock(&store_lock);
    return r == OK ? text_length(&t) : r;
}

static const struct linux_pseudo_ops set_ops = {.show = set_show};

int files_start(struct place *place)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), FOLDER "%s", place->set->name);
    return linux_pseudo_register(path, &set_ops, place);
}

void files_stop(struct place *place)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), FOLDER "%s", place->set->name);
    linux_pseudo_unregister(path);
}
