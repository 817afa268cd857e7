/*
 * fill_test.c: requests: what is read, once, and right.
 */
#include <microlake/memory.h>

#include "rig.h"

static struct rig rig;

static void ahead(uint64_t first, uint64_t count)
{
    const struct fill_order order = {.first = first, .count = count};

    fill_start(&rig.file, &order, false);
}

static void wanted_and_ahead(void **state)
{
    const struct fill_order order = {.first = 10, .count = 20, .wanted = 4};

    (void)state;
    rig_start(&rig, 100);
    fill_start(&rig.file, &order, true);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(rig_there(&rig, i), i >= 10 && i < 30);
    assert_int_equal(rig_threads, 0);
    rig_read(&rig, 10, 20);
    assert_int_equal(rig.reads, 4); /* of 20 pages, 5 at once */
    rig_end(&rig);
}

/* What queues is done by whoever wants it; nothing is read twice. */
static void queued_is_taken(void **state)
{
    (void)state;
    rig_start(&rig, 200);
    ahead(0, 100);
    assert_int_equal(fill_count(), 4);
    assert_true(rig_threads > 0);
    ahead(0, 100);
    assert_int_equal(fill_count(), 4);
    rig_read(&rig, 40, 1);
    assert_int_equal(fill_count(), 3);
    assert_true(rig_there(&rig, 33) && rig_there(&rig, 63) && !rig_there(&rig, 64));
    rig_read(&rig, 0, 100);
    assert_int_equal(fill_count(), 0);
    assert_int_equal(rig.reads, 3 * 7 + 1);
    rig_end(&rig);
}

static void holes_only(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    rig_read(&rig, 5, 1);
    rig_read(&rig, 7, 1);
    rig.reads = 0;
    rig_read(&rig, 4, 6);
    assert_int_equal(rig.reads, 3); /* 4, 6, and 8 with 9 */
    rig_end(&rig);
}

/* A page that can't be read fails who wants it, and nobody else. */
static void bad_page(void **state)
{
    const struct fill_order order = {.first = 0, .count = 32, .wanted = 32};

    (void)state;
    rig_start(&rig, 100);
    rig.bad_page = 7;
    fill_start(&rig.file, &order, true);
    for (uint64_t i = 0; i < 32; i++)
        assert_int_equal(fill_page(&rig.file, i), i == 7 ? ERR_IO : OK);
    rig.bad_page = UINT64_MAX;
    assert_int_equal(fill_page(&rig.file, 7), OK);
    rig_end(&rig);
}

/* Bytes that were on their way while the content changed are not kept; who wants the page gets new ones. */
static void old_content(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    ahead(0, 32);
    rig.changes = true;
    {
        const struct fill_order order = {.first = 40, .count = 8, .wanted = 8};

        fill_start(&rig.file, &order, true);
    }
    for (uint64_t i = 0; i < 100; i++)
        assert_false(rig_there(&rig, i));
    rig.changes = false;
    rig_read(&rig, 0, 48);
    rig_end(&rig);
}

static void file_ends(void **state)
{
    const uint8_t *bytes;

    (void)state;
    rig_start(&rig, 10);
    rig.bytes = 5 * PAGE_SIZE + 100; /* the server has less than it said */
    assert_int_equal(fill_page(&rig.file, 5), OK);
    bytes = phys_to_virt(rig.object.frames[5]);
    assert_int_equal(bytes[99], 5);
    assert_int_equal(bytes[100], 0);
    assert_int_equal(bytes[PAGE_SIZE - 1], 0);
    rig_read(&rig, 0, 5);
    assert_int_equal(fill_page(&rig.file, 9), OK);
    assert_int_equal(((const uint8_t *)phys_to_virt(rig.object.frames[9]))[0], 0);
    assert_int_equal(fill_page(&rig.file, 10), ERR_RANGE);
    rig_end(&rig);
}

/* Cut while it is read ahead. */
static void cut(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    ahead(0, 96);
    rig.object.size = 20;
    fill_changed(&rig.file);
    rig_read(&rig, 0, 20);
    assert_int_equal(fill_page(&rig.file, 50), ERR_RANGE);
    assert_int_equal(fill_page(&rig.file, 70), ERR_RANGE);
    for (uint64_t i = 20; i < 100; i++)
        assert_false(rig_there(&rig, i));
    rig_end(&rig);
}

static void no_flood(void **state)
{
    (void)state;
    rig_start(&rig, RIG_PAGES);
    for (uint64_t i = 0; i < RIG_PAGES; i += 2)
        ahead(i, 1);
    assert_in_range(fill_count(), 50, 100);
    rig_read(&rig, RIG_PAGES - 600, 600); /* what is wanted is read all the same */
    for (uint64_t i = 0; i < RIG_PAGES; i++)
        assert_int_equal(fill_page(&rig.file, i), OK);
    rig_end(&rig);
}

const struct CMUnitTest fill_tests[] = {
    cmocka_unit_test(wanted_and_ahead), cmocka_unit_test(queued_is_taken), cmocka_unit_test(holes_only),
    cmocka_unit_test(bad_page),         cmocka_unit_test(old_content),     cmocka_unit_test(file_ends),
    cmocka_unit_test(cut),              cmocka_unit_test(no_flood),
};
const size_t fill_test_count = sizeof(fill_tests) / sizeof(fill_tests[0]);
