/*
 * bootline.h: the guest's kernel command line.
 *
 * Options, then " -- ", then the command's words separated by single spaces. In a word each byte
 * that is a space, a control character, '%', '"' or '\' stands as %XX (hexadecimal, upper case), so
 * that a word never holds one of them; an empty word stands as "%00".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* QEMU and the guest take this much, with the NUL. */
#define BOOTLINE_MAX 2048

/* Appends " NAME=VALUE", the value encoded as a word of the command, to the options in `out`.
 * False: longer than `size`. */
bool bootline_add_option(char *out, size_t size, const char *name, const char *value);

/*
 * Writes "OPTIONS -- COMMAND...". `options` may be "". False: longer than `size`, which includes
 * the NUL. `out` then holds nothing of use.
 */
bool bootline_write(char *out, size_t size, const char *options, char *const *command);
