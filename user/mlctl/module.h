/*
 * module.h: modules of the kernel, by name or by file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The file of a module: the word itself where it has a slash, else NAME.kmod of places.modules. False:
 * there is none. */
bool module_find(const char *word, char *path, size_t size);

/* Loads a file. 0, or a negative errno after saying what went wrong. */
int module_load_file(const char *path);

/* Unloads a module by name; the same. */
int module_unload_name(const char *name);

/* All of standard input, to be freed; NULL: it can't be read, or is too long. */
void *module_input_read(size_t *size);
