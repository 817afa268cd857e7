/*
 * virtio.h: virtio devices (virtio 1.2) for the drivers of devices and for the transports below
 * them.
 *
 * A transport finds a device and adds it; the first registered driver whose probe() takes it owns
 * it. The order in a probe: virtio_features_accept(), virtio_queue_setup() for each queue,
 * virtio_device_ready(). Thread context, may sleep, unless said otherwise.
 */
#pragma once

#include <microlake/irq.h>
#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/types.h>

#include "lib/vring/vring.h"

#define VIRTIO_QUEUES_MAX 8u

/* Feature bits that do not depend on the kind of device. */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

struct virtio_device;
struct virtio_queue;

/* How a transport reaches its device's registers. `status_set`, `notify`: any context. */
struct virtio_transport_ops {
    uint64_t (*features)(struct virtio_device *d);
    void (*features_set)(struct virtio_device *d, uint64_t features);
    uint8_t (*status)(struct virtio_device *d);
    void (*status_set)(struct virtio_device *d, uint8_t status); /* 0 resets, and waits for it */
    void (*config_read)(struct virtio_device *d, uint32_t offset, void *out, uint32_t size);
    uint32_t (*generation)(struct virtio_device *d); /* changes when the config space does */
    uint32_t (*queue_max)(struct virtio_device *d, unsigned index); /* 0: no such queue */
    /* Physical addresses of the three parts; takes effect at once. */
    void (*queue_enable)(struct virtio_device *d, unsigned index, uint16_t size, paddr_t desc,
                         paddr_t avail, paddr_t used);
    void (*notify)(struct virtio_device *d, unsigned index);
};

/* Allocated by the transport, which fills the first three fields before virtio_device_add(). */
struct virtio_device {
    const struct virtio_transport_ops *transport;
    uint32_t id;       /* kind of device */
    const char *name;  /* for the log: "virtio-mmio 0xfeb00000" */
    uint64_t features; /* accepted by both sides */
    uint8_t status;    /* as written last; enum virtio_status */
    bool lost;         /* set by a driver, for ever: whoever stands behind the device is gone */
    struct spinlock interrupt_lock;
    struct virtio_queue *queues[VIRTIO_QUEUES_MAX]; /* changed under interrupt_lock */
    const struct virtio_driver *driver;             /* guarded by the core's lock */
    void *driver_data;                              /* the driver's */
    struct list link;                               /* guarded by the core's lock */
};

struct virtio_driver {
    const char *name;
    uint32_t id; /* kind of device */
    /* Takes the device on OK. ERR_NOT_FOUND: not one of mine, quietly. */
    int (*probe)(struct virtio_device *d);
    /* Gives it up; the core resets it and frees its queues afterwards. */
    void (*remove)(struct virtio_device *d);
    /* The config space or the status changed. Interrupt context. NULL: not interesting. */
    void (*config_changed)(struct virtio_device *d);
    struct list link; /* guarded by the core's lock */
};

/* ---- For drivers
 * --------------------------------------------------------------------------------- */

/* Probes the devices there are, and later ones as they come. ERR_EXISTS: registered already. */
int virtio_driver_register(struct virtio_driver *driver);
void virtio_driver_unregister(struct virtio_driver *driver);

/* Resets the device and accepts of `wanted` what it has; VERSION_1 always. ERR_UNSUPPORTED. */
int virtio_features_accept(struct virtio_device *d, uint64_t wanted);

/* A consistent copy of bytes of the config space. */
void virtio_config_read(struct virtio_device *d, uint32_t offset, void *out, uint32_t size);

/*
 * Makes queue `index` with at most `size_limit` descriptors. `used` is called in interrupt context
 * when the device gave something back and interrupts are on. ERR_NOT_FOUND: no such queue.
 * ERR_NO_MEMORY.
 */
int virtio_queue_setup(struct virtio_device *d, unsigned index, uint16_t size_limit,
                       void (*used)(struct virtio_queue *q), void *ctx, struct virtio_queue **out);
void *virtio_queue_context(const struct virtio_queue *q);

/* The device may work from now on. */
void virtio_device_ready(struct virtio_device *d);

/* Stops the device: it touches no memory any more. Any context. */
void virtio_device_reset(struct virtio_device *d);

/* The same, and tells the device that its driver has given up. Any context. */
void virtio_device_fail(struct virtio_device *d);

/* Frees all queues of a device that was reset; the core does it after remove() and a failed
 * probe(). */
void virtio_queues_free(struct virtio_device *d);

/* True when the device asks to be reset: it is of no use as it is. Any context. */
bool virtio_device_failed(struct virtio_device *d);

/*
 * Queue operations lock the queue: any context. Buffers are physical addresses. Errors: ERR_AGAIN
 * the queue is full; ERR_LOST the device wrote nonsense; ERR_INVALID.
 */
int virtio_queue_add(struct virtio_queue *q, const struct vring_buffer *buffers, unsigned count,
                     void *token);
/* Notifies the device if it wants that. Whether it did. */
bool virtio_queue_kick(struct virtio_queue *q);

/* Takes a finished request. ERR_AGAIN: none. ERR_LOST. */
int virtio_queue_take(struct virtio_queue *q, void **token, uint32_t *written);
bool virtio_queue_pending(struct virtio_queue *q);

/* Descriptors that are free; 0 when the ring is broken. */
unsigned virtio_queue_room(struct virtio_queue *q);

/* Interrupts start switched off. enable returns true when something is back already: take it. */
bool virtio_queue_interrupts_enable(struct virtio_queue *q);
void virtio_queue_interrupts_disable(struct virtio_queue *q);

/* After virtio_device_reset(): takes back what the device held, one token a call; NULL at the end.
 */
void *virtio_queue_reclaim(struct virtio_queue *q);

/* ---- For transports
 * ------------------------------------------------------------------------------ */

int virtio_device_add(struct virtio_device *d);

/* What config_read of a transport does, over a mapped config space of `length` bytes: words where
 * they are aligned, else bytes; zeros beyond its end. */
void virtio_config_copy(const volatile uint8_t *config, uint32_t length, uint32_t offset, void *out,
                        uint32_t size);

/* The driver lets go, the device is reset, its queues are freed. */
void virtio_device_remove(struct virtio_device *d);

/* The device interrupted: queues, config, or both. Interrupt context. */
void virtio_device_interrupt(struct virtio_device *d, bool queues, bool config);
