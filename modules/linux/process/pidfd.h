/*
 * pidfd.h: files that stand for processes. Such a file holds a reference to its process; it is
 * ready to be read, for poll(), when the process has ended.
 */
#pragma once

#include <microlake/types.h>

struct file;
struct process;
struct task;

/* flags: O_NONBLOCK or 0. The caller owns the reference. ERR_NO_MEMORY. */
int pidfd_create(struct process *p, uint32_t flags, struct file **out);

/* The process that a descriptor stands for, with a reference, and the file's flags. EBADF. */
int pidfd_get(struct task *t, int fd, struct process **out, uint32_t *flags);
