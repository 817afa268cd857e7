/*
 * cpio.h: reads cpio archives in the "newc" format (cpio -H newc), as boot archives are.
 *
 * The archive stays where it is: entries point into it. Nothing is allocated. The bytes may be
 * anything: every length is checked, and what is not an archive is an error. Any context.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum cpio_result {
    CPIO_OK = 0,
    CPIO_END = 1,      /* no more entries */
    CPIO_CORRUPT = -1, /* not an archive, cut short, or damaged */
};

struct cpio_entry {
    const char *path; /* NUL-terminated, without leading "./" and "/" */
    const uint8_t *data;
    size_t size;
    uint32_t mode; /* type and permissions, as in stat */
};

/*
 * Reads the entry at *cursor, which starts at 0, and moves the cursor behind it. Several archives
 * may follow each other with zeroes between them. After CPIO_CORRUPT the cursor is where it was.
 */
int cpio_next(const void *archive, size_t size, size_t *cursor, struct cpio_entry *out);

/*
 * Finds the last entry with this path (a later one replaces an earlier one). CPIO_END: there is
 * none before the end of the archive. CPIO_CORRUPT: there is none before the damage, or after it,
 * as nobody can know.
 */
int cpio_find(const void *archive, size_t size, const char *path, struct cpio_entry *out);
