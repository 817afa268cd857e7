/*
 * timerfd.c: a timer that is a file. After an expiry the timer rests until somebody looks: then the
 * expiries of the meantime are counted and it is armed for the next. So a short interval that
 * nobody reads costs nothing.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/event.h"
#include "modules/linux/abi/process.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define INTERVAL_MAX (1ull << 62) /* sums with it do not overflow */

struct timerfd {
    struct timer timer;
    struct mutex set_lock; /* who arms and cancels the timer */
    struct spinlock lock;  /* taken with interrupts off */
    uint64_t due;          /* 0: not running; guarded by lock */
    uint64_t interval;     /* 0: once; guarded by lock */
    uint64_t ticks;        /* expiries not yet read; guarded by lock; looked at without */
    bool expired;          /* due has passed, and the timer is not armed; guarded by lock */
    bool wall;             /* the clock is the wall's */
    struct wait_queue readable;
    struct linux_poll_source source;
};

static uint64_t ticks_now(const struct timerfd *t)
{
    return __atomic_load_n(&t->ticks, __ATOMIC_RELAXED);
}

/* Interrupt context. */
static void timerfd_expired(struct timer *timer)
{
    struct timerfd *t = container_of(timer, struct timerfd, timer);
    uint64_t flags = spin_lock_irqsave(&t->lock);

    t->ticks++;
    t->expired = true;
    spin_unlock_irqrestore(&t->lock, flags);
    wait_wake_all(&t->readable);
    poll_notify(&t->source, LINUX_POLLIN);
}

/* After an expiry: counts those that were missed, and arms the timer for the next one. set_lock is
 * held. */
static void forward(struct timerfd *t)
{
    uint64_t flags = spin_lock_irqsave(&t->lock), now = time_now(), next = 0, missed;

    if (t->expired) {
        t->expired = false;
        if (t->interval != 0) {
            missed = now > t->due ? (now - t->due) / t->interval : 0;
            t->ticks += missed;
            next = t->due + (missed + 1) * t->interval;
        }
        t->due = next;
    }
    spin_unlock_irqrestore(&t->lock, flags);
    if (next != 0)
        timer_arm(&t->timer, next);
}

static uint64_t take_ticks(struct timerfd *t)
{
    uint64_t flags, n;

    mutex_lock(&t->set_lock);
    forward(t);
    flags = spin_lock_irqsave(&t->lock);
    n = t->ticks;
    t->ticks = 0;
    spin_unlock_irqrestore(&t->lock, flags);
    mutex_unlock(&t->set_lock);
    return n;
}

static long timerfd_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct timerfd *t = f->data;
    uint64_t n;
    int r;

    (void)offset;
    if (size < sizeof(n))
        return ERR_INVALID;
    while ((n = take_ticks(t)) == 0) {
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&t->readable, ticks_now(t) > 0, TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
    return user_write(at, &n, sizeof(n)) == OK ? (long)sizeof(n) : ERR_FAULT;
}

static unsigned timerfd_poll(struct file *f, struct linux_poll_source **source)
{
    struct timerfd *t = f->data;

    *source = &t->source;
    return ticks_now(t) > 0 ? LINUX_POLLIN : 0u;
}

static void timerfd_close(struct file *f)
{
    struct timerfd *t = f->data;

    timer_cancel(&t->timer);
    kfree(t);
}

static const struct file_ops timerfd_ops = {.read = timerfd_read,
                                            .poll = timerfd_poll,
                                            .close = timerfd_close,
                                            .kind = "anon_inode:[timerfd]"};

long sys_timerfd_create(struct call *c)
{
    int clock = (int)c->arg[0];
    uint32_t flags = (uint32_t)c->arg[1];
    struct timerfd *t;
    struct file *f;
    int r;

    if (flags & ~(uint32_t)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
        return ERR_INVALID;
    if (clock != LINUX_CLOCK_REALTIME && clock != LINUX_CLOCK_MONOTONIC &&
        clock != LINUX_CLOCK_BOOTTIME)
        return ERR_INVALID;
    t = kzalloc(sizeof(*t));
    if (!t)
        return ERR_NO_MEMORY;
    t->wall = clock == LINUX_CLOCK_REALTIME;
    timer_init(&t->timer, timerfd_expired);
    mutex_init(&t->set_lock);
    wait_queue_init(&t->readable);
    linux_poll_source_init(&t->source);
    r = file_create(&timerfd_ops, t, LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), &f);
    if (r != OK) {
        kfree(t);
        return r;
    }
    return file_install(c->task, f, flags & LINUX_O_CLOEXEC);
}

/* The timerfd of a descriptor; *out is a reference to its file. */
static int find(struct task *task, int fd, struct file **out)
{
    struct file *f = fd_get(task->process->files, fd);

    if (!f)
        return LINUX_ERRNO(EBADF);
    *out = f;
    if (f->ops == &timerfd_ops)
        return OK;
    file_unref(f);
    return ERR_INVALID;
}

/* What is left until the next expiry, and the interval, as of now. set_lock is held. */
static void look(struct timerfd *t, uint64_t *left, uint64_t *interval)
{
    uint64_t flags, now;

    forward(t);
    flags = spin_lock_irqsave(&t->lock);
    now = time_now();
    *left = t->due == 0 ? 0 : t->due > now ? t->due - now : 1;
    *interval = t->interval;
    spin_unlock_irqrestore(&t->lock, flags);
}

static int write_setting(vaddr_t at, uint64_t left, uint64_t interval)
{
    int r = clock_write_timespec(at, interval);

    return r == OK ? clock_write_timespec(at + sizeof(struct linux_timespec), left) : r;
}

static void set(struct timerfd *t, uint64_t due, uint64_t interval)
{
    uint64_t flags;

    timer_cancel(&t->timer);
    flags = spin_lock_irqsave(&t->lock);
    t->due = due;
    t->interval = due == 0 ? 0 : MIN(interval, INTERVAL_MAX);
    t->ticks = 0;
    t->expired = false;
    spin_unlock_irqrestore(&t->lock, flags);
    if (due != 0)
        timer_arm(&t->timer, due);
}

/* When a first expiry as the program gives it is due; 0: never. */
static uint64_t due_of(const struct timerfd *t, uint64_t value, bool absolute)
{
    uint64_t due;

    if (value == 0)
        return 0;
    if (!absolute)
        due = clock_due_in(value);
    else
        due = t->wall ? clock_due_at_wall(value) : value;
    return MAX(due, 1u);
}

long sys_timerfd_settime(struct call *c)
{
    uint64_t value, interval, old_left, old_interval;
    struct timerfd *t;
    struct file *f;
    int r;

    if (c->arg[1] & ~(uint64_t)(LINUX_TFD_TIMER_ABSTIME | LINUX_TFD_TIMER_CANCEL_ON_SET))
        return ERR_INVALID;
    r = clock_read_timespec(c->arg[2], &interval);
    if (r == OK)
        r = clock_read_timespec(c->arg[2] + sizeof(struct linux_timespec), &value);
    if (r == OK)
        r = find(c->task, (int)c->arg[0], &f);
    if (r != OK)
        return r;
    t = f->data;
    mutex_lock(&t->set_lock);
    look(t, &old_left, &old_interval);
    set(t, due_of(t, value, c->arg[1] & LINUX_TFD_TIMER_ABSTIME), interval);
    mutex_unlock(&t->set_lock);
    file_unref(f);
    return c->arg[3] != 0 ? write_setting(c->arg[3], old_left, old_interval) : OK;
}

long sys_timerfd_gettime(struct call *c)
{
    uint64_t left, interval;
    struct timerfd *t;
    struct file *f;
    int r = find(c->task, (int)c->arg[0], &f);

    if (r != OK)
        return r;
    t = f->data;
    mutex_lock(&t->set_lock);
    look(t, &left, &interval);
    mutex_unlock(&t->set_lock);
    file_unref(f);
    return write_setting(c->arg[1], left, interval);
}
