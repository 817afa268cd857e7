/*
 * tmpfs.c: files in memory, below /tmp and /dev/shm. A file's pages are one anonymous memory
 * object, which mappings share with read() and write().
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/mount.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"
#include "modules/linux/fs/seal.h"
#include "modules/linux/fs/window.h"

#define FILE_SIZE_MAX (1ull << 40)
#define TMPFS_MAGIC   0x01021994
#define LINKS_MAX     65000u

static const struct file_system tmpfs = {.name = "tmpfs", .id = 2, .magic = TMPFS_MAGIC, .xattrs = true};

/* A file's data is its memory object; the object's size is the file's. Both guarded by node->lock.
 */

static int tmp_object(struct node *node, struct memobj **out)
{
    *out = node->data;
    memobj_ref(*out);
    return OK;
}

static uint64_t tmp_file_size(struct node *node)
{
    return memobj_size(node->data);
}

/* What a shorter file leaves of its last page must read as zero when it grows again. */
static int clear_tail(struct memobj *object, uint64_t size)
{
    uint64_t offset = size & PAGE_MASK;
    paddr_t page;
    int r;

    if (offset == 0)
        return OK;
    r = memobj_page(object, size / PAGE_SIZE, &page);
    if (r == OK)
        memset((uint8_t *)phys_to_virt(page) + offset, 0, PAGE_SIZE - offset);
    return r;
}

static int resize_locked(struct node *node, uint64_t size)
{
    struct memobj *object = node->data;
    int r = OK;

    if (size > FILE_SIZE_MAX)
        return LINUX_ERRNO(EFBIG);
    if (size < memobj_size(object))
        r = clear_tail(object, size);
    return r == OK ? memobj_resize(object, size) : r;
}

static int tmp_resize(struct node *node, uint64_t size)
{
    int r;

    mutex_lock(&node->lock);
    r = seal_check_size(node, memobj_size(node->data), size);
    if (r == OK)
        r = resize_locked(node, size);
    mutex_unlock(&node->lock);
    if (r == OK)
        node_touch(node);
    return r;
}

/* Page for page: a part of one, or all. */
static int zero_locked(struct memobj *object, uint64_t from, uint64_t end)
{
    while (from < end) {
        uint64_t n = MIN(end - from, PAGE_SIZE - (from & PAGE_MASK));
        paddr_t page;
        int r = memobj_page(object, from / PAGE_SIZE, &page);

        if (r != OK)
            return r;
        memset((uint8_t *)phys_to_virt(page) + (from & PAGE_MASK), 0, n);
        from += n;
    }
    return OK;
}

static int tmp_zero(struct node *node, uint64_t from, uint64_t size)
{
    int r;

    mutex_lock(&node->lock);
    r = zero_locked(node->data, from, MIN(from + size, memobj_size(node->data)));
    mutex_unlock(&node->lock);
    if (r == OK)
        node_touch(node);
    return r;
}

/* Moves bytes between user memory and the object's pages; the range lies inside the object. */
static long move_bytes(struct memobj *object, uint64_t offset, vaddr_t at, size_t size, bool write)
{
    size_t done = 0;

    while (done < size) {
        uint64_t in_page = (offset + done) & PAGE_MASK;
        size_t n = MIN(size - done, PAGE_SIZE - in_page);
        paddr_t page;
        uint8_t *bytes;
        int r = memobj_page(object, (offset + done) / PAGE_SIZE, &page);

        if (r == OK) {
            bytes = (uint8_t *)phys_to_virt(page) + in_page;
            r = write ? bytes_in(bytes, at + done, n) : bytes_out(at + done, bytes, n);
        }
        if (r != OK)
            return done > 0 ? (long)done : r;
        done += n;
        if (task_must_exit(task_current()))
            break; /* it may be a long way yet, and nobody wants to know */
    }
    return (long)done;
}

static long tmp_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct node *node = f->node;
    uint64_t end;
    long r = 0;

    mutex_lock(&node->lock);
    end = memobj_size(node->data);
    if (*offset < end)
        r = move_bytes(node->data, *offset, at, MIN(size, end - *offset), false);
    mutex_unlock(&node->lock);
    if (r > 0)
        *offset += (uint64_t)r;
    if (!(f->flags & LINUX_O_NOATIME))
        node_touch_access(node);
    return r;
}

static long tmp_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct node *node = f->node;
    uint64_t old_size, end;
    long r = 0;

    if (size == 0)
        return 0;
    mutex_lock(&node->lock);
    old_size = memobj_size(node->data);
    if (f->flags & LINUX_O_APPEND)
        *offset = old_size;
    end = *offset + size;
    if (end < size || end > FILE_SIZE_MAX)
        r = LINUX_ERRNO(EFBIG);
    if (r == 0)
        r = seal_check_write(node);
    if (r == 0)
        r = seal_check_size(node, old_size, MAX(old_size, end));
    if (r == 0 && end > old_size)
        r = memobj_resize(node->data, end);
    if (r == 0)
        r = move_bytes(node->data, *offset, at, size, true);
    if (memobj_size(node->data) > old_size && r < (long)size)
        resize_locked(node, MAX(old_size, r > 0 ? *offset + (uint64_t)r : 0));
    mutex_unlock(&node->lock);
    if (r > 0) {
        *offset += (uint64_t)r;
        node_touch(node);
    }
    return r;
}

static int tmp_map(struct file *f, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                   struct memobj **object, uint64_t *object_offset)
{
    (void)length;
    (void)prot;
    (void)shared;
    *object_offset = offset;
    return tmp_object(f->node, object);
}

static const struct file_ops tmp_file_ops = {
    .read = tmp_read, .write = tmp_write, .map = tmp_map, .seekable = true};

static int tmp_open(struct node *node, struct file *f)
{
    (void)node;
    f->ops = &tmp_file_ops;
    return OK;
}

static void tmp_file_release(struct node *node)
{
    memobj_unref(node->data);
}

static uint64_t tmp_link_size(struct node *node)
{
    return strlen(node->data);
}

static long tmp_link_text(struct node *node, char *out, size_t size)
{
    size_t n = MIN(size, strlen(node->data));

    memcpy(out, node->data, n);
    return (long)n;
}

static void tmp_link_release(struct node *node)
{
    kfree(node->data);
}

static int tmp_make(struct node *folder, const char *name, const struct node_kind *kind,
                    struct node **out);

static int tmp_make_nameless(struct node *folder, uint32_t mode, struct node **out);

static int tmp_link(struct node *folder, const char *name, struct node *node)
{
    (void)folder;
    (void)name;
    return __atomic_load_n(&node->links, __ATOMIC_RELAXED) < LINKS_MAX ? OK : LINUX_ERRNO(EMLINK);
}

static int tmp_exchange(struct node *from, const char *from_name, struct node *to,
                        const char *to_name)
{
    (void)from;
    (void)from_name;
    (void)to;
    (void)to_name;
    return OK; /* the tree is all there is */
}

static const struct node_ops tmp_folder_ops = {
    .make = tmp_make,
    .make_nameless = tmp_make_nameless,
    .link = tmp_link,
    .exchange = tmp_exchange,
};
static const struct node_ops tmp_file_node_ops = {.open = tmp_open,
                                                  .object = tmp_object,
                                                  .size = tmp_file_size,
                                                  .resize = tmp_resize,
                                                  .zero = tmp_zero,
                                                  .release = tmp_file_release};
static const struct node_ops tmp_name_ops = {0}; /* the name of a socket, a pipe, a device */
static const struct node_ops tmp_link_ops = {
    .text = tmp_link_text, .size = tmp_link_size, .release = tmp_link_release};

static int make_file(struct node *folder, const struct file_system *fs, const char *name,
                     uint32_t mode, struct node **out)
{
    struct memobj *object;
    int r = memobj_create_anon(0, &object);

    if (r != OK)
        return r;
    r = node_create(folder, name, mode, fs, &tmp_file_node_ops, object, out);
    if (r != OK)
        memobj_unref(object);
    return r;
}

int tmpfs_make_nameless(const char *name, struct node **out)
{
    int r = make_file(node_root, &tmpfs, name, LINUX_S_IFREG | 0777, out);

    if (r == OK)
        (*out)->links = 0;
    return r;
}

static int tmp_make_nameless(struct node *folder, uint32_t mode, struct node **out)
{
    int r = make_file(folder, folder->fs, "#nameless", mode, out);

    if (r == OK)
        (*out)->links = 0;
    return r;
}

static int make_link(struct node *folder, const char *name, uint32_t mode, const char *text,
                     struct node **out)
{
    char *copy = kstrdup(text);
    int r;

    if (!copy)
        return ERR_NO_MEMORY;
    r = node_create(folder, name, mode, folder->fs, &tmp_link_ops, copy, out);
    if (r != OK)
        kfree(copy);
    return r;
}

static int tmp_make(struct node *folder, const char *name, const struct node_kind *kind,
                    struct node **out)
{
    uint32_t mode = kind->mode;
    int r;

    switch (mode & LINUX_S_IFMT) {
    case LINUX_S_IFREG:
        r = make_file(folder, folder->fs, name, mode, out);
        break;
    case LINUX_S_IFDIR:
        r = node_create(folder, name, mode, folder->fs, &tmp_folder_ops, NULL, out);
        break;
    case LINUX_S_IFLNK:
        r = make_link(folder, name, mode, kind->text, out);
        break;
    default:
        r = node_create(folder, name, mode, folder->fs, &tmp_name_ops, NULL, out);
        if (r == OK)
            (*out)->device = kind->device;
    }
    if (r == OK)
        node_attach_locked(*out);
    return r;
}

static void tmp_root_release(struct node *node)
{
    kfree(node->fs->data);
}

static const struct node_ops tmp_root_ops = {.make = tmp_make,
                                             .make_nameless = tmp_make_nameless,
                                             .link = tmp_link,
                                             .exchange = tmp_exchange,
                                             .release = tmp_root_release};

/* The root holds its file system, and outlives all nodes in it: they lead to it. */
int tmpfs_create(struct node *folder, const char *name, uint32_t mode, bool read_only,
                 struct node **out)
{
    struct file_system *fs = kmalloc(sizeof(*fs));
    int r = ERR_NO_MEMORY;

    if (!fs)
        return r;
    *fs = tmpfs;
    fs->id = file_system_new_id();
    fs->read_only = read_only;
    fs->data = fs; /* it may be changed */
    r = node_create(folder, name, LINUX_S_IFDIR | mode, fs, &tmp_root_ops, NULL, out);
    if (r != OK)
        kfree(fs);
    return r;
}

/* A folder of the root, or one of the archive, becomes a place for files in memory. */
static int mount_at(const char *path, const struct file_system *fs)
{
    struct node *folder;
    int r = node_make_folders(node_root, path, strlen(path), fs, &tmp_folder_ops, &folder);

    if (r != OK)
        return r;
    folder->fs = fs;
    folder->ops = &tmp_folder_ops;
    folder->mode = LINUX_S_IFDIR | 01777;
    node_unref(folder);
    return OK;
}

int tmpfs_init(void)
{
    return mount_at("tmp", &tmpfs);
}

int tmpfs_register_shared(void)
{
    static const struct file_system shared = {.name = "tmpfs", .id = 7, .magic = TMPFS_MAGIC, .xattrs = true};

    return mount_at("dev/shm", &shared);
}
