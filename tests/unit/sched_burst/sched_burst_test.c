/*
 * sched_burst_test.c: what sched_burst promises, in simulations of seconds, with the model that the
 * module has: who needs little and seldom gets it at once, and nobody gets less than a share for
 * it.
 */
#include "sched_burst_test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mlrt/mlrt.h"
#include "modules/mlaas/sched_burst/lane.h"
#include "modules/mlaas/sched_fair/include/urgent.h"
#include "tests/unit/sched_fair/simulator.h"

#define FOREVER (1ull << 62)

__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        "test_model:\n"
        ".incbin \"modules/mlaas/sched_burst/sched_burst.mlm\"\n"
        "test_model_end:\n"
        ".popsection\n");

extern const uint8_t test_model[], test_model_end[];

static struct mlrt_model model;

/* As the module's, without the model store. */
enum burst_kind burst_predict(const struct history *h, const struct sched_entity *e)
{
    static uint8_t workspace[512] __attribute__((aligned(32)));
    int32_t features[HISTORY_FEATURES], kinds[BURST_KINDS];

    assert_true(mlrt_workspace_bytes(&model, 1) <= sizeof(workspace));
    assert_int_equal(model.header->input_fraction, BURST_FRACTION);
    (void)e;
    history_features(h, features);
    mlrt_run_integer(&model, features, 1, kinds, workspace);
    return (enum burst_kind)mlrt_largest_integer(kinds, BURST_KINDS);
}

static const struct sched_ops burst_ops = {
    .struct_size = sizeof(burst_ops),
    .enqueue = lane_enqueue,
    .dequeue = lane_dequeue,
    .pick = lane_pick,
    .charge = lane_charge,
    .slice = lane_slice,
    .preempts = lane_preempts,
    .watch = lane_watch,
};

static const struct sched_ops fair_ops = {
    .struct_size = sizeof(fair_ops),
    .enqueue = urgent_enqueue,
    .dequeue = urgent_dequeue,
    .pick = urgent_pick,
    .charge = fair_charge,
    .slice = urgent_slice,
    .preempts = urgent_preempts,
};

static struct simulator sim;
static uint64_t random_state;
static uint64_t window_end; /* of what is looked at; 0: none yet */

static uint64_t random_next(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static uint64_t random_up_to(uint64_t most)
{
    return 1 + random_next() % most;
}

static int setup(void **state)
{
    (void)state;
    if (!model.bytes)
        assert_int_equal(
            mlrt_open(&model, test_model, (size_t)(test_model_end - test_model), MLRT_SCALAR),
            MLRT_OK);
    random_state = 1;
    window_end = 0;
    simulator_init(&sim, &burst_ops);
    return 0;
}

static struct task *hog(void)
{
    return simulator_task(&sim, 1024, FOREVER, 0);
}

/* ---- the bound: in any time W, who always wants the CPU gets an equal share, of all there are, of W
 * less LANE_SLEEP, and less two requests, its own and the mean of the others', which is how finely fair shares
 * are dealt ---------------------------------- */

#define WINDOW (2 * NS_PER_SEC)

static uint64_t before[SIMULATOR_TASKS];

static void shares_check(struct simulator *s)
{
    uint64_t weights = 0;

    if (s->now < window_end)
        return;
    for (unsigned i = 0; i < s->count; i++)
        weights += s->tasks[i].entity.weight;
    for (unsigned i = 0; i < s->count; i++) {
        struct task *t = &s->tasks[i];
        double least = (double)(WINDOW - LANE_SLEEP) * t->entity.weight / (double)weights -
                       2 * FAIR_REQUEST_LONG;

        if (window_end && t->burst == FOREVER && (double)(t->ran - before[i]) < least)
            fail_msg("task %u got %.1f ms, not %.1f, in the window before %.3f s", i,
                     (double)(t->ran - before[i]) / 1e6, least / 1e6, s->now / 1e9);
        before[i] = t->ran;
    }
    window_end = s->now + WINDOW;
}

/* ---- latency ----------------------------------------------------------------------------------
 */

static uint64_t due;

static void periodic_next(struct task *t)
{
    due += 9 * NS_PER_MS + random_up_to(2 * NS_PER_MS);
    t->pause = due > sim.now ? due - sim.now : 1;
}

/* The longest wait of a thread of 1 ms about every 10 ms beside hogs, once it is known; and the
 * hogs' part. */
static uint64_t periodic_wait(const struct sched_ops *ops, unsigned hogs, uint64_t *hogs_ran)
{
    struct task *periodic;

    simulator_init(&sim, ops);
    random_state = 5;
    due = 0;
    for (unsigned i = 0; i < hogs; i++)
        hog();
    periodic = simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);
    periodic->next = periodic_next;
    simulator_run(&sim, NS_PER_SEC, NULL);
    periodic->wait_most = 0;
    simulator_run(&sim, 20 * NS_PER_SEC, NULL);
    *hogs_ran = 0;
    for (unsigned i = 0; i < hogs; i++)
        *hogs_ran += sim.tasks[i].ran;
    return periodic->wait_most;
}

static void test_periodic(void **state)
{
    uint64_t ran, fair_ran;

    (void)state;
    for (unsigned hogs = 1; hogs <= 6; hogs++) {
        uint64_t wait = periodic_wait(&burst_ops, hogs, &ran);

        assert_true(wait <= 100 * NS_PER_US);
        assert_true(periodic_wait(&fair_ops, hogs, &fair_ran) > 10 * wait);
        assert_true(ran >= 0.97 * fair_ran);
    }
}

/* Requests at random times behind one another: the mean wait is shorter than with fair shares. */
static void request_next(struct task *t)
{
    t->burst = random_up_to(2 * NS_PER_MS);
    t->pause = random_up_to(16 * NS_PER_MS);
}

static double requests_wait(const struct sched_ops *ops)
{
    uint64_t sum = 0, waits = 0;

    simulator_init(&sim, ops);
    random_state = 7;
    for (unsigned i = 0; i < 3; i++)
        simulator_task(&sim, 1024, NS_PER_MS, 8 * NS_PER_MS)->next = request_next;
    for (unsigned i = 0; i < 3; i++)
        hog();
    simulator_run(&sim, 20 * NS_PER_SEC, NULL);
    for (unsigned i = 0; i < 3; i++) {
        sum += sim.tasks[i].wait_sum;
        waits += sim.tasks[i].waits;
    }
    return (double)sum / (double)waits;
}

static void test_requests(void **state)
{
    (void)state;
    assert_true(requests_wait(&burst_ops) < 0.5 * requests_wait(&fair_ops));
}

/* ---- fairness ---------------------------------------------------------------------------------
 */

/* Nobody who sleeps: as sched_fair, to the nanosecond. */
static void test_hogs_as_fair(void **state)
{
    static const uint32_t weights[] = {335, 1024, 1024, 3121};
    uint64_t ran[ARRAY_SIZE(weights)];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        simulator_init(&sim, round ? &fair_ops : &burst_ops);
        for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
            simulator_task(&sim, weights[i], FOREVER, 0);
        simulator_run(&sim, 5 * NS_PER_SEC, NULL);
        for (unsigned i = 0; i < ARRAY_SIZE(weights); i++) {
            if (round)
                assert_int_equal(sim.tasks[i].ran, ran[i]);
            ran[i] = sim.tasks[i].ran;
        }
    }
}

/* Programs that chose the policy that this one extends: the same, sleepers or not. */
static void test_plain_as_fair(void **state)
{
    uint64_t ran[20], waited[20];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        simulator_init(&sim, round ? &fair_ops : &burst_ops);
        random_state = 3;
        for (unsigned i = 0; i < 20; i++) {
            struct task *t = i < 3 ? hog() : simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);

            t->entity.plain = true;
            t->next = i < 3 ? NULL : request_next;
        }
        simulator_run(&sim, 5 * NS_PER_SEC, NULL);
        for (unsigned i = 0; i < 20; i++) {
            if (round) {
                assert_int_equal(sim.tasks[i].ran, ran[i]);
                assert_int_equal(sim.tasks[i].wait_sum, waited[i]);
            }
            ran[i] = sim.tasks[i].ran;
            waited[i] = sim.tasks[i].wait_sum;
        }
    }
}

/* So are threads that only wake each other: nothing outside waits for them. */
static void test_inside_as_fair(void **state)
{
    uint64_t waited[6];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        simulator_init(&sim, round ? &fair_ops : &burst_ops);
        random_state = 4;
        for (unsigned i = 0; i < 6; i++) {
            struct task *t = i < 3 ? hog() : simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);

            t->inside = true;
            t->next = i < 3 ? NULL : request_next;
        }
        simulator_run(&sim, 5 * NS_PER_SEC, NULL);
        for (unsigned i = 0; i < 6; i++) {
            if (round)
                assert_int_equal(sim.tasks[i].wait_sum, waited[i]);
            waited[i] = sim.tasks[i].wait_sum;
        }
    }
}

/* A plain one is not put ahead where others are. */
static void test_plain_waits(void **state)
{
    struct task *plain, *boosted;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        hog();
    boosted = simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);
    plain = simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);
    plain->entity.plain = true;
    simulator_run(&sim, 10 * NS_PER_SEC, shares_check);
    assert_true(plain->wait_sum / plain->waits > 3 * boosted->wait_sum / boosted->waits);
}

/* Priorities stay before everything. */
static void test_priority(void **state)
{
    struct task *urgent;

    (void)state;
    hog();
    for (unsigned i = 0; i < 5; i++)
        simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);
    urgent = simulator_task(&sim, 1024, 500 * NS_PER_US, 5 * NS_PER_MS);
    urgent->entity.priority = 5;
    simulator_run(&sim, 5 * NS_PER_SEC, NULL);
    assert_int_equal(urgent->wait_most, 0);
}

/* ---- adversaries ------------------------------------------------------------------------------
 */

static void just_before(struct task *t)
{
    t->burst = 2 * NS_PER_MS + random_up_to(900 * NS_PER_US);
    t->pause = random_up_to(40 * NS_PER_US);
}

/* Short and seldom until it is believed, then long. */
static void turning(struct task *t)
{
    bool runs = ++t->turns_taken % 40 == 0;

    t->burst = runs ? 400 * NS_PER_MS : 200 * NS_PER_US;
    t->pause = runs ? NS_PER_MS : 3 * NS_PER_MS;
}

/* Just under what it is let off with, again and again. */
static void limit_user(struct task *t)
{
    t->burst = ++t->turns_taken % 6 ? 300 * NS_PER_US : 1900 * NS_PER_US;
    t->pause = t->burst + random_up_to(100 * NS_PER_US);
}

/* Saves up what sleep is worth, and spends it at once. */
static void saver(struct task *t)
{
    t->burst = ++t->turns_taken % 30 ? 900 * NS_PER_US : 60 * NS_PER_MS;
    t->pause = t->turns_taken % 30 ? 1 * NS_PER_MS : 100 * NS_PER_MS;
}

/* All of them save as much as they can, and want it at the same moment. */
static void hoarder(struct task *t)
{
    bool runs = ++t->turns_taken % 6 == 0;

    t->burst = runs ? 150 * NS_PER_MS : 100 * NS_PER_US;
    t->pause = LANE_SLEEP / 4;
}

static void erratic(struct task *t)
{
    t->burst = random_up_to(1ull << (10 + random_next() % 17));
    t->pause = random_up_to(1ull << (10 + random_next() % 17));
}

static void test_adversaries(void **state)
{
    static void (*const kinds[])(struct task *) = {just_before, turning, limit_user, saver,
                                                   hoarder, erratic};
    static const unsigned crowds[] = {1, 4, 24, 60};

    (void)state;
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
        for (unsigned c = 0; c < ARRAY_SIZE(crowds); c++)
            for (unsigned hogs = 1; hogs <= 4; hogs += 3) {
                setup(NULL);
                for (unsigned i = 0; i < hogs; i++)
                    hog();
                for (unsigned i = 0; i < crowds[c]; i++)
                    simulator_task(&sim, 1024, NS_PER_MS, NS_PER_MS)->next = kinds[k];
                simulator_run(&sim, 20 * NS_PER_SEC, shares_check);
            }
}

/* All of them wake at the same moments, and together want more than there is. */
static void test_many_sleepers(void **state)
{
    (void)state;
    for (unsigned n = 4; n <= 100; n *= 5) {
        setup(NULL);
        hog();
        hog();
        for (unsigned i = 0; i < n; i++)
            simulator_task(&sim, 1024, NS_PER_MS, 9 * NS_PER_MS);
        simulator_run(&sim, 20 * NS_PER_SEC, shares_check);
        assert_true(sim.tasks[0].starved_most < NS_PER_SEC);
    }
}

/* Weights count for who is ahead, too. */
static void test_weights(void **state)
{
    static const uint32_t weights[] = {15, 335, 1024, 9548};

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        simulator_task(&sim, weights[i % 4], NS_PER_MS, NS_PER_MS)->next =
            i < 8 ? limit_user : just_before;
    for (unsigned i = 1; i < 4; i++) /* the lightest's share of a second is less than a slice */
        simulator_task(&sim, weights[i], FOREVER, 0);
    simulator_run(&sim, 20 * NS_PER_SEC, shares_check);
}

/* What it was believed to be ends when it runs on: the others wait for that burst once. */
static void test_belief_ends(void **state)
{
    struct task *worker, *other;

    (void)state;
    worker = hog();
    other = simulator_task(&sim, 1024, 200 * NS_PER_US, 3 * NS_PER_MS);
    other->next = turning;
    simulator_run(&sim, 20 * NS_PER_SEC, shares_check);
    assert_true(worker->starved_most <= LANE_SLEEP / 2 + FAIR_REQUEST_LONG);
}

/* ---- foreign data -----------------------------------------------------------------------------
 */

static void garble(struct simulator *s)
{
    struct task *t = &s->tasks[random_next() % s->count];

    if (t->ready || t->running || random_next() % 50)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(t->entity.data); i++)
        t->entity.data[i] = random_next() << 40 ^ random_next() << 20 ^ random_next();
}

/* Sleepers come back with anything in their data. Nothing breaks, and hogs, whose data is their
 * own, are not starved. */
static void test_foreign_data(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        setup(NULL);
        random_state = seed;
        hog();
        for (unsigned i = 0; i < 10; i++)
            simulator_task(&sim, 1024, NS_PER_MS, NS_PER_MS)->next = erratic;
        simulator_run(&sim, 5 * NS_PER_SEC, garble);
        assert_true(sim.tasks[0].starved_most < 200 * NS_PER_MS);
        assert_true(sim.tasks[0].ran > 5 * NS_PER_SEC / 22);
    }
}

/* In the shadow it answers what it would do, and touches its memory alone. */
static void test_watch(void **state)
{
    struct sched_entity e = {.weight = 1024, .outside = true}, copy;
    uint64_t memory[SCHED_SHADOW_WORDS] = {0}, now = NS_PER_SEC;
    bool ahead = false;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        e.flags = SCHED_WAKEUP;
        copy = e;
        ahead = lane_watch(memory, &e, now);
        assert_memory_equal(&e, &copy, sizeof(e));
        assert_false(i < HISTORY_SURE - 1 && ahead);
        e.ran += NS_PER_MS / 2;
        e.ran_until = now + NS_PER_MS / 2;
        now += 10 * NS_PER_MS;
    }
    assert_true(ahead);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_capture),       CASE(test_kinds),        CASE(test_periodic),
        CASE(test_requests),      CASE(test_hogs_as_fair), CASE(test_plain_as_fair),
        CASE(test_inside_as_fair),
        CASE(test_plain_waits),   CASE(test_priority),     CASE(test_adversaries),
        CASE(test_many_sleepers), CASE(test_weights),      CASE(test_belief_ends),
        CASE(test_foreign_data),  CASE(test_watch),
    };

    return cmocka_run_group_tests_name("sched_burst", tests, NULL, NULL);
}
