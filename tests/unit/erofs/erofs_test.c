/*
 * erofs_test.c: lib/erofs on images of mkfs.erofs: what it reads is what the folder has that the
 * image was made of.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/erofs/sample.h"
#include "tests/unit/erofs/sample_tests.h"

static void test_checksum(void **state)
{
    (void)state;
    assert_int_equal(erofs_crc32c(~0u, "123456789", 9), ~0xe3069283u);
    assert_int_equal(erofs_crc32c(~0u, "", 0), ~0u);
}

static void compare_content(const struct erofs *fs, const struct erofs_inode *inode,
                            const char *path)
{
    uint8_t *want = malloc(inode->size + 1), *have = malloc(inode->size + 1);
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, want, inode->size + 1), inode->size);
    close(fd);
    assert_int_equal(erofs_read(fs, inode, 0, have, inode->size), EROFS_OK);
    assert_memory_equal(have, want, inode->size);
    for (uint64_t at = 1; at < inode->size; at = at * 3 + 1) {
        size_t n = inode->size - at < 5000 ? (size_t)(inode->size - at) : 5000;

        memset(have, 0xee, n);
        assert_int_equal(erofs_read(fs, inode, at, have, n), EROFS_OK);
        assert_memory_equal(have, want + at, n);
    }
    assert_int_equal(erofs_read(fs, inode, inode->size, have, 1), EROFS_CORRUPT);
    free(want);
    free(have);
}

static void compare_link(const struct erofs *fs, const struct erofs_inode *inode, const char *path)
{
    char want[256], have[256];
    ssize_t n = readlink(path, want, sizeof(want));

    assert_int_equal(n, inode->size);
    assert_int_equal(erofs_read(fs, inode, 0, have, inode->size), EROFS_OK);
    assert_memory_equal(have, want, (size_t)n);
}

static void compare_facts(const struct erofs_inode *inode, const struct stat *s)
{
    assert_int_equal(inode->mode, s->st_mode);
    assert_int_equal(inode->owner, s->st_uid);
    assert_int_equal(inode->group, s->st_gid);
    assert_int_equal(inode->time, s->st_mtim.tv_sec);
    assert_int_equal(inode->time_ns, s->st_mtim.tv_nsec);
    assert_int_equal(inode->links, s->st_nlink);
    if (S_ISREG(s->st_mode) || S_ISLNK(s->st_mode))
        assert_int_equal(inode->size, s->st_size);
}

static void compare_folder(const struct erofs *fs, const struct erofs_inode *folder,
                           const char *path);

static void compare_entry(const struct erofs *fs, const struct erofs_inode *folder,
                          const char *path, const struct erofs_entry *entry)
{
    struct erofs_inode inode;
    uint64_t number = 0;
    struct stat s;
    char child[1024];

    snprintf(child, sizeof(child), "%s/%s", path, entry->name);
    assert_int_equal(lstat(child, &s), 0);
    assert_int_equal(entry->type, IFTODT(s.st_mode));
    assert_int_equal(erofs_lookup(fs, folder, entry->name, &number), EROFS_OK);
    assert_int_equal(number, entry->number);
    assert_int_equal(erofs_inode_read(fs, number, &inode), EROFS_OK);
    if (strcmp(entry->name, "..") == 0)
        return;
    compare_facts(&inode, &s);
    if (S_ISREG(s.st_mode))
        compare_content(fs, &inode, child);
    else if (S_ISLNK(s.st_mode))
        compare_link(fs, &inode, child);
    else if (S_ISDIR(s.st_mode) && strcmp(entry->name, ".") != 0)
        compare_folder(fs, &inode, child);
}

static void compare_folder(const struct erofs *fs, const struct erofs_inode *folder,
                           const char *path)
{
    unsigned have = 0, want = 0;
    uint64_t position = 0, number;
    struct erofs_entry entry;
    DIR *host = opendir(path);

    assert_non_null(host);
    while (readdir(host))
        want++;
    closedir(host);
    while (erofs_list(fs, folder, &position, &entry) == EROFS_OK) {
        compare_entry(fs, folder, path, &entry);
        have++;
    }
    assert_int_equal(erofs_list(fs, folder, &position, &entry), EROFS_NOT_FOUND);
    assert_int_equal(have, want);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const none[] = {"", "lar", "zzzz"};

        assert_int_equal(erofs_lookup(fs, folder, none[i], &number), EROFS_NOT_FOUND);
    }
}

static void compare_tree(const char *options)
{
    const char *why = "";
    struct erofs_inode root;
    struct sample image;
    struct erofs fs;

    sample_make(options, &image);
    if (erofs_open(&fs, &image.source, &why) != EROFS_OK)
        fail_msg("%s", why);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &root), EROFS_OK);
    compare_folder(&fs, &root, sample_tree());
    sample_free(&image);
}

static void test_plain(void **state)
{
    (void)state;
    compare_tree("");
}

static void test_chunks(void **state)
{
    (void)state;
    compare_tree("--chunksize=4096");
    compare_tree("--chunksize=65536");
}

static void test_without_inline_data(void **state)
{
    (void)state;
    compare_tree("-Enoinline_data");
}

static void test_extended_inodes(void **state)
{
    (void)state;
    compare_tree("-Eforce-inode-extended");
}

/* A compact inode has the time of the image. */
static void test_compact_inodes(void **state)
{
    const char *why;
    struct erofs_inode inode;
    struct sample image;
    uint64_t number;
    struct erofs fs;

    (void)state;
    sample_make("-T12345 -Eforce-inode-compact --all-root", &image);
    assert_int_equal(erofs_open(&fs, &image.source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &inode), EROFS_OK);
    assert_int_equal(erofs_lookup(&fs, &inode, "large", &number), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, number, &inode), EROFS_OK);
    assert_int_equal(inode.time, 12345);
    assert_int_equal(inode.links, 2);
    assert_int_equal(inode.size, SAMPLE_LARGE);
    sample_free(&image);
}

/* The hole of the sparse file takes no place in an image of chunks. */
static void test_hole(void **state)
{
    const char *why;
    struct erofs_extent extent;
    struct erofs_inode inode;
    struct sample image;
    uint64_t number;
    struct erofs fs;

    (void)state;
    sample_make("--chunksize=4096", &image);
    assert_int_equal(erofs_open(&fs, &image.source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &inode), EROFS_OK);
    assert_int_equal(erofs_lookup(&fs, &inode, "sparse", &number), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, number, &inode), EROFS_OK);
    assert_int_equal(inode.layout, EROFS_CHUNKS);
    assert_int_equal(erofs_extent_at(&fs, &inode, 0, &extent), EROFS_OK);
    assert_false(extent.hole);
    assert_int_equal(erofs_extent_at(&fs, &inode, 199999, &extent), EROFS_OK);
    assert_int_equal(extent.length, 1);
    assert_int_equal(erofs_extent_at(&fs, &inode, 200000, &extent), EROFS_CORRUPT);
    sample_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_without_inline_data),
        cmocka_unit_test(test_extended_inodes),
        cmocka_unit_test(test_compact_inodes),
        cmocka_unit_test(test_hole),
    };
    int failed = cmocka_run_group_tests_name("erofs", tests, NULL, NULL);

    failed += damage_tests();
    sample_end();
    return failed;
}
