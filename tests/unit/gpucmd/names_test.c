/*
 * names_test.c: the names in commands are found, with what is done to them, and no bytes lead outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/gpucmd/gpucmd.h"
#include "lib/gpucmd/names.h"
#include "lib/gpucmd/tensor.h"

#define NAMES_MAX 64u

struct seen {
    unsigned count;
    struct {
        uint32_t id;
        unsigned access;
        uint64_t whole;
        bool hint;
    } names[NAMES_MAX];
};

static int note(void *arg, const struct gpucmd_name *name)
{
    struct seen *seen = arg;

    if (seen->count == NAMES_MAX)
        return -1;
    seen->names[seen->count].id = *name->id;
    seen->names[seen->count].access = name->access;
    seen->names[seen->count].whole = name->whole;
    seen->names[seen->count++].hint = name->hint != NULL;
    if (name->hint)
        *name->hint = 0;
    *name->id += 100;
    return 0;
}

static void expect_name(const struct seen *seen, unsigned nth, uint32_t id, unsigned access, uint64_t whole)
{
    assert_true(nth < seen->count);
    assert_int_equal(seen->names[nth].id, id);
    assert_int_equal(seen->names[nth].access, access);
    assert_int_equal(seen->names[nth].whole, whole);
}

static void write_all(struct gpucmd *c)
{
    static const uint64_t global[1] = {64}, shape[2] = {8, 4};
    static const uint32_t number = 3;
    const struct gpucmd_arg args[] = {
        {.kind = VGPGPU_ARG_BUFFER, .buffer = 1},
        GPUCMD_VALUE(number),
        {.kind = VGPGPU_ARG_BUFFER, .buffer = 2, .hint = GPUCMD_READS},
        GPUCMD_LOCAL(16),
        {.kind = VGPGPU_ARG_BUFFER, .buffer = 3, .hint = GPUCMD_WRITES},
    };
    const struct gpucmd_launch launch = {
        .kernel = 9, .dimensions = 1, .arg_count = 5, .global = global, .args = args};
    const struct vgpgpu_tensor a = tensor_dense(4, VGPGPU_F32, 0, 2, shape),
                               b = tensor_matrix(5, VGPGPU_F32, 0, 4, 4, 4),
                               into = tensor_dense(6, VGPGPU_F32, 0, 2, shape),
                               wide = tensor_matrix(6, VGPGPU_F32, 0, 8, 4, 5);

    gpucmd_launch(c, &launch);
    gpucmd_copy(c, 10, 0, 11, 0, 64);
    gpucmd_copy(c, 10, 0, 11, 8, 64);
    gpucmd_barrier(c);
    gpucmd_signal(c, 4); /* which names nothing */
    gpucmd_fill(c, 12, 0, 32, "abcd", 4);
    gpucmd_multiply(c, &into, &a, &b, false);
    gpucmd_multiply(c, &into, &a, &b, true);
    gpucmd_multiply(c, &wide, &a, &b, false);
}

static void names_are_found(void **state)
{
    uint64_t room[512];
    struct seen seen = {0};
    struct gpucmd c;

    (void)state;
    gpucmd_begin(&c, room, sizeof(room));
    write_all(&c);
    assert_false(c.failed);
    assert_int_equal(gpucmd_names(room, c.used, note, &seen), 0);
    assert_int_equal(seen.count, 17);
    expect_name(&seen, 0, 1, GPUCMD_READS | GPUCMD_WRITES, 0);
    expect_name(&seen, 1, 2, GPUCMD_READS, 0);
    expect_name(&seen, 2, 3, GPUCMD_WRITES, UINT64_MAX);
    expect_name(&seen, 3, 10, GPUCMD_READS, 0);
    expect_name(&seen, 4, 11, GPUCMD_WRITES, 64);
    expect_name(&seen, 6, 11, GPUCMD_WRITES, 0);
    expect_name(&seen, 7, 12, GPUCMD_WRITES, 32);
    expect_name(&seen, 8, 4, GPUCMD_READS, 0);
    expect_name(&seen, 10, 6, GPUCMD_WRITES, 8 * 4 * 4);
    expect_name(&seen, 13, 6, GPUCMD_READS | GPUCMD_WRITES, 8 * 4 * 4);
    expect_name(&seen, 16, 6, GPUCMD_WRITES, 0);
    assert_true(seen.names[1].hint && !seen.names[3].hint);
    seen.count = 0; /* the names have been changed, and the hints taken out */
    assert_int_equal(gpucmd_names(room, c.used, note, &seen), 0);
    expect_name(&seen, 1, 102, GPUCMD_READS | GPUCMD_WRITES, 0);
    expect_name(&seen, 16, 106, GPUCMD_WRITES, 0);
}

static int stop(void *arg, const struct gpucmd_name *name)
{
    return *name->id == 10 ? -7 : note(arg, name);
}

static void nonsense_is_refused(void **state)
{
    struct vgpgpu_command unknown = {.op = 99, .bytes = 8}, nothing = {.op = VGPGPU_CMD_BARRIER};
    struct vgpgpu_command launch = {.op = VGPGPU_CMD_LAUNCH, .bytes = 8};
    uint64_t room[512];
    struct seen seen = {0};
    struct gpucmd c;

    (void)state;
    assert_int_equal(gpucmd_names(&unknown, 8, note, &seen), GPUCMD_UNKNOWN);
    assert_int_equal(gpucmd_names(&nothing, 8, note, &seen), GPUCMD_MALFORMED);
    assert_int_equal(gpucmd_names(&launch, 8, note, &seen), GPUCMD_MALFORMED);
    assert_int_equal(gpucmd_names(&unknown, 0, note, &seen), 0);
    gpucmd_begin(&c, room, sizeof(room));
    write_all(&c);
    assert_int_equal(gpucmd_names(room, c.used, stop, &seen), -7);
    assert_int_equal(seen.count, 3);
}

/* Any bytes: an answer, and not a byte outside is touched, which the sanitizer would see. */
static void any_bytes_are_survived(void **state)
{
    uint64_t room[512], random = 1;
    struct gpucmd c;

    (void)state;
    for (unsigned round = 0; round < 60000; round++) {
        struct seen seen = {0};
        uint8_t *copy;
        uint32_t bytes;

        gpucmd_begin(&c, room, sizeof(room));
        write_all(&c);
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        bytes = random >> 60 ? c.used : (uint32_t)(random >> 40) % c.used & ~7u;
        copy = malloc(bytes + !bytes);
        memcpy(copy, room, bytes);
        for (unsigned changes = (random >> 20) % 6; changes > 0 && bytes; changes--) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            copy[(random >> 33) % bytes] = (uint8_t)(random >> 25 & (random >> 58 ? 0xff : 3));
        }
        gpucmd_names(copy, bytes, note, &seen);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(any_bytes_are_survived),
    };

    return cmocka_run_group_tests_name("gpucmd_names", tests, NULL, NULL);
}
