/*
 * gpu.c: the GPU objects on the real device: life cycle, order, waiting, mistakes, many threads.
 */
#include "crew.h"

#include <microlake/aspace.h>
#include <microlake/gpu.h>
#include <microlake/module.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "lib/gpucmd/gpucmd.h"
#include "lib/gpucmd/tensor.h"

#define WAIT_NS (30 * NS_PER_SEC)

static struct gpu_stats stats_now(void)
{
    struct gpu_stats stats;

    gpu_stats(&stats);
    return stats;
}

static void expect_as_before(const struct gpu_stats *before)
{
    struct gpu_stats after = stats_now();

    EXPECT(after.contexts == before->contexts);
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++)
        EXPECT(after.objects[kind] == before->objects[kind]);
    EXPECT(after.memory == before->memory);
    EXPECT(after.batches == before->batches);
}

/* Submits one fill of `words` 32-bit words. */
static int fill_submit(struct gpu_context *ctx, uint32_t queue, uint32_t buffer, uint64_t words,
                       uint32_t value, uint64_t *fence)
{
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, sizeof(struct vgpgpu_cmd_fill));
    struct gpucmd c;

    if (!batch)
        return ERR_NO_MEMORY;
    gpucmd_begin(&c, batch + 1, sizeof(struct vgpgpu_cmd_fill));
    gpucmd_fill(&c, buffer, 0, words * sizeof(value), &value, sizeof(value));
    EXPECT(!c.failed);
    return gpu_submit(ctx, queue, batch, 0, fence);
}

static int fill(struct gpu_context *ctx, uint32_t queue, uint32_t buffer, uint32_t value)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    uint64_t fence;
    int r = fill_submit(ctx, queue, buffer, 16, value, &fence);

    if (r == OK)
        r = gpu_fence_wait(ctx, queue, fence, time_now() + WAIT_NS, 0, &failed);
    return r == OK ? gpu_status(failed) : r;
}

static uint32_t first_word(struct gpu_context *ctx, uint32_t buffer)
{
    uint64_t run;
    const volatile uint32_t *words = gpu_buffer_at(ctx, buffer, 0, &run);

    return words ? *words : 0;
}

static void objects_come_and_go(void)
{
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint32_t ids[8];

    for (unsigned round = 0; round < 20; round++) {
        EXPECT(gpu_context_open(0, &ctx) == OK);
        for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
            EXPECT(gpu_buffer_create(ctx, (i + 1) * 12345, VGPGPU_BUFFER_GUEST, &ids[i]) == OK);
        for (unsigned i = 0; i < ARRAY_SIZE(ids); i += 2)
            EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, ids[i]) == OK);
        EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, ids[0]) == ERR_NOT_FOUND);
        EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_DEVICE, &ids[0]) == OK);
        EXPECT(gpu_buffer_at(ctx, ids[0], 0, &(uint64_t){0}) == NULL);
        gpu_context_close(ctx);
    }
    expect_as_before(&before);
}

static void buffers_are_clean_and_whole(void)
{
    const uint64_t size = (5ull << 20) + 4097;
    struct gpu_context *ctx;
    uint64_t run, covered = 0;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, size, VGPGPU_BUFFER_GUEST, &id) == OK);
    for (uint64_t at = 0; at < size; at += run) {
        const uint8_t *bytes = gpu_buffer_at(ctx, id, at, &run);

        EXPECT(bytes && run > 0);
        if (!bytes)
            break;
        for (uint64_t i = 0; i < run; i++)
            if (bytes[i])
                ktest_fail(__FILE__, __LINE__, "a new buffer is zeroed");
        covered += run;
    }
    EXPECT(covered == size);
    EXPECT(gpu_buffer_at(ctx, id, size, &run) == NULL);
    gpu_context_close(ctx);
}

static void many_are_outstanding(void)
{
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint64_t fence = 0;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
    for (uint32_t i = 1; i <= 2000; i++)
        EXPECT(fill_submit(ctx, 7, id, 16, i, &fence) == OK);
    EXPECT(fence == 2000);
    EXPECT(gpu_fence_wait(ctx, 7, fence, time_now() + WAIT_NS, 0, NULL) == OK);
    EXPECT(first_word(ctx, id) == 2000);
    for (uint32_t queue = 0; queue < VGPGPU_QUEUES_PER_CONTEXT; queue++)
        EXPECT(fill(ctx, queue, id, queue) == OK);
    gpu_context_close(ctx);
    expect_as_before(&before);
}

static void waiting_has_its_ends(void)
{
    struct gpu_context *ctx;
    uint64_t fence;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
    EXPECT(gpu_fence_wait(ctx, 0, 1, TIME_NEVER, 0, NULL) == ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, 64, 0, TIME_NEVER, 0, NULL) == ERR_INVALID);
    EXPECT(gpu_fence_wait(ctx, 0, 0, 0, 0, NULL) == OK);
    EXPECT(fill_submit(ctx, 0, id, 16, 1, &fence) == OK);
    EXPECT(gpu_fence_wait(ctx, 0, fence, TIME_NEVER, 0, NULL) == OK);
    EXPECT(gpu_fence_poll(ctx, 0, fence));
    EXPECT(gpu_fence_wait(ctx, 0, fence, 0, 0, NULL) == OK);
    gpu_context_close(ctx);
}

static void memory_is_used_in_place(void)
{
    paddr_t frame = frame_alloc(2, FRAME_ZERO);
    struct vgpgpu_segment segment = {frame, PAGE_SIZE << 2};
    struct gpu_context *ctx;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_wrap(ctx, segment.length, &segment, 1, &id) == OK);
    EXPECT(gpu_buffer_at(ctx, id, 0, &(uint64_t){0}) == NULL);
    EXPECT(fill(ctx, 0, id, 0xabcd1234) == OK);
    EXPECT(*(volatile uint32_t *)phys_to_virt(frame) == 0xabcd1234);
    gpu_context_close(ctx);
    frame_free(frame, 2);
}

static void mappings_outlive_buffers(void)
{
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    struct memobj *obj;
    uint32_t id, word = 0;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 3 * PAGE_SIZE, VGPGPU_BUFFER_GUEST, &id) == OK);
    EXPECT(fill(ctx, 0, id, 0x600dcafe) == OK);
    EXPECT(gpu_buffer_memobj(ctx, id, &obj, NULL) == OK);
    EXPECT(gpu_buffer_memobj(ctx, id + 1, &obj, NULL) == ERR_NOT_FOUND);
    gpu_context_close(ctx);
    EXPECT(memobj_size(obj) == 3 * PAGE_SIZE);
    EXPECT(memobj_read(obj, 60, &word, sizeof(word)) == OK);
    EXPECT(word == 0x600dcafe);
    EXPECT(stats_now().memory > before.memory);
    memobj_unref(obj);
    expect_as_before(&before);
}

static void mistakes_are_answered(void)
{
    static const char bad[] = "__kernel void broken( {";
    char log[128];
    struct gpu_program_source source = {
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source = bad,
        .source_bytes = sizeof(bad) - 1,
        .log = log,
        .log_bytes = sizeof(log),
    };
    struct vgpgpu_submit *batch;
    enum vgpgpu_status failed = VGPGPU_OK;
    struct gpu_context *ctx;
    uint64_t fence = 0;
    uint32_t id, count;

    EXPECT(gpu_context_open(99, &ctx) == ERR_NOT_FOUND);
    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_program_build(ctx, &source, &id) == ERR_BUILD);
    EXPECT(strlen(log) > 0);
    EXPECT(gpu_buffer_create(ctx, 0, VGPGPU_BUFFER_GUEST, &id) == ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, 3, &id) == ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, UINT64_MAX, VGPGPU_BUFFER_GUEST, &id) == ERR_RANGE);
    EXPECT(gpu_kernel_create(ctx, 77, "none", &id, &count) == ERR_NOT_FOUND);
    EXPECT(gpu_batch_alloc(ctx, 12) == NULL);
    EXPECT(gpu_batch_alloc(ctx, 1u << 31) == NULL);
    EXPECT(fill(ctx, 1, 55, 0) == ERR_NOT_FOUND);
    batch = gpu_batch_alloc(ctx, 64);
    memset(batch + 1, 0xee, 64);
    EXPECT(gpu_submit(ctx, 2, batch, 0, &fence) == OK);
    EXPECT(gpu_fence_wait(ctx, 2, fence, time_now() + WAIT_NS, 0, &failed) == OK);
    EXPECT(failed == VGPGPU_ERR_INVALID);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
    EXPECT(fill(ctx, 3, id, 5) == OK && first_word(ctx, id) == 5);
    gpu_context_close(ctx);
}

/* ---- Built-in operations
 * --------------------------------------------------------------------------- */

enum { ROWS = 24, INNER = 37, COLUMNS = 26, MATRIX_BYTES = 4096 }; /* one page: contiguous */

/* Whole numbers as this kernel may make them: the bits of an f32, without a register for it. */
static uint32_t f32_of(int value)
{
    uint32_t size = (uint32_t)(value < 0 ? -value : value), top = 0;

    if (!size)
        return 0;
    while (size >> (top + 1))
        top++;
    return (value < 0 ? 1u << 31 : 0) | (127 + top) << 23 | ((size << (23 - top)) & 0x7fffff);
}

static int element(uint32_t salt, uint32_t row, uint32_t column)
{
    return (int)((salt + row * 31 + column * 17) % 23) - 11;
}

static void matrix_fill(void *at, enum vgpgpu_type type, uint32_t salt, uint32_t rows,
                        uint32_t columns)
{
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++)
            if (type == VGPGPU_F32)
                ((uint32_t *)at)[i * columns + j] = f32_of(element(salt, i, j));
            else
                ((int8_t *)at)[i * columns + j] = (int8_t)element(salt, i, j);
}

/* The device adds the product twice to what was 0. */
static void product_expect(const uint32_t *c, enum vgpgpu_type type)
{
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t j = 0; j < COLUMNS; j++) {
            int sum = 0;

            for (uint32_t k = 0; k < INNER; k++)
                sum += element(1, i, k) * element(2, k, j);
            EXPECT(c[i * COLUMNS + j] == (type == VGPGPU_F32 ? f32_of(2 * sum) : (uint32_t)(2 * sum)));
        }
}

static int multiply_twice(struct gpu_context *ctx, const uint32_t *ids, enum vgpgpu_type type)
{
    const enum vgpgpu_type result = type == VGPGPU_F32 ? VGPGPU_F32 : VGPGPU_S32;
    const struct vgpgpu_tensor c = tensor_matrix(ids[0], result, 0, ROWS, COLUMNS, COLUMNS),
                               a = tensor_matrix(ids[1], type, 0, ROWS, INNER, INNER),
                               b = tensor_matrix(ids[2], type, 0, INNER, COLUMNS, COLUMNS);
    enum vgpgpu_status failed = VGPGPU_OK;
    struct vgpgpu_submit *batch;
    struct gpucmd count, write;
    uint64_t fence;
    int r;

    gpucmd_begin(&count, NULL, 0);
    gpucmd_multiply(&count, &c, &a, &b, false);
    gpucmd_multiply(&count, &c, &a, &b, true);
    batch = gpu_batch_alloc(ctx, count.used);
    if (!batch)
        return ERR_NO_MEMORY;
    gpucmd_begin(&write, batch + 1, count.used);
    gpucmd_multiply(&write, &c, &a, &b, false);
    gpucmd_multiply(&write, &c, &a, &b, true);
    EXPECT(!write.failed);
    r = gpu_submit(ctx, 0, batch, 0, &fence);
    if (r == OK)
        r = gpu_fence_wait(ctx, 0, fence, time_now() + WAIT_NS, 0, &failed);
    return r == OK ? gpu_status(failed) : r;
}

static void matrices_are_multiplied(void)
{
    static const enum vgpgpu_type types[] = {VGPGPU_S8, VGPGPU_F32};
    struct gpu_stats before = stats_now();
    struct vgpgpu_config config;
    struct gpu_context *ctx;
    uint32_t ids[3];
    void *at[3];

    EXPECT(gpu_device_info(0, &config) == OK);
    for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
        bool there = config.operations[VGPGPU_GEMM] >> types[t] & 1;

        EXPECT(gpu_context_open(0, &ctx) == OK);
        for (unsigned i = 0; i < 3; i++) {
            uint64_t run = 0;

            EXPECT(gpu_buffer_create(ctx, MATRIX_BYTES, VGPGPU_BUFFER_GUEST, &ids[i]) == OK);
            at[i] = gpu_buffer_at(ctx, ids[i], 0, &run);
            EXPECT(at[i] && run == MATRIX_BYTES);
        }
        matrix_fill(at[1], types[t], 1, ROWS, INNER);
        matrix_fill(at[2], types[t], 2, INNER, COLUMNS);
        EXPECT(multiply_twice(ctx, ids, types[t]) == (there ? OK : ERR_UNSUPPORTED));
        if (there)
            product_expect(at[0], types[t]);
        gpu_context_close(ctx);
    }
    expect_as_before(&before);
}

/* ---- Many threads
 * ---------------------------------------------------------------------------------- */

static struct gpu_context *shared;
static uint32_t done; /* rounds that went well; atomic */

static void worker(void *arg)
{
    uint32_t queue = (uint32_t)(uintptr_t)arg, id;

    for (uint32_t i = 1; i <= 50; i++) {
        if (gpu_buffer_create(shared, 8192, VGPGPU_BUFFER_GUEST, &id) != OK)
            return;
        if (fill(shared, queue, id, i * 64 + queue) == OK &&
            first_word(shared, id) == i * 64 + queue &&
            gpu_object_destroy(shared, GPU_BUFFER, id) == OK)
            __atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
    }
}

static void threads_share_a_context(void)
{
    struct gpu_stats before = stats_now();
    struct thread *threads[6];

    done = 0;
    EXPECT(gpu_context_open(0, &shared) == OK);
    for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++) /* two threads a queue */
        EXPECT(thread_create("gpu-worker", worker, (void *)(i / 2), &threads[i]) == OK);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        thread_join(threads[i], TIME_NEVER);
        thread_unref(threads[i]);
    }
    EXPECT(done == 50 * ARRAY_SIZE(threads));
    gpu_context_close(shared);
    expect_as_before(&before);
}

static void driver_comes_and_goes(void)
{
    const char *transport = module_find("virtio_pci") ? "virtio_pci" : "virtio_mmio";
    struct gpu_context *ctx;

    for (unsigned i = 0; i < 3; i++) {
        EXPECT(gpu_context_open(0, &ctx) == OK);
        EXPECT(module_unload("virtio_gpgpu") == ERR_BUSY);
        EXPECT(module_unload(transport) == ERR_BUSY);
        gpu_context_close(ctx);
        EXPECT(module_unload("virtio_gpgpu") == OK);
        EXPECT(gpu_context_open(0, &ctx) == ERR_NOT_FOUND);
        EXPECT(module_load("virtio_gpgpu") == OK);
    }
    EXPECT(gpu_context_open(0, &ctx) == OK);
    gpu_context_close(ctx);
}

/* ---- Exits
 * ------------------------------------------------------------------------------------------ */

static uint64_t counted(const char *name)
{
    struct counter_info info;

    for (unsigned i = 0; counter_info(i, &info) == OK; i++)
        if (!strcmp(info.name, name))
            return info.value;
    return 0;
}

/* A submission tells the device at most once, and a fence that is signalled is looked at in memory. */
static void exits_are_few(void)
{
    uint64_t submissions, kicks, interrupts, fence = 0;
    struct gpu_context *ctx;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
    submissions = counted("gpu_submissions");
    kicks = counted("gpu_kicks");
    for (uint32_t i = 0; i < 500; i++) {
        EXPECT(fill_submit(ctx, 0, id, 16, i, &fence) == OK);
        if (i % 5 == 0)
            EXPECT(gpu_fence_wait(ctx, 0, fence, time_now() + WAIT_NS, 0, NULL) == OK);
    }
    EXPECT(gpu_fence_wait(ctx, 0, fence, time_now() + WAIT_NS, 0, NULL) == OK);
    EXPECT(counted("gpu_submissions") == submissions + 500);
    kicks = counted("gpu_kicks") - kicks;
    EXPECT(kicks >= 1 && kicks <= 500);
    kicks = counted("gpu_kicks");
    interrupts = counted("gpu_interrupts");
    for (uint64_t i = 1; i <= fence; i++)
        EXPECT(gpu_fence_wait(ctx, 0, i, TIME_NEVER, 0, NULL) == OK && gpu_fence_poll(ctx, 0, i));
    EXPECT(counted("gpu_kicks") == kicks && counted("gpu_interrupts") == interrupts);
    gpu_context_close(ctx);
}

/* ---- Memory that runs out
 * --------------------------------------------------------------------------- */

static int op_inside(struct gpu_context *ctx)
{
    static const char text[] = "__kernel void none(__global uint *p) { p[0] = 1; }";
    struct gpu_program_source source = {
        .kind = VGPGPU_PROGRAM_OPENCL_C, .source = text, .source_bytes = sizeof(text) - 1};
    uint32_t buffer, part, program, kernel, count;
    struct memobj *obj;
    int r = gpu_buffer_create(ctx, 77 * PAGE_SIZE, VGPGPU_BUFFER_GUEST, &buffer);

    if (r == OK)
        r = gpu_buffer_sub(ctx, buffer, PAGE_SIZE, 5000, &part);
    if (r == OK)
        r = fill(ctx, 0, part, 3);
    if (r == OK)
        r = gpu_buffer_memobj(ctx, buffer, &obj, NULL);
    if (r == OK) {
        memobj_unref(obj);
        r = gpu_object_destroy(ctx, GPU_BUFFER, buffer);
    }
    if (r == OK)
        r = gpu_program_build(ctx, &source, &program);
    if (r == OK)
        r = gpu_kernel_create(ctx, program, "none", &kernel, &count);
    return r;
}

static int op_gpu(void)
{
    struct gpu_context *ctx;
    int r = gpu_context_open(0, &ctx);

    if (r != OK)
        return r;
    r = op_inside(ctx);
    gpu_context_close(ctx);
    return r;
}

/* The 1st, 2nd, 3rd… allocation fails: an error, nothing lost, and the device goes on. */
static void allocations_fail(void)
{
    struct gpu_stats before = stats_now();
    uint64_t left = 0;

    for (unsigned n = 1; n < 200 && !left; n++) {
        int r;

        thread_current()->fail_allocation = n;
        r = op_gpu();
        left = thread_current()->fail_allocation;
        thread_current()->fail_allocation = 0;
        EXPECT(r == (left ? OK : ERR_NO_MEMORY) || (r == OK && n > 1));
        expect_as_before(&before);
    }
    EXPECT(left > 0);
    EXPECT(op_gpu() == OK);
}

/* The device's memory: an error, and what is given back can be had again. */
static void device_memory_runs_out(void)
{
    struct gpu_stats before = stats_now();
    struct vgpgpu_config config;
    struct gpu_context *ctx;
    uint32_t id = 0, count = 0;
    uint64_t size;
    int r;

    EXPECT(gpu_device_info(0, &config) == OK);
    size = MIN(config.global_memory / 20, config.max_buffer);
    EXPECT(gpu_context_open(0, &ctx) == OK);
    while ((r = gpu_buffer_create(ctx, size, VGPGPU_BUFFER_DEVICE, &id)) == OK && count < 1000)
        count++;
    EXPECT(r == ERR_NO_MEMORY && count > 0);
    EXPECT(stats_now().objects[GPU_BUFFER] == before.objects[GPU_BUFFER] + count);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, id) == OK);
    EXPECT(gpu_buffer_create(ctx, size, VGPGPU_BUFFER_DEVICE, &id) == OK);
    EXPECT(fill(ctx, 0, id, 1) == OK);
    gpu_context_close(ctx);
    expect_as_before(&before);
}

struct filler {
    struct crew *crew;
    uint64_t fences;
};

static void filler_run(void *arg)
{
    struct filler *f = arg;
    struct gpu_context *ctx;
    uint32_t buffer;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 64, VGPGPU_BUFFER_GUEST, &buffer) == OK);
    for (uint32_t i = 1; !crew_stops(f->crew); i++) {
        EXPECT(fill(ctx, 0, buffer, i) == OK); /* a fence that is lost: ERR_TIMED_OUT */
        EXPECT(first_word(ctx, buffer) == i);
        f->fences++;
    }
    gpu_context_close(ctx);
}

static void fences_through_switches(void)
{
    static struct crew crew;
    static struct filler fillers[3];
    uint64_t end = time_now() + boot_option_number("ktest.seconds", 4) * NS_PER_SEC, fences = 0;
    struct gpu_stats before = stats_now();
    char text[32];

    crew = (struct crew){0};
    ktest_switches_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(fillers); i++) {
        fillers[i] = (struct filler){.crew = &crew};
        crew_add(&crew, "filler", filler_run, &fillers[i], 1);
    }
    while (time_now() < end)
        thread_sleep(time_now() + 20 * NS_PER_MS, 0);
    crew_end(&crew, 60);
    ktest_switches_end();
    for (unsigned i = 0; i < ARRAY_SIZE(fillers); i++) {
        EXPECT(fillers[i].fences > 0);
        fences += fillers[i].fences;
    }
    snprintf(text, sizeof(text), ", %lu fences", fences);
    ktest_note(text);
    expect_as_before(&before);
}

/* Unloading waits until the module has reported. */
/* What the device tells, and of what it tells nothing. */
static void questions_are_answered(void)
{
    static const char text[] = "kernel void nothing(global int *x, int y) { x[0] = y; }";
    const struct gpu_program_source source = {.kind = VGPGPU_PROGRAM_OPENCL_C,
                                              .source = text,
                                              .source_bytes = sizeof(text) - 1};
    struct vgpgpu_kernel_info info = {0};
    uint32_t bytes = sizeof(info), program, kernel, few = 8;
    struct gpu_context *ctx;
    uint64_t total = 0;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_program_build(ctx, &source, &program) == OK);
    EXPECT(gpu_kernel_create(ctx, program, "nothing", &kernel, &(uint32_t){0}) == OK);
    EXPECT(gpu_query(ctx, VGPGPU_QUERY_KERNEL, kernel, 0, &info, &bytes, &total) == OK);
    EXPECT(total == sizeof(info) && bytes == sizeof(info) && info.arg_count == 2);
    EXPECT(gpu_query(ctx, VGPGPU_QUERY_KERNEL, kernel, sizeof(info) - 8, &info, &few, &total) == OK);
    EXPECT(few == 8 && total == sizeof(info));
    EXPECT(gpu_query(ctx, VGPGPU_QUERY_KERNEL, kernel + 1, 0, &info, &bytes, &total) == ERR_NOT_FOUND);
    EXPECT(gpu_query(ctx, 77, kernel, 0, &info, &bytes, &total) == ERR_UNSUPPORTED);
    EXPECT(gpu_context_limit(ctx, 1000) == ERR_INVALID); /* too late */
    gpu_context_close(ctx);
}

/* Contexts with limits of their own work as others do, have an end, and come again. */
static void limits_are_kept(void)
{
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint32_t id;

    for (unsigned round = 0; round < 3; round++) {
        EXPECT(gpu_context_open(0, &ctx) == OK);
        EXPECT(gpu_context_limit(ctx, 0) == ERR_INVALID);
        EXPECT(gpu_context_limit(ctx, 30000) == OK);
        EXPECT(gpu_context_limit(ctx, 30000) == ERR_INVALID);
        EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
        EXPECT(fill(ctx, 0, id, 100 + round) == OK);
        EXPECT(first_word(ctx, id) == 100 + round);
        gpu_context_close(ctx);
    }
    expect_as_before(&before);
}

/* ---- Sub-buffers and signals
 * ------------------------------------------------------------------------ */

static uint32_t word_at(struct gpu_context *ctx, uint32_t buffer, uint64_t offset, uint64_t *run)
{
    const volatile uint32_t *word = gpu_buffer_at(ctx, buffer, offset, run);

    EXPECT(word != NULL);
    return word ? *word : 0;
}

/* What of sub-buffers is refused, here and by the device. */
static void subs_are_refused(struct gpu_context *ctx, uint32_t buffer, uint64_t size, uint32_t align)
{
    uint32_t id, managed;

    EXPECT(gpu_buffer_sub(ctx, buffer, 0, 0, &id) == ERR_INVALID);
    EXPECT(gpu_buffer_sub(ctx, buffer, 0, size + 1, &id) == ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, buffer, size, 1, &id) == ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, buffer, UINT64_MAX - 127, 4096, &id) == ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, buffer, align / 2, 1, &id) == ERR_RANGE);
    EXPECT(gpu_buffer_sub(ctx, buffer + 99, 0, 1, &id) == ERR_NOT_FOUND);
    EXPECT(gpu_buffer_sub(ctx, 0, 0, 1, &id) == ERR_NOT_FOUND);
    EXPECT(gpu_buffer_create(ctx, 4096, GPU_BUFFER_MANAGED, &managed) == OK);
    EXPECT(gpu_buffer_sub(ctx, managed, 0, 64, &id) == ERR_INVALID);
}

static void sub_buffers_are_buffers(void)
{
    const uint64_t size = (4ull << 20) + 5 * PAGE_SIZE; /* more than one block */
    struct gpu_stats before = stats_now();
    struct vgpgpu_config config;
    struct gpu_context *ctx;
    uint32_t buffer, part, inner, word = 0;
    uint64_t at, first = 1, run;
    struct memobj *obj;

    EXPECT(gpu_device_info(0, &config) == OK);
    EXPECT(config.features & VGPGPU_FEATURE_SUB_BUFFER);
    at = (4ull << 20) - 4 * config.offset_align;
    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, size, VGPGPU_BUFFER_GUEST, &buffer) == OK);
    EXPECT(gpu_buffer_sub(ctx, buffer, at, PAGE_SIZE, &part) == OK);
    EXPECT(gpu_buffer_sub(ctx, part, config.offset_align, 200, &inner) == OK);
    EXPECT(stats_now().memory - before.memory < size + (1u << 20)); /* none of their own */
    EXPECT(fill(ctx, 0, inner, 0x1111) == OK);
    EXPECT(word_at(ctx, buffer, at + config.offset_align, &run) == 0x1111);
    EXPECT(word_at(ctx, part, config.offset_align, &run) == 0x1111);
    EXPECT(word_at(ctx, inner, 60, &run) == 0x1111 && run == 140);
    EXPECT(word_at(ctx, part, config.offset_align - 4, &run) == 0);
    EXPECT(gpu_buffer_at(ctx, inner, 200, &run) == NULL);
    EXPECT(fill(ctx, 1, part, 0x2222) == OK);
    subs_are_refused(ctx, buffer, size, config.offset_align);
    EXPECT(fill(ctx, 2, inner, 0x3333) == OK); /* in a context with managed buffers, too */
    /* The buffer goes; its bytes stay, for the device and for mappings. */
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, buffer) == OK);
    EXPECT(fill(ctx, 3, inner, 0x4444) == OK);
    EXPECT(word_at(ctx, inner, 0, &run) == 0x4444);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, part) == OK);
    EXPECT(gpu_buffer_memobj(ctx, inner, &obj, &first) == OK);
    EXPECT(first == at + config.offset_align);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, inner) == OK);
    EXPECT(memobj_read(obj, first, &word, sizeof(word)) == OK && word == 0x4444);
    memobj_unref(obj);
    EXPECT(fill(ctx, 4, inner, 1) == ERR_NOT_FOUND);
    gpu_context_close(ctx);
    expect_as_before(&before);
}

#define STEPS 20u

/* Fills with a SIGNAL behind each but the last. */
static int steps_submit(struct gpu_context *ctx, uint32_t queue, uint32_t buffer, unsigned flags, uint32_t room,
                        uint64_t *fence)
{
    uint32_t bytes = STEPS * (uint32_t)(sizeof(struct vgpgpu_cmd_fill) + sizeof(struct vgpgpu_cmd_signal));
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, bytes);
    struct gpucmd c;

    if (!batch)
        return ERR_NO_MEMORY;
    gpucmd_begin(&c, batch + 1, bytes);
    for (uint32_t i = 1; i <= STEPS; i++) {
        gpucmd_fill(&c, buffer, i * 4, 4, &i, sizeof(i));
        if (i < STEPS)
            gpucmd_signal(&c, STEPS - i);
    }
    batch->command_bytes = c.used;
    return gpu_submit(ctx, queue, batch, flags | GPU_SIGNALS(room), fence);
}

static void submissions_tell_how_far_they_are(void)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint64_t fence, next, run;
    uint32_t id;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, 4096, VGPGPU_BUFFER_GUEST, &id) == OK);
    for (unsigned round = 0; round < 30; round++) {
        unsigned flags = round % 3 == 2 ? GPU_UNORDERED : 0;

        EXPECT(steps_submit(ctx, 5, id, flags, STEPS - 1, &fence) == OK);
        EXPECT(fence == (round + 1) * STEPS);
        for (uint32_t i = 1; i <= STEPS; i++) {
            EXPECT(gpu_fence_wait(ctx, 5, fence - (STEPS - i), time_now() + WAIT_NS, 0, &failed) == OK);
            EXPECT(failed == VGPGPU_OK && word_at(ctx, id, i * 4, &run) == i);
        }
    }
    EXPECT(fill_submit(ctx, 5, id, 1, 7, &next) == OK && next == fence + 1);
    EXPECT(gpu_fence_wait(ctx, 5, next, time_now() + WAIT_NS, 0, NULL) == OK);
    /* Too little room: none of it runs, and each of its values has failed. */
    EXPECT(steps_submit(ctx, 6, id, 0, STEPS - 2, &fence) == OK && fence == STEPS - 1);
    EXPECT(gpu_fence_wait(ctx, 6, 1, time_now() + WAIT_NS, 0, &failed) == OK && failed == VGPGPU_ERR_INVALID);
    /* Through the look at its commands that a context with managed buffers has. */
    EXPECT(gpu_buffer_create(ctx, 4096, GPU_BUFFER_MANAGED, &(uint32_t){0}) == OK);
    EXPECT(steps_submit(ctx, 7, id, 0, STEPS - 1, &fence) == OK && fence == STEPS);
    EXPECT(gpu_fence_wait(ctx, 7, 3, time_now() + WAIT_NS, 0, &failed) == OK && failed == VGPGPU_OK);
    gpu_context_close(ctx);
    expect_as_before(&before);
}

static void sum_module(void)
{
    EXPECT(module_load("gpu_sum") == OK);
    EXPECT(module_unload("gpu_sum") == OK);
}

static const struct ktest_case cases[] = {
    {"objects_come_and_go", objects_come_and_go},
    {"buffers_are_clean_and_whole", buffers_are_clean_and_whole},
    {"many_are_outstanding", many_are_outstanding},
    {"waiting_has_its_ends", waiting_has_its_ends},
    {"memory_is_used_in_place", memory_is_used_in_place},
    {"mappings_outlive_buffers", mappings_outlive_buffers},
    {"mistakes_are_answered", mistakes_are_answered},
    {"matrices_are_multiplied", matrices_are_multiplied},
    {"threads_share_a_context", threads_share_a_context},
    {"driver_comes_and_goes", driver_comes_and_goes},
    {"exits_are_few", exits_are_few},
    {"allocations_fail", allocations_fail},
    {"device_memory_runs_out", device_memory_runs_out},
    {"fences_through_switches", fences_through_switches},
    {"questions_are_answered", questions_are_answered},
    {"limits_are_kept", limits_are_kept},
    {"sub_buffers_are_buffers", sub_buffers_are_buffers},
    {"submissions_tell_how_far_they_are", submissions_tell_how_far_they_are},
    {"sum_module", sum_module},
    {NULL, NULL},
};

const struct ktest_suite suite_gpu = {.name = "gpu", .cases = cases, .needs_gpu = true};
