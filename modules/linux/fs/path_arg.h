/*
 * path_arg.h: a path as a system call gets it: an address, and the folder it counts from.
 */
#pragma once

#include <microlake/types.h>

struct node;
struct task;

struct path_arg {
    char *text;         /* kernel memory; "" only where an empty path is allowed */
    struct node *start; /* a reference */
};

/*
 * Reads the path and finds its folder: a descriptor, or LINUX_AT_FDCWD. empty_allowed: an empty
 * path (or address 0) names the descriptor's own file. ERR_FAULT, ENAMETOOLONG, ENOENT, EBADF,
 * ENOTDIR.
 */
int path_arg_get(struct task *t, int folder, vaddr_t at, bool empty_allowed, struct path_arg *out);

/* The same, but an absolute path counts from the folder too, should the walk want that. */
int path_arg_get_in(struct task *t, int folder, vaddr_t at, struct path_arg *out);
void path_arg_put(struct path_arg *arg);

/* The node it names; *out is a reference. */
int path_arg_lookup(const struct path_arg *arg, unsigned flags, struct node **out);
