/*
 * kmodfile_test.c: the decoder on the build's own modules, whole, cut, and damaged where it
 * matters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kmodfile/elf64.h"
#include <kmod_interface.h>

#include "lib/kmodfile/kmodfile.h"
#include "tests/fuzz/kmodfile/pretend.h"

#define SAMPLE "build/modules/sched_fair.kmod"

static void test_modules_of_the_build(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("build/modules/*.kmod", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t size;
        uint8_t *bytes = file_read(found.gl_pathv[i], &size);
        int result = kmodfile_pretend_load(bytes, size);

        if (result != KMODFILE_OK)
            fail_msg("%s %s", found.gl_pathv[i], kmodfile_result_text(result));
        free(bytes);
    }
    globfree(&found);
}

static void test_decoded_parts(void **state)
{
    struct kmodfile file;
    struct kmodfile_symbol symbol;
    size_t size;
    uint8_t *bytes = file_read(SAMPLE, &size);
    bool saw_import = false, saw_manifest = false;

    (void)state;
    assert_int_equal(kmodfile_decode(bytes, size, &file), KMODFILE_OK);
    assert_string_equal(file.manifest.name, "sched_fair");
    assert_true(file.area_size[KMODFILE_TEXT] > 1000);
    for (size_t i = 0; i < file.symbol_count; i++) {
        kmodfile_symbol_read(&file, i, &symbol);
        if (strcmp(symbol.name, "policy_register") == 0)
            saw_import = symbol.kind == SYMBOL_UNDEFINED;
        if (strcmp(symbol.name, "kmod_manifest") == 0) {
            saw_manifest = true;
            assert_int_equal(symbol.section, file.manifest_section);
        }
        assert_false(kmodfile_symbol_exported(&file, &symbol)); /* it exports nothing */
    }
    assert_true(saw_import && saw_manifest);
    free(bytes);
}

static void test_truncations(void **state)
{
    size_t size;
    uint8_t *bytes = file_read(SAMPLE, &size);

    (void)state;
    size -= sizeof(struct kmod_signature);
    for (size_t cut = 0; cut < size; cut += cut < 256 ? 1 : 13) {
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, bytes, cut);
        assert_int_not_equal(kmodfile_pretend_load(copy, cut), KMODFILE_OK);
        free(copy);
    }
    free(bytes);
}

/* Any place in memory will do. */
static void test_unaligned(void **state)
{
    size_t size;
    uint8_t *bytes = file_read(SAMPLE, &size);
    uint8_t *moved = malloc(size + 1);

    (void)state;
    memcpy(moved + 1, bytes, size);
    assert_int_equal(kmodfile_pretend_load(moved + 1, size), KMODFILE_OK);
    free(moved);
    free(bytes);
}

static struct elf_section *section_of_type(uint8_t *bytes, uint32_t type)
{
    struct elf_header *h = (struct elf_header *)bytes;
    struct elf_section *sections = (struct elf_section *)(bytes + h->section_headers);

    for (unsigned i = 1; i < h->section_header_count; i++)
        if (sections[i].type == type)
            return &sections[i];
    fail();
    return NULL;
}

static struct elf_header *header(uint8_t *b)
{
    return (struct elf_header *)b;
}

static struct elf_symbol *symbol_first(uint8_t *b)
{
    return (struct elf_symbol *)(b + section_of_type(b, ELF_SECTION_SYMTAB)->offset) + 1;
}

static struct elf_rela *rela_first(uint8_t *b)
{
    return (struct elf_rela *)(b + section_of_type(b, ELF_SECTION_RELA)->offset);
}

#define DAMAGE(name, change)                                                                       \
    static void damage_##name(uint8_t *b)                                                          \
    {                                                                                              \
        change;                                                                                    \
    }
DAMAGE(class, header(b)->ident[4] = 1)
DAMAGE(machine, header(b)->machine = 183)
DAMAGE(type, header(b)->type = 3)
DAMAGE(table_far, header(b)->section_headers = UINT64_MAX - 10)
DAMAGE(table_long, header(b)->section_header_count = 0xffff)
DAMAGE(table_empty, header(b)->section_header_count = 0)
DAMAGE(section_far, section_of_type(b, ELF_SECTION_PROGBITS)->offset = UINT64_MAX - 3)
DAMAGE(section_align, section_of_type(b, ELF_SECTION_PROGBITS)->align = 3)
DAMAGE(section_align_large, section_of_type(b, ELF_SECTION_PROGBITS)->align = 8192)
DAMAGE(section_tls, section_of_type(b, ELF_SECTION_PROGBITS)->flags |= ELF_FLAG_TLS)
DAMAGE(section_mixed, section_of_type(b, ELF_SECTION_PROGBITS)->flags |= ELF_FLAG_WRITE)
DAMAGE(zeroes_large, section_of_type(b, ELF_SECTION_NOBITS)->size = UINT64_MAX)
DAMAGE(no_symbols, section_of_type(b, ELF_SECTION_SYMTAB)->type = ELF_SECTION_PROGBITS)
DAMAGE(symbols_odd, section_of_type(b, ELF_SECTION_SYMTAB)->size -= 1)
DAMAGE(symbols_link, section_of_type(b, ELF_SECTION_SYMTAB)->link = 999)
DAMAGE(symbol_name, symbol_first(b)->name = 0x7fffffff)
DAMAGE(symbol_section, symbol_first(b)->section = 40)
DAMAGE(symbol_common, symbol_first(b)->section = 0xfff2)
DAMAGE(symbol_value, symbol_first(b)->value = UINT64_MAX - 7)
DAMAGE(rela_form, section_of_type(b, ELF_SECTION_RELA)->entry_size = 16)
DAMAGE(rela_implicit, section_of_type(b, ELF_SECTION_RELA)->type = ELF_SECTION_REL)
DAMAGE(rela_place, rela_first(b)->offset = UINT64_MAX - 2)
DAMAGE(rela_symbol, rela_first(b)->symbol = 100000)
DAMAGE(rela_type, rela_first(b)->type = 9)
DAMAGE(rela_range, (rela_first(b)->addend = 1l << 40))

static void test_damages(void **state)
{
    static const struct {
        void (*damage)(uint8_t *bytes);
        int result;
    } cases[] = {
        {damage_class, KMODFILE_NOT_ELF},
        {damage_machine, KMODFILE_NOT_ELF},
        {damage_type, KMODFILE_NOT_RELOCATABLE},
        {damage_table_far, KMODFILE_SECTION_TABLE},
        {damage_table_long, KMODFILE_SECTION_TABLE},
        {damage_table_empty, KMODFILE_SECTION_TABLE},
        {damage_section_far, KMODFILE_SECTION},
        {damage_section_align, KMODFILE_SECTION},
        {damage_section_align_large, KMODFILE_SECTION},
        {damage_section_tls, KMODFILE_SECTION},
        {damage_section_mixed, KMODFILE_SECTION},
        {damage_zeroes_large, KMODFILE_TOO_LARGE},
        {damage_no_symbols, KMODFILE_SYMBOL_TABLE},
        {damage_symbols_odd, KMODFILE_SYMBOL_TABLE},
        {damage_symbols_link, KMODFILE_SYMBOL_TABLE},
        {damage_symbol_name, KMODFILE_SYMBOL},
        {damage_symbol_section, KMODFILE_SYMBOL},
        {damage_symbol_common, KMODFILE_SYMBOL},
        {damage_symbol_value, KMODFILE_SYMBOL},
        {damage_rela_form, KMODFILE_RELOCATION_TABLE},
        {damage_rela_implicit, KMODFILE_RELOCATION_TABLE},
        {damage_rela_place, KMODFILE_RELOCATION},
        {damage_rela_symbol, KMODFILE_RELOCATION},
        {damage_rela_type, KMODFILE_RELOCATION_TYPE},
        {damage_rela_range, KMODFILE_OVERFLOW},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size;
        uint8_t *bytes = file_read(SAMPLE, &size);
        int result;

        cases[i].damage(bytes);
        result = kmodfile_pretend_load(bytes, size);
        if (result != cases[i].result)
            fail_msg("case %zu: %s", i, kmodfile_result_text(result));
        free(bytes);
    }
}

static struct kmod_manifest manifest_good(void)
{
    return (struct kmod_manifest){
        .magic = KMOD_MAGIC,
        .struct_size = sizeof(struct kmod_manifest),
        .abi_version = KMOD_ABI_VERSION,
        .interface = KMOD_INTERFACE,
        .name = "good_1",
        .version = "1.0",
    };
}

/* A good manifest with one field changed to a text, which may fill it whole. */
#define MANIFEST_CASE(field, value, expected)                                                      \
    do {                                                                                           \
        static const char text[] = value;                                                          \
        m = manifest_good();                                                                       \
        memset(m.field, 0, sizeof(m.field));                                                       \
        memcpy(m.field, text, sizeof(text) < sizeof(m.field) ? sizeof(text) : sizeof(m.field));    \
        assert_int_equal(kmod_manifest_check(&m), expected);                                       \
    } while (0)

#define CHARS_31 "1234567890123456789012345678901"

static void test_manifests(void **state)
{
    struct kmod_manifest m = manifest_good();

    (void)state;
    assert_int_equal(kmod_manifest_check(&m), KMODFILE_OK);
    m.interface++;
    assert_int_equal(kmod_manifest_check(&m), KMODFILE_MANIFEST_INTERFACE);
    m.struct_size++;
    assert_int_equal(kmod_manifest_check(&m), KMODFILE_MANIFEST_SIZE);
    m.abi_version++;
    assert_int_equal(kmod_manifest_check(&m), KMODFILE_MANIFEST_ABI);
    m.magic++;
    assert_int_equal(kmod_manifest_check(&m), KMODFILE_MANIFEST_MAGIC);

    MANIFEST_CASE(name, "", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(name, "Upper", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(name, "a/b", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(name, CHARS_31, KMODFILE_OK);
    MANIFEST_CASE(name, CHARS_31 "2", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(version, "", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(version, "1 2", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(version, "1234567890123456", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(needs, "a,b,c_3", KMODFILE_OK);
    MANIFEST_CASE(needs, CHARS_31 "," CHARS_31, KMODFILE_OK);
    MANIFEST_CASE(needs, ",a", KMODFILE_MANIFEST_NEEDS);
    MANIFEST_CASE(needs, "a,", KMODFILE_MANIFEST_NEEDS);
    MANIFEST_CASE(needs, "a,,b", KMODFILE_MANIFEST_NEEDS);
    MANIFEST_CASE(needs, "a b", KMODFILE_MANIFEST_NEEDS);
    MANIFEST_CASE(needs, CHARS_31 "2", KMODFILE_MANIFEST_NEEDS);
    MANIFEST_CASE(needs, CHARS_31 "," CHARS_31 "," CHARS_31 "," CHARS_31 "2",
                  KMODFILE_MANIFEST_NEEDS);
}

static void test_needs_walk(void **state)
{
    char name[KMOD_NAME_MAX];
    size_t cursor = 0;

    (void)state;
    assert_true(kmod_need_next("net,fs_9p", &cursor, name));
    assert_string_equal(name, "net");
    assert_true(kmod_need_next("net,fs_9p", &cursor, name));
    assert_string_equal(name, "fs_9p");
    assert_false(kmod_need_next("net,fs_9p", &cursor, name));
    cursor = 0;
    assert_false(kmod_need_next("", &cursor, name));
}

static void test_relocations(void **state)
{
    const uint64_t place = 0xffffffffc0000100, nucleus = 0xffffffff80000000;
    uint64_t out = 0;

    (void)state;
    assert_int_equal(kmodfile_relocate(ELF_R_64, &out, place, nucleus, 8), KMODFILE_OK);
    assert_int_equal(out, nucleus + 8);
    out = 0;
    assert_int_equal(kmodfile_relocate(ELF_R_PLT32, &out, place, nucleus, -4), KMODFILE_OK);
    assert_int_equal((int32_t)out, (int32_t)(nucleus - 4 - place));
    out = 0;
    assert_int_equal(kmodfile_relocate(ELF_R_32S, &out, place, nucleus, 1), KMODFILE_OK);
    assert_int_equal(out, 0x80000001);
    assert_int_equal(kmodfile_relocate(ELF_R_32, &out, place, nucleus, 1), KMODFILE_OVERFLOW);
    assert_int_equal(kmodfile_relocate(ELF_R_32, &out, place, 0xffffffff, 0), KMODFILE_OK);
    assert_int_equal(kmodfile_relocate(ELF_R_32S, &out, place, 0x80000000, 0), KMODFILE_OVERFLOW);
    assert_int_equal(kmodfile_relocate(ELF_R_PC32, &out, place, place + (1ull << 31), 0),
                     KMODFILE_OVERFLOW);
    assert_int_equal(kmodfile_relocate(ELF_R_PC32, &out, place, place + (1ull << 31), -1),
                     KMODFILE_OK);
    assert_int_equal(kmodfile_relocate(ELF_R_PC64, &out, place, 0, 0), KMODFILE_OK);
    assert_int_equal(out, -place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modules_of_the_build),
        cmocka_unit_test(test_decoded_parts),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_unaligned),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_needs_walk),
        cmocka_unit_test(test_relocations),
    };

    return cmocka_run_group_tests_name("kmodfile", tests, NULL, NULL);
}
