/*
 * gpud_fuzz.c: random requests, commands and descriptor chains against a gpud built with
 * sanitizers. Every request must be answered with a status of the specification; the front and the
 * device process must stay alive and go on doing right work.
 *
 *     gpud_fuzz [ITERATIONS [SEED]]      GPUD: another gpud than build/tests/gpud-asan
 *
 * Fields take values near their limits more often than others. What would only stop the fuzzing is
 * left out: kernels that run for hours, buffers over the fuzzer's own rings.
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
#include "front.h"
#include "rig.h"

#define SCRATCH_PAGES  64u
#define CHECK_EVERY    1000u
#define BUILD_ONE_IN   400u
#define MAX_DEVICE     (1u << 20) /* bytes of a device buffer that is really made */
#define MAX_ITEMS      4096u      /* of a launch that really runs */
#define REQUEST_OFFSET 65536u     /* of the request behind the reply's room */

static unsigned long iterations = 30000;
static uint64_t seed = 1;

struct fuzz {
    struct rig rig;
    uint64_t scratch; /* guest-physical: what requests may name as memory */
    uint64_t fence;
    unsigned long answers[VGPGPU_ERR_TIMEOUT + 1];
};

static struct fuzz fuzz;

/* xorshift64*: the same run from the same seed. */
static uint64_t random_next(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545F4914F6CDD1Dull;
}

static uint32_t random_below(uint32_t limit)
{
    return (uint32_t)((random_next() >> 32) % limit);
}

static bool one_in(uint32_t n)
{
    return random_below(n) == 0;
}

static uint64_t random_edge(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     3,
                                     7,
                                     8,
                                     63,
                                     64,
                                     127,
                                     255,
                                     4095,
                                     4096,
                                     4097,
                                     65535,
                                     65536,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     1ull << 32,
                                     1ull << 40,
                                     INT64_MAX,
                                     1ull << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 4095};
    if (one_in(8))
        return random_next();
    return edges[random_below(sizeof(edges) / sizeof(edges[0]))];
}

/* Mostly a number that makes sense. */
static uint64_t random_or_edge(uint32_t limit)
{
    return one_in(12) ? random_edge() : random_below(limit);
}

static uint32_t random_id(void)
{
    return (uint32_t)random_or_edge(5);
}

static uint64_t random_address(void)
{
    if (one_in(10))
        return (1ull << 40) + random_edge() % (1ull << 50);
    uint64_t address = fuzz.scratch + random_below(SCRATCH_PAGES / 2) * VGPGPU_PAGE;
    return one_in(15) ? address + random_below(VGPGPU_PAGE) : address;
}

/* Flips some bytes of what is not an address or a size that matters to the fuzzer itself. */
static void bytes_spoil(void *bytes, size_t count)
{
    if (!count || !one_in(6))
        return;
    for (uint32_t flips = 1 + random_below(4); flips; flips--)
        ((uint8_t *)bytes)[random_below((uint32_t)count)] = (uint8_t)random_next();
}

/* ---- Control requests ---------------------------------------------------------------------------
 */

static size_t make_context(uint8_t *out)
{
    struct vgpgpu_context_create *request = (void *)out;
    request->fence_page = random_address();
    return sizeof(*request);
}

static size_t make_buffer(uint8_t *out)
{
    struct vgpgpu_buffer_create *request = (void *)out;
    struct vgpgpu_segment *segments = (void *)(request + 1);
    uint32_t count = random_below(9);
    request->flags = one_in(12) ? (uint32_t)random_edge() : 1 + random_below(2);
    request->segment_count = request->flags == VGPGPU_BUFFER_DEVICE && !one_in(9) ? 0 : count;
    if (one_in(20))
        request->segment_count = (uint32_t)random_edge();
    request->size = random_or_edge(8 * VGPGPU_PAGE);
    if (request->size > MAX_DEVICE && request->size <= fuzz.rig.front->config.max_buffer)
        request->size = MAX_DEVICE;
    for (uint32_t i = 0; i < count; i++) {
        segments[i].address = random_address();
        segments[i].length = one_in(12) ? random_edge() : VGPGPU_PAGE * (1 + random_below(3));
        /* A length that is long enough to reach the rings goes beyond all memory instead. */
        if (segments[i].length > 16 * VGPGPU_PAGE)
            segments[i].length |= 1ull << 40;
    }
    return sizeof(*request) + count * sizeof(*segments);
}

static size_t make_program(uint8_t *out)
{
    static const char *const sources[] = {
        "kernel void put(global char *c, int v) { c[0] = (char)v; }",
        "kernel void loc(local char *c) { c[0] = 1; }",
        "kernel void broken(",
        "",
    };
    struct vgpgpu_program_create *request = (void *)out;
    const char *source = sources[one_in(BUILD_ONE_IN) ? random_below(3) : 3];
    size_t length = strlen(source);
    request->kind = one_in(20) ? (uint32_t)random_edge() : VGPGPU_PROGRAM_OPENCL_C;
    request->source_bytes = one_in(10) ? (uint32_t)random_edge() : (uint32_t)length;
    request->options_bytes = one_in(10) ? (uint32_t)random_edge() : 0;
    memcpy(request + 1, source, length);
    return sizeof(*request) + length;
}

static size_t make_kernel(uint8_t *out)
{
    static const char *const names[] = {"put", "loc", "none", ""};
    struct vgpgpu_kernel_create *request = (void *)out;
    request->program = random_id();
    snprintf(request->name, sizeof(request->name), "%s", names[random_below(4)]);
    if (one_in(15))
        memset(request->name, 'x', sizeof(request->name));
    return sizeof(*request);
}

static size_t make_query(uint8_t *out)
{
    struct vgpgpu_query *request = (void *)out;
    request->what = one_in(12) ? (uint32_t)random_edge() : 1 + random_below(2);
    request->offset = one_in(2) ? 0 : random_or_edge(8192);
    return sizeof(*request);
}

static size_t make_destroy(uint8_t *out)
{
    (void)out;
    return sizeof(struct vgpgpu_request);
}

static const struct {
    uint32_t type, weight;
    size_t (*make)(uint8_t *out);
} kinds[] = {
    {VGPGPU_CONTEXT_CREATE, 3, make_context}, {VGPGPU_CONTEXT_DESTROY, 1, make_destroy},
    {VGPGPU_BUFFER_CREATE, 8, make_buffer},   {VGPGPU_BUFFER_DESTROY, 3, make_destroy},
    {VGPGPU_PROGRAM_CREATE, 3, make_program}, {VGPGPU_PROGRAM_DESTROY, 1, make_destroy},
    {VGPGPU_KERNEL_CREATE, 4, make_kernel},   {VGPGPU_KERNEL_DESTROY, 1, make_destroy},
    {VGPGPU_QUERY, 3, make_query},
};

static size_t request_make(uint8_t *out)
{
    unsigned which = random_below(27), kind = 0;
    while (which >= kinds[kind].weight)
        which -= kinds[kind++].weight;
    struct vgpgpu_request *header = (void *)out;
    memset(out, 0, REQUEST_OFFSET / 2);
    size_t bytes = kinds[kind].make(out);
    header->type = one_in(50) ? (uint32_t)random_edge() : kinds[kind].type;
    header->context = random_id();
    header->object = kind < 2 && !one_in(10) ? 0 : random_id();
    bytes_spoil(header, sizeof(*header));
    return one_in(15) ? random_below((uint32_t)bytes + 1) : bytes;
}

static bool front_lives(void)
{
    struct pollfd event = {.fd = fuzz.rig.front->socket, .events = POLLIN};
    return poll(&event, 1, 0) == 0;
}

static void control_step(void)
{
    static _Alignas(8) uint8_t request[REQUEST_OFFSET];
    struct front *front = fuzz.rig.front;
    size_t bytes = request_make(request);
    memcpy(front_at(front, front->request_guest + REQUEST_OFFSET), request, bytes);
    struct vgpgpu_reply *reply = front_at(front, front->request_guest);
    struct front_part parts[3];
    uint32_t room = one_in(20) ? random_below(16) : 16 + random_below(4096);
    uint32_t split = random_below((uint32_t)bytes + 1);
    parts[0] = (struct front_part){front->request_guest + REQUEST_OFFSET, split, false};
    parts[1] = (struct front_part){front->request_guest + REQUEST_OFFSET + split,
                                   (uint32_t)bytes - split, false};
    parts[2] = (struct front_part){front->request_guest, room, true};
    memset(reply, 0xff, sizeof(*reply));
    front_post(front, VGPGPU_QUEUE_CONTROL, parts, 3);
    uint16_t head;
    uint32_t written;
    assert_true(front_take(front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    if (room < sizeof(*reply)) {
        assert_int_equal(written, 0);
        return;
    }
    assert_true(written >= sizeof(*reply) && written <= room);
    assert_true(reply->status <= VGPGPU_ERR_TIMEOUT);
    assert_int_equal(written, sizeof(*reply) + reply->length);
    fuzz.answers[reply->status]++;
}

/* ---- Commands -----------------------------------------------------------------------------------
 */

static void launch_make(struct front_batch *batch)
{
    uint32_t start = batch->bytes;
    uint64_t value = random_next();
    batch_launch(batch, random_id(), 1 + random_below(64), random_below(3));
    for (uint32_t args = random_below(4); args; args--) {
        if (one_in(3))
            batch_arg_local(batch, random_or_edge(4096));
        else if (one_in(2))
            batch_arg_value(batch, &value, 1 + random_below(8));
        else
            batch_arg_buffer(batch, random_id(), random_or_edge(64) * 128);
    }
    struct vgpgpu_cmd_launch *launch = (void *)(batch->commands + start);
    bytes_spoil(&launch->kernel, batch->bytes - start - offsetof(struct vgpgpu_cmd_launch, kernel));
    uint64_t items;
    if (!__builtin_mul_overflow(launch->global[0], launch->global[1], &items) &&
        !__builtin_mul_overflow(items, launch->global[2], &items) && items > MAX_ITEMS &&
        items <= INT64_MAX)
        launch->global[0] = launch->global[1] = launch->global[2] = 1;
}

/* A shape that is mostly small and mostly fits what the others have. */
static void tensor_make(struct vgpgpu_tensor *tensor, uint32_t rank, const uint64_t *sizes)
{
    uint64_t stride = 1;
    tensor->buffer = random_id();
    tensor->type = (uint16_t)(one_in(3) ? random_below(6) : VGPGPU_F32);
    tensor->rank = (uint16_t)(one_in(30) ? random_below(9) : rank);
    tensor->offset = random_or_edge(64) * 4;
    for (unsigned i = tensor->rank < VGPGPU_MAX_RANK ? tensor->rank : VGPGPU_MAX_RANK; i-- > 0;) {
        tensor->dimensions[i] = one_in(30) ? random_edge() : sizes[one_in(6) ? random_below(3) : i];
        tensor->strides[i] = one_in(30) ? random_edge() : stride;
        stride *= tensor->dimensions[i];
    }
}

/* What a good command of each operation looks like. */
static const struct {
    uint8_t bytes, tensors, rank;
} operations[] = {[VGPGPU_GEMM] = {sizeof(struct vgpgpu_gemm), 3, 2},
                  [VGPGPU_CONV2D] = {sizeof(struct vgpgpu_conv2d), 3, 4},
                  [VGPGPU_POOL2D] = {sizeof(struct vgpgpu_pool2d), 2, 4},
                  [VGPGPU_SOFTMAX] = {sizeof(struct vgpgpu_softmax), 2, 2},
                  [VGPGPU_REDUCE] = {sizeof(struct vgpgpu_reduce), 2, 2},
                  [VGPGPU_LAYER_NORM] = {sizeof(struct vgpgpu_norm), 2, 3},
                  [VGPGPU_BATCH_NORM] = {sizeof(struct vgpgpu_norm), 4, 3},
                  [VGPGPU_ELEMENTWISE] = {sizeof(struct vgpgpu_elementwise), 4, 3},
                  [VGPGPU_LSTM] = {sizeof(struct vgpgpu_lstm), 9, 2}};

/* Steps for the elementwise chain behind its head. */
static uint32_t steps_make(struct vgpgpu_elementwise *chain, uint32_t count)
{
    struct vgpgpu_step *steps = (void *)(chain + 1);
    *chain = (struct vgpgpu_elementwise){.count = one_in(20) ? (uint32_t)random_edge() : count};
    for (uint32_t i = 0; i < count; i++)
        steps[i] = (struct vgpgpu_step){
            .op = (uint16_t)(one_in(2) ? 32 + random_below(7) : random_below(18)),
            .operand = (uint16_t)(one_in(2) ? 0 : 2 + random_below(2)),
            .a = one_in(2) ? 0 : (float)random_below(5),
            .b = one_in(2) ? 0 : 4};
    return (uint32_t)(sizeof(*chain) + count * sizeof(*steps));
}

/* An LSTM's shapes are too many to meet by chance. */
static void lstm_shape(struct vgpgpu_tensor *tensors)
{
    uint64_t batch = 1 + random_below(3), hidden = 1 + random_below(4);
    const uint64_t sizes[9][VGPGPU_MAX_RANK] = {{2, batch, hidden}, {batch, hidden}, {batch, hidden},
                                  {2, batch, 3},      {4 * hidden, 3}, {4 * hidden, hidden},
                                  {4 * hidden},       {batch, hidden}, {batch, hidden}};
    static const uint32_t ranks[9] = {3, 2, 2, 3, 2, 2, 1, 2, 2};
    for (unsigned i = 0; i < 9; i++)
        if (!one_in(20))
            tensor_make(&tensors[i], ranks[i], sizes[i]);
}

static void operation_make(struct front_batch *batch)
{
    struct vgpgpu_tensor tensors[VGPGPU_MAX_TENSORS] = {0};
    uint64_t sizes[VGPGPU_MAX_RANK], square = 1 + random_below(12);
    _Alignas(8) uint32_t parameters[128];
    uint16_t operation = (uint16_t)(1 + random_below(sizeof(operations) / sizeof(operations[0]) - 1));
    uint32_t count = one_in(10) ? random_below(VGPGPU_MAX_TENSORS + 1) : operations[operation].tensors;
    uint32_t rank = one_in(4) ? 1 + random_below(VGPGPU_MAX_RANK) : operations[operation].rank;
    uint32_t bytes = operations[operation].bytes;
    for (unsigned i = 0; i < 128; i++)
        parameters[i] = one_in(20) ? (uint32_t)random_edge() : i == 9 ? 0 : random_below(3);
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++)
        sizes[i] = one_in(3) ? 1 + random_below(12) : square;
    for (uint32_t i = 0; i < count; i++)
        tensor_make(&tensors[i], i > 1 && operation == VGPGPU_BATCH_NORM ? 1 : rank, sizes);
    if (operation == VGPGPU_ELEMENTWISE)
        bytes = steps_make((void *)parameters, random_below(VGPGPU_MAX_STEPS + 1));
    if (operation == VGPGPU_LSTM)
        lstm_shape(tensors);
    uint32_t start = batch->bytes;
    batch_operation(batch, (uint16_t)(one_in(10) ? random_edge() : operation), tensors,
                    (uint16_t)count, parameters, one_in(20) ? random_below(9) * 8 : bytes);
    bytes_spoil(batch->commands + start + sizeof(struct vgpgpu_command),
                batch->bytes - start - sizeof(struct vgpgpu_command));
}

static void area_make(struct front_batch *batch)
{
    struct vgpgpu_cmd_copy_2d copy = {.source = random_id(),
                                      .target = random_id(),
                                      .source_offset = random_or_edge(4096),
                                      .target_offset = random_or_edge(4096),
                                      .source_pitch = random_or_edge(200),
                                      .target_pitch = random_or_edge(200),
                                      .width = random_or_edge(100),
                                      .rows = random_or_edge(9)};
    struct vgpgpu_cmd_fill_2d fill = {.target = random_id(),
                                      .pattern_bytes = 1u << random_below(6),
                                      .offset = random_or_edge(64) * 8,
                                      .pitch = random_or_edge(20) * 16,
                                      .width = random_or_edge(20) * 8,
                                      .rows = random_or_edge(9)};
    if (one_in(3))
        copy.target_pitch = copy.source_pitch;
    if (one_in(2))
        batch_copy_2d(batch, &copy);
    else
        batch_fill_2d(batch, &fill);
}

static void command_make(struct front_batch *batch)
{
    uint8_t pattern[16] = {1, 2, 3};
    uint32_t start = batch->bytes;
    switch (random_below(8)) {
    case 0:
        batch_copy(batch, random_id(), random_or_edge(8192), random_id(), random_or_edge(8192),
                   random_or_edge(8192));
        break;
    case 1:
        batch_fill(batch, random_id(), random_or_edge(64) * 16, random_or_edge(64) * 16, pattern,
                   1u << random_below(6));
        break;
    case 2:
        batch_barrier(batch);
        break;
    case 7:
        area_make(batch);
        break;
    case 3:
    case 4:
        operation_make(batch);
        break;
    default:
        launch_make(batch);
        break;
    }
    struct vgpgpu_command *command = (void *)(batch->commands + start);
    if (one_in(40))
        bytes_spoil(command, sizeof(*command));
}

static void submit_step(void)
{
    struct front_batch *batch = rig_batch(&fuzz.rig);
    for (uint32_t count = random_below(6); count; count--)
        command_make(batch);
    struct {
        struct vgpgpu_submit header;
        uint8_t commands[16384];
    } submission = {.header = {.context = random_id(),
                               .queue = (uint32_t)random_or_edge(6),
                               .command_bytes = batch->bytes,
                               .flags = one_in(3),
                               .fence = one_in(30) ? random_edge() : ++fuzz.fence}};
    assert_true(batch->bytes <= sizeof(submission.commands));
    memcpy(submission.commands, batch->commands, batch->bytes);
    bytes_spoil(&submission.header, offsetof(struct vgpgpu_submit, fence));
    uint32_t bytes = (uint32_t)sizeof(submission.header) + batch->bytes;
    front_submit_raw(fuzz.rig.front, &submission, one_in(20) ? random_below(bytes + 1) : bytes);
}

/* ---- Rings --------------------------------------------------------------------------------------
 */

static void descriptor_make(struct front_descriptor *descriptor, bool writable)
{
    *descriptor = (struct front_descriptor){
        .address = random_address(),
        .length = (uint32_t)random_or_edge(VGPGPU_PAGE),
        .flags = (uint16_t)(random_below(8)),
        .next = one_in(8) ? (uint16_t)random_next() : (uint16_t)(96 + random_below(8)),
    };
    /* Long enough to reach the rings: not writable. */
    if (!writable || descriptor->length > VGPGPU_PAGE)
        descriptor->flags &= (uint16_t)~FRONT_WRITE;
}

/* Random chains over descriptors that the fuzzer keeps for them, and tables in the scratch pages.
 */
static void ring_step(void)
{
    static const unsigned queues[] = {VGPGPU_QUEUE_CONTROL, VGPGPU_QUEUE_SUBMIT};
    unsigned index = queues[random_below(2)];
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[index];
    struct front_descriptor *table = front_at(front, fuzz.scratch);
    uint16_t head;
    uint32_t written;
    while (front_take(front, index, 0, &head, &written))
        ;
    for (unsigned i = 0; i < 8; i++) {
        descriptor_make(&queue->descriptors[96 + i], true);
        descriptor_make(&table[i], true);
        table[i].next = (uint16_t)random_below(9);
    }
    front_post_head(front, index, (uint16_t)(96 + random_below(8)));
    assert_true(front_take(front, index, 60000, &head, &written));
}

static void machine_check(void)
{
    struct rig *rig = &fuzz.rig;
    front_reset(rig->front);
    memset(rig->fences, 0, sizeof(rig->fences));
    fuzz.fence = 0;
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    struct vgpgpu_segment segment = {fuzz.scratch + 40 * VGPGPU_PAGE, VGPGPU_PAGE};
    assert_int_equal(front_buffer_guest(rig->front, 1, 1, VGPGPU_PAGE, &segment, 1), 0);
    rig_kernel(rig, 1, "put", "kernel void put(global char *c, int v) { c[0] = (char)v; }", 2);
    int value = (int)random_below(100);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    batch_arg_value(rig->batch, &value, sizeof(value));
    assert_int_equal(rig_run(rig, 0), 0);
    assert_int_equal(*(uint8_t *)front_at(rig->front, segment.address), value);
    fuzz.fence = rig->fences[0];
}

static void test_fuzz(void **state)
{
    (void)state;
    uint64_t first = seed;
    rig_open(&fuzz.rig);
    pid_t device = rig_process("gpud-device");
    fuzz.scratch = front_pages(fuzz.rig.front, SCRATCH_PAGES);
    for (unsigned long i = 0; i < iterations; i++) {
        if (i % CHECK_EVERY == 0)
            machine_check();
        unsigned what = random_below(20);
        if (what < 10)
            control_step();
        else if (what < 18)
            submit_step();
        else
            ring_step();
        if (!front_lives())
            fail_msg("the front died at iteration %lu from seed %llu", i,
                     (unsigned long long)first);
    }
    machine_check();
    if (rig_process("gpud-device") != device) { /* none was ended by what it was sent: one stood still */
        assert_false(rig_log_has("the device process is gone, it ended"));
        assert_true(rig_log_has("took longer than the time limit"));
        print_message("a device process stood still and was replaced\n");
    }
    rig_close(&fuzz.rig);
    print_message("%lu iterations; answers by status:", iterations);
    for (unsigned i = 0; i <= VGPGPU_ERR_TIMEOUT; i++)
        print_message(" %lu", fuzz.answers[i]);
    print_message("\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fuzz)};
    if (argc > 1)
        iterations = strtoul(argv[1], NULL, 0);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 0);
    if (argc > 3 || !iterations || !seed) {
        fprintf(stderr, "usage: gpud_fuzz [ITERATIONS [SEED]], both from 1\n");
        return 2;
    }
    setenv("GPUD", "build/tests/gpud-asan", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
    setenv("GPUD_TIME_LIMIT", "20", 0); /* seconds: a device that stands still is replaced by then */
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
