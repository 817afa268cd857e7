/*
 * objects.c: files and folders of an image, as the Linux personality uses them. An object is an
 * inode that was read and checked once; nothing of an image changes.
 */
#include "image.h"

#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#define TYPE_MASK   0170000u
#define TYPE_FOLDER 0040000u
#define TYPE_LINK   0120000u
#define TIME_MAX_S  (1ull << 33)

struct object {
    struct erofs_inode inode;
};

static int status_of(struct image *image, int result)
{
    switch (result) {
    case EROFS_OK:
        return OK;
    case EROFS_NOT_FOUND:
        return ERR_NOT_FOUND;
    case EROFS_SOURCE_FAILED:
        return ERR_IO;
    case EROFS_UNSUPPORTED:
        return LINUX_ERRNO(EOPNOTSUPP);
    default:
        if (!__atomic_exchange_n(&image->said, true, __ATOMIC_RELAXED))
            log_warn("erofs: the image is damaged: what it says of its files makes no sense");
        return LINUX_ERRNO(EUCLEAN);
    }
}

static void facts_of_inode(const struct erofs_inode *inode, struct linux_fs_attr *out)
{
    *out = (struct linux_fs_attr){
        .number = inode->number,
        .size = inode->size,
        .changed = MIN(inode->time, TIME_MAX_S) * NS_PER_SEC + inode->time_ns,
        .mode = inode->mode,
        .uid = inode->owner,
        .gid = inode->group,
        .device = inode->device,
        .links = inode->links,
    };
}

/*
 * Folders of a whole image form a tree: each names its parent. In a damaged one a folder may hold
 * one of those it lies in, and who goes down there finds no end.
 */
static int folder_check(struct image *image, const struct erofs_inode *folder,
                        const struct erofs_inode *parent)
{
    uint64_t number;
    int r;

    if ((folder->mode & TYPE_MASK) != TYPE_FOLDER)
        return EROFS_OK;
    r = erofs_lookup(&image->fs, folder, "..", &number);
    if (r == EROFS_NOT_FOUND || (r == EROFS_OK && number != parent->number))
        return EROFS_CORRUPT;
    return r;
}

static int object_create(const struct erofs_inode *inode, void **out)
{
    struct object *o = kmalloc(sizeof(*o));

    if (!o)
        return ERR_NO_MEMORY;
    o->inode = *inode;
    *out = o;
    return OK;
}

static int object_walk(void *fs, void *folder, const char *name, void **out,
                       struct linux_fs_attr *attr)
{
    struct object *parent = folder;
    struct image *image = fs;
    struct erofs_inode inode;
    uint64_t number;
    int r = erofs_lookup(&image->fs, &parent->inode, name, &number);

    if (r == EROFS_OK)
        r = erofs_inode_read(&image->fs, number, &inode);
    if (r == EROFS_OK)
        r = folder_check(image, &inode, &parent->inode);
    if (r != EROFS_OK)
        return status_of(image, r);
    facts_of_inode(&inode, attr);
    return object_create(&inode, out);
}

static int object_attr(void *fs, void *object, struct linux_fs_attr *out)
{
    const struct object *o = object;

    (void)fs;
    facts_of_inode(&o->inode, out);
    return OK;
}

static int object_open(void *fs, void *object, unsigned access)
{
    (void)fs;
    (void)object;
    return access & LINUX_FS_WRITE ? LINUX_ERRNO(EROFS) : OK;
}

/* What lies behind the inode itself comes with the metadata. */
static int extent_read(struct image *image, const struct erofs_inode *inode, uint64_t offset,
                       void *to, size_t size, const struct erofs_extent *extent)
{
    if (extent->hole || offset >= inode->tail_start)
        return status_of(image, erofs_read(&image->fs, inode, offset, to, size));
    return image_read_direct(image, extent->offset, to, size);
}

static long object_read(void *fs, void *object, uint64_t offset, void *to, size_t size)
{
    const struct erofs_inode *inode = &((struct object *)object)->inode;
    struct image *image = fs;
    struct erofs_extent extent;
    size_t done = 0;

    if (offset >= inode->size)
        return 0;
    size = (size_t)MIN(size, inode->size - offset);
    while (done < size) {
        int r = status_of(image, erofs_extent_at(&image->fs, inode, offset + done, &extent));
        size_t n = (size_t)MIN(size - done, extent.length);

        if (r == OK)
            r = extent_read(image, inode, offset + done, (uint8_t *)to + done, n, &extent);
        if (r != OK)
            return done > 0 ? (long)done : r;
        done += n;
    }
    return (long)done;
}

static long object_text(void *fs, void *object, char *out, size_t size)
{
    const struct erofs_inode *inode = &((struct object *)object)->inode;
    struct image *image = fs;
    size_t n = (size_t)MIN(size, inode->size);
    int r = (inode->mode & TYPE_MASK) == TYPE_LINK ? erofs_read(&image->fs, inode, 0, out, n)
                                                   : EROFS_CORRUPT;

    if (r == EROFS_OK && strnlen(out, n) != n)
        r = EROFS_CORRUPT;
    return r == EROFS_OK ? (long)n : status_of(image, r);
}

static int object_list(void *fs, void *folder, uint64_t at, struct linux_fs_sink *sink)
{
    const struct erofs_inode *inode = &((struct object *)folder)->inode;
    struct image *image = fs;
    struct erofs_entry entry;
    int r;

    while ((r = erofs_list(&image->fs, inode, &at, &entry)) == EROFS_OK)
        if (!sink->entry(sink, entry.name, entry.number, (uint32_t)entry.type << 12, at))
            return OK;
    return r == EROFS_NOT_FOUND ? OK : status_of(image, r);
}

static int object_space(void *fs, void *object, struct linux_fs_space *out)
{
    const struct image *image = fs;

    (void)object;
    *out = (struct linux_fs_space){
        .block_size = image->fs.block_size,
        .blocks = image->fs.size >> image->fs.block_bits,
        .files = image->fs.inodes,
    };
    return OK;
}

static void object_release(void *fs, void *object)
{
    (void)fs;
    kfree(object);
}

const struct linux_fs_ops erofs_ops = {
    .name = "erofs",
    .magic = EROFS_MAGIC,
    .walk = object_walk,
    .attr = object_attr,
    .open = object_open,
    .read = object_read,
    .text = object_text,
    .list = object_list,
    .space = object_space,
    .release = object_release,
};

int erofs_root(struct image *image, void **out)
{
    struct erofs_inode inode;
    int r = erofs_inode_read(&image->fs, image->fs.root, &inode);

    if (r == EROFS_OK)
        r = folder_check(image, &inode, &inode);
    return r == EROFS_OK ? object_create(&inode, out) : status_of(image, r);
}
