/*
 * batch_test.c: what the command recorder writes, byte for byte, and what it refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "user/libmalv/malv.h"

static const struct malv_buffer first = {.id = 3, .flags = VGPGPU_BUFFER_GUEST, .size = 4096};
static const struct malv_buffer second = {.id = 9, .flags = VGPGPU_BUFFER_DEVICE, .size = 100};

static void test_launch_is_laid_out(void **state)
{
    (void)state;
    struct malv_batch batch;
    const uint32_t number = 0x11223344;
    const char text[12] = "hello world";
    const uint64_t global[] = {640, 480};
    const uint64_t local[] = {64, 1};
    const struct malv_arg args[] = {
        malv_arg_buffer(&first, 256),
        malv_arg_value(&number, sizeof(number)),
        malv_arg_local(512),
        malv_arg_value(text, sizeof(text)),
    };
    malv_batch_init(&batch);
    assert_int_equal(malv_batch_launch(&batch, 7, 2, global, local, args, 4), 0);

    const struct vgpgpu_cmd_launch *launch = (const void *)batch.bytes;
    assert_int_equal(launch->header.op, VGPGPU_CMD_LAUNCH);
    assert_int_equal(launch->header.bytes, 72 + 4 * 24 + 8 + 16);
    assert_int_equal(batch.used, launch->header.bytes);
    assert_int_equal(launch->kernel, 7);
    assert_int_equal(launch->dimensions, 2);
    assert_int_equal(launch->arg_count, 4);
    const uint64_t whole_global[] = {640, 480, 1};
    const uint64_t whole_local[] = {64, 1, 1};
    assert_memory_equal(launch->global, whole_global, sizeof(whole_global));
    assert_memory_equal(launch->local, whole_local, sizeof(whole_local));

    const uint8_t *at = batch.bytes + sizeof(*launch);
    const struct vgpgpu_arg buffer = {.kind = VGPGPU_ARG_BUFFER, .object = 3, .offset = 256};
    assert_memory_equal(at, &buffer, sizeof(buffer));
    at += sizeof(buffer);
    const struct vgpgpu_arg value = {.kind = VGPGPU_ARG_VALUE, .size = 4};
    assert_memory_equal(at, &value, sizeof(value));
    assert_memory_equal(at + sizeof(value), "\x44\x33\x22\x11\0\0\0\0", 8);
    at += sizeof(value) + 8;
    const struct vgpgpu_arg shared = {.kind = VGPGPU_ARG_LOCAL, .size = 512};
    assert_memory_equal(at, &shared, sizeof(shared));
    at += sizeof(shared);
    assert_memory_equal(at + sizeof(value), "hello world\0\0\0\0\0", 16);
    malv_batch_free(&batch);
}

static void test_device_may_choose_groups(void **state)
{
    (void)state;
    struct malv_batch batch;
    const uint64_t global[] = {10, 20, 30};
    const uint64_t none[3] = {0};
    malv_batch_init(&batch);
    assert_int_equal(malv_batch_launch(&batch, 1, 3, global, NULL, NULL, 0), 0);
    const struct vgpgpu_cmd_launch *launch = (const void *)batch.bytes;
    assert_memory_equal(launch->local, none, sizeof(none));
    assert_memory_equal(launch->global, global, sizeof(global));
    malv_batch_free(&batch);
}

static void test_copy_fill_barrier_follow_each_other(void **state)
{
    (void)state;
    struct malv_batch batch;
    malv_batch_init(&batch);
    assert_int_equal(malv_batch_copy(&batch, &first, 96, &second, 0, 100), 0);
    assert_int_equal(malv_batch_barrier(&batch), 0);
    assert_int_equal(malv_batch_fill(&batch, &second, 4, 96, "abcd", 4), 0);

    const struct vgpgpu_cmd_copy copy = {.header = {.op = VGPGPU_CMD_COPY, .bytes = sizeof(copy)},
                                         .source = 3,
                                         .target = 9,
                                         .source_offset = 96,
                                         .length = 100};
    const struct vgpgpu_command barrier = {.op = VGPGPU_CMD_BARRIER, .bytes = 8};
    const struct vgpgpu_cmd_fill fill = {.header = {.op = VGPGPU_CMD_FILL, .bytes = sizeof(fill)},
                                         .target = 9,
                                         .pattern_bytes = 4,
                                         .offset = 4,
                                         .length = 96,
                                         .pattern = "abcd"};
    assert_int_equal(batch.used, sizeof(copy) + sizeof(barrier) + sizeof(fill));
    assert_memory_equal(batch.bytes, &copy, sizeof(copy));
    assert_memory_equal(batch.bytes + sizeof(copy), &barrier, sizeof(barrier));
    assert_memory_equal(batch.bytes + sizeof(copy) + sizeof(barrier), &fill, sizeof(fill));
    malv_batch_free(&batch);
}

static void test_batch_grows(void **state)
{
    (void)state;
    struct malv_batch batch;
    malv_batch_init(&batch);
    for (uint32_t i = 0; i < 10000; i++) {
        const uint64_t global[] = {i + 1};
        const struct malv_arg arg = malv_arg_value(&i, sizeof(i));
        assert_int_equal(malv_batch_launch(&batch, 1, 1, global, NULL, &arg, 1), 0);
    }
    const size_t each = sizeof(struct vgpgpu_cmd_launch) + sizeof(struct vgpgpu_arg) + 8;
    assert_int_equal(batch.used, 10000 * each);
    for (uint32_t i = 0; i < 10000; i++) {
        const struct vgpgpu_cmd_launch *launch = (const void *)(batch.bytes + i * each);
        assert_int_equal(launch->global[0], i + 1);
        assert_memory_equal(batch.bytes + (i + 1) * each - 8, &i, sizeof(i));
    }
    size_t capacity = batch.capacity;
    malv_batch_reset(&batch);
    assert_int_equal(batch.used, 0);
    assert_int_equal(batch.capacity, capacity);
    malv_batch_free(&batch);
    assert_null(batch.bytes);
}

/* Each call must fail with `error` on a fresh batch and leave it without commands. */
#define ASSERT_REFUSED(error_expected, call)                                                       \
    do {                                                                                           \
        malv_batch_reset(&batch);                                                                  \
        assert_int_equal(call, error_expected);                                                    \
        assert_int_equal(batch.used, 0);                                                           \
    } while (0)

static void test_bad_launches_are_refused(void **state)
{
    (void)state;
    struct malv_batch batch;
    const uint64_t good[] = {1, 1, 1};
    const uint64_t zero[] = {1, 0, 1};
    const char value[300] = "";
    const struct malv_arg too_long = malv_arg_value(value, VGPGPU_MAX_VALUE + 1);
    const struct malv_arg empty = malv_arg_value(value, 0);
    const struct malv_arg no_buffer = malv_arg_buffer(&(struct malv_buffer){.id = 0}, 0);
    const struct malv_arg no_local = malv_arg_local(0);
    const struct malv_arg no_kind = {.kind = 0};
    struct malv_arg many[VGPGPU_MAX_ARGS + 1];
    for (uint32_t i = 0; i <= VGPGPU_MAX_ARGS; i++) {
        many[i] = malv_arg_local(8);
    }
    malv_batch_init(&batch);
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 0, 1, good, NULL, NULL, 0));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 0, good, NULL, NULL, 0));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 4, good, NULL, NULL, 0));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 2, zero, NULL, NULL, 0));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 2, good, zero, NULL, 0));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, &too_long, 1));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, &empty, 1));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, &no_buffer, 1));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, &no_local, 1));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, &no_kind, 1));
    ASSERT_REFUSED(-EINVAL, malv_batch_launch(&batch, 1, 1, good, NULL, many, VGPGPU_MAX_ARGS + 1));
    malv_batch_reset(&batch);
    assert_int_equal(malv_batch_launch(&batch, 1, 1, good, NULL, many, VGPGPU_MAX_ARGS), 0);
    malv_batch_free(&batch);
}

static void test_bad_ranges_are_refused(void **state)
{
    (void)state;
    struct malv_batch batch;
    malv_batch_init(&batch);
    ASSERT_REFUSED(-EINVAL, malv_batch_copy(&batch, &first, 0, &second, 0, 0));
    ASSERT_REFUSED(-ERANGE, malv_batch_copy(&batch, &first, 0, &second, 0, 101));
    ASSERT_REFUSED(-ERANGE, malv_batch_copy(&batch, &first, 4096, &second, 0, 1));
    ASSERT_REFUSED(-ERANGE, malv_batch_copy(&batch, &first, UINT64_MAX, &second, 0, 2));
    ASSERT_REFUSED(-EINVAL, malv_batch_copy(&batch, &first, 0, &first, 99, 100));
    ASSERT_REFUSED(-EINVAL, malv_batch_fill(&batch, &second, 0, 3, "ab", 2));
    ASSERT_REFUSED(-EINVAL, malv_batch_fill(&batch, &second, 1, 4, "ab", 2));
    ASSERT_REFUSED(-EINVAL, malv_batch_fill(&batch, &second, 0, 6, "abc", 3));
    ASSERT_REFUSED(-EINVAL, malv_batch_fill(&batch, &second, 0, 64, "", 32));
    ASSERT_REFUSED(-EINVAL, malv_batch_fill(&batch, &second, 0, 0, "a", 1));
    ASSERT_REFUSED(-ERANGE, malv_batch_fill(&batch, &second, 96, 8, "abcd", 4));
    malv_batch_reset(&batch);
    assert_int_equal(malv_batch_copy(&batch, &first, 0, &first, 100, 100), 0);
    malv_batch_free(&batch);
}

static void test_first_error_stays(void **state)
{
    (void)state;
    struct malv_batch batch;
    malv_batch_init(&batch);
    assert_int_equal(malv_batch_barrier(&batch), 0);
    assert_int_equal(malv_batch_copy(&batch, &first, 5000, &second, 0, 1), -ERANGE);
    assert_int_equal(malv_batch_launch(&batch, 0, 0, NULL, NULL, NULL, 0), -ERANGE);
    assert_int_equal(malv_batch_barrier(&batch), -ERANGE);
    assert_int_equal(batch.error, -ERANGE);
    assert_int_equal(batch.used, 8);
    malv_batch_reset(&batch);
    assert_int_equal(malv_batch_barrier(&batch), 0);
    malv_batch_free(&batch);
}

static void test_rows_are_laid_out(void **state)
{
    (void)state;
    struct malv_batch batch;
    const struct malv_rows from = {&first, 16, 64}, to = {&second, 4, 32};
    const uint16_t pattern = 0xbeef;
    malv_batch_init(&batch);
    assert_int_equal(malv_batch_copy_2d(&batch, &from, &to, 32, 3), 0);
    assert_int_equal(malv_batch_fill_2d(&batch, &to, 10, 3, &pattern, 2), 0);
    const struct vgpgpu_cmd_copy_2d copy = {
        .header = {.op = VGPGPU_CMD_COPY_2D, .bytes = sizeof(copy)},
        .source = 3,
        .target = 9,
        .source_offset = 16,
        .target_offset = 4,
        .source_pitch = 64,
        .target_pitch = 32,
        .width = 32,
        .rows = 3};
    const struct vgpgpu_cmd_fill_2d fill = {
        .header = {.op = VGPGPU_CMD_FILL_2D, .bytes = sizeof(fill)},
        .target = 9,
        .pattern_bytes = 2,
        .offset = 4,
        .pitch = 32,
        .width = 10,
        .rows = 3,
        .pattern = {0xef, 0xbe}};
    assert_int_equal(batch.used, sizeof(copy) + sizeof(fill));
    assert_memory_equal(batch.bytes, &copy, sizeof(copy));
    assert_memory_equal(batch.bytes + sizeof(copy), &fill, sizeof(fill));
    malv_batch_free(&batch);
}

/* One batch for each: the first error stays. */
static int rows_fill(uint64_t offset, uint64_t pitch, uint64_t width, uint64_t rows)
{
    struct malv_batch batch;
    const struct malv_rows at = {&second, offset, pitch};
    const uint32_t pattern = 1;
    malv_batch_init(&batch);
    int error = malv_batch_fill_2d(&batch, &at, width, rows, &pattern, sizeof(pattern));
    assert_int_equal(batch.used, error ? 0 : sizeof(struct vgpgpu_cmd_fill_2d));
    malv_batch_free(&batch);
    return error;
}

static void test_bad_rows_are_refused(void **state)
{
    (void)state;
    assert_int_equal(rows_fill(0, 32, 8, 3), 0);
    assert_int_equal(rows_fill(0, 32, 36, 1), -EINVAL);
    assert_int_equal(rows_fill(0, 32, 0, 3), -EINVAL);
    assert_int_equal(rows_fill(0, 32, 8, 0), -EINVAL);
    assert_int_equal(rows_fill(2, 32, 8, 3), -EINVAL);
    assert_int_equal(rows_fill(0, 34, 8, 3), -EINVAL);
    assert_int_equal(rows_fill(32, 32, 8, 3), -ERANGE);
    assert_int_equal(rows_fill(0, 1ull << 63, 8, 3), -ERANGE);
    assert_int_equal(rows_fill(0, UINT64_MAX - 3, 8, 2), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_laid_out),
        cmocka_unit_test(test_bad_rows_are_refused),
        cmocka_unit_test(test_launch_is_laid_out),
        cmocka_unit_test(test_device_may_choose_groups),
        cmocka_unit_test(test_copy_fill_barrier_follow_each_other),
        cmocka_unit_test(test_batch_grows),
        cmocka_unit_test(test_bad_launches_are_refused),
        cmocka_unit_test(test_bad_ranges_are_refused),
        cmocka_unit_test(test_first_error_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
