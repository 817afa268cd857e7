/*
 * mount.c: the table of mounts. See mount.h.
 *
 * It holds what was mounted; the file systems that are always there are found in the tree when
 * somebody asks, so that a machine in which nobody does has no work with them.
 */
#include "modules/linux/fs/mount.h"

#include <microlake/memory.h>

#define FIRST_ID  100u /* in mountinfo; below are those that are always there */
#define ALWAYS_ID 21u

struct mount {
    struct list link;
    struct node *entry;   /* what stands in the folder's list; a reference */
    struct node *covered; /* what it hides; a reference */
    struct node *before;  /* what stood in the folder's list; a reference; NULL: nothing did */
    char *source;
    unsigned flags;
    uint32_t id;
};

static struct mutex mounts_lock = MUTEX_INIT(mounts_lock);
static struct list mounts = LIST_INIT(mounts); /* oldest first; guarded by mounts_lock */
static struct list adrift = LIST_INIT(adrift); /* taken away, and still in use; guarded by mounts_lock */
static uint32_t last_id = FIRST_ID;            /* guarded by mounts_lock */

static void sweep_adrift_locked(void);

static const char *const always[] = {"/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/tmp"};

/* The mount whose entry this is, or NULL. */
static struct mount *find_locked(const struct node *entry)
{
    list_for_each (it, &mounts) {
        struct mount *m = list_entry(it, struct mount, link);

        if (m->entry == entry)
            return m;
    }
    return NULL;
}

/* ---- Covering
 * -------------------------------------------------------------------------------------- */

static void mount_free(struct mount *m)
{
    node_unref(m->covered);
    node_unref(m->before);
    kfree(m->source);
    kfree(m);
}

static struct mount *mount_create(struct node *covered, const char *source, unsigned flags)
{
    struct mount *m = kzalloc(sizeof(*m));

    if (!m)
        return NULL;
    node_ref(covered);
    m->covered = covered;
    m->flags = flags;
    m->source = kstrdup(source);
    if (m->source)
        return m;
    mount_free(m);
    return NULL;
}

/* Puts `fresh` where `old` is, which need not be in the list: another name of it may be, or nothing. *before is
 * what was, a reference, or NULL. */
static int replace(struct node *old, struct node *fresh, struct node **before)
{
    struct node *folder = fresh->parent, *there;
    int r = OK;

    mutex_lock(&folder->lock);
    there = node_child_locked(folder, fresh->name);
    if (folder->dead)
        r = ERR_NOT_FOUND;
    else if (there && there != old && (there->mounted || node_body(there) != old))
        r = ERR_BUSY; /* somebody else was faster */
    if (r == OK && there) {
        node_ref(there);
        *before = there;
        there->hidden = true;
        node_detach_locked(there);
    }
    if (r == OK)
        node_attach_locked(fresh);
    mutex_unlock(&folder->lock);
    return r;
}

/* It stands in a list, where the next look finds it again. */
static bool is_listed(const struct node *n)
{
    return n->parent == n || __atomic_load_n(&n->linked, __ATOMIC_RELAXED);
}

/* What is covered, and all folders above, will be found again. Those of a process are not in lists: each look
 * makes them anew, so what covers something in them would never be seen again, nor could it be taken away.
 * A seat stays as long as what it shows. */
static bool place_stays(struct node *covered)
{
    struct node *n = node_parent(covered), *above;
    bool stays = !covered->bound || is_listed(covered->same);

    while (stays && n->parent != n) {
        stays = is_listed(n->bound ? n->same : n);
        above = node_parent(n);
        node_unref(n);
        n = above;
    }
    node_unref(n);
    return stays;
}

/* What a seat shows can't be removed or moved while the seat, or one below it, is covered: no path would lead
 * there any more. */
static void count_cover(struct node *covered, int by)
{
    for (struct node *n = covered; n->bound; n = n->parent) /* a seat's parent never changes */
        __atomic_add_fetch(&n->same->covers, (uint32_t)by, __ATOMIC_RELAXED);
}

int mount_cover(struct node *covered, struct node *root, const char *source, unsigned flags)
{
    struct mount *m;
    int r;

    if (covered->parent == covered)
        return ERR_BUSY;
    if (node_is_folder(covered) != node_is_folder(node_body(root)))
        return LINUX_ERRNO(ENOTDIR);
    if (!place_stays(covered))
        return ERR_NOT_FOUND;
    m = mount_create(covered, source, flags);
    if (!m)
        return ERR_NO_MEMORY;
    mutex_lock(&mounts_lock);
    sweep_adrift_locked();
    root->mounted = true;
    r = replace(covered, root, &m->before);
    if (r == OK) {
        m->entry = root;
        m->id = last_id++;
        list_push_back(&mounts, &m->link);
        count_cover(covered, 1);
    }
    mutex_unlock(&mounts_lock);
    if (r != OK)
        mount_free(m);
    return r;
}

/* ---- Taking away
 * ----------------------------------------------------------------------------------- */

/* A node in a list has that reference and one of each of its children; the looker has `extra`.
 * More: somebody uses it. *first: its first child, a reference; NULL: it has none. */
static bool has_users(struct node *n, uint32_t extra, struct node **first)
{
    uint32_t own = 1 + extra;
    bool used;

    *first = NULL;
    mutex_lock(&n->lock);
    list_for_each (it, &n->children)
        own++;
    used = __atomic_load_n(&n->refs, __ATOMIC_ACQUIRE) > own;
    if (!used && !list_empty(&n->children)) {
        *first = list_entry(list_first(&n->children), struct node, sibling);
        node_ref(*first);
    }
    mutex_unlock(&n->lock);
    return used;
}

/* The entry behind one in its folder, a reference; the one of n is given up. NULL: it is the last,
 * and *n its folder then, a reference. */
static struct node *step_on(struct node **n)
{
    struct node *folder = node_parent(*n), *next = NULL;

    mutex_lock(&folder->lock);
    if ((*n)->linked && (*n)->parent == folder && (*n)->sibling.next != &folder->children) {
        next = list_entry((*n)->sibling.next, struct node, sibling);
        node_ref(next);
    }
    mutex_unlock(&folder->lock);
    node_unref(*n);
    *n = folder;
    if (next)
        node_unref(folder);
    return next;
}

/* Somebody uses this node, to which `extra` of our references lead, or one below it. However deep the tree
 * is, the stack is not. */
static bool in_use(struct node *top, uint32_t extra)
{
    struct node *n, *next;

    if (has_users(top, extra, &next))
        return true;
    for (n = next; n; n = next) {
        if (n->mounted || has_users(n, 1, &next)) {
            node_unref(n);
            return true;
        }
        if (next) {
            node_unref(n);
            continue;
        }
        while (!(next = step_on(&n)) && n != top)
            ;
        if (!next)
            node_unref(n);
    }
    return false;
}

/* Lets all nodes of a tree go. */
static void drop_children(struct node *top)
{
    struct node *n = top;

    node_ref(n);
    for (;;) {
        struct node *folder, *child = NULL;

        mutex_lock(&n->lock);
        if (!list_empty(&n->children)) {
            child = list_entry(list_first(&n->children), struct node, sibling);
            node_ref(child);
        }
        mutex_unlock(&n->lock);
        if (!child && n == top)
            break;
        folder = child ? NULL : node_parent(n);
        if (!child)
            node_detach(n);
        node_unref(n);
        n = child ? child : folder;
    }
    node_unref(n);
}

static void drop_tree(struct mount *m)
{
    if (!(m->flags & MOUNT_ALIAS) && !m->entry->ops->valid)
        drop_children(m->entry);
    node_unref(m->entry);
    mount_free(m);
}

/* Brings back what stood there; what only remembers is looked up again. mounts_lock is held. */
static void uncover(struct mount *m)
{
    struct node *folder = m->entry->parent, *before = m->before;

    mutex_lock(&folder->lock);
    node_detach_locked(m->entry);
    m->entry->mounted = false;
    if (before) {
        before->hidden = false;
        if (before->mounted || !before->ops->valid)
            node_attach_locked(before);
    }
    mutex_unlock(&folder->lock);
    count_cover(m->covered, -1);
    list_remove(&m->link);
}

/* n lies below another node, at the place of a bind mount's entry too. */
static bool is_inside(const struct node *n, const struct node *top)
{
    bool inside = false;

    spin_lock(&node_place_lock);
    for (; n != n->parent && !inside; n = n->parent)
        inside = n->parent == top;
    spin_unlock(&node_place_lock);
    return inside;
}

/* Takes mounts that lie in the tree of another away with it, the youngest first: a mount covers older ones. */
static void uncover_inner(const struct mount *m, struct list *gone)
{
    struct list *it, *before;

    for (it = mounts.prev; it != &mounts; it = before) {
        struct mount *inner = list_entry(it, struct mount, link);

        before = it->prev;
        if (!is_inside(inner->entry, m->entry))
            continue;
        uncover(inner);
        list_push_back(gone, &inner->link);
    }
}

/* Of those that were taken away while somebody used them. mounts_lock is held. */
static void sweep_adrift_locked(void)
{
    list_for_each_safe (it, &adrift) {
        struct mount *m = list_entry(it, struct mount, link);

        if (in_use(m->entry, 0))
            continue;
        list_remove(&m->link);
        drop_tree(m);
    }
}

/* No file of a tree in memory is reached any more when the last user of the tree has gone. Trees of a server
 * only remember. */
static void let_go(struct mount *m)
{
    if (!(m->flags & MOUNT_ALIAS) && !m->entry->ops->valid && in_use(m->entry, 0))
        list_push_back(&adrift, &m->link);
    else
        drop_tree(m);
}

int mount_remove(struct node *entry, bool lazy)
{
    struct list gone = LIST_INIT(gone), *it;
    struct mount *m;
    int r = OK;

    mutex_lock(&mounts_lock);
    sweep_adrift_locked();
    m = find_locked(entry);
    if (!m)
        r = ERR_INVALID;
    else if (!lazy && in_use(entry, 2)) /* the table's, the caller's */
        r = ERR_BUSY;
    if (r == OK) {
        uncover_inner(m, &gone);
        uncover(m);
        list_push_back(&gone, &m->link);
    }
    mutex_unlock(&mounts_lock);
    if (r != OK)
        return r;
    node_unref(entry); /* it counts as use no more */
    mutex_lock(&mounts_lock);
    while ((it = list_pop_front(&gone)))
        let_go(list_entry(it, struct mount, link));
    mutex_unlock(&mounts_lock);
    return OK;
}

struct node *mount_look_below(struct node *entry)
{
    struct mount *m;

    mutex_lock(&mounts_lock);
    while ((m = find_locked(entry))) {
        node_ref(m->covered);
        node_unref(entry);
        entry = m->covered;
    }
    mutex_unlock(&mounts_lock);
    return entry;
}

int mount_set_read_only(struct node *root, bool read_only)
{
    struct file_system *fs;
    struct mount *m;
    int r = ERR_INVALID;

    mutex_lock(&mounts_lock);
    m = find_locked(root);
    fs = m && !(m->flags & MOUNT_ALIAS) ? m->entry->fs->data : NULL;
    if (fs && !(m->flags & MOUNT_READ_ONLY)) { /* one that was bound so stays so */
        fs->read_only = read_only;
        r = OK;
    }
    mutex_unlock(&mounts_lock);
    return r;
}

/* ---- Telling
 * --------------------------------------------------------------------------------------- */

/* Blanks in paths stand as octal numbers. */
static void add_escaped(struct text *t, const char *s)
{
    for (; *s; s++) {
        if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
            text_add(t, "\\%u%u%u", *s >> 6 & 3, *s >> 3 & 7, *s & 7);
        else
            text_add(t, "%c", *s);
    }
}

struct mount_line {
    struct node *entry;
    const char *source;
    uint32_t id, parent;
};

static void add_mount(struct text *t, const struct mount_line *l, char *path)
{
    const char *flags = node_body(l->entry)->fs->read_only ? "ro" : "rw";

    if (node_path(l->entry, path, LINUX_PATH_MAX) < 0)
        return;
    add_escaped(t, l->source);
    text_add(t, " ");
    add_escaped(t, path);
    text_add(t, " %s %s,relatime 0 0\n", node_body(l->entry)->fs->name, flags);
}

static void add_info(struct text *t, const struct mount_line *l, char *path)
{
    const struct node *body = node_body(l->entry);
    const char *flags = body->fs->read_only ? "ro" : "rw";

    if (node_path(l->entry, path, LINUX_PATH_MAX) < 0)
        return;
    text_add(t, "%u %u 0:%u / ", l->id, l->parent, body->fs->id);
    add_escaped(t, path);
    text_add(t, " %s,relatime - %s ", flags, body->fs->name);
    add_escaped(t, l->source);
    text_add(t, " %s\n", flags);
}

/* The number of the mount in which an entry's folder lies. */
static uint32_t id_above_locked(const struct node *entry)
{
    const struct node *n = entry;

    while (n != n->parent) {
        struct mount *m = find_locked(n->parent);
        char path[16];

        if (m)
            return m->id;
        n = n->parent;
        if (n == n->parent)
            return ALWAYS_ID;
        for (unsigned i = 1; i < ARRAY_SIZE(always); i++)
            if (n->fs != n->parent->fs && node_path((struct node *)n, path, sizeof(path)) > 0 &&
                strcmp(path, always[i]) == 0)
                return ALWAYS_ID + i;
    }
    return 1;
}

/* What is at a path of the tree; a reference, or NULL. No lock is held: a server may be asked. */
static struct node *seat_at(const char *path)
{
    struct node *n;

    return path_lookup(node_root, path[1] ? path + 1 : ".", PATH_SEAT, &n) == OK ? n : NULL;
}

/* What was there before anything was mounted, if it is a file system of its own. Gives n up. */
static struct node *always_locked(struct node *n)
{
    struct mount *m;

    while (n && (m = find_locked(n))) {
        node_ref(m->covered);
        node_unref(n);
        n = m->covered;
    }
    if (!n || n == n->parent || n->fs != n->parent->fs)
        return n;
    node_unref(n);
    return NULL;
}

static void show_all(struct text *t,
                     void (*add)(struct text *t, const struct mount_line *l, char *path))
{
    char *path = kmalloc(LINUX_PATH_MAX);
    struct node *there[ARRAY_SIZE(always)];

    if (!path)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
        there[i] = seat_at(always[i]);
    mutex_lock(&mounts_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(always); i++) {
        struct node *n = always_locked(there[i]);

        if (!n)
            continue;
        add(t, &(struct mount_line){n, n->fs->name, ALWAYS_ID + i, id_above_locked(n)}, path);
        node_unref(n);
    }
    list_for_each (it, &mounts) {
        struct mount *m = list_entry(it, struct mount, link);

        add(t, &(struct mount_line){m->entry, m->source, m->id, id_above_locked(m->entry)}, path);
    }
    mutex_unlock(&mounts_lock);
    kfree(path);
}

void mounts_show(struct text *t)
{
    show_all(t, add_mount);
}

void mounts_show_info(struct text *t)
{
    show_all(t, add_info);
}

/* ---- Places for mounts
 * ----------------------------------------------------------------------------- */

static const struct file_system places = {.name = "mounts", .id = 8, .read_only = true};
static const struct node_ops place_ops = {0};

static int place_folder(const char *path, struct node **out)
{
    char *start;
    size_t length = strlen(path);
    int r = path_lookup(node_root, path, 0, out);

    if (r != ERR_NOT_FOUND)
        return r;
    start = kstrdup(path);
    if (!start)
        return ERR_NO_MEMORY;
    do { /* the deepest folder that is there */
        while (length > 0 && start[length - 1] != '/')
            length--;
        while (length > 1 && start[length - 1] == '/')
            length--;
        start[length] = '\0';
        r = path_lookup(node_root, start, PATH_FOLDER, out);
    } while (r == ERR_NOT_FOUND && length > 1);
    if (r == OK) {
        struct node *from = *out;

        r = node_make_folders(from, path + length, strlen(path + length), &places, &place_ops, out);
        node_unref(from);
    }
    kfree(start);
    return r;
}

/* A name in a folder that is there, or is made. */
static int place_file(const char *path, struct node **out)
{
    const char *name = strrchr(path, '/');
    struct node *folder;
    char *above;
    int r = path_lookup(node_root, path, 0, out);

    if (r != ERR_NOT_FOUND)
        return r;
    above = name && name[1] ? kstrdup(path) : NULL;
    if (!above)
        return ERR_INVALID;
    above[name - path + 1] = '\0';
    r = place_folder(above, &folder);
    kfree(above);
    if (r != OK)
        return r;
    r = node_create(folder, name + 1, LINUX_S_IFREG | 0444, &places, &place_ops, NULL, out);
    if (r == OK)
        r = node_attach(*out);
    node_unref(folder);
    return r;
}

int mount_place(const char *path, bool is_folder, struct node **out)
{
    return is_folder ? place_folder(path, out) : place_file(path, out);
}
