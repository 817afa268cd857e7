/*
 * ledger_test.c: what modules with policies take of memory is counted, by module, whoever frees it; no more than the
 * limit; who leaks comes to it, and no slot of the ledger is lost. random_test.c does the same by chance.
 */
#include "rig.h"

#include <string.h>

static void sums_are(unsigned spot, size_t bytes, size_t most, uint64_t refused)
{
    struct rig_sums s = rig_sums(spot);

    assert_true(s.open);
    assert_int_equal(s.bytes, bytes);
    assert_int_equal(s.most, most);
    assert_int_equal(s.refused, refused);
}

static void test_counted(void **state)
{
    (void)state;
    rig_begin(64);
    assert_true(rig_link(0, "toy"));
    assert_true(rig_take(0, RIG_KMALLOC, 0, 100));
    assert_true(rig_take(0, RIG_KSTRDUP, 2, 16));
    assert_true(rig_take(0, RIG_KZALLOC, 3, 1));
    sums_are(0, 112 + 16 + 16, 144, 0);
    assert_true(rig_take(0, RIG_FRAMES, 0, 1)); /* where an object lies, too */
    sums_are(0, 144 + 8192, 8336, 0);
    rig_give(0, RIG_KMALLOC, 0, 0);
    rig_give(0, RIG_FRAMES, 0, 1);
    sums_are(0, 32, 8336, 0);
    assert_int_equal(rig_slots_used(), 2);
    assert_string_equal(rig_described(0),
                        "memory.toy its module has 32 bytes, had 8336 at most, may have 65536; refused 0 times\n");
    assert_string_equal(rig_listed(), "policy.toy 32\n");
    assert_string_equal(rig_described(1), "");
    rig_end();
}

/* Those whom nobody counts: the nucleus, modules without policies. */
static void test_uncounted(void **state)
{
    (void)state;
    rig_begin(64);
    assert_string_equal(rig_listed(), "");
    assert_string_equal(rig_described(0), "");
    assert_true(rig_link(0, "toy"));
    assert_ptr_equal(rig_link_symbol(0, "toy", "wait_wake", state), state);
    assert_true(rig_take(RIG_NOBODY, RIG_FRAMES, 1, 6));
    assert_true(rig_take(7, RIG_FRAMES, 200, 6));
    rig_give(7, RIG_FRAMES, 200, 6);
    assert_int_equal(rig_slots_used(), 0);
    sums_are(0, 0, 0, 0);
    rig_end();
}

static void test_limit(void **state)
{
    (void)state;
    rig_begin(8);
    assert_true(rig_link(0, "toy") && rig_link(1, "other"));
    rig_policy_add("first", 0, true);
    rig_policy_add("idle", 0, false);
    rig_policy_add("others", 1, true);
    assert_true(rig_take(0, RIG_FRAMES, 1, 0) && rig_take(0, RIG_KMALLOC, 1, 4080));
    assert_string_equal(rig_worker_run(), "");
    assert_false(rig_take(0, RIG_KMALLOC, 2, 17));
    sums_are(0, 8176, 8176, 1);
    assert_string_equal(rig_worker_run(), "first: wants more memory than 8 KiB\n");
    assert_string_equal(rig_worker_run(), "");
    assert_true(rig_take(1, RIG_KMALLOC, 2, 8192)); /* that is nobody else's loss */
    assert_true(rig_take(0, RIG_KMALLOC, 3, 16)); /* all of it */
    assert_false(rig_take(0, RIG_FRAMES, 2, 18));
    rig_give(0, RIG_FRAMES, 1, 0);
    assert_true(rig_take(0, RIG_FRAMES, 4, 0));
    sums_are(0, 8192, 8192, 2);
    assert_string_equal(rig_worker_run(), "first: wants more memory than 8 KiB\n");
    rig_end();
}

/* What the nucleus does not have is not counted, nor held against who asked. */
static void test_no_memory(void **state)
{
    (void)state;
    rig_begin(64);
    assert_true(rig_link(0, "toy"));
    for (unsigned how = 0; how < RIG_HOWS; how++) {
        rig_fail(RIG_FAILS_NUCLEUS);
        assert_false(rig_take(0, how, 1, 2));
    }
    sums_are(0, 0, 0, 0);
    assert_string_equal(rig_worker_run(), "");
    rig_end();
}

/* Somebody else frees, and the place comes again: three times as often as there are slots. */
static void test_places_come_again(void **state)
{
    (void)state;
    rig_begin(64);
    assert_true(rig_link(0, "toy") && rig_link(1, "other"));
    for (unsigned i = 0; i < 3 * RIG_PIECES; i++) {
        assert_true(rig_take(0, RIG_KMALLOC, 1, 32));
        assert_true(rig_take(0, RIG_FRAMES, 5, 0));
    }
    sums_are(0, 32 + 4096, 32 + 4096, 0);
    assert_int_equal(rig_slots_used(), 2);
    assert_true(rig_take(1, RIG_KMALLOC, 1, 48)); /* now it is that one's */
    sums_are(0, 4096, 32 + 4096, 0);
    sums_are(1, 48, 48, 0);
    assert_int_equal(rig_slots_used(), 2);
    rig_end();
}

/* Who is refused a place that was noted for another: it was free, so it is the other one's no more. */
static void test_refused_place(void **state)
{
    (void)state;
    rig_begin(4);
    assert_true(rig_link(0, "toy") && rig_link(1, "other"));
    assert_true(rig_take(0, RIG_KMALLOC, 1, 1024));
    for (unsigned i = 0; i < 2 * RIG_PIECES; i++)
        assert_false(rig_take(1, RIG_KMALLOC, 1, 8192));
    sums_are(0, 0, 1024, 0);
    sums_are(1, 0, 0, 2 * RIG_PIECES);
    assert_int_equal(rig_slots_used(), 0);
    rig_end();
}

/* Small pieces: the ledger is full before the limit is reached. Nothing is lost by that. */
static void test_full(void **state)
{
    (void)state;
    rig_begin(1024);
    assert_true(rig_link(0, "toy") && rig_link(1, "other"));
    for (unsigned i = 0; i < RIG_PIECES; i++)
        assert_true(rig_take(i % 2, RIG_KMALLOC, i, 16));
    for (unsigned i = 0; i < 100; i++)
        assert_false(rig_take(0, RIG_KMALLOC, RIG_PIECES + i, 16));
    sums_are(0, RIG_PIECES / 2 * 16, RIG_PIECES / 2 * 16, 100);
    assert_int_equal(rig_slots_used(), RIG_PIECES);
    assert_true(rig_take(0, RIG_KMALLOC, 8, 16)); /* a place that was there: its own slot is enough */
    rig_give(1, RIG_KMALLOC, 9, 0);
    assert_true(rig_take(0, RIG_KMALLOC, RIG_PIECES, 16));
    for (unsigned i = 0; i <= RIG_PIECES; i++)
        rig_give(0, RIG_KMALLOC, i, 0);
    assert_int_equal(rig_slots_used(), 0);
    sums_are(0, 0, RIG_PIECES / 2 * 16 + 16, 100);
    sums_are(1, 0, RIG_PIECES / 2 * 16, 0);
    rig_end();
}

/* A module that leaves something behind each time that it is loaded, wherever it lies. */
static void test_leak(void **state)
{
    unsigned loaded = 0;

    (void)state;
    rig_begin(64);
    for (unsigned place = 0; place < 64; loaded++) {
        unsigned spot = loaded % RIG_SPOTS;

        assert_true(rig_link(spot, "leaky"));
        sums_are(spot, place * 1024, place * 1024, 0);
        for (unsigned i = 0; i < 8; i++)
            assert_true(rig_take(spot, RIG_KMALLOC, place++ * 13, 1024));
        assert_false(rig_sums((spot + 1) % RIG_SPOTS).open); /* where it was before */
    }
    assert_int_equal(loaded, 8);
    assert_true(rig_link(0, "leaky"));
    rig_policy_add("leaky", 0, true);
    assert_false(rig_take(0, RIG_KSTRDUP, 1, 1));
    assert_string_equal(rig_worker_run(), "leaky: wants more memory than 64 KiB\n");
    assert_true(rig_link(0, "other")); /* in its place: what the other left is not this one's */
    sums_are(0, 0, 0, 0);
    assert_true(rig_take(0, RIG_KMALLOC, 1, 4096));
    assert_string_equal(rig_listed(), "policy.other 4096\npolicy.leaky 65536\n");
    rig_end();
}

/* Modules come and go without leaving anything; more that stay than there are accounts are not counted. */
static void test_accounts(void **state)
{
    char name[2] = "a";

    (void)state;
    rig_begin(64);
    for (unsigned i = 0; i < 10 * RIG_ACCOUNTS; i++) {
        name[0] = (char)('A' + i % 50);
        assert_true(rig_link(3, name));
        assert_true(rig_take(3, RIG_KMALLOC, 1, 64));
        rig_give(3, RIG_KMALLOC, 1, 0);
    }
    for (unsigned i = 0; i < RIG_SPOTS; i++) {
        name[0] = (char)('a' + i);
        assert_int_equal(rig_link(i, name), i < RIG_ACCOUNTS);
        assert_int_equal(rig_sums(i).open, i < RIG_ACCOUNTS);
    }
    rig_end();
}

/* Without memory or a thread nothing is counted, and nothing is left; the next policy finds it as at the start. */
static void test_no_ledger(void **state)
{
    (void)state;
    rig_begin(64);
    for (enum rig_failure what = RIG_FAILS_LEDGER; what <= RIG_FAILS_REF; what++) {
        rig_fail(what);
        assert_ptr_equal(rig_link_symbol(0, "toy", "kmalloc", state), state);
        assert_int_equal(rig_threads, 0);
        assert_int_equal(rig_refs, 0);
        assert_false(rig_sums(0).open);
    }
    assert_true(rig_link(0, "toy") && rig_link(1, "other"));
    assert_int_equal(rig_threads, 1);
    assert_int_equal(rig_refs, 1);
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counted),       cmocka_unit_test(test_uncounted), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_places_come_again),
        cmocka_unit_test(test_refused_place), cmocka_unit_test(test_full),      cmocka_unit_test(test_leak),
        cmocka_unit_test(test_accounts),      cmocka_unit_test(test_no_ledger),
    };

    return cmocka_run_group_tests_name("policy_memory", tests, NULL, NULL) + random_run();
}
