/*
 * string_test.c: the freestanding string functions against the build machine's.
 */
#include "kernel_lib_test.h"

#include <microlake/memory.h>

int host_memcmp(const void *a, const void *b, size_t n) __asm__("memcmp");
int host_strcmp(const char *a, const char *b) __asm__("strcmp");
int host_strncmp(const char *a, const char *b, size_t n) __asm__("strncmp");
void *host_memmove(void *d, const void *s, size_t n) __asm__("memmove");
char *host_strchr(const char *s, int c) __asm__("strchr");
char *host_strrchr(const char *s, int c) __asm__("strrchr");
size_t host_strlen(const char *s) __asm__("strlen");

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

void test_strings_as_host(void **state)
{
    static const char *const words[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "a\x80", "abca"};
    size_t count = sizeof(words) / sizeof(words[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strlen(words[i]), host_strlen(words[i]));
        for (const char *c = "abz"; *c; c++) {
            assert_ptr_equal(strchr(words[i], *c), host_strchr(words[i], *c));
            assert_ptr_equal(strrchr(words[i], *c), host_strrchr(words[i], *c));
        }
        assert_ptr_equal(strchr(words[i], 0), host_strchr(words[i], 0));
        assert_ptr_equal(strrchr(words[i], 0), host_strrchr(words[i], 0));
        for (size_t n = 0; n < 5; n++)
            assert_int_equal(strnlen(words[i], n), MIN(n, host_strlen(words[i])));
        for (size_t j = 0; j < count; j++) {
            const char *a = words[i], *b = words[j];
            size_t common = MIN(host_strlen(a), host_strlen(b)) + 1;

            assert_int_equal(sign(strcmp(a, b)), sign(host_strcmp(a, b)));
            assert_int_equal(sign(memcmp(a, b, common)), sign(host_memcmp(a, b, common)));
            for (size_t n = 0; n < 5; n++)
                assert_int_equal(sign(strncmp(a, b, n)), sign(host_strncmp(a, b, n)));
        }
    }
}

void test_memmove_overlap(void **state)
{
    enum { SIZE = 24 };

    (void)state;
    for (size_t from = 0; from < SIZE; from++) {
        for (size_t to = 0; to < SIZE; to++) {
            for (size_t n = 0; n <= SIZE - MAX(from, to); n++) {
                uint8_t ours[SIZE], theirs[SIZE];

                for (int i = 0; i < SIZE; i++)
                    ours[i] = theirs[i] = (uint8_t)i;
                assert_ptr_equal(memmove(ours + to, ours + from, n), ours + to);
                host_memmove(theirs + to, theirs + from, n);
                assert_int_equal(host_memcmp(ours, theirs, SIZE), 0);
            }
        }
    }
    uint8_t filled[4] = {1, 1, 1, 1};
    assert_ptr_equal(memset(filled + 1, 0x1ab, 2), filled + 1);
    assert_int_equal(host_memcmp(filled, "\x01\xab\xab\x01", 4), 0);
}

void test_strlcpy(void **state)
{
    char out[4] = "###";

    (void)state;
    assert_int_equal(strlcpy(out, "abcdef", sizeof(out)), 6);
    assert_string_equal(out, "abc");
    assert_int_equal(strlcpy(out, "x", sizeof(out)), 1);
    assert_string_equal(out, "x");
    assert_int_equal(strlcpy(out, "yz", 0), 2);
    assert_string_equal(out, "x");
}
