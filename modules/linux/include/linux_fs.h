/*
 * linux_fs.h: what the Linux personality offers to modules that bring a file system.
 *
 * The personality keeps names, facts and file pages it has seen; the module answers what is not
 * known, or not fresh. A module that uses this names "linux" in its manifest's needs and stays
 * loaded. All callbacks: thread context, may sleep, any number at once.
 *
 * Objects (void *) are the module's: each that a callback hands out is given back once, through
 * release(). Callbacks return a status of types.h or LINUX_ERRNO(E...); a name that is not there is
 * ERR_NOT_FOUND, one that is there already ERR_EXISTS. NULL callbacks: not possible, EPERM.
 */
#pragma once

#include <microlake/types.h>

#include "modules/linux/include/linux_errno.h"

struct linux_fs_attr {
    uint64_t number;  /* st_ino */
    uint64_t size;    /* bytes */
    uint64_t changed; /* content; ns since 1970 */
    uint64_t version; /* another one: the content may be another one; with size and changed */
    uint32_t mode;    /* type and permissions, Linux's numbers */
    uint32_t uid, gid;
    uint32_t device;         /* of a device node: st_rdev */
    uint32_t links;          /* st_nlink */
    uint64_t accessed;       /* 0: as changed */
    uint64_t status_changed; /* 0: as changed */
};

struct linux_fs_space {
    uint32_t block_size;
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
};

#define LINUX_FS_KEEP_ID UINT32_MAX /* an owner or group that is not to change */

struct linux_fs_sink {
    /* One entry; mode: its type. next: `at` of the next call to go on behind it. False: full, it
     * was not taken. */
    bool (*entry)(struct linux_fs_sink *sink, const char *name, uint64_t number, uint32_t mode,
                  uint64_t next);
};

enum linux_fs_access { LINUX_FS_READ = 1u << 0, LINUX_FS_WRITE = 1u << 1 };

struct linux_fs_ops {
    const char *name; /* as in statfs and mounts */
    int64_t magic;    /* statfs f_type */
    uint32_t read_most; /* bytes that one read() moves at most, whole pages; 0: any number */

    int (*walk)(void *fs, void *folder, const char *name, void **out, struct linux_fs_attr *attr);
    int (*attr)(void *fs, void *object, struct linux_fs_attr *out);
    /* Before the first read or write of a file; access: enum linux_fs_access. */
    int (*open)(void *fs, void *object, unsigned access);
    /* Bytes moved, 0 at the end of the file. `to` is heap memory or a page of the direct map, so
     * that a device may write there. */
    long (*read)(void *fs, void *object, uint64_t offset, void *to, size_t size);
    /* NULL: nothing can be changed here, EROFS. */
    long (*write)(void *fs, void *object, uint64_t offset, const void *from, size_t size);
    int (*sync)(void *fs, void *object);
    /* A link's text, without NUL; its length. */
    long (*text)(void *fs, void *object, char *out, size_t size);
    /* Entries from `at` on, 0 at first; "." and ".." may be among them. */
    int (*list)(void *fs, void *folder, uint64_t at, struct linux_fs_sink *sink);

    /* A new file, folder, link (text is its), device (of this number), pipe or socket; mode says
     * which. */
    int (*make)(void *fs, void *folder, const char *name, uint32_t mode, const char *text,
                uint32_t device, void **out, struct linux_fs_attr *attr);
    int (*link)(void *fs, void *folder, const char *name, void *object); /* another name for it */
    int (*remove)(void *fs, void *folder, const char *name, bool is_folder);
    int (*rename)(void *fs, void *from, const char *from_name, void *to, const char *to_name);
    int (*resize)(void *fs, void *object, uint64_t size);
    int (*set_mode)(void *fs, void *object, uint32_t mode); /* permissions */
    int (*set_owner)(void *fs, void *object, uint32_t uid, uint32_t gid);
    /* ns since 1970; NULL: it stays. */
    int (*set_times)(void *fs, void *object, const uint64_t *accessed, const uint64_t *changed);
    int (*space)(void *fs, void *object, struct linux_fs_space *out);

    /* Extended attributes; get_xattr NULL: there are none. A value, or all names with a NUL behind each:
     * its size; with room of 0 nothing is copied. ENODATA; ERR_RANGE: there is more than room. */
    long (*get_xattr)(void *fs, void *object, const char *name, void *out, size_t room);
    long (*list_xattr)(void *fs, void *object, void *out, size_t room);
    /* flags: 1: it must be new, 2: it must be there. */
    int (*set_xattr)(void *fs, void *object, const char *name, const void *value, size_t size,
                     unsigned flags);
    int (*remove_xattr)(void *fs, void *object, const char *name);
    void (*release)(void *fs, void *object);
};

/*
 * Makes a file system the root of the tree; /dev, /proc, /sys and /tmp stay the personality's own.
 * Before the machine's command starts, once. `root` is given away, also on failure. ERR_BUSY: there
 * is one already. ERR_NO_MEMORY.
 */
int linux_fs_mount_root(const struct linux_fs_ops *ops, void *fs, void *root);

/*
 * For a module that keeps changes to the root: when one is mounted, it may put a file system of its own
 * over it. `cover` replaces all three by its own; `root` is given away, also on failure. To be set
 * before the root is mounted.
 */
void linux_fs_cover_root(int (*cover)(const struct linux_fs_ops **ops, void **fs, void **root));

/* Nanoseconds since 1970, as programs see them. Thread context. */
uint64_t linux_wall_time(void);

/* Says why the root that was asked for can't be mounted, in one phrase that lives for ever; who
 * started the machine reads it. */
void linux_fs_root_refused(const char *why);

/*
 * Puts a file system, or a folder or file of one, at an absolute path of the machine; folders that are not there
 * are made, in this machine alone. read_only: programs may change nothing below. source: as in
 * /proc/mounts. Otherwise as linux_fs_mount_root().
 */
int linux_fs_mount(const struct linux_fs_ops *ops, void *fs, void *root, const char *path,
                   const char *source, bool read_only);

/* Is the calling program in the middle of a call, and to end? Then nobody wants to know the call's
 * result. Thread context, any thread; takes spinlocks. */
bool linux_fs_caller_ends(void);
