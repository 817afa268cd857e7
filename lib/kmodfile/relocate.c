/*
 * relocate.c: the arithmetic of the x86-64 relocations that modules have (x86-64 psABI, table 4.9).
 *
 * Modules have thousands of them, and a machine starts no sooner than they are done: the loop over
 * a section calls nothing.
 */
#include "lib/kmodfile/sections.h"

#include <string.h>

/* Whether the low 32 bits, extended as the type says, give the value again. */
static inline bool value_fits(uint32_t type, uint64_t value)
{
    if (type == ELF_R_32)
        return value == (uint32_t)value;
    return value == (uint64_t)(int64_t)(int32_t)value;
}

static inline int relocate(uint32_t type, void *place, uint64_t address, uint64_t symbol,
                           int64_t addend)
{
    bool relative = type == ELF_R_PC32 || type == ELF_R_PLT32 || type == ELF_R_PC64;
    uint64_t value = symbol + (uint64_t)addend - (relative ? address : 0);
    size_t width = relocation_width(type);

    if (width == 0)
        return KMODFILE_RELOCATION_TYPE;
    if (width == 4 && !value_fits(type, value))
        return KMODFILE_OVERFLOW;
    if (width == 4) /* constant sizes need no call */
        memcpy(place, &value, 4);
    else
        memcpy(place, &value, 8);
    return KMODFILE_OK;
}

int kmodfile_relocate(uint32_t type, void *place, uint64_t address, uint64_t symbol, int64_t addend)
{
    return relocate(type, place, address, symbol, addend);
}

int kmodfile_relocate_section(const struct kmodfile *file, unsigned section, uint8_t *base,
                              const uint64_t *addresses)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        const struct elf_section *s = section_header(file, i);
        const struct elf_rela *r = (const struct elf_rela *)(file->bytes + s->offset);

        if (!section_relocates(file, s) || s->info != section)
            continue;
        for (size_t n = s->size / sizeof(*r); n > 0; n--, r++) {
            uint8_t *place = base + r->offset;
            int result =
                relocate(r->type, place, (uintptr_t)place, addresses[r->symbol], r->addend);

            if (result != KMODFILE_OK)
                return result;
        }
    }
    return KMODFILE_OK;
}
