/*
 * fuzz_crowds.c: see fuzz.h. Much at a time: submissions of many launches, which the device's own thread may give it,
 * with other work beside them; and more submissions than the device has room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "fuzz.h"

#define MOST_LAUNCHES 300u
#define MOST_WAITING  6000u /* submissions: more than gpud has under way at a time */

static bool narrow; /* all launches of a submission are of one work-group, which gpud gives to one thread */

static void launch_add(struct front_batch *batch, uint32_t buffer, int value, uint32_t value_bytes)
{
    static const uint8_t sizes[] = {1, 1, 4, 32, 64, 65, 200};
    uint64_t bytes[2] = {(uint32_t)value};
    uint32_t items = sizes[random_below(narrow ? 5 : sizeof(sizes))];
    batch_launch(batch, 1, items, one_in(2) ? 0 : one_in(2) ? items : 1);
    batch_arg_buffer(batch, buffer, 0);
    batch_arg_value(batch, bytes, value_bytes);
}

/* Something that comes while the launches are at work, on another queue, or a request. Nothing of it fails. */
static void beside_submit(uint32_t *queue)
{
    struct front_batch *batch = rig_batch(&fuzz.rig);
    if (one_in(4))
        control_step();
    if (*queue + 1 >= VGPGPU_QUEUES_PER_CONTEXT)
        return;
    *queue += 1;
    rig_batch(&fuzz.rig);
    for (uint32_t count = random_below(4); count; count--)
        batch_copy(batch, 3, 0, 3, 100 * count, 64);
    if (one_in(3))
        launch_add(batch, 3, 1, 4);
    fuzz.home_fences[*queue]++;
    front_submit_flags(fuzz.rig.front, FUZZ_HOME, *queue, fuzz.home_fences[*queue], one_in(3), batch->commands,
                       batch->bytes);
}

/* In order the last of them is what is there; one that is wrong is an error of all. */
static void crowd_submit(bool alone)
{
    uint32_t queue = home_queue_next(), count = 1 + random_below(one_in(3) ? MOST_LAUNCHES : 40), last = queue;
    struct front_batch *batch = rig_batch(&fuzz.rig);
    bool wrong = one_in(4), unordered = one_in(4);
    uint32_t wrong_at = random_below(count);
    int value = 0;
    for (uint32_t i = 0; i < count; i++) {
        value = (int)random_below(128);
        launch_add(batch, 1 + random_below(2), value, wrong && i == wrong_at ? 8 : 4);
    }
    launch_add(batch, 2, value, 4);
    fuzz.home_fences[queue]++;
    front_submit_flags(fuzz.rig.front, FUZZ_HOME, queue, fuzz.home_fences[queue], unordered, batch->commands,
                       batch->bytes);
    for (uint32_t more = alone ? 0 : random_below(3); more; more--)
        beside_submit(&last);
    uint32_t status = home_outcome(queue);
    if (wrong ? status != VGPGPU_ERR_EXEC : status != VGPGPU_OK)
        fail_msg("%u launches, %s: status %u", count + 1, wrong ? "one of them wrong" : "all right", status);
    const volatile uint8_t *second = front_at(fuzz.rig.front, fuzz.home_page + 9 * VGPGPU_PAGE);
    if (!wrong && !unordered)
        assert_int_equal(*second, value);
    for (; last > queue; last--)
        assert_int_equal(home_wait(last), 0);
}

void crowd_step(void)
{
    narrow = one_in(3);
    for (uint32_t row = narrow ? 6 : 1; row; row--)
        crowd_submit(row > 1);
}

/* ---- */

static const char hold_source[] = "kernel void hold(global volatile int *c) { while (!c[0]) c[1]++; }";

static void hold_start(void)
{
    struct front *front = fuzz.rig.front;
    struct front_batch *batch = rig_batch(&fuzz.rig);
    uint64_t args;
    assert_int_equal(front_program(front, FUZZ_HOME, 2, hold_source, NULL, 0), 0);
    assert_int_equal(front_kernel(front, FUZZ_HOME, 3, 2, "hold", &args), 0);
    batch_launch(batch, 3, 1, 1);
    batch_arg_buffer(batch, 2, 0);
    front_submit(front, FUZZ_HOME, 1, ++fuzz.home_fences[1], batch->commands, batch->bytes);
}

/* As many as the ring takes: what the device does not take yet stays there. */
static void submit_until_full(void)
{
    struct front *front = fuzz.rig.front;
    const struct front_queue *ring = &front->queues[VGPGPU_QUEUE_SUBMIT];
    struct front_batch *batch = rig_batch(&fuzz.rig);
    batch_barrier(batch);
    for (unsigned i = 0; i < MOST_WAITING; i++) {
        uint16_t head;
        uint32_t written, queue = one_in(8) ? 1 + random_below(VGPGPU_QUEUES_PER_CONTEXT - 1) : 1;
        while (ring->free_count < 8)
            if (!front_take(front, VGPGPU_QUEUE_SUBMIT, 300, &head, &written))
                return;
        front_submit(front, FUZZ_HOME, queue, ++fuzz.home_fences[queue], batch->commands, one_in(2) ? batch->bytes : 0);
    }
}

/* A kernel keeps one queue, and all that is behind it; when it lets go all of it ends. */
void full_step(void)
{
    if (strcmp(fuzz.rig.front->config.backend, "cuda") == 0)
        return;
    home_renew();
    volatile int *cells = front_at(fuzz.rig.front, fuzz.home_page + 9 * VGPGPU_PAGE);
    cells[0] = 0;
    hold_start();
    submit_until_full();
    cells[0] = 1;
    for (uint32_t queue = 1; queue < VGPGPU_QUEUES_PER_CONTEXT; queue++)
        assert_int_equal(home_wait(queue), 0);
    machine_start_over();
}
