/*
 * files.h: where mlctl's files lie, and whole reads and writes of them. Functions return 0 or a
 * negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FOLDERS_MAX 4

/* Folders are looked through in this order; NULL ends a list. Other places only in tests. */
struct places {
    const char *mlaas;                      /* what the module mlaas shows */
    const char *log;                        /* the kernel's, of the module kinfo */
    const char *gpu;                        /* GPU figures, of the same */
    const char *profiles[FOLDERS_MAX + 1];
    const char *modules[FOLDERS_MAX + 1];   /* files NAME.kmod */
};
extern struct places places;

/* A file of at most size - 1 bytes as NUL-terminated text. -EFBIG: it is longer. */
int file_read(const char *path, char *text, size_t size);

/* The same of standard input. */
int input_read(char *text, size_t size);

/* The text in one write(), as the kernel's files want it. */
int file_write(const char *path, const char *text);

/* FOLDER/NAME, or FOLDER/NAME/FILE. -ENAMETOOLONG; -ENOENT: a name that would leave its folder. */
int path_write(char *out, size_t size, const char *folder, const char *name, const char *file);

/* A name of a class, policy, profile or module: it stays in its folder. */
bool name_is_valid(const char *name);

/* What to say of a negative errno of the kernel's files, a reason in words. */
const char *reason_of(int error);
