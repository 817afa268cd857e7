/*
 * foreign.c: names and facts of another module's file system, and its place as the root. See
 * foreign.h.
 *
 * Nodes stay in their folder's list after use, in the order in which they were first seen; the
 * oldest unused ones go when there are too many or memory gets scarce.
 */
#include "modules/linux/fs/foreign.h"

#include "modules/linux/fs/missing.h"
#include "modules/linux/fs/mount.h"
#include "modules/linux/process/process.h"

#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#define REMEMBERED_MAX 8192u
#define FORGET_AT_ONCE 8u
#define ARCHIVE_PATH   "sys/kernel/archive"

static struct foreign_mount *root_mount; /* set once, before programs run */
static int (*root_cover)(const struct linux_fs_ops **ops, void **fs, void **root);
static const char *root_trouble = "it can't be mounted; --verbose shows why";
static uint64_t last_serial;
static unsigned mounted_count;           /* of linux_fs_mount(); written before programs run */
static struct spinlock seen_lock = SPINLOCK_INIT;
static struct list seen = LIST_INIT(seen); /* struct foreign, oldest first; guarded by seen_lock */
static uint32_t lost_names;                /* nodes whose name went while their file has others */
static uint32_t seen_count;                /* guarded by seen_lock */

bool foreign_memory_low(void)
{
    struct memory_stats memory;

    memory_stats(&memory);
    return memory.free + memory.reclaimable < memory.total / 4;
}

void foreign_put(struct foreign *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    d->mount->ops->release(d->mount->fs, d->object);
    if (d->ahead) {
        cache_file_gone();
        ahead_stream_end(&d->ahead->mapped);
        kfree(d->ahead);
    }
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
    if (d->lost)
        __atomic_sub_fetch(&lost_names, 1, __ATOMIC_RELAXED);
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

/* Once round the list, which is left in its order. */
int foreign_sync_all(const struct file_system *fs)
{
    uint32_t count = __atomic_load_n(&seen_count, __ATOMIC_RELAXED);
    int result = OK;

    while (count-- > 0 && !(task_current() && task_must_exit(task_current()))) {
        struct node *node = oldest(true);
        int r = OK;

        if (!node)
            continue;
        if (node_is_file(node) && (!fs || node->fs == fs))
            r = foreign_sync(node);
        result = r != OK ? r : result;
        node_unref(node);
    }
    return result;
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

static uint64_t since_start(uint64_t ns, uint64_t otherwise)
{
    return (ns ? ns : otherwise) - time_wall_offset();
}

static void take_status(struct node *node, const struct linux_fs_attr *attr)
{
    node->mode = attr->mode;
    node->uid = attr->uid;
    node->gid = attr->gid;
    node->device = attr->device;
    node->modified = since_start(attr->changed, 0);
    node->accessed = since_start(attr->accessed, attr->changed);
    node->changed = since_start(attr->status_changed, attr->changed);
    __atomic_store_n(&node->links, attr->links, __ATOMIC_RELAXED);
}

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
    take_status(node, attr);
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
    if (d->checked == 0 || time_now() - d->checked >= FOREIGN_FRESH_NS) {
        r = d->mount->ops->attr(d->mount->fs, d->object, &attr);
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

/* Another node of this file (further names have nodes of their own, with the same number) that was
 * not told since, with a reference. */
static struct node *next_name(const struct node *node, uint64_t since)
{
    struct node *found = NULL;

    spin_lock(&seen_lock);
    list_for_each (it, &seen) {
        struct foreign *d = list_entry(it, struct foreign, link);

        if (d->node == node || d->node->number != node->number || d->node->fs != node->fs ||
            d->told >= since || !node_ref_live(d->node))
            continue;
        d->told = since;
        found = d->node;
        break;
    }
    spin_unlock(&seen_lock);
    return found;
}

/* Other names of a file ask for its facts again; with new content, for its pages too. */
static void tell_other_names(struct node *node, bool content)
{
    uint64_t now = time_now();
    struct node *other;

    if (__atomic_load_n(&node->links, __ATOMIC_RELAXED) < 2 &&
        __atomic_load_n(&lost_names, __ATOMIC_RELAXED) == 0)
        return;
    while ((other = next_name(node, now))) {
        struct foreign *d = other->data;

        mutex_lock(&other->lock);
        if (content)
            foreign_replaced_locked(d, foreign_size(node));
        __atomic_store_n(&d->checked, 0, __ATOMIC_RELAXED);
        mutex_unlock(&other->lock);
        node_unref(other);
    }
}

void foreign_changed(struct node *node)
{
    tell_other_names(node, true);
}

/* The server's clock says when the node changed, so its facts are asked for when they are wanted next. */
static void ask_anew(struct node *node)
{
    struct foreign *d = node->data;

    __atomic_store_n(&d->checked, 0, __ATOMIC_RELAXED);
}

/* Facts are asked for anew when they are wanted next. A file without a name, which the server finds
 * no more, has them here alone. */
static int changed_status(struct node *node, int r)
{
    struct foreign *d = node->data;

    if (r == ERR_NOT_FOUND && __atomic_load_n(&node->links, __ATOMIC_RELAXED) == 0)
        return OK;
    if (r == OK) {
        __atomic_store_n(&d->checked, 0, __ATOMIC_RELAXED);
        tell_other_names(node, false);
    }
    return r;
}

static int foreign_set_mode(struct node *node, uint32_t mode)
{
    struct foreign *d = node->data;

    if (!d->mount->ops->set_mode)
        return LINUX_ERRNO(EPERM);
    return changed_status(node, d->mount->ops->set_mode(d->mount->fs, d->object, mode));
}

static int foreign_set_owner(struct node *node, uint32_t uid, uint32_t gid)
{
    struct foreign *d = node->data;

    if (!d->mount->ops->set_owner)
        return LINUX_ERRNO(EPERM);
    return changed_status(node, d->mount->ops->set_owner(d->mount->fs, d->object, uid, gid));
}

/* A change of the content's time alone is none of the content. */
static int foreign_set_times(struct node *node, const struct node_times *times)
{
    struct foreign *d = node->data;
    uint64_t start = time_wall_offset(), accessed, modified;
    int r;

    if (!d->mount->ops->set_times)
        return LINUX_ERRNO(EPERM);
    accessed = times->accessed ? *times->accessed + start : 0;
    modified = times->modified ? *times->modified + start : 0;
    mutex_lock(&node->lock);
    r = d->mount->ops->set_times(d->mount->fs, d->object, times->accessed ? &accessed : NULL,
                                 times->modified ? &modified : NULL);
    if (r == OK)
        d->own_change = true;
    mutex_unlock(&node->lock);
    return changed_status(node, r);
}

static int foreign_space(struct node *node, struct file_system_space *out)
{
    struct foreign *d = node->data;
    struct linux_fs_space space;
    int r = d->mount->ops->space ? d->mount->ops->space(d->mount->fs, d->object, &space)
                                 : ERR_UNSUPPORTED;

    if (r != OK)
        return r;
    *out = (struct file_system_space){space.block_size,       space.blocks, space.blocks_free,
                                      space.blocks_available, space.files,  space.files_free};
    return OK;
}

static int read_text_locked(struct foreign *d)
{
    char *text = kmalloc(LINUX_PATH_MAX);
    long n =
        text ? d->mount->ops->text(d->mount->fs, d->object, text, LINUX_PATH_MAX - 1) : ERR_NO_MEMORY;

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
static int foreign_make(struct node *folder, const char *name, const struct node_kind *kind,
                        struct node **out);
static int foreign_link(struct node *folder, const char *name, struct node *node);
static int foreign_remove(struct node *folder, struct node *child);
static int foreign_rename(struct node *from, const char *from_name, struct node *to,
                          const char *to_name);

/* What all kinds of nodes do alike. */
#define COMMON_OPS                                                                                 \
    .size = foreign_size, .valid = foreign_valid, .set_mode = foreign_set_mode,                    \
    .set_owner = foreign_set_owner, .set_times = foreign_set_times, .space = foreign_space,        \
    .xattrs = &foreign_xattrs, .release = foreign_release

static const struct node_ops folder_ops = {
    COMMON_OPS,
    .lookup = foreign_lookup,
    .list = foreign_list,
    .make = foreign_make,
    .link = foreign_link,
    .remove = foreign_remove,
    .rename = foreign_rename,
    .sync = foreign_sync,
};
static const struct node_ops file_node_ops = {
    COMMON_OPS,
    .open = foreign_open,
    .object = foreign_object,
    .resize = foreign_resize,
    .sync = foreign_sync,
    .advise = foreign_advise,
};
static const struct node_ops link_ops = {COMMON_OPS, .text = foreign_text};

/* Devices, sockets and pipes of the host's: names without content. */
static const struct node_ops other_ops = {COMMON_OPS};

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
static int node_of_object(const struct foreign_mount *mount, struct node *folder, const char *name,
                          void *object, const struct linux_fs_attr *attr, struct node **out)
{
    struct foreign *d = kzalloc(sizeof(*d));
    int r = d ? node_create(folder, name, attr->mode, &mount->file_system, ops_of_mode(attr->mode),
                            d, out)
              : ERR_NO_MEMORY;

    if (r != OK) {
        mount->ops->release(mount->fs, object);
        kfree(d);
        return r;
    }
    d->refs = 1;
    d->mount = mount;
    d->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    d->object = object;
    (*out)->number = attr->number;
    take_facts(*out, attr);
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
    uint64_t before;
    int r;

    if (missing_known(d->serial, name))
        return ERR_NOT_FOUND;
    forget_some();
    before = missing_before();
    r = d->mount->ops->walk(d->mount->fs, d->object, name, &object, &attr);
    if (r == ERR_NOT_FOUND)
        missing_remember(before, d->serial, name);
    if (r == OK)
        r = node_of_object(d->mount, folder, name, object, &attr, out);
    if (r != OK)
        return r;
    remember(*out);
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

    d->mount->ops->list(d->mount->fs, d->object, *at, &context.sink);
}

static int foreign_make(struct node *folder, const char *name, const struct node_kind *kind,
                        struct node **out)
{
    struct foreign *d = folder->data;
    struct linux_fs_attr attr;
    void *object;
    int r;

    if (!d->mount->ops->make)
        return LINUX_ERRNO(EPERM);
    missing_forget(d->serial, name);
    r = d->mount->ops->make(d->mount->fs, d->object, name, kind->mode,
                            (kind->mode & LINUX_S_IFMT) == LINUX_S_IFLNK ? kind->text : NULL,
                            kind->device, &object, &attr);
    if (r == OK)
        r = node_of_object(d->mount, folder, name, object, &attr, out);
    if (r != OK)
        return r;
    ask_anew(folder);
    remember(*out);
    node_attach_locked(*out);
    return OK;
}

static int foreign_link(struct node *folder, const char *name, struct node *node)
{
    struct foreign *d = folder->data, *target = node->data;

    if (!d->mount->ops->link)
        return LINUX_ERRNO(EPERM);
    missing_forget(d->serial, name);
    ask_anew(folder);
    ask_anew(node);
    return d->mount->ops->link(d->mount->fs, d->object, name, target->object);
}

/* Its file may have others. */
static void name_gone(struct node *child)
{
    struct foreign *gone = child->data;

    if (child->links > 1 && !gone->lost) {
        gone->lost = true;
        __atomic_add_fetch(&lost_names, 1, __ATOMIC_RELAXED);
    }
    tell_other_names(child, false);
}

static int foreign_remove(struct node *folder, struct node *child)
{
    struct foreign *d = folder->data;
    int r = LINUX_ERRNO(EPERM);

    if (d->mount->ops->remove)
        r = d->mount->ops->remove(d->mount->fs, d->object, child->name, node_is_folder(child));
    if (r == OK) {
        ask_anew(folder);
        ask_anew(child);
        name_gone(child);
    }
    return r;
}

static int foreign_rename(struct node *from, const char *from_name, struct node *to,
                          const char *to_name)
{
    struct foreign *a = from->data, *b = to->data;
    struct node *replaced = node_child_locked(to, to_name), *moved = node_child_locked(from, from_name);
    int r;

    if (!a->mount->ops->rename)
        return LINUX_ERRNO(EPERM);
    missing_forget(b->serial, to_name);
    r = a->mount->ops->rename(a->mount->fs, a->object, from_name, b->object, to_name);
    if (r == OK && replaced)
        name_gone(replaced);
    ask_anew(from);
    ask_anew(to);
    if (moved && moved->fs == from->fs)
        ask_anew(moved);
    return r;
}

/* ---- The root
 * ------------------------------------------------------------------------------------ */

/* No program runs yet: nobody else looks at the tree. Gives up the reference to n. */
static void move_node(struct node *from, struct node *to, struct node *n)
{
    node_detach(n);
    node_ref(to);
    n->parent = to;
    node_unref(from);
    node_attach(n);
    node_unref(n);
}

static void move_own_folder(struct node *from, struct node *to, const char *name)
{
    struct node *folder;

    if (node_lookup(from, name, &folder) == OK)
        move_node(from, to, folder);
}

/* The boot archive stays in sight, with its modules and what belongs to them. */
static void keep_archive(struct node *old)
{
    struct node *folder, *child;

    if (node_make_folders(node_root, ARCHIVE_PATH, strlen(ARCHIVE_PATH), old->fs, old->ops, &folder) != OK)
        return;
    while (!list_empty(&old->children)) {
        child = list_entry(list_first(&old->children), struct node, sibling);
        node_ref(child);
        move_node(old, folder, child);
    }
    node_unref(folder);
}

static int mount_create(const struct linux_fs_ops *ops, void *fs, struct foreign_mount **out)
{
    struct foreign_mount *mount = kzalloc(sizeof(*mount));

    if (!mount)
        return ERR_NO_MEMORY;
    mount->ops = ops;
    mount->fs = fs;
    mount->file_system = (struct file_system){.name = ops->name,
                                              .magic = ops->magic,
                                              .id = file_system_new_id(),
                                              .read_only = !ops->write,
                                              .xattrs = ops->get_xattr};
    *out = mount;
    return OK;
}

/* The root node of a file system; `root` is given away. */
static int root_of(struct foreign_mount *mount, struct node *folder, const char *name, void *root,
                   struct node **out)
{
    struct linux_fs_attr attr;
    int r = mount->ops->attr(mount->fs, root, &attr);

    if (r == OK)
        return node_of_object(mount, folder, name, root, &attr, out);
    mount->ops->release(mount->fs, root);
    return r;
}

void linux_fs_cover_root(int (*cover)(const struct linux_fs_ops **ops, void **fs, void **root))
{
    root_cover = cover;
}

int linux_fs_mount_root(const struct linux_fs_ops *ops, void *fs, void *root)
{
    static const char *const own[] = {"dev", "proc", "sys", "tmp"};
    struct node *old = node_root, *node;
    struct foreign_mount *mount;
    int r = root_cover && !root_mount ? root_cover(&ops, &fs, &root) : OK;

    if (r != OK)
        return r;
    r = root_mount ? ERR_BUSY : mount_create(ops, fs, &mount);
    if (r != OK) {
        ops->release(fs, root);
        return r;
    }
    r = root_of(mount, NULL, "", root, &node);
    if (r == OK && !node_is_folder(node)) {
        node_unref(node);
        r = LINUX_ERRNO(ENOTDIR);
    }
    if (r != OK) {
        kfree(mount);
        return r;
    }
    root_mount = mount;
    for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
        move_own_folder(old, node, own[i]);
    node_root = node;
    keep_archive(old);
    return OK;
}

int linux_fs_mount(const struct linux_fs_ops *ops, void *fs, void *root, const char *path,
                   const char *source, bool read_only)
{
    struct node *covered = NULL, *folder = NULL, *node;
    struct foreign_mount *mount = NULL;
    char name[LINUX_NAME_MAX + 1];
    struct linux_fs_attr attr;
    int r = ops->attr(fs, root, &attr);

    if (r == OK)
        r = mount_place(path, (attr.mode & LINUX_S_IFMT) == LINUX_S_IFDIR, &covered);
    if (r == OK)
        r = mount_create(ops, fs, &mount);
    if (r != OK) {
        ops->release(fs, root);
    } else {
        mount->file_system.read_only |= read_only;
        mount->file_system.data = &mount->file_system;
        folder = node_place(covered, name);
        r = root_of(mount, folder, name, root, &node);
        node_unref(folder);
    }
    if (r == OK) {
        r = mount_cover(covered, node, source, read_only ? MOUNT_READ_ONLY : 0);
        if (r != OK)
            node_unref(node);
    }
    if (r != OK)
        kfree(mount);
    else
        mounted_count++;
    if (covered)
        node_unref(covered);
    return r;
}

bool bound_ready(void)
{
    return !boot_option("bind", mounted_count);
}

void linux_fs_root_refused(const char *why)
{
    root_trouble = why;
}

const char *root_missing(void)
{
    return root_mount || !boot_option("root", 0) ? NULL : root_trouble;
}

bool linux_fs_caller_ends(void)
{
    struct task *t = task_current();

    return t && !t->leaving && signal_ends(t);
}
