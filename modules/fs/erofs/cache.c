/*
 * cache.c: the bytes of an image: metadata through a small cache, file content directly.
 */
#include "image.h"

#include <microlake/memory.h>

#include "modules/drivers/virtio_blk/include/virtio_blk.h"

#define SECTOR VIRTIO_BLK_SECTOR

static int disk_read(struct image *image, uint64_t offset, void *to, size_t size)
{
    struct virtio_blk_part part = {virt_to_phys(to), (uint32_t)size};

    return virtio_blk_read(image->disk, offset, &part, 1);
}

static bool slot_fill_locked(struct image *image, struct cache_slot *slot, uint64_t offset)
{
    size_t size = (size_t)MIN(CACHE_SLOT_SIZE, image->source.size - offset);

    slot->filled = false;
    if (!slot->bytes)
        slot->bytes = kmalloc(CACHE_SLOT_SIZE);
    if (!slot->bytes || disk_read(image, offset, slot->bytes, size) != OK)
        return false;
    slot->offset = offset;
    slot->filled = true;
    return true;
}

/* Bytes that lie in one slot. */
static bool slot_read(struct image *image, uint64_t offset, void *to, size_t size)
{
    uint64_t start = ALIGN_DOWN(offset, CACHE_SLOT_SIZE);
    struct cache_slot *slot = &image->cache[start / CACHE_SLOT_SIZE % CACHE_SLOTS];
    bool there;

    mutex_lock(&slot->lock);
    there = (slot->filled && slot->offset == start) || slot_fill_locked(image, slot, start);
    if (there)
        memcpy(to, slot->bytes + (offset - start), size);
    mutex_unlock(&slot->lock);
    return there;
}

bool image_read_cached(struct erofs_source *source, uint64_t offset, void *to, size_t size)
{
    struct image *image = container_of(source, struct image, source);
    uint8_t *bytes = to;

    while (size > 0) {
        size_t n = (size_t)MIN(size, CACHE_SLOT_SIZE - offset % CACHE_SLOT_SIZE);

        if (!slot_read(image, offset, bytes, n))
            return false;
        bytes += n;
        offset += n;
        size -= n;
    }
    return true;
}

/* Whole sectors in place, and a last one that is not wanted whole through other memory. */
static int read_with_end(struct image *image, uint64_t offset, uint8_t *to, size_t size)
{
    size_t whole = ALIGN_DOWN(size, SECTOR), rest = size - whole;
    struct virtio_blk_part parts[2];
    unsigned count = 0;
    uint8_t *end;
    int r;

    if (rest == 0)
        return disk_read(image, offset, to, size);
    end = kmalloc(SECTOR);
    if (!end)
        return ERR_NO_MEMORY;
    if (whole > 0)
        parts[count++] = (struct virtio_blk_part){virt_to_phys(to), (uint32_t)whole};
    parts[count++] = (struct virtio_blk_part){virt_to_phys(end), SECTOR};
    r = virtio_blk_read(image->disk, offset, parts, count);
    if (r == OK)
        memcpy(to + whole, end, rest);
    kfree(end);
    return r;
}

int image_read_direct(struct image *image, uint64_t offset, void *to, size_t size)
{
    size_t head = (size_t)MIN(size, -offset % SECTOR);
    int r;

    if (!image_read_cached(&image->source, offset, to, head))
        return ERR_IO;
    if (head == size)
        return OK;
    r = read_with_end(image, offset + head, (uint8_t *)to + head, size - head);
    return r == OK || r == ERR_NO_MEMORY ? r : ERR_IO;
}

int image_attach(struct image *image, const char *serial)
{
    int r = virtio_blk_find(serial, &image->disk);

    if (r != OK)
        return r;
    for (unsigned i = 0; i < CACHE_SLOTS; i++)
        mutex_init(&image->cache[i].lock);
    image->source = (struct erofs_source){virtio_blk_size(image->disk), image_read_cached};
    return OK;
}
