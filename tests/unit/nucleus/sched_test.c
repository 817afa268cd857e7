/*
 * sched_test.c: the scheduler's books: no thread is lost or in two places, whatever threads do,
 * whatever policy orders them, and however that policy goes wrong.
 */
#include "sched_rig.h"

#define STEPS 4000

static int setup(void **state)
{
    (void)state;
    random_seed(1);
    sched_rig_start(3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sched_rig_stop();
    return 0;
}

static bool waits(unsigned thread)
{
    return rig_threads[thread].state == THREAD_NEW || rig_threads[thread].state == THREAD_BLOCKED;
}

static void wake_all(void)
{
    for (unsigned i = 0; i < RIG_THREADS; i++)
        if (waits(i)) {
            rig_wake(0, i);
            rig_settle();
        }
}

/* ---- plain scheduling -------------------------------------------------------------------------
 */

static void test_spread(void **state)
{
    (void)state;
    wake_all();
    sched_rig_check();
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        assert_false(rig_idle(cpu));
        assert_in_range(cpus[cpu]->queue.ready, 6,
                        8); /* 24 threads on 3 CPUs, less those that run */
    }
    sched_rig_check_progress();
}

static void test_block_and_wake(void **state)
{
    (void)state;
    rig_wake(0, 5);
    rig_settle();
    sched_rig_check();
    for (unsigned i = 0; i < 10; i++) {
        unsigned cpu = rig_threads[5].cpu;

        assert_ptr_equal(cpus[cpu]->current, &rig_threads[5]);
        rig_block(cpu);
        assert_true(rig_idle(cpu));
        sched_rig_check();
        rig_wake(1, 5);
        rig_settle();
        assert_int_equal(rig_threads[5].cpu, cpu); /* where it ran last */
    }
}

static void test_priority(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RIG_THREADS; i++)
        rig_threads[i].affinity = 1;
    rig_threads[9].sched.priority = 2;
    rig_threads[17].sched.priority = 7;
    for (unsigned i = 0; i < 9; i++)
        rig_wake(0, i);
    rig_settle();
    assert_ptr_equal(cpus[0]->current, &rig_threads[0]);
    rig_wake(0, 9);
    rig_settle();
    assert_ptr_equal(cpus[0]->current, &rig_threads[9]); /* it did not wait for the slice's end */
    rig_wake(0, 17);
    rig_settle();
    assert_ptr_equal(cpus[0]->current, &rig_threads[17]);
    rig_slice_end(0);
    assert_ptr_equal(cpus[0]->current, &rig_threads[17]);
    rig_block(0);
    assert_ptr_equal(cpus[0]->current, &rig_threads[9]);
    rig_block(0);
    assert_true(cpus[0]->current->sched.priority == 0);
    sched_rig_check();
}

static void test_affinity(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RIG_THREADS; i++)
        rig_threads[i].affinity = 1ull << i % 3;
    wake_all();
    for (unsigned i = 0; i < RIG_THREADS; i++) {
        assert_int_equal(rig_threads[i].on_cpu ? rig_threads[i].cpu
                                               : (unsigned)rig_threads[i].sched.queued_cpu,
                         i % 3);
    }
    for (unsigned i = 0; i < RIG_THREADS; i++)
        rig_threads[i].affinity = 1 << 2; /* all others leave when they run */
    sched_rig_check_progress();
    sched_rig_check();
    assert_true(rig_idle(0) && rig_idle(1));
    assert_int_equal(cpus[2]->queue.ready, RIG_THREADS - 1);
}

/* ---- anything in any order --------------------------------------------------------------------
 */

static void step_running(unsigned cpu)
{
    unsigned other = (unsigned)random_below(RIG_THREADS);

    switch (random_below(4)) {
    case 0:
        rig_yield(cpu);
        break;
    case 1:
        if (rig_threads[other].state == THREAD_BLOCKED && !rig_threads[other].on_cpu &&
            (rig_threads[other].affinity >> cpu & 1)) {
            rig_hand_off(cpu, other);
            break;
        }
        /* fall through */
    default:
        rig_block(cpu);
    }
}

static void step(void)
{
    unsigned cpu = (unsigned)random_below(cpu_count());
    unsigned thread = (unsigned)random_below(RIG_THREADS);

    rig_clock += random_below(300 * NS_PER_US);
    switch (random_below(8)) {
    case 0:
        rig_slice_end(cpu);
        break;
    case 1:
        rig_threads[thread].affinity = 1 + random_below(7);
        break;
    case 2:
    case 3:
        if (!rig_idle(cpu))
            step_running(cpu);
        break;
    case 4:
    case 5:
        if (waits(thread))
            rig_wake(cpu, thread);
        break;
    default:
        rig_interrupt(cpu);
    }
}

static void test_random_round_robin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5 * STEPS; i++) {
        step();
        sched_rig_check();
    }
    sched_rig_check_progress();
}

static void test_random_policies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5 * STEPS; i++) {
        if (i % 97 == 0)
            assert_int_equal(policy_set("sched", i % 2 ? "subject" : "round_robin"), OK);
        step();
        sched_rig_check();
    }
    assert_int_equal(policy_set("sched", "subject"), OK);
    sched_rig_check_progress();
    for (unsigned kind = 0; kind < POLICY_FAULT_KINDS; kind++)
        assert_int_equal(subject.figures.faults[kind], 0);
}

/* ---- policies that go wrong -------------------------------------------------------------------
 */

static void check_contained(enum policy_fault_kind kind)
{
    struct policy_info info;

    sched_rig_check();
    assert_ptr_equal(sched_class.active, &sched_round_robin);
    for (unsigned k = 0; k < POLICY_FAULT_KINDS; k++)
        assert_int_equal(subject.figures.faults[k], k == kind);
    assert_true(subject.retired);
    assert_true(logged("round_robin takes over sched"));
    assert_int_equal(policy_set("sched", "subject"), ERR_ACCESS);
    assert_int_equal(policy_info("sched", 0, &info), OK);
    assert_true(info.builtin && info.active);
    sched_rig_check_progress();
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        assert_ptr_equal(cpus[cpu]->policy, &sched_round_robin);
    for (unsigned i = 0; i < STEPS / 20; i++) {
        step();
        sched_rig_check();
    }
    sched_rig_check_progress();
}

static void go_wrong(enum subject_call call, unsigned nth, enum subject_fault fault,
                     enum policy_fault_kind kind)
{
    random_seed(call * 100 + nth);
    sched_rig_start(3);
    for (unsigned i = 0; i < RIG_THREADS; i += 2)
        rig_wake(0, i);
    rig_settle();
    subject_arm(call, nth, fault);
    assert_int_equal(policy_set("sched", "subject"), OK);
    for (unsigned i = 0; i < 5 * STEPS && !subject_went_wrong(); i++) {
        step();
        sched_rig_check();
    }
    if (!subject_went_wrong())
        fail_msg("call %d was never made %u times", call, nth);
    check_contained(kind);
    sched_rig_stop();
}

/* In every kind of call, at the first one and later. */
static void test_faults(void **state)
{
    (void)state;
    for (enum subject_call call = 0; call < SUBJECT_CALLS; call++) {
        for (unsigned nth = 1; nth <= (call == ON_START ? 3u : 40u); nth += 1 + nth / 3) {
            go_wrong(call, nth, SUBJECT_FAULT, POLICY_FAULTED);
            go_wrong(call, nth, SUBJECT_OVERRUN, POLICY_OVERRAN);
        }
    }
}

static void test_nonsense(void **state)
{
    (void)state;
    for (enum subject_fault fault = SUBJECT_NOBODY; fault <= SUBJECT_KEPT; fault++)
        for (unsigned nth = 1; nth <= 30; nth++)
            go_wrong(ON_PICK, nth, fault, POLICY_NONSENSE);
    for (unsigned nth = 1; nth <= 10; nth++)
        go_wrong(ON_DEQUEUE, nth, SUBJECT_KEPT, POLICY_NONSENSE);
}

/* ---- the table of policies --------------------------------------------------------------------
 */

static void test_registry(void **state)
{
    static const struct sched_ops incomplete = {.struct_size = sizeof(incomplete)};
    struct policy p = {.name = "other"};
    struct policy_class_info class;
    struct policy_info info;

    (void)state;
    assert_int_equal(policy_register("sched", &subject), ERR_EXISTS);
    assert_int_equal(policy_register("cooking", &p), ERR_NOT_FOUND);
    assert_int_equal(policy_register("sched", &p), ERR_INVALID);
    p.ops = &incomplete;
    assert_int_equal(policy_register("sched", &p), ERR_INVALID);
    p.ops = subject.ops;
    memset(p.name, 'x', sizeof(p.name));
    assert_int_equal(policy_register("sched", &p), ERR_INVALID);
    p.name[POLICY_NAME_MAX - 1] = '\0';
    assert_int_equal(policy_register("sched", &p), OK);
    assert_int_equal(policy_set("sched", p.name), OK);
    policy_unregister("sched", &p); /* while it is active */
    assert_ptr_equal(sched_class.active, &sched_round_robin);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        assert_ptr_equal(cpus[cpu]->policy, &sched_round_robin);

    assert_int_equal(policy_set("sched", "nobody"), ERR_NOT_FOUND);
    assert_int_equal(policy_set("cooking", "subject"), ERR_NOT_FOUND);
    assert_int_equal(policy_class_info(0, &class), OK);
    assert_string_equal(class.name, "sched");
    assert_int_equal(policy_class_info(1, &class), ERR_NOT_FOUND);
    assert_int_equal(policy_info("sched", 1, &info), OK);
    assert_string_equal(info.name, "subject");
    assert_int_equal(policy_info("sched", 2, &info), ERR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_spread),   CASE(test_block_and_wake),     CASE(test_priority),
        CASE(test_affinity), CASE(test_random_round_robin), CASE(test_random_policies),
        CASE(test_registry), cmocka_unit_test(test_faults), cmocka_unit_test(test_nonsense),
    };

    return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
