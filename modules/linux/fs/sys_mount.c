/*
 * sys_mount.c: mount, umount2, chroot.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/mount.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define TYPE_MAX 64u

enum mount_call_flags {
    MS_RDONLY = 1u << 0,
    MS_REMOUNT = 1u << 5,
    MS_BIND = 1u << 12,
    MS_MOVE = 1u << 13,
    MS_REC = 1u << 14,
    MS_PROPAGATION = 1u << 17 | 1u << 18 | 1u << 19 | 1u << 20,
};

enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

static int lookup(struct call *c, vaddr_t path, struct node **out)
{
    struct path_arg arg;
    int r = path_arg_get(c->task, LINUX_AT_FDCWD, path, false, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, PATH_SEAT, out);
    path_arg_put(&arg);
    return r;
}

/* A text of the caller's, at most TYPE_MAX bytes; none: "none". */
static int read_name(vaddr_t at, char *out)
{
    long n;

    strlcpy(out, "none", TYPE_MAX);
    n = at ? user_read_string(out, at, TYPE_MAX) : 0;
    return n < 0 ? (n == ERR_RANGE ? ERR_INVALID : (int)n) : OK;
}

/* The folder's mode that the options ask for. */
static uint32_t mode_of_options(vaddr_t at)
{
    char options[256];
    uint32_t mode = 0;
    char *m;

    if (at == 0 || user_read_string(options, at, sizeof(options)) <= 0)
        return 01777;
    m = options;
    while (m && strncmp(m, "mode=", 5) != 0) {
        m = strchr(m, ',');
        m += m ? 1 : 0;
    }
    if (!m)
        return 01777;
    for (m += 5; *m >= '0' && *m <= '7'; m++)
        mode = mode * 8 + (uint32_t)(*m - '0');
    return mode & 07777;
}

static int cover(struct node *covered, struct node *root, vaddr_t source_at, unsigned flags)
{
    char source[TYPE_MAX];
    int r = read_name(source_at, source);

    if (r == OK)
        r = mount_cover(covered, root, source, flags);
    if (r != OK)
        node_unref(root);
    return r;
}

static int mount_memory(struct call *c, struct node *covered)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *folder = node_place(covered, name), *root;
    int r = tmpfs_create(folder, name, mode_of_options(c->arg[4]), c->arg[3] & MS_RDONLY, &root);

    node_unref(folder);
    return r == OK ? cover(covered, root, c->arg[0], 0) : r;
}

static const struct node_ops alias_ops = {0};

/* The same tree at one more place: an entry that leads there. */
static int mount_alias(struct call *c, struct node *covered)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *from, *folder, *entry;
    int r = lookup(c, c->arg[0], &from);

    if (r != OK)
        return r;
    from = node_take_body(from);
    folder = node_place(covered, name);
    r = node_create(folder, name, from->mode, from->fs, &alias_ops, NULL, &entry);
    node_unref(folder);
    if (r != OK) {
        node_unref(from);
        return r;
    }
    entry->same = from;
    entry->bound_deep = c->arg[3] & MS_REC;
    return cover(covered, entry, c->arg[0], MOUNT_ALIAS);
}

static int mount_type(struct call *c, struct node *covered)
{
    char type[TYPE_MAX];
    int r = c->arg[2] ? read_name(c->arg[2], type) : ERR_FAULT;

    if (r != OK)
        return r;
    if (strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0)
        return mount_memory(c, covered);
    /* These are there once, at their place. */
    if (strcmp(type, covered->fs->name) == 0)
        return ERR_BUSY;
    return LINUX_ERRNO(ENODEV);
}

long sys_mount(struct call *c)
{
    uint64_t flags = c->arg[3];
    struct node *covered;
    long r = lookup(c, c->arg[1], &covered);

    if (r != OK)
        return r;
    if (!capable(CAP_SYS_ADMIN)) {
        node_unref(covered);
        return LINUX_ERRNO(EPERM);
    }
    if (flags & MS_REMOUNT)
        r = mount_set_read_only(covered, flags & MS_RDONLY);
    else if (flags & MS_BIND)
        r = mount_alias(c, covered);
    else if (flags & MS_PROPAGATION)
        r = OK; /* there is one tree, which no other shares */
    else if (flags & MS_MOVE)
        r = ERR_INVALID;
    else
        r = mount_type(c, covered);
    node_unref(covered);
    return r;
}

long sys_umount2(struct call *c)
{
    unsigned flags = (unsigned)c->arg[1];
    struct path_arg arg;
    struct node *n;
    long r;

    if (flags & ~(unsigned)(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW) ||
        ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))))
        return ERR_INVALID;
    if (!capable(CAP_SYS_ADMIN))
        return LINUX_ERRNO(EPERM);
    r = path_arg_get(c->task, LINUX_AT_FDCWD, c->arg[0], false, &arg);
    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, PATH_SEAT | (flags & UMOUNT_NOFOLLOW ? PATH_NOFOLLOW : 0u), &n);
    path_arg_put(&arg);
    if (r != OK)
        return r;
    r = mount_remove(n, flags & MNT_DETACH);
    if (r != OK)
        node_unref(n);
    return r;
}

long sys_chroot(struct call *c)
{
    struct fs_context *fs = c->task->process->fs;
    struct node *root, *old;
    struct path_arg arg;
    long r = path_arg_get(c->task, LINUX_AT_FDCWD, c->arg[0], false, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, PATH_FOLDER | PATH_SEAT, &root);
    path_arg_put(&arg);
    if (r != OK)
        return r;
    r = permission_check(node_body(root), PERMIT_EXECUTE);
    if (r == OK && !capable(CAP_SYS_CHROOT))
        r = LINUX_ERRNO(EPERM);
    if (r != OK) {
        node_unref(root);
        return r;
    }
    mutex_lock(&fs->lock);
    old = fs->root;
    fs->root = root;
    mutex_unlock(&fs->lock);
    node_unref(old);
    return OK;
}
