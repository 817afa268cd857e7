/*
 * history_test.c: what is kept of a thread, and the model that is asked with it.
 */
#include "sched_burst_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "modules/mlaas/sched_burst/lane.h"

static struct sched_entity thread;
static struct history history;
static uint64_t now;

static void thread_burst(uint64_t sleep, uint64_t burst)
{
    now += sleep;
    thread.flags = SCHED_WAKEUP;
    history_capture(&history, &thread, now);
    now += burst;
    thread.ran += burst;
    thread.ran_until = now;
}

static double lg(double ns)
{
    double x = floor(ns / 1024);

    return x < 8 ? 8 : 8 * (log2(x) - 2);
}

void test_capture(void **state)
{
    int32_t features[HISTORY_FEATURES];

    (void)state;
    now = thread.ran_until = NS_PER_SEC;
    for (uint64_t ns = 1; ns < 1ull << 62; ns += ns / 5 + 1) {
        thread_burst(3 * ns % (1ull << 60), ns);
        thread_burst(NS_PER_MS, 500);
        history_features(&history, features);
        for (unsigned i = 0; i < HISTORY_FEATURES; i++)
            features[i] /= 1 << BURST_FRACTION;
        if (ns < 1ull << 42) { /* linear inside a doubling: less than one below the logarithm */
            assert_true(fabs(features[0] - lg((double)ns)) < 1.7);
            assert_int_equal(features[4], 63);
        }
        assert_in_range(features[0], 0, 255);
        for (unsigned i = 0; i < HISTORY_FEATURES; i++)
            assert_in_range(features[i] + 8192, 0, 2 * 8192);
    }
    memset(&history, 0, sizeof(history));
    for (unsigned i = 0; i < 100; i++)
        thread_burst(9 * NS_PER_MS, NS_PER_MS);
    assert_in_range(history.burst_spread, 0, 6);
    assert_true(abs((int)history.burst_mean - 16 * (int)(history.bursts & 255)) <= 3);
    assert_true(abs((int)history.sleep_mean - 16 * (int)history.sleep) <= 3);
    assert_true(history_is_sure(&history));
}

void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(burst_kind_of(NS_PER_MS, NS_PER_MS), BURST_BRIEF);
    assert_int_equal(burst_kind_of(2 * NS_PER_MS, 2 * NS_PER_MS), BURST_SHORT);
    assert_int_equal(burst_kind_of(2 * NS_PER_MS, NS_PER_MS), BURST_BUSY);
    assert_int_equal(burst_kind_of(4 * NS_PER_MS, NS_PER_SEC), BURST_LONG);
}
