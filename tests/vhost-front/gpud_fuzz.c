/*
 * gpud_fuzz.c: random requests, commands and descriptor chains against a gpud built with sanitizers.
 * Every request must be answered with a status of the specification that agrees with what is there; the
 * front and the device process must stay alive and go on doing right work.
 *
 *     gpud_fuzz [ITERATIONS [SEED]]      GPUD: another gpud than build/tests/gpud-asan
 *     gpud_fuzz --requests 2000000 --seed 7 --seconds 3600
 *
 * With GPUD_FUZZ_STACKS in the environment a device process that stands still is shown to gdb. Long runs
 * have builds that never end, too, and every run of more than a few thousand iterations must have met every
 * outcome that the specification has for a request or a command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"

#define CHECK_EVERY  5000u
#define RACE_EVERY   1000u
#define FLOOD_EVERY  2000u
#define KILL_EVERY   1500u
#define FULL_EVERY   20000u
#define BOMB_EVERY   250000u
#define COMPLETE_FROM 60000u /* iterations, for each outcome to have come */

static unsigned long iterations = 20000;

static bool front_lives(void)
{
    struct pollfd event = {.fd = fuzz.rig.front->socket, .events = POLLIN};
    return poll(&event, 1, 0) == 0;
}

static void step(unsigned long i)
{
    unsigned what = random_below(40);
    if (i % BOMB_EVERY == BOMB_EVERY - 1)
        bomb_step();
    else if (i % RACE_EVERY == RACE_EVERY - 1)
        race_step();
    else if (i % FLOOD_EVERY == FLOOD_EVERY / 2)
        flood_step();
    else if (i % KILL_EVERY == KILL_EVERY / 3)
        kill_step();
    else if (i % FULL_EVERY == FULL_EVERY / 2 + 1)
        full_step();
    else if (i % CHECK_EVERY == 0)
        machine_start_over();
    else if (what < 16)
        control_step();
    else if (what < 27)
        submit_step();
    else if (what < 37)
        command_step();
    else if (what < 38)
        header_step();
    else if (what < 39)
        ring_step();
    else if (one_in(2))
        crowd_step();
    else if (one_in(3))
        event_step();
    else
        ring_step();
}

/* What was sent, what came of it, and of whom. */
static void sum_print(uint64_t first)
{
    static const char *const names[] = {"OK",        "INVALID", "ID",          "RANGE", "LIMIT",
                                        "NO_MEMORY", "BUILD",   "UNSUPPORTED", "EXEC",  "LOST",
                                        "TIMEOUT"};
    const struct front_queue *queues = fuzz.rig.front->queues;
    unsigned long controls = queues[VGPGPU_QUEUE_CONTROL].chains, submits = queues[VGPGPU_QUEUE_SUBMIT].chains;
    printf("%lu requests (%lu on the control queue, %lu submissions) in %.0f s (%.0f a second) from seed %llu; of "
           "those that were looked at",
           controls + submits, controls, submits, rig_seconds(), (double)(controls + submits) / rig_seconds(),
           (unsigned long long)first);
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        printf("%s %lu %s", i ? "," : "", counts_of(i), names[i]);
    printf("; %u builds without an end; %u device processes replaced, %u fronts\n", bombs_seen,
           rig_log_count("the device process is gone"), rig_log_count("its front was ended"));
}

static void test_fuzz(void **state)
{
    (void)state;
    uint64_t first = fuzz_seed;
    unsigned long i = 0;
    beside_open();
    rig_open(&fuzz.rig);
    fuzz.scratch = front_pages(fuzz.rig.front, FUZZ_SCRATCH_PAGES);
    fuzz.tables = front_pages(fuzz.rig.front, 1);
    fuzz.home_page = front_pages(fuzz.rig.front, 4 * FUZZ_HOME_BUFFERS);
    for (; rig_goes_on(i); i++) {
        step(i);
        if (!front_lives())
            fail_msg("the front died at iteration %lu from seed %llu", i,
                     (unsigned long long)first);
    }
    machine_start_over();
    assert_int_equal(rig_log_count("its front was ended"), kills_of_fronts);
    assert_int_equal(rig_log_count("its front was ended by signal 9"), kills_of_fronts);
    assert_int_equal(rig_log_count("the device process is gone"), bombs_lost + kills_lost);
    if (!bombs_lost)
        rig_log_is_clean();
    front_context_create(fuzz.rig.front, 1, fuzz.rig.fence_guest);
    unsigned missing = counts_print();
    sum_print(first);
    rig_close(&fuzz.rig);
    rig_close(&fuzz.beside);
    assert_int_equal(counts_undocumented, 0);
    if (i >= COMPLETE_FROM)
        assert_int_equal(missing, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fuzz)};
    rig_arguments(argc, argv, "ITERATIONS", &iterations, &fuzz_seed);
    setenv("GPUD", "build/tests/gpud-asan", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    setenv("GPUD_TIME_LIMIT", "40", 0); /* seconds: of a build bomb */
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
