/*
 * virtio_blk.h: disks of the host's, for file systems. They are read only: there is no writing and
 * no flushing.
 *
 * What a disk holds is foreign. Thread context, may sleep. Many threads may be inside one disk at
 * once; the device has all their requests at the same time.
 */
#pragma once

#include <microlake/types.h>

#define VIRTIO_BLK_SECTOR     512u
#define VIRTIO_BLK_SERIAL_MAX 21u /* with NUL */

struct virtio_blk;

/* The disk with this serial. It lives as long as the caller's module needs virtio_blk.
 * ERR_NOT_FOUND. */
int virtio_blk_find(const char *serial, struct virtio_blk **out);

/* Bytes, a multiple of VIRTIO_BLK_SECTOR; it does not change. */
uint64_t virtio_blk_size(const struct virtio_blk *disk);

/* Physically contiguous memory; the size is a multiple of VIRTIO_BLK_SECTOR, not 0. */
struct virtio_blk_part {
    paddr_t at;
    uint32_t size;
};

/*
 * Reads the sectors from `offset` (bytes, a multiple of VIRTIO_BLK_SECTOR) on into the parts, one
 * behind the other, and sleeps until all are there. Parts that are pages are filled in place.
 * ERR_IO: the device could not read them all. ERR_LOST: it does not answer, or makes no sense; it
 * is of no use any more. ERR_RANGE: they do not all lie on the disk. ERR_INVALID: no whole sectors.
 */
int virtio_blk_read(struct virtio_blk *disk, uint64_t offset, const struct virtio_blk_part *parts,
                    unsigned count);
