/*
 * locate.h: where the parts of a machine lie. malv is build/host/malv; everything else is found
 * from there, so a build folder can be moved as a whole.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define QEMU_WORDS_MAX 10

/* How to start QEMU: the words before its options. */
struct qemu_program {
    char *words[QEMU_WORDS_MAX + 1]; /* NULL-terminated; they live in `text` */
    char text[QEMU_WORDS_MAX][PATH_MAX];
};

/* Writes the path of `name` (as "../boot.cpio") seen from malv's own folder. False: too long. */
bool locate_beside(const char *name, char path[PATH_MAX]);

/*
 * Finds QEMU: $MALV_QEMU, else the one that tools/setup unpacked, else qemu-system-x86_64 in PATH.
 * False: there is none, and a line on standard error said so.
 */
bool locate_qemu(struct qemu_program *out);
