/*
 * pipe.c: pipes: a ring of bytes between files that read and files that write. One without a name has
 * two files; one with a name (a FIFO) is made when the first file opens it and goes with the last.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define PIPE_SIZE     65536u
#define PIPE_SIZE_MIN 4096u
#define PIPE_SIZE_MAX 1048576u
#define PIPE_ATOMIC   4096u /* PIPE_BUF: writes up to this are not mixed with others */

struct pipe {
    uint32_t refs; /* files, who is opening one, and nodes that stand for a pipe without a name */
    bool named;    /* a FIFO: opening waits for the other end */
    struct mutex lock;
    uint8_t *ring;                       /* guarded by lock */
    size_t size, head, count;            /* guarded by lock; size and count are looked at without */
    uint32_t readers, writers;           /* files of that end; guarded by lock, looked at without */
    uint32_t readers_ever, writers_ever; /* counts of those that were opened; likewise */
    struct wait_queue readable, writable;
    struct linux_poll_source source;
};

static void pipe_unref(struct pipe *p)
{
    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    kfree(p->ring);
    kfree(p);
}

static size_t pipe_count(const struct pipe *p)
{
    return __atomic_load_n(&p->count, __ATOMIC_RELAXED);
}

static size_t pipe_size(const struct pipe *p)
{
    return __atomic_load_n(&p->size, __ATOMIC_RELAXED);
}

/* One of the counts of files. */
static uint32_t ends(const uint32_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* Takes out up to size bytes; the lock is held. */
static long take_locked(struct pipe *p, vaddr_t at, size_t size)
{
    size_t done = 0;

    size = MIN(size, p->count);
    while (done < size) {
        size_t n = MIN(size - done, p->size - p->head);

        if (user_write(at + done, p->ring + p->head, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        p->head = (p->head + n) % p->size;
        p->count -= n;
        done += n;
    }
    return (long)done;
}

/* Puts in up to size bytes; the lock is held. */
static long put_locked(struct pipe *p, vaddr_t at, size_t size)
{
    size_t done = 0;

    size = MIN(size, p->size - p->count);
    while (done < size) {
        size_t tail = (p->head + p->count) % p->size;
        size_t n = MIN(size - done, p->size - tail);

        if (user_read(p->ring + tail, at + done, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        p->count += n;
        done += n;
    }
    return (long)done;
}

static void pipe_changed(struct pipe *p, struct wait_queue *who, unsigned events)
{
    wait_wake_all(who);
    poll_notify(&p->source, events);
}

static long pipe_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pipe *p = f->data;
    long r;

    (void)offset;
    if (size == 0)
        return 0;
    mutex_lock(&p->lock);
    while (p->count == 0) {
        bool ended = p->writers == 0;

        mutex_unlock(&p->lock);
        if (ended)
            return 0;
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->readable, pipe_count(p) > 0 || ends(&p->writers) == 0, TIME_NEVER,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
        mutex_lock(&p->lock);
    }
    r = take_locked(p, at, size);
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_changed(p, &p->writable, LINUX_POLLOUT);
    return r;
}

static long broken_pipe(void)
{
    struct task *t = task_current();
    struct linux_siginfo info = {.signo = LINUX_SIGPIPE, .code = LINUX_SI_USER};

    info.sender.pid = t->process->pid;
    signal_send_task(t, &info);
    return LINUX_ERRNO(EPIPE);
}

static size_t pipe_room(const struct pipe *p)
{
    return pipe_size(p) - pipe_count(p);
}

/* Writes what fits, once at least `want` bytes do. */
static long write_some(struct file *f, vaddr_t at, size_t size, size_t want)
{
    struct pipe *p = f->data;
    long r;

    mutex_lock(&p->lock);
    while (p->readers > 0 && pipe_room(p) < want) {
        mutex_unlock(&p->lock);
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->writable, pipe_room(p) >= want || ends(&p->readers) == 0, TIME_NEVER,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
        mutex_lock(&p->lock);
    }
    r = p->readers > 0 ? put_locked(p, at, size) : LINUX_ERRNO(EPIPE);
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_changed(p, &p->readable, LINUX_POLLIN);
    return r;
}

static long pipe_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    size_t done = 0;

    (void)offset;
    while (done < size) {
        size_t left = size - done;
        long r = write_some(f, at + done, left, size <= PIPE_ATOMIC ? size : 1);

        if (r == LINUX_ERRNO(EPIPE))
            broken_pipe();
        if (r < 0)
            return done > 0 ? (long)done : r;
        done += (size_t)r;
    }
    return (long)done;
}

static long pipe_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    int32_t count = (int32_t)pipe_count(f->data);

    if (command != LINUX_FIONREAD)
        return LINUX_ERRNO(ENOTTY);
    return user_write(argument, &count, sizeof(count));
}

/* A FIFO that was never written to has not ended. */
static unsigned reader_events(const struct pipe *p)
{
    return (pipe_count(p) > 0 ? LINUX_POLLIN : 0u) |
           (ends(&p->writers) == 0 && ends(&p->writers_ever) > 0 ? LINUX_POLLHUP : 0u);
}

static unsigned writer_events(const struct pipe *p)
{
    return (pipe_room(p) >= PIPE_ATOMIC ? LINUX_POLLOUT : 0u) |
           (ends(&p->readers) > 0 ? 0u : LINUX_POLLERR);
}

static unsigned pipe_poll(struct file *f, struct linux_poll_source **source)
{
    struct pipe *p = f->data;

    *source = &p->source;
    return (file_readable(f) ? reader_events(p) : 0u) | (file_writable(f) ? writer_events(p) : 0u);
}

/* The file is one more of its ends, or one less. */
static void count_ends(struct pipe *p, const struct file *f, int change)
{
    mutex_lock(&p->lock);
    if (file_readable(f)) {
        p->readers += (uint32_t)change;
        p->readers_ever += change > 0;
    }
    if (file_writable(f)) {
        p->writers += (uint32_t)change;
        p->writers_ever += change > 0;
    }
    mutex_unlock(&p->lock);
    wait_wake_all(&p->readable);
    wait_wake_all(&p->writable);
    poll_notify(&p->source, ~0u);
}

/* Ends a use of a FIFO's pipe, which is the node's while somebody uses it. */
static void fifo_put(struct node *node)
{
    struct pipe *p;

    mutex_lock(&node->lock);
    p = node->pipe;
    if (__atomic_load_n(&p->refs, __ATOMIC_RELAXED) == 1)
        node->pipe = NULL;
    pipe_unref(p);
    mutex_unlock(&node->lock);
}

static void pipe_close(struct file *f)
{
    count_ends(f->data, f, -1);
    if (f->node)
        fifo_put(f->node);
    else
        pipe_unref(f->data);
}

static const struct file_ops pipe_ops = {.read = pipe_read,
                                         .write = pipe_write,
                                         .ioctl = pipe_ioctl,
                                         .poll = pipe_poll,
                                         .close = pipe_close};

/* Without files yet; the reference is the caller's. */
static struct pipe *pipe_make(bool named)
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
    p->named = named;
    p->size = PIPE_SIZE;
    mutex_init(&p->lock);
    wait_queue_init(&p->readable);
    wait_queue_init(&p->writable);
    linux_poll_source_init(&p->source);
    return p;
}

int pipe_create(uint32_t flags, struct file **reader, struct file **writer)
{
    struct pipe *p = pipe_make(false);
    int r;

    if (!p)
        return ERR_NO_MEMORY;
    r = file_create(&pipe_ops, p, LINUX_O_RDONLY | flags, reader);
    if (r != OK) {
        pipe_unref(p);
        return r;
    }
    p->readers = p->readers_ever = 1;
    r = file_create(&pipe_ops, p, LINUX_O_WRONLY | flags, writer);
    if (r != OK) {
        file_unref(*reader);
        return r;
    }
    p->refs = 2;
    p->writers = p->writers_ever = 1;
    return OK;
}

long pipe_get_size(const struct file *f)
{
    return f->ops == &pipe_ops ? (long)pipe_size(f->data) : LINUX_ERRNO(EBADF);
}

/* Gives the pipe another ring; the lock is held. */
static int resize_locked(struct pipe *p, size_t size)
{
    size_t first = MIN(p->count, p->size - p->head);
    uint8_t *ring;

    if (p->count > size)
        return ERR_BUSY;
    ring = kmalloc(size);
    if (!ring)
        return ERR_NO_MEMORY;
    memcpy(ring, p->ring + p->head, first);
    memcpy(ring + first, p->ring, p->count - first);
    kfree(p->ring);
    p->ring = ring;
    p->head = 0;
    __atomic_store_n(&p->size, size, __ATOMIC_RELAXED);
    return OK;
}

long pipe_set_size(struct file *f, uint64_t wanted)
{
    struct pipe *p = f->data;
    size_t size = PIPE_SIZE_MIN;
    int r;

    if (f->ops != &pipe_ops)
        return LINUX_ERRNO(EBADF);
    if ((uint32_t)wanted > PIPE_SIZE_MAX)
        return (int32_t)wanted < 0 ? ERR_INVALID : LINUX_ERRNO(EPERM);
    while (size < (uint32_t)wanted)
        size *= 2;
    mutex_lock(&p->lock);
    r = resize_locked(p, size);
    mutex_unlock(&p->lock);
    pipe_changed(p, &p->writable, LINUX_POLLOUT);
    return r == OK ? (long)size : r;
}

/* ---- Pipes with a name */

/* The node's pipe, made if need be, with a reference; NULL: no memory. */
static struct pipe *fifo_get(struct node *node)
{
    struct pipe *p;

    mutex_lock(&node->lock);
    p = node->pipe;
    if (p)
        __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    else
        p = node->pipe = pipe_make(true);
    mutex_unlock(&node->lock);
    return p;
}

/* Waits until the other end is there, or was: a writer that came and went lets a reader go on. */
static int wait_for_end(struct wait_queue *queue, const uint32_t *now, const uint32_t *ever)
{
    uint32_t before = ends(ever);

    if (ends(now) > 0)
        return OK;
    return WAIT_UNTIL(queue, ends(ever) != before, TIME_NEVER, WAIT_INTERRUPTIBLE);
}

static int wait_for_other_end(const struct file *f, struct pipe *p)
{
    if (!p->named || (f->flags & LINUX_O_ACCMODE) == LINUX_O_RDWR ||
        (f->flags & LINUX_O_NONBLOCK))
        return OK;
    return file_writable(f) ? wait_for_end(&p->writable, &p->readers, &p->readers_ever)
                            : wait_for_end(&p->readable, &p->writers, &p->writers_ever);
}

int fifo_open(struct node *node, struct file *f)
{
    struct pipe *p = fifo_get(node);
    int r;

    if (!p)
        return ERR_NO_MEMORY;
    if (p->named && ends(&p->readers) == 0 &&
        (f->flags & (LINUX_O_ACCMODE | LINUX_O_NONBLOCK)) == (LINUX_O_WRONLY | LINUX_O_NONBLOCK)) {
        fifo_put(node);
        return LINUX_ERRNO(ENXIO);
    }
    count_ends(p, f, 1);
    r = wait_for_other_end(f, p);
    if (r != OK) {
        count_ends(p, f, -1);
        fifo_put(node);
        return r;
    }
    f->ops = &pipe_ops;
    f->data = p;
    return OK;
}

static void pipe_node_release(struct node *n)
{
    pipe_unref(n->pipe);
}

static const struct node_ops pipe_node_ops = {.release = pipe_node_release};

int pipe_node(struct file *f, struct node *parent, struct node **out)
{
    struct pipe *p = f->data;
    int r;

    if (f->ops != &pipe_ops)
        return LINUX_ERRNO(ENXIO);
    r = node_create(parent, "pipe", LINUX_S_IFIFO | 0600, parent->fs, &pipe_node_ops, NULL, out);
    if (r != OK)
        return r;
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    (*out)->pipe = p; /* for as long as the node is there */
    return OK;
}
