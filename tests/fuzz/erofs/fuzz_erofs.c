/*
 * fuzz_erofs.c: damaged images for lib/erofs: fuzz_erofs [SEED [ITERATIONS]]. The samples are
 * images of mkfs.erofs; changes go to their metadata, and the superblock is sealed again. Whatever
 * the image says, a walk through all of it ends, and reads nothing outside it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/erofs/sample.h"

#define DEPTH_MAX   6u
#define ENTRIES_MAX 3000u
#define READ_MAX    8192u

static struct fuzz_plan plan;
static unsigned entries_left;

static void file_use(const struct erofs *fs, const struct erofs_inode *inode)
{
    static const uint64_t places[] = {0, 1, 4095, 4096, 100000, 1ull << 40, INT64_MAX};
    static uint8_t bytes[READ_MAX];
    struct erofs_extent extent;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uint64_t at = places[i], left;

        if (erofs_extent_at(fs, inode, at, &extent) == EROFS_OK) {
            assert_true(extent.length > 0 && extent.length <= inode->size - at);
            assert_true(extent.hole ||
                        (extent.offset <= fs->size && extent.length <= fs->size - extent.offset));
        }
        left = at < inode->size ? inode->size - at : 1;
        erofs_read(fs, inode, at, bytes, left < READ_MAX ? (size_t)left : READ_MAX);
    }
}

static void folder_use(const struct erofs *fs, const struct erofs_inode *folder, unsigned depth)
{
    uint64_t position = 0, number;
    struct erofs_inode inode;
    struct erofs_entry entry;

    while (entries_left > 0 && erofs_list(fs, folder, &position, &entry) == EROFS_OK) {
        entries_left--;
        assert_true(entry.length > 0 && entry.length <= EROFS_NAME_MAX);
        assert_true(strlen(entry.name) == entry.length && !strchr(entry.name, '/'));
        erofs_lookup(fs, folder, entry.name, &number);
        if (erofs_inode_read(fs, entry.number, &inode) != EROFS_OK)
            continue;
        assert_true(inode.size <= INT64_MAX);
        file_use(fs, &inode);
        if (depth < DEPTH_MAX)
            folder_use(fs, &inode, depth + 1);
    }
    position = fuzz_next();
    erofs_list(fs, folder, &position, &entry);
}

static void image_use(struct sample *s)
{
    const char *why = NULL;
    struct erofs_inode root;
    struct erofs fs;

    if (erofs_open(&fs, &s->source, &why) != EROFS_OK) {
        assert_non_null(why);
        return;
    }
    assert_true(fs.size <= s->source.size);
    entries_left = ENTRIES_MAX;
    if (erofs_inode_read(&fs, fs.root, &root) == EROFS_OK)
        folder_use(&fs, &root, 0);
}

/* The places of inodes and of folders' blocks in a sample. */
struct targets {
    uint64_t offsets[ENTRIES_MAX];
    size_t count;
};

static void target_add(struct targets *t, uint64_t offset)
{
    if (t->count < ENTRIES_MAX)
        t->offsets[t->count++] = offset;
}

static void targets_find(const struct erofs *fs, const struct erofs_inode *folder,
                         struct targets *t)
{
    uint64_t position = 0;
    struct erofs_inode inode;
    struct erofs_entry entry;
    struct erofs_extent extent;

    for (uint64_t at = 0; erofs_extent_at(fs, folder, at, &extent) == EROFS_OK; at += 512)
        target_add(t, extent.offset);
    while (erofs_list(fs, folder, &position, &entry) == EROFS_OK) {
        assert_int_equal(erofs_inode_read(fs, entry.number, &inode), EROFS_OK);
        target_add(t, fs->inodes_offset + entry.number * 32);
        if (entry.type == 4 && entry.name[0] != '.')
            targets_find(fs, &inode, t);
    }
}

static void sample_targets(struct sample *s, struct targets *t)
{
    const char *why;
    struct erofs_inode root;
    struct erofs fs;

    t->count = 0;
    assert_int_equal(erofs_open(&fs, &s->source, &why), EROFS_OK);
    assert_int_equal(erofs_inode_read(&fs, fs.root, &root), EROFS_OK);
    targets_find(&fs, &root, t);
    assert_true(t->count > 500);
}

static void damage(struct sample *s, const struct sample *from, const struct targets *t)
{
    sample_copy(from->bytes, from->source.size, s);
    for (uint64_t n = 1 + fuzz_below(8); n > 0; n--) {
        uint64_t at = fuzz_below(4) == 0 ? EROFS_MAGIC_AT : t->offsets[fuzz_below(t->count)];
        size_t room = (size_t)(s->source.size - at);

        fuzz_mutate_once(s->bytes + at, room < 128 ? room : 128);
    }
    if (fuzz_below(8) == 0)
        s->source.size = fuzz_below(s->source.size + 1);
    else if (fuzz_below(16) != 0)
        sample_seal(s);
}

static void test_damaged_images(void **state)
{
    static const char *const options[] = {"", "--chunksize=4096", "-Enoinline_data"};
    static struct targets targets[3];
    struct sample images[3], s;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        sample_make(options[i], &images[i]);
        sample_targets(&images[i], &targets[i]);
    }
    for (uint64_t i = 0; i < plan.iterations; i++) {
        fuzz_seed(plan.seed, i);
        damage(&s, &images[i % 3], &targets[i % 3]);
        image_use(&s);
        sample_free(&s);
    }
    for (unsigned i = 0; i < 3; i++)
        sample_free(&images[i]);
    sample_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_images)};

    plan = fuzz_plan_read(argc, argv, 1200);
    return cmocka_run_group_tests_name("fuzz_erofs", tests, NULL, NULL);
}
