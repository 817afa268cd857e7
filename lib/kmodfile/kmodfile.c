/*
 * kmodfile.c: decodes a module file. The order of the checks: sizes, symbols, imports, manifest; each
 * relies on those before it. What needs no order is checked together, without a branch each (`|`).
 */
#include "lib/kmodfile/kmodfile.h"

#include <string.h>

static const char *const result_texts[] = {
    [KMODFILE_OK] = "is well-formed",
    [KMODFILE_NOT_A_MODULE] = "is not a module file: build it with the kmod rules",
    [KMODFILE_OTHER_VERSION] = "is in the form of another kernel version: rebuild it",
    [KMODFILE_TOO_LARGE] = "takes more memory than a module may",
    [KMODFILE_SIZE] = "is cut off, or has bytes that belong to nothing",
    [KMODFILE_SYMBOLS] = "has a damaged table of symbols or names",
    [KMODFILE_IMPORTS] = "has a damaged table of imports",
    [KMODFILE_NO_MANIFEST] = "has no manifest: define one with KMOD_MANIFEST()",
    [KMODFILE_MANIFEST_MAGIC] = "has a manifest without the magic number",
    [KMODFILE_MANIFEST_ABI] = "is built for another ABI: rebuild it",
    [KMODFILE_MANIFEST_SIZE] = "has a manifest of another size: rebuild it",
    [KMODFILE_MANIFEST_INTERFACE] = "is built against other kernel headers: rebuild it",
    [KMODFILE_MANIFEST_NAME] = "has a manifest name that is not [a-z0-9_]+ or too long",
    [KMODFILE_MANIFEST_VERSION] = "has a manifest version that is empty, too long or not printable",
    [KMODFILE_MANIFEST_NEEDS] = "has manifest needs that are not names with commas between them",
    [KMODFILE_PLACE] = "has a place for an address that lies outside the module",
    [KMODFILE_OVERFLOW] = "has a place too small for the address that belongs there",
};

const char *kmodfile_result_text(int result)
{
    if (result < 0 || (size_t)result >= sizeof(result_texts) / sizeof(result_texts[0]))
        return "is wrong in an unknown way";
    return result_texts[result];
}

static uint64_t pages_of(uint64_t size)
{
    return (size + KMODFILE_PAGE - 1) / KMODFILE_PAGE;
}

/* Checks that the parts make up the file, and notes where they are. The sums are of 32-bit numbers:
 * they cannot overflow, and so a right one has only right parts. */
static int parts_check(struct kmodfile *file, const uint8_t *bytes, size_t size)
{
    const struct kmodfile_header *h = file->header;
    const uint32_t sizes[KMODFILE_AREAS] = {h->text_size, h->data_size, h->rodata_size};
    const uint32_t zeroes[KMODFILE_AREAS] = {[KMODFILE_DATA] = h->zero_size};
    uint64_t at = sizeof(*h) + (uint64_t)h->import_count * sizeof(struct kmodfile_import) +
                  (uint64_t)h->place_count * sizeof(kmodfile_place);
    bool large = false;

    for (int i = 0; i < KMODFILE_AREAS; i++) {
        uint64_t memory = (uint64_t)sizes[i] + zeroes[i], pages = pages_of(memory);

        large |= memory > KMODFILE_MEMORY_MAX;
        file->areas[i] =
            (struct kmodfile_part){bytes + at, sizes[i], file->pages * KMODFILE_PAGE, pages};
        at += sizes[i];
        file->pages += pages;
    }
    if (large)
        return KMODFILE_TOO_LARGE;
    if (at != size)
        return KMODFILE_SIZE;
    file->imports = (const struct kmodfile_import *)(h + 1);
    file->places = (const kmodfile_place *)(file->imports + h->import_count);
    return KMODFILE_OK;
}

/* Finds names and symbols at the end of the read-only data. */
static int symbols_check(struct kmodfile *file)
{
    const struct kmodfile_header *h = file->header;
    const struct kmodfile_part *part = &file->areas[KMODFILE_RODATA];
    uint64_t table = (uint64_t)h->symbol_count * sizeof(struct kmodfile_symbol);
    uint64_t before = h->names - part->offset; /* bytes before the names; huge: they are elsewhere */
    size_t image = file->pages * KMODFILE_PAGE;
    bool bad = false;

    if ((before >= part->size) | (before < table) | (h->export_count > h->symbol_count))
        return KMODFILE_SYMBOLS;
    file->names = (const char *)part->bytes + before;
    file->names_size = part->size - before;
    file->symbols = (const struct kmodfile_symbol *)(part->bytes + before - table);
    file->names_offset = h->names;
    file->symbols_offset = h->names - table;

    const struct kmodfile_symbol *end = file->symbols + h->symbol_count;
    for (const struct kmodfile_symbol *s = file->symbols; s < end; s++)
        bad |= (s->offset > image) | (s->name >= file->names_size);
    return bad | (file->names[file->names_size - 1] != '\0') ? KMODFILE_SYMBOLS : KMODFILE_OK;
}

static uint64_t places_sum(const struct kmodfile_places *counts)
{
    return (uint64_t)counts->relative32 + counts->absolute32 + counts->absolute64;
}

static int imports_check(const struct kmodfile *file)
{
    const struct kmodfile_import *end = file->imports + file->header->import_count;
    uint64_t places = places_sum(&file->header->own);
    bool bad = false;

    for (const struct kmodfile_import *i = file->imports; i < end; i++) {
        bad |= i->name >= file->names_size;
        places += places_sum(&i->places);
    }
    return bad | (places != file->header->place_count) ? KMODFILE_IMPORTS : KMODFILE_OK;
}

static int manifest_check(struct kmodfile *file)
{
    const struct kmodfile_part *part = &file->areas[KMODFILE_DATA];
    uint64_t before = file->header->manifest - part->offset; /* huge: it lies elsewhere */

    if ((before >= part->size) | (part->size - before < sizeof(file->manifest)) |
        (before % _Alignof(struct kmod_manifest) != 0))
        return KMODFILE_NO_MANIFEST;
    memcpy(&file->manifest, part->bytes + before, sizeof(file->manifest));
    return kmod_manifest_check(&file->manifest);
}

int kmodfile_decode(const void *bytes, size_t size, struct kmodfile *out)
{
    const struct kmodfile_header *h = bytes;
    int result;

    memset(out, 0, sizeof(*out));
    out->header = h;
    if (size < sizeof(*h) || h->magic != KMODFILE_MAGIC)
        return KMODFILE_NOT_A_MODULE;
    if (h->version != KMODFILE_VERSION)
        return KMODFILE_OTHER_VERSION;
    result = parts_check(out, bytes, size);
    if (result == KMODFILE_OK)
        result = symbols_check(out);
    if (result == KMODFILE_OK)
        result = imports_check(out);
    if (result == KMODFILE_OK)
        result = manifest_check(out);
    return result;
}
