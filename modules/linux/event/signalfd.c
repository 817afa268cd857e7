/*
 * signalfd.c: signals that are read from a file. They belong to whoever reads, as on Linux.
 *
 * A signal does not know who polls for it: every signal sent makes the pollers of all signalfds
 * look again. There are few, and mostly none.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/event.h"
#include "modules/linux/event/event.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

struct signalfd {
    uint64_t mask; /* changed by whole-word stores */
    struct list link;
    struct linux_poll_source source;
};

static struct spinlock all_lock = SPINLOCK_INIT; /* taken with interrupts off */
static struct list all = LIST_INIT(all);         /* guarded by all_lock */

void signalfd_notify(void)
{
    uint64_t flags;

    if (list_empty(&all))
        return;
    flags = spin_lock_irqsave(&all_lock);
    list_for_each (it, &all)
        poll_notify(&list_entry(it, struct signalfd, link)->source, LINUX_POLLIN);
    spin_unlock_irqrestore(&all_lock, flags);
}

static struct linux_signalfd_siginfo info_of(const struct linux_siginfo *s)
{
    struct linux_signalfd_siginfo info = {
        .signo = (uint32_t)s->signo,
        .error = s->error,
        .code = s->code,
        .pid = (uint32_t)s->sender.pid,
        .uid = s->sender.uid,
    };

    if (s->signo == LINUX_SIGCHLD) {
        info.status = s->child.status;
        info.user_time = (uint64_t)s->child.user_time;
        info.system_time = (uint64_t)s->child.system_time;
    } else if (s->code == LINUX_SI_QUEUE) {
        info.value = s->sender.value;
        info.value_int = (int32_t)s->sender.value;
    }
    return info;
}

/* One signal, waited for unless `now`. */
static long take(uint64_t mask, bool now, struct linux_siginfo *info)
{
    struct task *t = task_current();

    if (now)
        return signal_take(t, mask, info) ? OK : ERR_AGAIN;
    return signal_await(t, mask, TIME_NEVER, info) > 0 ? OK : ERR_INTERRUPTED;
}

static long signalfd_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    const struct signalfd *s = f->data;
    size_t done = 0;

    (void)offset;
    if (size < sizeof(struct linux_signalfd_siginfo))
        return ERR_INVALID;
    while (size - done >= sizeof(struct linux_signalfd_siginfo)) {
        struct linux_signalfd_siginfo out;
        struct linux_siginfo info;
        long r = take(s->mask, done > 0 || (f->flags & LINUX_O_NONBLOCK), &info);

        if (r != OK)
            return done > 0 ? (long)done : r;
        out = info_of(&info);
        if (user_write(at + done, &out, sizeof(out)) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        done += sizeof(out);
    }
    return (long)done;
}

static unsigned signalfd_poll(struct file *f, struct linux_poll_source **source)
{
    struct signalfd *s = f->data;
    const struct task *t = task_current();
    uint64_t set = __atomic_load_n(&t->pending.set, __ATOMIC_ACQUIRE) |
                   __atomic_load_n(&t->process->pending.set, __ATOMIC_ACQUIRE);

    *source = &s->source;
    return set & s->mask ? LINUX_POLLIN : 0u;
}

static void signalfd_close(struct file *f)
{
    struct signalfd *s = f->data;
    uint64_t flags = spin_lock_irqsave(&all_lock);

    list_remove(&s->link);
    spin_unlock_irqrestore(&all_lock, flags);
    kfree(s);
}

static const struct file_ops signalfd_ops = {.read = signalfd_read,
                                             .poll = signalfd_poll,
                                             .close = signalfd_close,
                                             .kind = "anon_inode:[signalfd]"};

static long create(struct task *t, uint64_t mask, uint32_t flags)
{
    struct signalfd *s = kzalloc(sizeof(*s));
    struct file *f;
    uint64_t lock_flags;
    int r;

    if (!s)
        return ERR_NO_MEMORY;
    s->mask = mask;
    linux_poll_source_init(&s->source);
    r = file_create(&signalfd_ops, s, LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), &f);
    if (r != OK) {
        kfree(s);
        return r;
    }
    lock_flags = spin_lock_irqsave(&all_lock);
    list_push_back(&all, &s->link);
    spin_unlock_irqrestore(&all_lock, lock_flags);
    return file_install(t, f, flags & LINUX_O_CLOEXEC);
}

static long change(struct task *t, int fd, uint64_t mask)
{
    struct file *f = fd_get(t->process->files, fd);
    long r = ERR_INVALID;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->ops == &signalfd_ops) {
        ((struct signalfd *)f->data)->mask = mask;
        signalfd_notify();
        r = fd;
    }
    file_unref(f);
    return r;
}

static long make_signalfd(struct call *c, uint32_t flags)
{
    uint64_t mask;

    if (c->arg[2] != sizeof(mask) || (flags & ~(uint32_t)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK)))
        return ERR_INVALID;
    if (user_read(&mask, c->arg[1], sizeof(mask)) != OK)
        return ERR_FAULT;
    mask &= ~(signal_bit(LINUX_SIGKILL) | signal_bit(LINUX_SIGSTOP));
    if ((int)c->arg[0] == -1)
        return create(c->task, mask, flags);
    return change(c->task, (int)c->arg[0], mask);
}

long sys_signalfd(struct call *c)
{
    return make_signalfd(c, 0);
}

long sys_signalfd4(struct call *c)
{
    return make_signalfd(c, (uint32_t)c->arg[3]);
}
