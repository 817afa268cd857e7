/*
 * image.h: one mounted image: its disk, the cache of its metadata, and what lib/erofs knows of it.
 * Thread context, may sleep.
 */
#pragma once

#include <microlake/wait.h>

#include "lib/erofs/erofs.h"
#include "modules/linux/include/linux_fs.h"

#define CACHE_SLOTS     32u
#define CACHE_SLOT_SIZE (16u * 1024)

struct virtio_blk;

/* A piece of the disk; its place in the disk decides the slot. */
struct cache_slot {
    struct mutex lock;
    uint64_t offset; /* in the disk; guarded by lock */
    bool filled;     /* guarded by lock */
    uint8_t *bytes;  /* CACHE_SLOT_SIZE; NULL: not made yet; guarded by lock */
};

struct image {
    struct erofs_source source; /* reads through the cache */
    struct erofs fs;
    struct virtio_blk *disk;
    bool said; /* that the image is damaged: once is enough */
    struct cache_slot cache[CACHE_SLOTS];
};

/* Makes `image` read from the disk with this serial. ERR_NOT_FOUND. */
int image_attach(struct image *image, const char *serial);

/* Copies bytes of the disk through the cache: metadata, and the ends of files beside it. False:
 * they can't be read. */
bool image_read_cached(struct erofs_source *source, uint64_t offset, void *to, size_t size);

/*
 * Copies bytes of the disk without keeping them; `to` is heap memory or a page of the direct map,
 * and is filled in place but for what shares a sector with other bytes. ERR_IO, ERR_NO_MEMORY.
 */
int image_read_direct(struct image *image, uint64_t offset, void *to, size_t size);

/* ---- objects.c */

extern const struct linux_fs_ops erofs_ops; /* fs: a struct image */

/* The image's root folder, an object. */
int erofs_root(struct image *image, void **out);
