/* limits_test.c: work and builds that never end, under a time limit of a few seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rig.h"

/* Another context of the same machine works, in a new device process. */
static void machine_goes_on(struct rig *rig)
{
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    memset(rig->fences, 0, sizeof(rig->fences));
    rig_kernel(rig, 1, "nop", "kernel void nop(void) {}", 0);
    batch_launch(rig_batch(rig), 1, 1, 1);
    assert_int_equal(rig_run(rig, 3), 0);
    rig_close(rig);
}

static void test_kernel_that_never_ends(void **state)
{
    struct rig rig, other;
    (void)state;
    rig_open(&other);
    int *cells = rig_open_with(&rig, "forever",
               "kernel void forever(global volatile int *c) { while (!c[0]) c[1]++; }", 1);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    rig_submit(&rig, 3);
    rig_submit(&rig, 3); /* behind it */
    poll(NULL, 0, 2000);
    rig_submit(&rig, 5); /* which is no better, but younger */
    assert_int_equal(rig_wait(&rig, 3), VGPGPU_ERR_TIMEOUT);
    assert_int_equal(rig.slots[3].failed, 1);
    assert_int_equal(rig_wait(&rig, 5), VGPGPU_ERR_LOST);
    assert_int_equal(rig.slots[5].failed, 1);
    assert_int_equal(cells[0], 0);
    rig_batch(&rig);
    rig_submit(&rig, 6);
    assert_int_equal(rig_wait(&rig, 6), VGPGPU_ERR_LOST);
    machine_goes_on(&rig);
    rig_batch(&other);
    assert_int_equal(rig_run(&other, 0), 0);
    rig_close(&other);
}

/* A text of a few lines that is gigabytes to the compiler. */
static void test_build_that_never_ends(void **state)
{
    static const char source[] = "#define A x[0]++;\n"
                                 "#define B A A A A A A A A A A A A A A A A\n"
                                 "#define C B B B B B B B B B B B B B B B B\n"
                                 "#define D C C C C C C C C C C C C C C C C\n"
                                 "#define E D D D D D D D D D D D D D D D D\n"
                                 "#define F E E E E E E E E E E E E E E E E\n"
                                 "kernel void bomb(global volatile int *x) { F }\n";
    struct rig rig;
    (void)state;
    rig_open(&rig);
    struct vgpgpu_program_create *request = front_at(rig.front, rig.front->request_guest + 65536);
    *request = (struct vgpgpu_program_create){
        .header = {.type = VGPGPU_PROGRAM_CREATE, .context = 1, .object = 1},
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source_bytes = sizeof(source) - 1};
    memcpy(request + 1, source, sizeof(source) - 1);
    struct front_part parts[2] = {
        {rig.front->request_guest + 65536, sizeof(*request) + sizeof(source) - 1, false},
        {rig.front->request_guest, 4096, true}};
    uint16_t head;
    uint32_t written;
    front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 2);
    assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    const struct vgpgpu_reply *reply = front_at(rig.front, rig.front->request_guest);
    assert_int_equal(reply->status, VGPGPU_ERR_TIMEOUT);
    machine_goes_on(&rig);
}

/* Many batches, each well within the limit, are no reason to end anything. */
static void test_much_work_goes_on(void **state)
{
    enum { ROUNDS = 200 };
    struct rig rig;
    (void)state;
    volatile int *cells = rig_open_with(&rig, "some",
               "kernel void some(global volatile int *c) {"
               "for (int i = 0; i < 100000000; i++) c[1] = i; c[0]++; }",
               1);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    for (int i = 0; i < ROUNDS; i++)
        rig_submit(&rig, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[0], ROUNDS);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_that_never_ends),
        cmocka_unit_test(test_build_that_never_ends),
        cmocka_unit_test(test_much_work_goes_on),
    };
    setenv("GPUD_TIME_LIMIT", "6", 1);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
