/*
 * sys_io.c: calls that move bytes: read, write and their relatives, lseek, sendfile.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define MOVE_MAX 0x7ffff000ul /* bytes at once: Linux's limit */

typedef long (*file_mover)(struct file *f, vaddr_t at, size_t size, uint64_t *offset);

static long move(struct call *c, file_mover mover, uint64_t *offset)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (offset && !f->ops->seekable)
        r = LINUX_ERRNO(ESPIPE);
    else if ((int64_t)c->arg[2] < 0)
        r = ERR_INVALID;
    else
        r = mover(f, c->arg[1], MIN(c->arg[2], MOVE_MAX), offset);
    file_unref(f);
    return r;
}

long sys_read(struct call *c)
{
    return move(c, file_read, NULL);
}

long sys_write(struct call *c)
{
    return move(c, file_write, NULL);
}

long sys_pread64(struct call *c)
{
    uint64_t offset = c->arg[3];

    if ((int64_t)offset < 0)
        return ERR_INVALID;
    return move(c, file_read, &offset);
}

long sys_pwrite64(struct call *c)
{
    uint64_t offset = c->arg[3];

    if ((int64_t)offset < 0)
        return ERR_INVALID;
    return move(c, file_write, &offset);
}

/* Moves the parts of a vector until one is short. */
static long move_parts(struct file *f, file_mover mover, const struct linux_iovec *parts,
                       size_t count, uint64_t *offset)
{
    long done = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t size = MIN(parts[i].size, MOVE_MAX - (uint64_t)done);
        long r = size == 0 ? 0 : mover(f, parts[i].base, size, offset);

        if (r < 0)
            return done > 0 ? done : r;
        done += r;
        if ((uint64_t)r < parts[i].size)
            break;
    }
    return done;
}

int iovec_read(vaddr_t at, size_t count, struct linux_iovec **out)
{
    uint64_t total = 0;

    if (count > LINUX_IOV_MAX)
        return ERR_INVALID;
    *out = kmalloc(MAX(count, 1u) * sizeof(**out));
    if (!*out)
        return ERR_NO_MEMORY;
    if (user_read(*out, at, count * sizeof(**out)) != OK) {
        kfree(*out);
        return ERR_FAULT;
    }
    for (size_t i = 0; i < count; i++) {
        total += (*out)[i].size;
        if ((int64_t)(*out)[i].size < 0 || (int64_t)total < 0) {
            kfree(*out);
            return ERR_INVALID;
        }
    }
    return OK;
}

static long move_vector(struct call *c, file_mover mover, uint64_t *offset)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    struct linux_iovec *parts;
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = iovec_read(c->arg[1], c->arg[2], &parts);
    if (r == OK) {
        if (offset && !f->ops->seekable)
            r = LINUX_ERRNO(ESPIPE);
        else if (c->arg[2] == 0)
            r = mover(f, 0, 0, offset); /* nothing moves, but the descriptor is checked */
        else
            r = move_parts(f, mover, parts, c->arg[2], offset);
        kfree(parts);
    }
    file_unref(f);
    return r;
}

long sys_readv(struct call *c)
{
    return move_vector(c, file_read, NULL);
}

long sys_writev(struct call *c)
{
    return move_vector(c, file_write, NULL);
}

long sys_preadv(struct call *c)
{
    uint64_t offset = c->arg[3];

    if ((int64_t)offset < 0)
        return ERR_INVALID;
    return move_vector(c, file_read, &offset);
}

long sys_pwritev(struct call *c)
{
    uint64_t offset = c->arg[3];

    if ((int64_t)offset < 0)
        return ERR_INVALID;
    return move_vector(c, file_write, &offset);
}

/* Flags that ask for less than is done anyway: RWF_HIPRI, DSYNC, SYNC, NOWAIT on files in memory.
 */
#define VECTOR_FLAGS 0xfu

/* With an offset of -1 the file's own is used. */
static long move_vector2(struct call *c, file_mover mover)
{
    uint64_t offset = c->arg[3];

    if (c->arg[5] & ~(uint64_t)VECTOR_FLAGS)
        return ERR_UNSUPPORTED;
    if (offset == UINT64_MAX)
        return move_vector(c, mover, NULL);
    return (int64_t)offset < 0 ? ERR_INVALID : move_vector(c, mover, &offset);
}

long sys_preadv2(struct call *c)
{
    return move_vector2(c, file_read);
}

long sys_pwritev2(struct call *c)
{
    return move_vector2(c, file_write);
}

/* null, zero, full, random: they can be sought in, and it changes nothing. */
static bool is_memory_device(const struct file *f)
{
    return f->node && (f->node->mode & LINUX_S_IFMT) == LINUX_S_IFCHR && f->node->device >> 8 == 1;
}

static long seek(struct file *f, int64_t by, int whence)
{
    uint64_t size = f->node ? node_size(f->node) : 0;
    int64_t base, to;
    long r;

    if (is_memory_device(f))
        return 0;
    if (!f->ops->seekable)
        return LINUX_ERRNO(ESPIPE);
    if (whence == LINUX_SEEK_DATA || whence == LINUX_SEEK_HOLE) {
        /* All of a file is data, behind which the hole begins. */
        if (by < 0 || (uint64_t)by >= size)
            return LINUX_ERRNO(ENXIO);
        by = whence == LINUX_SEEK_DATA ? by : (int64_t)size;
        whence = LINUX_SEEK_SET;
    }
    mutex_lock(&f->offset_lock);
    base = whence == LINUX_SEEK_SET   ? 0
           : whence == LINUX_SEEK_CUR ? (int64_t)f->offset
                                      : (int64_t)size;
    if (whence < LINUX_SEEK_SET || whence > LINUX_SEEK_END ||
        __builtin_add_overflow(base, by, &to) || to < 0) {
        r = ERR_INVALID;
    } else {
        f->offset = (uint64_t)to;
        r = to;
    }
    mutex_unlock(&f->offset_lock);
    return r;
}

long sys_lseek(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = seek(f, (int64_t)c->arg[1], (int)c->arg[2]);
    file_unref(f);
    return r;
}

long sys_ftruncate(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if ((int64_t)c->arg[1] < 0 || !f->node || !node_is_file(f->node) || !file_writable(f))
        r = ERR_INVALID;
    else if (!f->node->ops->resize)
        r = ERR_INVALID;
    else
        r = node_resize(f->node, c->arg[1]);
    file_unref(f);
    return r;
}

/* Where files have no store behind memory, what is written is where it will stay. */
long sys_fsync(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r = f && f->node ? OK : ERR_INVALID;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (r == OK && node_body(f->node)->ops->sync)
        r = node_body(f->node)->ops->sync(node_body(f->node));
    file_unref(f);
    return r;
}

long sys_fdatasync(struct call *c)
{
    return sys_fsync(c);
}

static long advise(struct file *f, uint64_t offset, uint64_t length, int advice)
{
    struct node *n = node_body(f->node);

    if (!n->ops->advise || advice == LINUX_FADV_NOREUSE)
        return OK;
    return n->ops->advise(n, f, offset, length, advice);
}

long sys_fadvise64(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (!f->node)
        r = LINUX_ERRNO(ESPIPE);
    else if (c->arg[3] > LINUX_FADV_NOREUSE || (int64_t)c->arg[2] < 0)
        r = ERR_INVALID;
    else
        r = advise(f, c->arg[1], c->arg[2], (int)c->arg[3]);
    file_unref(f);
    return r;
}

long sys_readahead(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (!file_readable(f))
        r = LINUX_ERRNO(EBADF);
    else if (!f->node || !node_is_file(f->node))
        r = ERR_INVALID;
    else
        r = c->arg[2] ? advise(f, c->arg[1], c->arg[2], LINUX_FADV_WILLNEED) : OK;
    file_unref(f);
    return r;
}
