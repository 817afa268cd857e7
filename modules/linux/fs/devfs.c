/*
 * devfs.c: /dev: names that modules register, and how their callbacks become file operations.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/tty/tty.h"

#define DEVICE_MAJOR 10u /* Linux's "miscellaneous devices" */

static const struct file_system devfs = {.name = "devtmpfs", .id = 3, .magic = 0x01021994};

struct device {
    const struct linux_device_ops *ops;
    void *context;
    bool gone; /* unregistered: can't be opened any more; guarded by device_lock */
};

static struct mutex device_lock = MUTEX_INIT(device_lock);
static uint32_t last_minor; /* guarded by device_lock */

/* f->data is what the device's open gave. */
static const struct linux_device_ops *ops_of(const struct file *f)
{
    const struct device *d = f->node->data;

    return d->ops;
}

static long device_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    if (!ops_of(f)->read)
        return ERR_INVALID;
    return ops_of(f)->read(f->data, at, size, f->flags & LINUX_O_NONBLOCK);
}

static long device_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    if (!ops_of(f)->write)
        return ERR_INVALID;
    return ops_of(f)->write(f->data, at, size, f->flags & LINUX_O_NONBLOCK);
}

static long device_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    if (!ops_of(f)->ioctl)
        return LINUX_ERRNO(ENOTTY);
    return ops_of(f)->ioctl(f->data, command, argument);
}

static int device_map(struct file *f, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                      struct memobj **object, uint64_t *object_offset)
{
    if (!ops_of(f)->mmap)
        return LINUX_ERRNO(ENODEV);
    return ops_of(f)->mmap(f->data, offset, length, prot, shared, object, object_offset);
}

static unsigned device_poll(struct file *f, struct linux_poll_source **source)
{
    if (!ops_of(f)->poll)
        return LINUX_POLLIN | LINUX_POLLOUT;
    return ops_of(f)->poll(f->data, source);
}

static void device_close(struct file *f)
{
    const struct linux_device_ops *ops = ops_of(f);
    struct module *owner = module_of_address(ops);

    if (ops->close)
        ops->close(f->data);
    if (owner)
        module_unref(owner);
}

static const struct file_ops device_file_ops = {
    .read = device_read,
    .write = device_write,
    .ioctl = device_ioctl,
    .map = device_map,
    .poll = device_poll,
    .close = device_close,
};

/* Finds the device behind a node and keeps its module from going. */
static int device_pin(struct node *node, struct device **out)
{
    struct device *d = node->data;
    struct module *owner;
    int r = OK;

    mutex_lock(&device_lock);
    owner = d->gone ? NULL : module_of_address(d->ops);
    if (d->gone || (owner && !module_ref(owner)))
        r = LINUX_ERRNO(ENODEV);
    mutex_unlock(&device_lock);
    *out = d;
    return r;
}

static int device_open(struct node *node, struct file *f)
{
    struct device *d;
    struct module *owner;
    int r = device_pin(node, &d);

    if (r != OK)
        return r;
    f->ops = &device_file_ops;
    f->data = d->context;
    if (d->ops->open)
        r = d->ops->open(d->context, f->flags, &f->data);
    owner = module_of_address(d->ops);
    if (r != OK && owner)
        module_unref(owner);
    return r;
}

static void device_release(struct node *node)
{
    kfree(node->data);
}

static long alias_text(struct node *node, char *out, size_t size)
{
    size_t n = MIN(size, strlen(node->data));

    memcpy(out, node->data, n);
    return (long)n;
}

static bool devfs_fill(struct node *folder);

static const struct node_ops devfs_folder_ops = {.fill = devfs_fill};
static const struct node_ops device_node_ops = {.open = device_open, .release = device_release};
static const struct node_ops alias_node_ops = {.text = alias_text};

static int dev_folder(struct node **out)
{
    return node_make_folders(node_root, "dev", 3, &devfs, &devfs_folder_ops, out);
}

/* Makes a node of that number; data is its own then. */
static int attach(const char *name, unsigned mode, uint32_t number, const struct node_ops *ops,
                  void *data)
{
    struct node *folder, *node;
    int r = dev_folder(&folder);

    if (r != OK)
        return r;
    r = node_create(folder, name, LINUX_S_IFCHR | (mode & 0777), &devfs, ops, NULL, &node);
    if (r == OK) {
        node->device = number;
        node->data = data;
        r = node_attach(node);
        if (r != OK)
            node->data = NULL;
        node_unref(node);
    }
    node_unref(folder);
    return r;
}

int devfs_add(const char *name, unsigned mode, uint32_t number, const struct node_ops *ops)
{
    return attach(name, mode, number, ops, NULL);
}

static uint32_t next_number(void)
{
    uint32_t minor;

    mutex_lock(&device_lock);
    minor = ++last_minor;
    mutex_unlock(&device_lock);
    return DEVICE_MAJOR << 8 | (minor & 0xff);
}

int devfs_register(const char *name, unsigned mode, uint32_t number,
                   const struct linux_device_ops *ops, void *context)
{
    struct device *d = kzalloc(sizeof(*d));
    int r;

    if (!d)
        return ERR_NO_MEMORY;
    d->ops = ops;
    d->context = context;
    r = attach(name, mode, number, &device_node_ops, d);
    if (r != OK)
        kfree(d);
    return r;
}

int linux_device_register(const char *name, unsigned mode, const struct linux_device_ops *ops,
                          void *context)
{
    if (!name || !*name || strchr(name, '/') || strlen(name) > LINUX_NAME_MAX || !ops)
        return ERR_INVALID;
    return devfs_register(name, mode, next_number(), ops, context);
}

void linux_device_unregister(const char *name)
{
    struct node *folder, *node;

    if (dev_folder(&folder) != OK)
        return;
    if (node_lookup(folder, name, &node) == OK) {
        if (node->ops == &device_node_ops) {
            mutex_lock(&device_lock);
            ((struct device *)node->data)->gone = true;
            mutex_unlock(&device_lock);
            node_detach(node);
        }
        node_unref(node);
    }
    node_unref(folder);
}

/* A symbolic link in /dev; text lives for ever. */
static int add_alias(const char *name, const char *text)
{
    struct node *folder, *node;
    int r = dev_folder(&folder);

    if (r != OK)
        return r;
    r = node_create(folder, name, LINUX_S_IFLNK | 0777, &devfs, &alias_node_ops, (void *)text,
                    &node);
    if (r == OK) {
        r = node_attach(node);
        node_unref(node);
    }
    node_unref(folder);
    return r;
}

/* What every Linux program expects. */
static int add_standard(void)
{
    static const struct {
        const char *name, *text;
    } aliases[] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
    };
    int r = OK;

    for (size_t i = 0; i < ARRAY_SIZE(aliases) && r == OK; i++)
        r = add_alias(aliases[i].name, aliases[i].text);
    if (r == OK)
        r = devices_register();
    if (r == OK)
        r = pty_register();
    return r == OK ? tmpfs_register_shared() : r;
}

static bool devfs_fill(struct node *folder)
{
    static struct mutex lock = MUTEX_INIT(lock);
    static bool filled; /* set under lock */

    (void)folder;
    if (__atomic_load_n(&filled, __ATOMIC_ACQUIRE))
        return false;
    mutex_lock(&lock);
    if (!filled) {
        if (add_standard() != OK)
            log_warn("linux: not all that belongs in /dev is there: memory, or names, are taken");
        __atomic_store_n(&filled, true, __ATOMIC_RELEASE);
    }
    mutex_unlock(&lock);
    return true;
}

int devfs_init(void)
{
    struct node *folder;
    int r = dev_folder(&folder);

    if (r != OK)
        return r;
    folder->fs = &devfs;
    folder->ops = &devfs_folder_ops;
    node_unref(folder);
    return OK;
}
