/*
 * kmodfile.h: the form of a module file, NAME.kmod.
 *
 * It is what is left of a linked module when all that does not depend on where it will lie has been
 * done: kmodpack makes it, once, so that a machine need not at every start. The file is
 *
 *   struct kmodfile_header
 *   struct kmodfile_import   import_count of them, sorted by name (as strcmp() does)
 *   kmodfile_place           place_count of them: those of the header's `own`, then each import's
 *   text                     text_size bytes
 *   data                     data_size bytes
 *   read-only data           rodata_size bytes; its end is the symbols and then the names
 *
 * and nothing more, unless a signature follows (uapi/kmod.h). Numbers are little-endian and may lie
 * at any address.
 *
 * In memory the module is one image of whole pages: text; data with zero_size zeroes behind it;
 * read-only data. Each begins on a page. An "offset" below counts from the image's first byte, the
 * base. References that do not leave the module are done but for adding the base.
 */
#pragma once

#include <stdint.h>

#define KMODFILE_MAGIC   0x4b41504bu /* "KPAK" */
#define KMODFILE_VERSION 1u
#define KMODFILE_PAGE    4096u

/*
 * An offset at which an address is added to what the file has there. Places of one import, or of
 * the module itself, are listed by kind, in the order of struct kmodfile_places, which counts them:
 *   relative32  32 bits, the address less the base
 *   absolute32  32 bits, sign-extended when used
 *   absolute64  64 bits
 */
typedef uint32_t __attribute__((aligned(1), may_alias)) kmodfile_place;

struct kmodfile_places {
    uint32_t relative32, absolute32, absolute64;
} __attribute__((packed));

/* A symbol of the nucleus or of a module that this one needs. */
struct kmodfile_import {
    uint32_t name; /* position in the names */
    struct kmodfile_places places;
} __attribute__((packed));
_Static_assert(sizeof(struct kmodfile_import) == 16, "import layout");

/* A symbol of the module. Exports come first, sorted by name; then functions, for backtraces. */
struct kmodfile_symbol {
    uint32_t offset;
    uint32_t name; /* position in the names */
} __attribute__((packed));
_Static_assert(sizeof(struct kmodfile_symbol) == 8, "symbol layout");

struct kmodfile_header {
    uint32_t magic;   /* KMODFILE_MAGIC */
    uint32_t version; /* KMODFILE_VERSION */
    uint32_t text_size, data_size, zero_size, rodata_size;
    uint32_t manifest; /* offset of the struct kmod_manifest, in the data */
    uint32_t names;    /* offset, in the read-only data: names to its end, each with its NUL */
    uint32_t symbol_count; /* of the symbols, which end where the names begin */
    uint32_t export_count; /* how many of the symbols are exports */
    uint32_t import_count;
    uint32_t place_count;
    struct kmodfile_places own; /* places to which the base is added */
} __attribute__((packed));
_Static_assert(sizeof(struct kmodfile_header) == 60, "header layout");
