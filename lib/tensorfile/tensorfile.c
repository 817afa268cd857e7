/*
 * tensorfile.c: checks a tensor file and finds tensors in it.
 *
 * Order of the checks: what the header says against the size that is there, then the checksum, then
 * every entry. The checksum finds damage; the entries are checked all the same, because anybody can
 * compute a checksum.
 */
#include "lib/tensorfile/tensorfile.h"

#include <stdbool.h>

#include "lib/crc32/crc32.h"

#define MAX_TENSORS 4096u

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool name_equals(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Printable, not empty, and nothing but NUL from the first NUL on. */
static bool name_is_valid(const char *name)
{
    size_t length = 0;
    while (length < TENSORFILE_NAME_BYTES && name[length] > ' ' && name[length] <= '~') {
        length++;
    }
    return length > 0 && length < TENSORFILE_NAME_BYTES &&
           all_zero((const uint8_t *)name + length, TENSORFILE_NAME_BYTES - length);
}

static uint64_t type_bytes(uint32_t type)
{
    switch (type) {
    case TENSORFILE_FLOAT32:
        return 4;
    case TENSORFILE_UINT8:
        return 1;
    default:
        return 0;
    }
}

/* Bytes that the type and shape of an entry ask for; 0 when they are not valid or far too many. */
static uint64_t shape_bytes(const struct tensorfile_entry *entry)
{
    uint64_t bytes = type_bytes(entry->type);
    if (entry->rank < 1 || entry->rank > TENSORFILE_MAX_RANK) {
        return 0;
    }
    for (uint32_t i = 0; i < TENSORFILE_MAX_RANK; i++) {
        if (i >= entry->rank && entry->shape[i] != 1) {
            return 0;
        }
        if (__builtin_mul_overflow(bytes, (uint64_t)entry->shape[i], &bytes)) {
            return 0;
        }
    }
    return bytes;
}

/* Checks one entry whose data may begin at `start` at the earliest; its end becomes `end`. */
static bool entry_is_valid(const struct tensorfile_entry *entry, uint64_t start,
                           uint64_t file_bytes, uint64_t *end)
{
    uint64_t bytes = shape_bytes(entry);
    if (!name_is_valid(entry->name) || bytes == 0 || bytes != entry->bytes) {
        return false;
    }
    if (!all_zero(entry->reserved, sizeof(entry->reserved))) {
        return false;
    }
    if (entry->offset % TENSORFILE_ALIGN != 0 || entry->offset < start ||
        entry->offset > file_bytes || bytes > file_bytes - entry->offset) {
        return false;
    }
    *end = entry->offset + bytes;
    return true;
}

static int entries_check(const struct tensorfile *file, uint64_t file_bytes)
{
    uint64_t end = sizeof(struct tensorfile_header) +
                   (uint64_t)file->tensor_count * sizeof(struct tensorfile_entry);
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        const struct tensorfile_entry *entry = &file->entries[i];
        if (!entry_is_valid(entry, end, file_bytes, &end) ||
            tensorfile_find(file, entry->name) != entry) {
            return TENSORFILE_LAYOUT;
        }
    }
    return end == file_bytes ? TENSORFILE_OK : TENSORFILE_LAYOUT;
}

static int header_check(const struct tensorfile_header *header, size_t size)
{
    if (size < sizeof(header->magic) || header->magic != TENSORFILE_MAGIC) {
        return TENSORFILE_NOT_ONE;
    }
    if (size < sizeof(*header)) {
        return TENSORFILE_TRUNCATED;
    }
    if (header->version != TENSORFILE_VERSION) {
        return TENSORFILE_VERSION_NEW;
    }
    if (header->file_bytes != size) {
        return TENSORFILE_TRUNCATED;
    }
    if (header->crc32 !=
        crc32_without_field(header, size, offsetof(struct tensorfile_header, crc32))) {
        return TENSORFILE_CHECKSUM;
    }
    size_t room = (size - sizeof(*header)) / sizeof(struct tensorfile_entry);
    if (size > TENSORFILE_MAX_BYTES || header->tensor_count > MAX_TENSORS ||
        header->tensor_count > room || !all_zero(header->reserved, sizeof(header->reserved))) {
        return TENSORFILE_LAYOUT;
    }
    return TENSORFILE_OK;
}

int tensorfile_open(struct tensorfile *file, const void *memory, size_t size)
{
    if ((uintptr_t)memory % 8 != 0) {
        return TENSORFILE_ALIGNMENT;
    }
    const struct tensorfile_header *header = memory;
    int status = header_check(header, size);
    if (status != TENSORFILE_OK) {
        return status;
    }
    struct tensorfile view = {
        .bytes = memory,
        .entries = (const struct tensorfile_entry *)(header + 1),
        .tensor_count = header->tensor_count,
    };
    status = entries_check(&view, size);
    if (status == TENSORFILE_OK) {
        *file = view;
    }
    return status;
}

const struct tensorfile_entry *tensorfile_find(const struct tensorfile *file, const char *name)
{
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        if (name_equals(file->entries[i].name, name)) {
            return &file->entries[i];
        }
    }
    return NULL;
}

const void *tensorfile_data(const struct tensorfile *file, const struct tensorfile_entry *entry)
{
    return file->bytes + entry->offset;
}

int tensorfile_expect(const struct tensorfile *file, const char *name, uint32_t type, uint32_t rank,
                      const uint32_t *shape, const void **data)
{
    const struct tensorfile_entry *entry = tensorfile_find(file, name);
    if (entry == NULL) {
        return TENSORFILE_MISSING;
    }
    if (entry->type != type || entry->rank != rank) {
        return TENSORFILE_SHAPE;
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (shape[i] != 0 && shape[i] != entry->shape[i]) {
            return TENSORFILE_SHAPE;
        }
    }
    *data = tensorfile_data(file, entry);
    return TENSORFILE_OK;
}

const char *tensorfile_error_text(int status)
{
    switch (status) {
    case TENSORFILE_OK:
        return "no error";
    case TENSORFILE_NOT_ONE:
        return "not a tensor file";
    case TENSORFILE_VERSION_NEW:
        return "a tensor file of a version that this program can't read";
    case TENSORFILE_TRUNCATED:
        return "truncated, or longer than it was written";
    case TENSORFILE_CHECKSUM:
        return "corrupt: the checksum does not match";
    case TENSORFILE_LAYOUT:
        return "malformed: a field contradicts the layout";
    case TENSORFILE_MISSING:
        return "a tensor is missing";
    case TENSORFILE_SHAPE:
        return "a tensor has another type or shape";
    case TENSORFILE_ALIGNMENT:
        return "loaded at an address that is not a multiple of 8";
    default:
        return "unknown error";
    }
}
