/*
 * file.h: open files, tables of descriptors, and what a process knows of the tree.
 *
 * Thread context throughout. A struct file is what dup() shares. The result of calls is a count, a
 * status, or LINUX_ERRNO().
 */
#pragma once

#include <microlake/aspace.h>
#include <microlake/spinlock.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/include/linux_dev.h"

struct file;
struct node;
struct node_ops;
struct process;
struct task;

struct file_ops {
    /* Moves bytes to or from user memory at *offset and advances it. Files that can't seek ignore
     * the offset. NULL: EINVAL. */
    long (*read)(struct file *f, vaddr_t at, size_t size, uint64_t *offset);
    long (*write)(struct file *f, vaddr_t at, size_t size, uint64_t *offset);
    long (*ioctl)(struct file *f, unsigned command, uint64_t argument); /* NULL: ENOTTY */
    /* See linux_device_ops. NULL: ENODEV. */
    int (*map)(struct file *f, uint64_t offset, uint64_t length, unsigned prot, bool shared,
               struct memobj **object, uint64_t *object_offset);
    unsigned (*poll)(struct file *f, struct linux_poll_source **source); /* NULL: always ready */
    void (*close)(struct file *f); /* the last reference is gone */
    /* Of nodes that lead to what files without a name stand for, as in /proc/self/fd. Such a node has
     * the file's data, of which hold() takes the reference that `release` gives back; it does not have
     * the file, which would stay open with it. NULL: nothing but files leads there. */
    const struct node_ops *again;
    void (*hold)(void *data);
    bool seekable;
    const char *kind; /* of a file without a name: "socket", or an anon_inode's; NULL: a pipe */
};

struct file {
    uint32_t refs;
    uint32_t flags; /* LINUX_O_*; only APPEND and NONBLOCK change, by whole-word stores */
    const struct file_ops *ops;
    struct node *node; /* a reference; NULL: it has no name */
    void *data;        /* the ops' */
    struct mutex offset_lock;
    uint64_t offset; /* guarded by offset_lock */
    struct list epoll_items; /* those that watch it; guarded by epoll's lock of links */
};

/* An open file without a name. The caller owns the reference. ERR_NO_MEMORY. */
int file_create(const struct file_ops *ops, void *data, uint32_t flags, struct file **out);

/* Opens a node. */
int file_open(struct node *node, uint32_t flags, struct file **out);
void file_ref(struct file *f);
void file_unref(struct file *f);

static inline bool file_readable(const struct file *f)
{
    return (f->flags & LINUX_O_ACCMODE) != LINUX_O_WRONLY && !(f->flags & LINUX_O_PATH);
}

static inline bool file_writable(const struct file *f)
{
    return (f->flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY && !(f->flags & LINUX_O_PATH);
}

/* read()/write() with the file's own offset (offset NULL) or at *offset. */
long file_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset);
long file_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset);
unsigned file_poll(struct file *f, struct linux_poll_source **source);

/* Type and permissions of a file without a name. */
uint32_t file_mode_nameless(const struct file *f);

/* Objects alive, to see that nothing leaks. */
extern uint32_t file_count;

/* ---- Descriptors
 * ----------------------------------------------------------------------------------- */

struct fd_table;

int fd_table_create(struct fd_table **out);
int fd_table_copy(struct fd_table *from, struct fd_table **out);
void fd_table_ref(struct fd_table *table);
void fd_table_unref(struct fd_table *table);
void fd_table_close_on_exec(struct fd_table *table);

/* The count of descriptors that the table has room for, a multiple of 64. */
unsigned fd_table_size(struct fd_table *table);

/* The file of a descriptor, with a reference; NULL: EBADF. */
struct file *fd_get(struct fd_table *table, int fd);

/* The lowest free descriptor >= from gets f (takes over the reference when it succeeds).
 * EMFILE at limit. */
long fd_install(struct fd_table *table, struct file *f, bool close_on_exec, int from,
                uint64_t limit);

/* The task's lowest free descriptor gets f; takes over the reference also when it fails. EMFILE. */
long file_install(struct task *t, struct file *f, bool close_on_exec);

/* Descriptor fd gets f, whatever it was before. Takes over the reference when it succeeds. */
int fd_replace(struct fd_table *table, int fd, struct file *f, bool close_on_exec, uint64_t limit);

/* Takes a descriptor's file out, with its reference; NULL: EBADF. */
struct file *fd_take(struct fd_table *table, int fd);

/* The close-on-exec flag: 0 or 1, or EBADF. */
long fd_flag_get(struct fd_table *table, int fd);
int fd_flag_set(struct fd_table *table, int fd, bool close_on_exec);

/* The first descriptor >= from that is open, or -1. */
int fd_next(struct fd_table *table, int from);

/* ---- Working folder
 * --------------------------------------------------------------------------------- */

struct fs_context {
    uint32_t refs;
    struct mutex lock;
    struct node *folder; /* a reference; guarded by lock */
    struct node *root;   /* where absolute paths start; a reference; guarded by lock */
    uint32_t mask;       /* umask; guarded by lock */
};

int fs_context_create(struct fs_context **out);
int fs_context_copy(struct fs_context *from, struct fs_context **out);
void fs_context_ref(struct fs_context *fs);
void fs_context_unref(struct fs_context *fs);
struct node *fs_context_folder(struct fs_context *fs); /* a reference */
struct node *fs_context_root(struct fs_context *fs);   /* a reference */

/* A copy of a user's vector of parts; the caller frees it. ERR_INVALID: too many, or too long. */
int iovec_read(vaddr_t at, size_t count, struct linux_iovec **out);

/* ---- Kinds of files
 * ----------------------------------------------------------------------------------- */

/* A new pipe: two files, references of the caller's. */
int pipe_create(uint32_t flags, struct file **reader, struct file **writer);

/* Standard streams: 0 reads from the host, 1 and 2 write to it. */
int stream_open(unsigned stream, struct file **out);

/* Moves file bytes to user memory: from contiguous kernel memory of `limit` bytes. */
long file_read_memory(const void *data, uint64_t limit, vaddr_t at, size_t size, uint64_t *offset);

/* Why the machine has no root to run its command in; NULL: it has one. */
const char *root_missing(void);

/* False: an option bind= names what could not be mounted. */
bool bound_ready(void);

/* A file in memory that no folder lists. *out is a reference. ERR_NO_MEMORY. */
int tmpfs_make_nameless(const char *name, struct node **out);

int bootfs_init(void);
int tmpfs_init(void);
int devfs_init(void);
int pseudo_init(void);

/* Registers what waits until somebody looks (linux_pseudo_later()), the first time. A node's `fill`. */
bool pseudo_fill(struct node *folder);


/* Make what /dev has in it, /dev/shm and /dev/pts included (tty/tty.h), when somebody looks for it. */
int devices_register(void);
int tmpfs_register_shared(void);
void bootfs_exit(void);

/* A node's open() for files that show text made by linux_pseudo_ops.show. */
int pseudo_open(const struct linux_pseudo_ops *ops, void *context, struct file *f);
