/*
 * main.c: the driver of virtio-gpgpu devices (uapi/virtio_gpgpu.h): how one is found, started in
 * the background of the boot, lost and given up.
 *
 * Option virtio_gpgpu.id=N: the virtio id that the device wears, because QEMU's generic vhost-user
 * device must wear one that QEMU has a name for. The magic in the config space tells it for sure.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/trace.h>

#include "driver.h"
#include "modules/drivers/hostctl/include/hostctl.h"
#include "uapi/kmod.h"

#define QUEUE_SIZE_LIMIT 256u

void sleepers_enter(struct gpgpu_sleepers *s, struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&s->lock);

    /* What came back before interrupts were on is found by the sleeper's own look. */
    if (s->count++ == 0)
        virtio_queue_interrupts_enable(q);
    spin_unlock_irqrestore(&s->lock, flags);
}

void sleepers_leave(struct gpgpu_sleepers *s, struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&s->lock);

    if (--s->count == 0)
        virtio_queue_interrupts_disable(q);
    spin_unlock_irqrestore(&s->lock, flags);
}

/* The reset comes first: after it the device reads and writes no memory, which then may be freed.
 */
void gpgpu_lost(struct gpgpu *g)
{
    if (__atomic_exchange_n(&g->lost, true, __ATOMIC_SEQ_CST))
        return;
    virtio_device_reset(g->virtio);
    g->virtio->lost = true;
    if (g->ready) {
        gpgpu_control_lost(g);
        gpgpu_submit_lost(g);
    }
    gpu_device_lost(g->gpu);
}

void gpgpu_lose(void *driver, const char *what)
{
    struct gpgpu *g = driver;

    if (!g->lost)
        log_error("virtio_gpgpu: the device %s", what);
    gpgpu_lost(g);
}

int gpgpu_status_check(struct gpgpu *g)
{
    if (!g->lost && virtio_device_failed(g->virtio))
        gpgpu_lose(g, "asks for a reset");
    return g->lost ? ERR_LOST : OK;
}

static void gpgpu_config_changed(struct virtio_device *d)
{
    struct gpgpu *g = d->driver_data;

    if (g && g->ready)
        gpgpu_status_check(g);
}

/* ---- Start
 * --------------------------------------------------------------------------------------- */

/* Names are for logs and terminals: they end, and have no character that these would obey. */
static void name_clean(char *name, size_t size)
{
    name[size - 1] = 0;
    for (; *name; name++)
        if (*name < ' ' || *name > '~')
            *name = '?';
}

static int config_check(struct vgpgpu_config *c)
{
    name_clean(c->backend, sizeof(c->backend));
    name_clean(c->backend_version, sizeof(c->backend_version));
    name_clean(c->device_name, sizeof(c->device_name));
    if (c->magic != VGPGPU_MAGIC)
        return ERR_BAD_FORMAT;
    if (c->version != VGPGPU_VERSION) {
        log_error("virtio_gpgpu: the device speaks version %u, this driver %u", c->version,
                  VGPGPU_VERSION);
        return ERR_UNSUPPORTED;
    }
    if (c->features == UINT32_MAX) /* a device of before there was this field */
        memset(&c->program_kinds, 0, sizeof(*c) - offsetof(struct vgpgpu_config, program_kinds));
    if (!c->max_contexts || !c->max_objects || !c->max_segments || !c->max_buffer ||
        !c->offset_align || (c->offset_align & (c->offset_align - 1)))
        return ERR_BAD_FORMAT;
    return OK;
}

static int queues_start(struct gpgpu *g)
{
    static void (*const used[VGPGPU_QUEUE_COUNT])(struct virtio_queue * q) = {
        [VGPGPU_QUEUE_CONTROL] = gpgpu_control_used,
        [VGPGPU_QUEUE_SUBMIT] = gpgpu_submit_used,
        [VGPGPU_QUEUE_EVENT] = gpgpu_event_used,
    };
    struct virtio_queue *queues[VGPGPU_QUEUE_COUNT];

    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++) {
        int r = virtio_queue_setup(g->virtio, i, QUEUE_SIZE_LIMIT, used[i], g, &queues[i]);

        if (r != OK)
            return r;
    }
    g->control = queues[VGPGPU_QUEUE_CONTROL];
    g->submit = queues[VGPGPU_QUEUE_SUBMIT];
    g->event = queues[VGPGPU_QUEUE_EVENT];
    return gpgpu_events_start(g);
}

/* Want of memory may pass: the next user tries again. */
static void start_undo(struct gpgpu *g, int why)
{
    log_error("virtio_gpgpu: the device does not start: %s", status_name(why));
    if (why != ERR_NO_MEMORY) {
        gpgpu_lost(g);
        virtio_device_fail(g->virtio);
        return;
    }
    virtio_device_reset(g->virtio);
    virtio_queues_free(g->virtio);
    if (g->events)
        frame_free(virt_to_phys(g->events), 0);
    g->events = NULL;
}

static struct trace_set counters = TRACE_SET;
static bool counted; /* atomic: the counters are registered */

/* At the first use of a device, not at boot. Without room for more counters nothing is counted. */
static void counters_register(void)
{
    if (!__atomic_exchange_n(&counted, true, __ATOMIC_SEQ_CST) && trace_register(&counters) != OK)
        __atomic_store_n(&counted, false, __ATOMIC_SEQ_CST);
}

static int gpgpu_start(void *driver, struct vgpgpu_config *config)
{
    struct gpgpu *g = driver;
    int r = virtio_features_accept(g->virtio, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);

    if (r == OK) {
        virtio_config_read(g->virtio, 0, &g->config, sizeof(g->config));
        r = config_check(&g->config);
    }
    if (r == OK)
        r = queues_start(g);
    if (r != OK) {
        start_undo(g, r);
        return r;
    }
    counters_register();
    virtio_device_ready(g->virtio);
    g->ready = true;
    virtio_queue_kick(g->event);
    *config = g->config;
    log_info("virtio_gpgpu: %s, %u compute units, %s %s", g->config.device_name,
             g->config.compute_units, g->config.backend, g->config.backend_version);
    return OK;
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static const struct gpu_driver_ops driver_ops = {
    .struct_size = sizeof(struct gpu_driver_ops),
    .start = gpgpu_start,
    .context_create = gpgpu_context_create,
    .context_limit = gpgpu_context_limit,
    .context_destroy = gpgpu_context_destroy,
    .create = gpgpu_create,
    .destroy = gpgpu_destroy,
    .query = gpgpu_query,
    .submit = gpgpu_submit,
    .submit_wait = gpgpu_submit_wait,
    .alive = gpgpu_alive,
    .lose = gpgpu_lose,
};

static struct gpgpu *served; /* by the host's gpud; NULL: none. Changed while nobody is told. */

/* QEMU keeps a device whose back end has died, and says nothing. */
static void served_lost(void)
{
    log_error("virtio_gpgpu: the host says that nobody serves the device any more");
    gpgpu_lost(served);
}

static void served_watch(struct gpgpu *g)
{
    if (served)
        return;
    served = g;
    hostctl_watch_gpu(served_lost);
}

static void served_unwatch(const struct gpgpu *g)
{
    if (served != g)
        return;
    hostctl_watch_gpu(NULL);
    served = NULL;
}

static void gpgpu_free(struct gpgpu *g)
{
    if (g->events)
        frame_free(virt_to_phys(g->events), 0);
    kfree(g->reserve);
    kfree(g);
}

/* Only the magic is looked at here: the rest of the set-up takes the host long and boot shall not
 * wait for it. */
static int gpgpu_probe(struct virtio_device *d)
{
    struct gpgpu *g;
    uint32_t magic;
    int r;

    virtio_config_read(d, 0, &magic, sizeof(magic));
    if (magic != VGPGPU_MAGIC) {
        log_debug("virtio_gpgpu: %s wears id %u but is no gpgpu device", d->name, d->id);
        return ERR_NOT_FOUND;
    }
    g = kzalloc(sizeof(*g));
    if (!g)
        return ERR_NO_MEMORY;
    g->virtio = d;
    g->reserve = kzalloc(GPGPU_RESERVE);
    mutex_init(&g->reserve_lock);
    wait_queue_init(&g->control_sleepers.queue);
    wait_queue_init(&g->submit_sleepers.queue);
    wait_queue_init(&g->late_room);
    r = g->reserve ? gpu_device_register(&driver_ops, g, &g->gpu) : ERR_NO_MEMORY;
    if (r != OK) {
        gpgpu_free(g);
        return r;
    }
    d->driver_data = g;
    served_watch(g);
    return OK;
}

static void gpgpu_remove(struct virtio_device *d)
{
    struct gpgpu *g = d->driver_data;

    served_unwatch(g);
    d->driver_data = NULL;
    virtio_device_reset(d);
    if (g->ready) {
        gpgpu_control_lost(g);
        gpgpu_submit_lost(g);
    }
    virtio_queues_free(d); /* none of their handlers runs any more after that, on no CPU */
    /* The object layer holds this module while somebody uses the device, so nobody does. */
    gpu_device_unregister(g->gpu);
    gpgpu_free(g);
}

static struct virtio_driver driver = {
    .name = "virtio_gpgpu",
    .probe = gpgpu_probe,
    .remove = gpgpu_remove,
    .config_changed = gpgpu_config_changed,
};

static int gpgpu_init(void)
{
    driver.id = (uint32_t)boot_option_number("virtio_gpgpu.id", VGPGPU_DEFAULT_VIRTIO_ID);
    return virtio_driver_register(&driver);
}

static void gpgpu_exit(void)
{
    virtio_driver_unregister(&driver);
    if (counted)
        trace_unregister(&counters);
}

KMOD_MANIFEST(.name = "virtio_gpgpu", .version = "0.1.0", .needs = "virtio,hostctl", .init = gpgpu_init,
              .exit = gpgpu_exit);
