/*
 * foreign_file.c: content of files of another module's file system. Its pages are one memory object
 * a file, which reads, mappings and programs share; writes go to the server first and then to the
 * pages that are there. See foreign.h.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/foreign.h"
#include "modules/linux/fs/window.h"

#define WRITE_SIZE  (60u * 1024)
#define DROP_PART   4096u      /* pages looked at before somebody may have to end */
#define READ_PART   (1u << 20) /* bytes; whole pages */
#define SIZE_MAX_64 ((uint64_t)INT64_MAX)

static uint64_t page_count(const struct foreign *d)
{
    return ALIGN_UP(__atomic_load_n(&d->size, __ATOMIC_RELAXED), PAGE_SIZE) / PAGE_SIZE;
}

/* ---- Pages ---- */

static long read_file(void *context, uint64_t offset, void *to, size_t size)
{
    const struct foreign *d = context;

    return d->mount->ops->read(d->mount->fs, d->object, offset, to, size);
}

static int foreign_bring(void *pager, uint64_t index)
{
    struct foreign *d = pager;

    return ahead_bring(d->ahead, page_count(d), index);
}

static void foreign_moved(void *pager, uint64_t index, paddr_t frame, bool came)
{
    struct foreign *d = pager;

    if (came)
        cache_came(&d->ahead->fill.cache, index, frame);
    else
        cache_left(frame);
}

/* What is on its way from the server may be old. */
static void content_changed(struct foreign *d)
{
    if (d->ahead)
        fill_changed(&d->ahead->fill);
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
    return OK;
}

static const struct pager_ops foreign_pager = {
    .bring = foreign_bring, .moved = foreign_moved, .write = foreign_write_pages, .closed = foreign_closed};

static int pages_make_locked(struct foreign *d)
{
    uint32_t most = d->mount->ops->read_most / PAGE_SIZE;
    struct ahead_file *ahead = kzalloc(sizeof(*ahead));
    int r = ahead ? memobj_create_pager(d->size, &foreign_pager, d, &d->pages) : ERR_NO_MEMORY;

    if (r != OK) {
        kfree(ahead);
        return r;
    }
    fill_file_init(&ahead->fill, most ? MIN(most, FILL_PAGES) : FILL_PAGES, read_file, d);
    ahead->fill.cache.pages = d->pages;
    ahead->serial = d->serial;
    ahead->mapped.seen.mapped = true;
    d->ahead = ahead;
    __atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED); /* the pager's */
    return OK;
}

static int pages_locked(struct foreign *d, struct memobj **out)
{
    int r = d->pages ? OK : pages_make_locked(d);

    if (r != OK)
        return r;
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
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    if (!d->pages)
        return;
    content_changed(d);
    if (!pages_are_ahead(d))
        memobj_resize(d->pages, 0);
    memobj_resize(d->pages, size);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

/* An open file's stream; NULL: there is no memory for one. */
static struct ahead_stream *stream_of(struct file *f)
{
    struct ahead_stream *s = __atomic_load_n(&f->data, __ATOMIC_ACQUIRE), *fresh;
    void *none = NULL;

    if (s)
        return s;
    fresh = ahead_stream_create();
    if (!fresh || __atomic_compare_exchange_n(&f->data, &none, (void *)fresh, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_ACQUIRE))
        return fresh;
    ahead_stream_free(fresh);
    return none;
}

static void foreign_close(struct file *f)
{
    ahead_stream_free(f->data);
}

/* Bytes of pages that were asked for. */
static long read_asked(struct ahead_file *ahead, struct ahead_stream *s, uint64_t offset, vaddr_t at, size_t size)
{
    size_t done = 0;

    while (done < size) {
        uint64_t in_page = (offset + done) & PAGE_MASK;
        size_t n = MIN(size - done, PAGE_SIZE - in_page);
        paddr_t page;
        int r = ahead_page(ahead, s, (offset + done) / PAGE_SIZE, &page);

        if (r == OK) {
            r = bytes_out(at + done, (const uint8_t *)phys_to_virt(page) + in_page, n);
            frame_unref(page);
        }
        if (r != OK)
            return done > 0 ? (long)done : r;
        done += n;
    }
    return (long)done;
}

/* In parts: much more than can be on its way at once need not be asked for together. */
static long read_pages(struct foreign *d, struct ahead_stream *s, uint64_t offset, vaddr_t at, size_t size)
{
    size_t done = 0;
    long r = 0;

    while (done < size) {
        uint64_t from = offset + done, first = from / PAGE_SIZE;
        size_t n = MIN(size - done, READ_PART - (from & PAGE_MASK));

        ahead_access(d->ahead, s, page_count(d), first, (uint32_t)((from + n - 1) / PAGE_SIZE - first + 1));
        r = read_asked(d->ahead, s, from, at + done, n);
        if (r > 0)
            done += (size_t)r;
        if (r < (long)n)
            break;
    }
    return done > 0 ? (long)done : r;
}

/* Where there is no memory to keep anything in. */
static long read_through(const struct foreign *d, uint64_t offset, vaddr_t at, size_t size)
{
    uint8_t *buffer = kmalloc(PAGE_SIZE);
    size_t done = 0;
    long n = 0;

    if (!buffer)
        return ERR_NO_MEMORY;
    while (done < size) {
        n = d->mount->ops->read(d->mount->fs, d->object, offset + done, buffer,
                                MIN(size - done, PAGE_SIZE));
        if (n > 0 && bytes_out(at + done, buffer, (size_t)n) != OK)
            n = ERR_FAULT;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    kfree(buffer);
    return done > 0 ? (long)done : n;
}

/* The node's lock is not held while pages come: other readers of the file, and what others read ahead,
 * need not wait. */
static long foreign_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct node *node = f->node;
    struct foreign *d = node->data;
    struct ahead_stream *s = stream_of(f);
    struct memobj *pages = NULL;
    uint64_t file_size;
    int made;
    long r;

    mutex_lock(&node->lock);
    file_size = d->size;
    made = *offset < file_size && s ? pages_locked(d, &pages) : ERR_NO_MEMORY;
    mutex_unlock(&node->lock);
    if (*offset >= file_size)
        return 0;
    size = MIN(size, file_size - *offset);
    r = made == OK ? read_pages(d, s, *offset, at, size) : ERR_NO_MEMORY;
    if (r == ERR_NO_MEMORY && !pages_are_ahead(d))
        r = read_through(d, *offset, at, size);
    if (pages)
        memobj_unref(pages);
    if (r > 0) {
        *offset += (uint64_t)r;
        ahead_given((uint64_t)r);
    }
    return r == ERR_RANGE ? 0 : r; /* it was cut meanwhile */
}

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

/* Pages that are there get what was written; others come from the server when they are wanted. */
static void pages_write(struct memobj *pages, uint64_t offset, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t in_page = offset & PAGE_MASK, n = MIN(size, PAGE_SIZE - in_page);
        paddr_t page;

        if (memobj_page_ref(pages, offset / PAGE_SIZE, &page)) {
            memcpy((uint8_t *)phys_to_virt(page) + in_page, bytes, n);
            frame_unref(page);
        }
        offset += n;
        bytes += n;
        size -= n;
    }
}

/* The server has these bytes now. */
static void written_locked(struct foreign *d, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint64_t end = offset + size;

    d->own_change = true;
    content_changed(d);
    if (end > d->size) {
        __atomic_store_n(&d->size, end, __ATOMIC_RELAXED);
        if (d->pages)
            memobj_resize(d->pages, end);
    }
    if (d->pages)
        pages_write(d->pages, offset, bytes, size);
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
static void clear_tail(struct memobj *pages, uint64_t size)
{
    uint64_t offset = size & PAGE_MASK;
    paddr_t page;

    if (offset == 0 || !memobj_page_ref(pages, size / PAGE_SIZE, &page))
        return;
    memset((uint8_t *)phys_to_virt(page) + offset, 0, PAGE_SIZE - offset);
    frame_unref(page);
}

static void resized_locked(struct foreign *d, uint64_t size)
{
    bool shorter = size < d->size;

    d->own_change = true;
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    if (!d->pages)
        return;
    content_changed(d);
    if (shorter)
        clear_tail(d->pages, size);
    memobj_resize(d->pages, size);
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
    .read = foreign_read, .write = foreign_write, .map = foreign_map, .close = foreign_close, .seekable = true};

/* How a stream reads from now on. */
static void advise_stream(struct ahead_stream *s, int advice)
{
    if (s)
        ahead_advise(s, advice == LINUX_FADV_SEQUENTIAL ? READAHEAD_SEQUENTIAL : READAHEAD_NO_ADVICE,
                     advice == LINUX_FADV_RANDOM);
}

/* Whole pages only: others may be wanted for what they hold beside. */
static void drop_range(struct foreign *d, uint64_t offset, uint64_t end)
{
    uint64_t first = ALIGN_UP(offset, PAGE_SIZE) / PAGE_SIZE, last = page_count(d);

    if (end < __atomic_load_n(&d->size, __ATOMIC_RELAXED))
        last = end / PAGE_SIZE;
    while (first < last && !linux_fs_caller_ends()) {
        uint64_t n = MIN(last - first, DROP_PART);

        ahead_drop(d->ahead, first, n);
        first += n;
    }
}

int foreign_advise(struct node *node, struct file *f, uint64_t offset, uint64_t length, int advice)
{
    uint64_t end = length && offset + length > offset ? offset + length : UINT64_MAX;
    struct foreign *d = node->data;
    struct memobj *pages;
    int r;

    mutex_lock(&node->lock);
    r = pages_locked(d, &pages);
    mutex_unlock(&node->lock);
    if (r != OK)
        return OK; /* it was advice */
    if (advice == LINUX_FADV_WILLNEED)
        ahead_want(d->ahead, page_count(d), offset / PAGE_SIZE, (end - 1) / PAGE_SIZE + 1 - offset / PAGE_SIZE);
    else if (advice == LINUX_FADV_DONTNEED)
        drop_range(d, offset, end);
    else if (!f)
        advise_stream(&d->ahead->mapped, advice);
    else if (f->ops == &foreign_file_ops)
        advise_stream(stream_of(f), advice);
    memobj_unref(pages);
    return OK;
}

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
