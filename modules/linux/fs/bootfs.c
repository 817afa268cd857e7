/*
 * bootfs.c: the boot archive as the root of the tree. Read-only; file bytes are used in place:
 * read() copies from the archive, and mappings share one memory object a file. Where a file starts
 * on a page boundary its pages are the archive's own; otherwise a page is copied when it is first
 * touched.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"

static const struct file_system bootfs = {
    .name = "bootfs", .id = 1, .magic = 0x858458f6, .read_only = true};

struct boot_node {
    const uint8_t *data;
    size_t size;
    paddr_t last_page; /* copy of a last page that the archive's next entry shares; 0: not made */
    struct memobj *object; /* a reference; made when first wanted; guarded by the node's lock */
};

/* A file that starts anywhere: pages are copies. */
static int boot_page_fill(void *pager, uint64_t index, void *page)
{
    const struct boot_node *b = pager;
    uint64_t at = index * PAGE_SIZE;

    if (at >= b->size)
        return ERR_RANGE;
    memcpy(page, b->data + at, MIN(PAGE_SIZE, b->size - at));
    return OK;
}

/* A file that starts on a page boundary: pages are the archive's own, but for an incomplete last
 * one, because what lies behind a file's end must read as zero. */
static int boot_page_frame(void *pager, uint64_t index, paddr_t *out)
{
    struct boot_node *b = pager;
    uint64_t at = index * PAGE_SIZE;

    if (at >= b->size)
        return ERR_RANGE;
    *out = b->size - at >= PAGE_SIZE ? virt_to_phys(b->data + at) : b->last_page;
    return OK;
}

static void boot_pager_closed(void *pager)
{
    struct boot_node *b = pager;

    if (b->last_page)
        frame_free(b->last_page, 0);
    b->last_page = 0;
}

static const struct pager_ops copying_pager = {.fill = boot_page_fill, .closed = boot_pager_closed};
static const struct pager_ops in_place_pager = {.frame = boot_page_frame,
                                                .closed = boot_pager_closed};

static int make_object(struct boot_node *b)
{
    bool in_place = ((uintptr_t)b->data & PAGE_MASK) == 0;
    size_t tail = b->size & PAGE_MASK;
    int r;

    if (in_place && tail != 0) {
        b->last_page = frame_alloc(0, FRAME_ZERO);
        if (!b->last_page)
            return ERR_NO_MEMORY;
        memcpy(phys_to_virt(b->last_page), b->data + b->size - tail, tail);
    }
    r = memobj_create_pager(b->size, in_place ? &in_place_pager : &copying_pager, b, &b->object);
    if (r != OK)
        boot_pager_closed(b);
    return r;
}

static int boot_object(struct node *node, struct memobj **out)
{
    struct boot_node *b = node->data;
    int r = OK;

    mutex_lock(&node->lock);
    if (!b->object)
        r = make_object(b);
    if (r == OK) {
        *out = b->object;
        memobj_ref(b->object);
    }
    mutex_unlock(&node->lock);
    return r;
}

static uint64_t boot_size(struct node *node)
{
    const struct boot_node *b = node->data;

    return b ? b->size : 0;
}

static long boot_link_text(struct node *node, char *out, size_t size)
{
    const struct boot_node *b = node->data;
    size_t n = MIN(size, b->size);

    memcpy(out, b->data, n);
    return (long)n;
}

static long boot_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    const struct boot_node *b = f->node->data;

    return file_read_memory(b->data, b->size, at, size, offset);
}

static int boot_map(struct file *f, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                    struct memobj **object, uint64_t *object_offset)
{
    (void)length;
    if (shared && (prot & PROT_WRITE))
        return ERR_ACCESS;
    *object_offset = offset;
    return boot_object(f->node, object);
}

static const struct file_ops boot_file_ops = {.read = boot_read, .map = boot_map, .seekable = true};

static int boot_open(struct node *node, struct file *f)
{
    (void)node;
    f->ops = &boot_file_ops;
    return OK;
}

static void boot_release(struct node *node)
{
    struct boot_node *b = node->data;

    if (b && b->object)
        memobj_unref(b->object);
    kfree(b);
}

static const struct node_ops boot_folder_ops = {.release = boot_release};
static const struct node_ops boot_file_node_ops = {
    .open = boot_open, .object = boot_object, .size = boot_size, .release = boot_release};
static const struct node_ops boot_link_ops = {
    .text = boot_link_text, .size = boot_size, .release = boot_release};

/* Folders exist as soon as something below them does; the archive's own entry sets their mode. */
static int add_folder(const struct boot_file *file)
{
    struct node *folder;
    int r = node_make_folders(node_root, file->path, strlen(file->path), &bootfs, &boot_folder_ops,
                              &folder);

    if (r != OK)
        return r;
    folder->mode = LINUX_S_IFDIR | (file->mode & 07777);
    node_unref(folder);
    return OK;
}

/* As in cpio, a later entry takes the place of an earlier one. */
static int attach_replacing(struct node *node)
{
    struct node *earlier;
    int r = node_attach(node);

    if (r != ERR_EXISTS)
        return r;
    r = node_lookup(node->parent, node->name, &earlier);
    if (r != OK)
        return r;
    if (node_is_folder(earlier))
        r = ERR_EXISTS;
    else
        node_detach(earlier);
    node_unref(earlier);
    return r == OK ? node_attach(node) : r;
}

static int add_leaf(const struct boot_file *file, const struct node_ops *ops)
{
    const char *slash = strrchr(file->path, '/');
    size_t folder_length = slash ? (size_t)(slash - file->path) : 0;
    struct boot_node *b;
    struct node *folder, *node;
    int r =
        node_make_folders(node_root, file->path, folder_length, &bootfs, &boot_folder_ops, &folder);

    if (r != OK)
        return r;
    b = kzalloc(sizeof(*b));
    if (!b) {
        node_unref(folder);
        return ERR_NO_MEMORY;
    }
    b->data = file->data;
    b->size = file->size;
    r = node_create(folder, slash ? slash + 1 : file->path, file->mode, &bootfs, ops, b, &node);
    if (r == OK) {
        r = attach_replacing(node);
        node_unref(node);
    } else {
        kfree(b);
    }
    node_unref(folder);
    return r;
}

static int add_entry(const struct boot_file *file)
{
    switch (file->mode & LINUX_S_IFMT) {
    case LINUX_S_IFDIR:
        return add_folder(file);
    case LINUX_S_IFREG:
        return add_leaf(file, &boot_file_node_ops);
    case LINUX_S_IFLNK:
        return add_leaf(file, &boot_link_ops);
    default:
        return ERR_UNSUPPORTED;
    }
}

int bootfs_init(void)
{
    struct boot_file file;
    size_t cursor = 0;
    int r =
        node_create(NULL, "", LINUX_S_IFDIR | 0755, &bootfs, &boot_folder_ops, NULL, &node_root);

    if (r != OK)
        return r;
    while (boot_file_next(&cursor, &file) == OK) {
        r = add_entry(&file);
        if (r == ERR_NO_MEMORY)
            return r;
        if (r != OK)
            log_warn("linux: boot archive: %s left out: %s", file.path, status_name(r));
    }
    return OK;
}
