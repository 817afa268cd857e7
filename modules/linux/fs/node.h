/*
 * node.h: the tree of named things: folders, files, symbolic links, devices.
 *
 * One tree, one root. A node is a name and what it names in one; file systems differ in their
 * node_ops. Children that a folder keeps are in its list; folders whose content is made on demand
 * (/proc/PID) supply lookup and list instead, with nodes that live only while somebody uses them.
 *
 * References: a node holds its parent; a folder's list holds its children; open files, working
 * folders and programs hold theirs. Thread context throughout.
 *
 * Locks, in the order in which they are taken: node_rename_lock, a folder's lock, a file's lock,
 * node_place_lock.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/include/linux_errno.h"

struct file;
struct memobj;
struct node;

struct file_system {
    const char *name;
    uint32_t id;    /* st_dev */
    int64_t magic;  /* statfs f_type */
    bool read_only; /* programs may change nothing */
    bool xattrs;    /* its nodes have extended attributes */
    void *data;     /* the file system's */
};

/* What a file system has room for. */
struct file_system_space {
    uint32_t block_size;
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
};

/* Times to be set, as the node's own; NULL: it stays. */
struct node_times {
    const uint64_t *accessed, *modified;
    bool now; /* both, and both are the present moment */
};

#define NODE_KEEP_ID UINT32_MAX /* an owner or group that stays */

/* Receives the entries of a folder; false: it is full, and this entry was not taken. */
struct node_sink {
    bool (*entry)(struct node_sink *sink, const char *name, uint64_t number, uint32_t mode,
                  uint64_t next);
};

/* What is to be made: type and permissions; the text of a link; the number of a device. */
struct node_kind {
    uint32_t mode;
    uint32_t device;
    const char *text;
};

struct node_ops {
    /* Called when a name is not in the list, and before the list is shown or changed, any number of times:
     * makes what the folder always has. False: that was there. NULL: nothing. */
    bool (*fill)(struct node *folder);
    /* A child that is not in the list; *out is a reference. NULL: there are none. */
    int (*lookup)(struct node *folder, const char *name, struct node **out);
    /* Entries that are not in the list, from position *at (0 first) on; advances it. */
    void (*list)(struct node *folder, uint64_t *at, struct node_sink *sink);

    /* What node_make() wants, of a name that is free; the folder's lock is held. *out is a
     * reference. NULL: not allowed. */
    int (*make)(struct node *folder, const char *name, const struct node_kind *kind,
                struct node **out);

    /* A file in the same file system that has no name. *out is a reference. NULL: not possible. */
    int (*make_nameless)(struct node *folder, uint32_t mode, struct node **out);

    /* Another name for a node that is no folder and of the same file system; the folder's lock is
     * held and the name is free. NULL: not possible. */
    int (*link)(struct node *folder, const char *name, struct node *node);

    /* Gives f its ops and data. flags are in f. */
    int (*open)(struct node *node, struct file *f);
    /* A symbolic link's text; returns its length, at most size. */
    long (*text)(struct node *node, char *out, size_t size);
    /* What a link leads to, where its text is only for reading (/proc/PID/fd); *out is a reference.
     * NULL: its text says it. */
    int (*follow)(struct node *node, struct node **out);
    /* The pages of a file, for mapping and running it; *out is a reference. NULL: it has none. */
    int (*object)(struct node *node, struct memobj **out);
    uint64_t (*size)(struct node *node);             /* NULL: 0 */
    int (*resize)(struct node *node, uint64_t size); /* NULL: not allowed */
    /* What lies there of the file becomes zeroes. NULL: not possible. */
    int (*zero)(struct node *node, uint64_t from, uint64_t size);

    /* For file systems whose nodes only remember what a server has; all NULL elsewhere. */
    bool (*valid)(struct node *node); /* a child in a list: false: look it up again */
    int (*remove)(struct node *folder, struct node *child); /* the folder's lock is held */
    int (*rename)(struct node *from, const char *from_name, struct node *to, const char *to_name);
    int (*exchange)(struct node *from, const char *from_name, struct node *to, const char *to_name);
    int (*set_mode)(struct node *node, uint32_t mode); /* permissions */
    int (*set_owner)(struct node *node, uint32_t uid, uint32_t gid);
    int (*set_times)(struct node *node, const struct node_times *times);
    int (*space)(struct node *node, struct file_system_space *out); /* NULL: the machine's memory */
    int (*sync)(struct node *node);
    /* What of a file is wanted soon, or no more: enum linux_fadvice. f NULL: by mappings. NULL: all of it is
     * in memory anyway. */
    int (*advise)(struct node *node, struct file *f, uint64_t offset, uint64_t length, int advice);
    const struct xattr_ops *xattrs; /* NULL: the node has them in memory, if its file system has any */

    void (*release)(struct node *node); /* the last reference is gone: free data */
};

struct node {
    uint32_t refs;
    uint32_t mode;   /* type and permissions */
    uint32_t uid, gid;
    uint32_t links;  /* names it has in all; of folders: 2 and one for each folder in it. Atomic */
    uint64_t number; /* st_ino */
    uint32_t device; /* st_rdev */
    const struct file_system *fs;
    const struct node_ops *ops;
    void *data; /* the file system's */

    /* Of access, content and status: time_now() values; times before the machine's start wrap. */
    uint64_t accessed, modified, changed;

    struct memobj *named; /* its pages, a reference, once they are mapped; proc/memory.c's lock */
    unsigned seals; /* LINUX_F_SEAL_...: what may not happen to it; changed under lock */
    bool sealable;  /* it is a nameless file, which has seals; constant */

    struct node *same; /* this is one more name for that node, a reference; else NULL */
    bool linkable;     /* it may get a name although it has none; changed by who opens it */
    struct list xattrs; /* extended attributes; guarded by lock */
    bool mounted;      /* it is the entry of a mount; changed by mount.c */
    bool hidden;       /* a mount stands where it stood in its folder's list; guarded by that folder's lock */
    struct node *bound; /* of a seat (seat.h): the entry of the bind mount it lies below; else NULL */
    bool bound_deep;    /* of a bind mount's entry: what is mounted in there is seen too; constant */
    uint32_t covers;    /* mounts over seats that show this node, or over seats below those; atomic */

    struct node *parent; /* a reference; the root's is itself. Guarded by node_place_lock */
    char *name;          /* guarded by node_place_lock */
    bool linked;         /* it is in its parent's list; guarded by the parent's lock */
    struct list sibling; /* guarded by the parent's lock */
    uint64_t cookie;     /* its position in the parent's list; guarded by the parent's lock */

    struct mutex lock;
    struct list children; /* folders; guarded by lock */
    bool dead;            /* a folder that was removed: it stays empty; guarded by lock */
    uint64_t next_cookie; /* guarded by lock */
};

/* What an entry of a folder's list stands for. */
static inline struct node *node_body(struct node *entry)
{
    return entry->same ? entry->same : entry;
}

static inline bool node_is_folder(const struct node *n)
{
    return (n->mode & LINUX_S_IFMT) == LINUX_S_IFDIR;
}

static inline bool node_is_file(const struct node *n)
{
    return (n->mode & LINUX_S_IFMT) == LINUX_S_IFREG;
}

static inline bool node_is_link(const struct node *n)
{
    return (n->mode & LINUX_S_IFMT) == LINUX_S_IFLNK;
}

/* A node that is in no list. parent: NULL only for the root. name is copied. The caller owns the
 * reference. ERR_NO_MEMORY. */
int node_create(struct node *parent, const char *name, uint32_t mode, const struct file_system *fs,
                const struct node_ops *ops, void *data, struct node **out);
void node_ref(struct node *n);
void node_unref(struct node *n);

/* node_body() of a reference that is given up; the result is a reference. */
static inline struct node *node_take_body(struct node *entry)
{
    struct node *body = entry->same;

    if (!body)
        return entry;
    node_ref(body);
    node_unref(entry);
    return body;
}

/* A reference, unless the last one is gone. */
bool node_ref_live(struct node *n);

/* The folder a node lies in, with a reference: renames may move it away at any time. */
struct node *node_parent(struct node *n);

/* The same, and its name: LINUX_NAME_MAX + 1 bytes. */
struct node *node_place(struct node *n, char *name);

/* Takes a node, of which the caller has a reference, out of its folder's list when nobody else uses
 * it. No lock is held. */
void node_forget(struct node *n);

/* Puts a node into its parent's list (which takes a reference) / takes it out again. The parent's
 * lock is held for the _locked form. node_attach: ERR_EXISTS. */
int node_attach(struct node *n);
void node_attach_locked(struct node *n);
void node_detach(struct node *n);
void node_detach_locked(struct node *n);

/* ---- For node.c and node_change.c alone */

extern struct mutex node_rename_lock;
extern struct spinlock node_place_lock;

/* A second name gives its place in its folder to its node, if that has none. No lock is held. */
void node_take_place(struct node *name);

/* A child in the list, without a reference, or NULL. The folder's lock is held. */
struct node *node_child_locked(struct node *folder, const char *name);

/* Has made what a folder always has. False: it was there. No lock is held. */
bool node_fill(struct node *folder);

/* A child by name; *out is a reference. ERR_NOT_FOUND, ENOTDIR. The second form gives what stands for it
 * at this place: a further name, the entry of a bind mount, or below one a folder's seat. */
int node_lookup(struct node *folder, const char *name, struct node **out);
int node_lookup_place(struct node *folder, const char *name, struct node **out);

/* The node of a further name; all others stay as they are. A node that has lost its first name takes over this
 * one's place, so that it has a path again. Takes over the reference, gives one of the node. */
struct node *node_settle(struct node *entry);

/* The folder at a path below `from`, made with `fs` and `ops` where it is not there. */
int node_make_folders(struct node *from, const char *path, size_t length,
                      const struct file_system *fs, const struct node_ops *ops, struct node **out);

/* Hands a folder's entries, "." and ".." included, to sink from *at on; advances it. */
void node_list(struct node *folder, uint64_t *at, struct node_sink *sink);

/* Moves a node to another folder and name, replacing what is there; `keep`: nothing may be there,
 * else ERR_EXISTS. */
int node_rename(struct node *from, const char *from_name, struct node *to, const char *to_name,
                bool keep);

/* Makes what `kind` says. *out is a reference. ERR_EXISTS, ERR_NOT_FOUND: the folder was removed;
 * EROFS, EPERM: not in this file system. */
int node_make(struct node *folder, const char *name, const struct node_kind *kind,
              struct node **out);

/* One more name for a node. As node_make(), and EXDEV: another file system; EPERM: a folder. */
int node_link(struct node *folder, const char *name, struct node *node);

/* Two names trade what they stand for. */
int node_exchange(struct node *from, const char *from_name, struct node *to, const char *to_name);

/* Removes a name; folder: it must be an empty folder, else it must not be a folder. */
int node_remove(struct node *folder, const char *name, bool remove_folder);

/* The absolute path, as "/a/b". Its length without NUL, or ERR_RANGE. The second form: as seen from
 * a root; ERR_NOT_FOUND: it is not below that. */
long node_path(struct node *n, char *out, size_t size);
long node_path_from(const struct node *root, struct node *n, char *out, size_t size);

/* Mappings of the object are shown as the node's; what a node that goes must do about it. */
void node_name_object(struct node *n, struct memobj *object);
void node_unname_object(struct node *n);

/* The file whose pages an object holds, with a reference; NULL: it is not known. */
struct node *node_named_by_object(const struct memobj *object);

uint64_t node_size(struct node *n);

/* A file that can be resized is to be of this size; EFBIG: the process may have none so large. */
int node_resize(struct node *n, uint64_t size);
void node_touch(struct node *n);         /* its content changed now */
void node_touch_status(struct node *n);  /* what is known of it changed now */
void node_touch_access(struct node *n);  /* it was read; noted where that tells something */

int node_set_mode(struct node *n, uint32_t mode);              /* permissions. EROFS */
int node_set_owner(struct node *n, uint32_t uid, uint32_t gid); /* EROFS */
int node_set_times(struct node *n, const struct node_times *times);

/* Makes /dev/NAME, a character device of that number (st_rdev) whose files ops->open makes. */
int devfs_add(const char *name, unsigned mode, uint32_t number, const struct node_ops *ops);

/* The same as linux_device_register() with the number that programs expect. */
struct linux_device_ops;
int devfs_register(const char *name, unsigned mode, uint32_t number,
                   const struct linux_device_ops *ops, void *context);

extern struct node *node_root;

/* A number for st_dev that no file system has yet. */
uint32_t file_system_new_id(void);

/* ---- Paths
 * ---------------------------------------------------------------------------------------- */

/* The root of the running program, a reference; before there is one the tree's. */
struct node *path_root(void);

enum path_flags {
    PATH_NOFOLLOW = 1u << 0, /* a link at the end is what is wanted */
    PATH_FOLDER = 1u << 1,   /* the end must be a folder */

    /* As openat2() has them. */
    PATH_NO_XDEV = 1u << 2,  /* stays in one file system: EXDEV */
    PATH_NO_MAGIC = 1u << 3, /* follows no link that only looks like a text: ELOOP */
    PATH_NO_LINKS = 1u << 4, /* follows no link: ELOOP */
    PATH_BENEATH = 1u << 5,  /* never leaves the tree below the start: EXDEV */
    PATH_IN_ROOT = 1u << 6,  /* the start is the root */

    PATH_SEAT = 1u << 7, /* what stands at that place is wanted: see seat.h */
};

/* The node at a path, from `start` when it is relative. *out is a reference. */
int path_lookup(struct node *start, const char *path, unsigned flags, struct node **out);

/* The folder that holds, or would hold, the last part of a path, and that part. "" when the path
 * ends in a folder's own name ("/", "a/.."). name: LINUX_NAME_MAX + 1 bytes. trailing_slash may be
 * NULL. */
int path_parent(struct node *start, const char *path, struct node **folder, char *name,
                bool *trailing_slash);
int path_parent_how(struct node *start, const char *path, unsigned flags, struct node **folder,
                    char *name, bool *trailing_slash);
