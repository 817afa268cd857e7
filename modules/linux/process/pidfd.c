/*
 * pidfd.c: processes as files: to wait for, poll and signal without the danger that the number is
 * another's by then. See pidfd.h.
 */
#include "modules/linux/process/pidfd.h"

#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static unsigned pidfd_poll(struct file *f, struct linux_poll_source **source)
{
    struct process *p = f->data;

    *source = &p->end_source;
    return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_ALIVE ? 0u : LINUX_POLLIN;
}

static void pidfd_close(struct file *f)
{
    process_unref(f->data);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll, .close = pidfd_close, .kind = "anon_inode:[pidfd]"};

int pidfd_create(struct process *p, uint32_t flags, struct file **out)
{
    int r = file_create(&pidfd_ops, p, LINUX_O_RDWR | flags, out);

    if (r == OK)
        process_ref(p);
    return r;
}

int pidfd_get(struct task *t, int fd, struct process **out, uint32_t *flags)
{
    struct file *f = fd_get(t->process->files, fd);
    int r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->ops == &pidfd_ops) {
        *out = f->data;
        process_ref(*out);
        *flags = f->flags;
    } else {
        r = LINUX_ERRNO(EBADF);
    }
    file_unref(f);
    return r;
}

long sys_pidfd_open(struct call *c)
{
    int pid = (int)c->arg[0];
    struct process *p;
    struct task *t;
    struct file *f;
    int r;

    if (pid <= 0 || (c->arg[1] & ~(uint64_t)LINUX_O_NONBLOCK))
        return ERR_INVALID;
    p = process_find(pid);
    if (!p) {
        t = task_find(pid); /* a thread that is not its process's first */
        if (t)
            task_unref(t);
        return t ? ERR_INVALID : LINUX_ERRNO(ESRCH);
    }
    r = pidfd_create(p, (uint32_t)c->arg[1], &f);
    process_unref(p);
    return r == OK ? file_install(c->task, f, true) : r;
}

/* What is sent: as kill() says it, or as the caller wants it. */
static int read_info(struct call *c, const struct process *to, struct linux_siginfo *info)
{
    struct process *self = c->task->process;
    int signal = (int)c->arg[1];

    *info = (struct linux_siginfo){.signo = signal, .code = LINUX_SI_USER};
    info->sender.pid = self->pid;
    info->sender.uid = self->credentials.user.real;
    if (c->arg[2] == 0)
        return OK;
    if (user_read(info, c->arg[2], sizeof(*info)) != OK)
        return ERR_FAULT;
    if (info->signo != signal)
        return ERR_INVALID;
    return (info->code >= 0 || info->code == LINUX_SI_TKILL) && to != self ? LINUX_ERRNO(EPERM)
                                                                           : OK;
}

static long send(struct call *c, struct process *p)
{
    int signal = (int)c->arg[1];
    struct linux_siginfo info;
    int r = read_info(c, p, &info);

    if (r != OK)
        return r;
    if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_REAPED)
        return LINUX_ERRNO(ESRCH);
    if (!credentials_may_signal(c->task->process, p, signal))
        return LINUX_ERRNO(EPERM);
    if (signal != 0)
        signal_send_process(p, &info);
    return 0;
}

/* A descriptor of /proc/PID stands for a process too, but only where a signal is sent. */
static int get_addressee(struct task *t, int fd, struct process **out)
{
    uint32_t flags;
    int r = pidfd_get(t, fd, out, &flags);
    struct file *f = r == OK ? NULL : fd_get(t->process->files, fd);

    if (!f)
        return r;
    *out = f->node && !(f->flags & LINUX_O_PATH) ? proc_process_of(f->node) : NULL;
    file_unref(f);
    return *out ? OK : r;
}

long sys_pidfd_send_signal(struct call *c)
{
    int signal = (int)c->arg[1];
    struct process *p;
    long r;

    if (c->arg[3] != 0)
        return ERR_INVALID;
    r = get_addressee(c->task, (int)c->arg[0], &p);
    if (r != OK)
        return r;
    r = signal != 0 && !signal_valid(signal) ? ERR_INVALID : send(c, p);
    process_unref(p);
    return r;
}

/* One of another process's files, for those who may look into it. */
static long take_file(struct call *c, struct process *p)
{
    struct fd_table *files;
    struct file *f;

    if (!credentials_same_user(c->task->process, p))
        return LINUX_ERRNO(EPERM);
    files = process_files(p);
    if (!files)
        return LINUX_ERRNO(ESRCH);
    f = fd_get(files, (int)c->arg[1]);
    fd_table_unref(files);
    return f ? file_install(c->task, f, true) : LINUX_ERRNO(EBADF);
}

long sys_pidfd_getfd(struct call *c)
{
    struct process *p;
    uint32_t flags;
    long r;

    if (c->arg[2] != 0)
        return ERR_INVALID;
    r = pidfd_get(c->task, (int)c->arg[0], &p, &flags);
    if (r != OK)
        return r;
    r = take_file(c, p);
    process_unref(p);
    return r;
}
