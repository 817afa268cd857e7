/*
 * xattr.h: extended attributes of nodes: names with values. Thread context.
 */
#pragma once

#include <microlake/types.h>

struct node;

#define XATTR_NAME_MAX 255u
#define XATTR_SIZE_MAX 65536u

enum xattr_flags { XATTR_CREATE = 1, XATTR_REPLACE = 2 };

/* Of nodes that keep them elsewhere than in memory; as the functions below, all names. */
struct xattr_ops {
    int (*set)(struct node *n, const char *name, const void *value, size_t size, unsigned flags);
    long (*get)(struct node *n, const char *name, void *out, size_t room);
    long (*list)(struct node *n, char *out, size_t room);
    int (*remove)(struct node *n, const char *name);
};

/* Sets an attribute; flags: it must be new, or must be there. ERR_EXISTS, ENODATA, ENOSPC. */
int xattr_set(struct node *n, const char *name, const void *value, size_t size, unsigned flags);

/* An attribute's value, or all names with a NUL behind each: the size; with room of 0 nothing is
 * copied. ERR_RANGE: there is more than room. ENODATA. */
long xattr_get(struct node *n, const char *name, void *out, size_t room);
long xattr_list(struct node *n, bool trusted, char *out, size_t room);
int xattr_remove(struct node *n, const char *name);

/* The node goes. */
void xattrs_free(struct node *n);
