/*
 * image.c: checks the kernel and the boot archive before a machine starts with them.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "lib/erofs/erofs.h"
#include "message.h"

struct mapping {
    const uint8_t *bytes;
    size_t size;
};

static bool mapping_open(const char *path, const char *what, struct mapping *out)
{
    struct stat status;
    void *bytes = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        message("the %s %s can't be read (%s); `make` builds it", what, path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (S_ISREG(status.st_mode) && status.st_size)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) {
        message("the %s %s is empty or not a file; `make` builds it", what, path);
        return false;
    }
    *out = (struct mapping){bytes, (size_t)status.st_size};
    return true;
}

static void mapping_close(struct mapping *mapping)
{
    munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
}

static bool range_inside(const struct mapping *file, uint64_t offset, uint64_t length)
{
    return offset <= file->size && length <= file->size - offset;
}

static bool segments_inside_64(const struct mapping *file)
{
    Elf64_Ehdr head;
    if (!range_inside(file, 0, sizeof(head)))
        return false;
    memcpy(&head, file->bytes, sizeof(head));
    if (head.e_machine != EM_X86_64 || !head.e_phnum || head.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        uint64_t at = head.e_phoff + (uint64_t)i * sizeof(segment);
        if (at < head.e_phoff || !range_inside(file, at, sizeof(segment)))
            return false;
        memcpy(&segment, file->bytes + at, sizeof(segment));
        if (!range_inside(file, segment.p_offset, segment.p_filesz))
            return false;
    }
    return true;
}

static bool segments_inside_32(const struct mapping *file)
{
    Elf32_Ehdr head;
    if (!range_inside(file, 0, sizeof(head)))
        return false;
    memcpy(&head, file->bytes, sizeof(head));
    if (head.e_machine != EM_386 || !head.e_phnum || head.e_phentsize != sizeof(Elf32_Phdr))
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf32_Phdr segment;
        uint64_t at = (uint64_t)head.e_phoff + (uint64_t)i * sizeof(segment);
        if (!range_inside(file, at, sizeof(segment)))
            return false;
        memcpy(&segment, file->bytes + at, sizeof(segment));
        if (!range_inside(file, segment.p_offset, segment.p_filesz))
            return false;
    }
    return true;
}

bool image_check_kernel(const char *path)
{
    struct mapping file;
    if (!mapping_open(path, "kernel", &file))
        return false;
    bool good = false;
    if (range_inside(&file, 0, EI_NIDENT) && !memcmp(file.bytes, ELFMAG, SELFMAG))
        good = file.bytes[EI_CLASS] == ELFCLASS64 ? segments_inside_64(&file)
                                                  : segments_inside_32(&file);
    mapping_close(&file);
    if (!good)
        message("the kernel %s is damaged or not an x86 ELF file; `make` builds it", path);
    return good;
}

/* ---- newc: a header of 110 characters, the name, the data, both padded to 4 bytes --------------
 */

#define NEWC_HEADER 110u
#define NEWC_FILE_SIZE                                                                             \
    54u /* where the fields stand that matter here; 8 hexadecimal digits each                      \
         */
#define NEWC_NAME_SIZE 94u

static bool newc_field(const uint8_t *header, size_t at, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = at; i < at + 8; i++) {
        uint8_t c = header[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)(c | 0x20) - 'a' + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static uint64_t align4(uint64_t value)
{
    return (value + 3) & ~3ull;
}

/* Steps over the record at *at. False: it is not one. *last: it was the trailer. */
static bool newc_step(const struct mapping *file, uint64_t *at, bool *last)
{
    static const char trailer[] = "TRAILER!!!";
    uint64_t data_size, name_size;
    if (!range_inside(file, *at, NEWC_HEADER))
        return false;
    const uint8_t *header = file->bytes + *at;
    if (memcmp(header, "070701", 6) || !newc_field(header, NEWC_FILE_SIZE, &data_size) ||
        !newc_field(header, NEWC_NAME_SIZE, &name_size))
        return false;
    if (!name_size || !range_inside(file, *at + NEWC_HEADER, name_size))
        return false;
    *last = name_size == sizeof(trailer) && !memcmp(header + NEWC_HEADER, trailer, sizeof(trailer));
    uint64_t data_at = align4(*at + NEWC_HEADER + name_size);
    if (!range_inside(file, data_at, data_size))
        return *last;
    *at = align4(data_at + data_size);
    return true;
}

bool image_check_initrd(const char *path)
{
    struct mapping file;
    if (!mapping_open(path, "boot archive", &file))
        return false;
    uint64_t at = 0;
    bool last = false;
    while (!last && newc_step(&file, &at, &last))
        continue;
    mapping_close(&file);
    if (!last)
        message("the boot archive %s is damaged or not a newc cpio archive (offset %llu); `make` "
                "builds it",
                path, (unsigned long long)at);
    return last;
}

bool image_check_root(const char *path)
{
    uint8_t magic[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : pread(fd, magic, sizeof(magic), EROFS_MAGIC_AT);
    if (count < 0)
        message("--root %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (count < 0)
        return false;
    uint32_t value = magic[0] | magic[1] << 8 | magic[2] << 16 | (uint32_t)magic[3] << 24;
    if (value != EROFS_MAGIC)
        message("--root %s: this file is no EROFS image; `mkfs.erofs IMAGE FOLDER` makes one",
                path);
    return value == EROFS_MAGIC;
}
