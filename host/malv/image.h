/*
 * image.h: looks at the files a machine boots before QEMU does, so that a missing or damaged one
 * gets a line that says what to do. The guest checks them again on its own.
 */
#pragma once

#include <stdbool.h>

/* An x86 ELF file whose segments lie inside it. False: a line on standard error said what is wrong.
 */
bool image_check_kernel(const char *path);

/* A newc cpio archive, whole up to its trailer. False: a line on standard error said what is wrong.
 */
bool image_check_initrd(const char *path);

/* An EROFS image, by its first bytes. False: a line on standard error said what is wrong. */
bool image_check_root(const char *path);
