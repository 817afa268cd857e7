/* fuzz_machine.c: see fuzz.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"

#define SLOW_MS 10000
#define LATE_MS 120000

#define ARGS_8(n) "int a" #n "0, int a" #n "1, int a" #n "2, int a" #n "3, int a" #n "4, int a" #n "5, int a" #n "6, int a" #n "7"

struct fuzz fuzz;

const char fuzz_source[] =
    "kernel void put(global char *c, int v) { c[0] = (char)v; }\n"
    "kernel void loc(local char *c) { c[0] = 1; }\n"
    "kernel void many(" ARGS_8(0) ", " ARGS_8(1) ", " ARGS_8(2) ", " ARGS_8(3) ", " ARGS_8(4) ", "
    ARGS_8(5) ", " ARGS_8(6) ", " ARGS_8(7) ", global int *c) { c[0] = a00; }\n";

/* Where everybody stands, for whoever looks for the reason. */
static void stacks_show(void)
{
    char command[200];
    static const char *const names[] = {"gpud-device", "gpud-front"};
    if (!getenv("GPUD_FUZZ_STACKS"))
        return;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(command, sizeof(command),
                 "timeout 60 gdb -p %d -batch -ex 'thread apply all backtrace' >&2",
                 (int)rig_process(names[i]));
        if (system(command))
            print_error("no stacks of %s\n", names[i]);
    }
}

bool fuzz_take(unsigned queue, uint16_t *head, uint32_t *written)
{
    if (front_take(fuzz.rig.front, queue, SLOW_MS, head, written))
        return true;
    stacks_show();
    return front_take(fuzz.rig.front, queue, LATE_MS, head, written);
}

uint32_t home_wait(uint32_t queue)
{
    struct vgpgpu_fence_slot *slot =
        (struct vgpgpu_fence_slot *)front_at(fuzz.rig.front, fuzz.home_page) + queue;
    uint64_t fence = fuzz.home_fences[queue];
    if (front_wait(fuzz.rig.front, slot, fence, 50, SLOW_MS)) {
        print_error("queue %u of the home waits for %llu, signalled is %llu\n", queue, (unsigned long long)fence,
                    (unsigned long long)slot->signalled);
        stacks_show();
        assert_int_equal(front_wait(fuzz.rig.front, slot, fence, 50, LATE_MS), 0);
    }
    return slot->failed ? slot->status : VGPGPU_OK;
}

/* ---- Requests in pieces */

static unsigned request_cut(struct front_part *parts, uint64_t guest, uint32_t bytes)
{
    unsigned count = 0;
    while (bytes && count < FUZZ_PIECES - 1 && !one_in(3)) {
        uint32_t piece = one_in(6) ? 0 : random_below(bytes + 1);
        parts[count++] = (struct front_part){guest, piece, false};
        guest += piece;
        bytes -= piece;
    }
    parts[count++] = (struct front_part){guest, bytes, false};
    return count;
}

/* The chain as a table elsewhere, which one descriptor of the ring names. */
static void table_post(const struct front_part *parts, unsigned count)
{
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[VGPGPU_QUEUE_CONTROL];
    struct front_descriptor *table = front_at(front, fuzz.tables);
    for (unsigned i = 0; i < count; i++)
        table[i] = (struct front_descriptor){
            .address = parts[i].guest,
            .length = parts[i].bytes,
            .flags = (uint16_t)((parts[i].write ? FRONT_WRITE : 0) | (i + 1 < count ? FRONT_NEXT : 0)),
            .next = (uint16_t)(i + 1)};
    assert_true(queue->free_count > 0);
    uint16_t head = queue->free[--queue->free_count];
    queue->descriptors[head] = (struct front_descriptor){
        .address = fuzz.tables, .length = count * (uint32_t)sizeof(*table), .flags = FRONT_INDIRECT};
    queue->length[head] = 1;
    front_post_head(front, VGPGPU_QUEUE_CONTROL, head);
}

const struct vgpgpu_reply *request_post(const void *request, size_t bytes, uint32_t room, bool over)
{
    static const struct vgpgpu_reply unwritten = {UINT32_MAX, UINT32_MAX, UINT64_MAX};
    struct front *front = fuzz.rig.front;
    uint64_t guest = front->request_guest + FUZZ_REQUEST_OFFSET;
    uint64_t answer = over ? guest : front->request_guest;
    struct vgpgpu_reply *reply = front_at(front, answer);
    struct front_part parts[FUZZ_PIECES + 2];
    assert_true(bytes <= FUZZ_REQUEST_BYTES && room <= FUZZ_REQUEST_OFFSET);
    memcpy(reply, &unwritten, sizeof(unwritten));
    memcpy(front_at(front, guest), request, bytes);
    unsigned count = request_cut(parts, guest, (uint32_t)bytes);
    uint32_t first = random_below(room + 1);
    parts[count++] = (struct front_part){answer, first, true};
    parts[count++] = (struct front_part){answer + first, room - first, true};
    if (one_in(4))
        table_post(parts, count);
    else
        front_post(front, VGPGPU_QUEUE_CONTROL, parts, count);
    uint16_t head;
    uint32_t written;
    assert_true(fuzz_take(VGPGPU_QUEUE_CONTROL, &head, &written));
    if (room < sizeof(*reply)) {
        assert_int_equal(written, 0);
        return NULL;
    }
    assert_true(written >= sizeof(*reply) && written <= room);
    assert_true(reply->status <= VGPGPU_ERR_TIMEOUT);
    assert_int_equal(written, sizeof(*reply) + reply->length);
    return reply;
}

/* ---- A machine that is known */

static void binary_get(void)
{
    static uint8_t binary[FUZZ_REQUEST_BYTES / 2];
    uint64_t total = 1;
    size_t came;
    fuzz.binary = binary;
    for (fuzz.binary_bytes = 0; fuzz.binary_bytes < total; fuzz.binary_bytes += came) {
        assert_int_equal(front_query(fuzz.rig.front, FUZZ_HOME, 1, VGPGPU_QUERY_BINARY,
                                     fuzz.binary_bytes, binary + fuzz.binary_bytes,
                                     sizeof(binary) - fuzz.binary_bytes, &total, &came),
                         0);
        assert_true(came > 0 && total <= sizeof(binary));
    }
}

/* CUDA has no arguments of local memory: there the second kernel takes a buffer. */
static const char *source_get(void)
{
    static char cuda[2048];
    const char *place = strstr(fuzz_source, "local char");
    if (strcmp(fuzz.rig.front->config.backend, "cuda") != 0)
        return fuzz_source;
    snprintf(cuda, sizeof(cuda), "%.*sglobal char%s", (int)(place - fuzz_source), fuzz_source, place + 10);
    return cuda;
}

/* From the source once, which takes a compiler; then from its binary. */
static void home_program(void)
{
    struct front *front = fuzz.rig.front;
    char log[2048] = "";
    uint64_t args;
    uint32_t status =
        fuzz.binary ? front_program_kind(front, FUZZ_HOME, 1, VGPGPU_PROGRAM_BINARY, fuzz.binary,
                                         fuzz.binary_bytes, log, sizeof(log))
                    : front_program(front, FUZZ_HOME, 1, source_get(), log, sizeof(log));
    if (status)
        print_error("%s\n", log);
    assert_int_equal(status, 0);
    if (!fuzz.binary)
        binary_get();
    assert_int_equal(front_kernel(front, FUZZ_HOME, 1, 1, "put", &args), 0);
    assert_int_equal(front_kernel(front, FUZZ_HOME, 2, 1, "loc", &args), 0);
}

static void home_make(void)
{
    struct front *front = fuzz.rig.front;
    assert_int_equal(front_context_create(front, FUZZ_HOME, fuzz.home_page), 0);
    for (uint32_t i = 1; i < FUZZ_HOME_BUFFERS; i++) {
        struct vgpgpu_segment segments[2] = {
            {fuzz.home_page + (4 * i + 1) * VGPGPU_PAGE, FUZZ_BUFFER_BYTES / 2},
            {fuzz.home_page + (4 * i - 1) * VGPGPU_PAGE, FUZZ_BUFFER_BYTES / 2}};
        assert_int_equal(
            front_buffer_guest(front, FUZZ_HOME, i, FUZZ_BUFFER_BYTES, segments, 2), 0);
    }
    assert_int_equal(
        front_buffer_device(front, FUZZ_HOME, FUZZ_HOME_BUFFERS, FUZZ_BUFFER_BYTES), 0);
    uint64_t align = front->config.offset_align;
    assert_int_equal(front_sub_buffer(front, FUZZ_HOME, 4, 1, align, FUZZ_BUFFER_BYTES / 2), 0);
    assert_int_equal(front_sub_buffer(front, FUZZ_HOME, 5, 4, 2 * align, FUZZ_BUFFER_BYTES / 4 + 1), 0);
    home_program();
    memset(fuzz.home_fences, 0, sizeof(fuzz.home_fences));
    fuzz.home_queue = 1; /* 0 is for good work */
}

/* Good work is done right. */
static void home_works(void)
{
    int value = (int)random_below(100);
    struct front_batch *batch = rig_batch(&fuzz.rig);
    batch_launch(batch, 1, 1, 1);
    batch_arg_buffer(batch, 1, 0);
    batch_arg_value(batch, &value, sizeof(value));
    batch_copy(batch, 1, 0, 2, 5, 1);
    front_submit_flags(fuzz.rig.front, FUZZ_HOME, 0, ++fuzz.home_fences[0], 0, batch->commands,
                       batch->bytes);
    assert_int_equal(home_wait(0), 0);
    uint64_t second = fuzz.home_page + 9 * VGPGPU_PAGE;
    assert_int_equal(*((uint8_t *)front_at(fuzz.rig.front, second) + 5), value);
}

void home_renew(void)
{
    assert_int_equal(front_context_destroy(fuzz.rig.front, FUZZ_HOME), 0);
    home_make();
    home_works();
}

void beside_open(void)
{
    fuzz.untouched = rig_open_with(&fuzz.beside, "put", "kernel void put(global char *c, int v) { c[0] = (char)v; }", 2);
    memset(fuzz.untouched, 0x5a, VGPGPU_PAGE);
}

/* It works, and nobody has written into its memory. */
static void beside_works(void)
{
    int value = (int)random_below(100);
    batch_launch(rig_batch(&fuzz.beside), 1, 1, 1);
    batch_arg_buffer(fuzz.beside.batch, 1, 0);
    batch_arg_value(fuzz.beside.batch, &value, sizeof(value));
    assert_int_equal(rig_run(&fuzz.beside, 0), 0);
    assert_int_equal(fuzz.untouched[0], value);
    for (unsigned i = 1; i < VGPGPU_PAGE; i++)
        assert_int_equal(fuzz.untouched[i], 0x5a);
}

void machine_start_over(void)
{
    front_reset(fuzz.rig.front);
    model_clear();
    fuzz.fence = 0;
    home_make();
    home_works();
    beside_works();
}
