/*
 * object.h: reads a linked module, which is an ELF relocatable file.
 *
 * object_decode() checks the whole file and changes nothing; after it, sections, symbols and
 * relocations can be walked without further checks. The bytes must stay as long as the struct
 * object is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/kmodpack/elf64.h"
#include "lib/kmodfile/kmodfile.h"

#define OBJECT_SECTIONS_MAX 256
#define OBJECT_SYMBOLS_MAX  (1u << 20)
#define OBJECT_ALIGN_MAX    KMODFILE_PAGE
#define OBJECT_NAME_MAX     128 /* characters of a symbol's name, with its NUL */

enum object_result {
    OBJECT_OK = 0,
    OBJECT_NOT_ELF,
    OBJECT_NOT_RELOCATABLE,
    OBJECT_SECTION_TABLE,
    OBJECT_SECTION,
    OBJECT_TOO_LARGE,
    OBJECT_SYMBOL_TABLE,
    OBJECT_SYMBOL,
    OBJECT_RELOCATION_TABLE,
    OBJECT_RELOCATION,
    OBJECT_NO_MANIFEST,
};

/* What is wrong with the file, to follow "FILE: it ". */
const char *object_result_text(int result);

struct object_section {
    bool loaded; /* takes memory; else all below is 0 */
    enum kmodfile_area area;
    size_t offset;        /* within the area */
    const uint8_t *bytes; /* NULL: zeroes */
};

struct object {
    const uint8_t *bytes;
    size_t size;
    unsigned section_count;
    struct object_section sections[OBJECT_SECTIONS_MAX];
    size_t area_memory[KMODFILE_AREAS];
    size_t area_bytes[KMODFILE_AREAS]; /* without the zeroes at its end */
    const struct elf_symbol *symbols;
    size_t symbol_count;
    const char *names;
    size_t names_size;
    unsigned manifest; /* the section that holds it */
};

int object_decode(const void *bytes, size_t size, struct object *out);

static inline const struct elf_section *object_header(const struct object *object, unsigned index)
{
    const struct elf_header *h = (const struct elf_header *)object->bytes;

    return (const struct elf_section *)(object->bytes + h->section_headers) + index;
}

/* Whether a section holds relocations of a loaded one: header->info says which. */
bool object_relocates(const struct object *object, const struct elf_section *header);

/* Whether a symbol lies in the module's memory. */
bool object_symbol_loaded(const struct object *object, const struct elf_symbol *symbol);

/* Whether other modules may use it: a global one, and not the manifest. */
bool object_symbol_exported(const struct object *object, const struct elf_symbol *symbol);

const char *object_symbol_name(const struct object *object, const struct elf_symbol *symbol);
