/*
 * recorder.c: /dev/mlfeatures: all rows of a set as they come, for training (uapi/mlaas.h).
 */
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/user.h>

#include "modules/linux/include/linux_dev.h"
#include "store.h"
#include "uapi/mlaas.h"

#define DEVICE_NAME "mlfeatures"
#define CHUNK_BYTES 32768u /* of a read, at most */

/* An open file. */
struct recorder {
    struct mutex lock;
    struct place *place; /* NULL: no set has been named; guarded by lock, as all below */
    uint64_t number;     /* the registration that was meant */
    uint64_t cursors[MAX_CPUS];
};

static struct recorder *recorder_create(void)
{
    struct recorder *r = kzalloc(sizeof(*r));

    if (r)
        mutex_init(&r->lock);
    return r;
}

static int recorder_open(void *context, unsigned flags, void **file)
{
    (void)context;
    (void)flags;
    *file = recorder_create();
    return *file ? OK : ERR_NO_MEMORY;
}

/* Is the set still there that it records? */
static bool set_is_there_locked(const struct recorder *r)
{
    return r->place && r->place->set && r->place->number == r->number;
}

static void recorder_close(void *file)
{
    struct recorder *r = file;

    mutex_lock(&store_lock);
    if (set_is_there_locked(r))
        place_release_locked(r->place);
    mutex_unlock(&store_lock);
    kfree(r);
}

static int set_choose_locked(struct recorder *r, const char *name)
{
    struct place *place = place_find_locked(name);
    int result = place ? place_record_locked(place) : ERR_NOT_FOUND;

    if (result != OK)
        return result;
    r->place = place;
    r->number = place->number;
    for (uint32_t cpu = 0; cpu < place->ring->cpus; cpu++)
        r->cursors[cpu] = __atomic_load_n(&place->ring->cpu[cpu].next, __ATOMIC_RELAXED);
    return OK;
}

static long recorder_write(void *file, vaddr_t at, size_t size, bool nonblock)
{
    struct recorder *r = file;
    char name[FEATURES_NAME_MAX] = "";
    int result;

    (void)nonblock;
    if (size == 0 || size >= sizeof(name))
        return ERR_NOT_FOUND;
    if (user_read(name, at, size) != OK)
        return ERR_FAULT;
    if (name[size - 1] == '\n')
        name[size - 1] = 0;
    mutex_lock(&r->lock);
    mutex_lock(&store_lock);
    result = r->place ? ERR_BUSY : set_choose_locked(r, name);
    mutex_unlock(&store_lock);
    mutex_unlock(&r->lock);
    return result == OK ? (long)size : result;
}

static size_t row_write(uint8_t *to, uint32_t cpu, uint32_t fields, const struct features_row *head,
                        const int32_t *values)
{
    const struct mlaas_feature_row row = {
        .time = time_from_tsc(head->tsc),
        .cpu = cpu,
        .number = head->number,
        .key = head->key,
        .fields = fields,
    };

    memcpy(to, &row, sizeof(row));
    memcpy(to + sizeof(row), values, fields * sizeof(*values));
    return ALIGN_UP(sizeof(row) + fields * sizeof(*values), 8);
}

/* What there is now, as far as it fits; 0: nothing. */
static size_t rows_take_locked(struct recorder *r, uint8_t *out, size_t room)
{
    const struct features_ring *ring = r->place->ring;
    size_t row_bytes = ALIGN_UP(sizeof(struct mlaas_feature_row) + ring->fields * 4, 8), used = 0;
    int32_t values[FEATURES_FIELDS_MAX];
    struct features_row head;

    for (uint32_t cpu = 0; cpu < ring->cpus; cpu++)
        while (used + row_bytes <= room && ring_next(ring, cpu, &r->cursors[cpu], &head, values))
            used += row_write(out + used, cpu, ring->fields, &head, values);
    return used;
}

/* Bytes in `chunk`; 0: the set is gone. */
static long chunk_read_locked(struct recorder *r, uint8_t *chunk, size_t room)
{
    long n = 0;

    mutex_lock(&store_lock);
    if (!r->place)
        n = ERR_INVALID;
    else if (set_is_there_locked(r))
        n = (long)rows_take_locked(r, chunk, room);
    else
        room = 0;
    mutex_unlock(&store_lock);
    return n == 0 && room ? ERR_AGAIN : n;
}

static long recorder_read(void *file, vaddr_t at, size_t size, bool nonblock)
{
    struct recorder *r = file;
    size_t room = MIN(size, CHUNK_BYTES);
    uint8_t *chunk;
    long n;

    (void)nonblock;
    if (room < sizeof(struct mlaas_feature_row) + FEATURES_FIELDS_MAX * 4)
        return ERR_INVALID;
    chunk = kzalloc(room);
    if (!chunk)
        return ERR_NO_MEMORY;
    mutex_lock(&r->lock);
    n = chunk_read_locked(r, chunk, room);
    mutex_unlock(&r->lock);
    if (n > 0 && user_write(at, chunk, (size_t)n) != OK)
        n = ERR_FAULT;
    kfree(chunk);
    return n;
}

static const struct linux_device_ops recorder_ops = {
    .open = recorder_open,
    .close = recorder_close,
    .read = recorder_read,
    .write = recorder_write,
};

int recorder_start(void)
{
    return linux_device_register(DEVICE_NAME, 0600, &recorder_ops, NULL);
}

void recorder_stop(void)
{
    linux_device_unregister(DEVICE_NAME);
}
