/*
 * pretend.h: does with a module file what the loader does, up to running it: decode, copy, relocate
 * for an address in module space, walk all symbols and needs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Returns what kmodfile_decode() did, or KMODFILE_OVERFLOW. The bytes must have exactly this size.
 */
int kmodfile_pretend_load(const uint8_t *bytes, size_t size);

/* Reads a file whole; the caller frees. NULL: it cannot be read. */
uint8_t *file_read(const char *path, size_t *size);
