/*
 * request.c: requests to a disk. A call's parts become as many requests as they need; the device
 * has them all at once, and the call sleeps until the last is back.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "disk.h"

#define HEADER_SIZE offsetof(struct disk_wire, status)
#define PERIOD_NS   (2 * NS_PER_SEC) /* how often a long wait looks whether the device lives */
#define LIMIT_NS    (60 * NS_PER_SEC)

/* ---- The device's answers: any context
 * ----------------------------------------------------------- */

/* The transfer may be gone as soon as its count is 0. */
static void request_end(struct virtio_blk *disk, struct disk_request *request, int result)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    struct disk_transfer *transfer = request->transfer;

    request->transfer = NULL;
    spin_unlock_irqrestore(&disk->lock, flags);
    if (result != OK)
        __atomic_store_n(&transfer->result, result, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&transfer->pending, 1, __ATOMIC_RELEASE);
}

/* Whole, and with a good status: the device wrote data and status. */
static int request_result(const struct virtio_blk *disk, const struct disk_request *request,
                          uint32_t written)
{
    const struct disk_wire *wire = &disk->wires[request - disk->requests];
    uint8_t status = __atomic_load_n(&wire->status, __ATOMIC_RELAXED);

    return status == 0 && written == request->size + 1 ? OK : ERR_IO;
}

/* Takes back what a device that was reset still held. */
static void requests_reclaim(struct virtio_blk *disk)
{
    struct disk_request *request;

    while ((request = virtio_queue_reclaim(disk->queue)))
        request_end(disk, request, ERR_LOST);
    wait_wake_all(&disk->sleepers);
}

/* The reset comes first: after it the device touches no memory. */
void disk_lost(struct virtio_blk *disk)
{
    if (__atomic_exchange_n(&disk->lost, true, __ATOMIC_SEQ_CST))
        return;
    virtio_device_reset(disk->device);
    disk->device->lost = true;
    requests_reclaim(disk);
}

/* Interrupts go off while this runs and on again when nothing is left. */
void disk_used(struct virtio_queue *q)
{
    struct virtio_blk *disk = virtio_queue_context(q);
    uint32_t written;
    void *request;
    int r;

    do {
        while ((r = virtio_queue_take(q, &request, &written)) == OK)
            request_end(disk, request, request_result(disk, request, written));
    } while (r == ERR_AGAIN && virtio_queue_interrupts_enable(q));
    if (r == ERR_LOST)
        disk_lost(disk);
    wait_wake_all(&disk->sleepers);
}

/* ---- Asking
 * -------------------------------------------------------------------------------------- */

static bool is_lost(const struct virtio_blk *disk)
{
    return __atomic_load_n(&disk->lost, __ATOMIC_SEQ_CST);
}

static struct disk_request *request_take(struct virtio_blk *disk, struct disk_transfer *transfer)
{
    struct disk_request *request = NULL;
    uint64_t flags = spin_lock_irqsave(&disk->lock);

    for (unsigned i = 0; i < DISK_REQUESTS && !request; i++)
        if (!disk->requests[i].transfer)
            request = &disk->requests[i];
    if (request)
        request->transfer = transfer;
    spin_unlock_irqrestore(&disk->lock, flags);
    return request;
}

static bool has_free_request(struct virtio_blk *disk)
{
    for (unsigned i = 0; i < DISK_REQUESTS; i++)
        if (!__atomic_load_n(&disk->requests[i].transfer, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Sleeps until `holds`; a device that does not get there is lost. */
#define DISK_WAIT(disk, holds)                                                                     \
    do {                                                                                           \
        uint64_t due_ = time_now() + LIMIT_NS;                                                     \
        while (WAIT_UNTIL(&(disk)->sleepers, (holds), time_now() + PERIOD_NS, 0) ==                \
               ERR_TIMED_OUT) {                                                                    \
            if (!virtio_device_failed((disk)->device) && time_now() < due_)                        \
                continue;                                                                          \
            log_error("virtio_blk: %s: the device does not answer", (disk)->device->name);         \
            disk_lost(disk);                                                                       \
        }                                                                                          \
    } while (0)

/* A request of the transfer's own; when all are out, what is queued goes to the device first. */
static struct disk_request *request_get(struct virtio_blk *disk, struct disk_transfer *transfer)
{
    struct disk_request *request;

    while (!(request = request_take(disk, transfer))) {
        virtio_queue_kick(disk->queue);
        DISK_WAIT(disk, is_lost(disk) || has_free_request(disk));
    }
    return request;
}

/* Queues one request: data, `count` segments of it, goes between header and status. */
static int request_queue(struct virtio_blk *disk, struct disk_transfer *transfer,
                         enum disk_request_type type, uint64_t sector,
                         const struct vring_buffer *data, unsigned count)
{
    struct vring_buffer buffers[DISK_SEGMENTS + 2];
    struct disk_request *request = request_get(disk, transfer);
    struct disk_wire *wire = &disk->wires[request - disk->requests];
    paddr_t at = virt_to_phys(wire);
    int r;

    *wire = (struct disk_wire){.type = type, .sector = sector, .status = 0xff};
    request->size = 0;
    buffers[0] = (struct vring_buffer){at, HEADER_SIZE, false};
    for (unsigned i = 0; i < count; i++) {
        buffers[i + 1] = data[i];
        request->size += data[i].length;
    }
    buffers[count + 1] = (struct vring_buffer){at + HEADER_SIZE, sizeof(wire->status), true};
    __atomic_add_fetch(&transfer->pending, 1, __ATOMIC_RELAXED);
    while ((r = is_lost(disk)
                    ? ERR_LOST
                    : virtio_queue_add(disk->queue, buffers, count + 2, request)) == ERR_AGAIN) {
        virtio_queue_kick(disk->queue);
        DISK_WAIT(disk, is_lost(disk) || virtio_queue_room(disk->queue) >= count + 2);
    }
    if (r != OK)
        request_end(disk, request, r);
    return r;
}

/* Takes the next segments of the parts; *part and *done say how far they are used up. */
static unsigned segments_take(const struct virtio_blk *disk, const struct virtio_blk_part *parts,
                              unsigned count, unsigned *part, uint32_t *done,
                              struct vring_buffer *out)
{
    unsigned n = 0;

    while (n < disk->segments && *part < count) {
        const struct virtio_blk_part *p = &parts[*part];
        uint32_t size = MIN(p->size - *done, disk->segment_size);

        out[n++] = (struct vring_buffer){p->at + *done, size, true};
        *done += size;
        if (*done == p->size) {
            *done = 0;
            (*part)++;
        }
    }
    return n;
}

int disk_transfer(struct virtio_blk *disk, enum disk_request_type type, uint64_t sector,
                  const struct virtio_blk_part *parts, unsigned count)
{
    struct disk_transfer transfer = {0};
    struct vring_buffer data[DISK_SEGMENTS];
    unsigned part = 0;
    uint32_t done = 0;
    int r = OK;

    while (r == OK && part < count) {
        unsigned n = segments_take(disk, parts, count, &part, &done, data);

        r = request_queue(disk, &transfer, type, sector, data, n);
        for (unsigned i = 0; i < n; i++)
            sector += data[i].length / VIRTIO_BLK_SECTOR;
    }
    virtio_queue_kick(disk->queue);
    if (is_lost(disk)) /* meanwhile, and maybe too late for who took everything back */
        requests_reclaim(disk);
    DISK_WAIT(disk, __atomic_load_n(&transfer.pending, __ATOMIC_ACQUIRE) == 0);
    return transfer.result;
}
