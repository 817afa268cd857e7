/*
 * change.h: what objects.c and change.c share.
 */
#pragma once

#include "objects.h"

#define P9_O_RDONLY 0u
#define P9_O_WRONLY 1u
#define P9_O_RDWR   2u
#define P9_O_CREAT  0100u
#define P9_O_EXCL   0200u

#define LIST_BYTES 8192u /* of entries in one reply */

struct object {
    uint32_t fid; /* stands for the path; never open */
    struct mutex lock;
    uint32_t read_fid, write_fid; /* P9_NO_FID: not open; may be one; set once under lock */
};

int object_create(struct client *client, uint32_t fid, struct object **out);
int object_walk(void *fs, void *folder, const char *name, void **out, struct linux_fs_attr *attr);
uint32_t object_fid(const struct object *o);
int object_space(void *fs, void *object, struct linux_fs_space *out);
int object_open(void *fs, void *object, unsigned access);

long xattr_read(void *fs, void *object, const char *name, void *out, size_t room);
long xattr_names(void *fs, void *object, void *out, size_t room);
int xattr_write(void *fs, void *object, const char *name, const void *value, size_t size,
                unsigned flags);
int xattr_drop(void *fs, void *object, const char *name);

long change_write(void *fs, void *object, uint64_t offset, const void *from, size_t size);
int change_sync(void *fs, void *object);
int change_make(void *fs, void *folder, const char *name, uint32_t mode, const char *text,
                uint32_t device, void **out, struct linux_fs_attr *attr);
int change_link(void *fs, void *folder, const char *name, void *object);
int change_remove(void *fs, void *folder, const char *name, bool is_folder);
int change_rename(void *fs, void *from, const char *from_name, void *to, const char *to_name);
int change_resize(void *fs, void *object, uint64_t size);
int change_set_mode(void *fs, void *object, uint32_t mode);
int change_set_owner(void *fs, void *object, uint32_t uid, uint32_t gid);
int change_set_times(void *fs, void *object, const uint64_t *accessed, const uint64_t *changed);
