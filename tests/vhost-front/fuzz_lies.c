/*
 * fuzz_lies.c: a device process that says what it likes (liar.c), as a guest's kernel can make it: its machine has
 * an answer to each request and a signal of each fence, the four times of a batch stay in order, a machine beside it
 * notices nothing, and with the next device process all is well. Front, keeper and broker live through it.
 *
 *     gpud_fuzz_lies [ROUNDS [SEED]]      GPUD: another gpud than build/tests/gpud-lying
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"

#define CONTEXTS    3u
#define QUEUES      4u
#define BATCHES     24u
#define BUFFER_PAGES 4u
#define BESIDE_EVERY 16u
#define KILL_EVERY   32u /* rounds that a liar may live, should nobody have found it out */

static unsigned long rounds = 40;
struct fuzz fuzz; /* of it the machines alone are used */

static uint64_t pages[CONTEXTS + 1]; /* fence pages, then each context's buffer */
static uint64_t fences[CONTEXTS + 1][QUEUES];
static uint8_t binary[1u << 18];
static size_t binary_bytes;
static unsigned long requests, statuses[VGPGPU_ERR_TIMEOUT + 1], batches, failed;

static const char source[] = "kernel void put(global char *c, int v) { c[0] = (char)v; }\n";

/* ---- Lies and the truth */

/* Of the device processes that start from now on; 0: the truth. */
static void lies_set(uint64_t seed)
{
    char path[128];
    const char *socket = rig_socket();
    snprintf(path, sizeof(path), "%.*s/cache/lies", (int)(strrchr(socket, '/') - socket), socket);
    if (!seed) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%llu", (unsigned long long)seed);
    assert_int_equal(fclose(file), 0);
}

/* Counts an answer, which must be one. */
static bool answered(uint32_t status)
{
    assert_true(status <= VGPGPU_ERR_TIMEOUT);
    requests++;
    statuses[status]++;
    return status == VGPGPU_OK;
}

/* ---- One context */

static struct vgpgpu_fence_slot *slot_of(uint32_t context, uint32_t queue)
{
    return (struct vgpgpu_fence_slot *)front_at(fuzz.rig.front, pages[context]) + queue;
}

/* As much of it as the device process is willing to make. */
static bool context_make(uint32_t context)
{
    struct front *front = fuzz.rig.front;
    struct vgpgpu_segment segment = {pages[context] + VGPGPU_PAGE, BUFFER_PAGES * VGPGPU_PAGE};
    uint8_t bytes[64];
    uint64_t total;
    size_t came;
    memset(fences[context], 0, sizeof(fences[context]));
    if (!answered(front_context_create(front, context, pages[context])))
        return false;
    if (one_in(3))
        answered(front_context_limit(front, context, 5000));
    answered(front_buffer_guest(front, context, 1, segment.length, &segment, 1));
    answered(front_buffer_device(front, context, 2, segment.length));
    answered(front_sub_buffer(front, context, 3, 1 + random_below(2), front->config.offset_align, 1000));
    answered(front_program_kind(front, context, 1, VGPGPU_PROGRAM_BINARY, binary, binary_bytes, NULL, 0));
    answered(front_kernel(front, context, 1, 1, "put", &total));
    answered(front_query(front, context, 1, 1 + random_below(2), random_below(2) * 100, bytes, sizeof(bytes), &total,
                         &came));
    return true;
}

/* Commands that a device process which is honest could do, most of them. */
static void batch_make(void)
{
    struct front_batch *batch = rig_batch(&fuzz.rig);
    int value = (int)random_next();
    for (uint32_t count = random_below(5); count; count--) {
        if (one_in(3)) {
            batch_launch(batch, 1, 1, 1);
            batch_arg_buffer(batch, 1 + random_below(3), 0);
            batch_arg_value(batch, &value, sizeof(value));
        } else if (one_in(2)) {
            batch_copy(batch, 1 + random_below(3), 0, 1 + random_below(3), random_below(900), 64);
        } else {
            batch_fill(batch, 1 + random_below(3), 0, 512, &value, sizeof(value));
        }
        if (one_in(2))
            batch_signal(batch, count);
    }
}

static void batches_submit(void)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        uint32_t context = 1 + random_below(CONTEXTS), queue = random_below(QUEUES);
        fences[context][queue] += 8;
        batch_make();
        front_submit_flags(fuzz.rig.front, context, queue, fences[context][queue], random_below(2),
                           fuzz.rig.batch->commands, fuzz.rig.batch->bytes);
        batches++;
    }
}

/* Of a context that is there each fence is signalled, and nothing beyond. */
static void context_wait(uint32_t context)
{
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
        struct vgpgpu_fence_slot *slot = slot_of(context, queue);
        assert_int_equal(front_wait(fuzz.rig.front, slot, fences[context][queue], 50, 120000), 0);
        assert_true(slot->signalled == fences[context][queue] && slot->status <= VGPGPU_ERR_TIMEOUT);
        assert_true(slot->queued_ns <= slot->ready_ns && slot->ready_ns <= slot->start_ns &&
                    slot->start_ns <= slot->end_ns);
        failed += slot->failed != 0;
    }
}

static void round_run(void)
{
    bool there[CONTEXTS + 1];
    for (uint32_t context = 1; context <= CONTEXTS; context++)
        there[context] = context_make(context);
    batches_submit();
    for (uint32_t context = 1; context <= CONTEXTS; context++)
        if (there[context])
            context_wait(context);
    for (uint32_t context = 1; context <= CONTEXTS; context++)
        if (there[context])
            assert_int_equal(front_context_destroy(fuzz.rig.front, context), 0);
}

/* ---- */

static void works(struct rig *rig, const volatile uint8_t *page)
{
    int value = 1 + (int)random_below(100);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    batch_arg_value(rig->batch, &value, sizeof(value));
    assert_int_equal(rig_run(rig, 0), 0);
    assert_int_equal(page[0], value);
}

static void binary_get(void)
{
    uint64_t total;
    assert_int_equal(front_query(fuzz.beside.front, 1, 1, VGPGPU_QUERY_BINARY, 0, binary, sizeof(binary), &total,
                                 &binary_bytes),
                     0);
    assert_int_equal(binary_bytes, total);
}

/* The liars end, and the same machine works. */
static void truth_return(void)
{
    struct rig *rig = &fuzz.rig;
    struct vgpgpu_segment segment = {pages[1] + VGPGPU_PAGE, BUFFER_PAGES * VGPGPU_PAGE};
    uint32_t status = VGPGPU_ERR_LOST;
    lies_set(0);
    while (rig_kill("gpud-device")) /* those of limited contexts, too */
        poll(NULL, 0, 20);
    for (unsigned tries = 0; status && tries < 10; tries++)
        status = front_context_create(rig->front, 1, rig->fence_guest);
    assert_int_equal(status, 0);
    assert_int_equal(front_buffer_guest(rig->front, 1, 1, segment.length, &segment, 1), 0);
    rig_kernel(rig, 1, "put", source, 2);
    works(rig, front_at(rig->front, segment.address));
    rig_close(rig);
}

static void test_lies(void **state)
{
    uint64_t first = fuzz_seed;
    unsigned long done = 0;
    (void)state;
    fuzz.untouched = rig_open_with(&fuzz.beside, "put", source, 2);
    binary_get();
    works(&fuzz.beside, fuzz.untouched);
    rig_open(&fuzz.rig);
    assert_int_equal(front_context_destroy(fuzz.rig.front, 1), 0);
    lies_set(first);
    rig_kill("gpud-device");
    for (uint32_t context = 1; context <= CONTEXTS; context++)
        pages[context] = front_pages(fuzz.rig.front, 1 + BUFFER_PAGES);
    for (; rig_goes_on(done); done++) {
        round_run();
        if (done % BESIDE_EVERY == 0)
            works(&fuzz.beside, fuzz.untouched);
        if (done % KILL_EVERY == 0)
            rig_kill("gpud-device");
    }
    truth_return();
    works(&fuzz.beside, fuzz.untouched);
    printf("%lu rounds in %.0f s from seed %llu: %lu requests, answers by status", done, rig_seconds(),
           (unsigned long long)first, requests);
    for (unsigned i = 0; i <= VGPGPU_ERR_TIMEOUT; i++)
        printf(" %lu", statuses[i]);
    printf("; %lu batches, %lu queues that failed; %u device processes replaced, %u fronts\n", batches, failed,
           rig_log_count("the device process is gone"), rig_log_count("its front was ended"));
    assert_int_equal(rig_log_count("its front was ended"), 0);
    assert_true(done < 20 || (rig_log_count("tells of what is not under way") && statuses[VGPGPU_ERR_LOST]));
    rig_close(&fuzz.beside);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lies)};
    rig_arguments(argc, argv, "ROUNDS", &rounds, &fuzz_seed);
    setenv("GPUD", "build/tests/gpud-lying", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    setenv("GPUD_TIME_LIMIT", "12", 0); /* seconds: what is never answered costs them; a busy host builds in that */
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
