/*
 * pretend.c: see pretend.h. Each area has memory of its own exact size, so that the sanitizer sees
 * a write that leaves it.
 */
#include "tests/fuzz/kmodfile/pretend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kmodfile/kmodfile.h"

#define SPACE_BASE 0xffffffffc0000000u
#define SPACE_STEP 0x8000000u /* far enough for any area */

static void needs_walk(const struct kmodfile *file)
{
    char name[KMOD_NAME_MAX];
    size_t cursor = 0;

    while (kmod_need_next(file->manifest.needs, &cursor, name))
        if (!kmod_name_valid(name, sizeof(name)))
            abort();
}

static void symbols_walk(const struct kmodfile *file)
{
    for (size_t i = 0; i < file->symbol_count; i++) {
        struct kmodfile_symbol symbol;

        kmodfile_symbol_read(file, i, &symbol);
        if (strlen(symbol.name) >= KMODFILE_SYMBOL_MAX)
            abort();
        if (kmodfile_symbol_exported(file, &symbol) &&
            symbol.value > file->sections[symbol.section].size)
            abort();
    }
}

static uint64_t section_address(const struct kmodfile *file, unsigned section)
{
    const struct kmodfile_section *s = &file->sections[section];

    return SPACE_BASE + (uint64_t)s->area * SPACE_STEP + s->offset;
}

static uint64_t symbol_address(const struct kmodfile *file, size_t index)
{
    struct kmodfile_symbol symbol;

    kmodfile_symbol_read(file, index, &symbol);
    if (symbol.kind == SYMBOL_ABSOLUTE)
        return symbol.value;
    if (symbol.kind == SYMBOL_UNDEFINED)
        return 0xffffffff80123456u;
    return section_address(file, symbol.section) + symbol.value;
}

static int relocate_all(const struct kmodfile *file, uint8_t *areas[KMODFILE_AREAS])
{
    struct kmodfile_cursor cursor = {0};
    struct kmodfile_relocation r;

    while (kmodfile_relocation_next(file, &cursor, &r)) {
        const struct kmodfile_section *s = &file->sections[r.section];
        int result = kmodfile_relocate(r.type, areas[s->area] + s->offset + r.offset,
                                       section_address(file, r.section) + r.offset,
                                       symbol_address(file, r.symbol), r.addend);
        if (result != KMODFILE_OK)
            return result;
    }
    return KMODFILE_OK;
}

int kmodfile_pretend_load(const uint8_t *bytes, size_t size)
{
    struct kmodfile file;
    uint8_t *areas[KMODFILE_AREAS];
    int result = kmodfile_decode(bytes, size, &file);

    if (result != KMODFILE_OK)
        return result;
    for (int i = 0; i < KMODFILE_AREAS; i++)
        areas[i] = calloc(1, file.area_size[i] ? file.area_size[i] : 1);
    for (unsigned i = 1; i < file.section_count; i++) {
        const struct kmodfile_section *s = &file.sections[i];

        if (s->loaded && !s->zero)
            memcpy(areas[s->area] + s->offset, s->bytes, s->size);
    }
    result = relocate_all(&file, areas);
    symbols_walk(&file);
    needs_walk(&file);
    for (int i = 0; i < KMODFILE_AREAS; i++)
        free(areas[i]);
    return result;
}

uint8_t *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    if (length >= 0) {
        data = malloc((size_t)length + 1);
        *size = fread(data, 1, (size_t)length, file);
    }
    fclose(file);
    return data;
}
