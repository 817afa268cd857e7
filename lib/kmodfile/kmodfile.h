/*
 * kmodfile.h: reads NAME.kmod files (uapi/kmod.h), which are ELF relocatable files.
 *
 * kmodfile_decode() checks the whole file and changes nothing; after it, whoever loads the file can
 * walk sections, symbols and relocations without further checks. Nothing is allocated, and the
 * bytes must stay as long as the struct kmodfile is used. They may be anything. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/kmod.h"

#define KMODFILE_SECTIONS_MAX 48
#define KMODFILE_SYMBOLS_MAX  65536
#define KMODFILE_MEMORY_MAX   (32u << 20) /* bytes of one area */
#define KMODFILE_ALIGN_MAX    4096
#define KMODFILE_SYMBOL_MAX   128 /* characters of a symbol's name, with its NUL */

enum kmodfile_result {
    KMODFILE_OK = 0,
    KMODFILE_NOT_ELF,
    KMODFILE_NOT_RELOCATABLE,
    KMODFILE_SECTION_TABLE,
    KMODFILE_SECTION,
    KMODFILE_TOO_LARGE,
    KMODFILE_SYMBOL_TABLE,
    KMODFILE_SYMBOL,
    KMODFILE_RELOCATION_TABLE,
    KMODFILE_RELOCATION,
    KMODFILE_RELOCATION_TYPE,
    KMODFILE_NO_MANIFEST,
    KMODFILE_MANIFEST_MAGIC,
    KMODFILE_MANIFEST_ABI,
    KMODFILE_MANIFEST_SIZE,
    KMODFILE_MANIFEST_INTERFACE,
    KMODFILE_MANIFEST_NAME,
    KMODFILE_MANIFEST_VERSION,
    KMODFILE_MANIFEST_NEEDS,
    KMODFILE_OVERFLOW,
};

/* What is wrong with the file, to follow "module X: ". */
const char *kmodfile_result_text(int result);

/* Memory that the module's sections become part of, by protection. */
enum kmodfile_area { KMODFILE_TEXT, KMODFILE_RODATA, KMODFILE_DATA, KMODFILE_AREAS };

struct kmodfile_section {
    bool loaded; /* takes memory; else all below is 0 */
    bool zero;   /* no bytes in the file */
    enum kmodfile_area area;
    size_t offset; /* within the area */
    size_t size;
    const uint8_t *bytes;
};

struct elf_symbol;

struct kmodfile {
    const uint8_t *bytes;
    size_t size;
    unsigned section_count;
    struct kmodfile_section sections[KMODFILE_SECTIONS_MAX];
    size_t area_size[KMODFILE_AREAS];
    const struct elf_symbol *symbols;
    size_t symbol_count;
    const char *names; /* names of symbols, each NUL-terminated */
    size_t names_size;
    unsigned manifest_section;
    struct kmod_manifest manifest; /* init and exit are not relocated: do not use */
};

/*
 * Checks a file. On KMODFILE_MANIFEST_ABI and later results manifest.abi_version and struct_size
 * are valid; on KMODFILE_MANIFEST_VERSION and later ones manifest.name is, too.
 */
int kmodfile_decode(const void *bytes, size_t size, struct kmodfile *out);

struct kmodfile_symbol {
    const char *name;
    enum { SYMBOL_UNDEFINED, SYMBOL_ABSOLUTE, SYMBOL_DEFINED } kind;
    unsigned section; /* SYMBOL_DEFINED: which; it may be one that is not loaded */
    uint64_t value;   /* offset within the section, or the absolute value */
    uint64_t size;
    bool global;
    bool function;
};

/* Symbol number index, below symbol_count. */
void kmodfile_symbol_read(const struct kmodfile *file, size_t index, struct kmodfile_symbol *out);

/* Whether other modules may use the symbol: global, in loaded memory, and not the manifest. */
bool kmodfile_symbol_exported(const struct kmodfile *file, const struct kmodfile_symbol *symbol);

struct kmodfile_relocation {
    unsigned section; /* the loaded section to change */
    uint64_t offset;  /* place within it */
    uint32_t type;
    uint32_t symbol;
    int64_t addend;
};

/* Walks all relocations of loaded sections; the cursor starts as {0}. false: no more. */
struct kmodfile_cursor {
    unsigned section;
    size_t entry;
};
bool kmodfile_relocation_next(const struct kmodfile *file, struct kmodfile_cursor *cursor,
                              struct kmodfile_relocation *out);

/*
 * Does one relocation: place is where to write, address the address at which it will be used,
 * symbol the symbol's address. KMODFILE_OVERFLOW: the value does not fit; nothing is written.
 */
int kmodfile_relocate(uint32_t type, void *place, uint64_t address, uint64_t symbol,
                      int64_t addend);

/*
 * Does all relocations of a loaded section, which lies at base, where it will be used; addresses:
 * each symbol's, by its number. Ends at the first one that does not fit: KMODFILE_OVERFLOW.
 */
int kmodfile_relocate_section(const struct kmodfile *file, unsigned section, uint8_t *base,
                              const uint64_t *addresses);

/* [a-z0-9_]+ and its NUL within size bytes. */
bool kmod_name_valid(const char *name, size_t size);

/* Checks a manifest's fields in order, and gives KMODFILE_OK or the first KMODFILE_MANIFEST_*. */
int kmod_manifest_check(const struct kmod_manifest *manifest);

/* Walks a checked manifest's needs; *cursor starts at 0. false: no more. */
bool kmod_need_next(const char *needs, size_t *cursor, char name[KMOD_NAME_MAX]);
