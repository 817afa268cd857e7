/*
 * sections.h: the section table of a module file, for the files of this folder.
 */
#pragma once

#include "lib/kmodfile/elf64.h"
#include "lib/kmodfile/kmodfile.h"

static inline const struct elf_header *header_of(const struct kmodfile *file)
{
    return (const struct elf_header *)file->bytes;
}

static inline const struct elf_section *section_header(const struct kmodfile *file, unsigned index)
{
    const uint8_t *table = file->bytes + header_of(file)->section_headers;

    return (const struct elf_section *)table + index;
}

/* Whether a section holds relocations of a loaded section. */
static inline bool section_relocates(const struct kmodfile *file, const struct elf_section *s)
{
    return (s->type == ELF_SECTION_RELA || s->type == ELF_SECTION_REL) &&
           s->info < file->section_count && file->sections[s->info].loaded;
}

/* Bytes that a relocation of this type changes; 0: the type is not supported. */
static inline size_t relocation_width(uint32_t type)
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
