/*
 * fuzz_commands.c: see fuzz.h. Submissions. What would only stop the fuzz is left out: launches of so
 * many work-items that they run for hours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "fuzz.h"

#define MAX_ITEMS 4096u /* of a launch that really runs */

/* A number of bytes or an offset in a buffer of the home. */
static uint64_t random_inside(uint32_t unit)
{
    if (one_in(16))
        return random_edge();
    return random_below(FUZZ_BUFFER_BYTES / unit / (one_in(8) ? 1 : 4)) * unit;
}

static uint32_t random_buffer(void)
{
    return one_in(12) ? random_id() : 1 + random_below(FUZZ_HOME_NAMES);
}

/* ---- Launches */

static void args_random(struct front_batch *batch)
{
    uint64_t value[40] = {random_next()};
    for (uint32_t args = random_below(4); args; args--) {
        if (one_in(3))
            batch_arg_local(batch, random_or_edge(4096));
        else if (one_in(2))
            batch_arg_value(batch, value, one_in(20) ? 257 : 1 + random_below(16));
        else
            batch_arg_buffer(batch, random_buffer(), random_or_edge(64) * 128);
    }
}

/* What the kernels of fuzz_source want. */
static void args_fitting(struct front_batch *batch, uint32_t kernel)
{
    uint64_t value[40] = {random_next()};
    if (kernel == 2) {
        batch_arg_local(batch, 1 + random_or_edge(4096));
        return;
    }
    batch_arg_buffer(batch, random_buffer(), random_or_edge(FUZZ_BUFFER_BYTES / 128 + 4) * 128);
    batch_arg_value(batch, value, !one_in(16) ? 4 : one_in(2) ? 1 + random_below(16) : 250 + random_below(10));
}

static void items_bound(struct vgpgpu_cmd_launch *launch)
{
    uint64_t items;
    if (!__builtin_mul_overflow(launch->global[0], launch->global[1], &items) &&
        !__builtin_mul_overflow(items, launch->global[2], &items) && items > MAX_ITEMS &&
        items <= INT64_MAX)
        launch->global[0] = launch->global[1] = launch->global[2] = 1;
}

/* PoCL compiles a kernel anew for each size of a work-group, which it chooses by the work-items: there are not many. */
static void range_make(struct vgpgpu_cmd_launch *launch)
{
    static const uint8_t first[] = {1, 2, 3, 16, 63, 64}, others[] = {1, 2};
    launch->dimensions = 1 + random_below(3);
    for (unsigned i = 0; i < 3; i++) {
        bool used = i < launch->dimensions;
        uint32_t some = i ? others[random_below(2)] : first[random_below(launch->dimensions > 1 ? 3 : 6)];
        launch->global[i] = !used ? 1 : one_in(30) ? random_edge() : some * (1 + random_below(2));
        launch->local[i] = !used || one_in(4) ? 0 : one_in(30) ? random_edge() : some;
    }
}

static void launch_make(struct front_batch *batch)
{
    uint32_t start = batch->bytes, kernel = one_in(10) ? random_id() : 1 + random_below(2);
    batch_launch(batch, kernel, 1u << random_below(7), random_below(3));
    if (one_in(3))
        args_random(batch);
    else
        args_fitting(batch, kernel);
    struct vgpgpu_cmd_launch *launch = (void *)(batch->commands + start);
    if (one_in(4))
        range_make(launch);
    if (one_in(2))
        bytes_spoil(&launch->kernel,
                    batch->bytes - start - offsetof(struct vgpgpu_cmd_launch, kernel));
    items_bound(launch);
}

/* ---- Copies and fills */

static void copy_make(struct front_batch *batch)
{
    batch_copy(batch, random_buffer(), random_inside(1), random_buffer(), random_inside(1),
               random_inside(1));
}

static void fill_make(struct front_batch *batch)
{
    uint8_t pattern[16];
    uint32_t bytes = 1u << random_below(one_in(8) ? 7 : 5);
    memset(pattern, (int)random_next(), sizeof(pattern));
    batch_fill(batch, random_buffer(), random_inside(bytes), random_inside(bytes), pattern, bytes);
}

static void copy_2d_make(struct front_batch *batch)
{
    struct vgpgpu_cmd_copy_2d copy = {.source = random_buffer(),
                                      .target = random_buffer(),
                                      .source_offset = random_inside(1),
                                      .target_offset = random_inside(1),
                                      .source_pitch = random_or_edge(200),
                                      .target_pitch = random_or_edge(200),
                                      .width = random_or_edge(100),
                                      .rows = random_or_edge(20)};
    if (one_in(3))
        copy.target_pitch = copy.source_pitch;
    batch_copy_2d(batch, &copy);
}

static void fill_2d_make(struct front_batch *batch)
{
    uint32_t bytes = 1u << random_below(one_in(8) ? 7 : 5);
    struct vgpgpu_cmd_fill_2d fill = {.target = random_buffer(),
                                      .pattern_bytes = bytes,
                                      .offset = random_inside(bytes),
                                      .pitch = random_or_edge(20) * 16,
                                      .width = random_or_edge(12) * 16,
                                      .rows = random_or_edge(20)};
    batch_fill_2d(batch, &fill);
}

/* There is room for some below a submission's fence. */
static void signal_make(struct front_batch *batch)
{
    batch_signal(batch, random_or_edge(6));
}

static void command_make(struct front_batch *batch)
{
    static void (*const makers[])(struct front_batch *batch) = {
        copy_make,    fill_make,      copy_2d_make,   fill_2d_make, batch_barrier, signal_make,
        launch_make,  launch_make,    operation_make, operation_make, operation_make, operation_make,
    };
    uint32_t start = batch->bytes;
    makers[random_below(sizeof(makers) / sizeof(makers[0]))](batch);
    struct vgpgpu_command *command = (void *)(batch->commands + start);
    if (one_in(4))
        bytes_spoil(command, sizeof(*command));
    else if (one_in(30)) { /* more than it should be */
        memset(batch->commands + batch->bytes, 0, 8);
        command->bytes += 8;
        batch->bytes += 8;
    }
}

/* ---- Submissions */

struct submission {
    struct vgpgpu_submit header;
    uint8_t commands[1u << 17];
};

void submit_step(void)
{
    static struct submission submission;
    struct front_batch *batch = rig_batch(&fuzz.rig);
    for (uint32_t count = random_below(6); count; count--)
        command_make(batch);
    assert_true(batch->bytes <= sizeof(submission.commands));
    fuzz.fence += 1 + random_below(8);
    submission.header = (struct vgpgpu_submit){.context = random_id(),
                                               .queue = (uint32_t)random_or_edge(6),
                                               .command_bytes = batch->bytes,
                                               .flags = one_in(3),
                                               .fence = one_in(30) ? random_edge() : fuzz.fence};
    memcpy(submission.commands, batch->commands, batch->bytes);
    bytes_spoil(&submission.header, offsetof(struct vgpgpu_submit, fence));
    if (submission.header.context == FUZZ_HOME)
        submission.header.context = 1;
    uint32_t bytes = (uint32_t)sizeof(submission.header) + batch->bytes;
    front_submit_raw(fuzz.rig.front, &submission, one_in(20) ? random_below(bytes + 1) : bytes);
}

uint32_t home_queue_next(void)
{
    if (fuzz.home_queue == VGPGPU_QUEUES_PER_CONTEXT)
        home_renew();
    return fuzz.home_queue;
}

uint32_t home_outcome(uint32_t queue)
{
    uint32_t status = home_wait(queue);
    if (status > VGPGPU_ERR_EXEC || status == VGPGPU_ERR_NO_MEMORY)
        fail_msg("status %u of a command of kind %u", status,
                 ((const struct vgpgpu_command *)fuzz.rig.batch->commands)->op);
    if (status)
        fuzz.home_queue++;
    return status;
}

/* Operations and their types a device may not have. */
static void verdict_check(enum verdict verdict, const struct vgpgpu_command *command, uint32_t status)
{
    const uint32_t *words = (const void *)command;
    bool refused = status && (command->op != VGPGPU_CMD_OPERATION || status != VGPGPU_ERR_UNSUPPORTED);
    if (verdict == OPEN || (verdict == WRONG ? status != VGPGPU_OK : !refused))
        return;
    for (uint32_t i = 0; i < command->bytes / 4; i++)
        print_error("%08x%c", words[i], i % 8 == 7 ? '\n' : ' ');
    fail_msg("a command of kind %u is %s: status %u", command->op, verdict == WRONG ? "wrong" : "right", status);
}

void command_step(void)
{
    uint32_t queue = home_queue_next(), room = 1 + random_below(8);
    struct front_batch *batch = rig_batch(&fuzz.rig);
    const struct vgpgpu_command *command = (const void *)batch->commands;
    command_make(batch);
    fuzz.home_fences[queue] += room;
    front_submit_flags(fuzz.rig.front, FUZZ_HOME, queue, fuzz.home_fences[queue], one_in(3),
                       batch->commands, batch->bytes);
    uint32_t status = home_outcome(queue);
    count_command(command, status);
    verdict_check(command_judge(command, batch->bytes, room), command, status);
}

/* Lengths, flags and fences that are wrong. Something that is right follows, to see that it ends. */
void header_step(void)
{
    static struct submission submission;
    uint32_t queue = home_queue_next();
    struct front_batch *batch = rig_batch(&fuzz.rig);
    uint64_t *fence = &fuzz.home_fences[queue];
    bool wrong_fence = one_in(3);
    batch_barrier(batch);
    submission.header = (struct vgpgpu_submit){
        .context = FUZZ_HOME,
        .queue = queue,
        .command_bytes = one_in(2) ? batch->bytes : (uint32_t)random_edge(),
        .flags = one_in(2) ? 0 : (uint32_t)random_edge(),
        .fence = !wrong_fence ? *fence + 1 : one_in(2) ? UINT64_MAX : random_below((uint32_t)*fence + 1)};
    memcpy(submission.commands, batch->commands, batch->bytes);
    front_submit_raw(fuzz.rig.front, &submission,
                     (uint32_t)sizeof(submission.header) + batch->bytes);
    const struct vgpgpu_submit *header = &submission.header;
    bool right = header->flags <= VGPGPU_SUBMIT_UNORDERED && !wrong_fence &&
                 (!header->command_bytes || header->command_bytes == batch->bytes);
    *fence += wrong_fence ? 1 : 2;
    front_submit(fuzz.rig.front, FUZZ_HOME, queue, *fence, NULL, 0);
    uint32_t status = home_outcome(queue);
    count_submission(status);
    if (right != !status)
        fail_msg("a submission of %u bytes with flags %#x and fence %llu is %s: status %u", header->command_bytes,
                 header->flags, (unsigned long long)header->fence, right ? "right" : "wrong", status);
}
