/*
 * node_change.c: changing the tree: making, linking, removing and moving names. See node.h.
 *
 * A file with several names is one node in one place and, for each further name, an entry whose
 * `same` leads to it.
 */
#include <microlake/memory.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/fs/permission.h"

/* ---- Making
 * ---------------------------------------------------------------------------------------- */

/* May a name be added to this folder? ERR_EXISTS: it is there. */
static int check_free(struct node *folder, const char *name)
{
    struct node *there;
    int r = node_is_folder(folder) ? permission_check(folder, PERMIT_EXECUTE) : OK;

    if (r == OK)
        r = node_lookup(folder, name, &there);
    if (r == OK) {
        node_unref(there);
        return ERR_EXISTS;
    }
    if (r != ERR_NOT_FOUND)
        return r;
    return folder->fs->read_only ? LINUX_ERRNO(EROFS)
                                 : permission_check(folder, PERMIT_WRITE | PERMIT_EXECUTE);
}

static void count_link(struct node *n, int by)
{
    __atomic_add_fetch(&n->links, (uint32_t)by, __ATOMIC_RELAXED);
}

int node_make(struct node *folder, const char *name, const struct node_kind *kind,
              struct node **out)
{
    int r = check_free(folder, name);

    if (r != OK)
        return r;
    if (!folder->ops->make)
        return LINUX_ERRNO(EPERM);
    mutex_lock(&folder->lock);
    if (folder->dead)
        r = ERR_NOT_FOUND;
    else if (node_child_locked(folder, name))
        r = ERR_EXISTS;
    else
        r = folder->ops->make(folder, name, kind, out);
    mutex_unlock(&folder->lock);
    if (r != OK)
        return r;
    permission_own(folder, *out);
    if (node_is_folder(*out))
        count_link(folder, 1);
    node_touch(folder);
    return OK;
}

static const struct node_ops second_name_ops = {0};

/* Where names only remember what a server has, the new one is looked up when it is wanted. */
static int link_locked(struct node *folder, const char *name, struct node *node)
{
    struct node *entry;
    int r;

    if (folder->dead)
        return ERR_NOT_FOUND;
    if (node_child_locked(folder, name))
        return ERR_EXISTS;
    r = folder->ops->link(folder, name, node);
    if (r != OK || folder->ops->valid)
        return r;
    r = node_create(folder, name, node->mode, node->fs, &second_name_ops, NULL, &entry);
    if (r != OK)
        return r;
    entry->same = node;
    node_ref(node);
    node_attach_locked(entry);
    node_unref(entry);
    return OK;
}

int node_link(struct node *folder, const char *name, struct node *node)
{
    int r = check_free(folder, name);

    if (r != OK)
        return r;
    if (folder->fs != node->fs)
        return LINUX_ERRNO(EXDEV);
    if (__atomic_load_n(&node->links, __ATOMIC_RELAXED) == 0 && !node->linkable)
        return ERR_NOT_FOUND;
    if (node_is_folder(node) || !folder->ops->link)
        return LINUX_ERRNO(EPERM);
    mutex_lock(&folder->lock);
    r = link_locked(folder, name, node);
    mutex_unlock(&folder->lock);
    if (r != OK)
        return r;
    count_link(node, 1);
    node_touch_status(node);
    node_touch(folder);
    return OK;
}

void node_take_place(struct node *name)
{
    struct node *n = name->same, *folder, *old;
    char *text;

    mutex_lock(&node_rename_lock);
    folder = name->parent;
    mutex_lock(&folder->lock);
    if (name->linked && !n->linked && !n->hidden) {
        node_ref(folder);
        node_ref(n);
        spin_lock(&node_place_lock);
        old = n->parent;
        n->parent = folder;
        text = n->name;
        n->name = name->name;
        name->name = text;
        spin_unlock(&node_place_lock);
        n->cookie = name->cookie;
        n->linked = true;
        list_push_back(&name->sibling, &n->sibling); /* before it */
        node_unref(old);
        node_detach_locked(name);
    }
    mutex_unlock(&folder->lock);
    mutex_unlock(&node_rename_lock);
}

/* ---- Removing
 * -------------------------------------------------------------------------------------- */

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

/* An entry has left its folder for good. */
static void forget_name(struct node *folder, struct node *body)
{
    if (node_is_folder(body)) {
        __atomic_store_n(&body->links, 0, __ATOMIC_RELAXED);
        count_link(folder, -1);
    } else {
        count_link(body, -1);
    }
    node_touch_status(body);
}

/* Something is mounted over this entry of a folder, perhaps from the same file system, or over what it stands
 * for where a bind mount shows that. folder->lock is held. */
static bool is_covered(const struct node *folder, struct node *entry)
{
    return entry->mounted || entry->fs != folder->fs ||
           __atomic_load_n(&node_body(entry)->covers, __ATOMIC_RELAXED) > 0;
}

static int check_remove(const struct node *folder, struct node *child, bool remove_folder)
{
    if (!child)
        return ERR_NOT_FOUND;
    if (is_covered(folder, child))
        return ERR_BUSY;
    if (!folder->ops->make)
        return LINUX_ERRNO(EPERM);
    if (remove_folder && !node_is_folder(child))
        return LINUX_ERRNO(ENOTDIR);
    return !remove_folder && node_is_folder(child) ? LINUX_ERRNO(EISDIR) : OK;
}

static int remove_locked(struct node *folder, const char *name, bool remove_folder)
{
    struct node *child = node_child_locked(folder, name);
    int r = child ? permission_remove(folder, node_body(child)) : OK;

    if (r == OK)
        r = check_remove(folder, child, remove_folder);
    if (r == OK && folder->ops->remove)
        r = folder->ops->remove(folder, child);
    if (r == OK && remove_folder)
        r = bury_folder(child);
    if (r != OK)
        return r;
    forget_name(folder, node_body(child));
    node_detach_locked(child);
    return OK;
}

int node_remove(struct node *folder, const char *name, bool remove_folder)
{
    int r = remember_child(folder, name);

    if (r != OK)
        return r;
    if (folder->fs->read_only)
        return LINUX_ERRNO(EROFS);
    mutex_lock(&folder->lock);
    r = remove_locked(folder, name, remove_folder);
    mutex_unlock(&folder->lock);
    if (r == OK)
        node_touch(folder);
    return r;
}

/* ---- Moving
 * ---------------------------------------------------------------------------------------- */

/* to is n, or lies in the tree below n. node_rename_lock is held, so that nothing moves. */
static bool is_below(const struct node *n, const struct node *to)
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

/* A folder before those below it, as everywhere. node_rename_lock is held: one pair at a time. */
static void lock_pair(struct node *a, struct node *b)
{
    bool swap = is_below(b, a);

    mutex_lock(swap ? &b->lock : &a->lock);
    if (b != a)
        mutex_lock(swap ? &a->lock : &b->lock);
}

static void unlock_pair(struct node *a, struct node *b)
{
    mutex_unlock(&a->lock);
    if (b != a)
        mutex_unlock(&b->lock);
}

/* Puts an entry of `from` into `to` under another name, which it takes over. */
static void move_locked(struct node *moved, struct node *from, struct node *to, char *name)
{
    char *old_name;

    node_ref(moved);
    node_detach_locked(moved);
    node_ref(to);
    spin_lock(&node_place_lock);
    old_name = moved->name;
    moved->name = name;
    moved->parent = to;
    spin_unlock(&node_place_lock);
    node_attach_locked(moved);
    if (node_is_folder(moved)) {
        count_link(from, -1);
        count_link(to, 1);
    }
    node_touch_status(node_body(moved));
    node_unref(moved);
    node_unref(from);
    kfree(old_name);
}

/* Where nodes only remember, each name of a file has one. */
static bool is_same_file(const struct node *a, const struct node *b)
{
    if (a->same || b->same || a == b)
        return (a->same ? a->same : a) == (b->same ? b->same : b);
    return a->ops->valid && a->fs == b->fs && a->number == b->number;
}

/* May the caller move these (replaced: NULL when the name is free)? A folder's ".." is in it. */
static int check_names(const struct node *from, struct node *moved, const struct node *to,
                       struct node *replaced)
{
    int r = permission_remove(from, node_body(moved));

    if (r == OK && replaced)
        r = permission_remove(to, node_body(replaced));
    if (r == OK && from != to && node_is_folder(moved))
        r = permission_check(moved, PERMIT_WRITE);
    return r;
}

/* Both folders' locks are held. name is given away on success. */
static int rename_locked(struct node *from, const char *from_name, struct node *to,
                         const char *to_name, char *name, bool keep)
{
    struct node *moved = node_child_locked(from, from_name);
    struct node *replaced = node_child_locked(to, to_name);
    int r;

    if (!moved || to->dead)
        return ERR_NOT_FOUND;
    if (replaced && keep)
        return ERR_EXISTS;
    if (is_below(moved, to))
        return ERR_INVALID;
    if (replaced && is_below(replaced, from))
        return LINUX_ERRNO(ENOTEMPTY);
    if (is_covered(from, moved) || (replaced && is_covered(to, replaced)))
        return ERR_BUSY;
    if (replaced && is_same_file(moved, replaced)) {
        kfree(name);
        return OK;
    }
    r = check_names(from, moved, to, replaced);
    if (r == OK)
        r = check_replace(moved, replaced);
    if (r == OK && from->ops->rename)
        r = from->ops->rename(from, from_name, to, to_name);
    if (r != OK)
        return r;
    if (replaced) {
        forget_name(to, node_body(replaced));
        node_detach_locked(replaced);
    }
    move_locked(moved, from, to, name);
    return OK;
}

/* What must hold for both folders of a move, and that both names are known. */
static int check_move(struct node *from, const char *from_name, struct node *to,
                      const char *to_name)
{
    int r;

    if (from->fs != to->fs)
        return LINUX_ERRNO(EXDEV);
    if (from->fs->read_only)
        return LINUX_ERRNO(EROFS);
    r = permission_check(from, PERMIT_WRITE | PERMIT_EXECUTE);
    if (r == OK)
        r = permission_check(to, PERMIT_WRITE | PERMIT_EXECUTE);
    if (r != OK)
        return r;
    if (!from->ops->make || !to->ops->make)
        return LINUX_ERRNO(EPERM);
    r = remember_child(from, from_name);
    return r == OK ? remember_child(to, to_name) : r;
}

static void touch_pair(struct node *from, struct node *to)
{
    node_touch(from);
    if (to != from)
        node_touch(to);
}

int node_rename(struct node *from, const char *from_name, struct node *to, const char *to_name,
                bool keep)
{
    char *name;
    int r = check_move(from, from_name, to, to_name);

    if (r != OK)
        return r;
    name = kstrdup(to_name);
    if (!name)
        return ERR_NO_MEMORY;
    mutex_lock(&node_rename_lock);
    lock_pair(from, to);
    r = rename_locked(from, from_name, to, to_name, name, keep);
    unlock_pair(from, to);
    mutex_unlock(&node_rename_lock);
    if (r != OK)
        kfree(name);
    else
        touch_pair(from, to);
    return r;
}

/* Puts an entry that was taken out of its list at a new place. */
static void place_locked(struct node *entry, struct node *folder, char *name)
{
    spin_lock(&node_place_lock);
    entry->name = name;
    entry->parent = folder;
    spin_unlock(&node_place_lock);
    entry->cookie = ++folder->next_cookie;
    list_push_back(&folder->children, &entry->sibling);
    node_touch_status(node_body(entry));
}

static int exchange_locked(struct node *from, const char *from_name, struct node *to,
                           const char *to_name)
{
    struct node *a = node_child_locked(from, from_name), *b = node_child_locked(to, to_name);
    int folders, r;
    char *a_name;

    if (!a || !b)
        return ERR_NOT_FOUND;
    if (is_below(a, to) || is_below(b, from))
        return a == b ? OK : ERR_INVALID;
    if (is_covered(from, a) || is_covered(to, b))
        return ERR_BUSY;
    r = check_names(from, a, to, b);
    if (r != OK)
        return r;
    r = from->ops->exchange(from, from_name, to, to_name);
    if (r != OK || a == b)
        return r;
    folders = (int)node_is_folder(a) - (int)node_is_folder(b);
    a_name = a->name;
    list_remove(&a->sibling);
    list_remove(&b->sibling);
    place_locked(a, to, b->name); /* each leaves a reference to its folder to the other */
    place_locked(b, from, a_name);
    count_link(from, -folders);
    count_link(to, folders);
    return OK;
}

int node_exchange(struct node *from, const char *from_name, struct node *to, const char *to_name)
{
    int r = check_move(from, from_name, to, to_name);

    if (r != OK)
        return r;
    if (!from->ops->exchange)
        return ERR_INVALID;
    mutex_lock(&node_rename_lock);
    lock_pair(from, to);
    r = exchange_locked(from, from_name, to, to_name);
    unlock_pair(from, to);
    mutex_unlock(&node_rename_lock);
    if (r == OK)
        touch_pair(from, to);
    return r;
}
