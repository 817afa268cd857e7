/*
 * full_test.c: work that stands still, and more submissions behind it than the device takes: everything else of the
 * machine goes on, and what cannot be taken any more is told so. And what is destroyed while it is in use.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"

#define TAKEN  3072u /* as many go to the device without need, */
#define AT_ALL 4096u /* and as many at all */

/* A machine whose queue 0 stands still until the first number is set. */
static volatile int *standing_open(struct rig *rig)
{
    volatile int *cells = rig_open_with(
        rig, "until", "kernel void until(global volatile int *c) { c[1] = 1; while (!c[0]) ; }", 1);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    rig_submit(rig, 0);
    rig_batch(rig); /* what follows only signals */
    return cells;
}

static void submit_up_to(struct rig *rig, uint64_t fence)
{
    while (rig->fences[0] < fence)
        rig_submit(rig, 0);
}

/* Another context comes, has objects, and goes. */
static void others_pass(struct rig *rig)
{
    uint64_t page = front_pages(rig->front, 1);
    assert_int_equal(front_context_create(rig->front, 2, page), 0);
    assert_int_equal(front_buffer_device(rig->front, 2, 1, VGPGPU_PAGE), 0);
    assert_int_equal(front_destroy(rig->front, VGPGPU_BUFFER_DESTROY, 2, 1), 0);
    assert_int_equal(front_context_destroy(rig->front, 2), 0);
    assert_int_equal(front_context_destroy(rig->front, 9), VGPGPU_ERR_ID);
}

static void test_destroying_goes_on(void **state)
{
    struct rig rig;
    (void)state;
    volatile int *cells = standing_open(&rig);
    assert_int_equal(front_buffer_device(rig.front, 1, 2, VGPGPU_PAGE), 0);
    submit_up_to(&rig, TAKEN + 100); /* these stay in the ring */
    others_pass(&rig);
    /* One that such a submission might name is destroyed after it. */
    assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 2), 0);
    others_pass(&rig);
    assert_int_equal(rig.slots[0].signalled, 0);
    cells[0] = 1;
    assert_int_equal(rig_wait(&rig, 0), 0);
    rig_close(&rig);
}

/* Each destruction has it take what was submitted before: there is an end to that. */
static void test_too_many(void **state)
{
    struct rig rig;
    (void)state;
    volatile int *cells = standing_open(&rig);
    while (rig.fences[0] < AT_ALL + 300) {
        submit_up_to(&rig, rig.fences[0] < TAKEN ? TAKEN : rig.fences[0] + 100);
        assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 7), VGPGPU_ERR_ID);
    }
    assert_int_equal(rig.slots[0].signalled, 0);
    cells[0] = 1;
    assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_NO_MEMORY);
    assert_int_equal(rig.slots[0].failed, AT_ALL + 1);
    batch_fill(rig_batch(&rig), 1, 0, 8, &(uint64_t){5}, 8);
    rig_submit(&rig, 1);
    assert_int_equal(rig_wait(&rig, 1), 0);
    assert_int_equal(cells[0], 5);
    rig_close(&rig);
}

/* What a submission uses lives to its end, and a kernel without its program, whose number serves another. */
static void test_used_and_destroyed(void **state)
{
    static const char other[] = "kernel void set(global volatile int *c) { c[2] = 9; }";
    struct rig rig;
    (void)state;
    volatile int *cells = standing_open(&rig);
    assert_int_equal(front_destroy(rig.front, VGPGPU_PROGRAM_DESTROY, 1, 1), 0);
    assert_int_equal(front_program(rig.front, 1, 1, other, NULL, 0), 0);
    batch_launch(rig_batch(&rig), 1, 1, 1); /* the first program's kernel still */
    batch_arg_buffer(rig.batch, 1, 0);
    rig_submit(&rig, 0);
    assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1), 0);
    uint64_t count;
    assert_int_equal(front_kernel(rig.front, 1, 1, 1, "set", &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(rig.slots[0].signalled, 0);
    cells[0] = 1;
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[2], 0);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    rig_submit(&rig, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[2], 9);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_destroying_goes_on), cmocka_unit_test(test_too_many),
                                       cmocka_unit_test(test_used_and_destroyed)};
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
