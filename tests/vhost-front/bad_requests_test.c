/*
 * bad_requests_test.c: what a hostile or broken driver may send to gpud: each request is answered
 * with the right status, changes nothing, and leaves the machine at work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>
#include "front.h"
#include "rig.h"

/* The machine the tables are tried on: context 1, guest buffer 1 (4 pages), device buffer 2 (one
 * page), program 1 with kernel 1 (global int *, int) and kernel 2 (local int *). */
static struct rig rig;

static void machine_open(void)
{
    rig_open(&rig);
    rig_guest_buffer(&rig, 1, 4);
    assert_int_equal(front_buffer_device(rig.front, 1, 2, VGPGPU_PAGE), 0);
    rig_kernel(&rig, 1, "put", "kernel void put(global int *c, int v) { c[0] = v; }", 2);
    rig_kernel(&rig, 2, "loc", "kernel void loc(local int *c) { c[0] = 1; }", 1);
}

/* Good work still gets done, on a queue that no table uses. */
static void assert_alive(void)
{
    int value = 5;
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    batch_arg_value(rig.batch, &value, sizeof(value));
    assert_int_equal(rig_run(&rig, 63), 0);
}

/* ---- Control requests ---------------------------------------------------------------------------
 */

#define HEADER(t, c, o)                                                                            \
    {                                                                                              \
        .type = (t), .context = (c), .object = (o)                                                 \
    }

struct control_case {
    const char *what;
    uint32_t status;
    uint32_t bytes;
    union {
        struct vgpgpu_request header;
        struct vgpgpu_context_create context;
        struct {
            struct vgpgpu_buffer_create create;
            struct vgpgpu_segment segments[2];
        } buffer;
        struct {
            struct vgpgpu_program_create create;
            char text[16];
        } program;
        struct vgpgpu_kernel_create kernel;
    };
};

#define BUFFER_BYTES(n) (sizeof(struct vgpgpu_buffer_create) + (n) * sizeof(struct vgpgpu_segment))
#define GUEST_BUFFER(o, s, n)                                                                      \
    {                                                                                              \
        .header = HEADER(VGPGPU_BUFFER_CREATE, 1, o), .flags = VGPGPU_BUFFER_GUEST,                \
        .segment_count = (n), .size = (s)                                                          \
    }
#define PROGRAM(o, k, ob, sb)                                                                      \
    {                                                                                              \
        .header = HEADER(VGPGPU_PROGRAM_CREATE, 1, o), .kind = (k), .options_bytes = (ob),         \
        .source_bytes = (sb)                                                                       \
    }

static const struct control_case control_cases[] = {
    {"no request at all", VGPGPU_ERR_INVALID, 0, .header = {0}},
    {"half a header", VGPGPU_ERR_INVALID, 8, .header = HEADER(VGPGPU_CONTEXT_CREATE, 2, 0)},
    {"type 0", VGPGPU_ERR_UNSUPPORTED, 16, .header = HEADER(0, 1, 0)},
    {"unknown type", VGPGPU_ERR_UNSUPPORTED, 16, .header = HEADER(99, 1, 0)},
    {"huge type", VGPGPU_ERR_UNSUPPORTED, 16, .header = HEADER(UINT32_MAX, 1, 0)},
    {"reserved field", VGPGPU_ERR_INVALID, 16,
     .header = {.type = VGPGPU_KERNEL_DESTROY, .context = 1, .object = 1, .reserved = 1}},
    {"context taken", VGPGPU_ERR_ID, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 1, 0), 0}},
    {"context 0", VGPGPU_ERR_ID, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 0, 0), 0}},
    {"context beyond the limit", VGPGPU_ERR_ID, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, UINT32_MAX, 0), 0}},
    {"context with an object", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 2, 1), 0}},
    {"fence page misaligned", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 2, 0), 64}},
    {"fence page outside memory", VGPGPU_ERR_RANGE, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 2, 0), 1ull << 40}},
    {"fence page at the end of addresses", VGPGPU_ERR_RANGE, sizeof(struct vgpgpu_context_create),
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 2, 0), UINT64_MAX - 4095}},
    {"truncated context", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_context_create) - 1,
     .context = {HEADER(VGPGPU_CONTEXT_CREATE, 2, 0), 0}},
    {"destroy no context", VGPGPU_ERR_ID, 16, .header = HEADER(VGPGPU_CONTEXT_DESTROY, 2, 0)},
    {"destroy no buffer", VGPGPU_ERR_ID, 16, .header = HEADER(VGPGPU_BUFFER_DESTROY, 1, 9)},
    {"destroy buffer 0", VGPGPU_ERR_ID, 16, .header = HEADER(VGPGPU_BUFFER_DESTROY, 1, 0)},
    {"destroy buffer of no context", VGPGPU_ERR_ID, 16,
     .header = HEADER(VGPGPU_BUFFER_DESTROY, 7, 1)},
    {"destroy program beyond", VGPGPU_ERR_ID, 16,
     .header = HEADER(VGPGPU_PROGRAM_DESTROY, 1, UINT32_MAX)},
    {"destroy no kernel", VGPGPU_ERR_ID, 16, .header = HEADER(VGPGPU_KERNEL_DESTROY, 1, 3)},

    {"buffer taken", VGPGPU_ERR_ID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(1, 4096, 1), {{0, 4096}}}},
    {"buffer 0", VGPGPU_ERR_ID, BUFFER_BYTES(1), .buffer = {GUEST_BUFFER(0, 4096, 1), {{0, 4096}}}},
    {"buffer beyond", VGPGPU_ERR_ID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(1u << 20, 4096, 1), {{0, 4096}}}},
    {"buffer of size 0", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 0, 1), {{0, 4096}}}},
    {"buffer without segments", VGPGPU_ERR_INVALID, BUFFER_BYTES(0),
     .buffer = {GUEST_BUFFER(5, 4096, 0), {{0, 0}}}},
    {"segments missing", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 4096, 2), {{0, 4096}}}},
    {"too many segments", VGPGPU_ERR_LIMIT, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 4096, UINT32_MAX), {{0, 4096}}}},
    {"buffer too large", VGPGPU_ERR_LIMIT, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, UINT64_MAX, 1), {{0, 4096}}}},
    {"segments shorter than the buffer", VGPGPU_ERR_RANGE, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 8192, 1), {{0, 4096}}}},
    {"segment misaligned", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 4096, 1), {{512, 4096}}}},
    {"segment of odd length", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 4096, 1), {{0, 4097}}}},
    {"empty segment", VGPGPU_ERR_INVALID, BUFFER_BYTES(2),
     .buffer = {GUEST_BUFFER(5, 4096, 2), {{0, 4096}, {0, 0}}}},
    {"segment outside memory", VGPGPU_ERR_RANGE, BUFFER_BYTES(2),
     .buffer = {GUEST_BUFFER(5, 4096, 2), {{0, 4096}, {1ull << 33, 4096}}}},
    {"segment that leaves its region", VGPGPU_ERR_RANGE, BUFFER_BYTES(1),
     .buffer = {GUEST_BUFFER(5, 4096, 1), {{0, 1ull << 31}}}},
    {"segments that overflow", VGPGPU_ERR_RANGE, BUFFER_BYTES(2),
     .buffer = {GUEST_BUFFER(5, 4096, 2), {{0, 4096}, {4096, UINT64_MAX - 4095}}}},
    {"no kind of memory", VGPGPU_ERR_INVALID, BUFFER_BYTES(0),
     .buffer = {{HEADER(VGPGPU_BUFFER_CREATE, 1, 5), 0, 0, 4096}, {{0, 0}}}},
    {"both kinds of memory", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {{HEADER(VGPGPU_BUFFER_CREATE, 1, 5), 3, 1, 4096}, {{0, 4096}}}},
    {"device memory with segments", VGPGPU_ERR_INVALID, BUFFER_BYTES(1),
     .buffer = {{HEADER(VGPGPU_BUFFER_CREATE, 1, 5), 2, 1, 4096}, {{0, 4096}}}},
    {"buffer of no context", VGPGPU_ERR_ID, BUFFER_BYTES(0),
     .buffer = {{HEADER(VGPGPU_BUFFER_CREATE, 9, 5), 2, 0, 4096}, {{0, 0}}}},

    {"program of an unknown kind", VGPGPU_ERR_UNSUPPORTED, sizeof(struct vgpgpu_program_create) + 4,
     .program = {PROGRAM(5, 77, 0, 4), "void"}},
    {"program without source", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_program_create),
     .program = {PROGRAM(5, 1, 0, 0), ""}},
    {"program cut short", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_program_create) + 4,
     .program = {PROGRAM(5, 1, 0, 5), "void"}},
    {"program too large", VGPGPU_ERR_LIMIT, sizeof(struct vgpgpu_program_create) + 4,
     .program = {PROGRAM(5, 1, UINT32_MAX, UINT32_MAX), "void"}},
    {"options with a NUL", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_program_create) + 8,
     .program = {PROGRAM(5, 1, 4, 4), "-D\0Xvoid"}},
    {"program taken", VGPGPU_ERR_ID, sizeof(struct vgpgpu_program_create) + 4,
     .program = {PROGRAM(1, 1, 0, 4), "void"}},
    {"options that make no sense", VGPGPU_ERR_BUILD, sizeof(struct vgpgpu_program_create) + 12,
     .program = {PROGRAM(5, 1, 11, 1), "--not-valid;"}},

    {"kernel of no program", VGPGPU_ERR_ID, sizeof(struct vgpgpu_kernel_create),
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 5), 50, 0, "put"}},
    {"kernel taken", VGPGPU_ERR_ID, sizeof(struct vgpgpu_kernel_create),
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 1), 1, 0, "put"}},
    {"kernel that is not there", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_kernel_create),
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 5), 1, 0, "get"}},
    {"kernel without a name", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_kernel_create),
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 5), 1, 0, ""}},
    {"kernel's name without an end", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_kernel_create),
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 5), 1, 0,
                "0123456789012345678901234567890123456789012345678901234567890123"}},
    {"truncated kernel", VGPGPU_ERR_INVALID, sizeof(struct vgpgpu_kernel_create) - 8,
     .kernel = {HEADER(VGPGPU_KERNEL_CREATE, 1, 5), 1, 0, "put"}},
};

static void test_control_requests(void **state)
{
    (void)state;
    machine_open();
    for (size_t i = 0; i < sizeof(control_cases) / sizeof(control_cases[0]); i++) {
        const struct control_case *c = &control_cases[i];
        uint32_t status = front_request(rig.front, &c->header, c->bytes, NULL, NULL, 0);
        if (status != c->status)
            fail_msg("%s: status %u, not %u", c->what, status, c->status);
    }
    assert_alive();
    rig_close(&rig);
}

/* Megabytes behind a request are ignored, and a request is not longer than the device says it may be. */
static void test_request_with_much_behind(void **state)
{
    enum { PAGES = 1536 };
    (void)state;
    machine_open();
    uint64_t behind = front_pages(rig.front, PAGES), page = front_pages(rig.front, 1);
    struct vgpgpu_context_create *request = front_at(rig.front, page);
    const struct vgpgpu_reply *reply = front_at(rig.front, page + 2048);
    struct front_part parts[3] = {{page, sizeof(*request), false},
                                  {behind, PAGES * VGPGPU_PAGE, false},
                                  {page + 2048, sizeof(*reply), true}};
    uint16_t head;
    uint32_t written;
    *request = (struct vgpgpu_context_create){HEADER(VGPGPU_CONTEXT_CREATE, 2, 0), front_pages(rig.front, 1)};
    assert_true(rig.front->config.max_program_bytes < PAGES * VGPGPU_PAGE);
    front_post(rig.front, VGPGPU_QUEUE_CONTROL, parts, 3);
    assert_true(front_take(rig.front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written));
    assert_int_equal(written, sizeof(*reply));
    assert_int_equal(reply->status, 0);
    assert_int_equal(front_context_destroy(rig.front, 2), 0);
    assert_alive();
    rig_close(&rig);
}

/* ---- Commands -----------------------------------------------------------------------------------
 */

static struct vgpgpu_cmd_launch *launch_add(void)
{
    int value = 1;
    batch_launch(rig.batch, 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    batch_arg_value(rig.batch, &value, sizeof(value));
    return (void *)rig.batch->commands;
}

static struct vgpgpu_arg *arg_at(unsigned index)
{
    return (struct vgpgpu_arg *)(rig.batch->commands + sizeof(struct vgpgpu_cmd_launch)) + index;
}

static void copy_add(uint32_t source, uint64_t from, uint32_t target, uint64_t to, uint64_t length)
{
    batch_copy(rig.batch, source, from, target, to, length);
}

static void fill_add(uint32_t target, uint64_t offset, uint64_t length, uint32_t unit)
{
    uint8_t pattern[16] = {1};
    batch_fill(rig.batch, target, offset, length, pattern, unit);
}

static struct vgpgpu_command *command(void)
{
    return (void *)rig.batch->commands;
}

/* clang-format off */
static void c_unknown(void) { batch_barrier(rig.batch); command()->op = 99; }
static void c_reserved(void) { batch_barrier(rig.batch); command()->reserved = 1; }
static void c_no_bytes(void) { batch_barrier(rig.batch); command()->bytes = 0; }
static void c_odd_bytes(void) { batch_barrier(rig.batch); command()->bytes = 12; }
static void c_too_long(void) { batch_barrier(rig.batch); command()->bytes = 4096; }
static void c_huge(void) { batch_barrier(rig.batch); command()->bytes = 0xfffffff8; }
static void c_long_barrier(void) { batch_barrier(rig.batch); batch_barrier(rig.batch); command()->bytes = 16; }
static void c_short_copy(void) { batch_barrier(rig.batch); command()->op = VGPGPU_CMD_COPY; }
static void c_short_fill(void) { batch_barrier(rig.batch); command()->op = VGPGPU_CMD_FILL; }
static void c_short_launch(void) { batch_barrier(rig.batch); command()->op = VGPGPU_CMD_LAUNCH; }
static void c_copy_empty(void) { copy_add(1, 0, 2, 0, 0); }
static void c_copy_no_source(void) { copy_add(9, 0, 2, 0, 8); }
static void c_copy_no_target(void) { copy_add(1, 0, 0, 0, 8); }
static void c_copy_past_source(void) { copy_add(2, 4096, 1, 0, 8); }
static void c_copy_past_target(void) { copy_add(1, 0, 2, 4090, 8); }
static void c_copy_overflow(void) { copy_add(1, UINT64_MAX - 3, 2, 0, 8); }
static void c_copy_overlap(void) { copy_add(1, 0, 1, 4, 8); }
static void c_fill_empty(void) { fill_add(1, 0, 0, 4); }
static void c_fill_unit(void) { fill_add(1, 0, 12, 3); }
static void c_fill_unit_large(void) { fill_add(1, 0, 32, 32); }
static void c_fill_unit_none(void) { fill_add(1, 0, 12, 0); }
static void c_fill_part(void) { fill_add(1, 0, 10, 4); }
static void c_fill_misaligned(void) { fill_add(1, 2, 8, 4); }
static void c_fill_past(void) { fill_add(1, 16384, 8, 4); }
static void c_fill_overflow(void) { fill_add(1, UINT64_MAX - 7, 16, 8); }
static void c_fill_no_buffer(void) { fill_add(3, 0, 8, 4); }
static void c_no_kernel(void) { launch_add()->kernel = 77; }
static void c_kernel_zero(void) { launch_add()->kernel = 0; }
static void c_dimensions_none(void) { launch_add()->dimensions = 0; }
static void c_dimensions_many(void) { launch_add()->dimensions = 4; }
static void c_global_none(void) { launch_add()->global[0] = 0; }
static void c_global_unused(void) { launch_add()->global[2] = 2; }
static void c_global_overflow(void) { struct vgpgpu_cmd_launch *l = launch_add(); l->dimensions = 2; l->global[0] = l->global[1] = 1ull << 40; }
static void c_local_huge(void) { launch_add()->local[0] = UINT64_MAX; }
static void c_local_partly(void) { struct vgpgpu_cmd_launch *l = launch_add(); l->dimensions = 2; l->local[1] = 0; }
static void c_args_few(void) { launch_add()->arg_count = 1; }
static void c_args_many(void) { launch_add()->arg_count = UINT32_MAX; }
static void c_launch_reserved(void) { launch_add()->reserved = 1; }
static void c_arg_no_buffer(void) { launch_add(); arg_at(0)->object = 9; }
static void c_arg_sized_buffer(void) { launch_add(); arg_at(0)->size = 4; }
static void c_arg_offset_past(void) { launch_add(); arg_at(0)->offset = 16384; }
static void c_arg_offset_odd(void) { launch_add(); arg_at(0)->offset = 1; }
static void c_arg_value_for_buffer(void) { launch_add(); arg_at(0)->kind = VGPGPU_ARG_VALUE; }
static void c_arg_unknown(void) { launch_add(); arg_at(0)->kind = 9; }
static void c_arg_reserved(void) { launch_add(); arg_at(1)->reserved = 9; }
static void c_value_empty(void) { launch_add(); arg_at(1)->size = 0; }
static void c_value_long(void) { launch_add(); arg_at(1)->size = 4096; }
static void c_value_huge(void) { launch_add(); arg_at(1)->size = UINT64_MAX; }
static void c_value_past_end(void) { launch_add(); arg_at(1)->size = 256; }
static void c_value_object(void) { launch_add(); arg_at(1)->object = 1; }
static void c_value_wrong_size(void) { launch_add(); arg_at(1)->size = 8; }
static void c_value_short(void) { launch_add(); arg_at(1)->size = 3; }
static void c_local_for_value(void) { launch_add(); arg_at(1)->kind = VGPGPU_ARG_LOCAL; }
static void c_local_no_size(void) { batch_launch(rig.batch, 2, 1, 1); batch_arg_local(rig.batch, 0); }
static void c_local_absurd(void) { batch_launch(rig.batch, 2, 1, 1); batch_arg_local(rig.batch, 1ull << 40); }
/* clang-format on */

static const struct {
    const char *what;
    uint32_t status;
    void (*add)(void);
} command_cases[] = {
    {"unknown command", VGPGPU_ERR_UNSUPPORTED, c_unknown},
    {"reserved field of a command", VGPGPU_ERR_INVALID, c_reserved},
    {"command of no bytes", VGPGPU_ERR_INVALID, c_no_bytes},
    {"command of odd length", VGPGPU_ERR_INVALID, c_odd_bytes},
    {"command longer than all", VGPGPU_ERR_INVALID, c_too_long},
    {"command of huge length", VGPGPU_ERR_INVALID, c_huge},
    {"barrier with a payload", VGPGPU_ERR_INVALID, c_long_barrier},
    {"copy cut short", VGPGPU_ERR_INVALID, c_short_copy},
    {"fill cut short", VGPGPU_ERR_INVALID, c_short_fill},
    {"launch cut short", VGPGPU_ERR_INVALID, c_short_launch},
    {"copy of nothing", VGPGPU_ERR_INVALID, c_copy_empty},
    {"copy from no buffer", VGPGPU_ERR_ID, c_copy_no_source},
    {"copy to no buffer", VGPGPU_ERR_ID, c_copy_no_target},
    {"copy from beyond", VGPGPU_ERR_RANGE, c_copy_past_source},
    {"copy to beyond", VGPGPU_ERR_RANGE, c_copy_past_target},
    {"copy that overflows", VGPGPU_ERR_RANGE, c_copy_overflow},
    {"copy onto itself", VGPGPU_ERR_INVALID, c_copy_overlap},
    {"fill of nothing", VGPGPU_ERR_INVALID, c_fill_empty},
    {"fill with 3 bytes", VGPGPU_ERR_INVALID, c_fill_unit},
    {"fill with 32 bytes", VGPGPU_ERR_INVALID, c_fill_unit_large},
    {"fill with no bytes", VGPGPU_ERR_INVALID, c_fill_unit_none},
    {"fill of part of a pattern", VGPGPU_ERR_INVALID, c_fill_part},
    {"fill misaligned", VGPGPU_ERR_INVALID, c_fill_misaligned},
    {"fill beyond", VGPGPU_ERR_RANGE, c_fill_past},
    {"fill that overflows", VGPGPU_ERR_RANGE, c_fill_overflow},
    {"fill of no buffer", VGPGPU_ERR_ID, c_fill_no_buffer},
    {"launch of no kernel", VGPGPU_ERR_ID, c_no_kernel},
    {"launch of kernel 0", VGPGPU_ERR_ID, c_kernel_zero},
    {"no dimensions", VGPGPU_ERR_INVALID, c_dimensions_none},
    {"four dimensions", VGPGPU_ERR_INVALID, c_dimensions_many},
    {"no work-items", VGPGPU_ERR_INVALID, c_global_none},
    {"work-items in an unused dimension", VGPGPU_ERR_INVALID, c_global_unused},
    {"work-items that overflow", VGPGPU_ERR_LIMIT, c_global_overflow},
    {"huge work-group", VGPGPU_ERR_LIMIT, c_local_huge},
    {"half a work-group", VGPGPU_ERR_INVALID, c_local_partly},
    {"too few arguments", VGPGPU_ERR_INVALID, c_args_few},
    {"too many arguments", VGPGPU_ERR_INVALID, c_args_many},
    {"reserved field of a launch", VGPGPU_ERR_INVALID, c_launch_reserved},
    {"argument of no buffer", VGPGPU_ERR_ID, c_arg_no_buffer},
    {"buffer argument with a size", VGPGPU_ERR_INVALID, c_arg_sized_buffer},
    {"offset beyond the buffer", VGPGPU_ERR_RANGE, c_arg_offset_past},
    {"offset misaligned", VGPGPU_ERR_RANGE, c_arg_offset_odd},
    {"value where a buffer belongs", VGPGPU_ERR_INVALID, c_arg_value_for_buffer},
    {"unknown kind of argument", VGPGPU_ERR_INVALID, c_arg_unknown},
    {"reserved field of an argument", VGPGPU_ERR_INVALID, c_arg_reserved},
    {"empty value", VGPGPU_ERR_INVALID, c_value_empty},
    {"value too long", VGPGPU_ERR_LIMIT, c_value_long},
    {"value of huge length", VGPGPU_ERR_LIMIT, c_value_huge},
    {"value past the command's end", VGPGPU_ERR_INVALID, c_value_past_end},
    {"value with an object", VGPGPU_ERR_INVALID, c_value_object},
    {"value of the wrong size", VGPGPU_ERR_EXEC, c_value_wrong_size},
    {"value a little shorter", VGPGPU_ERR_EXEC, c_value_short},
    {"local memory where a value belongs", VGPGPU_ERR_INVALID, c_local_for_value},
    {"no local memory", VGPGPU_ERR_INVALID, c_local_no_size},
    {"absurd local memory", VGPGPU_ERR_LIMIT, c_local_absurd},
};

/* Each case gets a queue of its own in turn: a queue's first failure stays. */
static void test_commands(void **state)
{
    (void)state;
    machine_open();
    uint32_t queue = 0;
    for (size_t i = 0; i < sizeof(command_cases) / sizeof(command_cases[0]); i++, queue++) {
        rig_batch(&rig);
        command_cases[i].add();
        uint32_t status = rig_run(&rig, queue);
        if (status != command_cases[i].status)
            fail_msg("%s: status %u, not %u", command_cases[i].what, status,
                     command_cases[i].status);
        assert_int_equal(rig.slots[queue].failed, 1);
        /* The queue goes on; its first failure stays visible. */
        rig_batch(&rig);
        fill_add(1, 0, 8, 4);
        rig_run(&rig, queue);
        assert_int_equal(rig.slots[queue].signalled, 2);
        assert_int_equal(rig.slots[queue].failed, 1);
        assert_int_equal(rig.slots[queue].status, command_cases[i].status);
    }
    assert_alive();
    rig_close(&rig);
}

static void test_submission_headers(void **state)
{
    (void)state;
    machine_open();
    struct vgpgpu_submit good = {.context = 1, .queue = 4, .fence = 1};
    struct vgpgpu_submit bad[] = {
        {.context = 9, .queue = 0, .fence = 1},
        {.context = 0, .queue = 0, .fence = 1},
        {.context = 1, .queue = 64, .fence = 1},
        {.context = UINT32_MAX, .queue = UINT32_MAX, .fence = 1},
    };
    front_submit_raw(rig.front, &good, 0);
    front_submit_raw(rig.front, &good, sizeof(good) - 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        front_submit_raw(rig.front, &bad[i], sizeof(bad[i]));
    struct {
        struct vgpgpu_submit header;
        uint32_t status;
    } reported[] = {
        {{.context = 1, .queue = 5, .command_bytes = 8, .fence = 1}, VGPGPU_ERR_INVALID},
        {{.context = 1, .queue = 6, .command_bytes = 7, .fence = 1}, VGPGPU_ERR_INVALID},
        {{.context = 1, .queue = 7, .command_bytes = 0xfffffff8, .fence = 1}, VGPGPU_ERR_LIMIT},
        {{.context = 1, .queue = 8, .flags = 2, .fence = 1}, VGPGPU_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(reported) / sizeof(reported[0]); i++) {
        struct vgpgpu_fence_slot *slot = &rig.slots[reported[i].header.queue];
        front_submit_raw(rig.front, &reported[i].header, sizeof(reported[i].header));
        assert_int_equal(front_wait(rig.front, slot, 1, 50, 10000), 0);
        assert_int_equal(slot->status, reported[i].status);
    }
    /* Fence values that do not grow are reported and change nothing that waits. */
    rig.fences[9] = 10;
    rig_batch(&rig);
    assert_int_equal(rig_run(&rig, 9), 0);
    front_submit(rig.front, 1, 9, 5, NULL, 0);
    front_submit(rig.front, 1, 9, UINT64_MAX, NULL, 0);
    assert_int_equal(rig_run(&rig, 9), VGPGPU_ERR_INVALID);
    assert_int_equal(rig.slots[9].signalled, 12);
    assert_int_equal(rig.slots[9].failed, 5);
    assert_alive();
    rig_close(&rig);
}

/* ---- Rings --------------------------------------------------------------------------------------
 */

/* Posts descriptor chains that cannot be; each comes back with nothing written. */
static void chain_try(unsigned queue, const struct front_descriptor *chain, unsigned count)
{
    struct front_queue *ring = &rig.front->queues[queue];
    uint16_t head;
    uint32_t written;
    while (front_take(rig.front, queue, 0, &head, &written))
        ;
    for (unsigned i = 0; i < count; i++)
        ring->descriptors[100 + i] = chain[i];
    front_post_head(rig.front, queue, 100);
    assert_true(front_take(rig.front, queue, 10000, &head, &written));
    assert_int_equal(head, 100);
    assert_int_equal(written, 0);
}

static void test_descriptor_chains(void **state)
{
    (void)state;
    machine_open();
    uint64_t table = front_pages(rig.front, 1);
    struct front_descriptor *inner = front_at(rig.front, table);
    inner[0] = (struct front_descriptor){table, 16, FRONT_NEXT, 1};
    inner[1] = (struct front_descriptor){table, 16, FRONT_NEXT, 0};
    inner[2] = (struct front_descriptor){table, 32, FRONT_INDIRECT, 0};
    const struct front_descriptor chains[][2] = {
        {{0, 64, FRONT_NEXT, 100}},                              /* a cycle of one */
        {{0, 64, FRONT_NEXT, 101}, {0, 64, FRONT_NEXT, 100}},    /* a cycle of two */
        {{0, 64, FRONT_NEXT, 60000}},                            /* next beyond the table */
        {{1ull << 40, 64, 0, 0}},                                /* outside memory */
        {{UINT64_MAX - 8, 64, 0, 0}},                            /* around the end */
        {{0, UINT32_MAX, 0, 0}},                                 /* leaves its region */
        {{0, 64, FRONT_WRITE | FRONT_NEXT, 101}, {0, 64, 0, 0}}, /* readable behind writable */
        {{table, 32, FRONT_INDIRECT, 0}},                        /* a cycle in the inner table */
        {{table + 32, 16, FRONT_INDIRECT, 0}},                   /* a table in a table */
        {{table, 30, FRONT_INDIRECT, 0}},                        /* half a descriptor */
        {{table, 0, FRONT_INDIRECT, 0}},                         /* an empty table */
        {{1ull << 40, 32, FRONT_INDIRECT, 0}},                   /* a table outside memory */
        {{table, 0xfffffff0, FRONT_INDIRECT, 0}},                /* a huge table */
        {{table, 16, FRONT_INDIRECT | FRONT_NEXT, 101}},         /* a table with a successor */
    };
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
        chain_try(VGPGPU_QUEUE_CONTROL, chains[i], 2);
        chain_try(VGPGPU_QUEUE_SUBMIT, chains[i], 2);
    }
    /* No room for a reply: nothing is done. */
    const struct front_descriptor no_reply = {0, 64, 0, 0};
    chain_try(VGPGPU_QUEUE_CONTROL, &no_reply, 1);
    assert_alive();
    rig_close(&rig);
}

/* A ring with impossible indices stops; a reset of the device brings it back. */
static void test_broken_rings(void **state)
{
    (void)state;
    machine_open();
    struct front_queue *submit = &rig.front->queues[VGPGPU_QUEUE_SUBMIT];
    uint64_t count, one = 1;
    submit->available->index += 1000;
    assert_int_equal(write(submit->kick, &one, sizeof(one)), sizeof(one));
    for (int waited = 0; read(submit->error, &count, sizeof(count)) < 0; waited++) {
        assert_true(waited < 10000);
        usleep(1000);
    }
    front_reset(rig.front);
    memset(rig.fences, 0, sizeof(rig.fences));
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    rig_guest_buffer(&rig, 1, 4);
    rig_kernel(&rig, 1, "put", "kernel void put(global int *c, int v) { c[0] = v; }", 2);
    assert_alive();
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_requests),   cmocka_unit_test(test_request_with_much_behind),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_submission_headers), cmocka_unit_test(test_descriptor_chains),
        cmocka_unit_test(test_broken_rings),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
