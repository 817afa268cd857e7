/*
 * content.c: bytes of files. A file that was written to or cut is a memory object of the layer's,
 * whose pages come from below when they are first touched, as far as the file below reached then.
 */
#include "layer.h"

#include <microlake/aspace.h>
#include <microlake/memory.h>

#define SIZE_LIMIT (1ull << 40)

/* What is left to programs when the layer takes no more: an eighth. */
static bool memory_used_up(void)
{
    struct memory_stats memory;

    memory_stats(&memory);
    return memory.free + memory.reclaimable < memory.total / 8;
}

/* Called by read, write and resize of the object, so the node's data_lock is held. */
static int content_fill(void *pager, uint64_t index, void *page)
{
    const struct layer_node *n = pager;
    const struct layer *l = n->layer;
    uint64_t at = index * PAGE_SIZE;
    size_t done = 0, wanted;

    if (at >= n->content_below)
        return OK;
    wanted = MIN(PAGE_SIZE, n->content_below - at);
    while (done < wanted) {
        long got =
            l->below->read(l->below_fs, n->below, at + done, (uint8_t *)page + done, wanted - done);

        if (got <= 0)
            return got == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_IO;
        done += (size_t)got;
    }
    return OK;
}

static void content_closed(void *pager)
{
    (void)pager; /* the node ends with its content */
}

static const struct pager_ops content_pager = {.fill = content_fill, .closed = content_closed};

/* The file's content becomes the layer's. */
static int content_own(struct layer_node *n)
{
    struct memobj *content;
    int r;

    if (n->content)
        return OK;
    n->content_below = n->below ? n->attr.size : 0;
    r = memobj_create_pager(n->attr.size, &content_pager, n, &content);
    if (r == OK)
        __atomic_store_n(&n->content, content, __ATOMIC_RELEASE);
    return r;
}

/* The content is another one now. */
static void content_changed(struct layer_node *n, uint64_t size)
{
    struct layer *l = n->layer;

    mutex_lock(&l->lock);
    n->attr.size = size;
    n->attr.changed = layer_time();
    n->attr.status_changed = n->attr.changed;
    n->attr.version++;
    layer_node_changed(n);
    mutex_unlock(&l->lock);
}

static long read_content(struct layer_node *n, uint64_t offset, void *to, size_t size)
{
    int r = OK;

    mutex_lock(&n->data_lock);
    size = offset < n->attr.size ? (size_t)MIN(size, n->attr.size - offset) : 0;
    if (size > 0)
        r = memobj_read(n->content, offset, to, size);
    mutex_unlock(&n->data_lock);
    return r == OK ? (long)size : r;
}

long layer_read(void *fs, void *object, uint64_t offset, void *to, size_t size)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    if (__atomic_load_n(&n->content, __ATOMIC_ACQUIRE))
        return read_content(n, offset, to, size);
    return n->below ? l->below->read(l->below_fs, n->below, offset, to, size) : 0;
}

static int write_locked(struct layer_node *n, uint64_t offset, const void *from, size_t size)
{
    uint64_t old = n->attr.size, end = offset + size;
    int r;

    if (end > SIZE_LIMIT || end < offset)
        return LINUX_ERRNO(EFBIG);
    if (memory_used_up())
        return LINUX_ERRNO(ENOSPC);
    r = content_own(n);
    if (r == OK && end > old)
        r = memobj_resize(n->content, end);
    if (r != OK)
        return r;
    r = memobj_write(n->content, offset, from, size);
    if (r == OK)
        content_changed(n, MAX(old, end));
    else if (end > old)
        memobj_resize(n->content, old);
    return r;
}

long layer_write(void *fs, void *object, uint64_t offset, const void *from, size_t size)
{
    struct layer_node *n = object;
    int r;

    (void)fs;
    mutex_lock(&n->data_lock);
    r = write_locked(n, offset, from, size);
    mutex_unlock(&n->data_lock);
    if (r == ERR_NO_MEMORY)
        r = LINUX_ERRNO(ENOSPC);
    return r == OK ? (long)size : r;
}

/* What a shorter file leaves of its last page must read as zero when it grows again. */
static int clear_tail(struct memobj *content, uint64_t size)
{
    uint64_t offset = size & PAGE_MASK;
    paddr_t page;
    int r;

    if (offset == 0)
        return OK;
    r = memobj_page(content, size / PAGE_SIZE, &page);
    if (r == OK)
        memset((uint8_t *)phys_to_virt(page) + offset, 0, PAGE_SIZE - offset);
    return r;
}

static int resize_locked(struct layer_node *n, uint64_t size)
{
    uint64_t old = n->attr.size;
    int r = content_own(n);

    if (r == OK && size < old)
        r = clear_tail(n->content, size);
    if (r == OK)
        r = memobj_resize(n->content, size);
    if (r != OK)
        return r;
    n->content_below = MIN(n->content_below, size);
    content_changed(n, size);
    return OK;
}

int layer_resize(void *fs, void *object, uint64_t size)
{
    struct layer_node *n = object;
    int r;

    (void)fs;
    if (size > SIZE_LIMIT)
        return LINUX_ERRNO(EFBIG);
    mutex_lock(&n->data_lock);
    r = resize_locked(n, size);
    mutex_unlock(&n->data_lock);
    return r;
}
