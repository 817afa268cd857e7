/*
 * internal.h: what the files of the virtio core share.
 */
#pragma once

#include "modules/drivers/virtio/include/virtio.h"

struct virtio_queue {
    struct virtio_device *device;
    unsigned index;
    struct spinlock lock;
    struct vring ring; /* guarded by lock */
    void (*used)(struct virtio_queue *q);
    void *ctx;
    paddr_t memory; /* the ring's, 2^order frames */
    unsigned order;
    struct vring_slot slots[]; /* guarded by lock */
};

/* Calls the handlers of queues that have something. Interrupt context. */
void virtio_queues_interrupt(struct virtio_device *d);
