/*
 * gpud_test.c: gpud, driven over vhost-user as a guest's driver would. The program starts a gpud of
 * its own (GPUD, or build/host/gpud), one for all tests; each test is one machine or two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "front.h"
#include "rig.h"

#define MIB (1u << 20)

static void test_config(void **state)
{
    struct front *front = front_open(rig_socket(), 64 * MIB);
    (void)state;
    assert_int_equal(front->config.magic, VGPGPU_MAGIC);
    assert_int_equal(front->config.version, VGPGPU_VERSION);
    assert_true(front->config.max_contexts > 0 && front->config.max_objects > 0);
    assert_true(front->config.offset_align > 0 && front->config.max_buffer > 0);
    assert_string_equal(front->config.backend, "opencl");
    assert_true(strlen(front->config.device_name) > 0);
    front_close(front);
}

/* A front end that knows the first form of the configuration space asks for that, and has what it knows. */
static void test_config_of_the_first_form(void **state)
{
    enum { FIRST_BYTES = 216 };
    struct rig rig;
    uint8_t bytes[256];
    (void)state;
    rig_open(&rig);
    assert_int_equal(offsetof(struct vgpgpu_config, program_kinds), FIRST_BYTES);
    assert_true(front_config(rig.front, 0, FIRST_BYTES, bytes));
    assert_memory_equal(bytes, &rig.front->config, FIRST_BYTES);
    assert_true(front_config(rig.front, FIRST_BYTES - 4, 4, bytes));
    assert_memory_equal(bytes, (const uint8_t *)&rig.front->config + FIRST_BYTES - 4, 4);
    assert_false(front_config(rig.front, 0, sizeof(rig.front->config) + 1, bytes));
    assert_false(front_config(rig.front, sizeof(rig.front->config), 1, bytes));
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

static const char numbers_text[] = "kernel void numbers(global int *out) { out[get_local_id(0)] = 1; }";

/* A kind that the device does not name is refused, one that it names is not. */
static void test_program_kinds(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint32_t kinds = rig.front->config.program_kinds;
    assert_true(kinds >> VGPGPU_PROGRAM_OPENCL_C & 1);
    for (uint32_t kind = 0; kind < 32; kind++) {
        uint32_t status = front_program_kind(rig.front, 1, 1 + kind, kind, numbers_text,
                                             strlen(numbers_text), NULL, 0);
        if (kind == VGPGPU_PROGRAM_OPENCL_C)
            assert_int_equal(status, 0);
        else
            assert_int_equal(status, kinds >> kind & 1 ? VGPGPU_ERR_BUILD : VGPGPU_ERR_UNSUPPORTED);
    }
    rig_close(&rig);
}

static void test_features(void **state)
{
    static const struct {
        uint32_t feature;
        const char *source;
    } kernels[] = {
        {VGPGPU_FEATURE_F16, "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
                             "kernel void k(global half *p) { p[0] = p[1] * p[2]; }"},
        {VGPGPU_FEATURE_F64, "kernel void k(global double *p) { p[0] = sin(p[1]); }"},
        {VGPGPU_FEATURE_ATOMIC64, "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
                                  "kernel void k(global long *p) { atom_add(p, 5L); }"},
    };
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (uint32_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (rig.front->config.features & kernels[i].feature)
            assert_int_equal(front_program(rig.front, 1, 1 + i, kernels[i].source, NULL, 0), 0);
    rig_close(&rig);
}

/* The largest group works; one that is twice as large does not, nor does one that shares too much memory. */
static void test_groups(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    const struct vgpgpu_config *config = &rig.front->config;
    uint32_t most = config->max_group;
    if (config->max_group_size[0] < most)
        most = config->max_group_size[0];
    assert_true(most > 0 && config->max_group_size[1] > 0 && config->max_group_size[2] > 0);
    assert_true(config->local_bytes > 0);
    const int *out = rig_guest_buffer(&rig, 1, 1 + most * sizeof(int) / VGPGPU_PAGE);
    rig_kernel(&rig, 1, "numbers", numbers_text, 1);
    rig_kernel(&rig, 2, "shared", "kernel void shared(local int *part) { part[0] = 1; }", 1);
    for (uint32_t times = 1; times <= 2; times++) {
        struct front_batch *batch = rig_batch(&rig);
        batch_launch(batch, 1, (uint64_t)times * most, (uint64_t)times * most);
        batch_arg_buffer(batch, 1, 0);
        assert_int_equal(rig_run(&rig, times), times == 1 ? 0 : VGPGPU_ERR_EXEC);
        assert_int_equal(out[most - 1], 1);
        batch = rig_batch(&rig);
        batch_launch(batch, 2, 1, 1);
        batch_arg_local(batch, times == 1 ? config->local_bytes / 2 : config->local_bytes * 2);
        assert_int_equal(rig_run(&rig, 2 + times), times == 1 ? 0 : VGPGPU_ERR_LIMIT);
    }
    rig_close(&rig);
}

static void test_build_error_has_log(void **state)
{
    struct rig rig;
    char log[4096];
    (void)state;
    rig_open(&rig);
    assert_int_equal(
        front_program(rig.front, 1, 1, "kernel void k(void) { nonsense(; }", log, sizeof(log)),
        VGPGPU_ERR_BUILD);
    assert_non_null(strstr(log, "error"));
    /* The identifier is still free, and the log of a good program may be empty. */
    assert_int_equal(front_program(rig.front, 1, 1, "kernel void k(void) {}", log, sizeof(log)), 0);
    rig_close(&rig);
}

/* A program cannot read the host's files into its log. */
static void test_build_sees_no_host_files(void **state)
{
    struct rig rig;
    char log[8192];
    (void)state;
    rig_open(&rig);
    assert_int_equal(front_program(rig.front, 1, 1, "#include \"/etc/passwd\"\n", log, sizeof(log)),
                     VGPGPU_ERR_BUILD);
    assert_null(strstr(log, "root:"));
    rig_close(&rig);
}

static void test_vector_add_in_scattered_memory(void **state)
{
    enum { PAGES = 64, COUNT = PAGES * 1024 };
    struct rig rig;
    struct vgpgpu_segment segments[3][PAGES];
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "add",
               "kernel void add(global const int *a, global const int *b, global int *c, int more)"
               "{ size_t i = get_global_id(0); c[i] = a[i] + b[i] + more; }",
               4);
    /* Pages in an order that no two neighbours share, from both regions. */
    for (unsigned page = 0; page < PAGES; page++)
        for (unsigned b = 0; b < 3; b++)
            segments[b][PAGES - 1 - page] =
                (struct vgpgpu_segment){front_pages(rig.front, 1), VGPGPU_PAGE};
    for (unsigned b = 0; b < 3; b++)
        assert_int_equal(
            front_buffer_guest(rig.front, 1, b + 1, PAGES * VGPGPU_PAGE, segments[b], PAGES), 0);
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned b = 0; b < 2; b++)
            ((int *)front_at(rig.front, segments[b][i / 1024].address))[i % 1024] =
                b ? (int)i * 3 : (int)i;
    int more = 7;
    struct front_batch *batch = rig_batch(&rig);
    batch_launch(batch, 1, COUNT, 0);
    for (uint32_t b = 1; b <= 3; b++)
        batch_arg_buffer(batch, b, 0);
    batch_arg_value(batch, &more, sizeof(more));
    assert_int_equal(rig_run(&rig, 0), 0);
    /* No copy was asked for: the device has written into the pages themselves. */
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(((int *)front_at(rig.front, segments[2][i / 1024].address))[i % 1024],
                         (int)i * 4 + 7);
    rig_close(&rig);
}

static void test_offsets_of_buffers(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint32_t align = rig.front->config.offset_align;
    uint32_t step = align < 4 ? 4 : align;
    int *data = rig_guest_buffer(&rig, 1, 16 * MIB / VGPGPU_PAGE);
    rig_kernel(&rig, 1, "put", "kernel void put(global int *out, int v) { out[0] = v; }", 2);
    struct front_batch *batch = rig_batch(&rig);
    for (int i = 0; i < 200; i++) {
        batch_launch(batch, 1, 1, 1);
        batch_arg_buffer(batch, 1, (uint64_t)i * step);
        batch_arg_value(batch, &i, sizeof(i));
    }
    assert_int_equal(rig_run(&rig, 0), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(data[(unsigned)i * step / sizeof(int)], i);
    rig_close(&rig);
}

static void test_device_buffers_copy_and_fill(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    uint8_t *in = rig_guest_buffer(&rig, 1, 16), *out = rig_guest_buffer(&rig, 2, 16);
    assert_int_equal(front_buffer_device(rig.front, 1, 3, 16 * VGPGPU_PAGE), 0);
    for (unsigned i = 0; i < 16 * VGPGPU_PAGE; i++)
        in[i] = (uint8_t)(i * 31);
    uint32_t pattern = 0x11223344;
    struct front_batch *batch = rig_batch(&rig);
    batch_copy(batch, 1, 0, 3, 0, 16 * VGPGPU_PAGE);
    batch_barrier(batch);
    batch_fill(batch, 3, 4096, 4096, &pattern, sizeof(pattern));
    batch_copy(batch, 3, 0, 2, 0, 16 * VGPGPU_PAGE);
    assert_int_equal(rig_run(&rig, 3), 0);
    for (unsigned i = 0; i < 16 * VGPGPU_PAGE; i++)
        assert_int_equal(out[i],
                         i >= 4096 && i < 8192 ? ((uint8_t *)&pattern)[i % 4] : (uint8_t)(i * 31));
    rig_close(&rig);
}

static void test_local_memory(void **state)
{
    struct rig rig;
    (void)state;
    int *sums = rig_open_with(&rig, "sum",
               "kernel void sum(global int *out, local int *part) { size_t l = get_local_id(0);"
               "part[l] = (int)get_global_id(0); barrier(CLK_LOCAL_MEM_FENCE);"
               "if (l == 0) { int s = 0; for (int i = 0; i < 8; i++) s += part[i];"
               "out[get_group_id(0)] = s; } }",
               2);
    struct front_batch *batch = rig_batch(&rig);
    batch_launch(batch, 1, 32, 8);
    batch_arg_buffer(batch, 1, 0);
    batch_arg_local(batch, 8 * sizeof(int));
    assert_int_equal(rig_run(&rig, 0), 0);
    for (int group = 0; group < 4; group++)
        assert_int_equal(sums[group], 28 + group * 64);
    rig_close(&rig);
}

/* gpud's clock too. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void test_order_of_many_submissions(void **state)
{
    enum { ROUNDS = 300 };
    struct rig rig;
    (void)state;
    int *cell = rig_open_with(&rig, "advance",
               "kernel void advance(global int *c, int at) { if (c[0] == at) c[0] = at + 1; }", 2);
    uint64_t begun = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct front_batch *batch = rig_batch(&rig);
        batch_launch(batch, 1, 1, 1);
        batch_arg_buffer(batch, 1, 0);
        batch_arg_value(batch, &i, sizeof(i));
        rig_submit(&rig, 0);
    }
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cell[0], ROUNDS);
    struct vgpgpu_fence_slot *slot = &rig.slots[0];
    assert_int_equal(slot->signalled, ROUNDS);
    assert_int_equal(slot->failed, 0);
    assert_true(slot->queued_ns > 0 && slot->ready_ns >= slot->queued_ns &&
                slot->start_ns >= slot->ready_ns && slot->end_ns >= slot->start_ns);
    assert_true(slot->queued_ns >= begun && slot->end_ns <= now_ns());
    rig_close(&rig);
}

static void test_empty_submission_signals(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 5), 0);
    struct front_batch *batch = rig_batch(&rig);
    batch_barrier(batch);
    assert_int_equal(rig_run(&rig, 5), 0);
    rig_close(&rig);
}

static void test_events_for_sleepers_only(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "spin",
               "kernel void spin(global volatile int *c) { for (int i = 0; i < 30000000; i++) c[0] "
               "+= i; }",
               1);
    rig_guest_buffer(&rig, 1, 1);
    struct front_batch *batch = rig_batch(&rig);
    batch_launch(batch, 1, 1, 1);
    batch_arg_buffer(batch, 1, 0);
    rig_submit(&rig, 2);
    assert_int_equal(front_wait(rig.front, &rig.slots[2], 1, 60000000, 60000), 0);
    assert_int_equal(rig.front->events_seen, 0);
    rig_submit(&rig, 2);
    assert_int_equal(front_wait(rig.front, &rig.slots[2], 2, 0, 60000), 0);
    assert_int_equal(rig.front->events_seen, 1);
    assert_int_equal(rig.front->last_event.type, VGPGPU_EVENT_FENCE);
    assert_int_equal(rig.front->last_event.context, 1);
    assert_int_equal(rig.front->last_event.queue, 2);
    assert_int_equal(rig.front->last_event.value, 2);
    rig_close(&rig);
}

/* The reply to a destruction says that the device has let go of the pages. */
static void test_destroy_waits_for_running_work(void **state)
{
    struct rig rig;
    (void)state;
    int *data = rig_open_with(&rig, "late",
               "kernel void late(global volatile int *c) {"
               "for (int i = 0; i < 30000000; i++) c[1] = i; c[0] = 42; }",
               1);
    struct front_batch *batch = rig_batch(&rig);
    batch_launch(batch, 1, 1, 1);
    batch_arg_buffer(batch, 1, 0);
    rig_submit(&rig, 0);
    assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1), 0);
    assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    assert_int_equal(data[0], 42);
    data = rig_guest_buffer(&rig, 1, 1);
    rig_kernel(&rig, 1, "late2",
               "kernel void late2(global volatile int *c) {"
               "for (int i = 0; i < 30000000; i++) c[1] = i; c[0] = 43; }",
               1);
    rig_submit(&rig, 0);
    assert_int_equal(front_context_destroy(rig.front, 1), 0);
    assert_int_equal(data[0], 43);
    front_close(rig.front);
    free(rig.batch);
}

/* A destruction at about the time when the work ends that holds it up is told of the end, whoever comes first:
 * work and pauses of many lengths. */
static void test_destroy_hears_of_the_end(void **state)
{
    enum { ROUNDS = 3000 };
    struct rig rig;
    (void)state;
    rig_open(&rig);
    assert_int_equal(front_buffer_device(rig.front, 1, 2, VGPGPU_PAGE), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        assert_int_equal(front_buffer_device(rig.front, 1, 1, VGPGPU_PAGE), 0);
        rig_batch(&rig);
        for (unsigned i = 0; i < 1 + round % 13 * 8; i++)
            batch_copy(rig.batch, 1, 0, 2, 0, 1);
        rig_submit(&rig, round % 4);
        for (unsigned pause = round % 17 * 40; pause; pause--)
            __builtin_ia32_pause();
        assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    }
    rig_close(&rig);
}

static void test_builds_do_not_hold_up_fences(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "nop", "kernel void nop(void) {}", 0);
    struct front_batch *batch = rig_batch(&rig);
    batch_launch(batch, 1, 1, 1);
    assert_int_equal(rig_run(&rig, 0), 0);
    /* A program is on its way to be built: posted, not waited for. */
    struct vgpgpu_program_create *request = front_at(rig.front, rig.front->request_guest + 65536);
    static const char source[] =
        "kernel void big(global float *x) { x[0] = pow(x[1], sin(x[2])); }";
    *request = (struct vgpgpu_program_create){
        .header = {.type = VGPGPU_PROGRAM_CREATE, .context = 1, .object = 7},
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source_bytes = sizeof(source) - 1};
    memcpy(request + 1, source, sizeof(source) - 1);
    struct front_part parts[2] = {
        {rig.front->request_guest + 65536, sizeof(*request) + sizeof(source) - 1, false},
        {rig.front->request_guest, 4096, true}};
    front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rig_run(&rig, 0), 0);
    uint16_t head;
    uint32_t written;
    assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    rig_close(&rig);
}

static void test_two_machines_are_apart(void **state)
{
    struct rig one, two;
    (void)state;
    rig_open(&one);
    rig_open(&two);
    int *first = rig_guest_buffer(&one, 1, 1), *second = rig_guest_buffer(&two, 1, 1);
    static const char source[] = "kernel void put(global int *c, int v) { c[0] = v; }";
    int a = 1111, b = 2222;
    rig_kernel(&one, 1, "put", source, 2);
    /* What the one made does not exist for the other. */
    batch_launch(rig_batch(&two), 1, 1, 1);
    assert_int_equal(rig_run(&two, 1), VGPGPU_ERR_ID);
    rig_kernel(&two, 1, "put", source, 2);
    batch_launch(rig_batch(&one), 1, 1, 1);
    batch_arg_buffer(one.batch, 1, 0);
    batch_arg_value(one.batch, &a, sizeof(a));
    batch_launch(rig_batch(&two), 1, 1, 1);
    batch_arg_buffer(two.batch, 1, 0);
    batch_arg_value(two.batch, &b, sizeof(b));
    rig_submit(&one, 0);
    rig_submit(&two, 0);
    assert_int_equal(rig_wait(&one, 0), 0);
    assert_int_equal(rig_wait(&two, 0), 0);
    assert_int_equal(first[0], a);
    assert_int_equal(second[0], b);
    rig_close(&one);
    assert_int_equal(rig_run(&two, 0), 0);
    rig_close(&two);
}

static void test_pause_keeps_and_reset_forgets(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    rig_kernel(&rig, 1, "nop", "kernel void nop(void) {}", 0);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    assert_int_equal(rig_run(&rig, 0), 0);
    front_pause(rig.front);
    assert_int_equal(rig_run(&rig, 0), 0);
    front_reset(rig.front);
    assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1), VGPGPU_ERR_ID);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    rig.fences[0] = 0;
    rig_kernel(&rig, 1, "nop", "kernel void nop(void) {}", 0);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

/* A kernel that goes on until the guest writes into its buffer; it has started when this returns. */
static volatile int *endless_start(struct rig *rig, uint32_t queue)
{
    volatile int *cells = rig_guest_buffer(rig, 1, 1);
    rig_kernel(rig, 1, "forever",
               "kernel void forever(global volatile int *c) { while (!c[0]) c[1]++; }", 1);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    rig_submit(rig, queue);
    for (int waited = 0; !cells[1] && waited < 60000; waited++)
        poll(NULL, 0, 1);
    assert_true(cells[1] != 0);
    return cells;
}

/* What is left of a context whose device process is no more; then the machine has another. */
static void context_is_lost(struct rig *rig)
{
    struct vgpgpu_segment segment = {front_pages(rig->front, 1), VGPGPU_PAGE};
    uint64_t count;
    batch_launch(rig_batch(rig), 1, 1, 1);
    rig_submit(rig, 9);
    assert_int_equal(rig_wait(rig, 9), VGPGPU_ERR_LOST);
    assert_int_equal(front_buffer_guest(rig->front, 1, 7, VGPGPU_PAGE, &segment, 1),
                     VGPGPU_ERR_LOST);
    assert_int_equal(front_program(rig->front, 1, 7, "kernel void k(void) {}", NULL, 0),
                     VGPGPU_ERR_LOST);
    assert_int_equal(front_kernel(rig->front, 1, 7, 1, "k", &count), VGPGPU_ERR_LOST);
    assert_int_equal(front_destroy(rig->front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    memset(rig->fences, 0, sizeof(rig->fences));
    int *cells = rig_guest_buffer(rig, 1, 1);
    rig_kernel(rig, 1, "put", "kernel void put(global int *out) { out[0] = 77; }", 1);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    assert_int_equal(rig_run(rig, 0), 0);
    assert_int_equal(cells[0], 77);
}

static void test_killed_device_process_is_replaced(void **state)
{
    struct rig rig, other;
    (void)state;
    rig_open(&other);
    rig_open(&rig);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(front_context_create(rig.front, 2, front_pages(rig.front, 1)), 0);
        endless_start(&rig, 3);
        rig_submit(&rig, 3); /* behind it */
        rig_submit(&rig, 4); /* beside it */
        pid_t device = rig_process("gpud-device");
        assert_true(device > 0);
        kill(device, SIGKILL);
        assert_int_equal(rig_wait(&rig, 3), VGPGPU_ERR_LOST);
        assert_int_equal(rig.slots[3].failed, 1);
        assert_int_equal(rig_wait(&rig, 4), VGPGPU_ERR_LOST);
        assert_int_equal(front_buffer_device(rig.front, 2, 1, 4096), VGPGPU_ERR_LOST);
        assert_int_equal(front_context_destroy(rig.front, 2), 0);
        context_is_lost(&rig);
        assert_true(rig_process("gpud-device") != device);
        assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1), 0);
        assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    }
    rig_batch(&other);
    assert_int_equal(rig_run(&other, 0), 0);
    rig_close(&other);
    rig_close(&rig);
}

/* Destructions that wait for work are answered once there can be no work any more. */
static void test_killed_device_process_lets_destructions_go(void **state)
{
    struct rig rig;
    uint16_t head;
    uint32_t written;
    (void)state;
    rig_open(&rig);
    endless_start(&rig, 0);
    struct vgpgpu_request request = {.type = VGPGPU_BUFFER_DESTROY, .context = 1, .object = 1};
    uint64_t place = front_pages(rig.front, 1);
    memcpy(front_at(rig.front, place), &request, sizeof(request));
    struct front_part parts[] = {{place, sizeof(request), false},
                                 {place + 64, sizeof(struct vgpgpu_reply), true}};
    front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 2);
    assert_false(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 200, &head, &written));
    assert_true(rig_kill("gpud-device"));
    assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    assert_int_equal(written, sizeof(struct vgpgpu_reply));
    assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_LOST);
    rig_close(&rig);
}

/* A front that dies costs its machine what it had in it, but neither the device nor the connection. */
static void test_killed_front_is_replaced(void **state)
{
    struct rig rig, other;
    (void)state;
    rig_open(&other);
    rig_open(&rig);
    for (unsigned round = 0; round < 3; round++) {
        endless_start(&rig, 0);
        assert_true(rig_kill("gpud-front"));
        assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_LOST);
        context_is_lost(&rig);
        assert_int_equal(front_destroy(rig.front, VGPGPU_KERNEL_DESTROY, 1, 1), 0);
        assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    }
    front_pause(rig.front); /* messages are answered as ever */
    front_reset(rig.front);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    memset(rig.fences, 0, sizeof(rig.fences));
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_batch(&other);
    assert_int_equal(rig_run(&other, 0), 0);
    rig_close(&rig);
    rig_close(&other);
}

/* What dies again and again is given up. */
static void test_fronts_without_end(void **state)
{
    struct rig rig;
    struct pollfd event;
    unsigned kills = 0;
    (void)state;
    rig_open(&rig);
    event = (struct pollfd){.fd = rig.front->socket, .events = POLLIN};
    for (pid_t front, last = 0; kills < 100 && poll(&event, 1, 1) == 0;) {
        front = rig_process("gpud-front");
        if (front && front != last) {
            kill(front, SIGKILL);
            kills++;
            last = front;
        }
    }
    assert_in_range(kills, 16, 99);
    assert_true(rig_log_has("after 15 others: the machine loses its device"));
    front_close(rig.front);
    free(rig.batch);
}

/* A keeper that dies costs its machine the connection, and nobody else anything. */
static void test_killed_keeper_leaves_broker(void **state)
{
    struct rig rig;
    char byte;
    (void)state;
    rig_open(&rig);
    endless_start(&rig, 0);
    assert_true(rig_kill("gpud-keeper"));
    assert_int_equal(read(rig.front->socket, &byte, 1), 0);
    front_close(rig.front);
    free(rig.batch);
    rig_open(&rig);
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

/* The broker's death is nothing to its machines: even their device processes can be replaced. */
static void test_killed_broker_leaves_machines(void **state)
{
    struct rig rig, next;
    (void)state;
    rig_open(&rig);
    volatile int *cells = endless_start(&rig, 0);
    assert_true(rig_process("gpud-keeper") > 0);
    rig_broker_replace();
    cells[0] = 1;
    assert_int_equal(rig_wait(&rig, 0), 0);
    cells[0] = 0;
    rig_submit(&rig, 0);
    assert_true(rig_kill("gpud-device"));
    assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_LOST);
    context_is_lost(&rig);
    rig_open(&next); /* with the new broker */
    rig_batch(&next);
    assert_int_equal(rig_run(&next, 0), 0);
    rig_close(&next);
    assert_int_equal(rig_run(&rig, 0), 0);
    pid_t keeper = rig_process("gpud-keeper");
    rig_close(&rig);
    assert_true(keeper > 0);
}

/* A kernel that strays takes its device process along; other machines do not notice. */
static void test_stray_kernel_loses_the_device(void **state)
{
    struct rig rig, other;
    (void)state;
    rig_open(&rig);
    rig_open(&other);
    rig_guest_buffer(&rig, 1, 1);
    rig_kernel(&rig, 1, "stray",
               "kernel void stray(ulong address) { *(volatile global int *)address = 1; }", 1);
    uint64_t address = 16;
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_value(rig.batch, &address, sizeof(address));
    assert_int_equal(rig_run(&rig, 3), VGPGPU_ERR_LOST);
    assert_int_equal(rig.slots[3].failed, 1);
    context_is_lost(&rig);
    rig_batch(&other);
    assert_int_equal(rig_run(&other, 0), 0);
    rig_close(&other);
    rig_close(&rig);
}

/* A reset while work runs that does not end: it is ended, and the device is there again. */
static void test_reset_ends_endless_work(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    endless_start(&rig, 0);
    front_reset(rig.front);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    rig.fences[0] = 0;
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 0), 0);
    rig_close(&rig);
}

/* What gpud says that it held at a machine's end is what the machine owned. */
static void test_counts_tell_what_is_left(void **state)
{
    static const char end[] =
        "the guest owned 2 contexts, 1 queues, 3 buffers, 1 programs, 1 kernels; "
        "the front held 2 contexts, 1 queues, 3 buffers, 1 programs, 1 kernels; "
        "the device process 2 contexts, 1 queues, 3 buffers, 1 programs, 1 kernels";
    struct rig rig;
    (void)state;
    rig_open(&rig);
    assert_int_equal(front_context_create(rig.front, 2, front_pages(rig.front, 1)), 0);
    rig_kernel(&rig, 1, "nop", "kernel void nop(void) {}", 0);
    for (uint32_t buffer = 1; buffer <= 4; buffer++)
        rig_guest_buffer(&rig, buffer, 2);
    assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 2), 0);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    assert_int_equal(rig_run(&rig, 0), 0);
    front_close(rig.front);
    free(rig.batch);
    assert_true(rig_log_has(end));
}

static void test_many_segments_and_quick_reuse(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (int round = 0; round < 50; round++) {
        int *data = rig_guest_buffer(&rig, 1, 4);
        uint32_t value = (uint32_t)round;
        batch_fill(rig_batch(&rig), 1, 0, 4 * VGPGPU_PAGE, &value, sizeof(value));
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_int_equal(data[4095], round);
        assert_int_equal(front_destroy(rig.front, VGPGPU_BUFFER_DESTROY, 1, 1), 0);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_config_of_the_first_form),
        cmocka_unit_test(test_program_kinds),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_build_error_has_log),
        cmocka_unit_test(test_build_sees_no_host_files),
        cmocka_unit_test(test_vector_add_in_scattered_memory),
        cmocka_unit_test(test_offsets_of_buffers),
        cmocka_unit_test(test_device_buffers_copy_and_fill),
        cmocka_unit_test(test_local_memory),
        cmocka_unit_test(test_order_of_many_submissions),
        cmocka_unit_test(test_empty_submission_signals),
        cmocka_unit_test(test_events_for_sleepers_only),
        cmocka_unit_test(test_destroy_waits_for_running_work),
        cmocka_unit_test(test_destroy_hears_of_the_end),
        cmocka_unit_test(test_builds_do_not_hold_up_fences),
        cmocka_unit_test(test_two_machines_are_apart),
        cmocka_unit_test(test_pause_keeps_and_reset_forgets),
        cmocka_unit_test(test_killed_device_process_is_replaced),
        cmocka_unit_test(test_killed_device_process_lets_destructions_go),
        cmocka_unit_test(test_killed_front_is_replaced),
        cmocka_unit_test(test_fronts_without_end),
        cmocka_unit_test(test_killed_keeper_leaves_broker),
        cmocka_unit_test(test_killed_broker_leaves_machines),
        cmocka_unit_test(test_reset_ends_endless_work),
        cmocka_unit_test(test_counts_tell_what_is_left),
        cmocka_unit_test(test_stray_kernel_loses_the_device),
        cmocka_unit_test(test_many_segments_and_quick_reuse),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
