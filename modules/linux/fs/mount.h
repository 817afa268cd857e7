/*
 * mount.h: which file systems lie where in the tree.
 *
 * A mount is an entry in a folder's list that stands in the way of what had that name; walking
 * needs to know nothing of it. The table tells programs of it, and brings the old entry back.
 * Thread context.
 */
#pragma once

#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_text.h"

struct file_system;

enum mount_flags {
    MOUNT_READ_ONLY = 1u << 0,
    MOUNT_ALIAS = 1u << 1, /* another place for what is elsewhere in the tree */
};

/*
 * Makes `root`, a node that is in no list, what the tree has at the place of `covered`, which PATH_SEAT
 * gave. Takes over the reference to root when it succeeds. source: copied. ERR_BUSY: the root, or a place that is
 * covered already by the same; ENOTDIR: one is a folder, the other not; ERR_NOT_FOUND: the place is in a
 * folder that is gone, or in that of a process in /proc, which nothing keeps; ERR_NO_MEMORY.
 */
int mount_cover(struct node *covered, struct node *root, const char *source, unsigned flags);

/* Takes the mount away whose entry this is, as PATH_SEAT gives it; gives up the reference when it succeeds.
 * `lazy`: also while it is used, and all that is mounted in it. ERR_INVALID: it is no mount; ERR_BUSY. */
int mount_remove(struct node *entry, bool lazy);

/* What stood at the entry's place before anything was mounted there, a reference; gives the entry's up. */
struct node *mount_look_below(struct node *entry);

/* A folder, or a file, for a mount at an absolute path, made in this machine alone where it is not there;
 * *out is a reference. */
int mount_place(const char *path, bool is_folder, struct node **out);

/* The mount whose root this is becomes read-only, or writable again. ERR_INVALID: it is none, or
 * one that is always there. */
int mount_set_read_only(struct node *root, bool read_only);

/* The lines of /proc/self/mounts and mountinfo. */
void mounts_show(struct text *t);
void mounts_show_info(struct text *t);

/* An empty file system in memory: its root, in no list, for a place in `folder`. */
int tmpfs_create(struct node *folder, const char *name, uint32_t mode, bool read_only,
                 struct node **out);
