/*
 * sys_attr.c: owners and time stamps of names, files without a name in the tree, and putting things
 * on the disk that is not there.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

#define MFD_CLOEXEC       1u
#define MFD_ALLOW_SEALING 2u
#define MFD_NOEXEC_SEAL   8u
#define MFD_EXEC          16u
#define MFD_NAME_MAX      249u

static int find_node(struct call *c, int folder, vaddr_t path, unsigned flags, struct node **out)
{
    struct path_arg arg;
    int r = path_arg_get(c->task, folder, path, flags & LINUX_AT_EMPTY_PATH, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags & LINUX_AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, out);
    path_arg_put(&arg);
    return r;
}

/* All belongs to root and its group, and can't be given to others. */
static long change_owner(const struct node *n, uint64_t user, uint64_t group)
{
    if (n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    return ((uint32_t)user + 1 <= 1 && (uint32_t)group + 1 <= 1) ? OK : LINUX_ERRNO(EPERM);
}

static long change_owner_at(struct call *c, int folder, vaddr_t path, const uint64_t owner[2],
                            unsigned flags)
{
    struct node *n;
    long r = find_node(c, folder, path, flags, &n);

    if (r != OK)
        return r;
    r = change_owner(n, owner[0], owner[1]);
    node_unref(n);
    return r;
}

long sys_chown(struct call *c)
{
    return change_owner_at(c, LINUX_AT_FDCWD, c->arg[0], &c->arg[1], 0);
}

long sys_lchown(struct call *c)
{
    return change_owner_at(c, LINUX_AT_FDCWD, c->arg[0], &c->arg[1], LINUX_AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct call *c)
{
    if (c->arg[4] & ~(uint64_t)(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    return change_owner_at(c, (int)c->arg[0], c->arg[1], &c->arg[2], (unsigned)c->arg[4]);
}

long sys_fchown(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = f->node ? change_owner(f->node, c->arg[1], c->arg[2]) : OK;
    file_unref(f);
    return r;
}

/* The time of the content's change out of the two that a program gives. *set: it is to change. */
static int read_time(vaddr_t at, uint64_t *ns, bool *set)
{
    struct linux_timespec times[2];

    *set = true;
    *ns = clock_wall();
    if (at == 0)
        return OK;
    if (user_read(times, at, sizeof(times)) != OK)
        return ERR_FAULT;
    for (int i = 0; i < 2; i++) {
        if (times[i].nsec != UTIME_NOW && times[i].nsec != UTIME_OMIT &&
            (times[i].nsec < 0 || times[i].nsec >= (int64_t)NS_PER_SEC))
            return ERR_INVALID;
    }
    *set = times[1].nsec != UTIME_OMIT;
    if (*set && times[1].nsec != UTIME_NOW)
        *ns = (uint64_t)times[1].sec * NS_PER_SEC + (uint64_t)times[1].nsec;
    return OK;
}

/* Counted from the machine's start, like all changes; an earlier time wraps, and wraps back. */
static long set_time(struct node *n, uint64_t ns, bool set)
{
    if (n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (set)
        n->changed = ns - time_wall_offset();
    return OK;
}

static long set_time_of_fd(struct call *c, uint64_t ns, bool set)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = f->node ? set_time(f->node, ns, set) : OK;
    file_unref(f);
    return r;
}

long sys_utimensat(struct call *c)
{
    struct node *n;
    uint64_t ns;
    bool set;
    long r;

    if (c->arg[3] & ~(uint64_t)(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    r = read_time(c->arg[2], &ns, &set);
    if (r != OK)
        return r;
    if (c->arg[1] == 0)
        return set_time_of_fd(c, ns, set);
    r = find_node(c, (int)c->arg[0], c->arg[1], (unsigned)c->arg[3], &n);
    if (r != OK)
        return r;
    r = set_time(n, ns, set);
    node_unref(n);
    return r;
}

/* A file of the kind that /tmp has, which no folder lists. */
long sys_memfd_create(struct call *c)
{
    const unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    char name[6 + MFD_NAME_MAX + 1] = "memfd:";
    struct node *node;
    struct file *f;
    long r;

    if (c->arg[1] & ~(uint64_t)known)
        return ERR_INVALID;
    r = user_read_string(name + 6, c->arg[0], MFD_NAME_MAX + 1);
    if (r < 0)
        return r == ERR_RANGE ? ERR_INVALID : r;
    r = tmpfs_make_nameless(name, &node);
    if (r != OK)
        return r;
    r = file_open(node, LINUX_O_RDWR | LINUX_O_LARGEFILE, &f);
    node_unref(node);
    return r == OK ? file_install(c->task, f, c->arg[1] & MFD_CLOEXEC) : r;
}

/* What is written is where it will stay. */
long sys_sync(struct call *c)
{
    (void)c;
    return 0;
}

long sys_syncfs(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);

    if (!f)
        return LINUX_ERRNO(EBADF);
    file_unref(f);
    return 0;
}

/* The size grows; what lies between is filled when it is written. */
long sys_fallocate(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    int64_t from = (int64_t)c->arg[2], size = (int64_t)c->arg[3], end;
    long r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (from < 0 || size <= 0)
        r = ERR_INVALID;
    else if (c->arg[1] & ~1ull) /* 1: FALLOC_FL_KEEP_SIZE */
        r = LINUX_ERRNO(EOPNOTSUPP);
    else if (!file_writable(f))
        r = LINUX_ERRNO(EBADF);
    else if (!f->node)
        r = LINUX_ERRNO(ESPIPE);
    else if (!node_is_file(f->node) || !f->node->ops->resize)
        r = LINUX_ERRNO(ENODEV);
    else if (__builtin_add_overflow(from, size, &end))
        r = LINUX_ERRNO(EFBIG);
    else if (!(c->arg[1] & 1) && (uint64_t)end > node_size(f->node))
        r = f->node->ops->resize(f->node, (uint64_t)end);
    file_unref(f);
    return r;
}
