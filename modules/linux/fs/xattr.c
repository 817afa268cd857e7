/*
 * xattr.c: see xattr.h. There are few: they stand in a list.
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

int xattr_set(struct node *n, const char *name, const void *value, size_t size, unsigned flags)
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
    if (r == OK)
        node_touch_status(n);
    else
        kfree(fresh);
    return r;
}

long xattr_get(struct node *n, const char *name, void *out, size_t room)
{
    const struct xattr *x;
    long r = LINUX_ERRNO(ENODATA);

    mutex_lock(&n->lock);
    x = find_locked(n, name);
    if (x)
        r = room > 0 && room < x->size ? ERR_RANGE : (long)x->size;
    if (r > 0 && room > 0)
        memcpy(out, x->value, x->size);
    mutex_unlock(&n->lock);
    return r;
}

long xattr_list(struct node *n, bool trusted, char *out, size_t room)
{
    size_t used = 0;

    mutex_lock(&n->lock);
    list_for_each (it, &n->xattrs) {
        const struct xattr *x = list_entry(it, struct xattr, link);
        size_t size = strlen(x->name) + 1;

        if (!trusted && strncmp(x->name, "trusted.", 8) == 0)
            continue;
        if (room >= used + size)
            memcpy(out + used, x->name, size);
        used += size;
    }
    mutex_unlock(&n->lock);
    return room > 0 && used > room ? ERR_RANGE : (long)used;
}

int xattr_remove(struct node *n, const char *name)
{
    struct xattr *x;

    mutex_lock(&n->lock);
    x = find_locked(n, name);
    if (x)
        drop(x);
    mutex_unlock(&n->lock);
    if (x)
        node_touch_status(n);
    return x ? OK : LINUX_ERRNO(ENODATA);
}

void xattrs_free(struct node *n)
{
    while (!list_empty(&n->xattrs))
        drop(list_entry(list_first(&n->xattrs), struct xattr, link));
}
