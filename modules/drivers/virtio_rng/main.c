/*
 * main.c: the driver of virtio entropy devices (virtio 1.2, section 5.4): random bytes of the
 * host's for the kernel's generator, at the start and then now and again. They are mixed in: a host
 * that sends zeros takes nothing away from what the generator has from elsewhere.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/random.h>
#include <microlake/time.h>

#include "modules/drivers/virtio/include/virtio.h"
#include "uapi/kmod.h"

#define DEVICE_ID        4u
#define QUEUE_SIZE_LIMIT 8u
#define REQUEST_BYTES    64u
#define PERIOD_NS        (300 * NS_PER_SEC)

struct source {
    struct virtio_device *device;
    struct virtio_queue *queue;
    struct timer timer;           /* armed while the device holds no request */
    bool heard;                   /* the first answer came; touched by the interrupt handler only */
    bool removed;                 /* set once */
    uint8_t bytes[REQUEST_BYTES]; /* the device's while it holds a request */
};

/* Any context. Its memory is the device's until the answer. */
static void source_ask(struct source *s)
{
    struct vring_buffer buffer = {virt_to_phys(s->bytes), sizeof(s->bytes), true};

    if (virtio_queue_add(s->queue, &buffer, 1, s) == OK)
        virtio_queue_kick(s->queue);
}

static void timer_expired(struct timer *t)
{
    struct source *s = container_of(t, struct source, timer);

    if (!__atomic_load_n(&s->removed, __ATOMIC_ACQUIRE))
        source_ask(s);
}

static void answer_take(struct source *s, uint32_t written)
{
    if (!s->heard)
        log_debug("%s: the first %u random bytes came", s->device->name, written);
    s->heard = true;
    random_mix(s->bytes, written);
    memset(s->bytes, 0, sizeof(s->bytes));
    if (!__atomic_load_n(&s->removed, __ATOMIC_ACQUIRE))
        timer_arm(&s->timer, time_now() + PERIOD_NS);
}

/* Interrupt context. A queue that the device broke is left as it is: nothing depends on it. */
static void queue_used(struct virtio_queue *q)
{
    struct source *s = virtio_queue_context(q);
    uint32_t written;
    void *token;

    do {
        while (virtio_queue_take(q, &token, &written) == OK)
            answer_take(s, written);
    } while (virtio_queue_room(q) && virtio_queue_interrupts_enable(q));
}

static int source_start(struct source *s)
{
    int r = virtio_features_accept(s->device, VIRTIO_F_EVENT_IDX);

    if (r == OK)
        r = virtio_queue_setup(s->device, 0, QUEUE_SIZE_LIMIT, queue_used, s, &s->queue);
    if (r != OK)
        return r;
    virtio_device_ready(s->device);
    virtio_queue_interrupts_enable(s->queue);
    source_ask(s);
    return OK;
}

static int source_probe(struct virtio_device *d)
{
    struct source *s = kzalloc(sizeof(*s));
    int r;

    if (!s)
        return ERR_NO_MEMORY;
    s->device = d;
    timer_init(&s->timer, timer_expired);
    r = source_start(s);
    if (r == OK)
        d->driver_data = s;
    else
        kfree(s);
    return r;
}

/* After the reset the device writes nothing; without queues no interrupt comes, and none arms the
 * timer again. */
static void source_remove(struct virtio_device *d)
{
    struct source *s = d->driver_data;

    __atomic_store_n(&s->removed, true, __ATOMIC_RELEASE);
    timer_cancel(&s->timer);
    virtio_device_reset(d);
    virtio_queues_free(d);
    timer_cancel(&s->timer);
    d->driver_data = NULL;
    kfree(s);
}

static struct virtio_driver driver = {
    .name = "virtio_rng", .id = DEVICE_ID, .probe = source_probe, .remove = source_remove};

static int rng_init(void)
{
    return virtio_driver_register(&driver);
}

static void rng_exit(void)
{
    virtio_driver_unregister(&driver);
}

KMOD_MANIFEST(.name = "virtio_rng", .version = "0.1.0", .needs = "virtio", .init = rng_init,
              .exit = rng_exit);
