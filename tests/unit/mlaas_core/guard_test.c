/*
 * guard_test.c: the rules of guardrails as text, and what windows of measurements say to them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "choice_test.h"
#include "modules/mlaas/core/guard_rule.h"

static void same(const char *text, const char *again)
{
    struct guard_rule rule = {0}, twice = {0};
    char out[GUARD_RULE_MAX];

    assert_int_equal(guard_rule_parse(text, &rule), OK);
    guard_rule_text(&rule, out);
    assert_string_equal(out, again);
    assert_int_equal(guard_rule_parse(out, &twice), OK);
    assert_memory_equal(&rule, &twice, sizeof(rule));
}

static void test_text(void **state)
{
    (void)state;
    same("off", "off");
    same(" off \n", "off");
    same("max=0", "max=0 windows=3 window_ms=1000");
    same("max=17 windows=2 window_ms=250\n", "max=17 windows=2 window_ms=250");
    same("window_ms=10 ratio=150", "ratio=150 windows=3 window_ms=10");
    same("max=18446744073709551615", "max=18446744073709551615 windows=3 window_ms=1000");
    same("ratio=18446744073709551615 windows=1000 window_ms=600000",
         "ratio=18446744073709551615 windows=1000 window_ms=600000");
}

static void test_bad_text(void **state)
{
    static const char *const bad[] = {
        "", " ", "on", "offf", "off max=1", "max", "max=", "max=x", "max=-1", "max=1 ratio=2", "max=1 max=2",
        "windows=3", "max=1 windows=0", "max=1 windows=1001", "max=1 window_ms=9", "max=1 window_ms=600001",
        "max=18446744073709551616", "max=1,windows=2", "max=1x", "ratio=0", "=1", "maxx=1", "ma=1", "max=1 =",
        "max=1 windows=4294967297",
    };
    struct guard_rule rule = {.kind = GUARD_MAX, .limit = 5, .windows = 6, .window_ms = 70}, before = rule;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (guard_rule_parse(bad[i], &rule) != ERR_INVALID)
            fail_msg("\"%s\" is taken", bad[i]);
        assert_memory_equal(&rule, &before, sizeof(rule));
    }
}

/* A policy of number 2 whose sums grow; 1 would take over. */
static struct guard_sample sample = {.number = 2, .base_number = 1};
static struct guard_watch watch_of_test;
static struct guard_rule rule_of_test;

static void begin(const char *rule)
{
    sample = (struct guard_sample){.number = 2, .base_number = 1};
    watch_of_test = (struct guard_watch){0};
    assert_int_equal(guard_rule_parse(rule, &rule_of_test), OK);
    assert_false(guard_window(&rule_of_test, &watch_of_test, &sample));
}

static bool window(uint64_t cost, uint64_t work)
{
    sample.cost += cost;
    sample.work += work;
    return guard_window(&rule_of_test, &watch_of_test, &sample);
}

static void test_max(void **state)
{
    (void)state;
    begin("max=10 windows=3");
    for (unsigned i = 0; i < 100; i++)
        assert_false(window(100, 10)); /* as much as is allowed */
    assert_false(window(101, 10));
    assert_int_equal(watch_of_test.mean, 10100);
    assert_int_equal(watch_of_test.limit, 10000);
    assert_false(window(1000, 10));
    assert_false(window(1, 10)); /* not in a row */
    assert_false(window(1000, 10));
    assert_false(window(1000, 10));
    assert_int_equal(watch_of_test.bad, 2);
    assert_false(window(0, 0)); /* nothing happened: neither good nor bad */
    assert_int_equal(watch_of_test.bad, 2);
    assert_true(window(1000, 10));
}

/* Cost without work belongs to the work that comes. */
static void test_window_goes_on(void **state)
{
    (void)state;
    begin("max=10 windows=1");
    assert_false(window(500, 0));
    assert_false(watch_of_test.measured);
    assert_true(window(500, 10));
    assert_int_equal(watch_of_test.mean, 100000);
}

static void test_ratio(void **state)
{
    (void)state;
    begin("ratio=150 windows=2");
    assert_false(window(1000, 1)); /* nobody knows what the other one would do */
    assert_false(watch_of_test.limited);
    assert_false(window(1000, 1));
    sample.base_cost = 300; /* it measured this once */
    sample.base_work = 30;
    assert_false(window(15, 1));
    assert_int_equal(watch_of_test.limit, 15000);
    assert_int_equal(watch_of_test.bad, 0);
    assert_false(window(16, 1));
    assert_true(window(16, 1));
}

/* What the other one measured under the guard's eyes is newer than its sums. */
static void test_ratio_lately(void **state)
{
    (void)state;
    begin("ratio=200 windows=1");
    sample.number = 1;
    sample.base_number = 1;
    sample.alone = true;
    assert_false(window(1000, 1)); /* it is new to the watch */
    for (unsigned i = 0; i < 40; i++)
        assert_false(window(20, 1)); /* nobody takes over from it, whatever it does */
    sample.number = 2;
    sample.alone = false;
    sample.base_cost = 1000000;
    sample.base_work = 1;
    assert_false(window(0, 0));
    assert_false(window(39, 1));
    assert_true(watch_of_test.limit > 39000 && watch_of_test.limit <= 40000);
    assert_true(window(41, 1));
}

/* Another policy, or the same one registered again, begins with nothing against it. */
static void test_begins_again(void **state)
{
    (void)state;
    begin("max=1 windows=3");
    assert_false(window(10, 1));
    assert_false(window(10, 1));
    sample.number = 3;
    assert_false(window(10, 1));
    assert_int_equal(watch_of_test.bad, 0);
    assert_false(watch_of_test.measured);
    assert_false(window(10, 1));
    assert_false(window(10, 1));
    assert_true(window(10, 1));
    sample.cost = sample.work = 0; /* sums that go back */
    assert_false(window(0, 0));
    assert_int_equal(watch_of_test.bad, 0);
}

static void test_large(void **state)
{
    (void)state;
    begin("max=18446744073709551615 windows=1");
    assert_false(window(UINT64_MAX, 1));
    begin("max=18446744073709552 windows=1");
    assert_false(window(UINT64_MAX, 2));
    begin("ratio=18446744073709551615 windows=1");
    sample.base_cost = UINT64_MAX;
    sample.base_work = 1;
    assert_false(window(UINT64_MAX, 1));
    begin("max=5 windows=1");
    assert_true(window(UINT64_MAX, UINT64_MAX / 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_window_goes_on),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_ratio_lately),
        cmocka_unit_test(test_begins_again),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests_name("mlaas_core", tests, NULL, NULL) + choice_run();
}
