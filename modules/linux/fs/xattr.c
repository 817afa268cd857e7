/*
 * xattr.c: see xattr.h. There are few: they stand in a list. Nodes of a server have theirs there.
 */
#include "modules/linux/fs/xattr.h"

#include <microlake/memory.h>

#include "modules/linux/fs/node.h"

#define ALL_MAX (256u * 1024) /* bytes of one node's names and values */

struct xattr {
    struct list link; /* guarded by the node's lock */
    size_t size;
    char *name; /* lies behind the value */
    uint8_t value[];
};

static struct xattr *find_locked(struct node *n, const char *name)
{
    list_for_each (it, &n->xattrs) {
        struct xattr *x = list_entry(it, struct xattr, link);

        if (strcmp(x->name, name) == 0)
            return x;
    }
    return NULL;
}

static size_t all_locked(const struct node *n)
{
    size_t all = 0;

    list_for_each (it, &n->xattrs) {
        const struct xattr *x = list_entry(it, struct xattr, link);

        all += x->size + strlen(x->name);
    }
    return all;
}

static void drop(struct xattr *x)
{
    list_remove(&x->link);
    kfree(x);
}

static int check_locked(const struct node *n, const struct xattr *old, const struct xattr *fresh,
                        unsigned flags)
{
    if (old && (flags & XATTR_CREATE))
        return ERR_EXISTS;
    if (!old && (flags & XATTR_REPLACE))
        return LINUX_ERRNO(ENODATA);
    return all_locked(n) + fresh->size > ALL_MAX ? LINUX_ERRNO(ENOSPC) : OK;
}

static int set_in_memory(struct node *n, const char *name, const void *value, size_t size,
                         unsigned flags)
{
    struct xattr *fresh = kmalloc(sizeof(*fresh) + size + strlen(name) + 1), *old;
    int r;

    if (!fresh)
        return ERR_NO_MEMORY;
    fresh->size = size;
    fresh->name = (char *)fresh->value + size;
    memcpy(fresh->value, value, size);
    memcpy(fresh->name, name, strlen(name) + 1);
    mutex_lock(&n->lock);
    old = find_locked(n, name);
    r = check_locked(n, old, fresh, flags);
    if (r == OK) {
        if (old)
            drop(old);
        list_push_back(&n->xattrs, &fresh->link);
    }
    mutex_unlock(&n->lock);
    if (r != OK)
        kfree(fresh);
    return r;
}

int xattr_set(struct node *n, const char *name, const void *value, size_t size, unsigned flags)
{
    int r = n->ops->xattrs ? n->ops->xattrs->set(n, name, value, size, flags)
                           : set_in_memory(n, name, value, size, flags);

    if (r == OK)
        node_touch_status(n);
    return r;
}

long xattr_get(struct node *n, const char *name, void *out, size_t room)
{
    const struct xattr *x;
    long r = LINUX_ERRNO(ENODATA);

    if (n->ops->xattrs)
        return n->ops->xattrs->get(n, name, out, room);
    mutex_lock(&n->lock);
    x = find_locked(n, name);
    if (x)
        r = room > 0 && room < x->size ? ERR_RANGE : (long)x->size;
    if (r > 0 && room > 0)
        memcpy(out, x->value, x->size);
    mutex_unlock(&n->lock);
    return r;
}

static long list_in_memory(struct node *n, char *out, size_t room)
{
    size_t used = 0;

    mutex_lock(&n->lock);
    list_for_each (it, &n->xattrs) {
        const struct xattr *x = list_entry(it, struct xattr, link);
        size_t size = strlen(x->name) + 1;

        if (room >= used + size)
            memcpy(out + used, x->name, size);
        used += size;
    }
    mutex_unlock(&n->lock);
    return room > 0 && used > room ? ERR_RANGE : (long)used;
}

/* Takes the names out that only some may see; a server's list may end anywhere. */
static size_t without_trusted(char *names, size_t size)
{
    size_t kept = 0;

    for (size_t at = 0, next; at < size; at = next) {
        next = at + strnlen(names + at, size - at) + 1;
        if (next > size)
            break;
        if (strncmp(names + at, "trusted.", 8) == 0)
            continue;
        memmove(names + kept, names + at, next - at);
        kept += next - at;
    }
    return kept;
}

static long list_all(struct node *n, char *out, size_t room)
{
    return n->ops->xattrs ? n->ops->xattrs->list(n, out, room) : list_in_memory(n, out, room);
}

/* How much room the others need is not known before all are seen. */
long xattr_list(struct node *n, bool trusted, char *out, size_t room)
{
    char *all;
    long r;

    if (trusted)
        return list_all(n, out, room);
    all = kmalloc(XATTR_SIZE_MAX);
    if (!all)
        return ERR_NO_MEMORY;
    r = list_all(n, all, XATTR_SIZE_MAX);
    if (r > 0)
        r = (long)without_trusted(all, (size_t)r);
    if (r > 0 && room > 0 && (size_t)r > room)
        r = ERR_RANGE;
    if (r > 0 && room > 0)
        memcpy(out, all, (size_t)r);
    kfree(all);
    return r;
}

static int remove_in_memory(struct node *n, const char *name)
{
    struct xattr *x;

    mutex_lock(&n->lock);
    x = find_locked(n, name);
    if (x)
        drop(x);
    mutex_unlock(&n->lock);
    return x ? OK : LINUX_ERRNO(ENODATA);
}

int xattr_remove(struct node *n, const char *name)
{
    int r = n->ops->xattrs ? n->ops->xattrs->remove(n, name) : remove_in_memory(n, name);

    if (r == OK)
        node_touch_status(n);
    return r;
}

void xattrs_free(struct node *n)
{
    while (!list_empty(&n->xattrs))
        drop(list_entry(list_first(&n->xattrs), struct xattr, link));
}
