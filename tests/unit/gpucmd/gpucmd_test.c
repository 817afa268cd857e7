/*
 * gpucmd_test.c: commands have the layout of uapi/virtio_gpgpu.h, and never leave their room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/gpucmd/gpucmd.h"

static const uint64_t global[3] = {100, 20, 3};
static const uint64_t local[3] = {10, 5, 1};
static const uint32_t number = 0xabcd;
static const uint8_t blob[13] = "thirteen byte";

/* One of everything. */
static void write_all(struct gpucmd *c)
{
    const struct gpucmd_arg args[] = {
        {.kind = VGPGPU_ARG_BUFFER, .buffer = 7, .offset = 4096},
        GPUCMD_VALUE(number),
        GPUCMD_VALUE(blob),
        GPUCMD_LOCAL(512),
    };
    const struct gpucmd_launch launch = {9, 2, 4, global, local, args};

    gpucmd_launch(c, &launch);
    gpucmd_copy(c, 1, 16, 2, 32, 64);
    gpucmd_fill(c, 3, 8, 80, "ab", 2);
    gpucmd_barrier(c);
    gpucmd_signal(c, 5);
}

static void layout_is_the_devices(void **state)
{
    const uint32_t launch_bytes = 4 * sizeof(struct vgpgpu_arg) + 8 + 16;
    uint64_t room[128];
    const uint8_t *at = (const uint8_t *)room;
    const struct vgpgpu_cmd_launch *launch = (const void *)at;
    const struct vgpgpu_arg *arg = (const void *)(launch + 1);
    struct gpucmd c;

    (void)state;
    memset(room, 0xff, sizeof(room));
    gpucmd_begin(&c, room, sizeof(room));
    write_all(&c);
    assert_false(c.failed);
    assert_int_equal(launch->header.op, VGPGPU_CMD_LAUNCH);
    assert_int_equal(launch->header.bytes, sizeof(*launch) + launch_bytes);
    assert_int_equal(launch->kernel, 9);
    assert_int_equal(launch->global[1], 20);
    assert_int_equal(launch->global[2], 1);
    assert_int_equal(launch->local[1], 5);
    assert_int_equal(launch->local[2], 1);
    assert_int_equal(arg[0].object, 7);
    assert_int_equal(arg[0].offset, 4096);
    assert_int_equal(arg[0].size, 0);
    assert_int_equal(arg[1].size, sizeof(number));
    assert_memory_equal(arg + 2, "\xcd\xab\0\0\0\0\0\0", 8);

    const struct vgpgpu_cmd_copy *copy = (const void *)(at + launch->header.bytes);
    assert_int_equal(copy->header.op, VGPGPU_CMD_COPY);
    assert_int_equal(copy->target_offset, 32);
    const struct vgpgpu_cmd_fill *fill = (const void *)(copy + 1);
    assert_int_equal(fill->header.op, VGPGPU_CMD_FILL);
    assert_memory_equal(fill->pattern, "ab\0\0", 4);
    const struct vgpgpu_command *barrier = (const void *)(fill + 1);
    assert_int_equal(barrier->op, VGPGPU_CMD_BARRIER);
    const struct vgpgpu_cmd_signal *signal = (const void *)(barrier + 1);
    assert_int_equal(signal->header.op, VGPGPU_CMD_SIGNAL);
    assert_int_equal(signal->header.bytes, 16);
    assert_int_equal(signal->before, 5);
    assert_int_equal(c.used, (const uint8_t *)(signal + 1) - at);
}

/* Any room that is too small: it fails, and nothing is written behind the room (the sanitizer
 * sees). */
static void room_is_respected(void **state)
{
    struct gpucmd counted, c;

    (void)state;
    gpucmd_begin(&counted, NULL, 0);
    write_all(&counted);
    assert_false(counted.failed);
    for (uint32_t room = 0; room <= counted.used; room++) {
        uint8_t *buffer = malloc(room ? room : 1);

        gpucmd_begin(&c, buffer, room);
        write_all(&c);
        assert_int_equal(c.failed, room < counted.used);
        assert_true(c.used <= room);
        free(buffer);
    }
}

static void nonsense_is_refused(void **state)
{
    static const uint8_t large[VGPGPU_MAX_VALUE + 1];
    const struct gpucmd_arg too_large = GPUCMD_VALUE(large);
    const struct gpucmd_arg empty = {.kind = VGPGPU_ARG_VALUE, .value = large};
    const struct gpucmd_launch launches[] = {
        {1, 0, 0, global, NULL, NULL},
        {1, 4, 0, global, NULL, NULL},
        {1, 1, VGPGPU_MAX_ARGS + 1, global, NULL, NULL},
        {1, 1, 1, global, NULL, &too_large},
        {1, 1, 1, global, NULL, &empty},
    };
    struct gpucmd c;

    (void)state;
    for (size_t i = 0; i < sizeof(launches) / sizeof(launches[0]); i++) {
        gpucmd_begin(&c, NULL, 0);
        gpucmd_launch(&c, &launches[i]);
        assert_true(c.failed);
        assert_int_equal(c.used, 0);
    }
    gpucmd_begin(&c, NULL, 0);
    gpucmd_fill(&c, 1, 0, 64, large, 17);
    assert_true(c.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_the_devices),
        cmocka_unit_test(room_is_respected),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests_name("gpucmd", tests, NULL, NULL);
}
