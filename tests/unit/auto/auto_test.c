/*
 * auto_test.c: the bandit of the pilot `auto` against simulated costs, with fixed seeds: stationary, noisy,
 * equal, changing, of several contexts, adversarial. Costs are in binary logarithms. What is asserted of
 * regret is what bandit.h promises.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "modules/mlaas/auto/bandit.h"

#define MARGIN (BANDIT_MARGIN / (double)BANDIT_ONE)
#define SEEDS  20u

static uint64_t seed;

static double uniform(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / (double)(1ull << 53);
}

/* Of mean 0 and standard deviation 1, about normal. */
static double noise(void)
{
    double sum = 0;
    for (unsigned i = 0; i < 12; i++) {
        sum += uniform();
    }
    return sum - 6;
}

struct tally {
    double cost;           /* sum of mean costs of what was used */
    unsigned used[BANDIT_ARMS];
    unsigned switches;
};

/* Runs T windows in one context; means[] may be changed between calls. */
static struct tally simulate(struct bandit *b, unsigned context, const double *means, double deviation,
                             unsigned windows)
{
    struct tally t = {0};
    for (unsigned i = 0; i < windows; i++) {
        unsigned before = b->arm, arm = bandit_decide(b, context, BANDIT_WINDOW);
        t.switches += arm != before;
        t.used[arm]++;
        t.cost += means[arm];
        bandit_observe(b, context, (int32_t)((means[arm] + deviation * noise()) * BANDIT_ONE), BANDIT_WINDOW);
    }
    return t;
}

static void start(struct bandit *b, unsigned arms, unsigned nth)
{
    bandit_init(b, arms);
    seed = 88172645463325252ull + nth * 7919;
    for (unsigned i = 0; i < 20; i++) {
        uniform();
    }
}

/* The promise for stationary costs. */
static double bound(const double *means, unsigned arms, unsigned windows)
{
    double least = means[0], most = means[0];
    for (unsigned i = 1; i < arms; i++) {
        least = fmin(least, means[i]);
        most = fmax(most, means[i]);
    }
    return windows * MARGIN + (most - least) * (windows / (double)BANDIT_EXPLORE +
                                                arms * BANDIT_FIRST + arms * BANDIT_DWELL);
}

static void check_regret(const double *means, unsigned arms, double deviation, unsigned best)
{
    const unsigned windows = 4000;
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, arms, nth);
        struct tally t = simulate(&b, 0, means, deviation, windows);
        double regret = t.cost - windows * means[best];
        if (regret > bound(means, arms, windows)) {
            print_error("seed %u: regret %.1f, allowed %.1f; used %u %u %u %u\n", nth, regret,
                        bound(means, arms, windows), t.used[0], t.used[1], t.used[2], t.used[3]);
        }
        assert_true(regret <= bound(means, arms, windows));
        assert_true(t.used[best] >= windows * 9 / 10);
    }
}

static void test_stationary(void **state)
{
    (void)state;
    const double second[] = {10, 9.5, 10.5, 11}, last[] = {8, 8.5, 9, 6}, base[] = {3, 5, 4, 3.5};
    check_regret(second, 4, 0.1, 1);
    check_regret(last, 4, 0.1, 3);
    check_regret(base, 4, 0.1, 0);
}

/* Windows differ by a factor of two and more; the arms by a fifth. */
static void test_noisy(void **state)
{
    (void)state;
    const unsigned windows = 20000;
    const double means[] = {10, 9.5, 10.2};
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 3, nth);
        struct tally t = simulate(&b, 0, means, 1.0, windows);
        double regret = t.cost - windows * 9.5;
        /* never worse than the baseline by more than what the trials cost */
        assert_true(t.cost <= windows * 10 + bound(means, 3, windows));
        assert_true(regret <= windows * 0.5);
    }
}

/* Nothing wins: it stays with the baseline but for the trials. */
static void test_equal(void **state)
{
    (void)state;
    const unsigned windows = 4000;
    const double same[] = {7, 7, 7, 7}, nearly[] = {7, 6.97, 6.98, 7.02};
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 4, nth);
        struct tally t = simulate(&b, 0, same, 0.1, windows);
        assert_true(t.used[0] >= windows * 85 / 100);
        assert_true(t.switches <= windows / 10);
        start(&b, 4, nth);
        t = simulate(&b, 0, nearly, 0.05, windows);
        assert_true(t.used[0] >= windows * 85 / 100);
    }
}

static void test_one_arm(void **state)
{
    (void)state;
    static struct bandit b;
    const double means[] = {5};
    start(&b, 1, 0);
    struct tally t = simulate(&b, 3, means, 1, 1000);
    assert_int_equal(t.used[0], 1000);
    assert_int_equal(b.why, BANDIT_NOTHING_WINS);
}

/* The best arm becomes the worst, a bad one the best; and back to the baseline. */
static void test_change(void **state)
{
    (void)state;
    const double early[] = {10, 9, 11}, late[] = {10, 12, 9}, none[] = {8, 12, 9};
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 3, nth);
        simulate(&b, 0, early, 0.1, 2000);
        simulate(&b, 0, late, 0.1, 2 * BANDIT_FORGET);
        struct tally t = simulate(&b, 0, late, 0.1, 1000);
        assert_true(t.used[2] >= 850);
        simulate(&b, 0, none, 0.1, 2 * BANDIT_FORGET);
        t = simulate(&b, 0, none, 0.1, 1000);
        assert_true(t.used[0] >= 850);
    }
}

/* The arm in use gets bad: it is left at once, not after the others have been forgotten. */
static void test_getting_worse_is_seen_soon(void **state)
{
    (void)state;
    const double early[] = {10, 9}, late[] = {10, 12};
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 2, nth);
        simulate(&b, 0, early, 0.1, 1000);
        struct tally t = simulate(&b, 0, late, 0.1, 40);
        assert_true(t.used[1] <= 20);
    }
}

/* Under one load one arm is better, under another the other: each is remembered. */
static void test_contexts(void **state)
{
    (void)state;
    const double light[] = {10, 9, 11}, heavy[] = {10, 11, 8};
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        unsigned right = 0;
        start(&b, 3, nth);
        for (unsigned round = 0; round < 40; round++) {
            struct tally t = simulate(&b, round % 2, round % 2 ? heavy : light, 0.1, 50);
            right += round >= 10 ? t.used[round % 2 ? 2 : 1] : 0;
        }
        assert_true(right >= 30 * 50 * 85 / 100);
    }
}

/* An arm is good while it is tried and bad as soon as it is taken: against the baseline, little is lost. */
static void test_adversary(void **state)
{
    const unsigned windows = 20000, arms = 4;
    (void)state;
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        double lost = 0;
        start(&b, arms, nth);
        for (unsigned i = 0; i < windows; i++) {
            unsigned arm = bandit_decide(&b, 0, BANDIT_WINDOW);
            double cost = arm == 0 ? 10 : b.why == BANDIT_TRIES ? 9 : 11;
            lost += cost - 10;
            bandit_observe(&b, 0, (int32_t)((cost + 0.05 * noise()) * BANDIT_ONE), BANDIT_WINDOW);
        }
        /* each arm is taken for better log2(T / first penalty) times, and left within the dwell and as long
         * again as its mean takes to follow */
        double mistakes = arms * log2(windows / (double)BANDIT_PENALTY_FIRST);
        assert_true(lost <= mistakes * (BANDIT_DWELL + 16));
    }
}

/* Good for a while, then bad, in turns that fit its memory badly; costs are random walks. */
static void test_wandering(void **state)
{
    const unsigned windows = 20000;
    (void)state;
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        double means[3] = {10, 10, 10}, sums[3] = {0}, cost = 0;
        start(&b, 3, nth);
        for (unsigned i = 0; i < windows; i++) {
            struct tally t = simulate(&b, 0, means, 0.1, 1);
            cost += t.cost;
            for (unsigned k = 0; k < 3; k++) {
                sums[k] += means[k];
                means[k] = fmin(12, fmax(8, means[k] + 0.03 * noise()));
            }
        }
        double best = fmin(sums[0], fmin(sums[1], sums[2]));
        /* the best fixed arm is known only afterwards; following what is best now does about as well */
        assert_true(cost <= best + windows * 0.25);
        assert_true(cost <= sums[0] + windows * 0.25);
    }
}

static void test_trial_that_hurts_ends(void **state)
{
    static struct bandit b;
    const double means[] = {10, 14};
    (void)state;
    start(&b, 2, 1);
    struct tally t = simulate(&b, 0, means, 0.05, 200);
    assert_in_range(t.used[1], 1, 3); /* three trials of a window each, in place of three each */
}

/* As flight.c does it: eight ticks a window, each with its own events; somebody looks after each. */
struct race {
    unsigned used[BANDIT_ARMS]; /* ticks */
    unsigned decided;           /* ticks until the best arm was in use, to stay */
};

static struct race race_run(struct bandit *b, const double *means, unsigned events, unsigned ticks)
{
    struct race r = {{0}, 0};
    double sum = 0;
    unsigned seen = 0, since = 0;
    unsigned arm = bandit_decide(b, 0, 1);
    for (unsigned i = 0; i < ticks; i++) {
        r.used[arm]++;
        since++;
        for (unsigned k = 0; k < events; k++, seen++) {
            sum += -log(1 - uniform()) * pow(2, means[arm]); /* waits are exponential */
        }
        int32_t cost = (int32_t)(log2(sum / seen) * BANDIT_ONE);
        bool finding = b->why == BANDIT_TRIES || b->why == BANDIT_MEASURES;
        if (since >= (finding ? 4 : 8) || (seen >= 2 && bandit_look(b, 0, cost, seen * 16))) {
            bandit_observe(b, 0, cost, seen * 16);
            arm = bandit_decide(b, 0, since * BANDIT_WINDOW / 8);
            r.decided = arm == b->contexts[0].best ? r.decided : i + 1;
            sum = seen = since = 0;
        }
    }
    return r;
}

/* 100 events a second, 40 windows of 200 ms: the best arm is 32 times as good as the baseline, another one
 * eight times worse. Nine tenths of the time are the best one's, and the bad one is out in two looks. */
static void test_race(void **state)
{
    const double means[] = {12, 15, 7};
    (void)state;
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 3, nth);
        struct race r = race_run(&b, means, 3, 320);
        assert_in_range(r.used[1], 1, 4);
        assert_true(r.used[2] >= 320 * 9 / 10);
    }
}

/* What the shadow says decides who is tried first, and who is tried late. */
static void test_hints(void **state)
{
    static struct bandit b;
    const double means[] = {10, 9, 9, 9};
    (void)state;
    start(&b, 4, 1);
    b.hint[1] = 1;
    b.hint[3] = -1;
    struct tally t = simulate(&b, 0, means, 0.1, BANDIT_LAST / 2);
    assert_true(t.used[1] > 0 && t.used[1] > t.used[2]);
    assert_int_equal(t.used[3], 0);
    simulate(&b, 0, means, 0.1, 10 * BANDIT_FORGET);
    assert_true(b.contexts[0].arms[3].looks > 0);
}

/* Another context like this one: its best arm is used at once, whatever the level of costs is here; and where
 * it is not the best here, that is found out. */
static void test_seed(void **state)
{
    const double there[] = {10, 9, 11}, here[] = {16, 15, 17}, other[] = {16, 17, 15.5};
    (void)state;
    for (unsigned nth = 0; nth < SEEDS; nth++) {
        static struct bandit b;
        start(&b, 3, nth);
        simulate(&b, 0, there, 0.1, 500);
        bandit_seed(&b, 1, 0);
        assert_int_equal(b.contexts[1].best, 1);
        struct tally t = simulate(&b, 1, here, 0.1, 100);
        assert_true(t.used[1] >= 85);
        bandit_seed(&b, 2, 0);
        simulate(&b, 2, other, 0.1, BANDIT_FORGET);
        t = simulate(&b, 2, other, 0.1, 500);
        assert_true(t.used[2] >= 425);
    }
}

static void test_reject(void **state)
{
    static struct bandit b;
    const double means[] = {10, 10};
    (void)state;
    start(&b, 2, 1);
    simulate(&b, 0, means, 0.1, 1);
    while (bandit_decide(&b, 0, BANDIT_WINDOW) != 1) {
        bandit_observe(&b, 0, 10 * BANDIT_ONE, BANDIT_WINDOW);
    }
    bandit_reject(&b, 0);
    assert_int_equal(bandit_decide(&b, 0, 1), 0);
    struct tally t = simulate(&b, 0, means, 0.1, 100);
    assert_int_equal(t.used[1], 0);
}

/* An arm whose policy is gone is not used, and used again when it is back. */
static void test_absent(void **state)
{
    static struct bandit b;
    const double means[] = {10, 9, 9.4};
    (void)state;
    start(&b, 3, 2);
    simulate(&b, 0, means, 0.1, 500);
    b.absent[1] = true;
    struct tally t = simulate(&b, 0, means, 0.1, 500);
    assert_int_equal(t.used[1], 0);
    assert_true(t.used[2] >= 400);
    b.absent[1] = false;
    simulate(&b, 0, means, 0.1, BANDIT_FORGET);
    t = simulate(&b, 0, means, 0.1, 500);
    assert_true(t.used[1] >= 400);
}

static void test_forget(void **state)
{
    static struct bandit b;
    const double early[] = {10, 9}, late[] = {10, 12};
    (void)state;
    start(&b, 2, 3);
    simulate(&b, 0, early, 0.1, 500);
    assert_int_equal(b.contexts[0].best, 1);
    bandit_forget(&b, 1); /* its module was replaced */
    assert_int_equal(b.contexts[0].best, 0);
    struct tally t = simulate(&b, 0, late, 0.1, 100);
    assert_true(t.used[0] >= 90);
}

static void test_cost_is_a_logarithm(void **state)
{
    static const uint64_t values[] = {1, 2, 3, 7, 1000, 123456789, 1ull << 40, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (size_t k = 0; k < 7; k++) {
            double ratio = (double)values[i] / (double)values[k];
            if (ratio > 1e-3 && ratio < 1e14) {
                double is = bandit_cost(values[i], values[k]) / (double)BANDIT_ONE;
                assert_true(fabs(is - log2(ratio)) < 0.02);
            }
        }
    }
    for (double value = 0.01; value < 1e12; value *= 1.7) {
        double is = (double)bandit_ratio((int32_t)(log2(value) * BANDIT_ONE)) / 1000;
        assert_true(fabs(is - value) <= value * 0.005 + 0.001);
    }
    assert_int_equal(bandit_cost(0, 5), bandit_cost(1, UINT64_MAX));
    assert_true(bandit_cost(0, 1) < bandit_cost(1, 1000));
    assert_true(bandit_cost(UINT64_MAX, 1) > 47 * BANDIT_ONE);
}

/* Whatever costs it is told, in whatever context: an arm that is there, and no overflow (sanitizers). */
static void test_nonsense(void **state)
{
    static struct bandit b;
    (void)state;
    start(&b, BANDIT_ARMS, 5);
    for (unsigned i = 0; i < 100000; i++) {
        int32_t cost = i % 7 == 0 ? INT32_MAX : i % 5 == 0 ? INT32_MIN : (int32_t)(uniform() * 4e9 - 2e9);
        assert_in_range(bandit_decide(&b, i / 9, BANDIT_WINDOW), 0, BANDIT_ARMS - 1);
        bandit_observe(&b, i / 9, cost, i % 11 ? i % 300 : UINT32_MAX);
        bandit_look(&b, i / 7, cost, i % 13);
        if (i % 97 == 0) {
            bandit_seed(&b, i / 97, i / 194);
        } else if (i % 101 == 0) {
            bandit_reject(&b, i / 9);
        }
    }
    bandit_init(&b, 0);
    assert_int_equal(b.count, 1);
    bandit_init(&b, 1000);
    assert_int_equal(b.count, BANDIT_ARMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stationary),
        cmocka_unit_test(test_noisy),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_one_arm),
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_getting_worse_is_seen_soon),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_adversary),
        cmocka_unit_test(test_wandering),
        cmocka_unit_test(test_trial_that_hurts_ends),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_reject),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_cost_is_a_logarithm),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
