/*
 * damage_test.c: images that lib/erofs must refuse, each with what it says of it, and damage behind
 * the superblock.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/erofs/sample.h"
#include "tests/unit/erofs/sample_tests.h"

#define ROOT_OFFSET(fs) ((fs).inodes_offset + (fs).root * 32)

static void put32(struct sample *s, size_t at, uint32_t value)
{
    memcpy(s->bytes + EROFS_MAGIC_AT + at, &value, sizeof(value));
}

/* Opening this image gives that result, and a phrase that holds the word. */
static void refuses(struct sample *s, int result, const char *word)
{
    const char *why = NULL;
    struct erofs fs;

    assert_int_equal(erofs_open(&fs, &s->source, &why), result);
    assert_non_null(why);
    if (!strstr(why, word))
        fail_msg("it says \"%s\"", why);
    sample_free(s);
}

static void test_other_files(void **state)
{
    static uint8_t zeroes[8192];
    struct sample s;

    (void)state;
    sample_copy(zeroes, 0, &s);
    refuses(&s, EROFS_NOT_EROFS, "too short");
    sample_copy(zeroes, 1151, &s);
    refuses(&s, EROFS_NOT_EROFS, "too short");
    sample_copy(zeroes, sizeof(zeroes), &s);
    refuses(&s, EROFS_NOT_EROFS, "no EROFS image");
}

static void test_superblock(void **state)
{
    static const struct {
        uint32_t at, value;
        bool sealed;
        int result;
        const char *word;
    } cases[] = {
        {16, 77, false, EROFS_CORRUPT, "checksum"},
        {36, 0x00ffffff, true, EROFS_CORRUPT, "cut short"},
        {36, 0, true, EROFS_CORRUPT, "damaged"},
        {40, 0x7fffffff, true, EROFS_CORRUPT, "damaged"},
        {32, 1000000000, true, EROFS_CORRUPT, "damaged"},
        {12, 13, true, EROFS_UNSUPPORTED, "larger than 4096"},
        {12, 8, true, EROFS_CORRUPT, "damaged"},
        {12, 0x0000ff0c, true, EROFS_CORRUPT, "damaged"},
        {80, 1, true, EROFS_UNSUPPORTED, "compression"},
        {80, 8, true, EROFS_UNSUPPORTED, "devices"},
        {80, 16, true, EROFS_UNSUPPORTED, "ztailpacking"},
        {80, 32, true, EROFS_UNSUPPORTED, "fragments"},
        {80, 0x80000000, true, EROFS_UNSUPPORTED, "newer"},
        {88, 0x00010000, true, EROFS_UNSUPPORTED, "blocks of their own"},
    };
    struct sample image, s;

    (void)state;
    sample_make("", &image);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sample_copy(image.bytes, image.source.size, &s);
        put32(&s, cases[i].at, cases[i].value);
        if (cases[i].sealed)
            sample_seal(&s);
        refuses(&s, cases[i].result, cases[i].word);
    }
    sample_copy(image.bytes, image.source.size - 1, &s);
    refuses(&s, EROFS_CORRUPT, "cut short");
    sample_free(&image);
}

static void test_compressed(void **state)
{
    struct sample s;

    (void)state;
    sample_make("-zlz4", &s);
    refuses(&s, EROFS_UNSUPPORTED, "compression");
}

/* The image with one 16- or 32-bit number of the root's inode changed; the result of reading it. */
static int root_result(const struct sample *image, size_t at, uint32_t value, size_t width)
{
    const char *why;
    struct erofs_inode inode;
    struct sample s;
    struct erofs fs;
    int r;

    sample_copy(image->bytes, image->source.size, &s);
    assert_int_equal(erofs_open(&fs, &s.source, &why), EROFS_OK);
    memcpy(s.bytes + ROOT_OFFSET(fs) + at, &value, width);
    r = erofs_inode_read(&fs, fs.root, &inode);
    sample_free(&s);
    return r;
}

static void test_inodes(void **state)
{
    const char *why;
    struct erofs_inode inode;
    struct sample image;
    struct erofs fs;

    (void)state;
    sample_make("-Eforce-inode-extended", &image);
    assert_int_equal(erofs_open(&fs, &image.source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, UINT64_MAX, &inode), EROFS_CORRUPT);
    assert_int_equal(erofs_inode_read(&fs, UINT64_MAX / 32, &inode), EROFS_CORRUPT);
    assert_int_equal(erofs_inode_read(&fs, (fs.size - fs.inodes_offset) / 32, &inode),
                     EROFS_CORRUPT);
    assert_int_equal(root_result(&image, 0, 1 | 1 << 1, 2), EROFS_UNSUPPORTED);
    assert_int_equal(root_result(&image, 0, 1 | 5 << 1, 2), EROFS_UNSUPPORTED);
    assert_int_equal(root_result(&image, 12, 0x80000000, 4), EROFS_CORRUPT); /* a size < 0 */
    assert_int_equal(root_result(&image, 12, 0x7fffffff, 4), EROFS_CORRUPT); /* beyond the image */
    assert_int_equal(root_result(&image, 40, 1000000000, 4), EROFS_CORRUPT); /* nanoseconds */
    assert_int_equal(root_result(&image, 0, 1 | 0, 2), EROFS_CORRUPT); /* blocks at 2^32 - 1 */
    sample_free(&image);
}

/* Lists and looks up in the root folder after a change of its first block. */
static int folder_result(const struct sample *image, size_t at, uint16_t value)
{
    const char *why;
    struct erofs_inode root;
    struct erofs_entry entry;
    uint64_t position = 0, number;
    struct sample s;
    struct erofs fs;
    int r;

    sample_copy(image->bytes, image->source.size, &s);
    assert_int_equal(erofs_open(&fs, &s.source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &root), EROFS_OK);
    assert_int_equal(root.layout, EROFS_INLINE);
    assert_int_equal(root.tail_start, 0);
    memcpy(s.bytes + root.tail_offset + at, &value, sizeof(value));
    do
        r = erofs_list(&fs, &root, &position, &entry);
    while (r == EROFS_OK);
    erofs_lookup(&fs, &root, "large", &number);
    sample_free(&s);
    return r;
}

static void test_folders(void **state)
{
    struct sample image;

    (void)state;
    sample_make("-Eforce-inode-extended", &image);
    assert_int_equal(folder_result(&image, 10, 0), EROFS_NOT_FOUND); /* a type; nothing damaged */
    assert_int_equal(folder_result(&image, 8, 0), EROFS_CORRUPT);    /* no records */
    assert_int_equal(folder_result(&image, 8, 13), EROFS_CORRUPT);
    assert_int_equal(folder_result(&image, 8, 0xfff0), EROFS_CORRUPT);
    assert_int_equal(folder_result(&image, 20, 0), EROFS_CORRUPT);      /* a name among records */
    assert_int_equal(folder_result(&image, 20, 0xffff), EROFS_CORRUPT); /* behind the block */
    assert_int_equal(folder_result(&image, 32, 12), EROFS_CORRUPT);     /* backwards */
    sample_free(&image);
}

static bool read_nothing(struct erofs_source *source, uint64_t offset, void *to, size_t size)
{
    (void)source;
    (void)offset;
    (void)to;
    (void)size;
    return false;
}

static void test_source_that_fails(void **state)
{
    const char *why;
    struct erofs_inode inode;
    struct erofs_entry entry;
    uint64_t position = 0, number;
    struct sample s;
    struct erofs fs;

    (void)state;
    sample_make("", &s);
    assert_int_equal(erofs_open(&fs, &s.source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &inode), EROFS_OK);
    s.source.read = read_nothing;
    assert_int_equal(erofs_list(&fs, &inode, &position, &entry), EROFS_SOURCE_FAILED);
    assert_int_equal(erofs_lookup(&fs, &inode, "large", &number), EROFS_SOURCE_FAILED);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &inode), EROFS_SOURCE_FAILED);
    assert_int_equal(erofs_open(&fs, &s.source, &why), EROFS_SOURCE_FAILED);
    sample_free(&s);
}

int damage_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files), cmocka_unit_test(test_superblock),
        cmocka_unit_test(test_compressed),  cmocka_unit_test(test_inodes),
        cmocka_unit_test(test_folders),     cmocka_unit_test(test_source_that_fails),
    };

    return cmocka_run_group_tests_name("erofs_damage", tests, NULL, NULL);
}
