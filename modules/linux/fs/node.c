/*
 * node.c: the tree itself: making nodes, finding children, listing, renaming. See node.h.
 */
#include "modules/linux/fs/node.h"

#include <microlake/memory.h>
#include <microlake/time.h>

struct node *node_root;

static struct mutex node_rename_lock = MUTEX_INIT(node_rename_lock);
static struct spinlock node_place_lock = SPINLOCK_INIT; /* parent and name of every node */
static uint64_t last_number;

int node_create(struct node *parent, const char *name, uint32_t mode, const struct file_system *fs,
                const struct node_ops *ops, void *data, struct node **out)
{
    struct node *n = kzalloc(sizeof(*n));

    if (!n)
        return ERR_NO_MEMORY;
    n->name = kstrdup(name);
    if (!n->name) {
        kfree(n);
        return ERR_NO_MEMORY;
    }
    n->refs = 1;
    n->mode = mode;
    n->number = __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED);
    n->fs = fs;
    n->ops = ops;
    n->data = data;
    n->changed = time_now();
    list_init(&n->sibling);
    list_init(&n->children);
    mutex_init(&n->lock);
    n->parent = parent ? parent : n;
    if (parent)
        node_ref(parent);
    *out = n;
    return OK;
}

void node_ref(struct node *n)
{
    __atomic_add_fetch(&n->refs, 1, __ATOMIC_RELAXED);
}

bool node_ref_live(struct node *n)
{
    uint32_t refs = __atomic_load_n(&n->refs, __ATOMIC_RELAXED);

    while (refs > 0)
        if (__atomic_compare_exchange_n(&n->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Iterative: a long chain of parents must not become a deep stack. */
void node_unref(struct node *n)
{
    while (n && __atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        struct node *parent = n->parent != n ? n->parent : NULL;

        if (n->ops->release)
            n->ops->release(n);
        kfree(n->name);
        kfree(n);
        n = parent;
    }
}

struct node *node_child_locked(struct node *folder, const char *name)
{
    list_for_each (it, &folder->children) {
        struct node *child = list_entry(it, struct node, sibling);

        if (strcmp(child->name, name) == 0)
            return child;
    }
    return NULL;
}

void node_attach_locked(struct node *n)
{
    struct node *folder = n->parent;

    node_ref(n);
    n->linked = true;
    n->cookie = ++folder->next_cookie;
    list_push_back(&folder->children, &n->sibling);
}

int node_attach(struct node *n)
{
    int r = OK;

    mutex_lock(&n->parent->lock);
    if (n->parent->dead)
        r = ERR_NOT_FOUND;
    else if (node_child_locked(n->parent, n->name))
        r = ERR_EXISTS;
    else
        node_attach_locked(n);
    mutex_unlock(&n->parent->lock);
    return r;
}

void node_detach_locked(struct node *n)
{
    if (!n->linked)
        return;
    n->linked = false;
    list_remove(&n->sibling);
    node_unref(n);
}

void node_detach(struct node *n)
{
    struct node *folder = n->parent;

    node_ref(folder);
    mutex_lock(&folder->lock);
    node_detach_locked(n);
    mutex_unlock(&folder->lock);
    node_unref(folder);
}

/* Lookups take their reference under the folder's lock. */
void node_forget(struct node *n)
{
    struct node *folder;

    mutex_lock(&node_rename_lock);
    folder = n->parent;
    node_ref(folder);
    mutex_lock(&folder->lock);
    if (__atomic_load_n(&n->refs, __ATOMIC_ACQUIRE) == 2 && list_empty(&n->children))
        node_detach_locked(n);
    mutex_unlock(&folder->lock);
    mutex_unlock(&node_rename_lock);
    node_unref(folder);
}

int node_lookup(struct node *folder, const char *name, struct node **out)
{
    struct node *child;

    if (!node_is_folder(folder))
        return LINUX_ERRNO(ENOTDIR);
    mutex_lock(&folder->lock);
    child = node_child_locked(folder, name);
    if (child)
        node_ref(child);
    mutex_unlock(&folder->lock);
    if (child && child->ops->valid && !child->ops->valid(child)) {
        node_detach(child);
        node_unref(child);
        child = NULL;
    }
    *out = child;
    if (child)
        return OK;
    return folder->ops->lookup ? folder->ops->lookup(folder, name, out) : ERR_NOT_FOUND;
}

/* One folder below another, made where it is not there. */
static int make_folder(struct node *folder, const char *name, const struct file_system *fs,
                       const struct node_ops *ops, struct node **out)
{
    int r = node_lookup(folder, name, out);

    if (r != ERR_NOT_FOUND)
        return r;
    r = node_create(folder, name, LINUX_S_IFDIR | 0755, fs, ops, NULL, out);
    if (r != OK)
        return r;
    r = node_attach(*out);
    if (r == OK)
        return OK;
    node_unref(*out);
    return r == ERR_EXISTS ? node_lookup(folder, name, out) : r;
}

int node_make_folders(struct node *from, const char *path, size_t length,
                      const struct file_system *fs, const struct node_ops *ops, struct node **out)
{
    struct node *at = from;
    size_t i = 0;

    node_ref(at);
    while (i < length) {
        char name[LINUX_NAME_MAX + 1];
        struct node *next;
        size_t n = 0;
        int r;

        while (i + n < length && path[i + n] != '/')
            n++;
        if (n > LINUX_NAME_MAX) {
            node_unref(at);
            return LINUX_ERRNO(ENAMETOOLONG);
        }
        memcpy(name, path + i, n);
        name[n] = '\0';
        if (strcmp(name, "..") == 0) {
            node_unref(at);
            return ERR_INVALID;
        }
        if (n > 0 && strcmp(name, ".") != 0) {
            r = make_folder(at, name, fs, ops, &next);
            node_unref(at);
            if (r != OK)
                return r;
            at = next;
        }
        i += n + 1;
    }
    *out = at;
    return OK;
}

/* Positions: 0 is ".", 1 is "..", then 1 + cookie of listed children, then LIST_DYNAMIC + n. */
#define LIST_DYNAMIC (1ull << 40)

static bool list_children(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    bool room = true;

    mutex_lock(&folder->lock);
    list_for_each (it, &folder->children) {
        struct node *child = list_entry(it, struct node, sibling);

        if (child->cookie + 1 < *at)
            continue;
        room = sink->entry(sink, child->name, child->number, child->mode, child->cookie + 2);
        if (!room)
            break;
        *at = child->cookie + 2;
    }
    mutex_unlock(&folder->lock);
    return room;
}

void node_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    if (folder->ops->valid) { /* its children are only what was seen of it */
        folder->ops->list(folder, at, sink);
        return;
    }
    if (*at == 0) {
        if (!sink->entry(sink, ".", folder->number, folder->mode, 1))
            return;
        *at = 1;
    }
    if (*at == 1) {
        if (!sink->entry(sink, "..", folder->parent->number, folder->mode, 2))
            return;
        *at = 2;
    }
    if (*at < LIST_DYNAMIC) {
        if (!list_children(folder, at, sink))
            return;
        if (!folder->ops->list)
            return;
        *at = LIST_DYNAMIC;
    }
    if (folder->ops->list) {
        uint64_t position = *at - LIST_DYNAMIC;

        folder->ops->list(folder, &position, sink);
        *at = LIST_DYNAMIC + position;
    }
}

int node_make(struct node *folder, const char *name, uint32_t mode, const char *text,
              struct node **out)
{
    int r = node_lookup(folder, name, out);

    if (r == OK) {
        node_unref(*out);
        return ERR_EXISTS;
    }
    if (r != ERR_NOT_FOUND)
        return r;
    if (folder->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (!folder->ops->make)
        return LINUX_ERRNO(EPERM);
    mutex_lock(&folder->lock);
    if (folder->dead)
        r = ERR_NOT_FOUND;
    else if (node_child_locked(folder, name))
        r = ERR_EXISTS;
    else
        r = folder->ops->make(folder, name, mode, text, out);
    mutex_unlock(&folder->lock);
    if (r == OK)
        node_touch(folder);
    return r;
}

/* Makes sure that an empty folder stays empty, because it is about to go. */
static int bury_folder(struct node *n)
{
    int r = OK;

    mutex_lock(&n->lock);
    if (list_empty(&n->children))
        n->dead = true;
    else
        r = LINUX_ERRNO(ENOTEMPTY);
    mutex_unlock(&n->lock);
    return r;
}

/* A child of a file system whose nodes only remember must be remembered before it can go. */
static int remember_child(struct node *folder, const char *name)
{
    struct node *child;
    int r = folder->ops->valid ? node_lookup(folder, name, &child) : ERR_NOT_FOUND;

    if (r == OK)
        node_unref(child);
    return r == ERR_NOT_FOUND ? OK : r;
}

int node_remove(struct node *folder, const char *name, bool remove_folder)
{
    struct node *child;
    int r = remember_child(folder, name);

    if (r != OK)
        return r;
    if (folder->fs->read_only)
        return LINUX_ERRNO(EROFS);
    mutex_lock(&folder->lock);
    child = node_child_locked(folder, name);
    if (!child)
        r = ERR_NOT_FOUND;
    else if (!folder->ops->make || child->fs != folder->fs)
        r = LINUX_ERRNO(EPERM);
    else if (remove_folder && !node_is_folder(child))
        r = LINUX_ERRNO(ENOTDIR);
    else if (!remove_folder && node_is_folder(child))
        r = LINUX_ERRNO(EISDIR);
    if (r == OK && folder->ops->remove)
        r = folder->ops->remove(folder, child);
    if (r == OK && remove_folder)
        r = bury_folder(child);
    if (r == OK)
        node_detach_locked(child);
    mutex_unlock(&folder->lock);
    if (r == OK)
        node_touch(folder);
    return r;
}

/* to lies in the tree below n. node_rename_lock is held, so that nothing moves. */
static bool is_below(struct node *n, struct node *to)
{
    for (;; to = to->parent) {
        if (to == n)
            return true;
        if (to == to->parent)
            return false;
    }
}

/* May `moved` take the place of `replaced` (NULL: a free name)? */
static int check_replace(struct node *moved, struct node *replaced)
{
    if (!replaced)
        return OK;
    if (node_is_folder(moved) && !node_is_folder(replaced))
        return LINUX_ERRNO(ENOTDIR);
    if (!node_is_folder(moved) && node_is_folder(replaced))
        return LINUX_ERRNO(EISDIR);
    return node_is_folder(replaced) ? bury_folder(replaced) : OK;
}

static void lock_pair(struct node *a, struct node *b)
{
    if (a > b) {
        struct node *swap = a;

        a = b;
        b = swap;
    }
    mutex_lock(&a->lock);
    if (b != a)
        mutex_lock(&b->lock);
}

static void unlock_pair(struct node *a, struct node *b)
{
    mutex_unlock(&a->lock);
    if (b != a)
        mutex_unlock(&b->lock);
}

/* Both folders' locks are held. name is given away on success. */
static int rename_locked(struct node *from, const char *from_name, struct node *to,
                         const char *to_name, char *name)
{
    struct node *moved = node_child_locked(from, from_name);
    struct node *replaced = node_child_locked(to, to_name);
    char *old_name;
    int r;

    if (!moved)
        return ERR_NOT_FOUND;
    if (moved == replaced) {
        kfree(name);
        return OK;
    }
    if (to->dead)
        return ERR_NOT_FOUND;
    if (is_below(moved, to))
        return ERR_INVALID;
    if (moved->fs != from->fs || (replaced && replaced->fs != to->fs))
        return ERR_BUSY;
    r = check_replace(moved, replaced);
    if (r == OK && from->ops->rename)
        r = from->ops->rename(from, from_name, to, to_name);
    if (r != OK)
        return r;
    if (replaced)
        node_detach_locked(replaced);
    node_ref(moved);
    node_detach_locked(moved);
    node_ref(to);
    spin_lock(&node_place_lock);
    old_name = moved->name;
    moved->name = name;
    moved->parent = to;
    spin_unlock(&node_place_lock);
    node_unref(from);
    kfree(old_name);
    node_attach_locked(moved);
    node_unref(moved);
    return OK;
}

int node_rename(struct node *from, const char *from_name, struct node *to, const char *to_name)
{
    char *name;
    int r;

    if (from->fs != to->fs)
        return LINUX_ERRNO(EXDEV);
    if (from->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (!from->ops->make || !to->ops->make)
        return LINUX_ERRNO(EPERM);
    r = remember_child(from, from_name);
    if (r == OK)
        r = remember_child(to, to_name);
    if (r != OK)
        return r;
    name = kstrdup(to_name);
    if (!name)
        return ERR_NO_MEMORY;
    mutex_lock(&node_rename_lock);
    lock_pair(from, to);
    r = rename_locked(from, from_name, to, to_name, name);
    unlock_pair(from, to);
    mutex_unlock(&node_rename_lock);
    if (r != OK)
        kfree(name);
    return r;
}

long node_path(struct node *n, char *out, size_t size)
{
    size_t at = size;
    long length;

    if (size < 2)
        return ERR_RANGE;
    spin_lock(&node_place_lock);
    for (; n != n->parent; n = n->parent) {
        size_t part = strlen(n->name);

        if (part + 1 >= at) {
            spin_unlock(&node_place_lock);
            return ERR_RANGE;
        }
        at -= part;
        memcpy(out + at, n->name, part);
        out[--at] = '/';
    }
    spin_unlock(&node_place_lock);
    if (at == size)
        out[--at] = '/';
    length = (long)(size - at);
    memmove(out, out + at, (size_t)length);
    if ((size_t)length == size)
        return ERR_RANGE;
    out[length] = '\0';
    return length;
}

uint64_t node_size(struct node *n)
{
    return n->ops->size ? n->ops->size(n) : 0;
}

void node_touch(struct node *n)
{
    n->changed = time_now();
}
