/*
 * timer_test.c: one-shot timers on a clock that the test moves: their order, moving and cancelling
 * them, what the APIC is asked for, and a random run against a plain list.
 */
#include "stand_ins.h"

#include <arch/x86.h>
#include <microlake/cpu.h>
#include <microlake/time.h>

#include "kernel/time/time_internal.h"

#define TIMERS  200
#define LONGEST (3 * NS_PER_SEC)

static uint64_t clock_now;
static uint64_t apic_due[TEST_CPUS]; /* when the CPU's timer interrupt comes, or TIME_NEVER */
static unsigned apic_arms;

static struct timer timers[TIMERS];
static uint64_t model_due[TIMERS]; /* TIME_NEVER: not armed */
static unsigned model_cpu[TIMERS];
static unsigned fired[64], fired_count; /* the order in which they ran */
static void (*on_fire)(unsigned i);

/* ---- around timer.c ---------------------------------------------------------------------------
 */

uint64_t time_now(void)
{
    return clock_now;
}

void time_arm(struct timer_span *span, uint32_t ns)
{
    assert_ptr_equal(span, &this_cpu()->timer_span);
    assert_true(ns >= 1);
    assert_true(ns <= LONGEST); /* its counter has 32 bits */
    assert_false(interrupts_are_on());
    apic_due[this_cpu()->id] = clock_now + ns;
    apic_arms++;
}

/* Lets time pass, with the interrupts that are due on the way, to the nanosecond. */
static void clock_run(uint64_t until)
{
    unsigned before = this_cpu()->id;

    for (;;) {
        unsigned next = 0;

        for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
            if (apic_due[cpu] < apic_due[next])
                next = cpu;
        if (apic_due[next] > until)
            break;
        clock_now = apic_due[next];
        apic_due[next] = TIME_NEVER;
        cpu_run_on(next);
        interrupts_disable();
        timer_interrupt();
        interrupts_restore(1);
    }
    clock_now = until;
    cpu_run_on(before);
}

static void expired(struct timer *t)
{
    unsigned i = (unsigned)(t - timers);

    if (model_due[i] > clock_now)
        fail_msg("timer %u came at %lu, due at %lu", i, clock_now, model_due[i]);
    assert_int_equal(this_cpu()->id, model_cpu[i]);
    assert_false(interrupts_are_on());
    model_due[i] = TIME_NEVER;
    fired[fired_count++ % ARRAY_SIZE(fired)] = i;
    if (on_fire)
        on_fire(i);
}

static void arm(unsigned i, uint64_t due)
{
    model_due[i] = due;
    model_cpu[i] = this_cpu()->id;
    timer_arm(&timers[i], due);
}

static void cancel(unsigned i)
{
    assert_int_equal(timer_cancel(&timers[i]), model_due[i] != TIME_NEVER);
    model_due[i] = TIME_NEVER;
}

static int setup(void **state)
{
    (void)state;
    cpus_reset(3);
    clock_now = 1000;
    apic_arms = fired_count = 0;
    on_fire = NULL;
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        apic_due[cpu] = TIME_NEVER;
        cpus[cpu]->slice_end = TIME_NEVER;
        timer_cpu_init(cpus[cpu]);
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], expired);
        model_due[i] = TIME_NEVER;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_check_idle();
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        assert_null(cpus[cpu]->timers.root);
        assert_null(cpus[cpu]->timer_running);
    }
    return 0;
}

static void check_fired(unsigned count, ...)
{
    va_list args;

    assert_int_equal(fired_count, count);
    va_start(args, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(fired[i], va_arg(args, unsigned));
    va_end(args);
}

/* ---- cases ------------------------------------------------------------------------------------
 */

static void test_order(void **state)
{
    (void)state;
    arm(0, 5000);
    arm(1, 3000);
    arm(2, 9000);
    arm(3, 1500);
    clock_run(1499);
    check_fired(0);
    clock_run(1500);
    check_fired(1, 3u);
    clock_run(8999);
    check_fired(3, 3u, 1u, 0u);
    clock_run(20000);
    check_fired(4, 3u, 1u, 0u, 2u);
    for (unsigned i = 0; i < 4; i++)
        assert_false(timers[i].armed);
}

static void test_due_already(void **state)
{
    (void)state;
    arm(0, 0);
    arm(1, 1000);
    clock_run(1001);
    assert_int_equal(fired_count, 2);
}

static void test_same_due(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        arm(i, 4000);
    cancel(7);
    arm(8, 4001);
    clock_run(4000);
    assert_int_equal(fired_count, 18);
    assert_int_equal(model_due[8], 4001);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(model_due[i] == TIME_NEVER, i != 8);
    assert_int_equal(apic_arms,
                     2); /* for the first of them, and at its interrupt for what is left */
    clock_run(4001);
    assert_int_equal(fired_count, 19);
}

static void test_move(void **state)
{
    (void)state;
    arm(0, 5000);
    arm(0, 2000);
    clock_run(3000);
    check_fired(1, 0u);
    arm(0, 4000);
    arm(0, 6000);
    clock_run(5999);
    assert_int_equal(fired_count, 1);
    clock_run(6000);
    assert_int_equal(fired_count, 2);
    arm(0, 7000);
    cpu_run_on(1); /* it moves to the CPU that arms it */
    arm(0, 8000);
    clock_run(9000);
    assert_int_equal(fired_count, 3);
}

static void test_cancel(void **state)
{
    (void)state;
    cancel(0); /* never armed */
    arm(0, 2000);
    arm(1, 3000);
    cancel(0);
    cancel(0);
    cpu_run_on(2); /* from another CPU */
    cancel(1);
    clock_run(10000);
    check_fired(0);
    arm(0, 11000);
    clock_run(11000);
    cancel(0); /* it has run */
    check_fired(1, 0u);
}

/* The hardware's counter does not reach that far; it is asked again and again. */
static void test_far(void **state)
{
    (void)state;
    arm(0, 10 * NS_PER_SEC);
    clock_run(10 * NS_PER_SEC - 1);
    check_fired(0);
    assert_in_range(apic_arms, 4, 5);
    clock_run(10 * NS_PER_SEC);
    check_fired(1, 0u);
    arm(1, TIME_NEVER - 1);
    clock_run(60 * NS_PER_SEC);
    check_fired(1, 0u);
    cancel(1);
}

static void test_idle_is_silent(void **state)
{
    (void)state;
    arm(0, 2000);
    clock_run(2000);
    apic_arms = 0;
    clock_run(100 * NS_PER_SEC);
    assert_int_equal(apic_arms, 0);
    for (unsigned cpu = 0; cpu < 3; cpu++)
        assert_int_equal(apic_due[cpu], TIME_NEVER);
}

static void rearm_and_cancel(unsigned i)
{
    if (i == 0 && clock_now < 10000)
        arm(0, clock_now + 1000); /* itself: every microsecond */
    if (i == 1) {
        cancel(1);         /* itself, which runs */
        cancel(2);         /* due at the same time, later in order or already over */
        arm(3, clock_now); /* due at once: in the same interrupt */
    }
}

static void test_from_callbacks(void **state)
{
    (void)state;
    on_fire = rearm_and_cancel;
    arm(0, 2000);
    clock_run(20000);
    assert_int_equal(fired_count, 9);
    fired_count = 0;
    arm(1, 21000);
    arm(2, 21000);
    clock_run(21000);
    assert_int_equal(model_due[3], TIME_NEVER);
    assert_in_range(fired_count, 2, 3);
    clock_run(30000);
    assert_in_range(fired_count, 2, 3);
}

static void test_slice(void **state)
{
    (void)state;
    interrupts_disable();
    cpus[0]->slice_end = 5000;
    timer_program(5000);
    interrupts_restore(1);
    arm(0, 3000);
    arm(1, 7000);
    clock_run(4999);
    check_fired(1, 0u);
    assert_false(cpus[0]->slice_expired);
    clock_run(5000);
    assert_true(cpus[0]->slice_expired);
    assert_true(cpus[0]->need_resched);
    assert_int_equal(cpus[0]->slice_end, TIME_NEVER);
    clock_run(7000);
    check_fired(2, 0u, 1u);
}

static void random_step(void)
{
    unsigned i = (unsigned)random_below(TIMERS);

    cpu_run_on((unsigned)random_below(3));
    switch (random_below(8)) {
    case 0:
        cancel(i);
        break;
    case 1:
    case 2:
        clock_run(clock_now + random_below(500));
        break;
    default:
        arm(i, clock_now + random_below(random_below(4) ? 300 : 20000));
        break;
    }
    /* What should have come has come. */
    for (i = 0; i < TIMERS; i++) {
        if (model_due[i] < clock_now)
            fail_msg("timer %u was due at %lu, it is %lu", i, model_due[i], clock_now);
        assert_int_equal(timers[i].armed, model_due[i] != TIME_NEVER);
    }
}

static void test_random(void **state)
{
    (void)state;
    random_seed(3);
    for (unsigned step = 0; step < 30000; step++)
        random_step();
    clock_run(clock_now + 30000);
    for (unsigned i = 0; i < TIMERS; i++)
        assert_int_equal(model_due[i], TIME_NEVER);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_order),          CASE(test_due_already), CASE(test_same_due),
        CASE(test_move),           CASE(test_cancel),      CASE(test_far),
        CASE(test_slice),          CASE(test_random),      CASE(test_idle_is_silent),
        CASE(test_from_callbacks),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
