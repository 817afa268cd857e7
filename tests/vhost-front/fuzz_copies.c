/*
 * fuzz_copies.c: random copies and fills, of bytes and of rows, against a gpud built with sanitizers, in guest
 * memory in one piece and in many and in the device's own. A model in plain C says which are right, and what
 * every byte of them and of the pages beside them is afterwards; what is wrong changes nothing.
 *
 *     gpud_fuzz_copies [BATCHES [SEED]]      GPUD, GPUD_DEVICE: another gpud than build/tests/gpud-asan
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

#define LARGE   800u /* pages of large buffers: gpud moves a MiB and more itself, several processors at a time */
#define PAGES   (24u + 3 * LARGE) /* of guest memory that is watched */
#define BUFFERS 6u
#define MIRROR  900u /* a buffer that the device's own are copied to, to be seen */
#define ROOM    (LARGE * VGPGPU_PAGE)

struct fuzz fuzz; /* random_id() and its like are not used here */

static unsigned long batches = 1500;
static struct rig rig;
static uint64_t arena; /* guest-physical */
static uint8_t model[PAGES * VGPGPU_PAGE], device_models[2][ROOM];
static unsigned long rights[8], wrongs[8]; /* by command */

/* Each buffer's size, and the pages of the arena where it is: `pages`, or `count` from `first` on; no count:
 * the device's own. */
static const struct {
    uint32_t bytes;
    unsigned count, first;
    const uint8_t *pages;
} buffers[BUFFERS + 1] = {
    [1] = {3 * VGPGPU_PAGE - 1003, 3, 1, NULL},
    [2] = {4 * VGPGPU_PAGE - 16, 4, 0, (const uint8_t[]){10, 8, 9, 6}},
    [3] = {5 * VGPGPU_PAGE - 7, 0, 0, NULL},
    [4] = {100, 1, 12, NULL},
    [5] = {LARGE * VGPGPU_PAGE - 4000, LARGE, 20, NULL},
    [6] = {(LARGE - 100) * VGPGPU_PAGE - 5, 0, 0, NULL},
};
#define MIRROR_FIRST (22u + LARGE)

static uint8_t *byte_of(uint32_t buffer, uint64_t at)
{
    uint64_t page = at / VGPGPU_PAGE;
    if (!buffers[buffer].count)
        return &device_models[buffer == 6][at];
    page = buffers[buffer].pages ? buffers[buffer].pages[page] : buffers[buffer].first + page;
    return &model[page * VGPGPU_PAGE + at % VGPGPU_PAGE];
}

/* ---- What is right, and what comes of it */

typedef unsigned __int128 wide;

static bool is_inside(uint32_t buffer, uint64_t offset, uint64_t pitch, uint64_t width, uint64_t rows)
{
    return (wide)offset + (wide)(rows - 1) * pitch + width <= buffers[buffer].bytes;
}

static bool is_buffer(uint32_t buffer)
{
    return buffer >= 1 && buffer <= BUFFERS;
}

/* Whether rows share a byte, by looking at every one. */
static bool bytes_shared(const struct vgpgpu_cmd_copy_2d *copy)
{
    static uint8_t seen[ROOM];
    memset(seen, 0, sizeof(seen));
    for (uint64_t row = 0; row < copy->rows; row++)
        memset(seen + copy->source_offset + row * copy->source_pitch, 1, copy->width);
    for (uint64_t row = 0; row < copy->rows; row++)
        if (memchr(seen + copy->target_offset + row * copy->target_pitch, 1, copy->width))
            return true;
    return false;
}

static bool areas_reach(const struct vgpgpu_cmd_copy_2d *copy)
{
    uint64_t source_end = copy->source_offset + (copy->rows - 1) * copy->source_pitch + copy->width,
             target_end = copy->target_offset + (copy->rows - 1) * copy->target_pitch + copy->width;
    return copy->source_offset < target_end && copy->target_offset < source_end;
}

static bool copy_is_right(const struct vgpgpu_cmd_copy_2d *copy)
{
    if (!copy->width || !copy->rows || copy->source_pitch < copy->width || copy->target_pitch < copy->width ||
        !is_buffer(copy->source) || !is_buffer(copy->target) ||
        !is_inside(copy->source, copy->source_offset, copy->source_pitch, copy->width, copy->rows) ||
        !is_inside(copy->target, copy->target_offset, copy->target_pitch, copy->width, copy->rows))
        return false;
    if (copy->source != copy->target)
        return true;
    return !bytes_shared(copy) && (copy->source_pitch == copy->target_pitch || !areas_reach(copy));
}

static void copy_model(const struct vgpgpu_cmd_copy_2d *copy)
{
    for (uint64_t row = 0; row < copy->rows; row++)
        for (uint64_t i = 0; i < copy->width; i++)
            *byte_of(copy->target, copy->target_offset + row * copy->target_pitch + i) =
                *byte_of(copy->source, copy->source_offset + row * copy->source_pitch + i);
}

static bool fill_is_right(const struct vgpgpu_cmd_fill_2d *fill)
{
    uint32_t unit = fill->pattern_bytes;
    bool unit_is_right = unit == 1 || unit == 2 || unit == 4 || unit == 8 || unit == 16;
    return unit_is_right && fill->width && fill->rows && fill->pitch >= fill->width && fill->offset % unit == 0 &&
           fill->pitch % unit == 0 && fill->width % unit == 0 && is_buffer(fill->target) &&
           is_inside(fill->target, fill->offset, fill->pitch, fill->width, fill->rows);
}

static void fill_model(const struct vgpgpu_cmd_fill_2d *fill)
{
    for (uint64_t row = 0; row < fill->rows; row++)
        for (uint64_t i = 0; i < fill->width; i++)
            *byte_of(fill->target, fill->offset + row * fill->pitch + i) = fill->pattern[i % fill->pattern_bytes];
}

/* ---- Commands, mostly near the ends of their buffers */

static uint32_t buffer_random(void)
{
    return one_in(40) ? random_below(9) : 1 + random_below(BUFFERS);
}

static uint64_t length_random(void)
{
    static const uint16_t usual[] = {1, 2, 3, 15, 16, 17, 63, 64, 65, 255, 4095, 4096, 4097, 8191};
    return one_in(50) ? random_edge() : one_in(3) ? usual[random_below(14)] : random_below(one_in(3) ? 9000 : 90);
}

/* Now and then much. */
static bool length_enlarge(uint64_t *length, uint32_t *buffer, uint32_t *other)
{
    if (!one_in(16))
        return false;
    *length = 1 + random_below(one_in(2) ? ROOM : ROOM / 8);
    *buffer = 5 + random_below(2);
    *other = 5 + random_below(2);
    return true;
}

/* So that what it starts ends about where the buffer does, now and then. */
static uint64_t offset_random(uint32_t buffer, uint64_t bytes, uint32_t unit)
{
    uint64_t size = is_buffer(buffer) ? buffers[buffer].bytes : 100;
    uint64_t last = bytes < size ? size - bytes : 0;
    if (one_in(50))
        return random_edge();
    return (one_in(3) ? last + (one_in(4) ? random_below(3) : 0) : random_below((uint32_t)last + 1)) / unit * unit;
}

static uint64_t pitch_random(uint64_t width, uint64_t rows)
{
    if (rows == 1 && one_in(4))
        return random_edge(); /* which says nothing, if only it is as wide */
    return one_in(20) ? width - 1 : width + (one_in(3) ? 0 : random_below(one_in(3) ? 3000 : 30));
}

static bool copy_make(struct front_batch *batch)
{
    struct vgpgpu_cmd_copy_2d copy = {.source = buffer_random(), .target = buffer_random(), .rows = 1};
    bool rows = one_in(2);
    copy.width = length_random();
    length_enlarge(&copy.width, &copy.source, &copy.target);
    copy.rows = !rows ? 1 : one_in(50) ? random_edge() : random_below(12);
    copy.source_pitch = rows ? pitch_random(copy.width, copy.rows) : copy.width;
    copy.target_pitch = rows && one_in(2) ? pitch_random(copy.width, copy.rows) : copy.source_pitch;
    copy.source_offset = offset_random(copy.source, (copy.rows - 1) * copy.source_pitch + copy.width, 1);
    copy.target_offset = offset_random(copy.target, (copy.rows - 1) * copy.target_pitch + copy.width, 1);
    if (one_in(4) && copy.source == copy.target) /* between the rows, perhaps */
        copy.target_offset = copy.source_offset + random_below(200);
    bool right = copy_is_right(&copy);
    if (right)
        copy_model(&copy);
    (right ? rights : wrongs)[rows ? VGPGPU_CMD_COPY_2D : VGPGPU_CMD_COPY]++;
    if (rows)
        batch_copy_2d(batch, &copy);
    else
        batch_copy(batch, copy.source, copy.source_offset, copy.target, copy.target_offset, copy.width);
    return right;
}

static bool fill_make(struct front_batch *batch)
{
    uint32_t unit = one_in(30) ? random_below(20) : 1u << random_below(5), divisor = unit ? unit : 1;
    struct vgpgpu_cmd_fill_2d fill = {.target = buffer_random(), .pattern_bytes = unit, .rows = 1};
    bool rows = one_in(2);
    uint64_t width = length_random();
    length_enlarge(&width, &fill.target, &(uint32_t){0});
    fill.width = width / divisor * divisor;
    fill.rows = !rows ? 1 : one_in(50) ? random_edge() : random_below(12);
    fill.pitch = rows ? pitch_random(fill.width, fill.rows) / divisor * divisor : fill.width;
    fill.offset = offset_random(fill.target, (fill.rows - 1) * fill.pitch + fill.width, divisor);
    for (unsigned i = 0; i < 16; i++)
        fill.pattern[i] = (uint8_t)random_next();
    bool right = fill_is_right(&fill);
    if (right)
        fill_model(&fill);
    (right ? rights : wrongs)[rows ? VGPGPU_CMD_FILL_2D : VGPGPU_CMD_FILL]++;
    if (rows)
        batch_fill_2d(batch, &fill);
    else
        batch_fill(batch, fill.target, fill.offset, fill.width, fill.pattern, unit);
    return right;
}

/* ---- The machine */

static void machine_make(void)
{
    rig_open(&rig);
    front_pages(rig.front, 3);
    arena = front_pages(rig.front, PAGES);
    for (uint32_t i = 1; i <= BUFFERS + 1; i++) {
        uint32_t id = i > BUFFERS ? MIRROR : i;
        struct vgpgpu_segment segments[5];
        unsigned first = id == MIRROR ? MIRROR_FIRST : buffers[id].first,
                 count = id == MIRROR ? LARGE : buffers[id].count;
        const uint8_t *pages = id == MIRROR ? NULL : buffers[id].pages;
        uint64_t bytes = id == MIRROR ? ROOM : buffers[id].bytes;
        segments[0] = (struct vgpgpu_segment){arena + first * VGPGPU_PAGE, count * VGPGPU_PAGE};
        for (unsigned at = 0; pages && at < count; at++)
            segments[at] = (struct vgpgpu_segment){arena + pages[at] * VGPGPU_PAGE, VGPGPU_PAGE};
        assert_int_equal(count ? front_buffer_guest(rig.front, 1, id, bytes, segments, pages ? count : 1)
                               : front_buffer_device(rig.front, 1, id, bytes),
                         0);
    }
    for (unsigned i = 0; i < sizeof(model); i++)
        model[i] = (uint8_t)random_next();
    memcpy(front_at(rig.front, arena), model, sizeof(model));
    batch_copy(rig_batch(&rig), 5, 9, 3, 0, buffers[3].bytes);
    batch_copy(rig.batch, 5, 0, 6, 0, buffers[6].bytes);
    assert_int_equal(rig_run(&rig, 0), 0);
    memcpy(device_models[0], byte_of(5, 9), buffers[3].bytes);
    memcpy(device_models[1], byte_of(5, 0), buffers[6].bytes);
}

/* Every byte, those of the device's own by way of the mirror. */
static void all_check(unsigned long batch)
{
    const uint8_t *memory = front_at(rig.front, arena);
    for (unsigned own = 0; own < 2; own++) {
        uint32_t buffer = own ? 6 : 3, bytes = buffers[buffer].bytes;
        batch_copy(rig_batch(&rig), buffer, 0, MIRROR, 0, bytes);
        assert_int_equal(rig_run(&rig, 0), 0);
        memcpy(&model[MIRROR_FIRST * VGPGPU_PAGE], device_models[own], bytes);
        for (unsigned i = 0; memcmp(memory, model, sizeof(model)) != 0 && i < sizeof(model); i++)
            if (memory[i] != model[i])
                fail_msg("batch %lu: byte %u of page %u is %#x, not %#x", batch, i % VGPGPU_PAGE, i / VGPGPU_PAGE,
                         memory[i], model[i]);
    }
}

/* What was submitted, for whoever looks for the reason. */
static void batch_print(const struct front_batch *batch)
{
    for (uint32_t at = 0; at < batch->bytes; at += ((const struct vgpgpu_command *)(batch->commands + at))->bytes) {
        const struct vgpgpu_command *command = (const void *)(batch->commands + at);
        const uint64_t *words = (const void *)(command + 1);
        print_error("command %u: buffers or pattern %#llx:", command->op, (unsigned long long)words[0]);
        for (unsigned i = 1; i < command->bytes / 8 - 1; i++)
            print_error(" %llu", (unsigned long long)words[i]);
        print_error("\n");
    }
}

/* Some commands that are right, or one that is not, which must change nothing. Queue 0 is for those. */
static void batch_step(unsigned long number)
{
    static uint32_t queue = 1;
    static uint8_t before[sizeof(model)], device_before[sizeof(device_models)];
    struct front_batch *batch = rig_batch(&rig);
    bool right = true, unordered = one_in(3);
    memcpy(before, model, sizeof(model));
    memcpy(device_before, device_models, sizeof(device_models));
    for (uint32_t count = 1 + random_below(4); count && right; count--) {
        right = one_in(2) ? copy_make(batch) : fill_make(batch);
        if (unordered)
            batch_barrier(batch);
    }
    uint32_t at = right ? 0 : queue;
    front_submit_flags(rig.front, 1, at, ++rig.fences[at], unordered, batch->commands, batch->bytes);
    uint32_t status = rig_wait(&rig, at);
    if (right != (status == VGPGPU_OK) || status > VGPGPU_ERR_RANGE)
        batch_print(batch);
    if (right != (status == VGPGPU_OK) || status > VGPGPU_ERR_RANGE)
        fail_msg("batch %lu: status %u of what is %s", number, status, right ? "right" : "wrong");
    if (right)
        return;
    memcpy(model, before, sizeof(model));
    memcpy(device_models, device_before, sizeof(device_models));
    if (++queue == VGPGPU_QUEUES_PER_CONTEXT) { /* a queue tells of its first failure alone */
        all_check(number);
        rig_close(&rig);
        machine_make();
        queue = 1;
    }
}

static void test_copies(void **state)
{
    static const char *const names[8] = {[VGPGPU_CMD_COPY] = "COPY",
                                         [VGPGPU_CMD_FILL] = "FILL",
                                         [VGPGPU_CMD_COPY_2D] = "COPY_2D",
                                         [VGPGPU_CMD_FILL_2D] = "FILL_2D"};
    uint64_t first = fuzz_seed;
    (void)state;
    unsigned long done = 0;
    machine_make();
    for (; rig_goes_on(done); done++) {
        batch_step(done);
        if (done % 8 == 0)
            all_check(done);
    }
    all_check(done);
    rig_close(&rig);
    for (unsigned i = 0; i < 8; i++)
        if (names[i]) {
            printf("%-8s %7lu right, %7lu wrong\n", names[i], rights[i], wrongs[i]);
            assert_true(done < 1000 || (rights[i] > 50 && wrongs[i] > 50));
        }
    printf("%lu batches in %.0f s (%.0f a second) from seed %llu; %u device processes replaced\n", done, rig_seconds(),
           (double)done / rig_seconds(), (unsigned long long)first, rig_log_count("the device process is gone"));
    assert_int_equal(rig_log_count("the device process is gone"), 0);
    rig_log_is_clean();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copies)};
    rig_arguments(argc, argv, "BATCHES", &batches, &fuzz_seed);
    setenv("GPUD", "build/tests/gpud-asan", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
