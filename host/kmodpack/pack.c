/*
 * pack.c: lays a module out as it will lie in memory, does all of its relocations as if it lay at
 * address 0, and notes where what address must be added.
 */
#include "host/kmodpack/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN UINT32_MAX /* in place of an import: the module itself */

enum place_kind { RELATIVE32, ABSOLUTE32, ABSOLUTE64, PLACE_KINDS };

struct place {
    uint32_t import; /* number in the sorted imports, or OWN */
    enum place_kind kind;
    uint32_t at;
};

struct packer {
    const struct object *object;
    char *why;

    uint8_t *image; /* without symbols and names */
    size_t area_base[KMODFILE_AREAS];
    size_t image_size;

    uint32_t *import_of; /* by number of symbol; else OWN */
    uint32_t *imports;   /* numbers of symbols, sorted by name */
    uint32_t import_count;

    struct place *places; /* sorted as the file has them */
    size_t place_count;

    uint32_t *kept; /* numbers of symbols: exports, sorted by name, then functions */
    uint32_t kept_count, export_count;

    char *names;
    size_t names_size;
};

static bool complain(struct packer *p, const char *what, const struct elf_symbol *symbol)
{
    if (symbol)
        snprintf(p->why, PACK_WHY_MAX, "%s (at a reference to '%s')", what,
                 object_symbol_name(p->object, symbol));
    else
        snprintf(p->why, PACK_WHY_MAX, "%s", what);
    return false;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t page_up(size_t size)
{
    return (size + KMODFILE_PAGE - 1) & ~(size_t)(KMODFILE_PAGE - 1);
}

static size_t relocations_most(const struct object *object)
{
    size_t count = 0;

    for (unsigned i = 1; i < object->section_count; i++)
        if (object_relocates(object, object_header(object, i)))
            count += object_header(object, i)->size / sizeof(struct elf_rela);
    return count;
}

static bool packer_open(struct packer *p)
{
    const struct object *o = p->object;
    size_t symbols = o->symbol_count + 1;

    p->area_base[KMODFILE_DATA] = page_up(o->area_memory[KMODFILE_TEXT]);
    p->area_base[KMODFILE_RODATA] =
        p->area_base[KMODFILE_DATA] + page_up(o->area_memory[KMODFILE_DATA]);
    p->image_size = p->area_base[KMODFILE_RODATA] + o->area_memory[KMODFILE_RODATA];
    p->image = calloc(1, p->image_size + 1);
    p->import_of = malloc(symbols * sizeof(*p->import_of));
    p->imports = malloc(symbols * sizeof(*p->imports));
    p->places = malloc((relocations_most(o) + 1) * sizeof(*p->places));
    p->kept = malloc(symbols * sizeof(*p->kept));
    p->names = malloc(symbols * OBJECT_NAME_MAX);
    if (p->image && p->import_of && p->imports && p->places && p->kept && p->names)
        return true;
    return complain(p, "needs more memory than there is", NULL);
}

static void packer_close(struct packer *p)
{
    free(p->image);
    free(p->import_of);
    free(p->imports);
    free(p->places);
    free(p->kept);
    free(p->names);
}

/* ---- layout ---------------------------------------------------------------------------------- */

static size_t section_offset(const struct packer *p, unsigned section)
{
    const struct object_section *s = &p->object->sections[section];

    return p->area_base[s->area] + s->offset;
}

static void sections_copy(struct packer *p)
{
    for (unsigned i = 1; i < p->object->section_count; i++)
        if (p->object->sections[i].bytes)
            memcpy(p->image + section_offset(p, i), p->object->sections[i].bytes,
                   object_header(p->object, i)->size);
}

/* ---- symbols --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct object *o = ctx;

    return strcmp(object_symbol_name(o, &o->symbols[*(const uint32_t *)a]),
                  object_symbol_name(o, &o->symbols[*(const uint32_t *)b]));
}

static void imports_number(struct packer *p)
{
    const struct object *o = p->object;

    for (uint32_t i = 0; i < o->symbol_count; i++) {
        p->import_of[i] = OWN;
        if (o->symbols[i].section == ELF_UNDEFINED && object_symbol_name(o, &o->symbols[i])[0])
            p->imports[p->import_count++] = i;
    }
    qsort_r(p->imports, p->import_count, sizeof(*p->imports), by_name, (void *)o);
    for (uint32_t i = 0; i < p->import_count; i++)
        p->import_of[p->imports[i]] = i;
}

static void symbols_choose(struct packer *p)
{
    const struct object *o = p->object;

    for (uint32_t i = 0; i < o->symbol_count; i++)
        if (object_symbol_exported(o, &o->symbols[i]))
            p->kept[p->export_count++] = i;
    qsort_r(p->kept, p->export_count, sizeof(*p->kept), by_name, (void *)o);
    p->kept_count = p->export_count;
    for (uint32_t i = 0; i < o->symbol_count; i++) {
        const struct elf_symbol *s = &o->symbols[i];

        if (object_symbol_loaded(o, s) && (s->info & 15) == ELF_FUNCTION &&
            !object_symbol_exported(o, s))
            p->kept[p->kept_count++] = i;
    }
}

/* Adds a symbol's name, and gives its position. */
static uint32_t name_add(struct packer *p, uint32_t symbol)
{
    const char *name = object_symbol_name(p->object, &p->object->symbols[symbol]);
    size_t at = p->names_size;

    strcpy(p->names + at, name);
    p->names_size += strlen(name) + 1;
    return (uint32_t)at;
}

/* ---- relocations ----------------------------------------------------------------------------- */

static bool value_store(struct packer *p, const struct elf_rela *r, size_t at, int64_t value)
{
    const char *far = "has a reference out of range: build it with -mcmodel=kernel";
    const struct elf_symbol *symbol = &p->object->symbols[r->symbol];

    if (r->type == ELF_R_64) {
        memcpy(p->image + at, &value, 8);
        return true;
    }
    if (r->type == ELF_R_32 ? value != (int64_t)(uint32_t)value : value != (int32_t)value)
        return complain(p, far, symbol);
    memcpy(p->image + at, &value, 4);
    return true;
}

static void place_add(struct packer *p, uint32_t import, enum place_kind kind, size_t at)
{
    p->places[p->place_count++] = (struct place){import, kind, (uint32_t)at};
}

/* One relocation at an offset of the image. */
static bool relocate(struct packer *p, const struct elf_rela *r, size_t at)
{
    static const char unsupported[] = "has a reference of an unsupported kind: build it with "
                                      "-fno-pic -mcmodel=kernel";
    const struct elf_symbol *s = &p->object->symbols[r->symbol];
    bool relative = r->type == ELF_R_PC32 || r->type == ELF_R_PLT32;
    uint32_t import = p->import_of[r->symbol];
    uint64_t value = (uint64_t)r->addend;

    if (!relative && r->type != ELF_R_64 && r->type != ELF_R_32S && r->type != ELF_R_32)
        return complain(p, unsupported, s);
    if (s->section == ELF_ABSOLUTE) {
        if (relative)
            return complain(p, unsupported, s);
        return value_store(p, r, at, (int64_t)(value + s->value));
    }
    if (r->type == ELF_R_32) /* no address of the kernel fits */
        return complain(p, unsupported, s);
    if (relative)
        value -= at;
    if (s->section != ELF_UNDEFINED)
        value += section_offset(p, s->section) + s->value;
    if (!relative || import != OWN)
        place_add(p, import, relative ? RELATIVE32 : r->type == ELF_R_64 ? ABSOLUTE64 : ABSOLUTE32,
                  at);
    return value_store(p, r, at, (int64_t)value);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    /* OWN + 1 is 0: first. */
    uint32_t first = x->import + 1, second = y->import + 1;

    if (first != second)
        return first < second ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool relocations_do(struct packer *p)
{
    const struct object *o = p->object;

    for (unsigned i = 1; i < o->section_count; i++) {
        const struct elf_section *s = object_header(o, i);

        if (!object_relocates(o, s))
            continue;
        const struct elf_rela *r = (const struct elf_rela *)(o->bytes + s->offset);
        for (size_t n = s->size / sizeof(*r); n > 0; n--, r++)
            if (!relocate(p, r, section_offset(p, s->info) + r->offset))
                return false;
    }
    qsort(p->places, p->place_count, sizeof(*p->places), by_place);
    return true;
}

/* Counts the places of an import from *next on, which moves behind them. */
static struct kmodfile_places places_count(const struct packer *p, uint32_t import, size_t *next)
{
    uint32_t counts[PLACE_KINDS] = {0};

    for (; *next < p->place_count && p->places[*next].import == import; ++*next)
        counts[p->places[*next].kind]++;
    return (struct kmodfile_places){counts[RELATIVE32], counts[ABSOLUTE32], counts[ABSOLUTE64]};
}

/* ---- the file -------------------------------------------------------------------------------- */

static void imports_write(struct packer *p, FILE *to, size_t next)
{
    for (uint32_t i = 0; i < p->import_count; i++) {
        struct kmodfile_import import = {name_add(p, p->imports[i]), places_count(p, i, &next)};

        fwrite(&import, sizeof(import), 1, to);
    }
    for (size_t i = 0; i < p->place_count; i++)
        fwrite(&p->places[i].at, sizeof(uint32_t), 1, to);
}

static void symbols_write(struct packer *p, FILE *to)
{
    for (uint32_t i = 0; i < p->kept_count; i++) {
        const struct elf_symbol *s = &p->object->symbols[p->kept[i]];
        struct kmodfile_symbol symbol = {(uint32_t)(section_offset(p, s->section) + s->value),
                                         name_add(p, p->kept[i])};

        fwrite(&symbol, sizeof(symbol), 1, to);
    }
}

static void area_write(const struct packer *p, FILE *to, enum kmodfile_area area, size_t size)
{
    fwrite(p->image + p->area_base[area], 1, size, to);
}

/* Bytes of the read-only data before the symbols, which are aligned. */
static size_t constants_size(const struct packer *p)
{
    return (p->object->area_memory[KMODFILE_RODATA] + 7) & ~(size_t)7;
}

/* All but rodata_size, which follows from what is written. */
static struct kmodfile_header header_make(const struct packer *p, size_t *own_places)
{
    const struct object *o = p->object;
    size_t symbols = p->area_base[KMODFILE_RODATA] + constants_size(p);

    return (struct kmodfile_header){
        .magic = KMODFILE_MAGIC,
        .version = KMODFILE_VERSION,
        .text_size = (uint32_t)o->area_memory[KMODFILE_TEXT],
        .data_size = (uint32_t)o->area_bytes[KMODFILE_DATA],
        .zero_size = (uint32_t)(o->area_memory[KMODFILE_DATA] - o->area_bytes[KMODFILE_DATA]),
        .manifest = (uint32_t)section_offset(p, o->manifest),
        .names = (uint32_t)(symbols + p->kept_count * sizeof(struct kmodfile_symbol)),
        .symbol_count = p->kept_count,
        .export_count = p->export_count,
        .import_count = p->import_count,
        .place_count = (uint32_t)p->place_count,
        .own = places_count(p, OWN, own_places),
    };
}

static bool module_write(struct packer *p, uint8_t **out, size_t *size)
{
    static const uint8_t zeroes[8];
    size_t own = 0;
    struct kmodfile_header header = header_make(p, &own);
    FILE *to = open_memstream((char **)out, size);

    if (!to)
        return complain(p, "needs more memory than there is", NULL);
    p->names[p->names_size++] = '\0'; /* one name at least: there is always an end */
    fwrite(&header, sizeof(header), 1, to);
    imports_write(p, to, own);
    area_write(p, to, KMODFILE_TEXT, header.text_size);
    area_write(p, to, KMODFILE_DATA, header.data_size);
    area_write(p, to, KMODFILE_RODATA, p->object->area_memory[KMODFILE_RODATA]);
    fwrite(zeroes, 1, constants_size(p) - p->object->area_memory[KMODFILE_RODATA], to);
    symbols_write(p, to);
    fwrite(p->names, 1, p->names_size, to);
    header.rodata_size = (uint32_t)(header.names + p->names_size - p->area_base[KMODFILE_RODATA]);
    bool whole = !ferror(to);
    if (fclose(to) != 0 || !whole)
        return complain(p, "needs more memory than there is", NULL);
    memcpy(*out, &header, sizeof(header));
    return true;
}

bool pack_module(const struct object *object, uint8_t **out, size_t *size, char why[PACK_WHY_MAX])
{
    struct packer p = {.object = object, .why = why};
    struct kmodfile file;
    bool done = packer_open(&p);

    if (done) {
        sections_copy(&p);
        imports_number(&p);
        symbols_choose(&p);
        done = relocations_do(&p) && module_write(&p, out, size);
    }
    packer_close(&p);
    if (!done)
        return false;
    int result = kmodfile_decode(*out, *size, &file);
    if (result != KMODFILE_OK) {
        free(*out);
        return complain(&p, kmodfile_result_text(result), NULL);
    }
    return true;
}
