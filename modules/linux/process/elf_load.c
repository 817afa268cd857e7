/*
 * elf_load.c: maps the segments of an ELF program. Nothing is copied but the page in which file
 * bytes end and zeroes begin: all other pages come from the file's memory object when they are
 * touched.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/exec.h"

#define PIE_BASE        0x555555554000ul
#define PIE_RANDOM_BITS 28u
#define BRK_RANDOM_BITS 13u

static int bad_format(const struct node *file, int error)
{
    log_debug("linux: %s: %s", file->name, elf_error_text(error));
    return ERR_BAD_FORMAT;
}

static int read_headers(struct node *file, struct memobj *object, struct elf_image *out)
{
    uint64_t size = memobj_size(object);
    uint8_t first[ELF_HEADER_SIZE];
    struct elf_header header;
    uint8_t *table;
    int r;

    if (size < sizeof(first))
        return bad_format(file, ELF_NOT_ELF);
    r = memobj_read(object, 0, first, sizeof(first));
    if (r != OK)
        return r;
    r = elf_decode_header(first, sizeof(first), size, &header);
    if (r != ELF_OK)
        return bad_format(file, r);
    table = kmalloc(header.table_bytes);
    if (!table)
        return ERR_NO_MEMORY;
    r = memobj_read(object, header.table_offset, table, header.table_bytes);
    if (r == OK) {
        r = elf_decode_segments(&header, table, size, USER_ADDRESS_END, out);
        if (r != ELF_OK)
            r = bad_format(file, r);
    }
    kfree(table);
    return r;
}

int elf_read_image(struct node *file, struct elf_image *out)
{
    struct memobj *object;
    int r;

    if (!file->ops->object)
        return ERR_ACCESS;
    r = file->ops->object(file, &object);
    if (r != OK)
        return r;
    r = read_headers(file, object, out);
    memobj_unref(object);
    return r;
}

static unsigned prot_of_segment(const struct elf_segment *s)
{
    return (s->flags & ELF_READ ? PROT_READ : 0u) | (s->flags & ELF_WRITE ? PROT_WRITE : 0u) |
           (s->flags & ELF_EXEC ? PROT_EXEC : 0u);
}

static int map_at(struct mm *mm, vaddr_t at, vaddr_t end, unsigned prot, struct memobj *object,
                  uint64_t offset)
{
    vaddr_t where;

    if (at >= end)
        return OK;
    return aspace_map(mm->as, at, end - at, prot, MAP_FIXED | MAP_PRIVATE, object, offset, &where);
}

/* The page that begins with file bytes and ends with zeroes, as an object of its own. */
static int map_mixed_page(struct mm *mm, vaddr_t at, unsigned prot, struct memobj *file,
                          uint64_t offset, size_t bytes)
{
    struct memobj *page;
    paddr_t frame;
    int r = memobj_create_anon(PAGE_SIZE, &page);

    if (r != OK)
        return r;
    r = memobj_page(page, 0, &frame);
    if (r == OK)
        r = memobj_read(file, offset, phys_to_virt(frame), bytes);
    if (r == OK)
        r = map_at(mm, at, at + PAGE_SIZE, prot, page, 0);
    memobj_unref(page);
    return r;
}

static int map_segment(struct mm *mm, struct memobj *file, const struct elf_segment *s,
                       vaddr_t bias)
{
    vaddr_t start = bias + s->address, page = ALIGN_DOWN(start, PAGE_SIZE);
    vaddr_t file_end = start + s->file_size, end = ALIGN_UP(start + s->memory_size, PAGE_SIZE);
    uint64_t offset = ALIGN_DOWN(s->offset, PAGE_SIZE);
    unsigned prot = prot_of_segment(s);
    vaddr_t whole_end = ALIGN_UP(file_end, PAGE_SIZE); /* end of pages that are the file's alone */
    int r;

    if (s->file_size == 0)
        return map_at(mm, page, end, prot, NULL, 0);
    if (s->memory_size > s->file_size && (file_end & PAGE_MASK))
        whole_end = ALIGN_DOWN(file_end, PAGE_SIZE);
    r = map_at(mm, page, whole_end, prot, file, offset);
    if (r == OK && whole_end < file_end) {
        r = map_mixed_page(mm, whole_end, prot, file, offset + (whole_end - page),
                           file_end - whole_end);
        whole_end += PAGE_SIZE;
    }
    return r == OK ? map_at(mm, whole_end, end, prot, NULL, 0) : r;
}

/* Where the image goes: its own addresses, or a random place with room for all of it. */
static int choose_bias(struct mm *mm, const struct elf_image *image, bool interpreter,
                       vaddr_t *bias)
{
    uint64_t length = image->end - image->start;
    vaddr_t at;
    int r;

    *bias = 0;
    if (!image->header.relocatable)
        return image->start >= USER_ADDRESS_MIN ? OK : ERR_BAD_FORMAT;
    if (interpreter)
        r = mm_reserve(mm, length, &at);
    else
        r = aspace_map(mm->as, PIE_BASE + mm_random_pages(PIE_RANDOM_BITS), length, 0, MAP_PRIVATE,
                       NULL, 0, &at);
    if (r == OK)
        *bias = at - image->start;
    return r;
}

int elf_map_image(struct mm *mm, struct node *file, const struct elf_image *image, bool interpreter,
                  vaddr_t *bias)
{
    struct memobj *object;
    int r = choose_bias(mm, image, interpreter, bias);

    if (r == OK)
        r = file->ops->object(file, &object);
    if (r != OK)
        return r;
    node_name_object(file, object);
    for (unsigned i = 0; i < image->segment_count && r == OK; i++)
        r = map_segment(mm, object, &image->segments[i], *bias);
    memobj_unref(object);
    if (r == OK && !interpreter) {
        mm->brk_start = *bias + image->end + mm_random_pages(BRK_RANDOM_BITS);
        mm->brk_end = mm->brk_start;
    }
    return r;
}
