/*
 * archive.c: the boot archive: an index of the cpio archive that the loader placed in memory.
 */
#include <arch/arch.h>
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "archive.h"
#include "lib/cpio/cpio.h"

static struct boot_file *files; /* in archive order; written once at start */
static size_t file_count;

static size_t entries_count(const uint8_t *archive, size_t size)
{
    struct cpio_entry entry;
    size_t cursor = 0, n = 0;
    int r;

    while ((r = cpio_next(archive, size, &cursor, &entry)) == CPIO_OK)
        n++;
    if (r == CPIO_CORRUPT)
        log_error("boot archive: damaged after %zu entries: make it again (newc cpio)", n);
    return n;
}

void boot_archive_init(void)
{
    size_t size = boot_info.archive_end - boot_info.archive, cursor = 0;
    const uint8_t *archive = phys_to_virt(boot_info.archive);
    struct cpio_entry entry;
    size_t n;

    if (!size) {
        log_error("boot archive: none given (-initrd)");
        return;
    }
    n = entries_count(archive, size);
    files = kmalloc(MAX(n, 1ul) * sizeof(*files));
    if (!files)
        panic("no memory for the index of the boot archive");
    while (file_count < n && cpio_next(archive, size, &cursor, &entry) == CPIO_OK)
        files[file_count++] = (struct boot_file){entry.path, entry.data, entry.size, entry.mode};
}

int boot_file_find(const char *path, struct boot_file *out)
{
    while (*path == '/')
        path++;
    for (size_t i = file_count; i-- > 0;) { /* a later entry replaces an earlier one */
        if (!strcmp(files[i].path, path)) {
            *out = files[i];
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}

int boot_file_next(size_t *cursor, struct boot_file *out)
{
    if (*cursor >= file_count)
        return ERR_NOT_FOUND;
    *out = files[(*cursor)++];
    return OK;
}
