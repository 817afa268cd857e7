/*
 * queue.c: virtqueues: memory, locking and notification around lib/vring.
 */
#include <microlake/memory.h>

#include "internal.h"

static int ring_status(int result)
{
    switch (result) {
    case VRING_OK:
        return OK;
    case VRING_FULL:
    case VRING_EMPTY:
        return ERR_AGAIN;
    case VRING_BROKEN:
        return ERR_LOST;
    default:
        return ERR_INVALID;
    }
}

static unsigned order_of(size_t bytes)
{
    unsigned order = 0;

    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

/* The largest size allowed by device, driver and ring code. 0: the device has no such queue. */
static uint16_t queue_size(struct virtio_device *d, unsigned index, uint16_t limit)
{
    uint32_t most = MIN(d->transport->queue_max(d, index), MIN(limit, VRING_SIZE_MAX));

    while (most && !vring_size_valid(most))
        most--;
    return (uint16_t)most;
}

static struct virtio_queue *queue_alloc(struct virtio_device *d, uint16_t size,
                                        const struct vring_layout *layout)
{
    struct virtio_queue *q = kzalloc(sizeof(*q) + size * sizeof(q->slots[0]));
    bool event_idx = d->features & VIRTIO_F_EVENT_IDX;
    bool indirect = d->features & VIRTIO_F_INDIRECT_DESC;

    if (!q)
        return NULL;
    q->order = order_of(layout->total);
    q->memory = frame_alloc(q->order, FRAME_ZERO);
    if (!q->memory) {
        kfree(q);
        return NULL;
    }
    vring_init(&q->ring, size, event_idx, indirect, phys_to_virt(q->memory), q->memory, q->slots);
    return q;
}

/* Lets interrupts see a queue, or (NULL) not any more: then no handler is inside it on return. */
static void queue_publish(struct virtio_device *d, unsigned index, struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&d->interrupt_lock);

    d->queues[index] = q;
    spin_unlock_irqrestore(&d->interrupt_lock, flags);
}

int virtio_queue_setup(struct virtio_device *d, unsigned index, uint16_t size_limit,
                       void (*used)(struct virtio_queue *q), void *ctx, struct virtio_queue **out)
{
    struct vring_layout layout;
    struct virtio_queue *q;
    uint16_t size;

    if (index >= VIRTIO_QUEUES_MAX || d->queues[index])
        return ERR_INVALID;
    size = queue_size(d, index, size_limit);
    if (!size)
        return ERR_NOT_FOUND;
    vring_layout(size, &layout);
    q = queue_alloc(d, size, &layout);
    if (!q)
        return ERR_NO_MEMORY;
    q->device = d;
    q->index = index;
    q->used = used;
    q->ctx = ctx;
    queue_publish(d, index, q);
    d->transport->queue_enable(d, index, size, q->memory + layout.desc, q->memory + layout.avail,
                               q->memory + layout.used);
    *out = q;
    return OK;
}

void *virtio_queue_context(const struct virtio_queue *q)
{
    return q->ctx;
}

void virtio_queues_free(struct virtio_device *d)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtio_queue *q = d->queues[i];

        if (!q)
            continue;
        queue_publish(d, i, NULL);
        frame_free(q->memory, q->order);
        kfree(q);
    }
}

void virtio_queues_interrupt(struct virtio_device *d)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtio_queue *q = d->queues[i];

        if (q && q->used && q->ring.interrupts && virtio_queue_pending(q))
            q->used(q);
    }
}

int virtio_queue_add(struct virtio_queue *q, const struct vring_buffer *buffers, unsigned count,
                     void *token)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    int r = vring_add(&q->ring, buffers, count, token);

    spin_unlock_irqrestore(&q->lock, flags);
    return ring_status(r);
}

bool virtio_queue_kick(struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    bool needed = vring_notify_needed(&q->ring);

    spin_unlock_irqrestore(&q->lock, flags);
    if (needed)
        q->device->transport->notify(q->device, q->index);
    return needed;
}

int virtio_queue_take(struct virtio_queue *q, void **token, uint32_t *written)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    int r = vring_take(&q->ring, token, written);

    spin_unlock_irqrestore(&q->lock, flags);
    return ring_status(r);
}

bool virtio_queue_pending(struct virtio_queue *q)
{
    return vring_pending(&q->ring) || q->ring.broken;
}

unsigned virtio_queue_room(struct virtio_queue *q)
{
    return q->ring.broken ? 0 : q->ring.free_count;
}

bool virtio_queue_interrupts_enable(struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    bool pending = vring_interrupts_enable(&q->ring);

    spin_unlock_irqrestore(&q->lock, flags);
    return pending;
}

void virtio_queue_interrupts_disable(struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);

    vring_interrupts_disable(&q->ring);
    spin_unlock_irqrestore(&q->lock, flags);
}

void *virtio_queue_reclaim(struct virtio_queue *q)
{
    uint64_t flags = spin_lock_irqsave(&q->lock);
    void *token = vring_reclaim(&q->ring);

    spin_unlock_irqrestore(&q->lock, flags);
    return token;
}
