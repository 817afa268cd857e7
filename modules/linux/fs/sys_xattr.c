/*
 * sys_xattr.c: setxattr, getxattr, listxattr, removexattr, of paths, links and descriptors.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/fs/xattr.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static int find_path(struct call *c, unsigned flags, struct node **out)
{
    struct path_arg arg;
    int r = path_arg_get(c->task, LINUX_AT_FDCWD, c->arg[0], false, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags, out);
    path_arg_put(&arg);
    return r;
}

/* Files without a node have none. */
static int find_open(struct call *c, struct node **out)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    int r = OK;

    if (!f || (f->flags & LINUX_O_PATH))
        r = LINUX_ERRNO(EBADF);
    else if (!f->node)
        r = ERR_UNSUPPORTED;
    if (r == OK) {
        *out = node_body(f->node);
        node_ref(*out);
    }
    if (f)
        file_unref(f);
    return r;
}

static int read_name(vaddr_t at, char *name)
{
    long n = user_read_string(name, at, XATTR_NAME_MAX + 1);

    return n == 0 || n == ERR_RANGE ? ERR_RANGE : n < 0 ? (int)n : OK;
}

/* May attributes of this name be changed, or (else) be read? */
static int check_name(const struct node *n, const char *name, bool change)
{
    if (!n->fs->xattrs)
        return ERR_UNSUPPORTED;
    if (change && n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (strncmp(name, "trusted.", 8) == 0)
        return capable(CAP_SYS_ADMIN) ? OK : change ? LINUX_ERRNO(EPERM) : LINUX_ERRNO(ENODATA);
    if (strncmp(name, "security.", 9) == 0)
        return !change || capable(CAP_SYS_ADMIN) ? OK : LINUX_ERRNO(EPERM);
    if (strncmp(name, "user.", 5) != 0)
        return ERR_UNSUPPORTED;
    if (!node_is_file(n) && !node_is_folder(n))
        return change ? LINUX_ERRNO(EPERM) : LINUX_ERRNO(ENODATA);
    return permission_check(n, change ? PERMIT_WRITE : PERMIT_READ);
}

static long set(struct call *c, struct node *n)
{
    char name[XATTR_NAME_MAX + 1];
    size_t size = c->arg[3];
    void *value;
    long r;

    if (c->arg[4] & ~(uint64_t)(XATTR_CREATE | XATTR_REPLACE))
        return ERR_INVALID;
    r = read_name(c->arg[1], name);
    if (r != OK)
        return r;
    if (size > XATTR_SIZE_MAX)
        return LINUX_ERRNO(E2BIG);
    value = kmalloc(size + 1);
    if (!value)
        return ERR_NO_MEMORY;
    r = size == 0 ? OK : user_read(value, c->arg[2], size);
    if (r == OK)
        r = check_name(n, name, true);
    if (r == OK)
        r = xattr_set(n, name, value, size, (unsigned)c->arg[4]);
    kfree(value);
    return r;
}

static long get(struct call *c, struct node *n)
{
    size_t room = MIN(c->arg[3], (uint64_t)XATTR_SIZE_MAX);
    char name[XATTR_NAME_MAX + 1];
    void *value;
    long r = read_name(c->arg[1], name);

    if (r == OK)
        r = check_name(n, name, false);
    if (r != OK)
        return r;
    value = kmalloc(room + 1);
    if (!value)
        return ERR_NO_MEMORY;
    r = xattr_get(n, name, value, room);
    if (r > 0 && room > 0 && user_write(c->arg[2], value, (size_t)r) != OK)
        r = ERR_FAULT;
    kfree(value);
    return r;
}

static long list(struct call *c, struct node *n)
{
    size_t room = MIN(c->arg[2], (uint64_t)XATTR_SIZE_MAX);
    char *names;
    long r;

    if (!n->fs->xattrs)
        return 0;
    names = kmalloc(room + 1);
    if (!names)
        return ERR_NO_MEMORY;
    r = xattr_list(n, capable(CAP_SYS_ADMIN), names, room);
    if (r > 0 && room > 0 && user_write(c->arg[1], names, (size_t)r) != OK)
        r = ERR_FAULT;
    kfree(names);
    return r;
}

static long drop(struct call *c, struct node *n)
{
    char name[XATTR_NAME_MAX + 1];
    long r = read_name(c->arg[1], name);

    if (r == OK)
        r = check_name(n, name, true);
    return r == OK ? xattr_remove(n, name) : r;
}

typedef long (*node_call)(struct call *c, struct node *n);

static long of_path(struct call *c, unsigned flags, node_call what)
{
    struct node *n;
    long r = find_path(c, flags, &n);

    if (r != OK)
        return r;
    r = what(c, n);
    node_unref(n);
    return r;
}

static long of_file(struct call *c, node_call what)
{
    struct node *n;
    long r = find_open(c, &n);

    if (r != OK)
        return r;
    r = what(c, n);
    node_unref(n);
    return r;
}

#define XATTR_CALLS(name, what)                                                                    \
    long sys_##name(struct call *c)                                                                \
    {                                                                                              \
        return of_path(c, 0, what);                                                                \
    }                                                                                              \
    long sys_l##name(struct call *c)                                                               \
    {                                                                                              \
        return of_path(c, PATH_NOFOLLOW, what);                                                    \
    }                                                                                              \
    long sys_f##name(struct call *c)                                                               \
    {                                                                                              \
        return of_file(c, what);                                                                   \
    }

XATTR_CALLS(setxattr, set)
XATTR_CALLS(getxattr, get)
XATTR_CALLS(listxattr, list)
XATTR_CALLS(removexattr, drop)
