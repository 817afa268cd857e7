/*
 * order_test.c: batches of a queue are carried out one after the other, whoever does it: a batch of
 * nothing but built-in operations is done by another thread of gpud than kernels and mixed batches,
 * and what follows it must wait; one of many launches, on an idle device, is given to OpenCL by a thread of
 * OpenCL's, which is all that it has where no launch has work for two. Random batches on two queues, few waited
 * for, whose steps do not commute, and which share their kernels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/gpucmd/tensor.h"
#include "rig.h"

#define QUEUES  2u
#define NUMBERS 1000u
#define SIDE    192u /* of matrices whose product takes a while */
#define ROUNDS  40u
#define BATCHES 24u

static const char source[] = "kernel void add(global float *x) { x[get_global_id(0)] += 7.0f; }";
static const char turn_source[] =
    "kernel void turn(global float *x, float a) { x[get_global_id(0)] = a - x[get_global_id(0)]; }";

static struct rig rig;
static uint64_t random_state = 0x2545f4914f6cdd1dull;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % limit;
}

/* Buffers of a queue: numbers in the machine's memory, and in the device's; three matrices. */
static uint32_t buffer_of(unsigned queue, unsigned which)
{
    return 1 + queue * 5 + which;
}

static void mirror_add(uint32_t buffer)
{
    struct {
        struct vgpgpu_elementwise head;
        struct vgpgpu_step step;
    } steps = {.head = {.count = 1}, .step = {.op = VGPGPU_STEP_LINEAR, .a = -1, .b = 100}};
    struct vgpgpu_tensor x = tensor_matrix(buffer, VGPGPU_F32, 0, 1, NUMBERS, NUMBERS);
    struct vgpgpu_tensor tensors[2] = {x, x};
    batch_operation(rig.batch, VGPGPU_ELEMENTWISE, tensors, 2, &steps, sizeof(steps));
}

static void product_add(unsigned queue)
{
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    struct vgpgpu_tensor tensors[3];
    for (unsigned i = 0; i < 3; i++)
        tensors[i] = tensor_matrix(buffer_of(queue, 2 + i), VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    batch_operation(rig.batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}

static void kernel_add(uint32_t buffer)
{
    batch_launch(rig.batch, 1, NUMBERS, 0);
    batch_arg_buffer(rig.batch, buffer, 0);
}

/* Launches of one group, or of as many as the device likes. */
static void turns_add(uint32_t buffer, float *value)
{
    uint64_t count = 1 + random_below(40), local = random_below(3) ? NUMBERS : 0;
    for (uint64_t i = 0; i < count; i++) {
        float a = (float)random_below(100);
        batch_launch(rig.batch, 2, NUMBERS, local);
        batch_arg_buffer(rig.batch, buffer, 0);
        batch_arg_value(rig.batch, &a, sizeof(a));
        *value = a - *value;
    }
}

static void idle_await(void)
{
    for (unsigned queue = 0; queue < QUEUES; queue++)
        if (rig.fences[queue])
            assert_int_equal(rig_wait(&rig, queue), 0);
    rig_batch(&rig);
}

/* One batch; what it makes of a number is done to *value. */
static void batch_random(unsigned queue, float *value)
{
    uint32_t here = buffer_of(queue, 0), there = buffer_of(queue, 1);
    uint32_t flags = random_below(6) ? 0 : VGPGPU_SUBMIT_UNORDERED;
    rig_batch(&rig);
    if (!random_below(4))
        idle_await();
    switch (random_below(flags ? 2 : 7)) {
    case 0:
        kernel_add(here);
        *value += 7;
        break;
    case 1:
        mirror_add(here);
        *value = 100 - *value;
        break;
    case 2:
        product_add(queue);
        mirror_add(here);
        *value = 100 - *value;
        break;
    case 3:
        mirror_add(here);
        kernel_add(here);
        mirror_add(here);
        *value -= 7;
        break;
    case 4:
    case 5:
        turns_add(here, value);
        break;
    default:
        batch_copy(rig.batch, here, 0, there, 0, NUMBERS * sizeof(float));
        mirror_add(there);
        kernel_add(there);
        batch_copy(rig.batch, there, 0, here, 0, NUMBERS * sizeof(float));
        *value = 107 - *value;
        break;
    }
    front_submit_flags(rig.front, 1, queue, ++rig.fences[queue], flags, rig.batch->commands,
                       rig.batch->bytes);
}

static void round_run(float *numbers[QUEUES])
{
    float wanted[QUEUES];
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        wanted[queue] = (float)random_below(50);
        for (unsigned i = 0; i < NUMBERS; i++)
            numbers[queue][i] = wanted[queue];
    }
    for (unsigned i = 0; i < BATCHES; i++) {
        unsigned queue = (unsigned)random_below(QUEUES);
        batch_random(queue, &wanted[queue]);
    }
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        assert_int_equal(rig_wait(&rig, queue), 0);
        for (unsigned i = 0; i < NUMBERS; i++)
            if (numbers[queue][i] != wanted[queue])
                fail_msg("queue %u, number %u: %f, not %f", queue, i, (double)numbers[queue][i],
                         (double)wanted[queue]);
    }
}

static void test_order(void **state)
{
    float *numbers[QUEUES];
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "add", source, 1);
    rig_kernel(&rig, 2, "turn", turn_source, 2);
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        numbers[queue] = rig_guest_buffer(&rig, buffer_of(queue, 0), 1);
        assert_int_equal(front_buffer_device(rig.front, 1, buffer_of(queue, 1), 4096), 0);
        for (unsigned i = 2; i < 5; i++)
            rig_guest_buffer(&rig, buffer_of(queue, i), SIDE * SIDE * sizeof(float) / 4096);
    }
    if (rig.front->config.operations[VGPGPU_ELEMENTWISE] & 1u << VGPGPU_F32)
        for (unsigned round = 0; round < ROUNDS; round++)
            round_run(numbers);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
