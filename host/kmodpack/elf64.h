/*
 * elf64.h: the parts of an ELF-64 relocatable file that modules use (System V gABI; x86-64 psABI).
 * Packed: a file may lie at any address.
 */
#pragma once

#include <stdint.h>

#define ELF_MAGIC      "\177ELF"
#define ELF_CLASS_64   2
#define ELF_LITTLE     1
#define ELF_REL        1
#define ELF_X86_64     62
#define ELF_IDENT_SIZE 16

enum elf_section_type {
    ELF_SECTION_NULL = 0,
    ELF_SECTION_PROGBITS = 1,
    ELF_SECTION_SYMTAB = 2,
    ELF_SECTION_STRTAB = 3,
    ELF_SECTION_RELA = 4,
    ELF_SECTION_NOBITS = 8,
    ELF_SECTION_REL = 9,
};

enum elf_section_flag {
    ELF_FLAG_WRITE = 1u << 0,
    ELF_FLAG_ALLOC = 1u << 1,
    ELF_FLAG_EXEC = 1u << 2,
    ELF_FLAG_TLS = 1u << 10,
};

enum elf_symbol_section { ELF_UNDEFINED = 0, ELF_RESERVED = 0xff00, ELF_ABSOLUTE = 0xfff1 };
enum elf_symbol_bind { ELF_LOCAL = 0, ELF_GLOBAL = 1 };
enum elf_symbol_type { ELF_FUNCTION = 2 };

enum elf_relocation_type {
    ELF_R_64 = 1,
    ELF_R_PC32 = 2,
    ELF_R_PLT32 = 4,
    ELF_R_32 = 10,
    ELF_R_32S = 11,
};

struct elf_header {
    uint8_t ident[ELF_IDENT_SIZE];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
} __attribute__((packed));
_Static_assert(sizeof(struct elf_header) == 64, "ELF header");

struct elf_section {
    uint32_t name, type;
    uint64_t flags, address, offset, size;
    uint32_t link, info;
    uint64_t align, entry_size;
} __attribute__((packed));
_Static_assert(sizeof(struct elf_section) == 64, "ELF section header");

struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
} __attribute__((packed));
_Static_assert(sizeof(struct elf_symbol) == 24, "ELF symbol");

struct elf_rela {
    uint64_t offset;
    uint32_t type, symbol;
    int64_t addend;
} __attribute__((packed));
_Static_assert(sizeof(struct elf_rela) == 24, "ELF relocation");
