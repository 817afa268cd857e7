/*
 * disk.h: what the parts of this driver share.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/wait.h>

#include "modules/drivers/virtio/include/virtio.h"
#include "modules/drivers/virtio_blk/include/virtio_blk.h"

#define DISK_REQUESTS 64u /* that the device may have at once */
#define DISK_SEGMENTS 2u  /* of data in one request: header and status take the others */

enum disk_request_type { DISK_IN = 0, DISK_GET_ID = 8 };

/* What the device sees of a request besides its data. Little-endian. */
struct disk_wire {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
    uint8_t status; /* the device writes; 0: done */
    uint8_t padding[15];
};

/* All the requests that one call waits for. It lies on the caller's stack until `pending` is 0. */
struct disk_transfer {
    uint32_t pending; /* atomic; the last access of whoever ends a request is to take one off */
    int result;       /* atomic; OK, or the last trouble */
};

/* A request's own record, out of the device's reach. */
struct disk_request {
    struct disk_transfer *transfer; /* NULL: the request is free; guarded by the disk's lock */
    uint32_t size;                  /* bytes of data */
};

struct virtio_blk {
    struct virtio_device *device;
    struct virtio_queue *queue;
    struct wait_queue sleepers; /* for the end of a transfer, or a free request */
    struct spinlock lock;
    bool lost;             /* set once */
    uint64_t size;         /* bytes */
    uint32_t segment_size; /* bytes of one segment at most, whole sectors */
    uint32_t segments;     /* of data in one request at most */
    char serial[VIRTIO_BLK_SERIAL_MAX];
    bool serial_known; /* guarded by the list's lock */
    struct disk_wire *wires;
    struct disk_request requests[DISK_REQUESTS];
    struct list link; /* guarded by the list's lock */
};

/* The queue's handler. Interrupt context. */
void disk_used(struct virtio_queue *q);

/* Ends the disk's life: what it still has fails with ERR_LOST. Any context. */
void disk_lost(struct virtio_blk *disk);

/* Does requests of one type, from a sector on, and waits for them; results as virtio_blk_read(). */
int disk_transfer(struct virtio_blk *disk, enum disk_request_type type, uint64_t sector,
                  const struct virtio_blk_part *parts, unsigned count);
