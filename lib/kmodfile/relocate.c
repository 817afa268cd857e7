/*
 * relocate.c: the arithmetic of the x86-64 relocations that modules have (x86-64 psABI, table 4.9).
 */
#include "lib/kmodfile/kmodfile.h"

#include <string.h>

#include "lib/kmodfile/elf64.h"

size_t kmodfile_relocation_width(uint32_t type)
{
    switch (type) {
    case ELF_R_64:
    case ELF_R_PC64:
        return 8;
    case ELF_R_PC32:
    case ELF_R_PLT32:
    case ELF_R_32:
    case ELF_R_32S:
        return 4;
    default:
        return 0;
    }
}

/* Whether the low 32 bits, extended as the type says, give the value again. */
static bool value_fits(uint32_t type, uint64_t value)
{
    if (type == ELF_R_32)
        return value == (uint32_t)value;
    return value == (uint64_t)(int64_t)(int32_t)value;
}

int kmodfile_relocate(uint32_t type, void *place, uint64_t address, uint64_t symbol, int64_t addend)
{
    bool relative = type == ELF_R_PC32 || type == ELF_R_PLT32 || type == ELF_R_PC64;
    uint64_t value = symbol + (uint64_t)addend - (relative ? address : 0);
    size_t width = kmodfile_relocation_width(type);

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
