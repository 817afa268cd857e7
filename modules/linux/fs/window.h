/*
 * window.h: file operations on kernel memory.
 *
 * Operations of files take addresses of user memory. A call that moves bytes from one file to
 * another gives them an address in the window instead: a range that no program has, behind which
 * lies the one buffer that the calling task has opened, and nothing else. So there is one read and
 * one write for each kind of file. Thread context of a program's task.
 */
#pragma once

#include <microlake/types.h>
#include <microlake/user.h>

struct file;

#define WINDOW_BASE (1ull << 56) /* no canonical address */

/* The window's half of bytes_in() and bytes_out(). ERR_FAULT: not inside an open window. */
int window_read(void *to, vaddr_t at, size_t size);
int window_write(vaddr_t at, const void *from, size_t size);

int window_zero(vaddr_t at, size_t size);

/* user_read() and user_write() for the read and write of files: `at` may be in the window. */
static inline int bytes_in(void *to, vaddr_t at, size_t size)
{
    return at < WINDOW_BASE ? user_read(to, at, size) : window_read(to, at, size);
}

static inline int bytes_out(vaddr_t at, const void *from, size_t size)
{
    return at < WINDOW_BASE ? user_write(at, from, size) : window_write(at, from, size);
}

static inline int bytes_zero(vaddr_t at, size_t size)
{
    return at < WINDOW_BASE ? user_zero(at, size) : window_zero(at, size);
}

/* file_read() and file_write() with a buffer of the kernel's. ERR_INVALID: this kind of file does
 * not take part. */
long file_read_kernel(struct file *f, void *to, size_t size, uint64_t *offset);
long file_write_kernel(struct file *f, const void *from, size_t size, uint64_t *offset);
