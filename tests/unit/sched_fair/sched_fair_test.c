/*
 * sched_fair_test.c: what the fair scheduler promises, in simulations of seconds.
 */
#include "sched_fair_test.h"

#include <string.h>

#include "modules/mlaas/sched_fair/include/fair.h"
#include "simulator.h"

#define FOREVER (1ull << 62)

static const struct sched_ops ops = {
    .struct_size = sizeof(ops),
    .enqueue = fair_enqueue,
    .dequeue = fair_dequeue,
    .pick = fair_pick,
    .charge = fair_charge,
    .slice = fair_slice,
    .preempts = fair_preempts,
};

static struct simulator sim;

static struct task *hog(uint32_t weight)
{
    return simulator_task(&sim, weight, FOREVER, 0);
}

static int setup(void **state)
{
    (void)state;
    simulator_init(&sim, &ops);
    return 0;
}

/* EEVDF's theorem: nobody is ever further than one request from the ideal share. */
static void check_shares(struct simulator *s)
{
    uint64_t weights = 0, all = 0;

    for (unsigned i = 0; i < s->count; i++) {
        weights += s->tasks[i].entity.weight;
        all += s->tasks[i].ran;
    }
    for (unsigned i = 0; i < s->count; i++) {
        double ideal = (double)all * s->tasks[i].entity.weight / (double)weights;
        double lag = ideal - (double)s->tasks[i].ran;

        if (lag > 1.02 * FAIR_REQUEST_LONG || lag < -1.02 * FAIR_REQUEST_LONG)
            fail_msg("task %u is %.3f ms from its share at %.3f ms", i, lag / 1e6, s->now / 1e6);
    }
}

static void test_equal_hogs(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 100; n = n * 3 + 1) {
        setup(NULL);
        for (unsigned i = 0; i < n; i++)
            hog(1024);
        simulator_run(&sim, 10 * NS_PER_SEC, check_shares);
        for (unsigned i = 0; i < n; i++)
            assert_true(sim.tasks[i].starved_most <= n * FAIR_REQUEST_LONG);
    }
}

static void test_weighted_hogs(void **state)
{
    static const uint32_t weights[] = {1, 15, 335, 1024, 1024, 3121, 65536, 88761 - 65536};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        hog(weights[i]);
    simulator_run(&sim, 400 * NS_PER_SEC, check_shares); /* its due: 1 in 94282 */
    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        assert_true(sim.tasks[i].ran > 0);
}

/* Who is alone is not switched; few competitors get long turns, many get short ones. */
static void test_turns(void **state)
{
    (void)state;
    hog(1024);
    simulator_run(&sim, NS_PER_SEC, NULL);
    assert_int_equal(sim.tasks[0].turns, 1);
    hog(1024);
    simulator_run(&sim, 2 * NS_PER_SEC, NULL);
    assert_in_range(sim.tasks[1].turns, 70, 100);
    for (int i = 0; i < 8; i++)
        hog(1024);
    simulator_run(&sim, 3 * NS_PER_SEC, NULL);
    assert_in_range(sim.tasks[9].turns, 30, 40);
}

static void test_sleeper_is_prompt(void **state)
{
    struct task *sleeper;

    (void)state;
    for (int i = 0; i < 8; i++)
        hog(1024);
    sleeper = simulator_task(&sim, 1024, 100 * NS_PER_US, 10 * NS_PER_MS);
    simulator_run(&sim, 10 * NS_PER_SEC, NULL);
    assert_in_range(sleeper->waits, 900, 1000);
    assert_true(sleeper->wait_sum / sleeper->waits < 300 * NS_PER_US);
    assert_true(sleeper->wait_most <= FAIR_REQUEST_LONG);
}

/* A thousand milliseconds of sleep are no credit: the others wait a request or two, not a second.
 */
static void test_sleep_saves_nothing(void **state)
{
    struct task *sleeper, *worker;

    (void)state;
    worker = hog(1024);
    sleeper = simulator_task(&sim, 1024, 500 * NS_PER_MS, NS_PER_SEC);
    simulator_run(&sim, 20 * NS_PER_SEC, NULL);
    assert_true(worker->starved_most <= 3 * FAIR_REQUEST_LONG);
    assert_true(sleeper->starved_most <= 3 * FAIR_REQUEST_LONG);
    assert_true(sleeper->turns > 100);
}

/* Naps are no trick either: who runs 5 of 6 ms gets no more than half. */
static void test_naps_gain_nothing(void **state)
{
    struct task *napper, *worker;

    (void)state;
    worker = hog(1024);
    napper = simulator_task(&sim, 1024, 5 * NS_PER_MS, NS_PER_MS);
    simulator_run(&sim, 20 * NS_PER_SEC, NULL);
    assert_true(napper->ran <= worker->ran * 102 / 100);
    assert_true(napper->ran >= worker->ran * 70 / 100);
}

static void test_yield(void **state)
{
    struct task *yielder, *worker;

    (void)state;
    worker = hog(1024);
    yielder = simulator_task(&sim, 1024, 10 * NS_PER_US, 0);
    yielder->yields = true;
    simulator_run(&sim, 5 * NS_PER_SEC, NULL);
    assert_true(worker->ran >= 2 * NS_PER_SEC);
    assert_true(yielder->turns > 100);
    assert_true(worker->starved_most <= 2 * FAIR_REQUEST_LONG);
}

/* Many sleepers and workers of all weights: nobody starves. */
static void test_crowd(void **state)
{
    static const uint32_t weights[] = {256, 1024, 4096};

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        simulator_task(&sim, weights[i % 3], (i % 7 + 1) * 200 * NS_PER_US,
                       (i % 11 + 1) * 3 * NS_PER_MS);
    for (unsigned i = 0; i < 9; i++)
        hog(weights[i % 3]);
    simulator_run(&sim, 30 * NS_PER_SEC, NULL);
    for (unsigned i = 0; i < sim.count; i++) {
        assert_true(sim.tasks[i].ran > 10 * NS_PER_MS);
        assert_true(sim.tasks[i].starved_most < 2 * NS_PER_SEC);
    }
    assert_true(sim.tasks[68].ran > 3 * sim.tasks[67].ran);
    assert_true(sim.tasks[67].ran > 3 * sim.tasks[66].ran);
}

static void weight_change(struct simulator *s)
{
    if (s->now > NS_PER_SEC)
        s->tasks[0].entity.weight = 3072;
}

static void test_weight_changes(void **state)
{
    uint64_t before;

    (void)state;
    hog(1024);
    hog(1024);
    simulator_run(&sim, NS_PER_SEC, weight_change);
    before = sim.tasks[0].ran;
    assert_in_range(before, 490 * NS_PER_MS, 510 * NS_PER_MS);
    simulator_run(&sim, 5 * NS_PER_SEC, weight_change);
    assert_in_range(sim.tasks[0].ran - before, 2960 * NS_PER_MS, 3040 * NS_PER_MS);
}

/* Virtual time may wrap. */
static void test_wrap(void **state)
{
    (void)state;
    fair_queue(&sim.queue)->base = -(uint64_t)NS_PER_SEC;
    for (int i = 0; i < 4; i++)
        hog(1024);
    simulator_run(&sim, 10 * NS_PER_SEC, check_shares);
    assert_true(fair_queue(&sim.queue)->base < 1ull << 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_equal_hogs, setup),
        cmocka_unit_test_setup(test_weighted_hogs, setup),
        cmocka_unit_test_setup(test_turns, setup),
        cmocka_unit_test_setup(test_sleeper_is_prompt, setup),
        cmocka_unit_test_setup(test_sleep_saves_nothing, setup),
        cmocka_unit_test_setup(test_naps_gain_nothing, setup),
        cmocka_unit_test_setup(test_yield, setup),
        cmocka_unit_test_setup(test_crowd, setup),
        cmocka_unit_test_setup(test_weight_changes, setup),
        cmocka_unit_test_setup(test_wrap, setup),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_foreign_data),
    };

    return cmocka_run_group_tests_name("sched_fair", tests, NULL, NULL);
}
