/*
 * link.c: adds addresses to the places of an image.
 *
 * The symbols and names at the image's end were checked in the file and must stay as they are: places
 * end before them. Anything else in the image is the module's own affair. The loops have no branches
 * inside: a wrong place is moved to the last one allowed, and the whole image refused in the end.
 */
#include "lib/kmodfile/kmodfile.h"

/* Numbers of an image may lie at any address. */
typedef int32_t __attribute__((aligned(1), may_alias)) image_number32;
typedef uint64_t __attribute__((aligned(1), may_alias)) image_number64;

static size_t place_within(size_t place, size_t last)
{
    return place < last ? place : last;
}

static int add32(struct kmodfile_linker *linker, uint32_t count, int64_t value)
{
    uint8_t *image = linker->image;
    size_t last = linker->file->symbols_offset - sizeof(int32_t);
    const kmodfile_place *place = linker->next, *end = place + count;
    bool outside = false, overflow = false;

    for (; place < end; place++) {
        image_number32 *number = (image_number32 *)(image + place_within(*place, last));
        int64_t sum = *number + value; /* value is an address, or a distance between two */

        outside |= *place > last;
        overflow |= sum != (int32_t)sum;
        *number = (int32_t)sum;
    }
    linker->next = end;
    return outside ? KMODFILE_PLACE : overflow ? KMODFILE_OVERFLOW : KMODFILE_OK;
}

static int add64(struct kmodfile_linker *linker, uint32_t count, uint64_t value)
{
    uint8_t *image = linker->image;
    size_t last = linker->file->symbols_offset - sizeof(uint64_t);
    const kmodfile_place *place = linker->next, *end = place + count;
    bool outside = false;

    for (; place < end; place++) {
        *(image_number64 *)(image + place_within(*place, last)) += value;
        outside |= *place > last;
    }
    linker->next = end;
    return outside ? KMODFILE_PLACE : KMODFILE_OK;
}

int kmodfile_link(struct kmodfile_linker *linker, const struct kmodfile_places *counts,
                  uint64_t address)
{
    int result = add32(linker, counts->relative32, (int64_t)(address - linker->base));

    if (result == KMODFILE_OK)
        result = add32(linker, counts->absolute32, (int64_t)address);
    if (result == KMODFILE_OK)
        result = add64(linker, counts->absolute64, address);
    return result;
}
