/*
 * device.c: the devices there are, and what happens when one is lost.
 */
#include <microlake/log.h>
#include <microlake/module.h>

#include "internal.h"

#define DEVICES_MAX  16u

/* Whatever a device claims. The heap's objects end at 2 MiB. */
#define CONTEXTS_MAX      4096u
#define OBJECTS_MAX       65536u /* of one kind */
#define SEGMENTS_MAX      65536u
#define BATCH_BYTES_MAX   (1u << 20)
#define PROGRAM_BYTES_MAX (1u << 20)

static struct spinlock list_lock = SPINLOCK_INIT;
static struct list devices = LIST_INIT(devices); /* guarded by list_lock */

struct gpu_stats gpu_counters;

void gpu_stats(struct gpu_stats *out)
{
    *out = gpu_counters;
}

int gpu_device_register(const struct gpu_driver_ops *ops, void *driver, struct gpu_device **out)
{
    struct gpu_device *d;

    if (ops->struct_size != sizeof(*ops))
        return ERR_INVALID;
    if (gpu_counters.devices >= DEVICES_MAX)
        return ERR_LIMIT;
    d = kzalloc(sizeof(*d));
    if (!d)
        return ERR_NO_MEMORY;
    d->ops = ops;
    d->driver = driver;
    d->owner = module_of_address(ops);
    mutex_init(&d->start_lock);
    *out = d;
    spin_lock(&list_lock);
    list_push_back(&devices, &d->link);
    spin_unlock(&list_lock);
    gpu_count(&gpu_counters.devices, 1);
    return OK;
}

int gpu_device_unregister(struct gpu_device *d)
{
    spin_lock(&list_lock);
    if (d->users) {
        spin_unlock(&list_lock);
        return ERR_BUSY;
    }
    list_remove(&d->link);
    spin_unlock(&list_lock);
    gpu_count(&gpu_counters.devices, -1);
    gpu_table_close(&d->contexts);
    kfree(d);
    return OK;
}

static void config_limit(struct vgpgpu_config *c)
{
    c->max_contexts = MIN(c->max_contexts, CONTEXTS_MAX);
    c->max_objects = MIN(c->max_objects, OBJECTS_MAX);
    c->max_segments = MIN(c->max_segments, SEGMENTS_MAX);
    c->max_submit_bytes = MIN(c->max_submit_bytes, BATCH_BYTES_MAX);
    c->max_program_bytes = MIN(c->max_program_bytes, PROGRAM_BYTES_MAX);
}

static int device_start(struct gpu_device *d)
{
    int r = OK;

    mutex_lock(&d->start_lock);
    if (!d->started && !d->lost) {
        r = d->ops->start(d->driver, &d->config);
        d->started = r == OK;
        config_limit(&d->config);
        if (d->started)
            gpu_residency_init(d);
        d->contexts.limit = d->config.max_contexts;
    }
    mutex_unlock(&d->start_lock);
    return d->lost ? ERR_LOST : r;
}

static struct gpu_device *device_claim(unsigned nth)
{
    struct gpu_device *found = NULL;

    spin_lock(&list_lock);
    list_for_each (it, &devices) {
        if (nth-- == 0) {
            found = list_entry(it, struct gpu_device, link);
            break;
        }
    }
    if (found && found->owner && !module_ref(found->owner))
        found = NULL;
    if (found)
        found->users++;
    spin_unlock(&list_lock);
    return found;
}

int gpu_device_get(unsigned nth, struct gpu_device **out)
{
    int r;

    *out = device_claim(nth);
    if (!*out)
        return ERR_NOT_FOUND;
    r = device_start(*out);
    if (r != OK)
        gpu_device_put(*out);
    return r;
}

void gpu_device_put(struct gpu_device *d)
{
    spin_lock(&list_lock);
    d->users--;
    if (d->owner)
        module_unref(d->owner);
    spin_unlock(&list_lock);
}

int gpu_device_info(unsigned nth, struct vgpgpu_config *out)
{
    struct gpu_device *d;
    int r = gpu_device_get(nth, &d);

    if (r != OK)
        return r;
    *out = d->config;
    gpu_device_put(d);
    return OK;
}

void gpu_fence_event(struct gpu_device *d, uint32_t context)
{
    uint64_t flags = spin_lock_irqsave(&d->lock);
    struct gpu_context *ctx = gpu_table_get(&d->contexts, context);

    if (ctx)
        wait_wake_all(&ctx->sleepers);
    spin_unlock_irqrestore(&d->lock, flags);
}

bool gpu_is_working(struct gpu_device *d, uint32_t context)
{
    uint64_t flags = spin_lock_irqsave(&d->lock);
    const struct gpu_context *ctx = gpu_table_get(&d->contexts, context);
    bool working = false;

    for (uint32_t queue = 0; ctx && queue < VGPGPU_QUEUES_PER_CONTEXT && !working; queue++)
        working = __atomic_load_n(&ctx->fences[queue].signalled, __ATOMIC_RELAXED) <
                  __atomic_load_n(&ctx->queues[queue].last, __ATOMIC_RELAXED);
    spin_unlock_irqrestore(&d->lock, flags);
    return working;
}

void gpu_device_lost(struct gpu_device *d)
{
    uint64_t flags;

    if (__atomic_exchange_n(&d->lost, true, __ATOMIC_SEQ_CST))
        return;
    log_error("gpu: the device is lost; programs that use it get errors");
    flags = spin_lock_irqsave(&d->lock);
    for (uint32_t id = 1; id <= d->contexts.size; id++) {
        struct gpu_context *ctx = gpu_table_get(&d->contexts, id);

        if (ctx)
            wait_wake_all(&ctx->sleepers);
    }
    spin_unlock_irqrestore(&d->lock, flags);
}

int gpu_status(uint32_t status)
{
    static const int table[] = {
        [VGPGPU_OK] = OK,
        [VGPGPU_ERR_INVALID] = ERR_INVALID,
        [VGPGPU_ERR_ID] = ERR_NOT_FOUND,
        [VGPGPU_ERR_RANGE] = ERR_RANGE,
        [VGPGPU_ERR_LIMIT] = ERR_RANGE,
        [VGPGPU_ERR_NO_MEMORY] = ERR_NO_MEMORY,
        [VGPGPU_ERR_BUILD] = ERR_BUILD,
        [VGPGPU_ERR_UNSUPPORTED] = ERR_UNSUPPORTED,
        [VGPGPU_ERR_EXEC] = ERR_IO,
        [VGPGPU_ERR_LOST] = ERR_LOST,
        [VGPGPU_ERR_TIMEOUT] = ERR_TIMED_OUT,
    };

    return status < ARRAY_SIZE(table) ? table[status] : ERR_IO;
}
