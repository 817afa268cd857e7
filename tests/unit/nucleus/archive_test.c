/*
 * archive_test.c: the index of the boot archive: later entries replace earlier ones, and damage
 * costs what lies behind it and nothing else. (What an entry may look like is cpio's test.)
 */
#include "stand_ins.h"

#include <microlake/boot.h>

#include "kernel/boot/archive.c"

struct archive {
    uint8_t bytes[8192];
    size_t size;
};

static size_t kmalloc_fails;

void *kmalloc(size_t size)
{
    return kmalloc_fails ? NULL : malloc(size);
}

static void archive_add(struct archive *a, const char *path, const char *data)
{
    a->size += (size_t)sprintf((char *)a->bytes + a->size,
                               "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1,
                               0100644, 0, 0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(path) + 1, 0);
    strcpy((char *)a->bytes + a->size, path);
    a->size = ALIGN_UP(a->size + strlen(path) + 1, 4);
    memcpy(a->bytes + a->size, data, strlen(data));
    a->size = ALIGN_UP(a->size + strlen(data), 4);
}

static struct archive *archive_sample(void)
{
    struct archive *a = calloc(1, sizeof(*a));

    archive_add(a, "etc/modules", "first");
    archive_add(a, "./bin/init", "program");
    archive_add(a, "empty", "");
    archive_add(a, "TRAILER!!!", "");
    a->size += 64; /* a second archive follows */
    archive_add(a, "etc/modules", "second");
    archive_add(a, "/more", "data");
    archive_add(a, "TRAILER!!!", "");
    return a;
}

/* The nucleus gets a copy of exactly that size; virtual addresses are the physical ones here. */
static uint8_t *archive_start(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, bytes, size);
    free(files);
    files = NULL;
    file_count = 0;
    direct_map = 0;
    log_forget();
    boot_info.archive = (paddr_t)copy;
    boot_info.archive_end = (paddr_t)copy + size;
    boot_archive_init();
    return copy;
}

static void archive_end(uint8_t *copy)
{
    free(copy);
    free(files);
    files = NULL;
    file_count = 0;
}

static void file_check(const char *path, const char *data)
{
    struct boot_file file;

    assert_int_equal(boot_file_find(path, &file), OK);
    assert_string_equal(file.path, path + (path[0] == '/'));
    assert_int_equal(file.size, strlen(data));
    assert_memory_equal(file.data, data, file.size);
    assert_int_equal(file.mode, 0100644);
}

static void test_files(void **state)
{
    struct archive *a = archive_sample();
    uint8_t *copy = archive_start(a->bytes, a->size);
    struct boot_file file;
    size_t cursor = 0, count = 0;

    (void)state;
    file_check("bin/init", "program");
    file_check("/bin/init", "program");
    file_check("empty", "");
    file_check("more", "data");
    file_check("etc/modules", "second"); /* the later one */
    assert_int_equal(boot_file_find("etc", &file), ERR_NOT_FOUND);
    assert_int_equal(boot_file_find("", &file), ERR_NOT_FOUND);
    assert_int_equal(boot_file_find("bin/init2", &file), ERR_NOT_FOUND);
    while (boot_file_next(&cursor, &file) == OK)
        count++;
    assert_int_equal(count, 5);
    assert_int_equal(boot_file_next(&cursor, &file), ERR_NOT_FOUND);
    cursor = SIZE_MAX;
    assert_int_equal(boot_file_next(&cursor, &file), ERR_NOT_FOUND);
    assert_false(logged("boot archive"));
    archive_end(copy);
    free(a);
}

/* Cut anywhere: what is before the cut is there, and somebody is told. */
static void test_cut(void **state)
{
    struct archive *a = archive_sample();
    size_t whole = 0;

    (void)state;
    for (size_t size = 1; size <= a->size; size++) {
        uint8_t *copy = archive_start(a->bytes, size);
        struct boot_file file;
        size_t cursor = 0, count = 0;

        while (boot_file_next(&cursor, &file) == OK) {
            assert_true(file.data + file.size <= copy + size);
            assert_true(strlen(file.path) > 0);
            count++;
        }
        assert_true(count >= whole); /* it never gets less */
        whole = count;
        archive_end(copy);
    }
    assert_int_equal(whole, 5);
    archive_end(archive_start(a->bytes, 200));
    assert_true(logged("damaged after 1 entries"));
    free(a);
}

static void test_none(void **state)
{
    static const uint8_t noise[] = "this is no archive at all", zeroes[600];
    struct boot_file file;

    (void)state;
    archive_end(archive_start(noise, 0));
    assert_true(logged("none given"));
    assert_int_equal(boot_file_find("a", &file), ERR_NOT_FOUND);
    archive_end(archive_start(noise, sizeof(noise)));
    assert_true(logged("damaged after 0 entries"));
    assert_int_equal(boot_file_find("a", &file), ERR_NOT_FOUND);
    archive_end(archive_start(zeroes, sizeof(zeroes)));
    assert_false(logged("damaged"));
    assert_int_equal(boot_file_find("a", &file), ERR_NOT_FOUND);
}

static void start_again(uint64_t a, uint64_t b)
{
    (void)a, (void)b;
    boot_archive_init();
}

static void test_no_memory(void **state)
{
    struct archive *a = archive_sample();

    (void)state;
    boot_info.archive = (paddr_t)a->bytes;
    boot_info.archive_end = boot_info.archive + a->size;
    kmalloc_fails = 1;
    assert_panics("no memory", start_again, 0, 0);
    kmalloc_fails = 0;
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("boot_archive", tests, NULL, NULL);
}
