/*
 * kmodfile.h: reads module files (uapi/kmodfile.h).
 *
 * kmodfile_decode() checks everything but the places and changes nothing; kmodfile_link() checks
 * each place while it does it. Nothing is allocated, and the bytes must stay as long as the struct
 * kmodfile is used. They may be anything. Any context.
 *
 * A machine starts no sooner than its modules are loaded, and the first time that an emulator
 * meets a piece of code costs more than thousands of rounds through it: few loops, each once over
 * its table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/kmod.h"
#include "uapi/kmodfile.h"

#define KMODFILE_MEMORY_MAX (32u << 20) /* bytes of one area */

enum kmodfile_result {
    KMODFILE_OK = 0,
    KMODFILE_NOT_A_MODULE,
    KMODFILE_OTHER_VERSION,
    KMODFILE_TOO_LARGE,
    KMODFILE_SIZE,
    KMODFILE_SYMBOLS,
    KMODFILE_IMPORTS,
    KMODFILE_NO_MANIFEST,
    KMODFILE_MANIFEST_MAGIC,
    KMODFILE_MANIFEST_ABI,
    KMODFILE_MANIFEST_SIZE,
    KMODFILE_MANIFEST_INTERFACE,
    KMODFILE_MANIFEST_NAME,
    KMODFILE_MANIFEST_VERSION,
    KMODFILE_MANIFEST_NEEDS,
    KMODFILE_PLACE,    /* kmodfile_link() only */
    KMODFILE_OVERFLOW, /* kmodfile_link() only */
};

/* What is wrong with the file, to follow "module X: it ". */
const char *kmodfile_result_text(int result);

/* Parts of the image, by protection, in their order. */
enum kmodfile_area { KMODFILE_TEXT, KMODFILE_DATA, KMODFILE_RODATA, KMODFILE_AREAS };

struct kmodfile_part {
    const uint8_t *bytes;
    size_t size;   /* of the bytes; up to the end of the pages there are zeroes */
    size_t offset; /* in the image */
    size_t pages;
};

struct kmodfile {
    const struct kmodfile_header *header;
    const struct kmodfile_import *imports;
    const kmodfile_place *places;
    struct kmodfile_part areas[KMODFILE_AREAS];
    size_t pages; /* of the image */

    const struct kmodfile_symbol *symbols; /* checked, in the file; in the image from names_offset down */
    const char *names;                     /* the last byte is a NUL */
    size_t names_size;
    size_t symbols_offset; /* in the image: no place reaches it */
    size_t names_offset;

    struct kmod_manifest manifest; /* init and exit have no base yet: do not use */
};

/*
 * Checks a file. On KMODFILE_MANIFEST_ABI and later results manifest.abi_version and struct_size
 * are valid; on KMODFILE_MANIFEST_VERSION and later ones manifest.name is, too.
 */
int kmodfile_decode(const void *bytes, size_t size, struct kmodfile *out);

/* A walk over the places of a decoded file: first the module's own, then each import's. */
struct kmodfile_linker {
    const struct kmodfile *file;
    uint8_t *image;            /* where the image is written: all of its pages */
    uint64_t base;             /* where it will be used */
    const kmodfile_place *next;
};

/*
 * Adds an address to the next places, as many as `counts` says: those of header->own (the address is
 * the base) or of the next import. KMODFILE_PLACE, KMODFILE_OVERFLOW: the file is wrong, and the
 * image of no use any more.
 */
int kmodfile_link(struct kmodfile_linker *linker, const struct kmodfile_places *counts,
                  uint64_t address);

/* [a-z0-9_]+ and its NUL within size bytes. */
bool kmod_name_valid(const char *name, size_t size);

/* Checks a manifest's fields in order, and gives KMODFILE_OK or the first KMODFILE_MANIFEST_*. */
int kmod_manifest_check(const struct kmod_manifest *manifest);

/* Walks a checked manifest's needs; *cursor starts at 0. false: no more. */
bool kmod_need_next(const char *needs, size_t *cursor, char name[KMOD_NAME_MAX]);
