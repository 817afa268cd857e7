/*
 * foreign_file.c: content of files of another module's file system. Its pages are one memory object
 * a file, which reads, mappings and programs share; writes go to the server first and then to the
 * pages that are there. See foreign.h.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/foreign.h"
#include "modules/linux/fs/window.h"

#define AHEAD_SIZE  (60u * 1024) /* read at once; whole pages */
#define AHEAD_COUNT 4u
#define WRITE_SIZE  (60u * 1024)
#define SIZE_MAX_64 ((uint64_t)INT64_MAX)

/* What was read around a page that was wanted, for the pages that come next. */
struct ahead {
    struct mutex lock;
    const struct foreign *filling; /* whose server is asked just now; written under lock */
    const struct foreign *owner;   /* this and the following: guarded by lock */
    uint64_t start;
    size_t size;
    uint8_t *bytes; /* AHEAD_SIZE; NULL: not made yet */
};

#define AHEAD_INIT(i)                                                                              \
    {                                                                                              \
        .lock = MUTEX_INIT(aheads[i].lock)                                                         \
    }
static struct ahead aheads[AHEAD_COUNT] = {AHEAD_INIT(0), AHEAD_INIT(1), AHEAD_INIT(2),
                                           AHEAD_INIT(3)};

static struct ahead *ahead_of(const struct foreign *d)
{
    return &aheads[((uintptr_t)d >> 6) % AHEAD_COUNT];
}

/* A server may take long to answer: files that have the same place must not wait for each other.
 * False: it is being filled for another file, and so holds nothing of this one. */
static bool ahead_lock(struct ahead *a, const struct foreign *d)
{
    const struct foreign *filling;

    if (mutex_trylock(&a->lock))
        return true;
    filling = __atomic_load_n(&a->filling, __ATOMIC_ACQUIRE);
    if (filling && filling != d)
        return false;
    mutex_lock(&a->lock);
    return true;
}

void foreign_forget_ahead(struct foreign *d)
{
    struct ahead *a = ahead_of(d);

    if (!ahead_lock(a, d))
        return;
    if (a->owner == d)
        a->owner = NULL;
    mutex_unlock(&a->lock);
}

/* Reads until `size` bytes or the end of the file. Bytes read, or an error. */
static long read_all(const struct foreign *d, uint64_t offset, uint8_t *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        long n = d->mount->ops->read(d->mount->fs, d->object, offset + done, to + done, size - done);

        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (long)done;
}

static int ahead_fill_locked(struct ahead *a, const struct foreign *d, uint64_t offset)
{
    uint64_t size = __atomic_load_n(&d->size, __ATOMIC_RELAXED);
    size_t wanted = offset < size ? MIN(AHEAD_SIZE, size - offset) : PAGE_SIZE;
    long n;

    a->owner = NULL;
    if (!a->bytes)
        a->bytes = kmalloc(AHEAD_SIZE);
    if (!a->bytes)
        return ERR_NO_MEMORY;
    __atomic_store_n(&a->filling, d, __ATOMIC_RELEASE);
    n = read_all(d, offset, a->bytes, wanted);
    __atomic_store_n(&a->filling, NULL, __ATOMIC_RELEASE);
    if (n < 0)
        return (int)n;
    a->owner = d;
    a->start = offset;
    a->size = (size_t)n;
    return OK;
}

/* A page that lies behind what the server has is zero. */
static int foreign_fill(void *pager, uint64_t index, void *page)
{
    const struct foreign *d = pager;
    struct ahead *a = ahead_of(d);
    uint64_t offset = index * PAGE_SIZE;
    int r = OK;

    if (!ahead_lock(a, d))
        return read_all(d, offset, page, PAGE_SIZE) < 0 ? ERR_IO : OK;
    if (a->owner != d || offset < a->start || offset >= a->start + a->size)
        r = ahead_fill_locked(a, d, offset);
    if (r == OK && offset - a->start < a->size)
        memcpy(page, a->bytes + (offset - a->start), MIN(PAGE_SIZE, a->size - (offset - a->start)));
    mutex_unlock(&a->lock);
    return r == OK || r == ERR_NO_MEMORY ? r : ERR_IO;
}

static void foreign_closed(void *pager)
{
    foreign_put(pager);
}

/* What lies behind the file's end is nobody's. */
static int write_mapped(const struct foreign *d, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint64_t file_size = __atomic_load_n(&d->size, __ATOMIC_RELAXED);
    size_t done = 0, wanted = offset < file_size ? MIN(size, file_size - offset) : 0;

    while (done < wanted) {
        long n = d->mount->ops->write(d->mount->fs, d->object, offset + done, bytes + done,
                                      wanted - done);

        if (n <= 0)
            return ERR_IO;
        done += (size_t)n;
    }
    return OK;
}

/* Programs wrote to these pages through a mapping: the server gets them at once, or, where memory is
 * scarce, one by one. */
static int foreign_write_pages(void *pager, uint64_t first, const void *const *pages, unsigned count)
{
    struct foreign *d = pager;
    uint8_t *together = count > 1 ? kmalloc(count * PAGE_SIZE) : NULL;
    int r = OK;

    for (unsigned i = 0; i < count && r == OK; i++) {
        if (together)
            memcpy(together + i * PAGE_SIZE, pages[i], PAGE_SIZE);
        else
            r = write_mapped(d, (first + i) * PAGE_SIZE, pages[i], PAGE_SIZE);
    }
    if (together)
        r = write_mapped(d, first * PAGE_SIZE, together, count * PAGE_SIZE);
    kfree(together);
    if (r != OK)
        return r;
    __atomic_store_n(&d->own_change, true, __ATOMIC_RELEASE);
    foreign_forget_ahead(d);
    return OK;
}

static const struct pager_ops foreign_pager = {
    .fill = foreign_fill, .write = foreign_write_pages, .closed = foreign_closed};

static int pages_locked(struct foreign *d, struct memobj **out)
{
    int r = OK;

    if (!d->pages) {
        r = memobj_create_pager(d->size, &foreign_pager, d, &d->pages);
        if (r != OK)
            return r;
        __atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED); /* the pager's */
    }
    memobj_ref(d->pages);
    *out = d->pages;
    return r;
}

int foreign_object(struct node *node, struct memobj **out)
{
    int r;

    mutex_lock(&node->lock);
    r = pages_locked(node->data, out);
    mutex_unlock(&node->lock);
    return r;
}

/* The pages know more than the server: they are not to be passed by. */
static bool pages_are_ahead(const struct foreign *d)
{
    return d->pages && memobj_writers(d->pages) != 0;
}

void foreign_replaced_locked(struct foreign *d, uint64_t size)
{
    foreign_forget_ahead(d);
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    if (!d->pages)
        return;
    if (!pages_are_ahead(d))
        memobj_resize(d->pages, 0);
    memobj_resize(d->pages, size);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

static long read_pages(struct memobj *pages, uint64_t offset, vaddr_t at, size_t size)
{
    size_t done = 0;

    while (done < size) {
        uint64_t in_page = (offset + done) & PAGE_MASK;
        size_t n = MIN(size - done, PAGE_SIZE - in_page);
        paddr_t page;
        int r = memobj_page(pages, (offset + done) / PAGE_SIZE, &page);

        if (r == OK)
            r = bytes_out(at + done, (const uint8_t *)phys_to_virt(page) + in_page, n);
        if (r != OK)
            return done > 0 ? (long)done : r;
        done += n;
    }
    return (long)done;
}

/* Without keeping what is read. */
static long read_through(const struct foreign *d, uint64_t offset, vaddr_t at, size_t size)
{
    uint8_t *buffer = kmalloc(AHEAD_SIZE);
    size_t done = 0;
    long n = 0;

    if (!buffer)
        return ERR_NO_MEMORY;
    while (done < size) {
        n = d->mount->ops->read(d->mount->fs, d->object, offset + done, buffer,
                              MIN(size - done, AHEAD_SIZE));
        if (n > 0 && bytes_out(at + done, buffer, (size_t)n) != OK)
            n = ERR_FAULT;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    kfree(buffer);
    return done > 0 ? (long)done : n;
}

static long foreign_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct node *node = f->node;
    struct foreign *d = node->data;
    struct memobj *pages;
    long r = 0;

    mutex_lock(&node->lock);
    if (*offset < d->size) {
        size = MIN(size, d->size - *offset);
        if ((foreign_memory_low() && !pages_are_ahead(d)) || pages_locked(d, &pages) != OK) {
            r = read_through(d, *offset, at, size);
        } else {
            r = read_pages(pages, *offset, at, size);
            memobj_unref(pages);
        }
    }
    mutex_unlock(&node->lock);
    if (r > 0)
        *offset += (uint64_t)r;
    return r;
}

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

/* The server has these bytes now; pages that are there get them too. */
static void written_locked(struct foreign *d, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint64_t end = offset + size;

    d->own_change = true;
    foreign_forget_ahead(d);
    if (end > d->size) {
        __atomic_store_n(&d->size, end, __ATOMIC_RELAXED);
        if (d->pages)
            memobj_resize(d->pages, end);
    }
    if (d->pages && memobj_write(d->pages, offset, bytes, size) != OK)
        foreign_replaced_locked(d, d->size);
}

static long write_locked(struct foreign *d, uint8_t *buffer, vaddr_t at, size_t size,
                         uint64_t offset)
{
    size_t done = 0;
    long n = 0;

    while (done < size) {
        size_t part = MIN(size - done, WRITE_SIZE);

        if (bytes_in(buffer, at + done, part) != OK)
            n = ERR_FAULT;
        else
            n = d->mount->ops->write(d->mount->fs, d->object, offset + done, buffer, part);
        if (n <= 0)
            break;
        written_locked(d, offset + done, buffer, (size_t)n);
        done += (size_t)n;
    }
    return done > 0 ? (long)done : n;
}

static long foreign_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct node *node = f->node;
    struct foreign *d = node->data;
    uint8_t *buffer;
    long r;

    if (size == 0)
        return 0;
    if (!d->mount->ops->write)
        return LINUX_ERRNO(EPERM);
    buffer = kmalloc(WRITE_SIZE);
    if (!buffer)
        return ERR_NO_MEMORY;
    mutex_lock(&node->lock);
    if (f->flags & LINUX_O_APPEND)
        *offset = d->size;
    r = *offset > SIZE_MAX_64 - size ? LINUX_ERRNO(EFBIG)
                                     : write_locked(d, buffer, at, size, *offset);
    __atomic_store_n(&d->checked, 0, __ATOMIC_RELAXED); /* the server's clock says when it changed */
    mutex_unlock(&node->lock);
    kfree(buffer);
    if (r > 0) {
        *offset += (uint64_t)r;
        node_touch(node);
        foreign_changed(node);
    }
    return r;
}

/* What a shorter file leaves of its last page must read as zero. */
static int clear_tail(struct memobj *pages, uint64_t size)
{
    uint64_t offset = size & PAGE_MASK;
    paddr_t page;
    int r;

    if (offset == 0)
        return OK;
    r = memobj_page(pages, size / PAGE_SIZE, &page);
    if (r == OK)
        memset((uint8_t *)phys_to_virt(page) + offset, 0, PAGE_SIZE - offset);
    return r;
}

static void resized_locked(struct foreign *d, uint64_t size)
{
    bool shorter = size < d->size;
    int r = OK;

    d->own_change = true;
    foreign_forget_ahead(d);
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    if (!d->pages)
        return;
    if (shorter)
        r = clear_tail(d->pages, size);
    if (r == OK)
        memobj_resize(d->pages, size);
    else
        foreign_replaced_locked(d, size);
}

int foreign_resize(struct node *node, uint64_t size)
{
    struct foreign *d = node->data;
    int r;

    if (!d->mount->ops->resize)
        return LINUX_ERRNO(EPERM);
    if (size > SIZE_MAX_64)
        return LINUX_ERRNO(EFBIG);
    mutex_lock(&node->lock);
    r = d->mount->ops->resize(d->mount->fs, d->object, size);
    if (r == OK)
        resized_locked(d, size);
    __atomic_store_n(&d->checked, 0, __ATOMIC_RELAXED);
    mutex_unlock(&node->lock);
    if (r == OK) {
        node_touch(node);
        foreign_changed(node);
    }
    return r;
}

/* What is written through a shared mapping goes to the server at msync(), fsync(), and when the mapping
 * goes. */
static int foreign_map(struct file *f, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                       struct memobj **object, uint64_t *object_offset)
{
    const struct foreign *d = f->node->data;

    (void)length;
    if (shared && (prot & PROT_WRITE) && !d->mount->ops->write)
        return LINUX_ERRNO(ENODEV);
    *object_offset = offset;
    return foreign_object(f->node, object);
}

static const struct file_ops foreign_file_ops = {
    .read = foreign_read, .write = foreign_write, .map = foreign_map, .seekable = true};

int foreign_sync(struct node *node)
{
    struct foreign *d = node->data;
    struct memobj *pages;
    int r = OK;

    mutex_lock(&node->lock);
    pages = d->pages;
    if (pages)
        memobj_ref(pages);
    mutex_unlock(&node->lock);
    if (pages) {
        r = memobj_write_back(pages, 0, UINT64_MAX);
        memobj_unref(pages);
    }
    return r == OK && d->mount->ops->sync ? d->mount->ops->sync(d->mount->fs, d->object) : r;
}

int foreign_open(struct node *node, struct file *f)
{
    struct foreign *d = node->data;
    uint32_t mode = f->flags & LINUX_O_ACCMODE;
    unsigned access = (mode != LINUX_O_WRONLY ? LINUX_FS_READ : 0u) |
                      (mode != LINUX_O_RDONLY ? LINUX_FS_WRITE : 0u);

    f->ops = &foreign_file_ops;
    return d->mount->ops->open(d->mount->fs, d->object, access);
}
