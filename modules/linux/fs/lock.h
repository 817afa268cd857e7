/*
 * lock.h: advisory locks on files. Thread context.
 */
#pragma once

#include <microlake/types.h>

struct fd_table;
struct file;
struct task;

/* fcntl()'s F_GETLK, F_SETLK, F_SETLKW, with a struct flock at a user address. */
long lock_fcntl(struct task *t, struct file *f, int command, vaddr_t at);

/* The file's last reference is gone: its flock() goes. */
void locks_drop_file(struct file *f);

/* A table of descriptors closed one of the file's, or ended (f is NULL): its record locks go, as
 * POSIX wants it. */
void locks_drop_table(const struct fd_table *table, const struct file *f);
