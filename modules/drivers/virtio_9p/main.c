/*
 * main.c: the driver of virtio-9p devices (virtio id 9): one queue of requests, each a message of
 * the caller's and room for its reply. The device is not trusted: the ring checks what it gives
 * back.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/wait.h>

#include "modules/drivers/virtio/include/virtio.h"
#include "modules/drivers/virtio_9p/include/virtio_9p.h"
#include "uapi/kmod.h"

#define DEVICE_ID        9u
#define FEATURE_TAG      (1ull << 0)
#define QUEUE_SIZE_LIMIT 128u
#define PERIOD_NS        (100 * NS_PER_MS) /* how often a long wait looks about */
#define LIMIT_NS         (60 * NS_PER_SEC) /* a host's folder may be a slow one */

struct virtio_9p {
    struct virtio_device *device;
    struct virtio_queue *queue;
    struct wait_queue sleepers;
    bool lost; /* set once */
    char tag[VIRTIO_9P_TAG_MAX];
    struct list link; /* guarded by channels_lock */
};

static struct mutex channels_lock = MUTEX_INIT(channels_lock);
static struct list channels = LIST_INIT(channels); /* guarded by channels_lock */

static void call_done(struct virtio_9p_request *call, uint32_t received)
{
    call->received = received;
    __atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
}

/* Takes back what a device that was reset still held. */
static void calls_reclaim(struct virtio_9p *c)
{
    struct virtio_9p_request *call;

    while ((call = virtio_queue_reclaim(c->queue)))
        call_done(call, 0);
    wait_wake_all(&c->sleepers);
}

/* Any context. The reset comes first: after it the device touches no memory. */
static void channel_lost(struct virtio_9p *c)
{
    if (__atomic_exchange_n(&c->lost, true, __ATOMIC_SEQ_CST))
        return;
    virtio_device_reset(c->device);
    c->device->lost = true;
    calls_reclaim(c);
}

/* Interrupt context. Interrupts go off while this runs and on again when nothing is left. */
static void queue_used(struct virtio_queue *q)
{
    struct virtio_9p *c = virtio_queue_context(q);
    uint32_t received;
    void *call;
    int r;

    do {
        while ((r = virtio_queue_take(q, &call, &received)) == OK)
            call_done(call, received);
    } while (r == ERR_AGAIN && virtio_queue_interrupts_enable(q));
    if (r == ERR_LOST)
        channel_lost(c);
    wait_wake_all(&c->sleepers);
}

/* Queues the call, waiting for room. ERR_LOST. */
static int call_queue(struct virtio_9p *c, const struct vring_buffer *buffers, unsigned count,
                      struct virtio_9p_request *call)
{
    int r;

    while ((r = c->lost ? ERR_LOST : virtio_queue_add(c->queue, buffers, count, call)) == ERR_AGAIN)
        WAIT_UNTIL(&c->sleepers, c->lost || virtio_queue_room(c->queue) >= count,
                   time_now() + PERIOD_NS, 0);
    return r;
}

int virtio_9p_send(struct virtio_9p *channel, struct virtio_9p_request *request)
{
    struct vring_buffer buffers[3];
    unsigned count = 0;
    int r;

    request->received = 0;
    request->done = false;
    buffers[count++] = (struct vring_buffer){virt_to_phys(request->out), request->out_size, false};
    if (request->payload_size > 0)
        buffers[count++] =
            (struct vring_buffer){virt_to_phys(request->payload), request->payload_size, false};
    buffers[count++] = (struct vring_buffer){virt_to_phys(request->in), request->in_size, true};
    r = call_queue(channel, buffers, count, request);
    if (r != OK) {
        call_done(request, 0);
        return r;
    }
    virtio_queue_kick(channel->queue);
    if (channel->lost) /* meanwhile, and maybe too late for who took everything back */
        calls_reclaim(channel);
    return OK;
}

int virtio_9p_wait(struct virtio_9p *channel, struct virtio_9p_request *request,
                   bool (*give_up)(void))
{
    uint64_t due = time_now() + LIMIT_NS;

    while (WAIT_UNTIL(&channel->sleepers, virtio_9p_done(request), time_now() + PERIOD_NS, 0) ==
           ERR_TIMED_OUT) {
        if (give_up && give_up())
            return ERR_INTERRUPTED;
        if (!virtio_device_failed(channel->device) && time_now() < due)
            continue;
        log_error("virtio_9p: %s: the device does not answer", channel->tag);
        channel_lost(channel);
    }
    return channel->lost ? ERR_LOST : OK;
}

int virtio_9p_find(const char *tag, struct virtio_9p **out)
{
    int r = ERR_NOT_FOUND;

    mutex_lock(&channels_lock);
    list_for_each (it, &channels) {
        struct virtio_9p *c = list_entry(it, struct virtio_9p, link);

        if (strcmp(c->tag, tag) == 0) {
            *out = c;
            r = OK;
            break;
        }
    }
    mutex_unlock(&channels_lock);
    return r;
}

/* The config space: a 16-bit length and the tag without NUL. */
static int tag_read(struct virtio_9p *c)
{
    uint16_t length;

    virtio_config_read(c->device, 0, &length, sizeof(length));
    if (length == 0 || length >= sizeof(c->tag))
        return ERR_BAD_FORMAT;
    virtio_config_read(c->device, sizeof(length), c->tag, length);
    return strlen(c->tag) == length ? OK : ERR_BAD_FORMAT;
}

static int channel_start(struct virtio_9p *c)
{
    int r = virtio_features_accept(c->device,
                                   FEATURE_TAG | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);

    if (r == OK)
        r = c->device->features & FEATURE_TAG ? tag_read(c) : ERR_UNSUPPORTED;
    if (r == OK)
        r = virtio_queue_setup(c->device, 0, QUEUE_SIZE_LIMIT, queue_used, c, &c->queue);
    if (r == OK) {
        virtio_device_ready(c->device);
        virtio_queue_interrupts_enable(c->queue);
    }
    return r;
}

static int channel_probe(struct virtio_device *d)
{
    struct virtio_9p *c = kzalloc(sizeof(*c));
    int r;

    if (!c)
        return ERR_NO_MEMORY;
    c->device = d;
    wait_queue_init(&c->sleepers);
    r = channel_start(c);
    if (r != OK) {
        kfree(c);
        return r;
    }
    d->driver_data = c;
    mutex_lock(&channels_lock);
    list_push_back(&channels, &c->link);
    mutex_unlock(&channels_lock);
    return OK;
}

/* Whoever found a channel keeps this module loaded: nobody is inside. */
static void channel_remove(struct virtio_device *d)
{
    struct virtio_9p *c = d->driver_data;

    mutex_lock(&channels_lock);
    list_remove(&c->link);
    mutex_unlock(&channels_lock);
    channel_lost(c);
    d->driver_data = NULL;
    virtio_queues_free(d);
    kfree(c);
}

static struct virtio_driver driver = {
    .name = "virtio_9p", .id = DEVICE_ID, .probe = channel_probe, .remove = channel_remove};

static int virtio_9p_init(void)
{
    return virtio_driver_register(&driver);
}

static void virtio_9p_exit(void)
{
    virtio_driver_unregister(&driver);
}

KMOD_MANIFEST(.name = "virtio_9p", .version = "0.1.0", .needs = "virtio", .init = virtio_9p_init,
              .exit = virtio_9p_exit);
