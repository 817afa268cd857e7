/*
 * clock_test.c: the clock on a processor whose counters the test moves, and which its host takes away
 * now and then, also in the middle of a reading.
 */
#include "stand_ins.h"

#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/time.h>

#include "kernel/time/time_internal.h"

#define TRUE_KHZ 2345678ul

/* ---- around time.c ----------------------------------------------------------------------------
 */

static uint64_t true_ns;
static uint64_t armed_at, armed_ns; /* the APIC timer: counts down from then */
static unsigned away_of_100;        /* how often the host takes the processor away */
static unsigned changes;
static struct cpuid_regs leaf_15;

/* Each reading takes its time, and now and then the host's. */
static void time_pass(void)
{
    true_ns += 30 + random_below(20);
    if (random_below(100) < away_of_100)
        true_ns += random_below(8 * NS_PER_MS);
}

static uint64_t tsc_of(uint64_t ns)
{
    return 1000 + (uint64_t)((__int128)ns * TRUE_KHZ / 1000000);
}

uint64_t tsc_read(void)
{
    time_pass();
    return tsc_of(true_ns);
}

uint32_t apic_timer_count(void)
{
    time_pass();
    return true_ns - armed_at < armed_ns ? (uint32_t)(armed_ns - (true_ns - armed_at)) : 0;
}

void apic_timer_arm(uint64_t ns)
{
    time_pass();
    armed_at = true_ns;
    armed_ns = ns;
}

void apic_timer_free_run(void)
{
    apic_timer_arm(0xffffffff);
}

struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub)
{
    (void)sub;
    if (leaf == 0)
        return (struct cpuid_regs){.eax = leaf_15.eax ? 0x15 : 7};
    return leaf == 0x15 ? leaf_15 : (struct cpuid_regs){0};
}

uint64_t boot_option_number(const char *name, uint64_t otherwise)
{
    (void)name;
    return otherwise;
}

uint64_t rtc_read_seconds(void)
{
    return 0;
}

static void rate_changed(void)
{
    changes++;
}

/* ---- the tests --------------------------------------------------------------------------------
 */

static double rate_error(void)
{
    double error = (double)time_tsc_khz() / TRUE_KHZ - 1;

    return error < 0 ? -error : error;
}

/* As at start-up, which takes about 300 us. */
static void clock_start(unsigned seed, unsigned away)
{
    cpus_reset(1);
    random_seed(seed);
    true_ns = seed * 12345;
    away_of_100 = away;
    changes = 0;
    time_init_early();
    true_ns += 300000;
    time_init();
}

static void test_first_rate(void **state)
{
    unsigned bad = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        clock_start(seed, 0);
        assert_true(rate_error() < 0.001);
        clock_start(seed, 20); /* a reading of its own is lost to the host one time in two */
        bad += rate_error() > 0.001;
    }
    if (bad > 40) /* all readings at one end were bad */
        fail_msg("%u of 200 first rates are wrong", bad);
}

/* The timer is set again and again, mostly before it has expired: the rate ends right whatever it was,
 * and meanwhile the clock never goes back. */
static void test_rate_improves(void **state)
{
    unsigned improved = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 100; seed++) {
        struct timer_span span = {0};
        uint64_t last = 0;

        clock_start(seed, 20);
        time_rate_watch(rate_changed);
        for (unsigned i = 0; i < 2000; i++) {
            time_arm(&span, 1 + random_below(3000000000u));
            true_ns += random_below(i % 8 ? 20 * NS_PER_MS : 2 * NS_PER_SEC);
            assert_true(time_now() >= last);
            last = time_now();
        }
        assert_true(rate_error() < 0.00001);
        assert_true(changes <= 20); /* each is twice as good as the one before */
        improved += changes > 0;
        time_rate_watch(NULL);
    }
    assert_true(improved > 50); /* but where the host had been away between the first two readings only */
}

/* A rate that the machine was told is not improved on. */
static void test_rate_told(void **state)
{
    struct timer_span span = {0};

    (void)state;
    leaf_15 = (struct cpuid_regs){.eax = 1, .ebx = 1, .ecx = 2000000000};
    clock_start(1, 0);
    leaf_15 = (struct cpuid_regs){0};
    for (unsigned i = 0; i < 100; i++) {
        time_arm(&span, 3000000000u);
        true_ns += 2 * NS_PER_SEC;
    }
    assert_int_equal(time_tsc_khz(), 2000000);
}

/* What programs compute from the rate is what the kernel says. */
static void test_rate_for_programs(void **state)
{
    struct time_rate r;

    (void)state;
    clock_start(7, 0);
    time_rate(&r);
    for (uint64_t ns = 0; ns < 100 * NS_PER_SEC; ns += NS_PER_SEC / 3) {
        uint64_t tsc = tsc_of(ns);

        assert_int_equal(time_from_tsc(tsc),
                         r.base_ns + (uint64_t)((__int128)(int64_t)(tsc - r.base_tsc) * (int64_t)r.mult >>
                                                TIME_RATE_SHIFT));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_rate),
        cmocka_unit_test(test_rate_improves),
        cmocka_unit_test(test_rate_told),
        cmocka_unit_test(test_rate_for_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
