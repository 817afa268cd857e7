/*
 * moves_test.c: copies and fills so large that gpud shares them between the host's processors,
 * linear and of rows, of all patterns, among small ones and kernels, in batches of them alone and
 * in others: each byte is where a plain loop puts it, in the order of the commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

#define BUFFERS 4u /* the first two in the machine's memory, the others in the device's */
#define PAGES   1300u
#define BYTES   ((uint64_t)PAGES * VGPGPU_PAGE)
#define ROUNDS  60u
#define MOST    6u /* commands of a batch */
#define QUEUES  2u
#define SMALL   4096u
#define KERNEL  1u

struct fuzz fuzz; /* not used here */

static uint8_t *want[BUFFERS + 1]; /* what each buffer holds, from 1 on */

static const char invert[] = "kernel void invert(global uint *words, uint n) { for (uint i = 0; i "
                             "< n; i++) words[i] = ~words[i]; }";

static uint32_t length_random(uint64_t most)
{
    return one_in(4) ? 1 + random_below(SMALL) : 1 + random_below((uint32_t)most);
}

static void copy_add(struct rig *rig)
{
    uint32_t source = 1 + random_below(BUFFERS),
             target = 1 + (source - 1 + 1 + random_below(BUFFERS - 1)) % BUFFERS;
    uint64_t length = length_random(BYTES);
    uint64_t from = random_below((uint32_t)(BYTES - length + 1)),
             to = random_below((uint32_t)(BYTES - length + 1));
    batch_copy(rig->batch, source, from, target, to, length);
    memcpy(want[target] + to, want[source] + from, length);
}

/* The two halves of one buffer. */
static void halves_add(struct rig *rig)
{
    uint32_t buffer = 1 + random_below(BUFFERS);
    uint64_t length = length_random(BYTES / 2), to = random_below(2) * (BYTES / 2);
    batch_copy(rig->batch, buffer, BYTES / 2 - to, buffer, to, length);
    memcpy(want[buffer] + to, want[buffer] + BYTES / 2 - to, length);
}

static void rows_add(struct rig *rig)
{
    struct vgpgpu_cmd_copy_2d copy = {.source = 1 + random_below(BUFFERS)};
    copy.target = 1 + copy.source % BUFFERS;
    copy.width = length_random(one_in(2) ? BYTES / 3 : 3000);
    copy.source_pitch = copy.width + random_below(100);
    copy.target_pitch = copy.width + random_below(100);
    copy.rows = 1 + random_below((uint32_t)(BYTES / (copy.width + 100)));
    for (uint64_t row = 0; row < copy.rows; row++)
        memcpy(want[copy.target] + row * copy.target_pitch,
               want[copy.source] + row * copy.source_pitch, copy.width);
    batch_copy_2d(rig->batch, &copy);
}

static void fill_add(struct rig *rig)
{
    uint8_t pattern[16];
    uint32_t unit = 1u << random_below(5), buffer = 1 + random_below(BUFFERS);
    uint64_t length = length_random(BYTES) / unit * unit + unit;
    if (length > BYTES)
        length = BYTES;
    uint64_t offset = random_below((uint32_t)(BYTES - length + 1)) / unit * unit;
    for (unsigned i = 0; i < unit; i++)
        pattern[i] = (uint8_t)random_next();
    batch_fill(rig->batch, buffer, offset, length, pattern, unit);
    for (uint64_t i = 0; i < length; i++)
        want[buffer][offset + i] = pattern[i % unit];
}

static void kernel_add(struct rig *rig)
{
    uint32_t buffer = 1 + random_below(BUFFERS), count = 1 + random_below(2000);
    uint32_t *words = (uint32_t *)(void *)want[buffer];
    batch_launch(rig->batch, KERNEL, 1, 1);
    batch_arg_buffer(rig->batch, buffer, 0);
    batch_arg_value(rig->batch, &count, sizeof(count));
    for (uint32_t i = 0; i < count; i++)
        words[i] = ~words[i];
}

static void batch_make(struct rig *rig)
{
    static void (*const kinds[])(struct rig * rig) = {copy_add, copy_add, halves_add, rows_add,
                                                      fill_add, fill_add, kernel_add};
    unsigned known = one_in(2) ? 6 : 7; /* half of the batches without a kernel */
    rig_batch(rig);
    for (uint32_t count = 1 + random_below(MOST); count; count--)
        kinds[random_below(known)](rig);
}

static void buffers_make(struct rig *rig, uint8_t *bytes[2])
{
    for (uint32_t i = 1; i <= BUFFERS; i++) {
        if (i <= 2)
            bytes[i - 1] = rig_guest_buffer(rig, i, PAGES);
        else
            assert_int_equal(front_buffer_device(rig->front, 1, i, BYTES), 0);
        want[i] = malloc(BYTES);
        assert_non_null(want[i]);
        memset(want[i], (int)i, BYTES);
        batch_fill(rig_batch(rig), i, 0, BYTES, &(uint8_t){(uint8_t)i}, 1);
        assert_int_equal(rig_run(rig, 0), 0);
    }
}

/* By way of the first buffer. */
static void device_check(struct rig *rig, const uint8_t *bytes)
{
    for (uint32_t i = 3; i <= BUFFERS; i++) {
        batch_copy(rig_batch(rig), i, 0, 1, 0, BYTES);
        assert_int_equal(rig_run(rig, 0), 0);
        assert_memory_equal(bytes, want[i], BYTES);
    }
    memcpy(want[1], want[BUFFERS], BYTES);
}

static void test_moves(void **state)
{
    struct rig rig;
    uint8_t *bytes[2];
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, KERNEL, "invert", invert, 2);
    buffers_make(&rig, bytes);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t queue = random_below(QUEUES), more = random_below(3);
        for (uint32_t i = 0; i <= more; i++) { /* those that follow do not wait here */
            batch_make(&rig);
            rig_submit(&rig, queue);
        }
        assert_int_equal(rig_wait(&rig, queue), 0);
        for (unsigned i = 0; i < 2; i++)
            assert_memory_equal(bytes[i], want[i + 1], BYTES);
        if (round % 5 == 0)
            device_check(&rig, bytes[0]);
    }
    device_check(&rig, bytes[0]);
    for (uint32_t i = 1; i <= BUFFERS; i++)
        free(want[i]);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves)};
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
