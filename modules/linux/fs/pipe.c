/*
 * pipe.c: pipes: a ring of bytes between files that write and files that read; with or without a
 * name in the tree.
 *
 * Writes through a file with O_DIRECT are packets, of which a read gets one. Where the ring holds
 * packets, `segments` says how it is divided; a pipe that never had any has none.
 */
#include "modules/linux/fs/pipe.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define PIPE_SIZE    65536u
#define PIPE_MAX     (1u << 20)
#define SEGMENTS_MAX 256u

/* Bytes one behind the other: one packet, or what was written without O_DIRECT between two. */
struct segment {
    uint32_t size;
    bool packet;
};

struct pipe {
    uint32_t refs; /* the files, and nodes of /proc that lead to it */
    struct mutex lock;
    uint8_t *ring;             /* guarded by lock */
    size_t size, head, count;  /* guarded by lock; size and count are looked at without */
    unsigned readers, writers; /* files; guarded by lock, looked at without */
    unsigned readers_ever, writers_ever;
    bool claimed;             /* somebody moves what is at the front; guarded by lock */
    struct segment *segments; /* SEGMENTS_MAX; NULL: bytes only; guarded by lock */
    unsigned segment_count;   /* guarded by lock */
    struct wait_queue readable, writable;
    struct linux_poll_source source;
    struct node *node; /* its name, not a reference: the files have it; NULL: it has none */
    struct list link;  /* guarded by names_lock */
};

static struct mutex names_lock = MUTEX_INIT(names_lock);
static struct list names = LIST_INIT(names); /* pipes with a name; guarded by names_lock */

static void pipe_unref(struct pipe *p)
{
    bool named = p->node, last;

    if (named)
        mutex_lock(&names_lock);
    last = __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last)
        list_remove(&p->link);
    if (named)
        mutex_unlock(&names_lock);
    if (!last)
        return;
    kfree(p->segments);
    kfree(p->ring);
    kfree(p);
}

static size_t pipe_count(const struct pipe *p)
{
    return __atomic_load_n(&p->count, __ATOMIC_RELAXED);
}

static size_t pipe_room(const struct pipe *p)
{
    size_t size = __atomic_load_n(&p->size, __ATOMIC_RELAXED), count = pipe_count(p);

    return size > count ? size - count : 0;
}

static bool any(const unsigned *files)
{
    return __atomic_load_n(files, __ATOMIC_RELAXED) > 0;
}

static bool can_take(const struct pipe *p)
{
    return pipe_count(p) > 0 && !__atomic_load_n(&p->claimed, __ATOMIC_RELAXED);
}

static void pipe_changed(struct pipe *p, struct wait_queue *who, unsigned events)
{
    wait_wake_all(who);
    poll_notify(&p->source, events);
}

/* ---- The ring; the lock is held
 * -------------------------------------------------------------------- */

/* Copies size bytes from the front without taking them. */
static int copy_front(const struct pipe *p, vaddr_t at, size_t size)
{
    size_t first = MIN(size, p->size - p->head);

    if (bytes_out(at, p->ring + p->head, first) != OK)
        return ERR_FAULT;
    return size > first ? bytes_out(at + first, p->ring, size - first) : OK;
}

static void drop_front(struct pipe *p, size_t size)
{
    p->head = (p->head + size) % p->size;
    p->count -= size;
}

/* How much of the front one read gets, and how much goes then. */
static size_t front_size(const struct pipe *p, size_t wanted, size_t *goes)
{
    size_t n = MIN(wanted, p->count);

    if (p->segment_count > 0)
        n = MIN(n, p->segments[0].size);
    *goes = p->segment_count > 0 && p->segments[0].packet ? p->segments[0].size : n;
    return n;
}

static void drop_segment(struct pipe *p, size_t size)
{
    if (p->segment_count == 0)
        return;
    p->segments[0].size -= (uint32_t)size;
    if (p->segments[0].size > 0)
        return;
    p->segment_count--;
    memmove(p->segments, p->segments + 1, p->segment_count * sizeof(*p->segments));
}

static long take_locked(struct pipe *p, vaddr_t at, size_t size)
{
    size_t goes, n = front_size(p, size, &goes);

    if (copy_front(p, at, n) != OK)
        return ERR_FAULT;
    drop_front(p, goes);
    drop_segment(p, goes);
    return (long)n;
}

/* Notes what size bytes at the end are. false: there is no room for it. */
static bool add_segment(struct pipe *p, size_t size, bool packet)
{
    if (!p->segments && !packet)
        return true;
    if (!p->segments) {
        p->segments = kmalloc(SEGMENTS_MAX * sizeof(*p->segments));
        if (!p->segments)
            return false;
        if (p->count > 0)
            p->segments[p->segment_count++] = (struct segment){(uint32_t)p->count, false};
    }
    if (!packet && p->segment_count > 0 && !p->segments[p->segment_count - 1].packet) {
        p->segments[p->segment_count - 1].size += (uint32_t)size;
        return true;
    }
    if (p->segment_count == SEGMENTS_MAX)
        return false;
    p->segments[p->segment_count++] = (struct segment){(uint32_t)size, packet};
    return true;
}

static long put_locked(struct pipe *p, vaddr_t at, size_t size, bool packet)
{
    size_t n = MIN(size, p->size - p->count), tail = (p->head + p->count) % p->size;
    size_t first = MIN(n, p->size - tail);

    if (bytes_in(p->ring + tail, at, first) != OK ||
        (n > first && bytes_in(p->ring, at + first, n - first) != OK))
        return ERR_FAULT;
    if (!add_segment(p, n, packet))
        return ERR_AGAIN;
    p->count += n;
    return (long)n;
}

/* ---- Reading
 * --------------------------------------------------------------------------------------- */

/* Returns OK with the lock held when there is something to take, else without: 1 for the end. */
static long wait_front(struct pipe *p, bool nonblock)
{
    mutex_lock(&p->lock);
    while (p->count == 0 || p->claimed) {
        bool ended = p->writers == 0 && p->count == 0;
        long r;

        mutex_unlock(&p->lock);
        if (ended)
            return 1;
        if (nonblock)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->readable, can_take(p) || (!any(&p->writers) && pipe_count(p) == 0),
                       TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
        mutex_lock(&p->lock);
    }
    return OK;
}

static long pipe_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pipe *p = f->data;
    long r;

    (void)offset;
    if (size == 0)
        return 0;
    r = wait_front(p, f->flags & LINUX_O_NONBLOCK);
    if (r != OK)
        return r > 0 ? 0 : r;
    r = take_locked(p, at, size);
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_changed(p, &p->writable, LINUX_POLLOUT);
    return r;
}

long pipe_peek(struct file *f, void *to, size_t size, bool nonblock, bool claim)
{
    struct pipe *p = f->data;
    size_t n, first, goes;
    long r;

    if (!file_readable(f))
        return LINUX_ERRNO(EBADF);
    r = wait_front(p, nonblock || (f->flags & LINUX_O_NONBLOCK));
    if (r != OK)
        return r > 0 ? 0 : r;
    n = front_size(p, size, &goes);
    first = MIN(n, p->size - p->head);
    memcpy(to, p->ring + p->head, first);
    memcpy((uint8_t *)to + first, p->ring, n - first);
    p->claimed = claim;
    mutex_unlock(&p->lock);
    return (long)n;
}

void pipe_consume(struct file *f, size_t size)
{
    struct pipe *p = f->data;

    mutex_lock(&p->lock);
    drop_front(p, size);
    drop_segment(p, size);
    p->claimed = false;
    mutex_unlock(&p->lock);
    pipe_changed(p, &p->writable, LINUX_POLLOUT);
    wait_wake_all(&p->readable);
}

/* ---- Writing
 * --------------------------------------------------------------------------------------- */

static long broken_pipe(void)
{
    struct task *t = task_current();
    struct linux_siginfo info = {.signo = LINUX_SIGPIPE, .code = LINUX_SI_USER};

    info.sender.pid = t->process->pid;
    signal_send_task(t, &info);
    return LINUX_ERRNO(EPIPE);
}

/* Waits until `want` bytes fit; OK with the lock held, else without. */
static long wait_room(struct pipe *p, size_t want, bool nonblock)
{
    mutex_lock(&p->lock);
    while (p->readers > 0 && (pipe_room(p) < want || p->segment_count == SEGMENTS_MAX)) {
        long r;

        mutex_unlock(&p->lock);
        if (nonblock)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->writable,
                       (pipe_room(p) >= want && p->segment_count < SEGMENTS_MAX) ||
                           !any(&p->readers),
                       TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
        mutex_lock(&p->lock);
    }
    if (p->readers > 0)
        return OK;
    mutex_unlock(&p->lock);
    return LINUX_ERRNO(EPIPE);
}

long pipe_wait_room(struct file *f, bool nonblock)
{
    struct pipe *p = f->data;
    long r;

    if (!file_writable(f))
        return LINUX_ERRNO(EBADF);
    r = wait_room(p, 1, nonblock || (f->flags & LINUX_O_NONBLOCK));
    if (r == LINUX_ERRNO(EPIPE))
        return broken_pipe();
    if (r != OK)
        return r;
    r = (long)pipe_room(p);
    mutex_unlock(&p->lock);
    return r;
}

/* Writes what fits, once at least `want` bytes do. */
static long write_some(struct file *f, vaddr_t at, size_t size, size_t want)
{
    struct pipe *p = f->data;
    long r = wait_room(p, want, f->flags & LINUX_O_NONBLOCK);

    if (r != OK)
        return r;
    r = put_locked(p, at, size, f->flags & LINUX_O_DIRECT);
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_changed(p, &p->readable, LINUX_POLLIN);
    return r;
}

static long pipe_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    bool packets = f->flags & LINUX_O_DIRECT;
    size_t done = 0;

    (void)offset;
    while (done < size) {
        size_t left = packets ? MIN(size - done, PIPE_ATOMIC) : size - done;
        long r = write_some(f, at + done, left, packets || size <= PIPE_ATOMIC ? left : 1);

        if (r == LINUX_ERRNO(EPIPE))
            broken_pipe();
        if (r < 0)
            return done > 0 ? (long)done : r;
        done += (size_t)r;
    }
    return (long)done;
}

/* ---- Other operations
 * ------------------------------------------------------------------------------ */

static long pipe_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    int32_t count = (int32_t)pipe_count(f->data);

    if (command != LINUX_FIONREAD)
        return LINUX_ERRNO(ENOTTY);
    return user_write(argument, &count, sizeof(count));
}

/* Of a pipe that nobody has written to yet, the end has not come. */
static unsigned pipe_poll(struct file *f, struct linux_poll_source **source)
{
    struct pipe *p = f->data;
    unsigned events = 0;

    *source = &p->source;
    if (file_readable(f)) {
        events |= pipe_count(p) > 0 ? LINUX_POLLIN : 0u;
        events |= !any(&p->writers) && p->writers_ever > 0 ? LINUX_POLLHUP : 0u;
    }
    if (file_writable(f)) {
        events |= pipe_room(p) >= PIPE_ATOMIC ? LINUX_POLLOUT : 0u;
        events |= !any(&p->readers) ? LINUX_POLLERR : 0u;
    }
    return events;
}

static void pipe_close(struct file *f)
{
    struct pipe *p = f->data;

    mutex_lock(&p->lock);
    if (file_readable(f))
        __atomic_sub_fetch(&p->readers, 1, __ATOMIC_RELAXED);
    if (file_writable(f))
        __atomic_sub_fetch(&p->writers, 1, __ATOMIC_RELAXED);
    mutex_unlock(&p->lock);
    wait_wake_all(&p->writable);
    pipe_changed(p, &p->readable, ~0u);
    pipe_unref(p);
}

static void pipe_hold(void *data)
{
    struct pipe *p = data;

    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
}

static void pipe_release(struct node *node)
{
    pipe_unref(node->data);
}

static int pipe_open_again(struct node *node, struct file *f);

static const struct node_ops pipe_again = {.open = pipe_open_again, .release = pipe_release};

static const struct file_ops pipe_ops = {.read = pipe_read,
                                         .write = pipe_write,
                                         .ioctl = pipe_ioctl,
                                         .poll = pipe_poll,
                                         .close = pipe_close,
                                         .again = &pipe_again,
                                         .hold = pipe_hold};

struct pipe *pipe_of_file(const struct file *f)
{
    return f->ops == &pipe_ops ? f->data : NULL;
}

long pipe_size(const struct pipe *p)
{
    return (long)__atomic_load_n(&p->size, __ATOMIC_RELAXED);
}

/* The bytes move to a new ring. */
static int resize_locked(struct pipe *p, size_t size, uint8_t *ring)
{
    size_t first = MIN(p->count, p->size - p->head);

    if (p->count > size || p->claimed)
        return ERR_BUSY;
    memcpy(ring, p->ring + p->head, first);
    memcpy(ring + first, p->ring, p->count - first);
    kfree(p->ring);
    p->ring = ring;
    p->head = 0;
    __atomic_store_n(&p->size, size, __ATOMIC_RELAXED);
    return OK;
}

long pipe_set_size(struct pipe *p, uint64_t size)
{
    size_t rounded = PAGE_SIZE;
    uint8_t *ring;
    int r;

    if (size > 1u << 31)
        return ERR_INVALID;
    if (size > PIPE_MAX)
        return LINUX_ERRNO(EPERM);
    while (rounded < size)
        rounded *= 2;
    ring = kmalloc(rounded);
    if (!ring)
        return ERR_NO_MEMORY;
    mutex_lock(&p->lock);
    r = resize_locked(p, rounded, ring);
    mutex_unlock(&p->lock);
    if (r != OK) {
        kfree(ring);
        return r;
    }
    pipe_changed(p, &p->writable, LINUX_POLLOUT);
    return (long)rounded;
}

/* ---- Making and opening
 * ---------------------------------------------------------------------------- */

static struct pipe *pipe_make(void)
{
    struct pipe *p = kzalloc(sizeof(*p));

    if (!p)
        return NULL;
    p->ring = kmalloc(PIPE_SIZE);
    if (!p->ring) {
        kfree(p);
        return NULL;
    }
    p->refs = 1;
    p->size = PIPE_SIZE;
    list_init(&p->link);
    mutex_init(&p->lock);
    wait_queue_init(&p->readable);
    wait_queue_init(&p->writable);
    linux_poll_source_init(&p->source);
    return p;
}

/* The file becomes an end of the pipe, or both; it gets a reference. */
static void enter(struct pipe *p, struct file *f)
{
    pipe_hold(p);
    f->ops = &pipe_ops;
    f->data = p;
    mutex_lock(&p->lock);
    if (file_readable(f)) {
        __atomic_add_fetch(&p->readers, 1, __ATOMIC_RELAXED);
        p->readers_ever++;
    }
    if (file_writable(f)) {
        __atomic_add_fetch(&p->writers, 1, __ATOMIC_RELAXED);
        p->writers_ever++;
    }
    mutex_unlock(&p->lock);
    wait_wake_all(&p->writable); /* who waits in open() for the other end */
    wait_wake_all(&p->readable);
}

static int pipe_open_again(struct node *node, struct file *f)
{
    struct pipe *p = node->data;

    enter(p, f);
    poll_notify(&p->source, ~0u);
    return OK;
}

int pipe_create(uint32_t flags, struct file **reader, struct file **writer)
{
    struct pipe *p = pipe_make();
    int r;

    if (!p)
        return ERR_NO_MEMORY;
    r = file_create(&pipe_ops, NULL, LINUX_O_RDONLY | flags, reader);
    if (r == OK) {
        enter(p, *reader);
        r = file_create(&pipe_ops, NULL, LINUX_O_WRONLY | flags, writer);
        if (r == OK)
            enter(p, *writer);
        else
            file_unref(*reader);
    }
    pipe_unref(p);
    return r;
}

/* The pipe of a name, made when there is none; a reference. */
static struct pipe *pipe_of_name(struct node *node)
{
    struct pipe *p = NULL;

    mutex_lock(&names_lock);
    list_for_each (it, &names) {
        if (list_entry(it, struct pipe, link)->node == node) {
            p = list_entry(it, struct pipe, link);
            pipe_hold(p);
            break;
        }
    }
    if (!p && (p = pipe_make())) {
        p->node = node;
        list_push_back(&names, &p->link);
    }
    mutex_unlock(&names_lock);
    return p;
}

/* Waits for the first of the other side; one that has come and gone meanwhile counts. */
static int wait_other(struct pipe *p, struct file *f, unsigned before_readers,
                      unsigned before_writers)
{
    bool reads = file_readable(f);

    if (reads && file_writable(f))
        return OK;
    if (f->flags & LINUX_O_NONBLOCK)
        return reads || any(&p->readers) ? OK : LINUX_ERRNO(ENXIO);
    if (reads)
        return WAIT_UNTIL(&p->readable, any(&p->writers) || p->writers_ever != before_writers,
                          TIME_NEVER, WAIT_INTERRUPTIBLE);
    return WAIT_UNTIL(&p->writable, any(&p->readers) || p->readers_ever != before_readers,
                      TIME_NEVER, WAIT_INTERRUPTIBLE);
}

int pipe_open_name(struct node *node, struct file *f)
{
    struct pipe *p = pipe_of_name(node);
    unsigned readers, writers;
    int r;

    if (!p)
        return ERR_NO_MEMORY;
    readers = p->readers_ever;
    writers = p->writers_ever;
    if ((f->flags & LINUX_O_NONBLOCK) && !file_readable(f) && !any(&p->readers)) {
        pipe_unref(p);
        return LINUX_ERRNO(ENXIO);
    }
    enter(p, f);
    poll_notify(&p->source, ~0u);
    r = wait_other(p, f, readers, writers);
    if (r != OK)
        pipe_close(f);
    pipe_unref(p);
    return r;
}
