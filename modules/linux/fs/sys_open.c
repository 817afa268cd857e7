/*
 * sys_open.c: the calls that open files by name: open and its relatives, openat2.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

/* Flags of open() that stay with the file. */
#define KEPT_FLAGS                                                                                 \
    (LINUX_O_ACCMODE | LINUX_O_NOCTTY | LINUX_O_APPEND | LINUX_O_NONBLOCK | LINUX_O_DIRECT |       \
     LINUX_O_LARGEFILE | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_NOATIME | LINUX_O_PATH)
#define SYNC_FLAGS 04010000u /* O_SYNC and O_DSYNC: what is written is where it stays */
#define ASYNC_FLAG 020000u   /* O_ASYNC */
#define KNOWN_FLAGS                                                                                \
    (KEPT_FLAGS | LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_TRUNC | LINUX_O_CLOEXEC | SYNC_FLAGS |    \
     ASYNC_FLAG | LINUX_O_TMPFILE)

#define LINKS_MAX 40

struct open_how {
    uint64_t flags, mode, resolve;
};

enum resolve_flags {
    RESOLVE_NO_XDEV = 1,
    RESOLVE_NO_MAGICLINKS = 2,
    RESOLVE_NO_SYMLINKS = 4,
    RESOLVE_BENEATH = 8,
    RESOLVE_IN_ROOT = 16,
    RESOLVE_CACHED = 32,
};

/* What open() was asked for. */
struct opening {
    struct task *task;
    uint32_t flags, mode;
    unsigned walk; /* enum path_flags */
    bool made;     /* the file is new */
};

/* A folder where it stands, for what is opened from it. */
static int find(const struct opening *o, struct node *start, const char *path, struct node **out)
{
    unsigned nofollow = o->flags & LINUX_O_NOFOLLOW ? PATH_NOFOLLOW : 0u;
    int r = path_lookup(start, path, o->walk | nofollow | PATH_SEAT, out);

    if (r == OK && !node_is_folder(*out))
        *out = node_take_body(node_settle(*out));
    return r;
}

static int make_in(struct opening *o, struct node *folder, const char *name, struct node **out)
{
    uint32_t mode = LINUX_S_IFREG | (o->mode & 07777 & ~o->task->process->fs->mask);
    int r = node_make(folder, name, &(struct node_kind){.mode = mode}, out);

    o->made = r == OK;
    return r;
}

/* The text of a link that leads to nothing yet; the caller frees it. */
static int dangling_text(struct node *folder, const char *name, char **out)
{
    struct node *link;
    int r = node_lookup(folder, name, &link);
    long n;

    if (r != OK)
        return r;
    *out = node_is_link(link) && !link->ops->follow ? kmalloc(LINUX_PATH_MAX) : NULL;
    n = *out ? link->ops->text(link, *out, LINUX_PATH_MAX - 1) : ERR_NOT_FOUND;
    node_unref(link);
    if (n <= 0) {
        kfree(*out);
        return n < 0 ? (int)n : ERR_NOT_FOUND;
    }
    (*out)[n] = '\0';
    return OK;
}

/* Finds the file, or makes it when it is not there, also where a link says. */
static int find_or_make(struct opening *o, struct node *start, const char *path, unsigned links,
                        struct node **out)
{
    char name[LINUX_NAME_MAX + 1], *text;
    struct node *folder;
    bool slash;
    int r = path_parent_how(start, path, o->walk, &folder, name, &slash);

    if (r != OK)
        return r;
    r = name[0] == '\0' || slash ? LINUX_ERRNO(EISDIR) : make_in(o, folder, name, out);
    if (r == ERR_EXISTS && !(o->flags & LINUX_O_EXCL)) {
        r = find(o, start, path, out);
        if (r == ERR_NOT_FOUND && links < LINKS_MAX && dangling_text(folder, name, &text) == OK) {
            r = find_or_make(o, folder, text, links + 1, out);
            kfree(text);
        }
    }
    node_unref(folder);
    return r;
}

/* O_TMPFILE: a file in the folder's file system that has no name. */
static int make_nameless(struct opening *o, struct node *start, const char *path, struct node **out)
{
    uint32_t mode = LINUX_S_IFREG | (o->mode & 07777 & ~o->task->process->fs->mask);
    struct node *folder;
    int r = (o->flags & LINUX_O_ACCMODE) == LINUX_O_RDONLY ? ERR_INVALID : OK;

    if (r == OK)
        r = path_lookup(start, path, o->walk | PATH_FOLDER, &folder);
    if (r != OK)
        return r;
    r = permission_check(folder, PERMIT_WRITE | PERMIT_EXECUTE);
    if (r == OK && folder->fs->read_only)
        r = LINUX_ERRNO(EROFS);
    if (r == OK)
        r = folder->ops->make_nameless ? folder->ops->make_nameless(folder, mode, out)
                                       : ERR_UNSUPPORTED;
    if (r == OK) {
        permission_own(folder, *out);
        (*out)->linkable = !(o->flags & LINUX_O_EXCL);
        o->made = true;
    }
    node_unref(folder);
    return r;
}

static int check_open(const struct node *n, uint32_t flags, bool made)
{
    unsigned wanted = 0;
    bool writes = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY || (flags & LINUX_O_TRUNC);

    if (node_is_link(n) && !(flags & LINUX_O_PATH))
        return LINUX_ERRNO(ELOOP);
    if ((flags & LINUX_O_DIRECTORY) && !node_is_folder(n))
        return LINUX_ERRNO(ENOTDIR);
    if (flags & LINUX_O_PATH)
        return OK;
    if (node_is_folder(n) && (writes || (flags & LINUX_O_CREAT)))
        return LINUX_ERRNO(EISDIR);
    if (writes && node_is_file(n) && n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if ((flags & LINUX_O_NOATIME) && !permission_owns(n))
        return LINUX_ERRNO(EPERM);
    if (made) /* by who opens it, whatever its mode */
        return OK;
    if ((flags & LINUX_O_ACCMODE) != LINUX_O_WRONLY)
        wanted |= PERMIT_READ;
    return permission_check(n, writes ? wanted | PERMIT_WRITE : wanted);
}

static int find_node(struct opening *o, const struct path_arg *arg, struct node **out)
{
    if ((o->flags & LINUX_O_TMPFILE) && !(o->flags & LINUX_O_PATH))
        return make_nameless(o, arg->start, arg->text, out);
    if (o->flags & LINUX_O_CREAT)
        return find_or_make(o, arg->start, arg->text, 0, out);
    return find(o, arg->start, arg->text, out);
}

static long open_arg(struct opening *o, const struct path_arg *arg)
{
    struct node *node;
    struct file *f;
    long r;

    if (o->flags & LINUX_O_PATH)
        o->flags &= LINUX_O_PATH | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_CLOEXEC;
    else if (o->flags & LINUX_O_TMPFILE)
        o->flags &= ~(uint32_t)(LINUX_O_DIRECTORY | LINUX_O_CREAT);
    r = find_node(o, arg, &node);
    if (r != OK)
        return r;
    r = check_open(node_body(node), o->flags, o->made);
    if (r == OK && (o->flags & LINUX_O_TRUNC) && !o->made && node_is_file(node) &&
        node->ops->resize)
        r = node->ops->resize(node, 0);
    if (r == OK)
        r = file_open(node, o->flags & KEPT_FLAGS, &f);
    node_unref(node);
    return r == OK ? file_install(o->task, f, o->flags & LINUX_O_CLOEXEC) : r;
}

static long open_at(struct task *t, int folder, vaddr_t path, uint32_t flags, uint32_t mode)
{
    struct opening o = {.task = t, .flags = flags, .mode = mode};
    struct path_arg arg;
    long r = path_arg_get(t, folder, path, false, &arg);

    if (r != OK)
        return r;
    r = open_arg(&o, &arg);
    path_arg_put(&arg);
    return r;
}

long sys_open(struct call *c)
{
    return open_at(c->task, LINUX_AT_FDCWD, c->arg[0], (uint32_t)c->arg[1], (uint32_t)c->arg[2]);
}

long sys_openat(struct call *c)
{
    return open_at(c->task, (int)c->arg[0], c->arg[1], (uint32_t)c->arg[2], (uint32_t)c->arg[3]);
}

long sys_creat(struct call *c)
{
    return open_at(c->task, LINUX_AT_FDCWD, c->arg[0],
                   LINUX_O_CREAT | LINUX_O_WRONLY | LINUX_O_TRUNC, (uint32_t)c->arg[1]);
}

static int read_how(vaddr_t at, uint64_t size, struct open_how *how)
{
    uint8_t rest[64];

    if (size < sizeof(*how))
        return ERR_INVALID;
    if (size > PAGE_SIZE)
        return LINUX_ERRNO(E2BIG);
    if (user_read(how, at, sizeof(*how)) != OK)
        return ERR_FAULT;
    for (uint64_t done = sizeof(*how); done < size;) { /* what is not known must be zero */
        uint64_t n = MIN(size - done, sizeof(rest));

        if (user_read(rest, at + done, n) != OK)
            return ERR_FAULT;
        for (uint64_t i = 0; i < n; i++)
            if (rest[i])
                return LINUX_ERRNO(E2BIG);
        done += n;
    }
    return OK;
}

static int check_how(const struct open_how *how)
{
    if ((how->flags & ~(uint64_t)KNOWN_FLAGS) || (how->resolve & ~63ull))
        return ERR_INVALID;
    if ((how->mode & ~07777ull) ||
        (how->mode != 0 && !(how->flags & (LINUX_O_CREAT | LINUX_O_TMPFILE))))
        return ERR_INVALID;
    if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
        return ERR_INVALID;
    if (how->resolve & RESOLVE_CACHED)
        return ERR_AGAIN; /* nothing is promised to be there without waiting */
    return OK;
}

static unsigned walk_of_resolve(uint64_t resolve)
{
    return (resolve & RESOLVE_NO_XDEV ? PATH_NO_XDEV : 0u) |
           (resolve & RESOLVE_NO_MAGICLINKS ? PATH_NO_MAGIC : 0u) |
           (resolve & RESOLVE_NO_SYMLINKS ? PATH_NO_LINKS : 0u) |
           (resolve & RESOLVE_BENEATH ? PATH_BENEATH : 0u) |
           (resolve & RESOLVE_IN_ROOT ? PATH_IN_ROOT : 0u);
}

long sys_openat2(struct call *c)
{
    struct opening o = {.task = c->task};
    struct open_how how;
    struct path_arg arg;
    long r = read_how(c->arg[2], c->arg[3], &how);

    if (r == OK)
        r = check_how(&how);
    if (r != OK)
        return r;
    o.flags = (uint32_t)how.flags;
    o.mode = (uint32_t)how.mode;
    o.walk = walk_of_resolve(how.resolve);
    r = path_arg_get_in(c->task, (int)c->arg[0], c->arg[1], &arg);
    if (r != OK)
        return r;
    r = open_arg(&o, &arg);
    path_arg_put(&arg);
    return r;
}
