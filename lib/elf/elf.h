/*
 * elf.h: checks and decodes x86-64 ELF programs (executables, position-independent executables and
 * their interpreters). Pure: works on bytes given to it, allocates nothing, maps nothing.
 *
 * Use: elf_decode_header() on the file's first bytes says where the program headers lie;
 * elf_decode_segments() on those gives a struct elf_image in which everything has been checked, so
 * that a loader can act on it without looking again. Bytes are foreign: any content is safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define ELF_PAGE                4096ull
#define ELF_HEADER_SIZE         64u
#define ELF_SEGMENT_HEADER_SIZE 56u
#define ELF_SEGMENT_HEADERS_MAX 64u   /* of all types */
#define ELF_SEGMENTS_MAX        16u   /* that are loaded */
#define ELF_INTERPRETER_MAX     4096u /* bytes of its path, NUL included */

enum elf_error {
    ELF_OK = 0,
    ELF_NOT_ELF,       /* too short, or another magic */
    ELF_WRONG_MACHINE, /* not 64-bit little-endian x86-64 */
    ELF_WRONG_KIND,    /* neither ET_EXEC nor ET_DYN */
    ELF_BAD_HEADER,
    ELF_BAD_SEGMENT, /* a segment's numbers contradict each other, the file or the address limit */
    ELF_NO_SEGMENTS,
    ELF_TOO_MANY,
};

/* One clear phrase for an enum elf_error. */
const char *elf_error_text(int error);

enum elf_segment_flags { ELF_EXEC = 1u << 0, ELF_WRITE = 1u << 1, ELF_READ = 1u << 2 };

struct elf_header {
    bool relocatable; /* ET_DYN: may be loaded anywhere */
    uint64_t entry;
    uint64_t table_offset; /* of the program headers in the file */
    uint32_t table_count;
    uint32_t table_bytes;
};

/* One part to load: file bytes [offset, offset + file_size), then zeroes up to memory_size. */
struct elf_segment {
    uint64_t address;
    uint64_t offset; /* the same as address modulo ELF_PAGE */
    uint64_t file_size;
    uint64_t memory_size; /* > 0, >= file_size */
    unsigned flags;       /* enum elf_segment_flags */
};

struct elf_image {
    struct elf_header header;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; /* ascending, not overlapping */
    unsigned segment_count;                        /* >= 1 */
    uint64_t start, end;                           /* page-aligned range that the segments cover */
    uint64_t table_address; /* of the program headers in memory; 0: not loaded */
    bool executable_stack;
    uint64_t interpreter_offset; /* of its path in the file */
    uint32_t interpreter_size;   /* 0: none */
};

/*
 * Checks the file's first `size` bytes (ELF_HEADER_SIZE are enough) against the size of the whole
 * file. Returns an enum elf_error; *out is complete for ELF_OK only.
 */
int elf_decode_header(const void *bytes, size_t size, uint64_t file_size, struct elf_header *out);

/*
 * Checks header->table_bytes bytes of program headers. Addresses must lie below address_limit (a
 * multiple of ELF_PAGE). Returns an enum elf_error; *out is complete for ELF_OK only.
 */
int elf_decode_segments(const struct elf_header *header, const void *table, uint64_t file_size,
                        uint64_t address_limit, struct elf_image *out);
