/*
 * cpio.c: the "newc" format: a header of 110 characters, the path, the data; path and data are
 * padded to multiples of 4 from the archive's start. Numbers are eight hexadecimal digits. The
 * entry "TRAILER!!!" ends an archive.
 */
#include "lib/cpio/cpio.h"

#include <stdbool.h>
#include <string.h>

#define MAGIC          "070701"
#define MAGIC_CHECKSUM "070702" /* as newc; the sum is not checked */
#define MAGIC_LENGTH   6
#define HEADER_LENGTH  110
#define FIELD_LENGTH   8
#define TRAILER        "TRAILER!!!"

/* Positions of the fields used, counted in fields behind the magic number. */
enum field { FIELD_MODE = 1, FIELD_FILESIZE = 6, FIELD_NAMESIZE = 11 };

/* Without branches: an emulator translates each before the machine can start. */
static bool field_decode(const char *header, enum field field, uint32_t *out)
{
    const char *digits = header + MAGIC_LENGTH + (size_t)field * FIELD_LENGTH;
    uint32_t value = 0;
    bool good = true;

    for (int i = 0; i < FIELD_LENGTH; i++) {
        uint32_t digit = (uint8_t)digits[i] - (uint32_t)'0';
        uint32_t letter = ((uint8_t)digits[i] | 0x20u) - 'a'; /* of either case */

        good &= (digit < 10) | (letter < 6);
        value = value << 4 | ((letter < 6 ? letter + 10 : digit) & 15);
    }
    *out = value;
    return good;
}

/* The multiple of 4 at or above n; n is far below SIZE_MAX, as it is at most the archive's size. */
static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static size_t skip_zeroes(const char *archive, size_t size, size_t at)
{
    while (at < size && archive[at] == '\0')
        at++;
    return at;
}

static const char *path_strip(const char *path)
{
    for (;;) {
        if (path[0] == '/')
            path++;
        else if (path[0] == '.' && path[1] == '/')
            path += 2;
        else
            return path;
    }
}

/* Decodes the entry at `at`; on success *end is the first byte behind it and its padding. */
static int entry_decode(const char *archive, size_t size, size_t at, struct cpio_entry *out,
                        size_t *end)
{
    uint32_t mode, file_size, path_size;

    if (size - at < HEADER_LENGTH)
        return CPIO_CORRUPT;
    const char *header = archive + at;
    if (memcmp(header, MAGIC, MAGIC_LENGTH) != 0 &&
        memcmp(header, MAGIC_CHECKSUM, MAGIC_LENGTH) != 0)
        return CPIO_CORRUPT;
    bool good = field_decode(header, FIELD_MODE, &mode);
    good &= field_decode(header, FIELD_FILESIZE, &file_size);
    good &= field_decode(header, FIELD_NAMESIZE, &path_size);
    if (!good)
        return CPIO_CORRUPT;

    size_t path_at = at + HEADER_LENGTH;
    if (path_size == 0 || path_size > size - path_at)
        return CPIO_CORRUPT;
    if (strnlen(archive + path_at, path_size) != path_size - 1)
        return CPIO_CORRUPT;

    size_t data_at = align4(path_at + path_size);
    if (data_at > size || file_size > size - data_at)
        return CPIO_CORRUPT;
    *out = (struct cpio_entry){
        .path = path_strip(archive + path_at),
        .data = (const uint8_t *)archive + data_at,
        .size = file_size,
        .mode = mode,
    };
    *end = align4(data_at + file_size);
    if (*end > size) /* the padding of the last entry may be missing */
        *end = size;
    return CPIO_OK;
}

int cpio_next(const void *archive, size_t size, size_t *cursor, struct cpio_entry *out)
{
    size_t at = *cursor;

    for (;;) {
        if (at > size)
            return CPIO_CORRUPT;
        at = skip_zeroes(archive, size, at);
        if (at == size)
            return CPIO_END;

        int result = entry_decode(archive, size, at, out, &at);
        if (result != CPIO_OK)
            return result;
        if (strcmp(out->path, TRAILER) != 0) {
            *cursor = at;
            return CPIO_OK;
        }
    }
}

int cpio_find(const void *archive, size_t size, const char *path, struct cpio_entry *out)
{
    struct cpio_entry entry;
    size_t cursor = 0;
    bool found = false;
    int result;

    path = path_strip(path);
    while ((result = cpio_next(archive, size, &cursor, &entry)) == CPIO_OK) {
        if (strcmp(entry.path, path) == 0) {
            *out = entry;
            found = true;
        }
    }
    return found ? CPIO_OK : result;
}
