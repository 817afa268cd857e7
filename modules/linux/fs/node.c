/*
 * node.c: the tree itself: making nodes, finding children, listing. See node.h.
 */
#include "modules/linux/fs/node.h"

#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/fs/seat.h"
#include "modules/linux/fs/xattr.h"
#include "modules/linux/process/limits.h"
#include "modules/linux/time/clock.h"

struct node *node_root;

struct mutex node_rename_lock = MUTEX_INIT(node_rename_lock);
struct spinlock node_place_lock = SPINLOCK_INIT; /* parent and name of every node */
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
    n->links = (mode & LINUX_S_IFMT) == LINUX_S_IFDIR ? 2 : 1;
    n->accessed = n->modified = n->changed = clock_stamp();
    list_init(&n->sibling);
    list_init(&n->children);
    list_init(&n->xattrs);
    mutex_init(&n->lock);
    n->parent = parent ? parent : n;
    if (parent)
        node_ref(parent);
    *out = n;
    return OK;
}

/* The lower ones are those of the file systems that are always there. */
uint32_t file_system_new_id(void)
{
    static uint32_t last = 31;

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
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

        node_unname_object(n);
        if (n->ops->release)
            n->ops->release(n);
        if (n->same)
            node_unref(n->same); /* no second name itself: this goes one level deep */
        if (!list_empty(&n->xattrs))
            xattrs_free(n);
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

struct node *node_parent(struct node *n)
{
    struct node *parent;

    spin_lock(&node_place_lock);
    parent = n->parent;
    node_ref(parent);
    spin_unlock(&node_place_lock);
    return parent;
}

/* node_place_lock is held. */
static const char *name_of(const struct node *n)
{
    return n->bound ? n->same->name : n->name;
}

struct node *node_place(struct node *n, char *name)
{
    struct node *parent;

    spin_lock(&node_place_lock);
    parent = n->parent;
    node_ref(parent);
    strlcpy(name, name_of(n), LINUX_NAME_MAX + 1);
    spin_unlock(&node_place_lock);
    return parent;
}

void node_detach(struct node *n)
{
    struct node *folder = node_parent(n);

    mutex_lock(&folder->lock);
    if (n->parent == folder) /* else it was moved away meanwhile */
        node_detach_locked(n);
    mutex_unlock(&folder->lock);
    node_unref(folder);
}

/* Lookups take their reference under the folder's lock. */
void node_forget(struct node *n)
{
    struct node *folder;

    mutex_lock(&node_rename_lock);
    folder = node_parent(n);
    mutex_lock(&folder->lock);
    if (__atomic_load_n(&n->refs, __ATOMIC_ACQUIRE) == 2 && list_empty(&n->children))
        node_detach_locked(n);
    mutex_unlock(&folder->lock);
    mutex_unlock(&node_rename_lock);
    node_unref(folder);
}

struct node *node_settle(struct node *entry)
{
    struct node *n = entry->same;

    if (!n || entry->mounted || entry->bound)
        return entry;
    node_ref(n);
    if (!__atomic_load_n(&n->linked, __ATOMIC_RELAXED) && !__atomic_load_n(&n->hidden, __ATOMIC_RELAXED))
        node_take_place(entry);
    node_unref(entry);
    return n;
}

bool node_fill(struct node *folder)
{
    return folder->ops->fill && folder->ops->fill(folder);
}

/* What stands there now. */
static int lookup_now(struct node *folder, const char *name, struct node **out)
{
    struct node *child;

    mutex_lock(&folder->lock);
    child = node_child_locked(folder, name);
    if (child)
        node_ref(child);
    mutex_unlock(&folder->lock);
    if (child && child->ops->valid && !child->ops->valid(child) && !child->mounted) {
        node_detach(child);
        node_unref(child);
        child = NULL;
    }
    *out = child;
    if (child)
        return OK;
    return folder->ops->lookup ? folder->ops->lookup(folder, name, out) : ERR_NOT_FOUND;
}

int node_lookup(struct node *folder, const char *name, struct node **out)
{
    int r = node_lookup_place(folder, name, out);

    if (r == OK)
        *out = node_take_body(node_settle(*out));
    return r;
}

int node_lookup_place(struct node *folder, const char *name, struct node **out)
{
    int r;

    if (!node_is_folder(folder))
        return LINUX_ERRNO(ENOTDIR);
    if (folder->same)
        return seat_lookup(folder, name, out);
    r = lookup_now(folder, name, out);
    return r == ERR_NOT_FOUND && node_fill(folder) ? lookup_now(folder, name, out) : r;
}

/* One folder below another, made where it is not there. */
static int make_folder(struct node *folder, const char *name, const struct file_system *fs,
                       const struct node_ops *ops, struct node **out)
{
    int r = node_is_folder(folder) ? lookup_now(folder, name, out) : LINUX_ERRNO(ENOTDIR);

    if (r == OK)
        *out = node_take_body(*out);
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
        room = sink->entry(sink, child->name, node_body(child)->number, node_body(child)->mode,
                           child->cookie + 2);
        if (!room)
            break;
        *at = child->cookie + 2;
    }
    mutex_unlock(&folder->lock);
    return room;
}

void node_list(struct node *place, uint64_t *at, struct node_sink *sink)
{
    struct node *folder = node_body(place);

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
        struct node *parent = node_parent(place);
        bool room = sink->entry(sink, "..", node_body(parent)->number, folder->mode, 2);

        node_unref(parent);
        if (!room)
            return;
        *at = 2;
    }
    node_fill(folder);
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

/* Writes the path backwards to the end of out, from which it leaves `at` bytes. */
static int path_backwards(const struct node *root, const struct node *n, char *out, size_t *at)
{
    for (; n != root; n = n->parent) {
        const char *name = name_of(n);
        size_t part = strlen(name);

        if (n == n->parent)
            return ERR_NOT_FOUND;
        if (part + 1 >= *at)
            return ERR_RANGE;
        *at -= part;
        memcpy(out + *at, name, part);
        out[--*at] = '/';
    }
    return OK;
}

long node_path_from(const struct node *root, struct node *n, char *out, size_t size)
{
    size_t at = size;
    long length;
    int r;

    if (size < 2)
        return ERR_RANGE;
    spin_lock(&node_place_lock);
    r = path_backwards(root, n, out, &at);
    spin_unlock(&node_place_lock);
    if (r != OK)
        return r;
    if (at == size)
        out[--at] = '/';
    length = (long)(size - at);
    memmove(out, out + at, (size_t)length);
    if ((size_t)length == size)
        return ERR_RANGE;
    out[length] = '\0';
    return length;
}

long node_path(struct node *n, char *out, size_t size)
{
    return node_path_from(node_root, n, out, size);
}

int node_resize(struct node *n, uint64_t size)
{
    int r = limit_of_files_set() && size > node_size(n) ? limit_file_size(size) : OK;

    return r == OK ? n->ops->resize(n, size) : r;
}

uint64_t node_size(struct node *n)
{
    return n->ops->size ? n->ops->size(n) : 0;
}
