/*
 * pipe.c: pipes: a ring of bytes between a reading and a writing file.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define PIPE_SIZE   65536u
#define PIPE_ATOMIC 4096u /* PIPE_BUF: writes up to this are not mixed with others */

struct pipe {
    uint32_t refs; /* the two files */
    struct mutex lock;
    uint8_t *ring;
    size_t head, count;  /* guarded by lock; count is looked at without */
    bool reader, writer; /* that end is open; guarded by lock */
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

static bool end_open(const bool *end)
{
    return __atomic_load_n(end, __ATOMIC_RELAXED);
}

/* Takes out up to size bytes; the lock is held. */
static long take_locked(struct pipe *p, vaddr_t at, size_t size)
{
    size_t done = 0;

    size = MIN(size, p->count);
    while (done < size) {
        size_t n = MIN(size - done, PIPE_SIZE - p->head);

        if (user_write(at + done, p->ring + p->head, n) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        p->head = (p->head + n) % PIPE_SIZE;
        p->count -= n;
        done += n;
    }
    return (long)done;
}

/* Puts in up to size bytes; the lock is held. */
static long put_locked(struct pipe *p, vaddr_t at, size_t size)
{
    size_t done = 0;

    size = MIN(size, PIPE_SIZE - p->count);
    while (done < size) {
        size_t tail = (p->head + p->count) % PIPE_SIZE;
        size_t n = MIN(size - done, PIPE_SIZE - tail);

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
        bool ended = !p->writer;

        mutex_unlock(&p->lock);
        if (ended)
            return 0;
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->readable, pipe_count(p) > 0 || !end_open(&p->writer), TIME_NEVER,
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
    return PIPE_SIZE - pipe_count(p);
}

/* Writes what fits, once at least `want` bytes do. */
static long write_some(struct file *f, vaddr_t at, size_t size, size_t want)
{
    struct pipe *p = f->data;
    long r;

    mutex_lock(&p->lock);
    while (p->reader && pipe_room(p) < want) {
        mutex_unlock(&p->lock);
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->writable, pipe_room(p) >= want || !end_open(&p->reader), TIME_NEVER,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
        mutex_lock(&p->lock);
    }
    r = p->reader ? put_locked(p, at, size) : LINUX_ERRNO(EPIPE);
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

static unsigned reader_poll(struct file *f, struct linux_poll_source **source)
{
    struct pipe *p = f->data;

    *source = &p->source;
    return (pipe_count(p) > 0 ? LINUX_POLLIN : 0u) | (end_open(&p->writer) ? 0u : LINUX_POLLHUP);
}

static unsigned writer_poll(struct file *f, struct linux_poll_source **source)
{
    struct pipe *p = f->data;

    *source = &p->source;
    return (pipe_room(p) >= PIPE_ATOMIC ? LINUX_POLLOUT : 0u) |
           (end_open(&p->reader) ? 0u : LINUX_POLLERR);
}

static void close_end(struct pipe *p, bool *end, struct wait_queue *other)
{
    mutex_lock(&p->lock);
    *end = false;
    mutex_unlock(&p->lock);
    pipe_changed(p, other, ~0u);
    pipe_unref(p);
}

static void reader_close(struct file *f)
{
    struct pipe *p = f->data;

    close_end(p, &p->reader, &p->writable);
}

static void writer_close(struct file *f)
{
    struct pipe *p = f->data;

    close_end(p, &p->writer, &p->readable);
}

static const struct file_ops reader_ops = {
    .read = pipe_read, .ioctl = pipe_ioctl, .poll = reader_poll, .close = reader_close};
static const struct file_ops writer_ops = {
    .write = pipe_write, .ioctl = pipe_ioctl, .poll = writer_poll, .close = writer_close};

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
    p->refs = 2;
    p->reader = p->writer = true;
    mutex_init(&p->lock);
    wait_queue_init(&p->readable);
    wait_queue_init(&p->writable);
    linux_poll_source_init(&p->source);
    return p;
}

int pipe_create(uint32_t flags, struct file **reader, struct file **writer)
{
    struct pipe *p = pipe_make();
    int r;

    if (!p)
        return ERR_NO_MEMORY;
    r = file_create(&reader_ops, p, LINUX_O_RDONLY | flags, reader);
    if (r != OK) {
        pipe_unref(p);
        pipe_unref(p);
        return r;
    }
    r = file_create(&writer_ops, p, LINUX_O_WRONLY | flags, writer);
    if (r != OK) {
        file_unref(*reader);
        pipe_unref(p);
    }
    return r;
}
