/*
 * pretend.c: see pretend.h. The image has memory of its own exact size, so that the sanitizer sees a
 * write that leaves it.
 */
#include "tests/fuzz/kmodfile/pretend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_BASE 0xffffffffc0000000u
#define IMPORT_AT  0xffffffff80123456u

static void needs_walk(const struct kmodfile *file)
{
    char name[KMOD_NAME_MAX];
    size_t cursor = 0;

    while (kmod_need_next(file->manifest.needs, &cursor, name))
        if (!kmod_name_valid(name, sizeof(name)))
            abort();
}

/* What is kept of the symbols lies in the image, and nothing that was linked changed it. */
static void symbols_walk(const struct kmodfile *file, const uint8_t *image)
{
    uint32_t count = file->header->symbol_count;
    const struct kmodfile_symbol *symbols =
        (const struct kmodfile_symbol *)(image + file->symbols_offset);
    const char *names = (const char *)image + file->names_offset;

    if (memcmp(symbols, file->symbols, count * sizeof(*symbols)) != 0 ||
        memcmp(names, file->names, file->names_size) != 0)
        abort();
    for (uint32_t i = 0; i < count; i++)
        if (symbols[i].name + strlen(names + symbols[i].name) >= file->names_size ||
            symbols[i].offset > file->pages * KMODFILE_PAGE)
            abort();
}

static void image_fill(const struct kmodfile *file, uint8_t *image)
{
    memset(image, 0xa5, file->pages * KMODFILE_PAGE);
    for (int i = 0; i < KMODFILE_AREAS; i++) {
        const struct kmodfile_part *part = &file->areas[i];

        memcpy(image + part->offset, part->bytes, part->size);
        memset(image + part->offset + part->size, 0, part->pages * KMODFILE_PAGE - part->size);
    }
}

static int link_all(const struct kmodfile *file, uint8_t *image)
{
    struct kmodfile_linker linker = {file, image, SPACE_BASE, file->places};
    int result = kmodfile_link(&linker, &file->header->own, SPACE_BASE);

    for (uint32_t i = 0; i < file->header->import_count && result == KMODFILE_OK; i++) {
        if (!memchr(file->names + file->imports[i].name, '\0',
                    file->names_size - file->imports[i].name))
            abort();
        result = kmodfile_link(&linker, &file->imports[i].places, IMPORT_AT);
    }
    if (result == KMODFILE_OK && linker.next != file->places + file->header->place_count)
        abort();
    return result;
}

int kmodfile_pretend_load(const uint8_t *bytes, size_t size, uint8_t **image)
{
    struct kmodfile file;
    int result = kmodfile_decode(bytes, size, &file);

    if (image)
        *image = NULL;
    if (result != KMODFILE_OK)
        return result;
    uint8_t *memory = malloc(file.pages * KMODFILE_PAGE);
    image_fill(&file, memory);
    result = link_all(&file, memory);
    symbols_walk(&file, memory);
    needs_walk(&file);
    if (image)
        *image = memory;
    else
        free(memory);
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
