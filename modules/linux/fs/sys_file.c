/*
 * sys_file.c: calls that close, duplicate and steer descriptors.
 */
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/lock.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/fs/seal.h"
#include "modules/linux/fs/pipe.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"

static uint64_t descriptor_limit(const struct task *t)
{
    return t->process->limits[LINUX_RLIMIT_NOFILE].current;
}

long file_install(struct task *t, struct file *f, bool close_on_exec)
{
    long fd = fd_install(t->process->files, f, close_on_exec, 0, descriptor_limit(t));

    if (fd < 0)
        file_unref(f);
    return fd;
}

long sys_close(struct call *c)
{
    struct file *f = fd_take(c->task->process->files, (int)c->arg[0]);

    if (!f)
        return LINUX_ERRNO(EBADF);
    file_unref(f);
    return 0;
}

long sys_close_range(struct call *c)
{
    struct fd_table *files = c->task->process->files;
    uint32_t first = (uint32_t)c->arg[0], last = (uint32_t)c->arg[1];

    if (first > last ||
        (c->arg[2] & ~(uint64_t)(LINUX_CLOSE_RANGE_UNSHARE | LINUX_CLOSE_RANGE_CLOEXEC)))
        return ERR_INVALID;
    if (c->arg[2] & LINUX_CLOSE_RANGE_UNSHARE) {
        int r = process_is_alone(c->task->process) ? process_own_files(c->task->process)
                                                   : ERR_INVALID;

        if (r != OK)
            return r;
        files = c->task->process->files;
    }
    for (int fd = first > INT32_MAX ? -1 : fd_next(files, (int)first);
         fd >= 0 && (uint32_t)fd <= last; fd = fd_next(files, fd + 1)) {
        struct file *f = NULL;

        if (c->arg[2] & LINUX_CLOSE_RANGE_CLOEXEC)
            fd_flag_set(files, fd, true);
        else
            f = fd_take(files, fd);
        if (f)
            file_unref(f);
    }
    return 0;
}

static long duplicate(struct task *t, int fd, bool close_on_exec, int from)
{
    struct file *f = fd_get(t->process->files, fd);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = fd_install(t->process->files, f, close_on_exec, from, descriptor_limit(t));
    if (r < 0)
        file_unref(f);
    return r;
}

long sys_dup(struct call *c)
{
    return duplicate(c->task, (int)c->arg[0], false, 0);
}

static long duplicate_to(struct task *t, int from, int to, bool close_on_exec)
{
    struct file *f = fd_get(t->process->files, from);
    int r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = fd_replace(t->process->files, to, f, close_on_exec, descriptor_limit(t));
    if (r != OK)
        file_unref(f);
    return r == OK ? to : r;
}

long sys_dup2(struct call *c)
{
    int from = (int)c->arg[0], to = (int)c->arg[1];
    long flag = fd_flag_get(c->task->process->files, from);

    if (from == to)
        return flag < 0 ? flag : to;
    return duplicate_to(c->task, from, to, false);
}

long sys_dup3(struct call *c)
{
    if ((c->arg[2] & ~(uint64_t)LINUX_O_CLOEXEC) || (int)c->arg[0] == (int)c->arg[1])
        return ERR_INVALID;
    return duplicate_to(c->task, (int)c->arg[0], (int)c->arg[1], c->arg[2] & LINUX_O_CLOEXEC);
}

static long set_status_flags(struct file *f, uint32_t flags)
{
    uint32_t changeable = LINUX_O_APPEND | LINUX_O_NONBLOCK | LINUX_O_DIRECT | LINUX_O_NOATIME;

    f->flags = (f->flags & ~changeable) | (flags & changeable);
    return 0;
}

long sys_fcntl(struct call *c)
{
    struct fd_table *files = c->task->process->files;
    int fd = (int)c->arg[0], command = (int)c->arg[1];
    struct file *f = fd_get(files, fd);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    switch (command) {
    case LINUX_F_DUPFD:
    case LINUX_F_DUPFD_CLOEXEC:
        if (c->arg[2] >= descriptor_limit(c->task))
            r = ERR_INVALID;
        else
            r = duplicate(c->task, fd, command == LINUX_F_DUPFD_CLOEXEC, (int)c->arg[2]);
        break;
    case LINUX_F_GETFD:
        r = fd_flag_get(files, fd);
        break;
    case LINUX_F_SETFD:
        r = fd_flag_set(files, fd, c->arg[2] & LINUX_FD_CLOEXEC);
        break;
    case LINUX_F_GETFL:
        r = f->flags;
        break;
    case LINUX_F_SETFL:
        r = set_status_flags(f, (uint32_t)c->arg[2]);
        break;
    case LINUX_F_GETLK:
    case LINUX_F_SETLK:
    case LINUX_F_SETLKW:
    case LINUX_F_OFD_GETLK:
    case LINUX_F_OFD_SETLK:
    case LINUX_F_OFD_SETLKW:
        r = lock_fcntl(c->task, f, command, c->arg[2]);
        break;
    case LINUX_F_GETPIPE_SZ:
    case LINUX_F_SETPIPE_SZ:
        if (!pipe_of_file(f))
            r = LINUX_ERRNO(EBADF);
        else
            r = command == LINUX_F_GETPIPE_SZ ? pipe_size(f->data)
                                              : pipe_set_size(f->data, (uint32_t)c->arg[2]);
        break;
    case LINUX_F_ADD_SEALS:
    case LINUX_F_GET_SEALS:
        r = seal_fcntl(f, command, c->arg[2]);
        break;
    default:
        r = ERR_INVALID;
    }
    file_unref(f);
    return r;
}

long sys_ioctl(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    unsigned command = (unsigned)c->arg[1];
    long r = LINUX_ERRNO(ENOTTY);
    int32_t on;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->flags & LINUX_O_PATH)
        r = LINUX_ERRNO(EBADF);
    else if (command == LINUX_FIONBIO) {
        r = user_read(&on, c->arg[2], sizeof(on));
        if (r == OK)
            f->flags = (f->flags & ~(uint32_t)LINUX_O_NONBLOCK) | (on ? LINUX_O_NONBLOCK : 0u);
    } else if (f->ops->ioctl) {
        r = f->ops->ioctl(f, command, c->arg[2]);
    }
    file_unref(f);
    return r;
}

static long make_pipe(struct task *t, vaddr_t at, uint32_t flags)
{
    struct file *reader, *writer;
    int32_t fds[2];
    long fd;
    int r;

    if (flags & ~(uint32_t)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK | LINUX_O_DIRECT))
        return ERR_INVALID;
    r = pipe_create(flags & (LINUX_O_NONBLOCK | LINUX_O_DIRECT), &reader, &writer);
    if (r != OK)
        return r;
    fd = file_install(t, reader, flags & LINUX_O_CLOEXEC);
    if (fd < 0) {
        file_unref(writer);
        return fd;
    }
    fds[0] = (int32_t)fd;
    fd = file_install(t, writer, flags & LINUX_O_CLOEXEC);
    fds[1] = (int32_t)fd;
    if (fd >= 0 && user_write(at, fds, sizeof(fds)) == OK)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct file *f = fds[i] >= 0 ? fd_take(t->process->files, fds[i]) : NULL;

        if (f)
            file_unref(f);
    }
    return fd < 0 ? fd : ERR_FAULT;
}

long sys_pipe(struct call *c)
{
    return make_pipe(c->task, c->arg[0], 0);
}

long sys_pipe2(struct call *c)
{
    return make_pipe(c->task, c->arg[0], (uint32_t)c->arg[1]);
}
