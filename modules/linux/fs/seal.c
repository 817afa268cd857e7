/*
 * seal.c: what the makers of nameless files (memfd_create) promise never to do to them again.
 */
#include <microlake/aspace.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/seal.h"

#define ALL_SEALS                                                                                  \
    ((unsigned)(LINUX_F_SEAL_SEAL | LINUX_F_SEAL_SHRINK | LINUX_F_SEAL_GROW | LINUX_F_SEAL_WRITE | \
                LINUX_F_SEAL_FUTURE_WRITE | LINUX_F_SEAL_EXEC))

/* A mapping that is made meanwhile looks at the seals once it is there: one of both gives way. */
static long add_locked(struct node *n, unsigned seals)
{
    unsigned old = n->seals;
    struct memobj *object;
    bool writers;

    if (old & LINUX_F_SEAL_SEAL)
        return LINUX_ERRNO(EPERM);
    if (n->ops->object(n, &object) != OK)
        return ERR_INVALID;
    __atomic_store_n(&n->seals, old | seals, __ATOMIC_SEQ_CST);
    writers = memobj_writers(object) != 0;
    memobj_unref(object);
    if ((seals & LINUX_F_SEAL_WRITE) && writers) {
        __atomic_store_n(&n->seals, old, __ATOMIC_SEQ_CST);
        return ERR_BUSY;
    }
    return OK;
}

long seal_fcntl(struct file *f, int command, uint64_t seals)
{
    struct node *n = f->node;
    long r;

    if (!n || !n->sealable)
        return ERR_INVALID;
    if (command == LINUX_F_GET_SEALS)
        return n->seals;
    if (!file_writable(f))
        return LINUX_ERRNO(EPERM);
    if (seals & ~(uint64_t)ALL_SEALS)
        return ERR_INVALID;
    mutex_lock(&n->lock);
    r = add_locked(n, (unsigned)seals);
    mutex_unlock(&n->lock);
    return r;
}

int seal_check_size(const struct node *n, uint64_t old_size, uint64_t new_size)
{
    if (new_size < old_size && (n->seals & LINUX_F_SEAL_SHRINK))
        return LINUX_ERRNO(EPERM);
    return new_size > old_size && (n->seals & LINUX_F_SEAL_GROW) ? LINUX_ERRNO(EPERM) : OK;
}

int seal_check_write(const struct node *n)
{
    return n->seals & SEALS_AGAINST_WRITING ? LINUX_ERRNO(EPERM) : OK;
}
