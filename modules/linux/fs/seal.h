/*
 * seal.h: seals of nameless files. The node's lock is held for the checks.
 */
#pragma once

#include <microlake/types.h>

struct file;
struct node;

/* fcntl() F_ADD_SEALS and F_GET_SEALS. EINVAL: such a file has no seals. */
long seal_fcntl(struct file *f, int command, uint64_t seals);

/* May the file change its size like this / be written to? EPERM. */
int seal_check_size(const struct node *n, uint64_t old_size, uint64_t new_size);
int seal_check_write(const struct node *n);
