/*
 * pretend.h: does with a module file what the loader does, up to running it: decode, copy, link for an
 * address in module space, walk all symbols and needs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/kmodfile/kmodfile.h"

/* Returns a KMODFILE_* result. The bytes must have exactly this size. image: NULL, or takes the
 * linked image, which the caller frees; NULL again when the file could not be decoded. */
int kmodfile_pretend_load(const uint8_t *bytes, size_t size, uint8_t **image);

/* Reads a file whole; the caller frees. NULL: it cannot be read. */
uint8_t *file_read(const char *path, size_t *size);
