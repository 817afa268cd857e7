/*
 * signal_test.c: SIGNAL: a submission tells in its middle how far it has come. Kernels that wait for a number of
 * this side's hold the work where a test wants it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "lib/gpucmd/tensor.h"
#include "rig.h"

#define HOLD_MS 60 /* what must not happen does not within this */

static const char source[] =
    "kernel void put(global int *c, int at, int v) { c[at] = v; }\n"
    "kernel void gate(global volatile int *c, int at) { c[at + 1] = 1; while (!c[at]); }\n";

enum { PUT = 1, GATE = 2 };

static struct rig rig;
static volatile int *cells; /* buffer 1: gates' numbers are even, and behind each is whether it was come to */

static void machine_open(void)
{
    uint64_t args;
    cells = rig_open_with(&rig, "put", source, 3);
    assert_int_equal(front_kernel(rig.front, 1, GATE, 1, "gate", &args), 0);
    memset((void *)cells, 0, VGPGPU_PAGE);
    rig_batch(&rig);
}

static void put_add(int at, int value)
{
    batch_launch(rig.batch, PUT, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    batch_arg_value(rig.batch, &at, sizeof(at));
    batch_arg_value(rig.batch, &value, sizeof(value));
}

static void gate_add(int at)
{
    batch_launch(rig.batch, GATE, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    batch_arg_value(rig.batch, &at, sizeof(at));
}

static void gate_await(int at)
{
    while (!cells[at + 1])
        poll(NULL, 0, 1);
}

/* The batch, whose fence leaves room for `below` values. */
static void submit(uint32_t queue, uint32_t below, uint32_t flags)
{
    rig.fences[queue] += below + 1;
    front_submit_flags(rig.front, 1, queue, rig.fences[queue], flags, rig.batch->commands,
                       rig.batch->bytes);
    rig_batch(&rig);
}

static uint64_t signalled(uint32_t queue)
{
    return __atomic_load_n(&rig.slots[queue].signalled, __ATOMIC_ACQUIRE);
}

static void await(uint32_t queue, uint64_t value)
{
    assert_int_equal(front_wait(rig.front, &rig.slots[queue], value, 0, 60000), 0);
}

static void stays(uint32_t queue, uint64_t value)
{
    poll(NULL, 0, HOLD_MS);
    assert_int_equal(signalled(queue), value);
}

/* ---- What it does ------------------------------------------------------------------------------ */

/* Each value comes when what is before it has ended, not sooner, with an event for who sleeps and what was written,
 * and the times are in order. */
static void test_progress(void **state)
{
    (void)state;
    machine_open();
    struct vgpgpu_fence_slot *slot = &rig.slots[3];
    gate_add(2);
    put_add(100, 7);
    batch_signal(rig.batch, 2);
    gate_add(4);
    batch_signal(rig.batch, 1);
    gate_add(6);
    submit(3, 2, 0);
    gate_await(2);
    stays(3, 0);
    unsigned events = rig.front->events_seen;
    cells[2] = 1;
    await(3, 1);
    assert_int_equal(rig.front->events_seen, events + 1);
    assert_int_equal(rig.front->last_event.value, 1);
    assert_int_equal(cells[100], 7);
    stays(3, 1);
    uint64_t start = slot->start_ns, end = slot->end_ns;
    assert_true(slot->queued_ns && slot->ready_ns >= slot->queued_ns && start >= slot->ready_ns);
    assert_true(end >= start);
    cells[4] = 1;
    await(3, 2);
    assert_true(slot->start_ns == start && slot->end_ns >= end + HOLD_MS * 1000000ull);
    end = slot->end_ns;
    stays(3, 2);
    cells[6] = 1;
    assert_int_equal(rig_wait(&rig, 3), 0);
    assert_int_equal(signalled(3), 3);
    assert_true(slot->start_ns == start && slot->end_ns >= end + HOLD_MS * 1000000ull);
    assert_int_equal(slot->failed, 0);
    rig_close(&rig);
}

/* It waits for the submissions before its own, and other queues do not notice. */
static void test_behind_others(void **state)
{
    (void)state;
    machine_open();
    gate_add(2);
    submit(0, 0, 0);
    batch_signal(rig.batch, 2);
    batch_signal(rig.batch, 1);
    gate_add(4);
    submit(0, 2, 0);
    gate_await(2);
    submit(1, 0, 0);
    assert_int_equal(rig_wait(&rig, 1), 0);
    stays(0, 0);
    cells[2] = 1;
    await(0, 3);
    gate_await(4);
    stays(0, 3);
    cells[4] = 1;
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(signalled(0), 4);
    rig_close(&rig);
}

/* In an unordered submission it waits for all before it, in whichever order that runs. */
static void test_unordered(void **state)
{
    (void)state;
    machine_open();
    for (int round = 0; round < 10; round++) {
        uint64_t before = rig.fences[2];
        cells[2] = cells[3] = cells[4] = cells[5] = 0;
        for (int i = 0; i < 8; i++)
            put_add(100 + i, round);
        gate_add(2);
        batch_signal(rig.batch, 2);
        batch_barrier(rig.batch);
        put_add(200, round);
        gate_add(4);
        batch_signal(rig.batch, 1);
        submit(2, 2, VGPGPU_SUBMIT_UNORDERED);
        gate_await(2);
        if (round == 0)
            stays(2, before);
        cells[2] = 1;
        await(2, before + 1);
        for (int i = 0; i < 8; i++)
            assert_int_equal(cells[100 + i], round);
        gate_await(4);
        if (round == 0)
            stays(2, before + 1);
        cells[4] = 1;
        assert_int_equal(rig_wait(&rig, 2), 0);
        assert_int_equal(cells[200], round);
        assert_int_equal(signalled(2), before + 3);
    }
    rig_close(&rig);
}

#define SIDE 256u

static void product_add(void)
{
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    struct vgpgpu_tensor tensors[3];
    for (unsigned i = 0; i < 3; i++)
        tensors[i] = tensor_matrix(2 + i, VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    batch_operation(rig.batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}

/* A batch of nothing but built-in operations, which gpud carries out in another way, and a mixed one. */
static void test_operations(void **state)
{
    unsigned seen = 0;
    (void)state;
    machine_open();
    for (uint32_t i = 2; i < 5; i++)
        rig_guest_buffer(&rig, i, SIDE * SIDE * sizeof(float) / VGPGPU_PAGE);
    if (!(rig.front->config.operations[VGPGPU_GEMM] >> VGPGPU_F32 & 1)) {
        rig_close(&rig);
        print_message("skipped: no products on this device\n");
        skip();
    }
    for (unsigned round = 0; round < 40; round++) {
        uint64_t before = rig.fences[0];
        batch_signal(rig.batch, 31);
        for (uint32_t i = 30; i >= 1; i--) {
            product_add();
            if (round % 4 == 3 && i == 15)
                put_add(100, (int)round);
            batch_signal(rig.batch, i);
        }
        product_add();
        submit(0, 31, 0);
        uint64_t last = before, now;
        while ((now = signalled(0)) < rig.fences[0]) {
            assert_true(now >= last);
            seen += now != last;
            last = now;
        }
        assert_int_equal(rig_wait(&rig, 0), 0);
    }
    assert_true(seen > 0); /* not only the ends */
    rig_close(&rig);
}

/* As many as fit, and many submissions with some each: more news than the front can hold. */
static void test_very_many(void **state)
{
    (void)state;
    machine_open();
    uint32_t most = rig.front->config.max_submit_bytes;
    for (uint32_t fills = 0; fills < 2; fills++) {
        uint32_t step = sizeof(struct vgpgpu_cmd_signal) + (fills ? sizeof(struct vgpgpu_cmd_fill) : 0);
        uint64_t last = signalled(7), now;
        for (uint32_t i = most / step; i > 0; i--) {
            if (fills)
                batch_fill(rig.batch, 1, 512, 4, &i, sizeof(i));
            batch_signal(rig.batch, i);
        }
        submit(7, most / step, fills ? VGPGPU_SUBMIT_UNORDERED : 0);
        while ((now = signalled(7)) < rig.fences[7]) {
            assert_true(now >= last);
            last = now;
        }
        assert_int_equal(rig_wait(&rig, 7), 0);
    }
    for (uint32_t round = 0; round < 3000; round++) {
        for (uint32_t i = 8; i > 0; i--) {
            batch_fill(rig.batch, 1, 512, 4, &round, sizeof(round));
            batch_signal(rig.batch, i);
        }
        submit(round % 5, 8, round % 150 < 5); /* in order, mostly: of the others PoCL looks at each for each */
    }
    for (uint32_t queue = 0; queue < 5; queue++) {
        assert_int_equal(rig_wait(&rig, queue), 0);
        assert_int_equal(signalled(queue), 600 * 9);
    }
    rig_close(&rig);
}

/* ---- What is wrong ----------------------------------------------------------------------------- */

/* A submission with these, whose fence is 10 behind 5, runs none of its commands. */
static void refuse(uint32_t queue, const uint64_t *befores, unsigned count, uint32_t want)
{
    struct vgpgpu_fence_slot *slot = &rig.slots[queue];
    cells[100] = 0;
    rig.fences[queue] = 5;
    front_submit(rig.front, 1, queue, 5, NULL, 0);
    put_add(100, 1);
    for (unsigned i = 0; i < count; i++)
        batch_signal(rig.batch, befores[i]);
    submit(queue, 4, 0);
    assert_int_equal(rig_wait(&rig, queue), want);
    assert_int_equal(cells[100], want == VGPGPU_OK);
    assert_int_equal(slot->signalled, 10);
    assert_int_equal(slot->failed, want ? 6 : 0);
}

static void test_bad(void **state)
{
    uint32_t queue = 0;
    (void)state;
    machine_open();
    refuse(queue++, (uint64_t[]){4, 3, 2, 1}, 4, VGPGPU_OK);
    refuse(queue++, (uint64_t[]){3, 1}, 2, VGPGPU_OK);
    refuse(queue++, (uint64_t[]){0}, 1, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){5}, 1, VGPGPU_ERR_INVALID); /* the value before it */
    refuse(queue++, (uint64_t[]){6}, 1, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){10}, 1, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){UINT64_MAX}, 1, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){2, 2}, 2, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){2, 3}, 2, VGPGPU_ERR_INVALID);
    refuse(queue++, (uint64_t[]){3, 2, 0}, 3, VGPGPU_ERR_INVALID);
    struct vgpgpu_cmd_signal odd[2] = {
        {.header = {VGPGPU_CMD_SIGNAL, 0, sizeof(odd)}, .before = 1}, {.before = 0}};
    rig.fences[queue] = 9;
    front_submit(rig.front, 1, queue, 9, odd, sizeof(odd));
    assert_int_equal(rig_wait(&rig, queue++), VGPGPU_ERR_INVALID);
    odd[0].header.bytes = 8;
    rig.fences[queue] = 9;
    front_submit(rig.front, 1, queue, 9, odd, 8);
    assert_int_equal(rig_wait(&rig, queue++), VGPGPU_ERR_INVALID);
    /* Without room below the fence there is none. */
    batch_signal(rig.batch, 1);
    submit(queue, 0, 0);
    assert_int_equal(rig_wait(&rig, queue++), VGPGPU_ERR_INVALID);
    rig_close(&rig);
}

/* What was signalled was done; the failure is of the values after it. */
static void test_failure_behind_it(void **state)
{
    (void)state;
    machine_open();
    struct vgpgpu_fence_slot *slot = &rig.slots[4];
    gate_add(2);
    put_add(100, 1);
    batch_signal(rig.batch, 3);
    put_add(101, 1);
    batch_launch(rig.batch, GATE, 1, 1u << 20); /* no such work-group */
    batch_arg_buffer(rig.batch, 1, 0);
    batch_arg_value(rig.batch, &(int){4}, sizeof(int));
    batch_signal(rig.batch, 2);
    put_add(102, 1);
    batch_signal(rig.batch, 1);
    submit(4, 3, 0);
    gate_await(2);
    cells[2] = 1;
    assert_int_equal(rig_wait(&rig, 4), VGPGPU_ERR_EXEC);
    assert_int_equal(slot->signalled, 4);
    assert_true(slot->failed == 2 || slot->failed == 1);
    assert_int_equal(cells[100], 1);
    assert_int_equal(cells[102], 0);
    batch_signal(rig.batch, 1);
    submit(4, 1, 0); /* the queue goes on */
    rig_wait(&rig, 4);
    assert_int_equal(slot->signalled, 6);
    rig_close(&rig);
}

/* ---- Loss -------------------------------------------------------------------------------------- */

/* Work that has come to its first SIGNAL of two and stands at a gate; more is behind it. */
static void work_hold(void)
{
    put_add(100, 1);
    batch_signal(rig.batch, 2);
    gate_add(2);
    batch_signal(rig.batch, 1);
    submit(5, 2, 0);
    batch_signal(rig.batch, 1);
    submit(5, 1, 0);
    await(5, 1);
    gate_await(2);
}

static void loss_expect(uint32_t status)
{
    assert_int_equal(rig_wait(&rig, 5), status);
    assert_int_equal(signalled(5), 5);
    assert_int_equal(rig.slots[5].failed, 2);
    assert_int_equal(cells[100], 1);
    batch_signal(rig.batch, 1);
    submit(6, 1, 0);
    assert_int_equal(rig_wait(&rig, 6), VGPGPU_ERR_LOST);
    assert_int_equal(rig.slots[6].failed, 1);
}

static void test_device_process_killed(void **state)
{
    (void)state;
    machine_open();
    work_hold();
    kill(rig_process("gpud-device"), SIGKILL);
    loss_expect(VGPGPU_ERR_LOST);
    rig_close(&rig);
}

/* Another takes its place. */
static void test_front_killed(void **state)
{
    (void)state;
    machine_open();
    work_hold();
    kill(rig_process("gpud-front"), SIGKILL);
    loss_expect(VGPGPU_ERR_LOST);
    rig_close(&rig);
}

static void test_keeper_killed(void **state)
{
    char byte;
    (void)state;
    machine_open();
    work_hold();
    kill(rig_process("gpud-keeper"), SIGKILL);
    assert_int_equal(read(rig.front->socket, &byte, 1), 0);
    front_reconnect(rig.front, rig_socket());
    loss_expect(VGPGPU_ERR_LOST);
    rig_close(&rig);
}

/* That it goes forward does not give it more time. */
static void test_time_limit(void **state)
{
    (void)state;
    machine_open();
    assert_int_equal(front_context_destroy(rig.front, 1), 0);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    assert_int_equal(front_context_limit(rig.front, 1, 4000), 0);
    cells = rig_guest_buffer(&rig, 1, 1);
    rig_kernel(&rig, 1, "put", source, 3);
    assert_int_equal(front_kernel(rig.front, 1, GATE, 1, "gate", &(uint64_t){0}), 0);
    work_hold();
    loss_expect(VGPGPU_ERR_TIMEOUT);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_behind_others),
        cmocka_unit_test(test_unordered),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_very_many),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_failure_behind_it),
        cmocka_unit_test(test_device_process_killed),
        cmocka_unit_test(test_front_killed),
        cmocka_unit_test(test_keeper_killed),
        cmocka_unit_test(test_time_limit),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
