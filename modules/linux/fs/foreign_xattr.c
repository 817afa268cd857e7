/*
 * foreign_xattr.c: extended attributes of another module's file system: nothing of them is remembered.
 * See foreign.h.
 */
#include "modules/linux/fs/foreign.h"
#include "modules/linux/fs/xattr.h"

static struct foreign *of(struct node *n)
{
    return n->data;
}

/* The server's clock says when the file's status changed. */
static int changed(struct node *n, int r)
{
    if (r == OK)
        __atomic_store_n(&of(n)->checked, 0, __ATOMIC_RELAXED);
    return r;
}

static int foreign_set(struct node *n, const char *name, const void *value, size_t size,
                       unsigned flags)
{
    const struct foreign_mount *m = of(n)->mount;

    if (!m->ops->set_xattr)
        return LINUX_ERRNO(EPERM);
    return changed(n, m->ops->set_xattr(m->fs, of(n)->object, name, value, size, flags));
}

static long foreign_get(struct node *n, const char *name, void *out, size_t room)
{
    const struct foreign_mount *m = of(n)->mount;

    return m->ops->get_xattr(m->fs, of(n)->object, name, out, room);
}

static long foreign_names(struct node *n, char *out, size_t room)
{
    const struct foreign_mount *m = of(n)->mount;

    return m->ops->list_xattr(m->fs, of(n)->object, out, room);
}

static int foreign_drop(struct node *n, const char *name)
{
    const struct foreign_mount *m = of(n)->mount;

    if (!m->ops->remove_xattr)
        return LINUX_ERRNO(EPERM);
    return changed(n, m->ops->remove_xattr(m->fs, of(n)->object, name));
}

const struct xattr_ops foreign_xattrs = {
    .set = foreign_set, .get = foreign_get, .list = foreign_names, .remove = foreign_drop};
