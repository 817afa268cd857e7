/*
 * window.c: see window.h.
 */
#include "modules/linux/fs/window.h"

#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/process/process.h"

/* Where in the task's buffer an address lies; NULL: outside. */
static uint8_t *place(vaddr_t at, size_t size)
{
    const struct task *t = task_current();
    uint64_t offset = at - WINDOW_BASE;

    if (!t->window || offset > t->window_size || size > t->window_size - offset)
        return NULL;
    return t->window + offset;
}

int window_read(void *to, vaddr_t at, size_t size)
{
    const uint8_t *from = place(at, size);

    if (!from)
        return ERR_FAULT;
    memcpy(to, from, size);
    return OK;
}

int window_write(vaddr_t at, const void *from, size_t size)
{
    uint8_t *to = place(at, size);

    if (!to)
        return ERR_FAULT;
    memcpy(to, from, size);
    return OK;
}

int window_zero(vaddr_t at, size_t size)
{
    uint8_t *to = place(at, size);

    if (!to)
        return ERR_FAULT;
    memset(to, 0, size);
    return OK;
}

static long through_window(struct file *f, uint8_t *bytes, size_t size, uint64_t *offset,
                           long (*move)(struct file *f, vaddr_t at, size_t size, uint64_t *offset))
{
    struct task *t = task_current();
    long r;

    t->window = bytes;
    t->window_size = size;
    r = move(f, WINDOW_BASE, size, offset);
    t->window = NULL;
    return r == ERR_FAULT ? ERR_INVALID : r;
}

long file_read_kernel(struct file *f, void *to, size_t size, uint64_t *offset)
{
    return through_window(f, to, size, offset, file_read);
}

long file_write_kernel(struct file *f, const void *from, size_t size, uint64_t *offset)
{
    return through_window(f, (uint8_t *)from, size, offset, file_write);
}
