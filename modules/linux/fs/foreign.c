/*
 * foreign.c: names and facts of another module's file system, and its place as the root. See
 * foreign.h.
 *
 * Nodes stay in their folder's list after use, in the order in which they were first seen; the
 * oldest unused ones go when there are too many or memory gets scarce.
 */
#include "modules/linux/fs/foreign.h"

#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#define REMEMBERED_MAX 8192u
#define FORGET_AT_ONCE 8u
#define FILE_SYSTEM_ID 9u

const struct linux_fs_ops *foreign_ops;
void *foreign_fs;

static struct file_system foreign_file_system = {.id = FILE_SYSTEM_ID};
static struct spinlock seen_lock = SPINLOCK_INIT;
static struct list seen = LIST_INIT(seen); /* struct foreign, oldest first; guarded by seen_lock */
static uint32_t seen_count;                /* guarded by seen_lock */

bool foreign_memory_low(void)
{
    struct memory_stats memory;

    memory_stats(&memory);
    return memory.free < memory.total / 4;
}

void foreign_put(struct foreign *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    foreign_forget_ahead(d);
    foreign_ops->release(foreign_fs, d->object);
    kfree(d->text);
    kfree(d);
}

static void foreign_release(struct node *node)
{
    struct foreign *d = node->data;

    spin_lock(&seen_lock);
    if (d->node) {
        list_remove(&d->link);
        seen_count--;
        d->node = NULL;
    }
    spin_unlock(&seen_lock);
    if (d->pages)
        memobj_unref(d->pages);
    foreign_put(d);
}

static void remember(struct node *node)
{
    struct foreign *d = node->data;

    spin_lock(&seen_lock);
    d->node = node;
    list_push_back(&seen, &d->link);
    seen_count++;
    spin_unlock(&seen_lock);
}

/* The oldest node, with a reference, behind all others now; NULL: none, or it is on its way out. */
static struct node *oldest(bool always)
{
    struct node *node = NULL;

    spin_lock(&seen_lock);
    if (seen_count > (always ? 0 : REMEMBERED_MAX)) {
        struct foreign *d = list_entry(seen.next, struct foreign, link);

        if (node_ref_live(d->node))
            node = d->node;
        list_remove(&d->link);
        list_push_back(&seen, &d->link);
    }
    spin_unlock(&seen_lock);
    return node;
}

static void forget_some(void)
{
    bool low = foreign_memory_low();

    for (unsigned i = 0; i < FORGET_AT_ONCE; i++) {
        struct node *node = oldest(low);

        if (!node)
            return;
        node_forget(node);
        node_unref(node);
    }
}

/* ---- Facts
 * --------------------------------------------------------------------------------------- */

/* False: it is another file by now. The node's lock is held, unless it is new. */
static bool take_facts(struct node *node, const struct linux_fs_attr *attr)
{
    struct foreign *d = node->data;
    bool same = attr->size == d->size && attr->version == d->version && attr->changed == d->changed;

    if (attr->number != node->number || (attr->mode ^ node->mode) & LINUX_S_IFMT)
        return false;
    if (!same && !(d->own_change && attr->size == d->size))
        foreign_replaced_locked(d, attr->size);
    if (!same) {
        kfree(d->text);
        d->text = NULL;
    }
    d->own_change = false;
    d->version = attr->version;
    d->changed = attr->changed;
    d->checked = time_now();
    node->mode = attr->mode;
    node->changed = attr->changed - time_wall_offset();
    return true;
}

/* Trouble with the server is left to whoever uses the node next. */
static bool foreign_valid(struct node *node)
{
    struct foreign *d = node->data;
    struct linux_fs_attr attr;
    bool valid = true;
    int r;

    mutex_lock(&node->lock);
    if (time_now() - d->checked >= FOREIGN_FRESH_NS) {
        r = foreign_ops->attr(foreign_fs, d->object, &attr);
        if (r == OK)
            valid = take_facts(node, &attr);
        else
            valid = r != ERR_NOT_FOUND && r != LINUX_ERRNO(ENOTDIR);
    }
    mutex_unlock(&node->lock);
    return valid;
}

static uint64_t foreign_size(struct node *node)
{
    const struct foreign *d = node->data;

    return __atomic_load_n(&d->size, __ATOMIC_RELAXED);
}

static int foreign_set_mode(struct node *node, uint32_t mode)
{
    struct foreign *d = node->data;
    int r = foreign_ops->set_mode ? foreign_ops->set_mode(foreign_fs, d->object, mode)
                                  : LINUX_ERRNO(EPERM);

    if (r == OK)
        node->mode = (node->mode & LINUX_S_IFMT) | mode;
    return r;
}

static int foreign_sync(struct node *node)
{
    struct foreign *d = node->data;

    return foreign_ops->sync ? foreign_ops->sync(foreign_fs, d->object) : OK;
}

static int read_text_locked(struct foreign *d)
{
    char *text = kmalloc(LINUX_PATH_MAX);
    long n =
        text ? foreign_ops->text(foreign_fs, d->object, text, LINUX_PATH_MAX - 1) : ERR_NO_MEMORY;

    if (n < 0) {
        kfree(text);
        return (int)n;
    }
    text[n] = '\0';
    d->text = kstrdup(text);
    kfree(text);
    return d->text ? OK : ERR_NO_MEMORY;
}

static long foreign_text(struct node *node, char *out, size_t size)
{
    struct foreign *d = node->data;
    long r;

    mutex_lock(&node->lock);
    r = d->text ? OK : read_text_locked(d);
    if (r == OK) {
        r = (long)MIN(size, strlen(d->text));
        memcpy(out, d->text, (size_t)r);
    }
    mutex_unlock(&node->lock);
    return r;
}

/* ---- Names
 * --------------------------------------------------------------------------------------- */

static int foreign_lookup(struct node *folder, const char *name, struct node **out);
static void foreign_list(struct node *folder, uint64_t *at, struct node_sink *sink);
static int foreign_make(struct node *folder, const char *name, uint32_t mode, const char *text,
                        struct node **out);
static int foreign_remove(struct node *folder, struct node *child);
static int foreign_rename(struct node *from, const char *from_name, struct node *to,
                          const char *to_name);

static const struct node_ops folder_ops = {
    .lookup = foreign_lookup,
    .list = foreign_list,
    .make = foreign_make,
    .size = foreign_size,
    .valid = foreign_valid,
    .remove = foreign_remove,
    .rename = foreign_rename,
    .set_mode = foreign_set_mode,
    .release = foreign_release,
};
static const struct node_ops file_node_ops = {
    .open = foreign_open,
    .object = foreign_object,
    .size = foreign_size,
    .resize = foreign_resize,
    .valid = foreign_valid,
    .set_mode = foreign_set_mode,
    .sync = foreign_sync,
    .release = foreign_release,
};
static const struct node_ops link_ops = {
    .text = foreign_text, .size = foreign_size, .valid = foreign_valid, .release = foreign_release};

/* Devices, sockets and pipes of the host's: names without content. */
static const struct node_ops other_ops = {
    .valid = foreign_valid, .set_mode = foreign_set_mode, .release = foreign_release};

static const struct node_ops *ops_of_mode(uint32_t mode)
{
    switch (mode & LINUX_S_IFMT) {
    case LINUX_S_IFDIR:
        return &folder_ops;
    case LINUX_S_IFREG:
        return &file_node_ops;
    case LINUX_S_IFLNK:
        return &link_ops;
    default:
        return &other_ops;
    }
}

/* A node in no list for an object, which it takes over; on failure it is released. */
static int node_of_object(struct node *folder, const char *name, void *object,
                          const struct linux_fs_attr *attr, struct node **out)
{
    struct foreign *d = kzalloc(sizeof(*d));
    int r = d ? node_create(folder, name, attr->mode, &foreign_file_system, ops_of_mode(attr->mode),
                            d, out)
              : ERR_NO_MEMORY;

    if (r != OK) {
        foreign_ops->release(foreign_fs, object);
        kfree(d);
        return r;
    }
    d->refs = 1;
    d->object = object;
    (*out)->number = attr->number;
    take_facts(*out, attr);
    if (folder)
        remember(*out);
    return OK;
}

/* Somebody else was faster: theirs is the node. */
static int use_other(struct node *folder, const char *name, struct node **out)
{
    struct node *child;

    node_unref(*out);
    mutex_lock(&folder->lock);
    child = node_child_locked(folder, name);
    if (child)
        node_ref(child);
    mutex_unlock(&folder->lock);
    *out = child;
    return child ? OK : ERR_NOT_FOUND;
}

static int foreign_lookup(struct node *folder, const char *name, struct node **out)
{
    struct foreign *d = folder->data;
    struct linux_fs_attr attr;
    void *object;
    int r;

    forget_some();
    r = foreign_ops->walk(foreign_fs, d->object, name, &object, &attr);
    if (r == OK)
        r = node_of_object(folder, name, object, &attr, out);
    if (r != OK)
        return r;
    r = node_attach(*out);
    if (r == ERR_EXISTS)
        return use_other(folder, name, out);
    if (r != OK)
        node_unref(*out);
    return r;
}

struct list_context {
    struct linux_fs_sink sink;
    struct node_sink *to;
    uint64_t *at;
};

static bool list_entry_take(struct linux_fs_sink *sink, const char *name, uint64_t number,
                            uint32_t mode, uint64_t next)
{
    struct list_context *c = container_of(sink, struct list_context, sink);

    if (!c->to->entry(c->to, name, number, mode, next))
        return false;
    *c->at = next;
    return true;
}

static void foreign_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    struct foreign *d = folder->data;
    struct list_context context = {.sink = {list_entry_take}, .to = sink, .at = at};

    foreign_ops->list(foreign_fs, d->object, *at, &context.sink);
}

static int foreign_make(struct node *folder, const char *name, uint32_t mode, const char *text,
                        struct node **out)
{
    struct foreign *d = folder->data;
    struct linux_fs_attr attr;
    void *object;
    int r = foreign_ops->make
                ? foreign_ops->make(foreign_fs, d->object, name, mode, text, &object, &attr)
                : LINUX_ERRNO(EPERM);

    if (r == OK)
        r = node_of_object(folder, name, object, &attr, out);
    if (r == OK)
        node_attach_locked(*out);
    return r;
}

static int foreign_remove(struct node *folder, struct node *child)
{
    struct foreign *d = folder->data;

    if (!foreign_ops->remove)
        return LINUX_ERRNO(EPERM);
    return foreign_ops->remove(foreign_fs, d->object, child->name, node_is_folder(child));
}

static int foreign_rename(struct node *from, const char *from_name, struct node *to,
                          const char *to_name)
{
    struct foreign *a = from->data, *b = to->data;

    if (!foreign_ops->rename)
        return LINUX_ERRNO(EPERM);
    return foreign_ops->rename(foreign_fs, a->object, from_name, b->object, to_name);
}

/* ---- The root
 * ------------------------------------------------------------------------------------ */

/* No program runs yet: nobody else looks at the tree. */
static void move_own_folder(struct node *from, struct node *to, const char *name)
{
    struct node *folder;

    if (node_lookup(from, name, &folder) != OK)
        return;
    node_detach(folder);
    node_ref(to);
    folder->parent = to;
    node_unref(from);
    node_attach(folder);
    node_unref(folder);
}

int linux_fs_mount_root(const struct linux_fs_ops *ops, void *fs, void *root)
{
    static const char *const own[] = {"dev", "proc", "sys", "tmp"};
    struct node *old = node_root, *node;
    struct linux_fs_attr attr;
    int r;

    r = foreign_ops ? ERR_BUSY : ops->attr(fs, root, &attr);
    if (r == OK && (attr.mode & LINUX_S_IFMT) != LINUX_S_IFDIR)
        r = LINUX_ERRNO(ENOTDIR);
    if (r != OK) {
        ops->release(fs, root);
        return r;
    }
    foreign_ops = ops;
    foreign_fs = fs;
    foreign_file_system.name = ops->name;
    foreign_file_system.magic = ops->magic;
    r = node_of_object(NULL, "", root, &attr, &node);
    if (r != OK)
        return r;
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
        move_own_folder(old, node, own[i]);
    node_root = node;
    return OK;
}

bool root_ready(void)
{
    return foreign_ops || !boot_option("root", 0);
}
