/*
 * change.c: names that come, go and move, and new facts. Each change makes what it needs first and
 * then can't fail.
 */
#include "layer.h"

#include <microlake/memory.h>
#include <microlake/time.h>

#define TYPE_MASK   0170000u
#define TYPE_FOLDER 0040000u
#define TYPE_FILE   0100000u
#define TYPE_LINK   0120000u

static bool is_folder(const struct layer_node *n)
{
    return (n->attr.mode & TYPE_MASK) == TYPE_FOLDER;
}

static void folder_touched(struct layer_node *folder)
{
    folder->attr.changed = layer_time();
    folder->attr.status_changed = folder->attr.changed;
    folder->attr.version++;
    layer_node_changed(folder);
}

static int entry_create(const char *name, struct layer_entry **out)
{
    *out = layer_entry_make(name);
    return *out ? OK : ERR_NO_MEMORY;
}

/* The name leads to the node, whose reference the entry takes over, or (NULL) to nothing. `entry`
 * was made for the name and is used up. */
static void name_set(struct layer *l, struct layer_node *folder, const struct layer_name *name,
                     struct layer_node *node, struct layer_entry *entry)
{
    entry->covers = name->covers;
    entry->node = node;
    if (name->entry)
        layer_entry_remove(l, name->entry);
    if (node || entry->covers)
        layer_entry_insert(l, folder, entry);
    else
        kfree(entry);
    folder_touched(folder);
}

/* ---- Coming
 * -------------------------------------------------------------------------------------- */

/* The name must be free. */
static int find_free(struct layer *l, struct layer_node *folder, const char *name,
                     struct layer_name *out)
{
    int r = layer_name_find(l, folder, name, out);

    if (r != OK || !out->node)
        return r;
    layer_node_unref(l, out->node);
    return ERR_EXISTS;
}

static int node_make(struct layer *l, struct layer_node *folder, uint32_t mode, const char *text,
                     uint32_t device, struct layer_node **out)
{
    bool link = (mode & TYPE_MASK) == TYPE_LINK;
    struct layer_node *n = layer_node_make(l, mode);

    if (n && link)
        n->text = kstrdup(text);
    if (!n || (link && !n->text)) {
        layer_node_unref(l, n);
        return ERR_NO_MEMORY;
    }
    n->attr.device = device;
    n->attr.links = is_folder(n) ? 2 : 1;
    n->attr.size = link ? strlen(text) : 0;
    n->parent = folder->attr.number;
    *out = n;
    return OK;
}

static int make_locked(struct layer *l, struct layer_node *folder, const char *name, uint32_t mode,
                       const char *text, uint32_t device, struct layer_node **out)
{
    struct layer_entry *entry;
    struct layer_name free;
    int r = find_free(l, folder, name, &free);

    if (r == OK)
        r = entry_create(name, &entry);
    if (r != OK)
        return r;
    r = node_make(l, folder, mode, text, device, out);
    if (r != OK) {
        kfree(entry);
        return r;
    }
    (*out)->refs++;
    folder->attr.links += is_folder(*out);
    name_set(l, folder, &free, *out, entry);
    return OK;
}

int layer_make(void *fs, void *folder, const char *name, uint32_t mode, const char *text,
               uint32_t device, void **out, struct linux_fs_attr *attr)
{
    struct layer *l = fs;
    struct layer_node *n;
    int r;

    mutex_lock(&l->lock);
    r = make_locked(l, folder, name, mode, text, device, &n);
    if (r == OK) {
        *attr = n->attr;
        *out = n;
    }
    mutex_unlock(&l->lock);
    return r;
}

int layer_link(void *fs, void *folder, const char *name, void *object)
{
    struct layer *l = fs;
    struct layer_node *n = object;
    struct layer_entry *entry;
    struct layer_name free;
    int r;

    mutex_lock(&l->lock);
    r = n->attr.links == 0 ? ERR_NOT_FOUND : find_free(l, folder, name, &free);
    if (r == OK)
        r = entry_create(name, &entry);
    if (r == OK) {
        n->attr.links++;
        n->attr.status_changed = layer_time();
        layer_node_changed(n);
        n->refs++;
        name_set(l, folder, &free, n, entry);
    }
    mutex_unlock(&l->lock);
    return r;
}

/* ---- Going and moving
 * ---------------------------------------------------------------------------- */

/* May this go? `as_folder`: what the caller takes it for. */
static int check_removable(struct layer *l, struct layer_node *n, bool as_folder)
{
    if (as_folder && !is_folder(n))
        return LINUX_ERRNO(ENOTDIR);
    if (!as_folder && is_folder(n))
        return LINUX_ERRNO(EISDIR);
    return as_folder ? layer_folder_empty(l, n) : OK;
}

static int remove_locked(struct layer *l, struct layer_node *folder, const char *name,
                         bool as_folder)
{
    struct layer_entry *entry;
    struct layer_name found;
    int r = layer_name_find(l, folder, name, &found);

    if (r != OK)
        return r;
    if (!found.node)
        return ERR_NOT_FOUND;
    r = check_removable(l, found.node, as_folder);
    if (r == OK)
        r = entry_create(name, &entry);
    if (r == OK) {
        folder->attr.links -= as_folder;
        layer_node_lost_name(l, found.node);
        name_set(l, folder, &found, NULL, entry);
    }
    layer_node_unref(l, found.node);
    return r;
}

int layer_remove(void *fs, void *folder, const char *name, bool as_folder)
{
    struct layer *l = fs;
    int r;

    mutex_lock(&l->lock);
    r = remove_locked(l, folder, name, as_folder);
    mutex_unlock(&l->lock);
    return r;
}

/* Both names are known, and entries for them made. */
static void move(struct layer *l, struct layer_node *from, const struct layer_name *source,
                 struct layer_entry *hole, struct layer_node *to, const struct layer_name *target,
                 struct layer_entry *place)
{
    struct layer_node *n = source->node;

    if (target->node)
        layer_node_lost_name(l, target->node);
    if (is_folder(n)) {
        from->attr.links--;
        to->attr.links += !target->node;
        n->parent = to->attr.number;
    }
    n->attr.status_changed = layer_time();
    layer_node_changed(n);
    n->refs++;
    name_set(l, to, target, n, place);
    name_set(l, from, source, NULL, hole);
}

static int rename_locked(struct layer *l, struct layer_node *from, const char *from_name,
                         struct layer_node *to, const char *to_name)
{
    struct layer_name source, target = {0};
    struct layer_entry *hole = NULL, *place = NULL;
    int r = layer_name_find(l, from, from_name, &source);

    if (r == OK && !source.node)
        r = ERR_NOT_FOUND;
    if (r != OK)
        return r;
    r = layer_name_find(l, to, to_name, &target);
    if (r == OK && target.node == source.node)
        goto out; /* two names of one file: both stay */
    if (r == OK && target.node)
        r = check_removable(l, target.node, is_folder(source.node));
    if (r == OK)
        r = entry_create(from_name, &hole);
    if (r == OK)
        r = entry_create(to_name, &place);
    if (r == OK)
        move(l, from, &source, hole, to, &target, place);
    else
        kfree(hole);
out:
    layer_node_unref(l, target.node);
    layer_node_unref(l, source.node);
    return r;
}

int layer_rename(void *fs, void *from, const char *from_name, void *to, const char *to_name)
{
    struct layer *l = fs;
    int r;

    mutex_lock(&l->lock);
    r = rename_locked(l, from, from_name, to, to_name);
    mutex_unlock(&l->lock);
    return r;
}

/* ---- Facts
 * --------------------------------------------------------------------------------------- */

static void status_changed(struct layer *l, struct layer_node *n)
{
    n->attr.status_changed = layer_time();
    layer_node_changed(n);
    mutex_unlock(&l->lock);
}

int layer_set_mode(void *fs, void *object, uint32_t mode)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    mutex_lock(&l->lock);
    n->attr.mode = (n->attr.mode & TYPE_MASK) | (mode & 07777);
    status_changed(l, n);
    return OK;
}

int layer_set_owner(void *fs, void *object, uint32_t uid, uint32_t gid)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    mutex_lock(&l->lock);
    if (uid != LINUX_FS_KEEP_ID)
        n->attr.uid = uid;
    if (gid != LINUX_FS_KEEP_ID)
        n->attr.gid = gid;
    status_changed(l, n);
    return OK;
}

int layer_set_times(void *fs, void *object, const uint64_t *accessed, const uint64_t *changed)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    mutex_lock(&l->lock);
    if (accessed)
        n->attr.accessed = *accessed;
    if (changed)
        n->attr.changed = *changed;
    status_changed(l, n);
    return OK;
}
