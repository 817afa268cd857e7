/*
 * eventfd.c: a counter that is a file.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/event.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    uint64_t count; /* guarded by lock; looked at without */
    bool semaphore;
    struct wait_queue readable, writable;
    struct linux_poll_source source;
};

static uint64_t count_now(const struct eventfd *e)
{
    return __atomic_load_n(&e->count, __ATOMIC_RELAXED);
}

/* Takes what one read() gets; 0: nothing is there. */
static uint64_t take(struct eventfd *e)
{
    uint64_t n;

    spin_lock(&e->lock);
    n = e->semaphore ? MIN(e->count, 1u) : e->count;
    e->count -= n;
    spin_unlock(&e->lock);
    return n;
}

static bool give(struct eventfd *e, uint64_t n)
{
    bool fits;

    spin_lock(&e->lock);
    fits = n <= COUNT_MAX - e->count;
    if (fits)
        e->count += n;
    spin_unlock(&e->lock);
    return fits;
}

static long eventfd_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct eventfd *e = f->data;
    uint64_t n;
    int r;

    (void)offset;
    if (size < sizeof(n))
        return ERR_INVALID;
    while ((n = take(e)) == 0) {
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&e->readable, count_now(e) > 0, TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
    wait_wake_all(&e->writable);
    poll_notify(&e->source, LINUX_POLLOUT);
    return bytes_out(at, &n, sizeof(n)) == OK ? (long)sizeof(n) : ERR_FAULT;
}

static long eventfd_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct eventfd *e = f->data;
    uint64_t n;
    int r;

    (void)offset;
    if (size < sizeof(n))
        return ERR_INVALID;
    if (bytes_in(&n, at, sizeof(n)) != OK)
        return ERR_FAULT;
    if (n == UINT64_MAX)
        return ERR_INVALID;
    while (!give(e, n)) {
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&e->writable, n <= COUNT_MAX - count_now(e), TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
    wait_wake_all(&e->readable);
    poll_notify(&e->source, LINUX_POLLIN);
    return sizeof(n);
}

static unsigned eventfd_poll(struct file *f, struct linux_poll_source **source)
{
    struct eventfd *e = f->data;
    uint64_t n = count_now(e);

    *source = &e->source;
    return (n > 0 ? LINUX_POLLIN : 0u) | (n < COUNT_MAX ? LINUX_POLLOUT : 0u);
}

static void eventfd_close(struct file *f)
{
    kfree(f->data);
}

static const struct file_ops eventfd_ops = {.read = eventfd_read,
                                            .write = eventfd_write,
                                            .poll = eventfd_poll,
                                            .close = eventfd_close,
                                            .kind = "anon_inode:[eventfd]"};

static long make_eventfd(struct task *t, uint32_t count, uint32_t flags)
{
    struct eventfd *e;
    struct file *f;
    int r;

    if (flags & ~(uint32_t)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK | LINUX_EFD_SEMAPHORE))
        return ERR_INVALID;
    e = kzalloc(sizeof(*e));
    if (!e)
        return ERR_NO_MEMORY;
    e->count = count;
    e->semaphore = flags & LINUX_EFD_SEMAPHORE;
    wait_queue_init(&e->readable);
    wait_queue_init(&e->writable);
    linux_poll_source_init(&e->source);
    r = file_create(&eventfd_ops, e, LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), &f);
    if (r != OK) {
        kfree(e);
        return r;
    }
    return file_install(t, f, flags & LINUX_O_CLOEXEC);
}

long sys_eventfd(struct call *c)
{
    return make_eventfd(c->task, (uint32_t)c->arg[0], 0);
}

long sys_eventfd2(struct call *c)
{
    return make_eventfd(c->task, (uint32_t)c->arg[0], (uint32_t)c->arg[1]);
}
