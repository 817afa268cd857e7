/*
 * kmodfile.c: decodes a module file. The order of the checks: header, sections, symbols,
 * relocations, manifest; each relies on those before it.
 */
#include "lib/kmodfile/sections.h"

#include <string.h>

static const char *const result_texts[] = {
    [KMODFILE_OK] = "is well-formed",
    [KMODFILE_NOT_ELF] = "is not an ELF file for x86-64: build it with the kmod rules",
    [KMODFILE_NOT_RELOCATABLE] = "is not a relocatable ELF file: link it with ld -r",
    [KMODFILE_SECTION_TABLE] = "has a damaged section table, or too many sections",
    [KMODFILE_SECTION] =
        "has a section that lies outside the file or is of a kind modules cannot have",
    [KMODFILE_TOO_LARGE] = "takes more memory than a module may",
    [KMODFILE_SYMBOL_TABLE] = "has no symbol table, or a damaged one",
    [KMODFILE_SYMBOL] = "has a symbol that points outside the module, or a common one",
    [KMODFILE_RELOCATION_TABLE] = "has a damaged relocation table",
    [KMODFILE_RELOCATION] = "has a relocation that points outside its section or names no symbol",
    [KMODFILE_RELOCATION_TYPE] = "has an unsupported relocation: build it with -mcmodel=kernel",
    [KMODFILE_NO_MANIFEST] = "has no manifest: define one with KMOD_MANIFEST()",
    [KMODFILE_MANIFEST_MAGIC] = "has a manifest without the magic number",
    [KMODFILE_MANIFEST_ABI] = "is built for another ABI: rebuild it",
    [KMODFILE_MANIFEST_SIZE] = "has a manifest of another size: rebuild it",
    [KMODFILE_MANIFEST_INTERFACE] = "is built against other kernel headers: rebuild it",
    [KMODFILE_MANIFEST_NAME] = "has a manifest name that is not [a-z0-9_]+ or too long",
    [KMODFILE_MANIFEST_VERSION] = "has a manifest version that is empty, too long or not printable",
    [KMODFILE_MANIFEST_NEEDS] = "has manifest needs that are not names with commas between them",
    [KMODFILE_OVERFLOW] = "has a relocation out of range: build it with -mcmodel=kernel",
};

const char *kmodfile_result_text(int result)
{
    if (result < 0 || (size_t)result >= sizeof(result_texts) / sizeof(result_texts[0]))
        return "is wrong in an unknown way";
    return result_texts[result];
}

/* Whether offset..offset+length lies in 0..size. */
static bool range_inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static int header_check(struct kmodfile *file)
{
    const struct elf_header *h = header_of(file);

    if (file->size < sizeof(*h) || memcmp(h->ident, ELF_MAGIC, 4) != 0 ||
        h->ident[4] != ELF_CLASS_64 || h->ident[5] != ELF_LITTLE || h->machine != ELF_X86_64)
        return KMODFILE_NOT_ELF;
    if (h->type != ELF_REL)
        return KMODFILE_NOT_RELOCATABLE;
    if (h->section_header_size != sizeof(struct elf_section) || h->section_header_count == 0 ||
        h->section_header_count > KMODFILE_SECTIONS_MAX ||
        !range_inside(h->section_headers, h->section_header_count * sizeof(struct elf_section),
                      file->size))
        return KMODFILE_SECTION_TABLE;
    file->section_count = h->section_header_count;
    return KMODFILE_OK;
}

/* Gives a section its place in its area. */
static int section_place(struct kmodfile *file, const struct elf_section *s,
                         struct kmodfile_section *out)
{
    uint64_t align = s->align ? s->align : 1;

    if (s->type != ELF_SECTION_PROGBITS && s->type != ELF_SECTION_NOBITS)
        return KMODFILE_SECTION;
    if ((align & (align - 1)) != 0 || align > KMODFILE_ALIGN_MAX || (s->flags & ELF_FLAG_TLS))
        return KMODFILE_SECTION;
    if ((s->flags & ELF_FLAG_EXEC) && (s->flags & ELF_FLAG_WRITE))
        return KMODFILE_SECTION;
    if (s->size > KMODFILE_MEMORY_MAX)
        return KMODFILE_TOO_LARGE;

    out->area = (s->flags & ELF_FLAG_EXEC)    ? KMODFILE_TEXT
                : (s->flags & ELF_FLAG_WRITE) ? KMODFILE_DATA
                                              : KMODFILE_RODATA;
    size_t *area_size = &file->area_size[out->area];
    out->offset = (*area_size + align - 1) & ~(align - 1);
    if (out->offset + s->size > KMODFILE_MEMORY_MAX)
        return KMODFILE_TOO_LARGE;
    *area_size = out->offset + s->size;
    out->loaded = true;
    out->zero = s->type == ELF_SECTION_NOBITS;
    out->size = s->size;
    out->bytes = out->zero ? NULL : file->bytes + s->offset;
    return KMODFILE_OK;
}

static int sections_check(struct kmodfile *file)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        const struct elf_section *s = section_header(file, i);

        if (s->type != ELF_SECTION_NOBITS && s->type != ELF_SECTION_NULL &&
            !range_inside(s->offset, s->size, file->size))
            return KMODFILE_SECTION;
        if (!(s->flags & ELF_FLAG_ALLOC))
            continue;
        int result = section_place(file, s, &file->sections[i]);
        if (result != KMODFILE_OK)
            return result;
    }
    return KMODFILE_OK;
}

/* Finds the one symbol table and its names. */
static int symbol_table_check(struct kmodfile *file)
{
    const struct elf_section *table = NULL;

    for (unsigned i = 1; i < file->section_count; i++) {
        const struct elf_section *s = section_header(file, i);

        if (s->type == ELF_SECTION_SYMTAB) {
            if (table)
                return KMODFILE_SYMBOL_TABLE;
            table = s;
        }
    }
    if (!table || table->entry_size != sizeof(struct elf_symbol) ||
        table->size % sizeof(struct elf_symbol) != 0 || table->link >= file->section_count ||
        table->size / sizeof(struct elf_symbol) > KMODFILE_SYMBOLS_MAX)
        return KMODFILE_SYMBOL_TABLE;

    const struct elf_section *names = section_header(file, table->link);
    if (names->type != ELF_SECTION_STRTAB || names->size == 0 ||
        file->bytes[names->offset + names->size - 1] != '\0')
        return KMODFILE_SYMBOL_TABLE;
    file->symbols = (const struct elf_symbol *)(file->bytes + table->offset);
    file->symbol_count = table->size / sizeof(struct elf_symbol);
    file->names = (const char *)file->bytes + names->offset;
    file->names_size = names->size;
    return KMODFILE_OK;
}

static bool symbol_valid(const struct kmodfile *file, const struct elf_symbol *s)
{
    if (s->name >= file->names_size)
        return false;
    size_t room = file->names_size - s->name;
    size_t limit = room < KMODFILE_SYMBOL_MAX ? room : KMODFILE_SYMBOL_MAX;
    if (strnlen(file->names + s->name, limit) == limit)
        return false;
    if (s->section == ELF_UNDEFINED || s->section == ELF_ABSOLUTE)
        return true;
    if (s->section >= file->section_count)
        return false;
    return range_inside(s->value, s->size, section_header(file, s->section)->size);
}

static int symbols_check(struct kmodfile *file)
{
    int result = symbol_table_check(file);

    for (size_t i = 0; result == KMODFILE_OK && i < file->symbol_count; i++)
        if (!symbol_valid(file, &file->symbols[i]))
            result = KMODFILE_SYMBOL;
    return result;
}

static int relocation_check(const struct kmodfile *file, const struct elf_rela *r,
                            const struct kmodfile_section *target)
{
    size_t width = relocation_width(r->type);

    if (width == 0)
        return KMODFILE_RELOCATION_TYPE;
    if (!range_inside(r->offset, width, target->size) || r->symbol >= file->symbol_count)
        return KMODFILE_RELOCATION;

    const struct elf_symbol *s = &file->symbols[r->symbol];
    if (s->section == ELF_ABSOLUTE)
        return KMODFILE_OK;
    if (s->section == ELF_UNDEFINED)
        return file->names[s->name] ? KMODFILE_OK : KMODFILE_RELOCATION;
    return file->sections[s->section].loaded ? KMODFILE_OK : KMODFILE_RELOCATION;
}

static int relocations_check(const struct kmodfile *file)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        const struct elf_section *s = section_header(file, i);

        if (!section_relocates(file, s))
            continue;
        const struct kmodfile_section *target = &file->sections[s->info];
        if (s->type != ELF_SECTION_RELA || s->entry_size != sizeof(struct elf_rela) ||
            s->size % sizeof(struct elf_rela) != 0 || target->zero ||
            s->link >= file->section_count ||
            section_header(file, s->link)->type != ELF_SECTION_SYMTAB)
            return KMODFILE_RELOCATION_TABLE;

        const struct elf_rela *entries = (const struct elf_rela *)(file->bytes + s->offset);
        for (size_t n = 0; n < s->size / sizeof(struct elf_rela); n++) {
            int result = relocation_check(file, &entries[n], target);
            if (result != KMODFILE_OK)
                return result;
        }
    }
    return KMODFILE_OK;
}

static bool section_named(const struct kmodfile *file, unsigned index, const char *name)
{
    unsigned names_index = header_of(file)->section_names;
    if (names_index >= file->section_count)
        return false;
    const struct elf_section *names = section_header(file, names_index);
    uint32_t at = section_header(file, index)->name;
    size_t length = strlen(name) + 1;

    return names->type == ELF_SECTION_STRTAB && range_inside(at, length, names->size) &&
           memcmp(file->bytes + names->offset + at, name, length) == 0;
}

static int manifest_find(struct kmodfile *file)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        const struct kmodfile_section *s = &file->sections[i];

        if (!s->loaded || !section_named(file, i, KMOD_SECTION))
            continue;
        if (file->manifest_section != 0 || s->zero || s->area != KMODFILE_DATA)
            return KMODFILE_NO_MANIFEST;
        size_t size = s->size < sizeof(file->manifest) ? s->size : sizeof(file->manifest);
        memcpy(&file->manifest, s->bytes, size);
        file->manifest_section = i;
    }
    if (file->manifest_section == 0)
        return KMODFILE_NO_MANIFEST;

    int result = kmod_manifest_check(&file->manifest);
    if (result == KMODFILE_OK &&
        file->sections[file->manifest_section].size != sizeof(file->manifest))
        result = KMODFILE_MANIFEST_SIZE;
    return result;
}

int kmodfile_decode(const void *bytes, size_t size, struct kmodfile *out)
{
    int result;

    memset(out, 0, sizeof(*out));
    out->bytes = bytes;
    out->size = size;
    result = header_check(out);
    if (result == KMODFILE_OK)
        result = sections_check(out);
    if (result == KMODFILE_OK)
        result = symbols_check(out);
    if (result == KMODFILE_OK)
        result = relocations_check(out);
    if (result == KMODFILE_OK)
        result = manifest_find(out);
    return result;
}

void kmodfile_symbol_read(const struct kmodfile *file, size_t index, struct kmodfile_symbol *out)
{
    const struct elf_symbol *s = &file->symbols[index];

    *out = (struct kmodfile_symbol){
        .name = file->names + s->name,
        .kind = s->section == ELF_UNDEFINED  ? SYMBOL_UNDEFINED
                : s->section == ELF_ABSOLUTE ? SYMBOL_ABSOLUTE
                                             : SYMBOL_DEFINED,
        .section = s->section == ELF_ABSOLUTE ? 0 : s->section,
        .value = s->value,
        .size = s->size,
        .global = s->info >> 4 != ELF_LOCAL,
        .function = (s->info & 15) == ELF_FUNCTION,
    };
}

bool kmodfile_symbol_exported(const struct kmodfile *file, const struct kmodfile_symbol *symbol)
{
    return symbol->global && symbol->kind == SYMBOL_DEFINED &&
           file->sections[symbol->section].loaded && symbol->name[0] != '\0' &&
           strcmp(symbol->name, "kmod_manifest") != 0;
}

bool kmodfile_relocation_next(const struct kmodfile *file, struct kmodfile_cursor *cursor,
                              struct kmodfile_relocation *out)
{
    for (; cursor->section < file->section_count; cursor->section++, cursor->entry = 0) {
        if (cursor->section == 0)
            continue;
        const struct elf_section *s = section_header(file, cursor->section);
        if (!section_relocates(file, s) || cursor->entry >= s->size / sizeof(struct elf_rela))
            continue;

        const struct elf_rela *r =
            (const struct elf_rela *)(file->bytes + s->offset) + cursor->entry++;
        *out = (struct kmodfile_relocation){s->info, r->offset, r->type, r->symbol, r->addend};
        return true;
    }
    return false;
}
