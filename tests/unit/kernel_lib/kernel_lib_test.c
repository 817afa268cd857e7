/*
 * kernel_lib_test.c: formats against the build machine's, and names of results.
 */
#include "kernel_lib_test.h"

#include <microlake/log.h>

#include <limits.h>

int host_snprintf(char *out, size_t size, const char *format, ...) __asm__("snprintf");
int host_strcmp(const char *a, const char *b) __asm__("strcmp");

#define CHECK_AS_HOST(...)                                                                         \
    do {                                                                                           \
        char ours[256], theirs[256];                                                               \
        int a = snprintf(ours, sizeof(ours), __VA_ARGS__);                                         \
        int b = host_snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                \
        assert_string_equal(ours, theirs);                                                         \
        assert_int_equal(a, b);                                                                    \
    } while (0)

static void test_format_as_host(void **state)
{
    (void)state;
    CHECK_AS_HOST("plain");
    CHECK_AS_HOST("%d %i %u", -5, 0, 7u);
    CHECK_AS_HOST("%d %d", INT_MIN, INT_MAX);
    CHECK_AS_HOST("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
    CHECK_AS_HOST("%lld %llu %llx %llX", LLONG_MIN, ULLONG_MAX, 0xabcdefull, 0xabcdefull);
    CHECK_AS_HOST("%zu %x %X", (size_t)1 << 40, 0xbeefu, 0xBEEFu);
    CHECK_AS_HOST("[%5d] [%-5d] [%05d] [%05d]", 42, 42, 42, -42);
    CHECK_AS_HOST("[%8x] [%-8x] [%016lx]", 0xffu, 0xffu, 0xdeadul);
    CHECK_AS_HOST("[%s] [%10s] [%-10s] [%.2s] [%*s] [%.*s]", "abc", "abc", "abc", "abc", 6, "abc",
                  1, "abc");
    CHECK_AS_HOST("[%c] [%3c] [%-3c] 100%%", 'x', 'y', 'z');
    CHECK_AS_HOST("%p", (void *)0x1234);
    CHECK_AS_HOST("[%*d]", -6, 1);
}

static void test_format_cut(void **state)
{
    char out[8] = "#######";

    (void)state;
    assert_int_equal(snprintf(out, 4, "%s", "abcdef"), 6);
    assert_string_equal(out, "abc");
    assert_int_equal(out[4], '#');
    assert_int_equal(snprintf(out, 1, "%d", 5), 1);
    assert_string_equal(out, "");
    assert_int_equal(snprintf(NULL, 0, "%d", 12345), 5);
}

static void test_format_mistakes(void **state)
{
    /* By way of a pointer, so that the compiler does not check these formats. */
    int (*volatile format)(char *, size_t, const char *, ...) = snprintf;
    char out[16];

    (void)state;
    assert_int_equal(format(out, sizeof(out), "%q %"), 4);
    assert_string_equal(out, "%q %");
    format(out, sizeof(out), "%s", NULL);
    assert_string_equal(out, "(null)");
    assert_int_equal(format(out, sizeof(out), "%99999999999d", 1), 4096);
}

static void test_status_names(void **state)
{
    (void)state;
    assert_string_equal(status_name(OK), "ok");
    assert_string_equal(status_name(ERR_BUILD), "build failed");
    assert_string_equal(status_name(1), "unknown status");
    assert_string_equal(status_name(INT_MIN), "unknown status");
    for (int a = ERR_BUILD; a < OK; a++)
        for (int b = a + 1; b <= OK; b++)
            assert_int_not_equal(host_strcmp(status_name(a), status_name(b)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_as_host),  cmocka_unit_test(test_format_cut),
        cmocka_unit_test(test_format_mistakes), cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_strings_as_host), cmocka_unit_test(test_memmove_overlap),
        cmocka_unit_test(test_strlcpy),         cmocka_unit_test(test_random_seed),
        cmocka_unit_test(test_random_noise),    cmocka_unit_test(test_random_mix),
    };

    return cmocka_run_group_tests_name("kernel_lib", tests, NULL, NULL);
}
