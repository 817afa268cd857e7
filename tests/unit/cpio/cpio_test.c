/*
 * cpio_test.c: the archive reader on good, cut and damaged archives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cpio/cpio.h"

struct archive {
    char bytes[4096];
    size_t size;
};

static void pad(struct archive *a)
{
    while (a->size % 4)
        a->bytes[a->size++] = '\0';
}

static void add(struct archive *a, const char *path, uint32_t mode, const char *data)
{
    a->size += (size_t)sprintf(a->bytes + a->size,
                               "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1,
                               mode, 0, 0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(path) + 1, 0);
    memcpy(a->bytes + a->size, path, strlen(path) + 1);
    a->size += strlen(path) + 1;
    pad(a);
    memcpy(a->bytes + a->size, data, strlen(data));
    a->size += strlen(data);
    pad(a);
}

static void fill(struct archive *a)
{
    memset(a, 0, sizeof(*a));
    add(a, "bin", 040755, "");
    add(a, "./bin/init", 0100755, "first");
    add(a, "/etc/modules", 0100644, "sched_fair\n");
    add(a, "TRAILER!!!", 0, "");
}

/* Copies to memory of the exact size, so that the sanitizer sees a read past the end. */
static void *exact(const struct archive *a, size_t size)
{
    void *copy = malloc(size ? size : 1);

    memcpy(copy, a->bytes, size);
    return copy;
}

static void test_entries_in_order(void **state)
{
    struct archive a;
    struct cpio_entry e;
    size_t cursor = 0;

    (void)state;
    fill(&a);
    assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_OK);
    assert_string_equal(e.path, "bin");
    assert_int_equal(e.mode, 040755);
    assert_int_equal(e.size, 0);
    assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_OK);
    assert_string_equal(e.path, "bin/init");
    assert_int_equal(e.size, 5);
    assert_memory_equal(e.data, "first", 5);
    assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_OK);
    assert_string_equal(e.path, "etc/modules");
    assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_END);
    assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_END);
}

static void test_find_takes_the_last(void **state)
{
    struct archive a;
    struct cpio_entry e;

    (void)state;
    fill(&a);
    a.size += 64; /* zeroes between two archives */
    add(&a, "bin/init", 0100755, "second one");
    add(&a, "TRAILER!!!", 0, "");
    assert_int_equal(cpio_find(a.bytes, a.size, "/bin/init", &e), CPIO_OK);
    assert_int_equal(e.size, 10);
    assert_memory_equal(e.data, "second one", 10);
    assert_int_equal(cpio_find(a.bytes, a.size, "bin/ini", &e), CPIO_END);
    assert_int_equal(cpio_find(a.bytes, a.size, "TRAILER!!!", &e), CPIO_END);
}

static void test_empty(void **state)
{
    struct cpio_entry e;
    size_t cursor = 0;

    (void)state;
    assert_int_equal(cpio_next("", 0, &cursor, &e), CPIO_END);
    assert_int_equal(cpio_next("\0\0\0\0\0", 5, &cursor, &e), CPIO_END);
}

/* A walk ends, and every entry lies in the archive. Returns the number of entries, or -1. */
static int walk(const uint8_t *archive, size_t size)
{
    struct cpio_entry e;
    size_t cursor = 0;
    int count = 0, result;

    while ((result = cpio_next(archive, size, &cursor, &e)) == CPIO_OK) {
        assert_true(cursor <= size);
        assert_true(e.data >= archive && e.size <= size - (size_t)(e.data - archive));
        assert_true(strlen(e.path) < size);
        count++;
    }
    return result == CPIO_END ? count : -1;
}

static void test_truncations(void **state)
{
    struct archive a;

    (void)state;
    fill(&a);
    for (size_t size = 0; size < a.size; size++) {
        uint8_t *copy = exact(&a, size);
        int count = walk(copy, size);

        assert_true(count <= 3);
        free(copy);
    }
}

static void test_bit_flips(void **state)
{
    struct archive a;
    int damaged = 0;

    (void)state;
    fill(&a);
    for (size_t bit = 0; bit < a.size * 8; bit++) {
        uint8_t *copy = exact(&a, a.size);

        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        damaged += walk(copy, a.size) < 0;
        free(copy);
    }
    assert_true(damaged > 100);
}

static void set_field(struct archive *a, size_t at, int field, const char *digits)
{
    memcpy(a->bytes + at + 6 + (size_t)field * 8, digits, 8);
}

static void test_bad_fields(void **state)
{
    static const struct {
        int field;
        const char *digits;
    } cases[] = {
        {6, "ffffffff"},                   /* file size: past the end */
        {6, "7fffffff"},  {6, "00000x00"}, /* no number */
        {11, "ffffffff"},                  /* path size: past the end */
        {11, "00000000"},                  /* no room for a NUL */
        {11, "00000003"},                  /* no NUL at its end */
        {11, "00000008"},                  /* a NUL inside */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct archive a;
        struct cpio_entry e;
        size_t cursor = 0;

        fill(&a);
        set_field(&a, 0, cases[i].field, cases[i].digits);
        assert_int_equal(cpio_next(a.bytes, a.size, &cursor, &e), CPIO_CORRUPT);
        assert_int_equal(cursor, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_in_order),
        cmocka_unit_test(test_find_takes_the_last),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_bad_fields),
    };

    return cmocka_run_group_tests_name("cpio", tests, NULL, NULL);
}
