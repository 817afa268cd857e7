/*
 * elf_test.c: the checks of ELF programs: a good file, and each number in it made wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/elf/elf.h"

#define LIMIT     0x7ffffffff000ull
#define FILE_SIZE 0x6000ull

/* A file as the library sees it: its header, its program headers, its size. */
struct sample {
    Elf64_Ehdr header;
    Elf64_Phdr table[4];
    uint64_t size;
};

static struct sample good(void)
{
    struct sample s = {.size = FILE_SIZE};

    memcpy(s.header.e_ident, ELFMAG, SELFMAG);
    s.header.e_ident[EI_CLASS] = ELFCLASS64;
    s.header.e_ident[EI_DATA] = ELFDATA2LSB;
    s.header.e_ident[EI_VERSION] = EV_CURRENT;
    s.header.e_type = ET_EXEC;
    s.header.e_machine = EM_X86_64;
    s.header.e_entry = 0x401000;
    s.header.e_phoff = 64;
    s.header.e_phentsize = sizeof(Elf64_Phdr);
    s.header.e_phnum = 4;
    s.table[0] = (Elf64_Phdr){PT_LOAD, PF_R, 0, 0x400000, 0, 0x500, 0x500, 0x1000};
    s.table[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0, 0x2000, 0x2000, 0x1000};
    s.table[2] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x3f00, 0x404f00, 0, 0x200, 0x3000, 0x1000};
    s.table[3] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    return s;
}

static int decode(const struct sample *s, struct elf_image *out)
{
    struct elf_header header;
    int r = elf_decode_header(&s->header, sizeof(s->header), s->size, &header);

    return r != ELF_OK ? r : elf_decode_segments(&header, s->table, s->size, LIMIT, out);
}

static void test_good(void **state)
{
    struct sample s = good();
    struct elf_image image;

    (void)state;
    assert_int_equal(decode(&s, &image), ELF_OK);
    assert_int_equal(image.segment_count, 3);
    assert_false(image.header.relocatable);
    assert_false(image.executable_stack);
    assert_int_equal(image.start, 0x400000);
    assert_int_equal(image.end, 0x408000);
    assert_int_equal(image.header.entry, 0x401000);
    assert_int_equal(image.table_address, 0x400040);
    assert_int_equal(image.interpreter_size, 0);
    assert_int_equal(image.segments[1].flags, ELF_READ | ELF_EXEC);
    assert_int_equal(image.segments[2].file_size, 0x200);
    assert_int_equal(image.segments[2].memory_size, 0x3000);
}

static void test_dynamic(void **state)
{
    struct sample s = good();
    struct elf_image image;

    (void)state;
    s.header.e_type = ET_DYN;
    s.table[3] = (Elf64_Phdr){PT_INTERP, PF_R, 0x200, 0x400200, 0, 28, 28, 1};
    assert_int_equal(decode(&s, &image), ELF_OK);
    assert_true(image.header.relocatable);
    assert_int_equal(image.interpreter_offset, 0x200);
    assert_int_equal(image.interpreter_size, 28);
    s.table[3].p_type = PT_GNU_STACK;
    s.table[3].p_flags |= PF_X;
    assert_int_equal(decode(&s, &image), ELF_OK);
    assert_true(image.executable_stack);
}

/* Each case spoils one thing in a good file. */
#define SPOILED(expected, ...)                                                                     \
    do {                                                                                           \
        struct sample s = good();                                                                  \
        struct elf_image image;                                                                    \
        __VA_ARGS__;                                                                               \
        assert_int_equal(decode(&s, &image), expected);                                            \
    } while (0)

static void test_header(void **state)
{
    struct elf_header header;
    struct sample whole = good();

    (void)state;
    for (size_t size = 0; size < sizeof(whole.header); size++)
        assert_int_equal(elf_decode_header(&whole.header, size, FILE_SIZE, &header), ELF_NOT_ELF);
    SPOILED(ELF_NOT_ELF, s.header.e_ident[0] = 'E');
    SPOILED(ELF_NOT_ELF, s.size = 63);
    SPOILED(ELF_WRONG_MACHINE, s.header.e_ident[EI_CLASS] = ELFCLASS32);
    SPOILED(ELF_WRONG_MACHINE, s.header.e_ident[EI_DATA] = ELFDATA2MSB);
    SPOILED(ELF_WRONG_MACHINE, s.header.e_machine = EM_AARCH64);
    SPOILED(ELF_WRONG_KIND, s.header.e_type = ET_REL);
    SPOILED(ELF_BAD_HEADER, s.header.e_ident[EI_VERSION] = 2);
    SPOILED(ELF_BAD_HEADER, s.header.e_phentsize = 32);
    SPOILED(ELF_NO_SEGMENTS, s.header.e_phnum = 0);
    SPOILED(ELF_TOO_MANY, s.header.e_phnum = 65);
    SPOILED(ELF_BAD_HEADER, s.header.e_phoff = FILE_SIZE - 10);
    SPOILED(ELF_BAD_HEADER, s.header.e_phoff = UINT64_MAX - 100);
    SPOILED(ELF_BAD_HEADER, s.header.e_entry = 0x3fffff);
    SPOILED(ELF_BAD_HEADER, s.header.e_entry = 0x408000);
}

static void test_segments(void **state)
{
    (void)state;
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_memsz = 0x1ff);
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_offset = UINT64_MAX - 0xff);
    SPOILED(ELF_BAD_SEGMENT, (s.table[1].p_filesz = s.table[1].p_memsz = FILE_SIZE));
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_memsz = UINT64_MAX);
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_vaddr = LIMIT - 0x100);
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_vaddr = 0x404e00);
    SPOILED(ELF_BAD_SEGMENT, s.table[2].p_vaddr = 0x402f00);
    SPOILED(ELF_BAD_SEGMENT, s.table[0].p_vaddr = 0x500000);
    SPOILED(ELF_NO_SEGMENTS, s.table[0].p_type = s.table[1].p_type = s.table[2].p_type = PT_NOTE);
    SPOILED(ELF_NO_SEGMENTS, s.table[0].p_type = s.table[1].p_type = PT_NOTE;
            s.table[2].p_filesz = s.table[2].p_memsz = 0);
    SPOILED(ELF_OK, s.table[1].p_type = PT_NOTE; s.header.e_entry = 0x404f00);
}

static void test_interpreter(void **state)
{
    (void)state;
    SPOILED(ELF_BAD_SEGMENT, s.table[3] = (Elf64_Phdr){PT_INTERP, PF_R, 0, 0, 0, 1, 1, 1});
    SPOILED(ELF_BAD_SEGMENT, s.table[3] = (Elf64_Phdr){PT_INTERP, PF_R, 0, 0, 0, 4097, 4097, 1});
    SPOILED(ELF_BAD_SEGMENT,
            s.table[3] = (Elf64_Phdr){PT_INTERP, PF_R, FILE_SIZE - 4, 0, 0, 8, 8, 1});
    SPOILED(ELF_BAD_SEGMENT,
            s.table[3] = (Elf64_Phdr){PT_INTERP, PF_R, UINT64_MAX - 3, 0, 0, 8, 8, 1});
}

static void test_too_many(void **state)
{
    struct elf_header header = {.entry = 0x1000, .table_count = ELF_SEGMENTS_MAX + 1};
    Elf64_Phdr table[ELF_SEGMENTS_MAX + 1];
    struct elf_image image;

    (void)state;
    for (unsigned i = 0; i <= ELF_SEGMENTS_MAX; i++)
        table[i] = (Elf64_Phdr){PT_LOAD, PF_R, 0, 0x1000 * (i + 1), 0, 16, 16, 0x1000};
    header.table_bytes = sizeof(table);
    assert_int_equal(elf_decode_segments(&header, table, FILE_SIZE, LIMIT, &image), ELF_TOO_MANY);
    header.table_count--;
    assert_int_equal(elf_decode_segments(&header, table, FILE_SIZE, LIMIT, &image), ELF_OK);
}

/* This program itself is a good one. */
static void test_itself(void **state)
{
    FILE *f = fopen("/proc/self/exe", "rb");
    struct elf_header header;
    struct elf_image image;
    uint8_t first[64], *table;
    long size;

    (void)state;
    assert_non_null(f);
    assert_int_equal(fread(first, 1, sizeof(first), f), sizeof(first));
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    assert_int_equal(elf_decode_header(first, sizeof(first), (uint64_t)size, &header), ELF_OK);
    table = malloc(header.table_bytes);
    assert_non_null(table);
    fseek(f, (long)header.table_offset, SEEK_SET);
    assert_int_equal(fread(table, 1, header.table_bytes, f), header.table_bytes);
    assert_int_equal(elf_decode_segments(&header, table, (uint64_t)size, LIMIT, &image), ELF_OK);
    assert_true(image.interpreter_size > 0);
    assert_true(image.table_address != 0);
    free(table);
    fclose(f);
}

static void test_texts(void **state)
{
    (void)state;
    for (int error = ELF_OK; error <= ELF_TOO_MANY; error++)
        assert_string_not_equal(elf_error_text(error), elf_error_text(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_header),      cmocka_unit_test(test_segments),
        cmocka_unit_test(test_interpreter), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_itself),      cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
