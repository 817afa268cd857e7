/*
 * sub_buffer_test.c: sub-buffers: every command works on one as on a buffer, and reaches nothing beside it; what is
 * refused; and how long its bytes live.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "lib/gpucmd/tensor.h"
#include "rig.h"

#define PAGES  16u
#define BYTES  (PAGES * VGPGPU_PAGE)
#define LENGTH 1000u /* of the sub-buffer: no multiple of anything */

enum { WHOLE = 1, OTHER = 2, PART = 3, INNER = 4, NEXT = 5 };

static struct rig rig;
static uint8_t *whole, *other, want[BYTES];
static uint64_t first; /* where the sub-buffer begins */

/* Two buffers of random bytes, and a sub-buffer of the first. */
static void machine_open(void)
{
    rig_open(&rig);
    whole = rig_guest_buffer(&rig, WHOLE, PAGES);
    other = rig_guest_buffer(&rig, OTHER, PAGES);
    first = rig.front->config.offset_align * 5ull;
    assert_true(rig.front->config.features & VGPGPU_FEATURE_SUB_BUFFER);
    assert_int_equal(front_sub_buffer(rig.front, 1, PART, WHOLE, first, LENGTH), 0);
    for (uint32_t i = 0; i < BYTES; i++) {
        whole[i] = (uint8_t)(i * 7 + i / 256);
        other[i] = (uint8_t)(i * 13);
    }
    memcpy(want, whole, BYTES);
    rig_batch(&rig);
}

static void whole_expect(void)
{
    assert_int_equal(rig_run(&rig, 0), 0);
    assert_memory_equal(whole, want, BYTES);
    rig_batch(&rig);
}

/* ---- Commands ---------------------------------------------------------------------------------- */

static void test_copies_and_fills(void **state)
{
    (void)state;
    machine_open();
    batch_copy(rig.batch, OTHER, 3, PART, 0, LENGTH);
    memcpy(want + first, other + 3, LENGTH);
    whole_expect();
    batch_fill(rig.batch, PART, 992, 8, "ABCDEFGH", 8);
    memcpy(want + first + 992, "ABCDEFGH", 8);
    whole_expect();
    batch_copy_2d(rig.batch, &(struct vgpgpu_cmd_copy_2d){.source = OTHER,
                                                          .target = PART,
                                                          .target_offset = 10,
                                                          .source_pitch = 33,
                                                          .target_pitch = 97,
                                                          .width = 20,
                                                          .rows = 11});
    for (unsigned row = 0; row < 11; row++)
        memcpy(want + first + 10 + row * 97, other + row * 33, 20);
    whole_expect();
    batch_fill_2d(rig.batch, &(struct vgpgpu_cmd_fill_2d){.target = PART,
                                                          .pattern_bytes = 1,
                                                          .offset = 1,
                                                          .pitch = 333,
                                                          .width = 333,
                                                          .rows = 3,
                                                          .pattern = "z"});
    memset(want + first + 1, 'z', 999);
    whole_expect();
    batch_copy(rig.batch, PART, 500, PART, 0, 500); /* within it */
    batch_copy(rig.batch, PART, 0, OTHER, 77, LENGTH); /* and out of it */
    memcpy(want + first, want + first + 500, 500);
    whole_expect();
    assert_memory_equal(other + 77, want + first, LENGTH);
    rig_close(&rig);
}

static void test_arguments(void **state)
{
    uint64_t align;
    (void)state;
    machine_open();
    align = rig.front->config.offset_align;
    assert_int_equal(front_sub_buffer(rig.front, 1, NEXT, WHOLE, 4 * VGPGPU_PAGE, VGPGPU_PAGE), 0);
    rig_kernel(&rig, 1, "both",
               "kernel void both(global int *a, global const int *b) { a[get_global_id(0)] = b[0] + 1; }", 2);
    batch_launch(rig_batch(&rig), 1, 50, 0);
    batch_arg_buffer(rig.batch, PART, 0);
    batch_arg_buffer(rig.batch, NEXT, align);
    int value;
    memcpy(&value, whole + 4 * VGPGPU_PAGE + align, sizeof(value));
    value++;
    for (unsigned i = 0; i < 50; i++)
        memcpy(want + first + i * 4, &value, sizeof(value));
    whole_expect();
    rig_close(&rig);
}

static float float_at(const uint8_t *bytes, unsigned index)
{
    float value;
    memcpy(&value, bytes + index * sizeof(value), sizeof(value));
    return value;
}

/* A product whose result and sources are three parts of one buffer; an operation in place; and a product from a part
 * to the end of another. */
static void test_tensors(void **state)
{
    enum { SIDE = 12 };
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    (void)state;
    machine_open();
    if (!(rig.front->config.operations[VGPGPU_GEMM] >> VGPGPU_F32 & 1)) {
        rig_close(&rig);
        print_message("skipped: no products on this device\n");
        skip();
    }
    struct vgpgpu_tensor tensors[3];
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(front_sub_buffer(rig.front, 1, 10 + i, WHOLE, (2 + i) * VGPGPU_PAGE,
                                          (SIDE * SIDE + 2) * sizeof(float)),
                         0);
        tensors[i] = tensor_matrix(10 + i, VGPGPU_F32, 2 * sizeof(float), SIDE, SIDE, SIDE);
        for (unsigned j = 0; j < SIDE * SIDE; j++)
            memcpy(whole + (2 + i) * VGPGPU_PAGE + (j + 2) * 4, &(float){(float)((j * 3 + i) % 7)}, 4);
    }
    memcpy(want, whole, BYTES);
    for (unsigned i = 0; i < SIDE; i++)
        for (unsigned j = 0; j < SIDE; j++) {
            float sum = 0;
            for (unsigned k = 0; k < SIDE; k++)
                sum += float_at(whole + 3 * VGPGPU_PAGE + 8, i * SIDE + k) *
                       float_at(whole + 4 * VGPGPU_PAGE + 8, k * SIDE + j);
            memcpy(want + 2 * VGPGPU_PAGE + 8 + (i * SIDE + j) * 4, &sum, 4);
        }
    batch_operation(rig.batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
    whole_expect();
    if (rig.front->config.operations[VGPGPU_ELEMENTWISE] >> VGPGPU_F32 & 1) {
        struct {
            struct vgpgpu_elementwise head;
            struct vgpgpu_step step;
        } steps = {.head = {.count = 1}, .step = {.op = VGPGPU_STEP_LINEAR, .a = 2, .b = 1}};
        struct vgpgpu_tensor twice[2] = {tensors[1], tensors[1]};
        for (unsigned i = 0; i < SIDE * SIDE; i++)
            memcpy(want + 3 * VGPGPU_PAGE + 8 + i * 4,
                   &(float){2 * float_at(whole + 3 * VGPGPU_PAGE + 8, i) + 1}, 4);
        batch_operation(rig.batch, VGPGPU_ELEMENTWISE, twice, 2, &steps, sizeof(steps));
        whole_expect();
    }
    rig_close(&rig);
}

/* ---- Bounds ------------------------------------------------------------------------------------ */

static uint32_t next_queue;

/* One command on a queue where nothing has failed. */
static void expect(uint32_t status)
{
    uint32_t queue = next_queue++ % VGPGPU_QUEUES_PER_CONTEXT, is = rig_run(&rig, queue);
    if (is != status)
        fail_msg("command %u: status %u, not %u", queue, is, status);
    assert_memory_equal(whole, want, BYTES);
    rig_batch(&rig);
}

static void test_bounds(void **state)
{
    (void)state;
    machine_open();
    next_queue = 0;
    uint64_t align = rig.front->config.offset_align;
    batch_copy(rig.batch, OTHER, 0, PART, 1, LENGTH);
    expect(VGPGPU_ERR_RANGE);
    batch_copy(rig.batch, PART, LENGTH - 3, OTHER, 0, 4);
    expect(VGPGPU_ERR_RANGE);
    batch_copy(rig.batch, PART, UINT64_MAX, OTHER, 0, 4);
    expect(VGPGPU_ERR_RANGE);
    batch_copy(rig.batch, PART, UINT64_MAX - first + 1, OTHER, 0, 4); /* the whole's first byte, it may seem */
    expect(VGPGPU_ERR_RANGE);
    batch_fill(rig.batch, PART, 0, LENGTH + 1, "x", 1);
    expect(VGPGPU_ERR_RANGE);
    struct vgpgpu_cmd_copy_2d copy = {
        .source = OTHER, .target = PART, .source_pitch = 100, .target_pitch = 100, .width = 100, .rows = 11};
    batch_copy_2d(rig.batch, &copy);
    expect(VGPGPU_ERR_RANGE);
    struct vgpgpu_cmd_fill_2d fill = {
        .target = PART, .pattern_bytes = 1, .pitch = 333, .width = 2, .rows = 4};
    batch_fill_2d(rig.batch, &fill);
    expect(VGPGPU_ERR_RANGE);
    rig_kernel(&rig, 1, "k", "kernel void k(global int *a) { a[0] = 1; }", 1);
    batch_launch(rig_batch(&rig), 1, 1, 0);
    batch_arg_buffer(rig.batch, PART, (LENGTH + align - 1) / align * align);
    expect(VGPGPU_ERR_RANGE);
    batch_launch(rig.batch, 1, 1, 0);
    batch_arg_buffer(rig.batch, PART, align / 2);
    expect(VGPGPU_ERR_RANGE);
    rig_close(&rig);
}

static void places_expect(uint64_t result, uint64_t source, uint32_t status)
{
    struct {
        struct vgpgpu_elementwise head;
        struct vgpgpu_step step;
    } steps = {.head = {.count = 1}, .step = {.op = VGPGPU_STEP_LINEAR, .a = 0, .b = 0}};
    struct vgpgpu_tensor tensors[2] = {tensor_matrix(INNER, VGPGPU_F32, result, 1, 64, 64),
                                       tensor_matrix(PART, VGPGPU_F32, source, 1, 64, 64)};
    if (status == VGPGPU_OK)
        memset(want + first + rig.front->config.offset_align + result, 0, 256);
    batch_operation(rig.batch, VGPGPU_ELEMENTWISE, tensors, 2, &steps, sizeof(steps));
    expect(status);
}

/* Two names of the same bytes. */
static void test_overlaps(void **state)
{
    (void)state;
    machine_open();
    next_queue = 0;
    uint64_t align = rig.front->config.offset_align;
    assert_int_equal(front_sub_buffer(rig.front, 1, INNER, PART, align, LENGTH - align), 0);
    batch_copy(rig.batch, WHOLE, first + LENGTH - 1, PART, 0, LENGTH);
    expect(VGPGPU_ERR_INVALID);
    batch_copy(rig.batch, PART, align, INNER, 0, 1);
    expect(VGPGPU_ERR_INVALID);
    batch_copy(rig.batch, INNER, 0, PART, align - 1, 2);
    expect(VGPGPU_ERR_INVALID);
    batch_copy(rig.batch, INNER, 0, PART, align - 2, 2); /* side by side */
    memcpy(want + first + align - 2, want + first + align, 2);
    expect(VGPGPU_OK);
    struct vgpgpu_cmd_copy_2d copy = {.source = PART,
                                      .target = INNER,
                                      .source_offset = align,
                                      .target_offset = 3,
                                      .source_pitch = 8,
                                      .target_pitch = 8,
                                      .width = 4,
                                      .rows = 10};
    batch_copy_2d(rig.batch, &copy);
    expect(VGPGPU_ERR_INVALID);
    copy.target_offset = 4; /* between the rows */
    batch_copy_2d(rig.batch, &copy);
    for (unsigned row = 0; row < 10; row++)
        memcpy(want + first + align + 4 + row * 8, want + first + align + row * 8, 4);
    expect(VGPGPU_OK);
    if (rig.front->config.operations[VGPGPU_ELEMENTWISE] >> VGPGPU_F32 & 1) {
        places_expect(0, align + 4, VGPGPU_ERR_INVALID);
        places_expect(256, align, VGPGPU_OK);
        places_expect(0, align, VGPGPU_OK); /* the result is the source */
        places_expect(LENGTH - align - 252, 0, VGPGPU_ERR_RANGE);
    }
    rig_close(&rig);
}

/* ---- Requests ---------------------------------------------------------------------------------- */

static void create_expect(uint32_t sub, uint32_t buffer, uint64_t offset, uint64_t size, uint32_t status)
{
    uint32_t is = front_sub_buffer(rig.front, 1, sub, buffer, offset, size);
    if (is != status)
        fail_msg("%u of %u, %lu, %lu: status %u, not %u", sub, buffer, offset, size, is, status);
}

static void test_bad_requests(void **state)
{
    (void)state;
    machine_open();
    uint64_t align = rig.front->config.offset_align;
    create_expect(9, WHOLE, 0, 0, VGPGPU_ERR_INVALID);
    create_expect(9, WHOLE, align + 1, 1, VGPGPU_ERR_RANGE);
    create_expect(9, WHOLE, BYTES, 1, VGPGPU_ERR_RANGE);
    create_expect(9, WHOLE, 0, BYTES + 1, VGPGPU_ERR_RANGE);
    create_expect(9, WHOLE, align, BYTES, VGPGPU_ERR_RANGE);
    create_expect(9, WHOLE, align, UINT64_MAX, VGPGPU_ERR_RANGE);
    create_expect(9, WHOLE, UINT64_MAX - align + 1, align, VGPGPU_ERR_RANGE);
    create_expect(9, 8, 0, 1, VGPGPU_ERR_ID);
    create_expect(9, 9, 0, 1, VGPGPU_ERR_ID);
    create_expect(9, 0, 0, 1, VGPGPU_ERR_ID);
    create_expect(9, UINT32_MAX, 0, 1, VGPGPU_ERR_ID);
    create_expect(PART, WHOLE, 0, 1, VGPGPU_ERR_ID);
    create_expect(WHOLE, WHOLE, 0, 1, VGPGPU_ERR_ID);
    create_expect(0, WHOLE, 0, 1, VGPGPU_ERR_ID);
    create_expect(rig.front->config.max_objects + 1, WHOLE, 0, 1, VGPGPU_ERR_ID);
    create_expect(rig.front->config.max_objects, WHOLE, 0, BYTES, VGPGPU_OK);
    /* Of a sub-buffer: within that. */
    create_expect(9, PART, 0, LENGTH + 1, VGPGPU_ERR_RANGE);
    create_expect(9, PART, align, LENGTH, VGPGPU_ERR_RANGE);
    create_expect(9, PART, UINT64_MAX - first + 1, 1, VGPGPU_ERR_RANGE);
    create_expect(INNER, PART, align, LENGTH - align, VGPGPU_OK);
    batch_fill(rig.batch, INNER, 0, LENGTH - align, "q", 1);
    memset(want + first + align, 'q', LENGTH - align);
    whole_expect();
    struct vgpgpu_sub_buffer_create request = {
        .header = {.type = VGPGPU_SUB_BUFFER_CREATE, .context = 1, .object = 20},
        .buffer = WHOLE,
        .size = 1};
    assert_int_equal(front_request(rig.front, &request, sizeof(request) - 1, NULL, NULL, 0),
                     VGPGPU_ERR_INVALID);
    request.reserved = 1;
    assert_int_equal(front_request(rig.front, &request, sizeof(request), NULL, NULL, 0),
                     VGPGPU_ERR_INVALID);
    request.reserved = 0;
    request.header.context = 2;
    assert_int_equal(front_request(rig.front, &request, sizeof(request), NULL, NULL, 0), VGPGPU_ERR_ID);
    rig_close(&rig);
}

/* It takes no memory of its own: more of them than there is memory. */
static void test_no_memory_of_their_own(void **state)
{
    (void)state;
    machine_open();
    uint64_t size = rig.front->config.max_buffer / 2;
    uint32_t count = rig.front->config.max_objects - 100;
    assert_int_equal(front_buffer_device(rig.front, 1, 50, size), 0);
    for (uint32_t i = 0; i < count; i++)
        create_expect(51 + i, 50, 0, size, VGPGPU_OK);
    assert_true(count * (size >> 20) > rig.front->config.global_memory >> 20);
    batch_copy(rig.batch, OTHER, 0, 51, 0, BYTES);
    batch_copy(rig.batch, 50 + count, 0, WHOLE, 0, BYTES);
    memcpy(want, other, BYTES);
    whole_expect();
    rig_close(&rig);
}

/* ---- Life -------------------------------------------------------------------------------------- */

static void destroy(uint32_t buffer)
{
    assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, buffer), 0);
}

/* The buffer's name goes and may be another's; its bytes stay while a sub-buffer is there. */
static void test_buffer_goes_first(void **state)
{
    (void)state;
    machine_open();
    create_expect(INNER, PART, 0, 16, VGPGPU_OK);
    destroy(WHOLE);
    create_expect(9, WHOLE, 0, 1, VGPGPU_ERR_ID);
    create_expect(NEXT, PART, 0, 32, VGPGPU_OK);
    uint8_t *newer = rig_guest_buffer(&rig, WHOLE, 1);
    batch_fill(rig.batch, PART, 0, LENGTH, "m", 1);
    batch_fill(rig.batch, NEXT, 0, 16, "n", 1);
    batch_fill(rig.batch, WHOLE, 0, 16, "o", 1);
    memset(want + first, 'm', LENGTH);
    memset(want + first, 'n', 16);
    whole_expect();
    assert_int_equal(newer[15], 'o');
    assert_int_equal(newer[16], 0);
    destroy(PART);
    destroy(NEXT);
    batch_fill(rig.batch, INNER, 0, 16, "p", 1);
    memset(want + first, 'p', 16);
    whole_expect();
    destroy(INNER);
    batch_fill(rig.batch, INNER, 0, 16, "p", 1);
    assert_int_equal(rig_run(&rig, 1), VGPGPU_ERR_ID);
    assert_memory_equal(whole, want, BYTES);
    rig_close(&rig);
}

/* The reply to the last destruction comes when no work uses the bytes any more, that to the buffer's at once. */
static void test_destructions_wait(void **state)
{
    (void)state;
    machine_open();
    volatile int *cells = (volatile int *)(whole + first);
    rig_kernel(&rig, 1, "gate", "kernel void gate(global volatile int *c) { c[1] = 7; while (!c[0]); c[2] = 8; }", 1);
    cells[0] = cells[1] = cells[2] = 0;
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, PART, 0);
    rig_submit(&rig, 0);
    while (cells[1] != 7)
        poll(NULL, 0, 1);
    destroy(WHOLE);
    uint16_t head;
    uint32_t written;
    uint64_t guest = rig.front->request_guest + VGPGPU_PAGE;
    *(struct vgpgpu_request *)front_at(rig.front, guest) =
        (struct vgpgpu_request){.type = VGPGPU_BUFFER_DESTROY, .context = 1, .object = PART};
    const struct front_part parts[2] = {{guest, sizeof(struct vgpgpu_request), false},
                                        {guest + 64, sizeof(struct vgpgpu_reply), true}};
    front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 2);
    assert_false(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 100, &head, &written));
    cells[0] = 1;
    assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    assert_int_equal(written, sizeof(struct vgpgpu_reply));
    assert_int_equal(cells[2], 8);
    rig_close(&rig);
}

/* A machine that goes away with all of this: gpud's own count at its end must agree (rig_stop()). */
static void test_left_to_the_end(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        machine_open();
        create_expect(INNER, PART, 0, 16, VGPGPU_OK);
        assert_int_equal(front_buffer_device(rig.front, 1, 30, 4096), 0);
        create_expect(31, 30, 0, 4096, VGPGPU_OK);
        create_expect(32, 30, 0, 4096, VGPGPU_OK);
        destroy(30);
        destroy(WHOLE);
        if (round == 1)
            destroy(PART);
        if (round == 2)
            front_reset(rig.front);
        front_close(rig.front);
        free(rig.batch);
    }
    rig_processes_end();
}

static void test_lost(void **state)
{
    (void)state;
    machine_open();
    kill(rig_process("gpud-device"), SIGKILL);
    while (front_buffer_device(rig.front, 1, 40, 4096) != VGPGPU_ERR_LOST)
        front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 40);
    create_expect(INNER, WHOLE, 0, 16, VGPGPU_ERR_LOST);
    destroy(WHOLE);
    destroy(PART);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_and_fills),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_no_memory_of_their_own),
        cmocka_unit_test(test_buffer_goes_first),
        cmocka_unit_test(test_destructions_wait),
        cmocka_unit_test(test_left_to_the_end),
        cmocka_unit_test(test_lost),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
