/*
 * errors_test.c: modules that must not load, each with one clear line, and nothing left of them.
 */
#include "stand_ins.h"

#include "lib/kmodfile/kmodfile.h"

/* Loads base's file after `damage` changed its manifest. */
static int load_damaged(void (*damage)(struct kmod_manifest *manifest))
{
    struct kmod_manifest manifest;
    struct kmodfile file;
    size_t size;
    uint8_t *data = fixture_read("base", &size);
    int result;

    assert_non_null(data);
    assert_int_equal(kmodfile_decode(data, size, &file), KMODFILE_OK);
    const struct kmodfile_part *part = &file.areas[KMODFILE_DATA];
    uint8_t *at = data + (part->bytes - data) + (file.header->manifest - part->offset);
    memcpy(&manifest, at, sizeof(manifest));
    damage(&manifest);
    memcpy(at, &manifest, sizeof(manifest));
    archive_add("lib/modules/base.kmod", data, size);
    result = module_load("base");
    archive_reset();
    free(data);
    return result;
}

static void damage_abi(struct kmod_manifest *manifest)
{
    manifest->abi_version = 2;
}

static void damage_name(struct kmod_manifest *manifest)
{
    strcpy(manifest->name, "other");
}

static void damage_size(struct kmod_manifest *manifest)
{
    manifest->struct_size = 200;
}

static void damage_needs(struct kmod_manifest *manifest)
{
    memset(manifest->needs, 'x', sizeof(manifest->needs));
}

static void test_manifests(void **state)
{
    (void)state;
    assert_int_equal(load_damaged(damage_abi), ERR_BAD_FORMAT);
    assert_true(logged("module base: built for ABI 2, this kernel has 1: rebuild it"));
    assert_int_equal(load_damaged(damage_name), ERR_BAD_FORMAT);
    assert_true(logged("module base: its manifest calls it other: file and manifest must agree"));
    assert_int_equal(load_damaged(damage_size), ERR_BAD_FORMAT);
    assert_true(logged("module base: it has a manifest of another size: rebuild it"));
    assert_int_equal(load_damaged(damage_needs), ERR_BAD_FORMAT);
    assert_true(logged("module base: it has manifest needs that are not names"));
    assert_int_equal(log_count(), 4);
}

static void test_not_a_module(void **state)
{
    (void)state;
    assert_int_equal(module_load_bytes("#!/bin/sh\n", 10), ERR_BAD_FORMAT);
    assert_true(logged("module (given as bytes): it is not a module file"));
    assert_int_equal(module_load_bytes(NULL, 0), ERR_BAD_FORMAT);
}

/* What the decoder does not see, the linker does: nothing stays behind. */
static void test_bad_places(void **state)
{
    struct kmodfile_header header;
    uint32_t far = UINT32_MAX;
    size_t size;
    uint8_t *data = fixture_read("base", &size);

    (void)state;
    assert_non_null(data);
    memcpy(&header, data, sizeof(header));
    assert_true(header.place_count > 0);
    memcpy(data + sizeof(header) + header.import_count * sizeof(struct kmodfile_import), &far, 4);
    archive_add("lib/modules/base.kmod", data, size);
    assert_int_equal(module_load("base"), ERR_BAD_FORMAT);
    assert_true(logged("module base: it has a place for an address that lies outside the module"));
    archive_reset();
    free(data);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(module_load(""), ERR_INVALID);
    assert_int_equal(module_load("../etc/passwd"), ERR_INVALID);
    assert_int_equal(module_load("a_name_that_is_longer_than_32_characters"), ERR_INVALID);
    assert_int_equal(log_count(), 3);
    assert_int_equal(module_load("no_such"), ERR_NOT_FOUND);
    assert_true(logged("module no_such: lib/modules/no_such.kmod is not in the boot archive"));
    assert_int_equal(module_unload("no_such"), ERR_NOT_FOUND);
    assert_true(logged("module no_such: it is not loaded"));
}

/* All reasons of the last load, the innermost first; no more than fit; none when it went well. */
static void test_complaints(void **state)
{
    static const char wanted[] = "module circle_a: it needs itself, by way of circle_b: the needs go in a circle\n"
                                 "module circle_b: cannot load circle_a, which it needs: invalid argument\n"
                                 "module circle_a: cannot load circle_b, which it needs: invalid argument\n";
    char text[1024], little[8] = "";

    (void)state;
    assert_int_equal(module_load("circle_a"), ERR_INVALID);
    assert_int_equal(module_complaints(text, sizeof(text)), sizeof(wanted) - 1);
    assert_memory_equal(text, wanted, sizeof(wanted) - 1);
    assert_int_equal(module_complaints(little, 4), sizeof(wanted) - 1);
    assert_string_equal(little, "modu");
    assert_int_equal(module_load("base"), OK);
    assert_int_equal(module_complaints(text, sizeof(text)), 0);
    assert_int_equal(module_unload("base"), OK);
    for (unsigned i = 0; i < 100; i++)
        module_load("a_name_that_is_longer_than_32_characters");
    assert_in_range(module_complaints(text, sizeof(text)), 1, 200);
}

static void test_circle(void **state)
{
    (void)state;
    assert_int_equal(module_load("circle_a"), ERR_INVALID);
    assert_true(logged("module circle_a: it needs itself, by way of circle_b"));
    assert_true(logged("module circle_a: cannot load circle_b, which it needs"));
    assert_null(module_find("circle_a"));
    assert_null(module_find("circle_b"));
    assert_int_equal(module_unload("base"), OK);
}

static void test_missing_symbols(void **state)
{
    (void)state;
    assert_int_equal(module_load("missing"), ERR_NOT_FOUND);
    assert_true(logged("module missing: neither the kernel nor a module it needs exports "
                       "nobody_has_this"));
    assert_true(logged("nor_this"));

    assert_int_equal(module_load("base"), OK);
    assert_int_equal(module_load("undeclared"), ERR_NOT_FOUND);
    assert_true(logged("module undeclared: neither the kernel nor a module it needs exports "
                       "base_value"));
    assert_int_equal(module_unload("base"), OK);
}

static void test_failing_init(void **state)
{
    (void)state;
    assert_int_equal(module_load("failing"), ERR_LOST);
    assert_true(noted("base init"));
    assert_true(noted("failing init"));
    assert_false(noted("failing exit"));
    assert_true(logged("module failing: its init failed: connection lost"));
    assert_null(module_find("failing"));
    assert_int_equal(module_unload("base"), OK);
}

/* The last test: the module stays. */
static void test_permanent(void **state)
{
    (void)state;
    assert_int_equal(module_load("permanent"), OK);
    assert_int_equal(module_unload("permanent"), ERR_UNSUPPORTED);
    assert_true(logged("module permanent: it cannot be unloaded: it has no exit function"));
    assert_non_null(module_find("permanent"));
}

int errors_run(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_manifests),
        CASE(test_not_a_module),
        CASE(test_bad_places),
        CASE(test_names),
        CASE(test_circle),
        CASE(test_complaints),
        CASE(test_missing_symbols),
        CASE(test_failing_init),
        cmocka_unit_test_setup(test_permanent, reset),
    };

    return cmocka_run_group_tests_name("module errors", tests, NULL, NULL);
}
