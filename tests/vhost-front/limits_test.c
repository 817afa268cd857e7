/* limits_test.c: work and builds that never end, under a time limit of a few seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "rig.h"

#define LIMIT_S "12" /* a busy host builds a few lines in that */
#define OWN_MS  6000 /* of a context's own limit: it loads a binary, and work begins */

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
    /* Also on a host that is so busy that both are late before anyone looks. */
    pid_t front = rig_process("gpud-front");
    assert_true(front > 0);
    poll(NULL, 0, 500);
    kill(front, SIGSTOP);
    poll(NULL, 0, 1000 * atoi(LIMIT_S) + 1000);
    kill(front, SIGCONT);
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
    struct rig rig;
    (void)state;
    rig_open(&rig);
    struct vgpgpu_program_create *request = front_at(rig.front, rig.front->request_guest + 65536);
    *request = (struct vgpgpu_program_create){
        .header = {.type = VGPGPU_PROGRAM_CREATE, .context = 1, .object = 1},
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source_bytes = (uint32_t)strlen(rig_bomb)};
    memcpy(request + 1, rig_bomb, strlen(rig_bomb));
    struct front_part parts[2] = {
        {rig.front->request_guest + 65536, sizeof(*request) + strlen(rig_bomb), false},
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
    enum { AHEAD = 4 };
    struct rig rig;
    int rounds = 0;
    time_t until = time(NULL) + atoi(LIMIT_S) + 3;
    (void)state;
    volatile int *cells = rig_open_with(&rig, "some",
               "kernel void some(global volatile int *c) {"
               "for (int i = 0; i < 5000000; i++) c[1] = i; c[0]++; }",
               1);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    /* The queue is never empty, for longer than the limit. */
    for (; time(NULL) < until || rounds < AHEAD; rounds++) {
        rig_submit(&rig, 0);
        if (rounds >= AHEAD)
            assert_int_equal(front_wait(rig.front, &rig.slots[0], rig.fences[0] - AHEAD, 0, 60000), 0);
    }
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[0], rounds);
    rig_close(&rig);
}

/* ---- A limit of a context's own ------------------------------------------------------------------
 */

#define LIMITED 2u

/* Context LIMITED of the machine, with a time limit, and its fence page. */
static struct vgpgpu_fence_slot *limited_make(struct rig *rig, uint32_t context, uint32_t time_ms)
{
    uint64_t page = front_pages(rig->front, 1);
    assert_int_equal(front_context_create(rig->front, context, page), 0);
    assert_int_equal(front_context_limit(rig->front, context, time_ms), 0);
    return front_at(rig->front, page);
}

static const char forever[] =
    "kernel void forever(global volatile int *c) { c[2] = 1; while (!c[0]) c[1]++; }";

static volatile int *limited_buffer(struct rig *rig)
{
    struct vgpgpu_segment page = {front_pages(rig->front, 1), VGPGPU_PAGE};
    assert_int_equal(front_buffer_guest(rig->front, LIMITED, 1, VGPGPU_PAGE, &page, 1), 0);
    return front_at(rig->front, page.address);
}

/* Built once, in a context that has the time that a busy host takes; *bytes long. */
static const uint8_t *forever_built(struct rig *rig, size_t *bytes)
{
    static uint8_t binary[256 << 10];
    static size_t count;
    uint64_t total = 1;
    size_t came;
    if (!count)
        assert_int_equal(front_program(rig->front, 1, 9, forever, NULL, 0), 0);
    for (total = count ? count : 1; count < total; count += came) {
        assert_int_equal(front_query(rig->front, 1, 9, VGPGPU_QUERY_BINARY, count, binary + count,
                                     sizeof(binary) - count, &total, &came),
                         0);
        assert_true(came > 0 && total <= sizeof(binary));
    }
    *bytes = count;
    return binary;
}

static void limited_work_start(struct rig *rig, volatile int *cells)
{
    size_t bytes;
    const uint8_t *binary = forever_built(rig, &bytes);
    assert_int_equal(
        front_program_kind(rig->front, LIMITED, 1, VGPGPU_PROGRAM_BINARY, binary, bytes, NULL, 0), 0);
    assert_int_equal(front_kernel(rig->front, LIMITED, 1, 1, "forever", NULL), 0);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    front_submit(rig->front, LIMITED, 4, 1, rig->batch->commands, rig->batch->bytes);
    for (int waited = 0; !cells[2] && waited < 20000; waited++)
        poll(NULL, 0, 1);
    assert_int_equal(cells[2], 1); /* it runs */
}

/* While one context's kernel runs for ever, until its limit and after, the other's objects work. */
static void test_others_go_on(void **state)
{
    struct rig rig;
    unsigned rounds = 0;
    (void)state;
    volatile int *count = rig_open_with(&rig, "count", "kernel void count(global int *c) { c[0]++; }", 1);
    struct vgpgpu_fence_slot *slots = limited_make(&rig, LIMITED, OWN_MS);
    limited_work_start(&rig, limited_buffer(&rig));
    for (unsigned after = 0; after < 50; rounds++, after += slots[4].signalled != 0) {
        assert_int_equal(rig.slots[0].status, 0);
        batch_launch(rig_batch(&rig), 1, 1, 1);
        batch_arg_buffer(rig.batch, 1, 0);
        assert_int_equal(rig_run(&rig, 0), 0);
        poll(NULL, 0, 2);
    }
    assert_int_equal(*count, rounds);
    assert_int_equal(slots[4].status, VGPGPU_ERR_TIMEOUT);
    assert_int_equal(front_buffer_device(rig.front, LIMITED, 2, 4096), VGPGPU_ERR_LOST);
    assert_int_equal(front_buffer_device(rig.front, 1, 2, 4096), 0);
    assert_int_equal(front_context_destroy(rig.front, LIMITED), 0);
    rig_close(&rig);
}

/* The owner begins anew, in the same place, any number of times. */
static void test_limited_again(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++) {
        struct vgpgpu_fence_slot *slots = limited_make(&rig, LIMITED, OWN_MS);
        limited_work_start(&rig, limited_buffer(&rig));
        assert_int_equal(front_wait(rig.front, &slots[4], 1, 0, 60000), 0);
        assert_int_equal(slots[4].status, VGPGPU_ERR_TIMEOUT);
        assert_int_equal(front_context_destroy(rig.front, LIMITED), 0);
    }
    rig_close(&rig);
}

/* The driver resets the device while contexts alone have work under way: nothing of it is left. */
static void test_reset_with_limits(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++) {
        limited_make(&rig, LIMITED, 60000);
        limited_work_start(&rig, limited_buffer(&rig));
        front_reset(rig.front);
        assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    }
    memset(rig.fences, 0, sizeof(rig.fences));
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

static void test_limits_that_are_wrong(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    struct vgpgpu_fence_slot *slots = limited_make(&rig, LIMITED, 30000); /* a busy host builds slowly */
    assert_int_equal(front_context_limit(rig.front, LIMITED, 30000), VGPGPU_ERR_INVALID); /* again */
    assert_int_equal(front_context_limit(rig.front, 3, 1000), VGPGPU_ERR_ID);
    assert_int_equal(front_context_limit(rig.front, 1, 0), VGPGPU_ERR_INVALID);
    assert_int_equal(front_buffer_device(rig.front, 1, 1, 4096), 0);
    assert_int_equal(front_context_limit(rig.front, 1, 1000), VGPGPU_ERR_INVALID); /* too late */
    front_submit(rig.front, LIMITED, 0, 1, NULL, 0);
    assert_int_equal(front_wait(rig.front, &slots[0], 1, 0, 60000), 0);
    assert_int_equal(slots[0].status, 0);
    uint64_t page = front_pages(rig.front, 1);
    assert_int_equal(front_context_create(rig.front, 3, page), 0);
    front_submit(rig.front, 3, 0, 1, NULL, 0);
    assert_int_equal(front_context_limit(rig.front, 3, 1000), VGPGPU_ERR_INVALID);
    for (uint32_t context = 3; context >= LIMITED; context--)
        assert_int_equal(front_context_destroy(rig.front, context), 0);
    rig_close(&rig);
}

/* There are so many places for contexts alone, and they come back. */
static void test_many_limits(void **state)
{
    struct rig rig;
    uint32_t count = 0, status = 0;
    (void)state;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++, status = 0) {
        for (count = 0; !status; count++) {
            uint64_t page = front_pages(rig.front, 1);
            assert_int_equal(front_context_create(rig.front, LIMITED + count, page), 0);
            status = front_context_limit(rig.front, LIMITED + count, 5000);
        }
        assert_int_equal(status, VGPGPU_ERR_LIMIT);
        assert_int_equal(count, 9);
        /* Who got no place works like others. */
        assert_int_equal(front_buffer_device(rig.front, LIMITED + count - 1, 1, 4096), 0);
        while (count-- > 0)
            assert_int_equal(front_context_destroy(rig.front, LIMITED + count), 0);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_that_never_ends),
        cmocka_unit_test(test_build_that_never_ends),
        cmocka_unit_test(test_much_work_goes_on),
        cmocka_unit_test(test_others_go_on),
        cmocka_unit_test(test_limited_again),
        cmocka_unit_test(test_reset_with_limits),
        cmocka_unit_test(test_limits_that_are_wrong),
        cmocka_unit_test(test_many_limits),
    };
    setenv("GPUD_TIME_LIMIT", LIMIT_S, 1);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
