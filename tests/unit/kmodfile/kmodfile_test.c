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

#include <kmod_interface.h>

#include "lib/kmodfile/kmodfile.h"
#include "tests/fuzz/kmodfile/pretend.h"

#define SAMPLE "build/modules/sched_fair.kmod"

/* A module without its signature. */
static uint8_t *sample_read(size_t *size)
{
    uint8_t *bytes = file_read(SAMPLE, size);

    assert_non_null(bytes);
    *size -= sizeof(struct kmod_signature);
    return bytes;
}

static void test_modules_of_the_build(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("build/modules/*.kmod", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t size;
        uint8_t *bytes = file_read(found.gl_pathv[i], &size);
        int result = kmodfile_pretend_load(bytes, size - sizeof(struct kmod_signature), NULL);

        if (result != KMODFILE_OK)
            fail_msg("%s %s", found.gl_pathv[i], kmodfile_result_text(result));
        free(bytes);
    }
    globfree(&found);
}

static void test_decoded_parts(void **state)
{
    struct kmodfile file;
    size_t size;
    uint8_t *bytes = sample_read(&size);
    bool saw_import = false, saw_function = false, saw_export = false;

    (void)state;
    assert_int_equal(kmodfile_decode(bytes, size, &file), KMODFILE_OK);
    assert_string_equal(file.manifest.name, "sched_fair");
    assert_true(file.areas[KMODFILE_TEXT].size > 1000);
    for (uint32_t i = 0; i < file.header->export_count; i++) { /* the first of the symbols */
        const char *name = file.names + file.symbols[i].name;

        saw_export |= strcmp(name, "fair_pick") == 0;
        assert_string_not_equal(name, "fair_init");
    }
    for (uint32_t i = 0; i < file.header->import_count; i++) {
        const char *name = file.names + file.imports[i].name;

        saw_import |= strcmp(name, "policy_register") == 0;
        if (i > 0) /* sorted */
            assert_true(strcmp(file.names + file.imports[i - 1].name, name) < 0);
    }
    for (uint32_t i = 0; i < file.header->symbol_count; i++)
        saw_function |= strcmp(file.names + file.symbols[i].name, "fair_init") == 0;
    assert_true(saw_import && saw_function && saw_export);
    free(bytes);
}

/* A signature is not part of the content. */
static void test_truncations(void **state)
{
    size_t size;
    uint8_t *bytes = sample_read(&size);

    (void)state;
    for (size_t cut = 0; cut < size; cut += cut < 256 ? 1 : 13) {
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, bytes, cut);
        assert_int_not_equal(kmodfile_pretend_load(copy, cut, NULL), KMODFILE_OK);
        free(copy);
    }
    assert_int_equal(kmodfile_pretend_load(bytes, size + 1, NULL), KMODFILE_SIZE);
    free(bytes);
}

/* Any place in memory will do. */
static void test_unaligned(void **state)
{
    size_t size;
    uint8_t *bytes = sample_read(&size);
    uint8_t *moved = malloc(size + 1);

    (void)state;
    memcpy(moved + 1, bytes, size);
    assert_int_equal(kmodfile_pretend_load(moved + 1, size, NULL), KMODFILE_OK);
    free(moved);
    free(bytes);
}

/* ---- a module made here, number by number ------------------------------------------------------ */

#define BASE   0xffffffffc0000000u
#define IMPORT 0xffffffff80123456u

enum { TEXT_SIZE = 64, ZERO_SIZE = 5000, IMPORTS = 2, PLACES = 6, SYMBOLS = 2 };

struct tiny {
    struct kmodfile_header header;
    struct kmodfile_import imports[IMPORTS];
    uint32_t places[PLACES];
    uint8_t text[TEXT_SIZE];
    struct {
        struct kmod_manifest manifest;
        uint64_t pointers[4];
    } data;
    struct {
        uint64_t constant;
        struct kmodfile_symbol symbols[SYMBOLS];
        char names[16];
    } rodata;
} __attribute__((packed));

enum {
    DATA_AT = 4096,
    POINTERS_AT = DATA_AT + sizeof(struct kmod_manifest),
    RODATA_AT = 3 * 4096, /* the zeroes end in the second page of the data */
    NAMES_AT = RODATA_AT + offsetof(struct tiny, rodata.names) - offsetof(struct tiny, rodata),
};

static struct kmod_manifest manifest_good(void);

static void number32_set(struct tiny *t, size_t at, int32_t value)
{
    memcpy(t->text + at, &value, sizeof(value));
}

static struct tiny tiny_good(void)
{
    struct tiny t = {
        .header = {.magic = KMODFILE_MAGIC,
                   .version = KMODFILE_VERSION,
                   .text_size = TEXT_SIZE,
                   .data_size = sizeof(t.data),
                   .zero_size = ZERO_SIZE,
                   .rodata_size = sizeof(t.rodata),
                   .manifest = DATA_AT,
                   .names = NAMES_AT,
                   .symbol_count = SYMBOLS,
                   .export_count = 1,
                   .import_count = IMPORTS,
                   .place_count = PLACES,
                   .own = {.absolute32 = 1, .absolute64 = 2}},
        .imports = {{.name = 1, .places = {.relative32 = 1, .absolute32 = 1}},
                    {.name = 4, .places = {.absolute64 = 1}}},
        .places = {8, POINTERS_AT, RODATA_AT, 16, 24, POINTERS_AT + 8},
        .data = {.pointers = {0x30, 7, 8, 9}},
        .rodata = {.constant = 5,
                   .symbols = {{POINTERS_AT, 7}, {0, 12}},
                   .names = "\0in\0io\0data\0fun"},
    };

    t.data.manifest = manifest_good();
    number32_set(&t, 8, POINTERS_AT);
    number32_set(&t, 16, -4 - 16);
    number32_set(&t, 24, 2);
    return t;
}

static uint64_t image_number(const uint8_t *image, size_t at, size_t width)
{
    uint64_t value = 0;

    memcpy(&value, image + at, width);
    return value;
}

static void test_links(void **state)
{
    struct tiny t = tiny_good();
    uint8_t *image;

    (void)state;
    assert_int_equal(kmodfile_pretend_load((uint8_t *)&t, sizeof(t), &image), KMODFILE_OK);
    assert_int_equal(image_number(image, 8, 4), (uint32_t)(BASE + POINTERS_AT));
    assert_int_equal(image_number(image, POINTERS_AT, 8), BASE + 0x30);
    assert_int_equal(image_number(image, RODATA_AT, 8), BASE + 5);
    /* A call: what the processor adds to the address behind the four bytes. */
    assert_int_equal((int32_t)image_number(image, 16, 4), (int32_t)(IMPORT - (BASE + 16 + 4)));
    assert_int_equal(image_number(image, 24, 4), (uint32_t)(IMPORT + 2));
    assert_int_equal(image_number(image, POINTERS_AT + 8, 8), IMPORT + 7);
    /* What no place names stays; behind the content there are zeroes, to the page's end. */
    assert_int_equal(image_number(image, POINTERS_AT + 16, 8), 8);
    assert_int_equal(image_number(image, TEXT_SIZE, 8), 0);
    assert_int_equal(image_number(image, RODATA_AT - 8, 8), 0);
    assert_string_equal((char *)image + NAMES_AT + 7, "data");
    free(image);
}

#define DAMAGE(name, change)                                                                       \
    static void damage_##name(struct tiny *t)                                                      \
    {                                                                                              \
        change;                                                                                    \
    }
DAMAGE(magic, t->header.magic++)
DAMAGE(elf, memcpy(t, "\177ELF", 4))
DAMAGE(version, t->header.version++)
DAMAGE(text_large, t->header.text_size = UINT32_MAX)
DAMAGE(zero_large, t->header.zero_size = UINT32_MAX)
DAMAGE(zero_limit, t->header.zero_size = KMODFILE_MEMORY_MAX)
DAMAGE(data_long, t->header.data_size += 8)
DAMAGE(rodata_long, t->header.rodata_size++)
DAMAGE(rodata_short, t->header.rodata_size--)
DAMAGE(imports_many, t->header.import_count = UINT32_MAX)
DAMAGE(places_many, t->header.place_count = UINT32_MAX)
DAMAGE(names_low, t->header.names = RODATA_AT - 1)
DAMAGE(names_zero, t->header.names = 0)
DAMAGE(names_high, t->header.names = NAMES_AT + sizeof(t->rodata.names))
DAMAGE(names_end, t->rodata.names[sizeof(t->rodata.names) - 1] = 'x')
DAMAGE(symbols_many, t->header.symbol_count = 4)
DAMAGE(symbols_all, t->header.symbol_count = UINT32_MAX)
DAMAGE(exports_many, t->header.export_count = SYMBOLS + 1)
DAMAGE(symbol_far, t->rodata.symbols[1].offset = 4 * 4096 + 1)
DAMAGE(symbol_name, t->rodata.symbols[1].name = sizeof(t->rodata.names))
DAMAGE(import_name, t->imports[1].name = sizeof(t->rodata.names))
DAMAGE(import_places, t->imports[1].places.relative32++)
DAMAGE(import_places_all, t->imports[1].places.absolute64 = UINT32_MAX)
DAMAGE(own_places, t->header.own.relative32++)
DAMAGE(own_missing, t->header.own.absolute32--)
DAMAGE(manifest_text, t->header.manifest = 0)
DAMAGE(manifest_zeroes, t->header.manifest = DATA_AT + sizeof(t->data))
DAMAGE(manifest_end, t->header.manifest += sizeof(t->data.pointers) + 8)
DAMAGE(manifest_odd, t->header.manifest += 4)
DAMAGE(manifest_far, t->header.manifest = UINT32_MAX - 7)
DAMAGE(manifest_magic, t->data.manifest.magic++)
DAMAGE(place_far32, t->places[0] = UINT32_MAX)
DAMAGE(place_far64, t->places[1] = UINT32_MAX)
DAMAGE(place_symbols, t->places[5] = RODATA_AT + 1)
DAMAGE(place_symbols32, t->places[3] = RODATA_AT + 5)
DAMAGE(place_names, t->places[0] = NAMES_AT)
DAMAGE(own_range, number32_set(t, 8, INT32_MIN))
DAMAGE(import_range, number32_set(t, 16, INT32_MIN))
DAMAGE(nothing, (void)t)
DAMAGE(place_edge, t->places[5] = RODATA_AT)
DAMAGE(place_edge32, t->places[3] = RODATA_AT + 4)

static void test_damages(void **state)
{
    static const struct {
        void (*damage)(struct tiny *t);
        int result;
    } cases[] = {
        {damage_nothing, KMODFILE_OK},
        {damage_place_edge, KMODFILE_OK},
        {damage_place_edge32, KMODFILE_OK},
        {damage_magic, KMODFILE_NOT_A_MODULE},
        {damage_elf, KMODFILE_NOT_A_MODULE},
        {damage_version, KMODFILE_OTHER_VERSION},
        {damage_text_large, KMODFILE_TOO_LARGE},
        {damage_zero_large, KMODFILE_TOO_LARGE},
        {damage_zero_limit, KMODFILE_TOO_LARGE},
        {damage_data_long, KMODFILE_SIZE},
        {damage_rodata_long, KMODFILE_SIZE},
        {damage_rodata_short, KMODFILE_SIZE},
        {damage_imports_many, KMODFILE_SIZE},
        {damage_places_many, KMODFILE_SIZE},
        {damage_names_low, KMODFILE_SYMBOLS},
        {damage_names_zero, KMODFILE_SYMBOLS},
        {damage_names_high, KMODFILE_SYMBOLS},
        {damage_names_end, KMODFILE_SYMBOLS},
        {damage_symbols_many, KMODFILE_SYMBOLS},
        {damage_symbols_all, KMODFILE_SYMBOLS},
        {damage_exports_many, KMODFILE_SYMBOLS},
        {damage_symbol_far, KMODFILE_SYMBOLS},
        {damage_symbol_name, KMODFILE_SYMBOLS},
        {damage_import_name, KMODFILE_IMPORTS},
        {damage_import_places, KMODFILE_IMPORTS},
        {damage_import_places_all, KMODFILE_IMPORTS},
        {damage_own_places, KMODFILE_IMPORTS},
        {damage_own_missing, KMODFILE_IMPORTS},
        {damage_manifest_text, KMODFILE_NO_MANIFEST},
        {damage_manifest_zeroes, KMODFILE_NO_MANIFEST},
        {damage_manifest_end, KMODFILE_NO_MANIFEST},
        {damage_manifest_odd, KMODFILE_NO_MANIFEST},
        {damage_manifest_far, KMODFILE_NO_MANIFEST},
        {damage_manifest_magic, KMODFILE_MANIFEST_MAGIC},
        {damage_place_far32, KMODFILE_PLACE},
        {damage_place_far64, KMODFILE_PLACE},
        {damage_place_symbols, KMODFILE_PLACE},
        {damage_place_symbols32, KMODFILE_PLACE},
        {damage_place_names, KMODFILE_PLACE},
        {damage_own_range, KMODFILE_OVERFLOW},
        {damage_import_range, KMODFILE_OVERFLOW},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tiny *t = malloc(sizeof(*t)); /* the sanitizer sees a read behind it */

        *t = tiny_good();
        cases[i].damage(t);
        int result = kmodfile_pretend_load((uint8_t *)t, sizeof(*t), NULL);
        if (result != cases[i].result)
            fail_msg("case %zu: %s", i, kmodfile_result_text(result));
        free(t);
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
    MANIFEST_CASE(name, "a\xe1", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(name, "09_az", KMODFILE_OK);
    MANIFEST_CASE(name, CHARS_31, KMODFILE_OK);
    MANIFEST_CASE(name, CHARS_31 "2", KMODFILE_MANIFEST_NAME);
    MANIFEST_CASE(version, "", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(version, "1 2", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(version, "1.0-A_z+9", KMODFILE_OK);
    MANIFEST_CASE(version, "1\xae", KMODFILE_MANIFEST_VERSION);
    MANIFEST_CASE(version, "1@", KMODFILE_MANIFEST_VERSION);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modules_of_the_build),
        cmocka_unit_test(test_decoded_parts),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_unaligned),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_needs_walk),
    };

    return cmocka_run_group_tests_name("kmodfile", tests, NULL, NULL);
}
