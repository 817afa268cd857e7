/*
 * cache_test.c: which pages go first.
 */
#include <microlake/memory.h>

#include "rig.h"

static struct rig rig;
static unsigned wasted[8];

static void count_wasted(uint16_t by)
{
    wasted[by]++;
}

static void read_each(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        rig_read(&rig, first + i, 1);
}

static void oldest_goes_first(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    read_each(0, 10);
    assert_int_equal(cache_shrink(3), 3);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(rig_there(&rig, i), i >= 3);
    rig_end(&rig);
}

/* Pages that are used again outlive those used once; those given up go before them. */
static void use_decides(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    read_each(0, 30);
    for (uint64_t i = 0; i < 5; i++)
        cache_used(rig.object.frames[i], CACHE_NORMAL);
    for (uint64_t i = 20; i < 25; i++)
        cache_used(rig.object.frames[i], CACHE_SOON);
    assert_int_equal(cache_shrink(10), 10);
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(rig_there(&rig, i), i < 5 || (i >= 10 && i < 20) || i >= 25);
    rig_end(&rig);
}

/* What is in use stays, and those behind it go. */
static void stuck_pages_stay(void **state)
{
    (void)state;
    rig_start(&rig, 200);
    read_each(0, 100);
    for (uint64_t i = 0; i < 100; i += 2)
        rig.object.stuck[i] = true;
    assert_int_equal(cache_shrink(1000), 50);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(rig_there(&rig, i), i % 2 == 0);
    rig_end(&rig);
}

/* Where programs have nearly all, new pages find room: what is taken from programs goes as others do, down to
 * what they need. */
static void programs_give(void **state)
{
    unsigned there = 0;

    (void)state;
    rig_start(&rig, RIG_PAGES);
    rig_program = &rig;
    for (uint64_t i = 0; i < RIG_PAGES; i++) {
        rig_free = 64ul * PAGE_SIZE + (2000 - MIN(rig_frames, 2000u)) * PAGE_SIZE;
        rig_read(&rig, i, 1);
        rig.object.stuck[i] = true;
        assert_true(rig_frames <= 2000 + 64);
    }
    assert_true(rig_there(&rig, RIG_PAGES - 1));
    while (cache_relieve()) {
    }
    for (uint64_t i = 0; i < RIG_PAGES; i++)
        there += rig_there(&rig, i);
    assert_in_range(there, 1, RIG_FRAMES / 16);
    rig_free = RIG_FRAMES * PAGE_SIZE;
    rig_end(&rig);
}

/* However much is to be kept, new pages find room. */
static void not_all_is_kept(void **state)
{
    struct cache_size size;

    (void)state;
    rig_start(&rig, 1000);
    read_each(0, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        cache_used(rig.object.frames[i], CACHE_KEEP);
    cache_size(&size);
    assert_in_range(size.kept, 850, 900);
    assert_int_equal(size.now, 1000);
    rig_end(&rig);
}

static void file_larger_than_memory(void **state)
{
    (void)state;
    rig_start(&rig, RIG_PAGES);
    for (uint64_t i = 0; i < RIG_PAGES; i += 8) {
        struct cache_size size;

        rig_free = 64ul * PAGE_SIZE + (2000 - MIN(rig_frames, 2000u)) * PAGE_SIZE;
        rig_read(&rig, i, 8);
        cache_size(&size);
        assert_true(size.now <= 2000 + 64);
    }
    assert_true(rig_there(&rig, RIG_PAGES - 1));
    assert_false(rig_there(&rig, 0));
    rig_free = RIG_FRAMES * PAGE_SIZE;
    rig_end(&rig);
}

static void waste_is_told(void **state)
{
    const struct fill_order order = {.first = 0, .count = 8, .wanted = 2, .by = 3};

    (void)state;
    rig_start(&rig, 100);
    cache_wasted_set(count_wasted);
    wasted[3] = 0;
    fill_start(&rig.file, &order, true);
    assert_false(cache_used(rig.object.frames[0], CACHE_NORMAL)); /* it was wanted, not ahead */
    assert_true(cache_used(rig.object.frames[2], CACHE_NORMAL));
    assert_false(cache_used(rig.object.frames[2], CACHE_NORMAL));
    assert_int_equal(cache_shrink(100), 8);
    assert_int_equal(wasted[3], 5);
    cache_wasted_set(NULL);
    rig_end(&rig);
}

static void dropped_on_advice(void **state)
{
    (void)state;
    rig_start(&rig, 100);
    read_each(0, 50);
    rig.object.stuck[12] = true;
    cache_drop(&rig.file.cache, 10, 10);
    cache_drop(&rig.file.cache, 90, 1000); /* behind the end of it, too */
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(rig_there(&rig, i), i < 10 || i >= 20 || i == 12);
    rig_end(&rig);
}

const struct CMUnitTest cache_tests[] = {
    cmocka_unit_test(oldest_goes_first),   cmocka_unit_test(use_decides),
    cmocka_unit_test(stuck_pages_stay),    cmocka_unit_test(not_all_is_kept),
    cmocka_unit_test(file_larger_than_memory), cmocka_unit_test(waste_is_told),
    cmocka_unit_test(dropped_on_advice), cmocka_unit_test(programs_give),
};
const size_t cache_test_count = sizeof(cache_tests) / sizeof(cache_tests[0]);
