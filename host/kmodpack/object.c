/*
 * object.c: see object.h. The order of the checks: header, sections, symbols, relocations, manifest;
 * each relies on those before it.
 */
#include "host/kmodpack/object.h"

#include <string.h>

static const char *const result_texts[] = {
    [OBJECT_OK] = "is well-formed",
    [OBJECT_NOT_ELF] = "is not an ELF file for x86-64",
    [OBJECT_NOT_RELOCATABLE] = "is not a relocatable ELF file: link it with ld -r",
    [OBJECT_SECTION_TABLE] = "has a damaged section table, or too many sections",
    [OBJECT_SECTION] =
        "has a section that lies outside the file or is of a kind modules cannot have",
    [OBJECT_TOO_LARGE] = "takes more memory than a module may",
    [OBJECT_SYMBOL_TABLE] = "has no symbol table, or a damaged one",
    [OBJECT_SYMBOL] = "has a symbol that points outside the module, a common one, or one with too "
                      "long a name",
    [OBJECT_RELOCATION_TABLE] = "has a damaged relocation table",
    [OBJECT_RELOCATION] = "has a relocation that points outside its section or names no symbol",
    [OBJECT_NO_MANIFEST] = "has no manifest: define one with KMOD_MANIFEST()",
};

const char *object_result_text(int result)
{
    return result_texts[result];
}

/* Whether offset..offset+length lies in 0..size. */
static bool range_inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static int header_check(struct object *object)
{
    const struct elf_header *h = (const struct elf_header *)object->bytes;

    if (object->size < sizeof(*h) || memcmp(h->ident, ELF_MAGIC, 4) != 0 ||
        h->ident[4] != ELF_CLASS_64 || h->ident[5] != ELF_LITTLE || h->machine != ELF_X86_64)
        return OBJECT_NOT_ELF;
    if (h->type != ELF_REL)
        return OBJECT_NOT_RELOCATABLE;
    if (h->section_header_size != sizeof(struct elf_section) || h->section_header_count == 0 ||
        h->section_header_count > OBJECT_SECTIONS_MAX ||
        !range_inside(h->section_headers, h->section_header_count * sizeof(struct elf_section),
                      object->size))
        return OBJECT_SECTION_TABLE;
    object->section_count = h->section_header_count;
    return OBJECT_OK;
}

/* Gives a section its place in its area. */
static int section_place(struct object *object, const struct elf_section *s,
                         struct object_section *out)
{
    uint64_t align = s->align ? s->align : 1;

    if (s->type != ELF_SECTION_PROGBITS && s->type != ELF_SECTION_NOBITS)
        return OBJECT_SECTION;
    if ((align & (align - 1)) != 0 || align > OBJECT_ALIGN_MAX || (s->flags & ELF_FLAG_TLS))
        return OBJECT_SECTION;
    if ((s->flags & ELF_FLAG_EXEC) && (s->flags & ELF_FLAG_WRITE))
        return OBJECT_SECTION;
    if (s->size > KMODFILE_MEMORY_MAX)
        return OBJECT_TOO_LARGE;

    out->area = (s->flags & ELF_FLAG_EXEC)    ? KMODFILE_TEXT
                : (s->flags & ELF_FLAG_WRITE) ? KMODFILE_DATA
                                              : KMODFILE_RODATA;
    out->offset = (object->area_memory[out->area] + align - 1) & ~(align - 1);
    if (out->offset + s->size > KMODFILE_MEMORY_MAX)
        return OBJECT_TOO_LARGE;
    object->area_memory[out->area] = out->offset + s->size;
    out->loaded = true;
    if (s->type == ELF_SECTION_PROGBITS) {
        out->bytes = object->bytes + s->offset;
        object->area_bytes[out->area] = out->offset + s->size;
    }
    return OBJECT_OK;
}

static int sections_check(struct object *object)
{
    for (unsigned i = 1; i < object->section_count; i++) {
        const struct elf_section *s = object_header(object, i);

        if (s->type != ELF_SECTION_NOBITS && s->type != ELF_SECTION_NULL &&
            !range_inside(s->offset, s->size, object->size))
            return OBJECT_SECTION;
        if (!(s->flags & ELF_FLAG_ALLOC))
            continue;
        int result = section_place(object, s, &object->sections[i]);
        if (result != OBJECT_OK)
            return result;
    }
    return OBJECT_OK;
}

/* Finds the one symbol table and its names. */
static int symbol_table_check(struct object *object)
{
    const struct elf_section *table = NULL;

    for (unsigned i = 1; i < object->section_count; i++) {
        const struct elf_section *s = object_header(object, i);

        if (s->type == ELF_SECTION_SYMTAB) {
            if (table)
                return OBJECT_SYMBOL_TABLE;
            table = s;
        }
    }
    if (!table || table->entry_size != sizeof(struct elf_symbol) ||
        table->size % sizeof(struct elf_symbol) != 0 || table->link >= object->section_count ||
        table->size / sizeof(struct elf_symbol) > OBJECT_SYMBOLS_MAX)
        return OBJECT_SYMBOL_TABLE;

    const struct elf_section *names = object_header(object, table->link);
    if (names->type != ELF_SECTION_STRTAB || names->size == 0 ||
        object->bytes[names->offset + names->size - 1] != '\0')
        return OBJECT_SYMBOL_TABLE;
    object->symbols = (const struct elf_symbol *)(object->bytes + table->offset);
    object->symbol_count = table->size / sizeof(struct elf_symbol);
    object->names = (const char *)object->bytes + names->offset;
    object->names_size = names->size;
    return OBJECT_OK;
}

static bool symbol_valid(const struct object *object, const struct elf_symbol *s)
{
    if (s->name >= object->names_size || strlen(object->names + s->name) >= OBJECT_NAME_MAX)
        return false;
    if (s->section == ELF_UNDEFINED || s->section == ELF_ABSOLUTE)
        return true;
    return s->section < object->section_count &&
           range_inside(s->value, s->size, object_header(object, s->section)->size);
}

static int symbols_check(struct object *object)
{
    int result = symbol_table_check(object);

    for (size_t i = 0; result == OBJECT_OK && i < object->symbol_count; i++)
        if (!symbol_valid(object, &object->symbols[i]))
            result = OBJECT_SYMBOL;
    return result;
}

bool object_symbol_loaded(const struct object *object, const struct elf_symbol *symbol)
{
    return symbol->section != ELF_UNDEFINED && symbol->section < object->section_count &&
           object->sections[symbol->section].loaded;
}

bool object_symbol_exported(const struct object *object, const struct elf_symbol *symbol)
{
    const char *name = object_symbol_name(object, symbol);

    return symbol->info >> 4 != ELF_LOCAL && object_symbol_loaded(object, symbol) &&
           name[0] != '\0' && strcmp(name, "kmod_manifest") != 0;
}

const char *object_symbol_name(const struct object *object, const struct elf_symbol *symbol)
{
    return object->names + symbol->name;
}

bool object_relocates(const struct object *object, const struct elf_section *header)
{
    return (header->type == ELF_SECTION_RELA || header->type == ELF_SECTION_REL) &&
           header->info < object->section_count && object->sections[header->info].loaded;
}

/* A place has room for 8 bytes when the relocation is one of 64 bits: types are pack.c's concern. */
static int relocation_check(const struct object *object, const struct elf_rela *r, uint64_t size)
{
    if (!range_inside(r->offset, r->type == ELF_R_64 ? 8 : 4, size) ||
        r->symbol >= object->symbol_count)
        return OBJECT_RELOCATION;

    const struct elf_symbol *s = &object->symbols[r->symbol];
    if (s->section == ELF_UNDEFINED)
        return object->names[s->name] ? OBJECT_OK : OBJECT_RELOCATION;
    return s->section == ELF_ABSOLUTE || object_symbol_loaded(object, s) ? OBJECT_OK
                                                                         : OBJECT_RELOCATION;
}

static int relocations_check(const struct object *object)
{
    for (unsigned i = 1; i < object->section_count; i++) {
        const struct elf_section *s = object_header(object, i);

        if (!object_relocates(object, s))
            continue;
        if (s->type != ELF_SECTION_RELA || s->entry_size != sizeof(struct elf_rela) ||
            s->size % sizeof(struct elf_rela) != 0 || !object->sections[s->info].bytes ||
            s->link >= object->section_count ||
            object_header(object, s->link)->type != ELF_SECTION_SYMTAB)
            return OBJECT_RELOCATION_TABLE;

        const struct elf_rela *entries = (const struct elf_rela *)(object->bytes + s->offset);
        for (size_t n = 0; n < s->size / sizeof(struct elf_rela); n++) {
            int result = relocation_check(object, &entries[n], object_header(object, s->info)->size);
            if (result != OBJECT_OK)
                return result;
        }
    }
    return OBJECT_OK;
}

static bool section_named(const struct object *object, unsigned index, const char *name)
{
    unsigned names_index = ((const struct elf_header *)object->bytes)->section_names;
    if (names_index >= object->section_count)
        return false;
    const struct elf_section *names = object_header(object, names_index);
    uint32_t at = object_header(object, index)->name;
    size_t length = strlen(name) + 1;

    return names->type == ELF_SECTION_STRTAB && range_inside(at, length, names->size) &&
           memcmp(object->bytes + names->offset + at, name, length) == 0;
}

static int manifest_find(struct object *object)
{
    for (unsigned i = 1; i < object->section_count; i++) {
        const struct object_section *s = &object->sections[i];

        if (!s->loaded || !section_named(object, i, KMOD_SECTION))
            continue;
        if (object->manifest != 0 || !s->bytes || s->area != KMODFILE_DATA ||
            object_header(object, i)->size != sizeof(struct kmod_manifest))
            return OBJECT_NO_MANIFEST;
        object->manifest = i;
    }
    return object->manifest ? OBJECT_OK : OBJECT_NO_MANIFEST;
}

int object_decode(const void *bytes, size_t size, struct object *out)
{
    int result;

    memset(out, 0, sizeof(*out));
    out->bytes = bytes;
    out->size = size;
    result = header_check(out);
    if (result == OBJECT_OK)
        result = sections_check(out);
    if (result == OBJECT_OK)
        result = symbols_check(out);
    if (result == OBJECT_OK)
        result = relocations_check(out);
    if (result == OBJECT_OK)
        result = manifest_find(out);
    return result;
}
