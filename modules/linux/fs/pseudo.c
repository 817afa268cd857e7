/*
 * pseudo.c: files whose text is made when they are read: what modules register below /sys and
 * /proc, and the personality's own in /proc.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/thread.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/proc/proc.h"

#define FIRST_BUFFER 1024u
#define BUFFER_MAX   (1u << 20)

static const struct file_system sysfs = {.name = "sysfs", .id = 4, .magic = 0x62656572};

/* A registration: the data of its node. */
struct pseudo {
    const struct linux_pseudo_ops *ops;
    void *context;
    bool gone; /* unregistered; guarded by pseudo_lock */
};

/* An open file. */
struct pseudo_file {
    const struct linux_pseudo_ops *ops;
    void *context;
    struct mutex lock;
    char *text;  /* what the last look at the start showed; guarded by lock */
    size_t size; /* bytes of it; guarded by lock */
};

static struct mutex pseudo_lock = MUTEX_INIT(pseudo_lock);

static struct mutex fill_lock = MUTEX_INIT(fill_lock);
static struct list later = LIST_INIT(later); /* guarded by fill_lock */
static bool filled;                          /* set under fill_lock */
static struct thread *filler;                /* who has fill_lock and registers; atomic */

/* Has the text made anew, in a buffer that it fits. */
static int refresh_locked(struct pseudo_file *p)
{
    size_t room = FIRST_BUFFER;

    for (;;) {
        char *text = kmalloc(room);
        long n = text ? p->ops->show(p->context, text, room) : ERR_NO_MEMORY;

        if (n >= 0 && (size_t)n <= room) {
            kfree(p->text);
            p->text = text;
            p->size = (size_t)n;
            return OK;
        }
        kfree(text);
        if (n < 0)
            return (int)n;
        room = ALIGN_UP((size_t)n + FIRST_BUFFER, FIRST_BUFFER);
        if (room > BUFFER_MAX)
            return ERR_LIMIT;
    }
}

static long pseudo_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pseudo_file *p = f->data;
    long r = OK;

    if (!p->ops->show)
        return ERR_INVALID;
    mutex_lock(&p->lock);
    if (*offset == 0 || !p->text)
        r = refresh_locked(p);
    if (r == OK)
        r = file_read_memory(p->text, p->size, at, size, offset);
    mutex_unlock(&p->lock);
    return r;
}

static long pseudo_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pseudo_file *p = f->data;
    char *text;
    long r;

    if (!p->ops->store)
        return ERR_INVALID;
    if (size > LINUX_PSEUDO_STORE_MAX)
        return LINUX_ERRNO(E2BIG);
    text = kmalloc(size + 1);
    if (!text)
        return ERR_NO_MEMORY;
    r = bytes_in(text, at, size);
    if (r == OK) {
        text[size] = '\0';
        r = p->ops->store(p->context, text, size);
    }
    kfree(text);
    if (r != OK)
        return r;
    *offset += size;
    return (long)size;
}

static void pseudo_close(struct file *f)
{
    struct pseudo_file *p = f->data;
    struct module *owner = module_of_address(p->ops);

    kfree(p->text);
    kfree(p);
    if (owner)
        module_unref(owner);
}

static const struct file_ops pseudo_file_ops = {
    .read = pseudo_read, .write = pseudo_write, .close = pseudo_close, .seekable = true};

int pseudo_open(const struct linux_pseudo_ops *ops, void *context, struct file *f)
{
    struct module *owner = module_of_address(ops);
    struct pseudo_file *p;

    if ((file_readable(f) && !ops->show) || (file_writable(f) && !ops->store))
        return ERR_ACCESS;
    p = kzalloc(sizeof(*p));
    if (!p)
        return ERR_NO_MEMORY;
    if (owner && !module_ref(owner)) {
        kfree(p);
        return ERR_NOT_FOUND;
    }
    p->ops = ops;
    p->context = context;
    mutex_init(&p->lock);
    f->ops = &pseudo_file_ops;
    f->data = p;
    return OK;
}

/* ---- What is registered when somebody looks ---------------------------------------------------- */

/* What registers may look for names itself. */
static void later_run_locked(struct linux_pseudo_later *l)
{
    list_init(&l->link);
    __atomic_store_n(&filler, thread_current(), __ATOMIC_RELAXED);
    l->fn();
    __atomic_store_n(&filler, NULL, __ATOMIC_RELAXED);
}

static void fill_locked(void)
{
    struct list *first;

    __atomic_store_n(&filler, thread_current(), __ATOMIC_RELAXED);
    if (proc_machine_register() != OK)
        log_warn("linux: not enough memory for all files in /proc and /sys");
    while ((first = list_pop_front(&later)))
        later_run_locked(list_entry(first, struct linux_pseudo_later, link));
    __atomic_store_n(&filler, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&filled, true, __ATOMIC_RELEASE);
}

bool pseudo_fill(struct node *folder)
{
    (void)folder;
    if (__atomic_load_n(&filled, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&filler, __ATOMIC_RELAXED) == thread_current())
        return false;
    mutex_lock(&fill_lock);
    if (!filled)
        fill_locked();
    mutex_unlock(&fill_lock);
    return true;
}

void linux_pseudo_later(struct linux_pseudo_later *l)
{
    mutex_lock(&fill_lock);
    list_push_back(&later, &l->link);
    if (filled)
        later_run_locked(list_entry(list_pop_front(&later), struct linux_pseudo_later, link));
    mutex_unlock(&fill_lock);
}

void linux_pseudo_later_end(struct linux_pseudo_later *l)
{
    mutex_lock(&fill_lock);
    list_remove(&l->link);
    mutex_unlock(&fill_lock);
}

static int registered_open(struct node *node, struct file *f)
{
    struct pseudo *p = node->data;
    int r;

    mutex_lock(&pseudo_lock);
    r = p->gone ? ERR_NOT_FOUND : pseudo_open(p->ops, p->context, f);
    mutex_unlock(&pseudo_lock);
    return r;
}

static int registered_resize(struct node *node, uint64_t size)
{
    (void)node;
    (void)size;
    return OK; /* O_TRUNC before a write changes nothing */
}

static void registered_release(struct node *node)
{
    kfree(node->data);
}

static const struct node_ops pseudo_folder_ops = {.fill = pseudo_fill};
static const struct node_ops sys_folder_ops = {.fill = pseudo_fill};
static const struct node_ops registered_ops = {
    .open = registered_open, .resize = registered_resize, .release = registered_release};

/* /sys/... or /proc/...: which file system; NULL: neither. */
static const struct file_system *fs_of_path(const char *path)
{
    if (strncmp(path, "/sys/", 5) == 0)
        return &sysfs;
    if (strncmp(path, "/proc/", 6) == 0)
        return &proc_fs;
    return NULL;
}

static int attach_pseudo(const char *path, const struct file_system *fs, uint32_t mode,
                         struct pseudo *p)
{
    const char *slash = strrchr(path, '/');
    struct node *folder, *node;
    int r =
        node_make_folders(node_root, path, (size_t)(slash - path), fs, &pseudo_folder_ops, &folder);

    if (r != OK)
        return r;
    r = node_create(folder, slash + 1, mode, fs, &registered_ops, NULL, &node);
    if (r == OK) {
        node->data = p;
        r = node_attach(node);
        if (r != OK)
            node->data = NULL;
        node_unref(node);
    }
    node_unref(folder);
    return r;
}

int linux_pseudo_register(const char *path, const struct linux_pseudo_ops *ops, void *context)
{
    const struct file_system *fs = path ? fs_of_path(path) : NULL;
    uint32_t mode = LINUX_S_IFREG;
    struct pseudo *p;
    int r;

    if (!fs || !ops || path[strlen(path) - 1] == '/' || (!ops->show && !ops->store))
        return ERR_INVALID;
    p = kzalloc(sizeof(*p));
    if (!p)
        return ERR_NO_MEMORY;
    p->ops = ops;
    p->context = context;
    mode |= ops->mode ? ops->mode : (ops->show ? 0444u : 0u) | (ops->store ? 0200u : 0u);
    r = attach_pseudo(path, fs, mode, p);
    if (r != OK)
        kfree(p);
    return r;
}

/* Takes folders away that have become empty, from the inside out; /sys and /proc stay. */
static void remove_empty_folders(struct node *folder)
{
    while (folder->ops == &pseudo_folder_ops && folder->parent != node_root) {
        struct node *parent = folder->parent;
        bool empty;

        mutex_lock(&parent->lock);
        mutex_lock(&folder->lock);
        empty = list_empty(&folder->children) && !folder->dead;
        if (empty)
            folder->dead = true;
        mutex_unlock(&folder->lock);
        if (empty)
            node_detach_locked(folder);
        mutex_unlock(&parent->lock);
        if (!empty)
            return;
        folder = parent;
    }
}

void linux_pseudo_unregister(const char *path)
{
    struct node *node;

    if (path_lookup(node_root, path, 0, &node) != OK)
        return;
    if (node->ops == &registered_ops) {
        mutex_lock(&pseudo_lock);
        ((struct pseudo *)node->data)->gone = true;
        mutex_unlock(&pseudo_lock);
        node_detach(node);
        remove_empty_folders(node->parent);
    }
    node_unref(node);
}

int pseudo_init(void)
{
    struct node *folder;
    int r = node_make_folders(node_root, "sys", 3, &sysfs, &sys_folder_ops, &folder);

    if (r != OK)
        return r;
    folder->fs = &sysfs;
    folder->ops = &sys_folder_ops;
    node_unref(folder);
    return OK;
}
