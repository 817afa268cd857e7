/*
 * reconnect_test.c: gpud's front is killed in the middle of work, and another takes its place; or its keeper is,
 * and the front end connects anew. What was in work is answered once, fences of lost work are signalled, and
 * new contexts work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "rig.h"

#define ROUNDS 12u /* a keeper bears 15 deaths at a time */

static const char forever[] =
    "kernel void forever(global volatile int *c) { c[2] = 1; while (!c[0]) c[1]++; }";

/* A text that the compiler has to do with for a while. */
static const char long_build[] = "#define A x[0] = x[1] * 3 + x[2]; x[1] ^= x[0];\n"
                                 "#define B A A A A A A A A A A A A\n"
                                 "#define C B B B B B B B B B B B B\n"
                                 "kernel void slow(global volatile int *x) { C C }\n";

/* The connection stays. */
static void front_kill(struct rig *rig)
{
    (void)rig;
    assert_true(rig_kill("gpud-front"));
}

static void keeper_kill(struct rig *rig)
{
    char byte;
    assert_true(rig_kill("gpud-keeper"));
    assert_int_equal(read(rig->front->socket, &byte, 1), 0); /* and the rest ends with it */
    front_reconnect(rig->front, rig_socket());
}

/* What a test is given: whose death it is about. */
struct death {
    void (*kill)(struct rig *rig);
};

/* Context 1, which is lost, ends; another in its place works. */
static void machine_works_anew(struct rig *rig)
{
    assert_int_equal(front_buffer_device(rig->front, 1, 9, 4096), VGPGPU_ERR_LOST);
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    memset(rig->fences, 0, sizeof(rig->fences));
    rig_kernel(rig, 1, "nop", "kernel void nop(void) {}", 0);
    batch_launch(rig_batch(rig), 1, 1, 1);
    assert_int_equal(rig_run(rig, 3), 0);
}

/* Posts a build without waiting. Its reply comes to `reply`. */
static void build_post(struct rig *rig, const char *source, uint64_t reply)
{
    uint64_t guest = rig->front->request_guest + 65536;
    struct vgpgpu_program_create *request = front_at(rig->front, guest);
    *request = (struct vgpgpu_program_create){
        .header = {.type = VGPGPU_PROGRAM_CREATE, .context = 1, .object = 7},
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source_bytes = (uint32_t)strlen(source)};
    memcpy(request + 1, source, strlen(source));
    memset(front_at(rig->front, reply), 0xff, sizeof(struct vgpgpu_reply));
    struct front_part parts[2] = {
        {guest, (uint32_t)(sizeof(*request) + strlen(source)), false}, {reply, 4096, true}};
    front_post(rig->front, VGPGPU_QUEUE_CONTROL, parts, 2);
}

static void test_work_under_way(void **state)
{
    struct rig rig;
    const struct death *death = *state;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++) {
        volatile int *cells = rig_guest_buffer(&rig, 1, 1);
        rig_kernel(&rig, 2, "forever", forever, 1);
        cells[0] = cells[2] = 0;
        batch_launch(rig_batch(&rig), 2, 1, 1);
        batch_arg_buffer(rig.batch, 1, 0);
        rig_submit(&rig, 5);
        rig_submit(&rig, 5);
        while (!cells[2])
            poll(NULL, 0, 1);
        death->kill(&rig);
        assert_int_equal(rig_wait(&rig, 5), VGPGPU_ERR_LOST);
        assert_int_equal(rig.slots[5].failed, 1);
        machine_works_anew(&rig);
    }
    rig_close(&rig);
}

/* A request in work is answered once by the next front, whenever the first one was killed. */
static void test_request_under_way(void **state)
{
    struct rig rig;
    const struct death *death = *state;
    rig_open(&rig);
    uint64_t reply = front_pages(rig.front, 1);
    const struct vgpgpu_reply *answer = front_at(rig.front, reply);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint16_t head;
        uint32_t written;
        build_post(&rig, long_build, reply);
        poll(NULL, 0, (int)(round * 3));
        death->kill(&rig);
        assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
        assert_true(written >= sizeof(*answer));
        /* Built before the end, or lost with it. */
        assert_true(answer->status == VGPGPU_OK || answer->status == VGPGPU_ERR_LOST);
        assert_false(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 50, &head, &written));
        machine_works_anew(&rig);
    }
    rig_close(&rig);
}

/* Creations, destructions and work at any moment: each request has one answer. */
static void test_any_moment(void **state)
{
    struct rig rig;
    const struct death *death = *state;
    rig_open(&rig);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t guest = rig.front->request_guest + 131072, page = front_pages(rig.front, 1);
        uint16_t head;
        uint32_t written;
        unsigned answers = 0;
        for (uint32_t i = 0; i < 20; i++) {
            struct vgpgpu_context_create *request = front_at(rig.front, guest + i * 256);
            *request = (struct vgpgpu_context_create){
                .header = {.type = i % 2 ? VGPGPU_CONTEXT_DESTROY : VGPGPU_CONTEXT_CREATE,
                           .context = 2},
                .fence_page = page};
            struct front_part parts[2] = {
                {guest + i * 256, i % 2 ? sizeof(request->header) : sizeof(*request), false},
                {guest + i * 256 + 128, 64, true}};
            front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 2);
        }
        for (unsigned i = 0; i < round; i++)
            poll(NULL, 0, 0);
        death->kill(&rig);
        while (answers < 20 &&
               front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written))
            answers++;
        assert_int_equal(answers, 20);
        assert_false(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 20, &head, &written));
        front_context_destroy(rig.front, 2);
        assert_int_equal(front_context_destroy(rig.front, 2), VGPGPU_ERR_ID);
        machine_works_anew(&rig);
    }
    rig_close(&rig);
}

/* Waits some milliseconds and kills the front, if there is one just then. */
static void *kill_later(void *milliseconds)
{
    poll(NULL, 0, *(const int *)milliseconds);
    rig_kill("gpud-front");
    return NULL;
}

/* What a reset has taken, no later front brings back; what a pause has kept is lost at most. */
static void pause_or_reset(struct rig *rig, bool reset)
{
    uint32_t status = VGPGPU_ERR_LOST;
    if (reset)
        front_reset(rig->front);
    else
        front_pause(rig->front);
    if (reset) {
        assert_int_equal(front_context_destroy(rig->front, 1), VGPGPU_ERR_ID);
    } else {
        rig_batch(rig);
        status = rig_run(rig, 1);
        assert_true(status == VGPGPU_OK || status == VGPGPU_ERR_LOST);
        if (status)
            assert_int_equal(front_context_destroy(rig->front, 1), 0);
    }
    if (status) {
        memset(rig->fences, 0, sizeof(rig->fences));
        assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    }
}

/* A front that dies while its rings are stopped and started, or its driver resets the device. */
static void test_rings_under_way(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (int round = 0; round < (int)ROUNDS; round++) {
        pthread_t killer;
        int pause = round * 7 % 10;
        assert_int_equal(pthread_create(&killer, NULL, kill_later, &pause), 0);
        for (int i = 0; i < 4; i++)
            pause_or_reset(&rig, (round + i) % 3 == 0);
        pthread_join(killer, NULL);
        rig_batch(&rig);
        uint32_t status = rig_run(&rig, 2);
        assert_true(status == VGPGPU_OK || status == VGPGPU_ERR_LOST);
    }
    front_context_destroy(rig.front, 1);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    memset(rig.fences, 0, sizeof(rig.fences));
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 2), 0);
    rig_close(&rig);
}

#define TEST(test, how) \
    {#test " " #how, test, NULL, NULL, (void *)(uintptr_t)&(const struct death){how}}

/* ---- A reset while destructions wait for work */

#define DESTROYED 30u /* buffers */
#define LARGE     (64ull << 20)

/* All that keeps the device busy for a while, and then names them. */
static void buffers_use(struct rig *rig)
{
    struct front_batch *batch = rig_batch(rig);
    batch_fill(batch, 1, 0, LARGE, "a", 1);
    for (uint32_t i = 2; i < 2 + DESTROYED; i++)
        batch_fill(batch, i, 0, 4096, "b", 1);
    front_submit(rig->front, 1, 0, 1, batch->commands, batch->bytes);
}

/* Requests that another thread makes available, when the ring is about to stop. */
struct destroyer {
    struct front *front;
    uint16_t index; /* then */
    unsigned pause_us;
};

static void destroyer_prepare(struct destroyer *destroyer, struct front *front, uint64_t page)
{
    struct front_queue *queue = &front->queues[VGPGPU_QUEUE_CONTROL];
    *destroyer = (struct destroyer){.front = front, .index = queue->available->index};
    for (uint16_t i = 0; i < DESTROYED; i++) {
        uint64_t guest = page + i * 64u;
        *(struct vgpgpu_request *)front_at(front, guest) =
            (struct vgpgpu_request){.type = VGPGPU_BUFFER_DESTROY, .context = 1, .object = 2u + i};
        queue->descriptors[2 * i] = (struct front_descriptor){
            guest, sizeof(struct vgpgpu_request), FRONT_NEXT, (uint16_t)(2 * i + 1)};
        queue->descriptors[2 * i + 1] = (struct front_descriptor){guest + 32, 32, FRONT_WRITE, 0};
        queue->available->ring[destroyer->index++ % FRONT_QUEUE_SIZE] = (uint16_t)(2 * i);
    }
}

static void *destroyer_run(void *argument)
{
    struct destroyer *destroyer = argument;
    struct front_queue *queue = &destroyer->front->queues[VGPGPU_QUEUE_CONTROL];
    uint64_t one = 1;
    usleep(destroyer->pause_us);
    __atomic_store_n(&queue->available->index, destroyer->index, __ATOMIC_RELEASE);
    (void)!write(queue->kick, &one, sizeof(one));
    return NULL;
}

/* What the driver has reset has no answer any more, but what it asks afterwards. */
static void test_reset_while_destructions_wait(void **state)
{
    struct rig rig;
    struct destroyer destroyer;
    pthread_t thread;
    uint16_t head;
    uint32_t written;
    (void)state;
    rig_open(&rig);
    uint64_t page = front_pages(rig.front, 1);
    for (unsigned round = 0; round < 40; round++) {
        assert_int_equal(front_buffer_device(rig.front, 1, 1, LARGE), 0);
        for (uint32_t i = 2; i < 2 + DESTROYED; i++)
            assert_int_equal(front_buffer_device(rig.front, 1, i, 4096), 0);
        buffers_use(&rig);
        destroyer_prepare(&destroyer, rig.front, page);
        destroyer.pause_us = round % 60;
        assert_int_equal(pthread_create(&thread, NULL, destroyer_run, &destroyer), 0);
        front_reset_begin(rig.front);
        pthread_join(thread, NULL);
        front_reset_end(rig.front);
        assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
        poll(NULL, 0, 3);
        assert_false(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 0, &head, &written));
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_work_under_way, front_kill),    TEST(test_work_under_way, keeper_kill),
        TEST(test_request_under_way, front_kill), TEST(test_request_under_way, keeper_kill),
        TEST(test_any_moment, front_kill),        TEST(test_any_moment, keeper_kill),
        cmocka_unit_test(test_rings_under_way),
        cmocka_unit_test(test_reset_while_destructions_wait),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
