/*
 * sys_splice.c: calls that move bytes between files without the program's memory: sendfile,
 * copy_file_range, splice, tee, vmsplice. See window.h.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/fs/pipe.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define CHUNK (64u * 1024)

enum splice_flags { SPLICE_MOVE = 1, SPLICE_NONBLOCK = 2, SPLICE_MORE = 4, SPLICE_GIFT = 8 };
#define SPLICE_ALL 15u

/* Two files and where in them bytes are moved; NULL: at their own offsets. */
struct transfer {
    struct file *in, *out;
    uint64_t in_offset, out_offset;
    uint64_t *in_at, *out_at;
};

static int take_files(struct call *c, int in, int out, struct transfer *x)
{
    struct fd_table *files = c->task->process->files;

    *x = (struct transfer){.in = fd_get(files, in), .out = fd_get(files, out)};
    if (x->in && x->out && file_readable(x->in) && file_writable(x->out))
        return OK;
    if (x->in)
        file_unref(x->in);
    if (x->out)
        file_unref(x->out);
    return LINUX_ERRNO(EBADF);
}

static void drop_files(struct transfer *x)
{
    file_unref(x->in);
    file_unref(x->out);
}

/* An offset in user memory; address 0: the file's own. */
static int read_offset(vaddr_t at, uint64_t *value, uint64_t **out)
{
    *out = NULL;
    if (at == 0)
        return OK;
    if (user_read(value, at, sizeof(*value)) != OK)
        return ERR_FAULT;
    *out = value;
    return (int64_t)*value < 0 ? ERR_INVALID : OK;
}

static int write_offset(vaddr_t at, const uint64_t *value)
{
    return at == 0 ? OK : user_write(at, value, sizeof(*value));
}

/* The two offsets of a call whose second and fourth arguments say where they are. */
static int read_offsets(const struct call *c, struct transfer *x)
{
    int r = read_offset(c->arg[1], &x->in_offset, &x->in_at);

    return r == OK ? read_offset(c->arg[3], &x->out_offset, &x->out_at) : r;
}

/* Once `moved` bytes, or an error, are behind it: what the call answers. */
static long write_offsets(const struct call *c, const struct transfer *x, long moved)
{
    if (moved >= 0 && (write_offset(c->arg[1], &x->in_offset) != OK ||
                       write_offset(c->arg[3], &x->out_offset) != OK))
        return ERR_FAULT;
    return moved;
}

/* Writes all of it unless the file takes no more. */
static long write_all(struct file *f, const uint8_t *bytes, size_t size, uint64_t *at)
{
    size_t done = 0;

    while (done < size) {
        long r = file_write_kernel(f, bytes + done, size - done, at);

        if (r < 0)
            return done > 0 ? (long)done : r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (long)done;
}

/* Moves from a file that can seek: what was not written was not read either. */
static long move_chunk(struct transfer *x, uint8_t *buffer, size_t size)
{
    uint64_t at = x->in_at ? *x->in_at : __atomic_load_n(&x->in->offset, __ATOMIC_RELAXED),
             next = at;
    long n = file_read_kernel(x->in, buffer, size, &next), r;

    if (n <= 0)
        return n;
    r = write_all(x->out, buffer, (size_t)n, x->out_at);
    if (r <= 0)
        return r;
    if (x->in_at) {
        *x->in_at = at + (uint64_t)r;
    } else {
        mutex_lock(&x->in->offset_lock);
        x->in->offset = at + (uint64_t)r;
        mutex_unlock(&x->in->offset_lock);
    }
    return r;
}

static long move_all(struct transfer *x, uint64_t size)
{
    uint8_t *buffer = kmalloc(CHUNK);
    uint64_t done = 0;
    long r = 0;

    if (!buffer)
        return ERR_NO_MEMORY;
    size = MIN(size, LINUX_RW_MAX);
    while (done < size) {
        r = move_chunk(x, buffer, MIN(size - done, CHUNK));
        if (r <= 0)
            break;
        done += (uint64_t)r;
        if (signal_waits(task_current()))
            break;
    }
    kfree(buffer);
    return done > 0 ? (long)done : r;
}

long sys_sendfile(struct call *c)
{
    struct transfer x;
    long r = take_files(c, (int)c->arg[1], (int)c->arg[0], &x), moved;

    if (r != OK)
        return r;
    r = read_offset(c->arg[2], &x.in_offset, &x.in_at);
    if (r == OK && !x.in->ops->seekable)
        r = x.in_at ? LINUX_ERRNO(ESPIPE) : ERR_INVALID;
    if (r == OK && ((x.in->node && node_is_folder(x.in->node)) || (x.out->flags & LINUX_O_APPEND)))
        r = ERR_INVALID;
    if (r == OK) {
        moved = move_all(&x, c->arg[3]);
        r = moved < 0 ? moved : write_offset(c->arg[2], &x.in_offset);
        if (r == OK)
            r = moved;
    }
    drop_files(&x);
    return r;
}

static bool ranges_meet(const struct transfer *x, uint64_t size)
{
    uint64_t a = x->in_at ? x->in_offset : x->in->offset;
    uint64_t b = x->out_at ? x->out_offset : x->out->offset;

    return x->in->node == x->out->node && a < b + size && b < a + size;
}

static int check_copy(const struct transfer *x, uint64_t size)
{
    const struct node *from = x->in->node, *to = x->out->node;

    if ((from && node_is_folder(from)) || (to && node_is_folder(to)))
        return LINUX_ERRNO(EISDIR);
    if (!from || !to || !node_is_file(from) || !node_is_file(to))
        return ERR_INVALID;
    if (x->out->flags & LINUX_O_APPEND)
        return LINUX_ERRNO(EBADF);
    if (from->fs != to->fs)
        return LINUX_ERRNO(EXDEV);
    return ranges_meet(x, size) ? ERR_INVALID : OK;
}

long sys_copy_file_range(struct call *c)
{
    struct transfer x;
    uint64_t size = MIN(c->arg[4], LINUX_RW_MAX);
    long r;

    if (c->arg[5] != 0)
        return ERR_INVALID;
    r = take_files(c, (int)c->arg[0], (int)c->arg[2], &x);
    if (r != OK)
        return r;
    r = read_offsets(c, &x);
    if (r == OK)
        r = check_copy(&x, size);
    if (r == OK)
        r = write_offsets(c, &x, move_all(&x, size));
    drop_files(&x);
    return r;
}

/* ---- Pipes
 * ----------------------------------------------------------------------------------------- */

/* From a pipe: what could not be written stays in it. */
static long splice_out(struct transfer *x, uint8_t *buffer, size_t size, bool nonblock)
{
    long n, r;

    if (pipe_of_file(x->out)) {
        r = pipe_wait_room(x->out, nonblock);
        if (r < 0)
            return r;
        size = MIN(size, (size_t)r);
    }
    n = pipe_peek(x->in, buffer, size, nonblock, true);
    if (n <= 0)
        return n;
    r = write_all(x->out, buffer, (size_t)n, x->out_at);
    pipe_consume(x->in, r > 0 ? (size_t)r : 0);
    return r;
}

/* Into a pipe, as much as fits. */
static long splice_in(struct transfer *x, uint8_t *buffer, size_t size, bool nonblock)
{
    long room = pipe_wait_room(x->out, nonblock), n;

    if (room < 0)
        return room;
    size = MIN(size, (size_t)room);
    if (x->in->ops->seekable)
        return move_chunk(x, buffer, size);
    n = file_read_kernel(x->in, buffer, size, NULL);
    return n <= 0 ? n : write_all(x->out, buffer, (size_t)n, NULL);
}

static int check_splice(const struct transfer *x)
{
    const struct pipe *in = pipe_of_file(x->in), *out = pipe_of_file(x->out);

    if (!in && !out)
        return ERR_INVALID;
    if ((in && x->in_at) || (out && x->out_at))
        return LINUX_ERRNO(ESPIPE);
    if (in == out || (!out && (x->out->flags & LINUX_O_APPEND)))
        return ERR_INVALID;
    if ((x->in_at && !x->in->ops->seekable) || (x->out_at && !x->out->ops->seekable))
        return ERR_INVALID;
    return OK;
}

static long splice(struct transfer *x, uint64_t size, bool nonblock)
{
    uint8_t *buffer = kmalloc(CHUNK);
    long r;

    if (!buffer)
        return ERR_NO_MEMORY;
    size = MIN(size, CHUNK);
    r = pipe_of_file(x->in) ? splice_out(x, buffer, size, nonblock)
                            : splice_in(x, buffer, size, nonblock);
    kfree(buffer);
    return r;
}

long sys_splice(struct call *c)
{
    struct transfer x;
    long r;

    if (c->arg[5] & ~(uint64_t)SPLICE_ALL)
        return ERR_INVALID;
    if (c->arg[4] == 0)
        return 0;
    r = take_files(c, (int)c->arg[0], (int)c->arg[2], &x);
    if (r != OK)
        return r;
    r = read_offsets(c, &x);
    if (r == OK)
        r = check_splice(&x);
    if (r == OK)
        r = write_offsets(c, &x, splice(&x, c->arg[4], c->arg[5] & SPLICE_NONBLOCK));
    drop_files(&x);
    return r;
}

/* A copy of what is at the front of one pipe for another. */
static long tee(struct transfer *x, uint64_t size, bool nonblock)
{
    long room = pipe_wait_room(x->out, nonblock), n;
    uint8_t *buffer;

    if (room < 0)
        return room;
    buffer = kmalloc(CHUNK);
    if (!buffer)
        return ERR_NO_MEMORY;
    n = pipe_peek(x->in, buffer, MIN(MIN(size, CHUNK), (uint64_t)room), nonblock, false);
    if (n > 0)
        n = write_all(x->out, buffer, (size_t)n, NULL);
    kfree(buffer);
    return n;
}

long sys_tee(struct call *c)
{
    struct transfer x;
    long r;

    if (c->arg[3] & ~(uint64_t)SPLICE_ALL)
        return ERR_INVALID;
    if (c->arg[2] == 0)
        return 0;
    r = take_files(c, (int)c->arg[0], (int)c->arg[1], &x);
    if (r != OK)
        return r;
    if (!pipe_of_file(x.in) || !pipe_of_file(x.out) || pipe_of_file(x.in) == pipe_of_file(x.out))
        r = ERR_INVALID;
    else
        r = tee(&x, c->arg[2], c->arg[3] & SPLICE_NONBLOCK);
    drop_files(&x);
    return r;
}

/* Pages are not given away: the bytes are copied, which a program can't tell. */
long sys_vmsplice(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    struct pipe *p = f ? pipe_of_file(f) : NULL;
    bool writes = f && file_writable(f);
    long r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (c->arg[3] & ~(uint64_t)SPLICE_ALL)
        r = ERR_INVALID;
    else if (!p)
        r = LINUX_ERRNO(EBADF);
    else if (writes && c->arg[2] > 0)
        r = pipe_wait_room(f, c->arg[3] & SPLICE_NONBLOCK);
    file_unref(f);
    if (r < 0)
        return r;
    return writes ? sys_writev(c) : sys_readv(c);
}
