/*
 * fuzz_tensors.c: random built-in operations through the rings, as unit/gpud_tensors has them in one process: on
 * whatever does them, oneDNN or, with GPUD_OPERATIONS=clblast, CLBlast. Results are compared with plain C, and all
 * else of the guest's memory with what was there; what is right is done, or refused as what the device does not
 * have; what is not is an error.
 *
 *     gpud_fuzz_tensors [TRIALS [SEED]]      GPUD: another gpud than build/tests/gpud-asan
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rig.h"
#include "tests/unit/tensors/tensors.h"

#define LIMIT_SECONDS "600"
#define LONGEST_MS    610000

static unsigned long trials = 800;
static struct rig rig;
static uint64_t arena; /* guest-physical: where the buffers are */
static uint8_t *arena_bytes;
static struct trial trial;
static uint64_t trial_start; /* the seed from which this one alone comes again */
static uint32_t queue;       /* nothing has failed on it: a queue tells of its first failure alone */
static unsigned long wrongs;

static void buffers_make(void)
{
    for (uint32_t i = 1; i <= BUFFERS; i++) {
        struct vgpgpu_segment segment = {arena + (uint64_t)(buffers[i].memory - arena_bytes),
                                         (buffers[i].size + VGPGPU_PAGE - 1) / VGPGPU_PAGE * VGPGPU_PAGE};
        assert_int_equal(front_buffer_guest(rig.front, 1, i, buffers[i].size, &segment, 1), 0);
    }
}

static void buffers_end(void)
{
    for (uint32_t i = 1; i <= BUFFERS; i++)
        assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, i), 0);
}

/* Another queue; another context when there are no more. */
static void queue_next(void)
{
    if (++queue < VGPGPU_QUEUES_PER_CONTEXT)
        return;
    queue = 0;
    memset(rig.fences, 0, sizeof(rig.fences));
    assert_int_equal(front_context_destroy(rig.front, 1), 0);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
}

static uint32_t trial_run(void)
{
    buffers_make();
    batch_operation(rig_batch(&rig), trial.operation, trial.tensors, trial.count, trial.parameters,
                    trial.parameter_bytes);
    rig_submit(&rig, queue);
    /* As long as gpud has: CLBlast compiles its kernels at the first product of a kind. */
    assert_int_equal(front_wait(rig.front, &rig.slots[queue], rig.fences[queue], 50, LONGEST_MS), 0);
    uint32_t status = rig.slots[queue].status;
    buffers_end();
    if (status)
        queue_next();
    return status;
}

static _Noreturn void trial_fail(const char *why)
{
    trial_print(&trial);
    fprintf(stderr, "%s\nagain: gpud_fuzz_tensors 1 %llu\n", why, (unsigned long long)trial_start);
    fail_msg("%s", why);
    abort();
}

static void trial_step(void)
{
    trial_start = trial_seed;
    trial_make(&trial);
    bool right = trial_is_right(&trial);
    if (right)
        trial_fill(&trial);
    memory_keep();
    uint32_t status = trial_run();
    const char *wrong = outcome_judge(&trial, right, status);
    wrongs += !right;
    if (!right && (status == VGPGPU_ERR_EXEC || status == VGPGPU_ERR_LOST))
        wrong = "what is wrong came to the device";
    if (wrong) {
        fprintf(stderr, "status %u: ", status);
        trial_fail(wrong);
    }
}

/* The operations that the device has must have been done. */
static void outcomes_check(void)
{
    outcomes_print();
    for (uint16_t i = 1; i <= VGPGPU_LSTM && trials >= 500; i++)
        assert_true((outcomes_done(i) > 0) == (rig.front->config.operations[i] != 0));
}

/* One operation that the device has, where it has one only: nearly all trials are of that. */
static void operation_favour(void)
{
    unsigned count = 0;
    for (uint16_t i = 1; i <= VGPGPU_LSTM; i++)
        if (rig.front->config.operations[i]) {
            trial_operation = i;
            count++;
        }
    if (count != 1)
        trial_operation = 0;
}

static void test_tensors(void **state)
{
    uint64_t first = trial_seed;
    unsigned long done = 0;
    (void)state;
    rig_open(&rig);
    if (!rig.front->config.operations[VGPGPU_GEMM]) {
        rig_close(&rig);
        skip(); /* this host has no library of operations */
    }
    arena = front_pages(rig.front, BUFFERS * ROOM_BYTES / VGPGPU_PAGE);
    arena_bytes = front_at(rig.front, arena);
    memory_open_at(arena_bytes);
    operation_favour();
    for (; rig_goes_on(done); done++)
        trial_step();
    trials = done;
    outcomes_check();
    rig_close(&rig);
    printf("%lu operations in %.0f s (%.0f a second) from seed %llu, %lu of them wrong, each an error; %u device "
           "processes replaced\n",
           done, rig_seconds(), (double)done / rig_seconds(), (unsigned long long)first, wrongs,
           rig_log_count("the device process is gone"));
    assert_int_equal(rig_log_count("the device process is gone"), 0);
    assert_int_equal(rig_log_count("its front was ended"), 0);
    rig_log_is_clean();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tensors)};
    rig_arguments(argc, argv, "TRIALS", &trials, &trial_seed);
    setenv("GPUD", "build/tests/gpud-asan", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    setenv("GPUD_TIME_LIMIT", LIMIT_SECONDS, 0);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
