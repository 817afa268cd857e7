/*
 * kmodpack_test.c: the packer on a linked module of the build, whole, cut, and damaged where it
 * matters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/kmodpack/pack.h"
#include "host/files/files.h"

#define SAMPLE  "build/modules/virtio.kmod.full" /* it exports */
#define PACKED  "build/modules/virtio.kmod"
#define MOST    (64u << 20)
#define REFUSED (-1) /* by pack_module() */

static uint8_t *sample_read(const char *path, size_t *size)
{
    uint8_t *bytes;

    assert_true(file_read(path, MOST, &bytes, size));
    return bytes;
}

/* Packs what it can: an OBJECT_* result, or REFUSED. */
static int pack(const uint8_t *bytes, size_t size, char why[PACK_WHY_MAX])
{
    static struct object object;
    uint8_t *out;
    size_t out_size;
    int result = object_decode(bytes, size, &object);

    if (result != OBJECT_OK)
        return result;
    why[0] = '\0';
    if (pack_module(&object, &out, &out_size, why)) {
        free(out);
        return OBJECT_OK;
    }
    assert_true(why[0] != '\0');
    return REFUSED;
}

static uint32_t symbol_value(const struct object *object, const char *name)
{
    for (size_t i = 0; i < object->symbol_count; i++)
        if (strcmp(object_symbol_name(object, &object->symbols[i]), name) == 0)
            return (uint32_t)object->symbols[i].value;
    fail_msg("no symbol %s", name);
    return 0;
}

/* The same bytes again are the build's file, but for its signature; exports are sorted and right. */
static void test_whole(void **state)
{
    struct object object;
    struct kmodfile file;
    char why[PACK_WHY_MAX];
    size_t linked_size, packed_size, size;
    uint8_t *linked = sample_read(SAMPLE, &linked_size);
    uint8_t *packed = sample_read(PACKED, &packed_size), *out;

    (void)state;
    assert_int_equal(object_decode(linked, linked_size, &object), OBJECT_OK);
    assert_true(pack_module(&object, &out, &size, why));
    assert_int_equal(size, packed_size - sizeof(struct kmod_signature));
    assert_memory_equal(out, packed, size);

    assert_int_equal(kmodfile_decode(out, size, &file), KMODFILE_OK);
    assert_string_equal(file.manifest.name, "virtio");
    assert_true(file.header->export_count > 3);
    assert_true(file.header->symbol_count > file.header->export_count);
    for (uint32_t i = 0; i < file.header->symbol_count; i++) {
        const char *name = file.names + file.symbols[i].name;

        assert_string_not_equal(name, "kmod_manifest");
        if (i > 0 && i < file.header->export_count)
            assert_true(strcmp(file.names + file.symbols[i - 1].name, name) < 0);
        if (file.symbols[i].offset < file.areas[KMODFILE_TEXT].size)
            assert_int_equal(file.symbols[i].offset, symbol_value(&object, name));
    }
    free(out);
    free(packed);
    free(linked);
}

static void test_truncations(void **state)
{
    char why[PACK_WHY_MAX];
    size_t size;
    uint8_t *bytes = sample_read(SAMPLE, &size);

    (void)state;
    for (size_t cut = 0; cut < size; cut += cut < 256 ? 1 : 131) {
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, bytes, cut);
        assert_int_not_equal(pack(copy, cut, why), OBJECT_OK);
        free(copy);
    }
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
DAMAGE(symbol_section, symbol_first(b)->section = 200)
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
        const char *why;
    } cases[] = {
        {damage_class, OBJECT_NOT_ELF, ""},
        {damage_machine, OBJECT_NOT_ELF, ""},
        {damage_type, OBJECT_NOT_RELOCATABLE, ""},
        {damage_table_far, OBJECT_SECTION_TABLE, ""},
        {damage_table_long, OBJECT_SECTION_TABLE, ""},
        {damage_table_empty, OBJECT_SECTION_TABLE, ""},
        {damage_section_far, OBJECT_SECTION, ""},
        {damage_section_align, OBJECT_SECTION, ""},
        {damage_section_align_large, OBJECT_SECTION, ""},
        {damage_section_tls, OBJECT_SECTION, ""},
        {damage_section_mixed, OBJECT_SECTION, ""},
        {damage_zeroes_large, OBJECT_TOO_LARGE, ""},
        {damage_no_symbols, OBJECT_SYMBOL_TABLE, ""},
        {damage_symbols_odd, OBJECT_SYMBOL_TABLE, ""},
        {damage_symbols_link, OBJECT_SYMBOL_TABLE, ""},
        {damage_symbol_name, OBJECT_SYMBOL, ""},
        {damage_symbol_section, OBJECT_SYMBOL, ""},
        {damage_symbol_common, OBJECT_SYMBOL, ""},
        {damage_symbol_value, OBJECT_SYMBOL, ""},
        {damage_rela_form, OBJECT_RELOCATION_TABLE, ""},
        {damage_rela_implicit, OBJECT_RELOCATION_TABLE, ""},
        {damage_rela_place, OBJECT_RELOCATION, ""},
        {damage_rela_symbol, OBJECT_RELOCATION, ""},
        {damage_rela_type, REFUSED, "has a reference of an unsupported kind: build it with"},
        {damage_rela_range, REFUSED, "has a reference out of range: build it with"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char why[PACK_WHY_MAX] = "";
        size_t size;
        uint8_t *bytes = sample_read(SAMPLE, &size);
        int result;

        cases[i].damage(bytes);
        result = pack(bytes, size, why);
        if (result != cases[i].result || !strstr(why, cases[i].why))
            fail_msg("case %zu: %s", i, result >= 0 ? object_result_text(result) : why);
        free(bytes);
    }
}

/* Whatever single byte of header and section table is wrong: no fault, and an end. */
static void test_changed_bytes(void **state)
{
    char why[PACK_WHY_MAX];
    size_t size;
    uint8_t *bytes = sample_read(SAMPLE, &size);
    size_t table = header(bytes)->section_headers;
    unsigned refused = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(struct elf_header) + size - table; i++) {
        size_t at = i < sizeof(struct elf_header) ? i : table + i - sizeof(struct elf_header);

        bytes[at] ^= 0xff;
        refused += pack(bytes, size, why) != OBJECT_OK;
        bytes[at] ^= 0xff;
    }
    assert_true(refused > 100);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_changed_bytes),
    };

    return cmocka_run_group_tests_name("kmodpack", tests, NULL, NULL);
}
