/*
 * elf.c: see elf.h. Layouts are those of the System V ABI, x86-64 supplement. What needs no order is checked
 * together, without a branch each (`&`, `|`): it runs once at the start of a machine, and is translated.
 */
#include "lib/elf/elf.h"

struct file_header {
    uint32_t magic;
    uint8_t class, encoding, version, abi;
    uint8_t pad[8];
    uint16_t type, machine;
    uint32_t file_version;
    uint64_t entry, segment_table, section_table;
    uint32_t flags;
    uint16_t header_size, segment_entry, segment_count;
    uint16_t section_entry, section_count, section_names;
};
_Static_assert(sizeof(struct file_header) == ELF_HEADER_SIZE, "ELF header layout");

struct segment_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, alignment;
};
_Static_assert(sizeof(struct segment_header) == ELF_SEGMENT_HEADER_SIZE, "program header layout");

#define ELF_MAGIC 0x464c457fu /* "\177ELF" */

enum { CLASS_64 = 2, LITTLE_ENDIAN = 1, CURRENT_VERSION = 1, MACHINE_X86_64 = 62 };
enum { TYPE_EXEC = 2, TYPE_DYN = 3 };
enum { SEGMENT_LOAD = 1, SEGMENT_INTERPRETER = 3, SEGMENT_STACK = 0x6474e551 };

const char *elf_error_text(int error)
{
    switch (error) {
    case ELF_OK:
        return "no error";
    case ELF_NOT_ELF:
        return "not an ELF file";
    case ELF_WRONG_MACHINE:
        return "not for 64-bit x86";
    case ELF_WRONG_KIND:
        return "an ELF file, but not a program";
    case ELF_BAD_HEADER:
        return "corrupt ELF header";
    case ELF_BAD_SEGMENT:
        return "corrupt ELF program header";
    case ELF_NO_SEGMENTS:
        return "an ELF file with nothing to load";
    case ELF_TOO_MANY:
        return "an ELF file with too many segments";
    default:
        return "unknown ELF error";
    }
}

/* The caller's bytes may lie anywhere: they are copied before they are read as a structure. */
static void copy_bytes(void *to, const void *from, size_t size)
{
    __builtin_memcpy(to, from, size);
}

static bool range_within(uint64_t start, uint64_t size, uint64_t limit)
{
    return (start <= limit) & (size <= limit - start);
}

int elf_decode_header(const void *bytes, size_t size, uint64_t file_size, struct elf_header *out)
{
    struct file_header h;

    if (size < sizeof(h) || file_size < sizeof(h))
        return ELF_NOT_ELF;
    copy_bytes(&h, bytes, sizeof(h));
    if (h.magic != ELF_MAGIC)
        return ELF_NOT_ELF;
    if ((h.class != CLASS_64) | (h.encoding != LITTLE_ENDIAN) | (h.machine != MACHINE_X86_64))
        return ELF_WRONG_MACHINE;
    if ((h.type != TYPE_EXEC) & (h.type != TYPE_DYN))
        return ELF_WRONG_KIND;
    if ((h.version != CURRENT_VERSION) | (h.segment_entry != ELF_SEGMENT_HEADER_SIZE))
        return ELF_BAD_HEADER;
    if (h.segment_count == 0)
        return ELF_NO_SEGMENTS;
    if (h.segment_count > ELF_SEGMENT_HEADERS_MAX)
        return ELF_TOO_MANY;
    out->relocatable = h.type == TYPE_DYN;
    out->entry = h.entry;
    out->table_offset = h.segment_table;
    out->table_count = h.segment_count;
    out->table_bytes = h.segment_count * ELF_SEGMENT_HEADER_SIZE;
    if (!range_within(out->table_offset, out->table_bytes, file_size))
        return ELF_BAD_HEADER;
    return ELF_OK;
}

static bool segment_is_sound(const struct segment_header *h, uint64_t file_size, uint64_t limit)
{
    return (h->file_size <= h->memory_size) & range_within(h->offset, h->file_size, file_size) &
           range_within(h->address, h->memory_size, limit) &
           (h->address % ELF_PAGE == h->offset % ELF_PAGE);
}

static int add_segment(struct elf_image *image, const struct segment_header *h, uint64_t file_size,
                       uint64_t limit)
{
    struct elf_segment *s;

    if (!segment_is_sound(h, file_size, limit))
        return ELF_BAD_SEGMENT;
    if (h->memory_size == 0)
        return ELF_OK;
    if (image->segment_count == ELF_SEGMENTS_MAX)
        return ELF_TOO_MANY;
    if (image->segment_count > 0) {
        const struct elf_segment *last = &image->segments[image->segment_count - 1];

        if (h->address < last->address + last->memory_size)
            return ELF_BAD_SEGMENT;
    }
    s = &image->segments[image->segment_count++];
    s->address = h->address;
    s->offset = h->offset;
    s->file_size = h->file_size;
    s->memory_size = h->memory_size;
    s->flags = h->flags & (ELF_EXEC | ELF_WRITE | ELF_READ);
    return ELF_OK;
}

static int set_interpreter(struct elf_image *image, const struct segment_header *h,
                           uint64_t file_size)
{
    if (image->interpreter_size != 0)
        return ELF_BAD_SEGMENT;
    if (h->file_size < 2 || h->file_size > ELF_INTERPRETER_MAX ||
        !range_within(h->offset, h->file_size, file_size))
        return ELF_BAD_SEGMENT;
    image->interpreter_offset = h->offset;
    image->interpreter_size = (uint32_t)h->file_size;
    return ELF_OK;
}

/* What depends on all segments together. */
static int finish_image(struct elf_image *image)
{
    const struct elf_header *header = &image->header;
    const struct elf_segment *last;

    if (image->segment_count == 0)
        return ELF_NO_SEGMENTS;
    last = &image->segments[image->segment_count - 1];
    image->start = image->segments[0].address & ~(ELF_PAGE - 1);
    image->end = (last->address + last->memory_size + ELF_PAGE - 1) & ~(ELF_PAGE - 1);
    if (header->entry < image->start || header->entry >= image->end)
        return ELF_BAD_HEADER;
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];

        if (header->table_offset >= s->offset &&
            range_within(header->table_offset - s->offset, header->table_bytes, s->file_size))
            image->table_address = s->address + (header->table_offset - s->offset);
    }
    return ELF_OK;
}

int elf_decode_segments(const struct elf_header *header, const void *table, uint64_t file_size,
                        uint64_t address_limit, struct elf_image *out)
{
    *out = (struct elf_image){.header = *header};
    for (uint32_t i = 0; i < header->table_count; i++) {
        struct segment_header h;
        int error = ELF_OK;

        copy_bytes(&h, (const uint8_t *)table + (size_t)i * sizeof(h), sizeof(h));
        if (h.type == SEGMENT_LOAD)
            error = add_segment(out, &h, file_size, address_limit);
        else if (h.type == SEGMENT_INTERPRETER)
            error = set_interpreter(out, &h, file_size);
        else if (h.type == SEGMENT_STACK)
            out->executable_stack = h.flags & ELF_EXEC;
        if (error != ELF_OK)
            return error;
    }
    return finish_image(out);
}
