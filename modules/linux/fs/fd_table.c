/*
 * fd_table.c: tables of descriptors, and the working folder. See file.h.
 */
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/lock.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"

#define FIRST_SIZE 64u

struct fd_slot {
    struct file *file; /* a reference; NULL: free */
    bool close_on_exec;
};

struct fd_table {
    uint32_t refs;
    struct spinlock lock;
    struct fd_slot *slots; /* guarded by lock */
    unsigned size;         /* guarded by lock; only grows */
    unsigned lowest_free;  /* all descriptors below are taken; guarded by lock */
};

int fd_table_create(struct fd_table **out)
{
    struct fd_table *table = kzalloc(sizeof(*table));

    if (!table)
        return ERR_NO_MEMORY;
    table->slots = kzalloc(FIRST_SIZE * sizeof(*table->slots));
    if (!table->slots) {
        kfree(table);
        return ERR_NO_MEMORY;
    }
    table->refs = 1;
    table->size = FIRST_SIZE;
    __atomic_add_fetch(&process_counts.tables, 1, __ATOMIC_RELAXED);
    *out = table;
    return OK;
}

/* Makes room for descriptor fd. The lock is not held. */
static int fd_table_grow(struct fd_table *table, unsigned fd)
{
    unsigned size = FIRST_SIZE;
    struct fd_slot *slots, *old;

    while (size <= fd)
        size *= 2;
    slots = kzalloc(size * sizeof(*slots));
    if (!slots)
        return ERR_NO_MEMORY;
    spin_lock(&table->lock);
    old = slots;
    if (table->size < size) {
        old = table->slots;
        memcpy(slots, old, table->size * sizeof(*slots));
        table->slots = slots;
        table->size = size;
    }
    spin_unlock(&table->lock);
    kfree(old);
    return OK;
}

int fd_table_copy(struct fd_table *from, struct fd_table **out)
{
    struct fd_table *table;
    int r = fd_table_create(&table);

    if (r != OK)
        return r;
    for (;;) {
        unsigned size;

        spin_lock(&from->lock);
        size = from->size;
        if (size <= table->size)
            break;
        spin_unlock(&from->lock);
        r = fd_table_grow(table, size - 1);
        if (r != OK) {
            fd_table_unref(table);
            return r;
        }
    }
    for (unsigned i = 0; i < from->size; i++) {
        table->slots[i] = from->slots[i];
        if (table->slots[i].file)
            file_ref(table->slots[i].file);
    }
    table->lowest_free = from->lowest_free;
    spin_unlock(&from->lock);
    *out = table;
    return OK;
}

void fd_table_ref(struct fd_table *table)
{
    __atomic_add_fetch(&table->refs, 1, __ATOMIC_RELAXED);
}

void fd_table_unref(struct fd_table *table)
{
    if (__atomic_sub_fetch(&table->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    locks_drop_table(table, NULL);
    for (unsigned i = 0; i < table->size; i++) {
        if (table->slots[i].file)
            file_unref(table->slots[i].file);
    }
    kfree(table->slots);
    kfree(table);
    __atomic_sub_fetch(&process_counts.tables, 1, __ATOMIC_RELAXED);
}

unsigned fd_table_size(struct fd_table *table)
{
    unsigned size;

    spin_lock(&table->lock);
    size = table->size;
    spin_unlock(&table->lock);
    return size;
}

struct file *fd_get(struct fd_table *table, int fd)
{
    struct file *f = NULL;

    spin_lock(&table->lock);
    if (fd >= 0 && (unsigned)fd < table->size)
        f = table->slots[fd].file;
    if (f)
        file_ref(f);
    spin_unlock(&table->lock);
    return f;
}

static int find_free_locked(const struct fd_table *table, unsigned from)
{
    for (unsigned i = MAX(from, table->lowest_free); i < table->size; i++) {
        if (!table->slots[i].file)
            return (int)i;
    }
    return (int)MAX(from, table->size);
}

static void put_locked(struct fd_table *table, int fd, struct file *f, bool close_on_exec)
{
    table->slots[fd] = (struct fd_slot){f, close_on_exec};
    if ((unsigned)fd == table->lowest_free)
        table->lowest_free++;
}

long fd_install(struct fd_table *table, struct file *f, bool close_on_exec, int from,
                uint64_t limit)
{
    for (;;) {
        bool done;
        int fd, r;

        spin_lock(&table->lock);
        fd = find_free_locked(table, (unsigned)from);
        done = (uint64_t)fd < limit && (unsigned)fd < table->size;
        if (done)
            put_locked(table, fd, f, close_on_exec);
        spin_unlock(&table->lock);
        if (done)
            return fd;
        if ((uint64_t)fd >= limit)
            return LINUX_ERRNO(EMFILE);
        r = fd_table_grow(table, (unsigned)fd);
        if (r != OK)
            return r;
    }
}

int fd_replace(struct fd_table *table, int fd, struct file *f, bool close_on_exec, uint64_t limit)
{
    struct file *old;

    if (fd < 0 || (uint64_t)fd >= limit)
        return LINUX_ERRNO(EBADF);
    for (;;) {
        int r;

        spin_lock(&table->lock);
        if ((unsigned)fd < table->size)
            break;
        spin_unlock(&table->lock);
        r = fd_table_grow(table, (unsigned)fd);
        if (r != OK)
            return r;
    }
    old = table->slots[fd].file;
    put_locked(table, fd, f, close_on_exec);
    spin_unlock(&table->lock);
    if (old) {
        locks_drop_table(table, old);
        file_unref(old);
    }
    return OK;
}

struct file *fd_take(struct fd_table *table, int fd)
{
    struct file *f = NULL;

    spin_lock(&table->lock);
    if (fd >= 0 && (unsigned)fd < table->size)
        f = table->slots[fd].file;
    if (f) {
        table->slots[fd] = (struct fd_slot){0};
        table->lowest_free = MIN(table->lowest_free, (unsigned)fd);
    }
    spin_unlock(&table->lock);
    if (f)
        locks_drop_table(table, f);
    return f;
}

void fd_table_close_on_exec(struct fd_table *table)
{
    for (unsigned i = 0;; i++) {
        bool end, close;
        struct file *f;

        spin_lock(&table->lock);
        end = i >= table->size;
        close = !end && table->slots[i].file && table->slots[i].close_on_exec;
        spin_unlock(&table->lock);
        if (end)
            return;
        f = close ? fd_take(table, (int)i) : NULL;
        if (f)
            file_unref(f);
    }
}

long fd_flag_get(struct fd_table *table, int fd)
{
    long r = LINUX_ERRNO(EBADF);

    spin_lock(&table->lock);
    if (fd >= 0 && (unsigned)fd < table->size && table->slots[fd].file)
        r = table->slots[fd].close_on_exec;
    spin_unlock(&table->lock);
    return r;
}

int fd_flag_set(struct fd_table *table, int fd, bool close_on_exec)
{
    int r = LINUX_ERRNO(EBADF);

    spin_lock(&table->lock);
    if (fd >= 0 && (unsigned)fd < table->size && table->slots[fd].file) {
        table->slots[fd].close_on_exec = close_on_exec;
        r = OK;
    }
    spin_unlock(&table->lock);
    return r;
}

int fd_next(struct fd_table *table, int from)
{
    int fd = -1;

    spin_lock(&table->lock);
    for (unsigned i = (unsigned)MAX(from, 0); i < table->size && fd < 0; i++) {
        if (table->slots[i].file)
            fd = (int)i;
    }
    spin_unlock(&table->lock);
    return fd;
}

int fs_context_create(struct fs_context **out)
{
    struct fs_context *fs = kzalloc(sizeof(*fs));

    if (!fs)
        return ERR_NO_MEMORY;
    fs->refs = 1;
    fs->mask = 022;
    mutex_init(&fs->lock);
    node_ref(node_root);
    fs->folder = node_root;
    node_ref(node_root);
    fs->root = node_root;
    *out = fs;
    return OK;
}

int fs_context_copy(struct fs_context *from, struct fs_context **out)
{
    struct fs_context *fs;
    int r = fs_context_create(&fs);

    if (r != OK)
        return r;
    node_unref(fs->folder);
    node_unref(fs->root);
    mutex_lock(&from->lock);
    fs->folder = from->folder;
    node_ref(fs->folder);
    fs->root = from->root;
    node_ref(fs->root);
    fs->mask = from->mask;
    mutex_unlock(&from->lock);
    *out = fs;
    return OK;
}

void fs_context_ref(struct fs_context *fs)
{
    __atomic_add_fetch(&fs->refs, 1, __ATOMIC_RELAXED);
}

void fs_context_unref(struct fs_context *fs)
{
    if (__atomic_sub_fetch(&fs->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    node_unref(fs->folder);
    node_unref(fs->root);
    kfree(fs);
}

static struct node *place_ref(struct fs_context *fs, struct node *const *place)
{
    struct node *folder;

    mutex_lock(&fs->lock);
    folder = *place;
    node_ref(folder);
    mutex_unlock(&fs->lock);
    return folder;
}

struct node *fs_context_folder(struct fs_context *fs)
{
    return place_ref(fs, &fs->folder);
}

struct node *fs_context_root(struct fs_context *fs)
{
    return place_ref(fs, &fs->root);
}
