/*
 * module_test.c: loading, using and unloading modules.
 */
#include "stand_ins.h"

#include "kernel/module/symbols.h"

int reset(void **state)
{
    (void)state;
    archive_reset();
    records_reset();
    allocation_fails = 0;
    return 0;
}

int idle(void **state)
{
    (void)state;
    stand_ins_check_idle();
    return 0;
}

static void test_needs_come_first(void **state)
{
    struct module_info info;

    (void)state;
    assert_int_equal(module_load("user"), OK);
    assert_true(noted("base init"));
    assert_true(noted("user init"));
    assert_int_equal(module_info(0, &info), OK);
    assert_string_equal(info.name, "base");
    assert_string_equal(info.version, "1.2.3");
    assert_int_equal(info.refs, 1);
    assert_true(info.size >= 4 * PAGE_SIZE); /* code, constants, and two of data */
    assert_int_equal(module_info(1, &info), OK);
    assert_string_equal(info.name, "user");
    assert_int_equal(module_info(2, &info), ERR_NOT_FOUND);
    assert_int_equal(module_load("user"), OK); /* there already */
    assert_int_equal(log_count(), 0);

    assert_int_equal(module_unload("base"), ERR_BUSY);
    assert_true(logged("module base: it is in use: 1 modules need it, 0 references are held"));
    assert_int_equal(module_unload("user"), OK);
    assert_int_equal(module_unload("base"), OK);
    assert_true(noted("user exit"));
    assert_true(noted("base exit"));
}

static void test_references(void **state)
{
    struct module *m;

    (void)state;
    assert_int_equal(module_load("base"), OK);
    m = module_find("base");
    assert_non_null(m);
    assert_null(module_find("user"));
    assert_true(module_ref(m));
    assert_int_equal(module_unload("base"), ERR_BUSY);
    module_unref(m);
    assert_int_equal(module_unload("base"), OK);

    assert_int_equal(module_load("leaver"), OK);
    records_reset();
    assert_int_equal(module_unload("leaver"), OK);
    assert_true(noted("leaver exit"));
}

static void test_load_in_init(void **state)
{
    (void)state;
    assert_int_equal(module_load("nester"), OK);
    assert_true(noted("base init"));
    assert_true(noted("nester init"));
    assert_int_equal(module_unload("nester"), OK);
    assert_null(module_find("base"));
}

static void test_bytes(void **state)
{
    size_t size;
    uint8_t *data = fixture_read("base", &size);

    (void)state;
    assert_non_null(data);
    option_unsigned = "allow";
    assert_int_equal(module_load_bytes(data, size), OK);
    assert_int_equal(module_load_bytes(data, size), ERR_EXISTS);
    assert_true(logged("module base: it is loaded already"));
    memset(data, 0xff, size); /* they are not kept */
    free(data);
    assert_int_equal(module_load("user"), OK);
    assert_int_equal(module_unload("user"), OK);
    assert_int_equal(module_unload("base"), OK);
}

static void test_boot_list(void **state)
{
    static const char list[] = "base\n\nno_such\nuser+\n";
    bool late = false;

    (void)state;
    archive_add("etc/modules", list, sizeof(list) - 1);
    option_modules = "leaver,,permanent_not";
    assert_int_equal(module_load_boot(&late), ERR_NOT_FOUND);
    assert_true(late);
    assert_null(module_find("user"));
    assert_int_equal(module_load_late(), OK);
    assert_true(logged("module no_such: lib/modules/no_such.kmod is not in the boot archive"));
    assert_non_null(module_find("user"));
    assert_non_null(module_find("leaver"));
    assert_int_equal(module_unload("leaver"), OK);
    assert_int_equal(module_unload("user"), OK);
    assert_int_equal(module_unload("base"), OK);
}

static const char *text_of(uint64_t address)
{
    static char text[80];

    symbol_text(address, text, sizeof(text));
    return text;
}

static void test_symbols_of_nucleus(void **state)
{
    (void)state;
    assert_string_equal(text_of(0), "0x0");
    assert_string_equal(text_of(symbol_base - 1), "0xffffffff800fffff");
    assert_string_equal(text_of(symbol_base), "start+0x0");
    assert_string_equal(text_of(symbol_base + 0x3f), "start+0x3f");
    assert_string_equal(text_of(symbol_base + 0x40), "panic+0x0");
    assert_string_equal(text_of(symbol_base + 0x1005), "last+0x5");
    assert_string_equal(text_of(symbol_base + (1u << 30)), "0xffffffffc0100000");
}

/* Looks for a module's code page by page: its symbols are found, and only in it. */
static void test_symbols_of_module(void **state)
{
    bool seen_local = false, seen_exported = false;

    (void)state;
    assert_int_equal(module_load("base"), OK);
    for (uint64_t at = 0x1000; at < 1ull << 31; at += PAGE_SIZE) {
        if (module_of_address((void *)at) != module_find("base"))
            continue;
        for (uint64_t i = 0; i < PAGE_SIZE; i++) {
            assert_non_null(strstr(text_of(at + i), " of base"));
            seen_local |= strncmp(text_of(at + i), "base_exit+", 10) == 0;
            seen_exported |= strncmp(text_of(at + i), "base_value+", 11) == 0;
        }
        break;
    }
    assert_true(seen_local && seen_exported);
    assert_int_equal(module_unload("base"), OK);
}

static void test_many_cycles(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        records_reset();
        assert_int_equal(module_load("user"), OK);
        assert_int_equal(module_unload("user"), OK);
        assert_int_equal(module_unload("base"), OK);
    }
}

/* Whichever allocation fails: an error, one line at least, and nothing left but base. */
static void test_allocation_failures(void **state)
{
    unsigned n = 1;
    int result;

    (void)state;
    for (;; n++) {
        records_reset();
        allocation_fails = n;
        result = module_load("user");
        allocation_fails = 0;
        if (result == OK)
            break;
        assert_int_equal(result, ERR_NO_MEMORY);
        assert_true(log_count() >= 1);
        assert_null(module_find("user"));
        if (module_find("base"))
            assert_int_equal(module_unload("base"), OK);
        stand_ins_check_idle();
    }
    assert_true(n > 12);
    assert_int_equal(module_unload("user"), OK);
    assert_int_equal(module_unload("base"), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_needs_come_first),    CASE(test_references),
        CASE(test_load_in_init),        CASE(test_bytes),
        CASE(test_boot_list),           CASE(test_symbols_of_nucleus),
        CASE(test_symbols_of_module),   CASE(test_many_cycles),
        CASE(test_allocation_failures),
    };
    int failed = cmocka_run_group_tests_name("module", tests, NULL, NULL);

    return failed + signatures_run() + errors_run();
}
