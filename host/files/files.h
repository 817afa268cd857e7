/*
 * files.h: whole files, in and out, for programs of the host. Errors are said in one line on
 * standard error, behind the name of the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a file of at most `most` bytes; the caller frees *out. */
bool file_read(const char *path, size_t most, uint8_t **out, size_t *size);

/* Replaces a file's contents at once: who reads it sees the old or the new ones. */
bool file_write(const char *path, const void *data, size_t size, unsigned mode);
