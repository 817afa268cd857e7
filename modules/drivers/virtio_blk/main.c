/*
 * main.c: the driver of virtio-blk devices (virtio id 2): finding disks, and what they say of
 * themselves. The device is not trusted: the ring checks what it gives back, request.c the rest.
 */
#include <microlake/memory.h>

#include "disk.h"
#include "uapi/kmod.h"

#define DEVICE_ID          2u
#define FEATURE_SIZE_MAX   (1ull << 1)
#define FEATURE_SEG_MAX    (1ull << 2)
#define QUEUE_SIZE_LIMIT   256u
#define CONFIG_CAPACITY_AT 0u
#define CONFIG_SIZE_MAX_AT 8u
#define CONFIG_SEG_MAX_AT  12u
#define SIZE_LIMIT         ((uint64_t)INT64_MAX)
#define SEGMENT_LIMIT      (1u << 20)
#define SERIAL_SIZE        (VIRTIO_BLK_SERIAL_MAX - 1)

static struct mutex disks_lock = MUTEX_INIT(disks_lock);
static struct list disks = LIST_INIT(disks); /* guarded by disks_lock */

/* Asked for when first wanted. A disk that does not say it has none. */
static void serial_learn_locked(struct virtio_blk *disk)
{
    char *serial = kzalloc(SERIAL_SIZE);
    struct virtio_blk_part part = {serial ? virt_to_phys(serial) : 0, SERIAL_SIZE};

    if (!serial)
        return;
    disk->serial_known = true;
    if (disk_transfer(disk, DISK_GET_ID, 0, &part, 1) == OK)
        memcpy(disk->serial, serial, SERIAL_SIZE);
    kfree(serial);
}

int virtio_blk_find(const char *serial, struct virtio_blk **out)
{
    int r = ERR_NOT_FOUND;

    mutex_lock(&disks_lock);
    list_for_each (it, &disks) {
        struct virtio_blk *disk = list_entry(it, struct virtio_blk, link);

        if (!disk->serial_known)
            serial_learn_locked(disk);
        if (disk->serial[0] && strcmp(disk->serial, serial) == 0) {
            *out = disk;
            r = OK;
            break;
        }
    }
    mutex_unlock(&disks_lock);
    return r;
}

uint64_t virtio_blk_size(const struct virtio_blk *disk)
{
    return disk->size;
}

int virtio_blk_read(struct virtio_blk *disk, uint64_t offset, const struct virtio_blk_part *parts,
                    unsigned count)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < count; i++) {
        if (parts[i].size == 0 || parts[i].size % VIRTIO_BLK_SECTOR)
            return ERR_INVALID;
        total += parts[i].size;
    }
    if (offset % VIRTIO_BLK_SECTOR)
        return ERR_INVALID;
    if (offset > disk->size || total > disk->size - offset)
        return ERR_RANGE;
    return disk_transfer(disk, DISK_IN, offset / VIRTIO_BLK_SECTOR, parts, count);
}

/* ---- Devices that come and go
 * -------------------------------------------------------------------- */

static uint32_t config_limit(struct virtio_blk *disk, uint64_t feature, uint32_t at, uint32_t most)
{
    uint32_t value = most;

    if (disk->device->features & feature)
        virtio_config_read(disk->device, at, &value, sizeof(value));
    return MIN(value, most);
}

static int config_take(struct virtio_blk *disk)
{
    uint64_t sectors;

    virtio_config_read(disk->device, CONFIG_CAPACITY_AT, &sectors, sizeof(sectors));
    if (sectors > SIZE_LIMIT / VIRTIO_BLK_SECTOR)
        return ERR_BAD_FORMAT;
    disk->size = sectors * VIRTIO_BLK_SECTOR;
    disk->segment_size = (uint32_t)ALIGN_DOWN(
        config_limit(disk, FEATURE_SIZE_MAX, CONFIG_SIZE_MAX_AT, SEGMENT_LIMIT), VIRTIO_BLK_SECTOR);
    disk->segments = config_limit(disk, FEATURE_SEG_MAX, CONFIG_SEG_MAX_AT, DISK_SEGMENTS);
    return disk->segment_size && disk->segments ? OK : ERR_UNSUPPORTED;
}

static int disk_start(struct virtio_blk *disk)
{
    int r = virtio_features_accept(disk->device, FEATURE_SIZE_MAX | FEATURE_SEG_MAX |
                                                     VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);

    if (r == OK)
        r = config_take(disk);
    if (r == OK)
        r = virtio_queue_setup(disk->device, 0, QUEUE_SIZE_LIMIT, disk_used, disk, &disk->queue);
    if (r == OK) {
        virtio_device_ready(disk->device);
        virtio_queue_interrupts_enable(disk->queue);
    }
    return r;
}

static void disk_free(struct virtio_blk *disk)
{
    kfree(disk->wires);
    kfree(disk);
}

static int disk_probe(struct virtio_device *d)
{
    struct virtio_blk *disk = kzalloc(sizeof(*disk));
    int r = ERR_NO_MEMORY;

    if (!disk)
        return r;
    disk->device = d;
    wait_queue_init(&disk->sleepers);
    disk->wires = kzalloc(DISK_REQUESTS * sizeof(disk->wires[0]));
    if (disk->wires)
        r = disk_start(disk);
    if (r != OK) {
        disk_free(disk);
        return r;
    }
    d->driver_data = disk;
    mutex_lock(&disks_lock);
    list_push_back(&disks, &disk->link);
    mutex_unlock(&disks_lock);
    return OK;
}

/* Whoever found a disk keeps this module loaded: nobody is inside. */
static void disk_remove(struct virtio_device *d)
{
    struct virtio_blk *disk = d->driver_data;

    mutex_lock(&disks_lock);
    list_remove(&disk->link);
    mutex_unlock(&disks_lock);
    disk_lost(disk);
    d->driver_data = NULL;
    virtio_queues_free(d);
    disk_free(disk);
}

static struct virtio_driver driver = {
    .name = "virtio_blk", .id = DEVICE_ID, .probe = disk_probe, .remove = disk_remove};

static int virtio_blk_init(void)
{
    return virtio_driver_register(&driver);
}

static void virtio_blk_exit(void)
{
    virtio_driver_unregister(&driver);
}

KMOD_MANIFEST(.name = "virtio_blk", .version = "0.1.0", .needs = "virtio", .init = virtio_blk_init,
              .exit = virtio_blk_exit);
