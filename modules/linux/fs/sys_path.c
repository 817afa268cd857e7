/*
 * sys_path.c: calls that look at names and change them: stat and its relatives, links, folders.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static int lookup_at(struct task *t, int folder, vaddr_t path, bool empty_allowed, unsigned flags,
                     struct node **out)
{
    struct path_arg arg;
    int r = path_arg_get(t, folder, path, empty_allowed, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags, out);
    path_arg_put(&arg);
    return r;
}

/* The folder of a path's last part, and that part; the path must not end in "." or "..". */
static int parent_at(struct task *t, int folder, vaddr_t path, struct node **out, char *name,
                     bool *slash)
{
    struct path_arg arg;
    int r = path_arg_get(t, folder, path, false, &arg);

    if (r != OK)
        return r;
    r = path_parent(arg.start, arg.text, out, name, slash);
    path_arg_put(&arg);
    return r;
}

long sys_access(struct call *c)
{
    c->arg[2] = c->arg[1];
    c->arg[1] = c->arg[0];
    c->arg[0] = (uint64_t)(int64_t)LINUX_AT_FDCWD;
    c->arg[3] = 0;
    return sys_faccessat2(c);
}

long sys_faccessat(struct call *c)
{
    c->arg[3] = 0;
    return sys_faccessat2(c);
}

long sys_faccessat2(struct call *c)
{
    unsigned mode = (unsigned)c->arg[2], flags = (unsigned)c->arg[3];
    struct node *n;
    int r;

    if ((mode & ~7u) ||
        (flags & ~(unsigned)(LINUX_AT_EACCESS | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH)))
        return ERR_INVALID;
    r = lookup_at(c->task, (int)c->arg[0], c->arg[1], flags & LINUX_AT_EMPTY_PATH,
                  flags & LINUX_AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &n);
    if (r != OK)
        return r;
    if ((mode & LINUX_W_OK) && n->fs->read_only)
        r = LINUX_ERRNO(EROFS);
    else
        r = flags & LINUX_AT_EACCESS ? permission_check(n, mode) : permission_check_real(n, mode);
    node_unref(n);
    return r;
}

static long read_link(struct call *c, int folder, vaddr_t path, vaddr_t to, int64_t size)
{
    struct node *n;
    char *text;
    long r;

    if (size <= 0)
        return ERR_INVALID;
    r = lookup_at(c->task, folder, path, folder != LINUX_AT_FDCWD, PATH_NOFOLLOW, &n);
    if (r != OK)
        return r;
    text = kmalloc(LINUX_PATH_MAX);
    if (!text)
        r = ERR_NO_MEMORY;
    else if (!node_is_link(n))
        r = ERR_INVALID;
    else
        r = n->ops->text(n, text, MIN((size_t)size, LINUX_PATH_MAX));
    if (r > 0 && user_write(to, text, (size_t)r) != OK)
        r = ERR_FAULT;
    kfree(text);
    node_unref(n);
    return r;
}

long sys_readlink(struct call *c)
{
    return read_link(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1], (int32_t)c->arg[2]);
}

long sys_readlinkat(struct call *c)
{
    return read_link(c, (int)c->arg[0], c->arg[1], c->arg[2], (int32_t)c->arg[3]);
}

static long make_at(struct call *c, int folder, vaddr_t path, const struct node_kind *kind)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *parent, *made;
    bool slash;
    long r = parent_at(c->task, folder, path, &parent, name, &slash);

    if (r != OK)
        return r;
    if (name[0] == '\0')
        r = ERR_EXISTS;
    else if (slash && (kind->mode & LINUX_S_IFMT) != LINUX_S_IFDIR)
        r = ERR_NOT_FOUND;
    else
        r = node_make(parent, name, kind, &made);
    if (r == OK)
        node_unref(made);
    node_unref(parent);
    return r;
}

static long make_folder_at(struct call *c, int folder, vaddr_t path, uint64_t mode)
{
    struct node_kind kind = {
        .mode = LINUX_S_IFDIR | ((uint32_t)mode & 01777 & ~c->task->process->fs->mask)};

    return make_at(c, folder, path, &kind);
}

long sys_mkdir(struct call *c)
{
    return make_folder_at(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_mkdirat(struct call *c)
{
    return make_folder_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

static long make_link_at(struct call *c, vaddr_t text_at, int folder, vaddr_t path)
{
    char *text = kmalloc(LINUX_PATH_MAX);
    struct node_kind kind = {.mode = LINUX_S_IFLNK | 0777, .text = text};
    long r;

    if (!text)
        return ERR_NO_MEMORY;
    r = user_read_string(text, text_at, LINUX_PATH_MAX);
    if (r == ERR_RANGE)
        r = LINUX_ERRNO(ENAMETOOLONG);
    else if (r == 0)
        r = ERR_NOT_FOUND;
    else if (r > 0)
        r = make_at(c, folder, path, &kind);
    kfree(text);
    return r;
}

long sys_symlink(struct call *c)
{
    return make_link_at(c, c->arg[0], LINUX_AT_FDCWD, c->arg[1]);
}

long sys_symlinkat(struct call *c)
{
    return make_link_at(c, c->arg[0], (int)c->arg[1], c->arg[2]);
}

/* Pipes, sockets, devices; files too. */
static long make_special_at(struct call *c, int folder, vaddr_t path, uint64_t mode,
                            uint64_t device)
{
    struct node_kind kind = {.mode = (uint32_t)mode & (LINUX_S_IFMT | 07777)};

    if ((kind.mode & LINUX_S_IFMT) == 0)
        kind.mode |= LINUX_S_IFREG;
    kind.mode &= ~c->task->process->fs->mask;
    switch (kind.mode & LINUX_S_IFMT) {
    case LINUX_S_IFCHR:
    case LINUX_S_IFBLK:
        kind.device = (uint32_t)device;
        if (!capable(CAP_MKNOD))
            return LINUX_ERRNO(EPERM);
        break;
    case LINUX_S_IFREG:
    case LINUX_S_IFIFO:
    case LINUX_S_IFSOCK:
        break;
    case LINUX_S_IFDIR:
        return LINUX_ERRNO(EPERM);
    default:
        return ERR_INVALID;
    }
    return make_at(c, folder, path, &kind);
}

long sys_mknod(struct call *c)
{
    return make_special_at(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1], c->arg[2]);
}

long sys_mknodat(struct call *c)
{
    return make_special_at(c, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3]);
}

/* A file that lost its last name gets none any more, unless it never had one (O_TMPFILE). */
static long link_node(struct call *c, struct node *node, int folder, vaddr_t path)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *parent;
    bool slash;
    long r = parent_at(c->task, folder, path, &parent, name, &slash);

    if (r != OK)
        return r;
    if (name[0] == '\0')
        r = ERR_EXISTS;
    else if (slash)
        r = ERR_NOT_FOUND;
    else
        r = node_link(parent, name, node);
    node_unref(parent);
    return r;
}

long sys_linkat(struct call *c)
{
    unsigned flags = (unsigned)c->arg[4];
    struct node *node;
    long r;

    if (flags & ~(unsigned)(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    r = lookup_at(c->task, (int)c->arg[0], c->arg[1], flags & LINUX_AT_EMPTY_PATH,
                  flags & LINUX_AT_SYMLINK_FOLLOW ? 0 : PATH_NOFOLLOW, &node);
    if (r != OK)
        return r;
    r = link_node(c, node, (int)c->arg[2], c->arg[3]);
    node_unref(node);
    return r;
}

long sys_link(struct call *c)
{
    struct node *node;
    long r = lookup_at(c->task, LINUX_AT_FDCWD, c->arg[0], false, PATH_NOFOLLOW, &node);

    if (r != OK)
        return r;
    r = link_node(c, node, LINUX_AT_FDCWD, c->arg[1]);
    node_unref(node);
    return r;
}

static long remove_at(struct call *c, int folder, vaddr_t path, bool remove_folder)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *parent;
    bool slash;
    long r = parent_at(c->task, folder, path, &parent, name, &slash);

    if (r != OK)
        return r;
    if (name[0] == '\0')
        r = remove_folder ? ERR_INVALID : LINUX_ERRNO(EISDIR);
    else if (slash && !remove_folder)
        r = LINUX_ERRNO(ENOTDIR);
    else
        r = node_remove(parent, name, remove_folder);
    node_unref(parent);
    return r;
}

long sys_unlink(struct call *c)
{
    return remove_at(c, LINUX_AT_FDCWD, c->arg[0], false);
}

long sys_rmdir(struct call *c)
{
    return remove_at(c, LINUX_AT_FDCWD, c->arg[0], true);
}

long sys_unlinkat(struct call *c)
{
    if (c->arg[2] & ~(uint64_t)LINUX_AT_REMOVEDIR)
        return ERR_INVALID;
    return remove_at(c, (int)c->arg[0], c->arg[1], c->arg[2] & LINUX_AT_REMOVEDIR);
}

static long rename_in(struct node *from, const char *from_name, struct node *to,
                      const char *to_name, unsigned flags)
{
    if (from_name[0] == '\0' || to_name[0] == '\0')
        return flags & LINUX_RENAME_NOREPLACE ? ERR_EXISTS : ERR_BUSY;
    if (flags & LINUX_RENAME_EXCHANGE)
        return node_exchange(from, from_name, to, to_name);
    return node_rename(from, from_name, to, to_name, flags & LINUX_RENAME_NOREPLACE);
}

static long rename_at(struct call *c, int from_folder, vaddr_t from, int to_folder, vaddr_t to,
                      unsigned flags)
{
    char from_name[LINUX_NAME_MAX + 1], to_name[LINUX_NAME_MAX + 1];
    struct node *from_parent, *to_parent;
    long r = parent_at(c->task, from_folder, from, &from_parent, from_name, NULL);

    if (r != OK)
        return r;
    r = parent_at(c->task, to_folder, to, &to_parent, to_name, NULL);
    if (r == OK) {
        r = rename_in(from_parent, from_name, to_parent, to_name, flags);
        node_unref(to_parent);
    }
    node_unref(from_parent);
    return r;
}

long sys_rename(struct call *c)
{
    return rename_at(c, LINUX_AT_FDCWD, c->arg[0], LINUX_AT_FDCWD, c->arg[1], 0);
}

long sys_renameat(struct call *c)
{
    return rename_at(c, (int)c->arg[0], c->arg[1], (int)c->arg[2], c->arg[3], 0);
}

long sys_renameat2(struct call *c)
{
    unsigned flags = (unsigned)c->arg[4];

    if (flags & ~(unsigned)(LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE) ||
        flags == (LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE))
        return ERR_INVALID;
    return rename_at(c, (int)c->arg[0], c->arg[1], (int)c->arg[2], c->arg[3], flags);
}

long sys_getcwd(struct call *c)
{
    struct node *folder = fs_context_folder(c->task->process->fs);
    char *path = kmalloc(LINUX_PATH_MAX);
    struct node *root = path_root();
    long n = path ? node_path_from(root, folder, path, LINUX_PATH_MAX) : ERR_NO_MEMORY;

    node_unref(folder);
    node_unref(root);
    if (n == ERR_RANGE)
        n = LINUX_ERRNO(ENAMETOOLONG);
    if (n > 0 && (uint64_t)n + 1 > c->arg[1])
        n = ERR_RANGE;
    if (n > 0)
        n = user_write(c->arg[0], path, (size_t)n + 1) == OK ? n + 1 : ERR_FAULT;
    kfree(path);
    return n;
}

/* folder is a reference, which the context takes over. */
static void change_folder(struct fs_context *fs, struct node *folder)
{
    struct node *old;

    mutex_lock(&fs->lock);
    old = fs->folder;
    fs->folder = folder;
    mutex_unlock(&fs->lock);
    node_unref(old);
}

long sys_chdir(struct call *c)
{
    struct node *folder;
    int r = lookup_at(c->task, LINUX_AT_FDCWD, c->arg[0], false, PATH_FOLDER | PATH_SEAT, &folder);

    if (r != OK)
        return r;
    r = permission_check(node_body(folder), PERMIT_EXECUTE);
    if (r == OK)
        change_folder(c->task->process->fs, folder);
    else
        node_unref(folder);
    return r;
}

long sys_fchdir(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->node && node_is_folder(f->node)) {
        node_ref(f->node);
        change_folder(c->task->process->fs, f->node);
    } else {
        r = LINUX_ERRNO(ENOTDIR);
    }
    file_unref(f);
    return r;
}

long sys_umask(struct call *c)
{
    struct fs_context *fs = c->task->process->fs;
    uint32_t old;

    mutex_lock(&fs->lock);
    old = fs->mask;
    fs->mask = (uint32_t)c->arg[0] & 0777;
    mutex_unlock(&fs->lock);
    return old;
}

static int change_mode(struct node *n, uint64_t mode)
{
    uint32_t bits = (uint32_t)mode;
    int r;

    if (node_is_link(n))
        return ERR_UNSUPPORTED;
    r = permission_set_mode(n, &bits);
    return r == OK ? node_set_mode(n, bits) : r;
}

static long change_mode_at(struct call *c, int folder, vaddr_t path, uint64_t mode)
{
    struct node *n;
    int r = lookup_at(c->task, folder, path, false, 0, &n);

    if (r != OK)
        return r;
    r = change_mode(n, mode);
    node_unref(n);
    return r;
}

long sys_chmod(struct call *c)
{
    return change_mode_at(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_fchmodat(struct call *c)
{
    return change_mode_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

long sys_fchmod(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = f->node ? change_mode(node_body(f->node), c->arg[1]) : OK;
    file_unref(f);
    return r;
}

long sys_truncate(struct call *c)
{
    struct node *n;
    int r;

    if ((int64_t)c->arg[1] < 0)
        return ERR_INVALID;
    r = lookup_at(c->task, LINUX_AT_FDCWD, c->arg[0], false, 0, &n);
    if (r != OK)
        return r;
    if (node_is_folder(n))
        r = LINUX_ERRNO(EISDIR);
    else if (n->fs->read_only)
        r = LINUX_ERRNO(EROFS);
    else
        r = permission_check(n, PERMIT_WRITE);
    if (r == OK)
        r = n->ops->resize ? node_resize(n, c->arg[1]) : ERR_INVALID;
    node_unref(n);
    return r;
}
