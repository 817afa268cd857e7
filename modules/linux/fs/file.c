/*
 * file.c: open files and their references. See file.h.
 */
#include "modules/linux/fs/file.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/event/event.h"
#include "modules/linux/fs/lock.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/pipe.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/limits.h"

uint32_t file_count;

int file_create(const struct file_ops *ops, void *data, uint32_t flags, struct file **out)
{
    struct file *f = kzalloc(sizeof(*f));

    if (!f)
        return ERR_NO_MEMORY;
    f->refs = 1;
    f->flags = flags;
    f->ops = ops;
    f->data = data;
    mutex_init(&f->offset_lock);
    list_init(&f->epoll_items);
    __atomic_add_fetch(&file_count, 1, __ATOMIC_RELAXED);
    *out = f;
    return OK;
}

/* What a folder or an O_PATH descriptor can do by itself: nothing. */
static const struct file_ops inert_ops = {.seekable = true};

static int open_content(struct node *node, struct file *f)
{
    if (node->ops->open)
        return node->ops->open(node, f);
    return (node->mode & LINUX_S_IFMT) == LINUX_S_IFIFO ? pipe_open_name(node, f)
                                                        : LINUX_ERRNO(ENXIO);
}

int file_open(struct node *node, uint32_t flags, struct file **out)
{
    struct file *f;
    int r = file_create(&inert_ops, NULL, flags, &f);

    if (r != OK)
        return r;
    if (!node_is_folder(node) && !(flags & LINUX_O_PATH))
        r = open_content(node, f);
    if (r != OK) {
        __atomic_sub_fetch(&file_count, 1, __ATOMIC_RELAXED);
        kfree(f);
        return r;
    }
    f->flags &= ~(uint32_t)LINUX_O_NOCTTY; /* it was about opening only */
    node_ref(node);
    f->node = node;
    *out = f;
    return OK;
}

void file_ref(struct file *f)
{
    __atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
}

void file_unref(struct file *f)
{
    uint32_t flights = sockets_in_flight ? socket_flights(f) : 0;
    uint32_t left = __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL);

    if (left != 0) {
        if (left <= flights) /* all others are in messages: perhaps nobody can receive them */
            sockets_collect();
        return;
    }
    if (!list_empty(&f->epoll_items))
        epoll_forget(f);
    locks_drop_file(f);
    if (f->ops->close)
        f->ops->close(f);
    if (f->node)
        node_unref(f->node);
    kfree(f);
    __atomic_sub_fetch(&file_count, 1, __ATOMIC_RELAXED);
}

typedef long (*file_mover)(struct file *f, vaddr_t at, size_t size, uint64_t *offset);

/* Calls mover with the offset given, or with the file's own under its lock. */
static long move_at(struct file *f, file_mover mover, vaddr_t at, size_t size, uint64_t *offset)
{
    uint64_t none = 0;
    long r;

    size = MIN(size, LINUX_RW_MAX);
    if (offset || !f->ops->seekable)
        return mover(f, at, size, offset ? offset : &none);
    mutex_lock(&f->offset_lock);
    r = mover(f, at, size, &f->offset);
    mutex_unlock(&f->offset_lock);
    return r;
}

long file_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    if (!file_readable(f))
        return LINUX_ERRNO(EBADF);
    if (f->node && node_is_folder(f->node))
        return LINUX_ERRNO(EISDIR);
    if (!f->ops->read)
        return ERR_INVALID;
    return move_at(f, f->ops->read, at, size, offset);
}

/* Of a process whose files may not grow as they like. */
static long write_limited(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    int r = limit_file_write(f->flags & LINUX_O_APPEND ? node_size(f->node) : *offset, &size);

    return r == OK ? f->ops->write(f, at, size, offset) : r;
}

long file_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    if (!file_writable(f))
        return LINUX_ERRNO(EBADF);
    if (!f->ops->write)
        return ERR_INVALID;
    if (limit_of_files_set() && f->node && node_is_file(f->node))
        return move_at(f, write_limited, at, size, offset);
    return move_at(f, f->ops->write, at, size, offset);
}

unsigned file_poll(struct file *f, struct linux_poll_source **source)
{
    if (f->ops->poll)
        return f->ops->poll(f, source);
    return LINUX_POLLIN | LINUX_POLLOUT;
}

long file_read_memory(const void *data, uint64_t limit, vaddr_t at, size_t size, uint64_t *offset)
{
    if (*offset >= limit)
        return 0;
    size = MIN(size, limit - *offset);
    if (bytes_out(at, (const uint8_t *)data + *offset, size) != OK)
        return ERR_FAULT;
    *offset += size;
    return (long)size;
}
