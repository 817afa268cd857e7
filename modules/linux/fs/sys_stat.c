/*
 * sys_stat.c: what programs learn about files: stat, statx, statfs, and the entries of folders.
 */
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define SECTOR 512u

/* The facts all forms of stat are made of. */
struct facts {
    uint64_t number, size;
    uint32_t device, mode, links, special, uid, gid;
    int64_t accessed, modified, changed; /* ns since 1970 */
};

static int64_t since_1970(uint64_t time)
{
    return (int64_t)(time_wall_offset() + time);
}

static void facts_of_node(struct node *n, struct facts *out)
{
    /* Times are the server's, where there is one. What it no longer finds keeps what is known of it. */
    if (n->ops->valid)
        n->ops->valid(n);
    *out = (struct facts){
        .number = n->number,
        .size = node_size(n),
        .device = n->fs->id,
        .mode = n->mode,
        .links = n->links,
        .special = n->device,
        .uid = n->uid,
        .gid = n->gid,
        .accessed = since_1970(n->accessed),
        .modified = since_1970(n->modified),
        .changed = since_1970(n->changed),
    };
}

/* Sockets say so, event files have no type, all others are pipes and the host's streams. */
uint32_t file_mode_nameless(const struct file *f)
{
    if (!f->ops->kind)
        return LINUX_S_IFIFO | 0600;
    return strchr(f->ops->kind, ':') ? 0600 : LINUX_S_IFSOCK | 0777;
}

static void facts_of_nameless(const struct file *f, struct facts *out)
{
    *out = (struct facts){
        .number = (uintptr_t)f->data & 0xffffffff,
        .device = 15,
        .mode = file_mode_nameless(f),
        .links = 1,
    };
}

static int facts_of_descriptor(struct task *t, int fd, struct facts *out)
{
    struct file *f = fd_get(t->process->files, fd);

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->node) /* which asks for them again if they are old */
        facts_of_node(node_body(f->node), out);
    else
        facts_of_nameless(f, out);
    file_unref(f);
    return OK;
}

static bool is_empty_path(vaddr_t path)
{
    char first;

    return path == 0 || (user_read(&first, path, 1) == OK && first == '\0');
}

/* Facts by folder and path as the *at() calls have them. */
static int facts_at(struct task *t, int folder, vaddr_t path, unsigned flags, struct facts *out)
{
    struct path_arg arg;
    struct node *n;
    int r;

    if ((flags & LINUX_AT_EMPTY_PATH) && folder != LINUX_AT_FDCWD && is_empty_path(path))
        return facts_of_descriptor(t, folder, out);
    r = path_arg_get(t, folder, path, flags & LINUX_AT_EMPTY_PATH, &arg);
    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags & LINUX_AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &n);
    path_arg_put(&arg);
    if (r != OK)
        return r;
    facts_of_node(n, out);
    node_unref(n);
    return OK;
}

/* Times before 1970 have negative seconds, never negative parts of one. */
static struct linux_timespec timespec_of(int64_t ns)
{
    int64_t part = ns % (int64_t)NS_PER_SEC, borrowed = part < 0;

    return (struct linux_timespec){ns / (int64_t)NS_PER_SEC - borrowed,
                                   part + borrowed * (int64_t)NS_PER_SEC};
}

static struct linux_statx_time statx_time_of(int64_t ns)
{
    struct linux_timespec t = timespec_of(ns);

    return (struct linux_statx_time){t.sec, (uint32_t)t.nsec, 0};
}

static long write_stat(vaddr_t at, const struct facts *f)
{
    struct linux_stat s = {
        .dev = f->device,
        .ino = f->number,
        .nlink = f->links,
        .mode = f->mode,
        .uid = f->uid,
        .gid = f->gid,
        .rdev = f->special,
        .size = (int64_t)f->size,
        .block_size = PAGE_SIZE,
        .blocks = (int64_t)(ALIGN_UP(f->size, SECTOR) / SECTOR),
        .atime = timespec_of(f->accessed),
        .mtime = timespec_of(f->modified),
        .ctime = timespec_of(f->changed),
    };

    return user_write(at, &s, sizeof(s));
}

long sys_stat(struct call *c)
{
    struct facts f;
    int r = facts_at(c->task, LINUX_AT_FDCWD, c->arg[0], 0, &f);

    return r == OK ? write_stat(c->arg[1], &f) : r;
}

long sys_lstat(struct call *c)
{
    struct facts f;
    int r = facts_at(c->task, LINUX_AT_FDCWD, c->arg[0], LINUX_AT_SYMLINK_NOFOLLOW, &f);

    return r == OK ? write_stat(c->arg[1], &f) : r;
}

long sys_fstat(struct call *c)
{
    struct facts f;
    int r = facts_of_descriptor(c->task, (int)c->arg[0], &f);

    return r == OK ? write_stat(c->arg[1], &f) : r;
}

/* AT_NO_AUTOMOUNT and AT_STATX_*: nothing is mounted on the way, and all facts are exact. */
#define STAT_FLAGS_WITHOUT_MEANING 0x6800u

long sys_newfstatat(struct call *c)
{
    unsigned flags = (unsigned)c->arg[3];
    struct facts f;
    int r;

    if (flags & ~(STAT_FLAGS_WITHOUT_MEANING | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    r = facts_at(c->task, (int)c->arg[0], c->arg[1], flags, &f);
    return r == OK ? write_stat(c->arg[2], &f) : r;
}

long sys_statx(struct call *c)
{
    unsigned flags = (unsigned)c->arg[2];
    struct linux_statx s;
    struct facts f;
    int r;

    if (flags & ~(STAT_FLAGS_WITHOUT_MEANING | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    r = facts_at(c->task, (int)c->arg[0], c->arg[1], flags, &f);
    if (r != OK)
        return r;
    s = (struct linux_statx){
        .mask = LINUX_STATX_BASIC_STATS,
        .block_size = PAGE_SIZE,
        .nlink = f.links,
        .mode = (uint16_t)f.mode,
        .ino = f.number,
        .size = f.size,
        .blocks = ALIGN_UP(f.size, SECTOR) / SECTOR,
        .uid = f.uid,
        .gid = f.gid,
        .atime = statx_time_of(f.accessed),
        .ctime = statx_time_of(f.changed),
        .mtime = statx_time_of(f.modified),
        .rdev_major = f.special >> 8 & 0xfff,
        .rdev_minor = (f.special & 0xff) | (f.special >> 12 & 0xfff00),
        .dev_minor = f.device,
    };
    return user_write(c->arg[4], &s, sizeof(s));
}

static void space_of_memory(const struct file_system *fs, struct file_system_space *out)
{
    struct memory_stats memory;

    memory_stats(&memory);
    *out = (struct file_system_space){.block_size = PAGE_SIZE,
                                      .blocks = memory.total / PAGE_SIZE,
                                      .blocks_free = (memory.free + memory.reclaimable) / PAGE_SIZE};
    if (fs->read_only)
        out->blocks_free = 0;
    out->blocks_available = out->blocks_free;
}

static long write_statfs(vaddr_t at, struct node *n)
{
    const struct file_system *fs = n->fs;
    struct file_system_space space;
    struct linux_statfs s;
    int r = OK;

    if (n->ops->space)
        r = n->ops->space(n, &space);
    else
        space_of_memory(fs, &space);
    if (r != OK)
        return r;
    s = (struct linux_statfs){
        .type = fs->magic,
        .block_size = space.block_size,
        .blocks = space.blocks,
        .blocks_free = space.blocks_free,
        .blocks_available = space.blocks_available,
        .files = space.files,
        .files_free = space.files_free,
        .id = fs->id,
        .name_max = LINUX_NAME_MAX,
        .fragment_size = space.block_size,
        .flags = fs->read_only ? 0x21 : 0x20, /* ST_RDONLY, and that the flags are valid */
    };
    return user_write(at, &s, sizeof(s));
}

long sys_statfs(struct call *c)
{
    struct path_arg arg;
    struct node *n;
    long r = path_arg_get(c->task, LINUX_AT_FDCWD, c->arg[0], false, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, 0, &n);
    path_arg_put(&arg);
    if (r != OK)
        return r;
    r = write_statfs(c->arg[1], n);
    node_unref(n);
    return r;
}

long sys_fstatfs(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = f->node ? write_statfs(c->arg[1], node_body(f->node)) : LINUX_ERRNO(ENOSYS);
    file_unref(f);
    return r;
}

/* Collects getdents64() records in kernel memory, because folders list under their lock. */
struct dirent_sink {
    struct node_sink sink;
    uint8_t *bytes;
    size_t used, room;
    bool overflow; /* an entry did not fit */
};

static uint8_t type_of_mode(uint32_t mode)
{
    return (uint8_t)((mode & LINUX_S_IFMT) >> 12); /* the DT_ values are the type bits */
}

static bool put_dirent(struct node_sink *sink, const char *name, uint64_t number, uint32_t mode,
                       uint64_t next)
{
    struct dirent_sink *d = container_of(sink, struct dirent_sink, sink);
    size_t length = strlen(name) + 1;
    size_t size = ALIGN_UP(sizeof(struct linux_dirent64) + length, 8);
    struct linux_dirent64 record = {number, (int64_t)next, (uint16_t)size, type_of_mode(mode)};

    if (size > d->room - d->used) {
        d->overflow = true;
        return false;
    }
    memset(d->bytes + d->used, 0, size);
    memcpy(d->bytes + d->used, &record, sizeof(record));
    memcpy(d->bytes + d->used + sizeof(record), name, length);
    d->used += size;
    return true;
}

#define DIRENT_BUFFER_MAX 32768u

static long list_folder(struct file *f, vaddr_t at, size_t size)
{
    struct dirent_sink d = {.sink = {put_dirent}, .room = MIN(size, DIRENT_BUFFER_MAX)};
    long r;

    d.bytes = kmalloc(MAX(d.room, 1u));
    if (!d.bytes)
        return ERR_NO_MEMORY;
    mutex_lock(&f->offset_lock);
    node_list(f->node, &f->offset, &d.sink);
    mutex_unlock(&f->offset_lock);
    if (d.used > 0)
        r = user_write(at, d.bytes, d.used) == OK ? (long)d.used : ERR_FAULT;
    else
        r = d.overflow ? ERR_INVALID : 0;
    kfree(d.bytes);
    return r;
}

long sys_getdents64(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->flags & LINUX_O_PATH)
        r = LINUX_ERRNO(EBADF);
    else
        r = f->node && node_is_folder(f->node) ? list_folder(f, c->arg[1], (uint32_t)c->arg[2])
                                               : LINUX_ERRNO(ENOTDIR);
    file_unref(f);
    return r;
}
