/*
 * gpu_costs.c: what the GPU costs kernel code, for bench/run: an empty launch, 64 launches in one submission, a
 * matrix product, 64 MiB to the device and back, and exits. Medians, in nanoseconds.
 */
#include "ktest.h"

#include <microlake/gpu.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "lib/gpucmd/gpucmd.h"
#include "lib/gpucmd/tensor.h"

#define ROUNDS      201u
#define FEW_ROUNDS  11u
#define WARM_UP     20u
#define BATCH       64u
#define BATCH_BYTES 8192u
#define SIDE        1024u
#define COPY_BYTES  (64ull << 20)
#define WAIT_NS     (60 * NS_PER_SEC)

static struct gpu_context *ctx;
static uint8_t commands[BATCH_BYTES] __attribute__((aligned(8)));
static struct gpucmd recorded;
static uint64_t last_fence;

static void record_begin(void)
{
    gpucmd_begin(&recorded, commands, sizeof(commands));
}

static void recorded_run(void)
{
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, recorded.used);
    enum vgpgpu_status failed = VGPGPU_OK;

    EXPECT(batch != NULL && !recorded.failed);
    if (!batch)
        return;
    memcpy(batch + 1, commands, recorded.used);
    EXPECT(gpu_submit(ctx, 0, batch, 0, &last_fence) == OK);
    EXPECT(gpu_fence_wait(ctx, 0, last_fence, time_now() + WAIT_NS, 0, &failed) == OK);
    EXPECT(failed == VGPGPU_OK);
}

static void fence_look(void)
{
    EXPECT(gpu_fence_wait(ctx, 0, last_fence, time_now() + WAIT_NS, 0, NULL) == OK);
}

static uint64_t median(uint64_t *values, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j && values[j] < values[j - 1]; j--) {
            uint64_t higher = values[j - 1];

            values[j - 1] = values[j];
            values[j] = higher;
        }
    return values[count / 2];
}

static void measure(const char *name, void (*step)(void), unsigned rounds)
{
    static uint64_t times[ROUNDS];

    for (unsigned i = 0; i < MIN(WARM_UP, rounds / 4); i++)
        step();
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = time_now();

        step();
        times[i] = time_now() - start;
    }
    host_stat("%s=%lu", name, median(times, rounds));
}

static uint32_t empty_kernel(void)
{
    static const char text[] = "__kernel void empty(void) {}";
    struct gpu_program_source source = {
        .kind = VGPGPU_PROGRAM_OPENCL_C, .source = text, .source_bytes = sizeof(text) - 1};
    uint32_t program, kernel = 0, count;

    EXPECT(gpu_program_build(ctx, &source, &program) == OK);
    EXPECT(gpu_kernel_create(ctx, program, "empty", &kernel, &count) == OK);
    return kernel;
}

static void launches_record(uint32_t kernel, unsigned count)
{
    const uint64_t one = 1;
    const struct gpucmd_launch launch = {.kernel = kernel, .dimensions = 1, .global = &one};

    record_begin();
    for (unsigned i = 0; i < count; i++)
        gpucmd_launch(&recorded, &launch);
}

static uint64_t counted(const char *name)
{
    struct counter_info info;

    for (unsigned i = 0; counter_info(i, &info) == OK; i++)
        if (!strcmp(info.name, name))
            return info.value;
    EXPECT(!"the driver counts");
    return 0;
}

/* Exits of `rounds` steps, in thousandths of one each. */
static void exits_measure(const char *name, void (*step)(void))
{
    uint64_t kicks = counted("gpu_kicks"), interrupts = counted("gpu_interrupts");

    for (unsigned i = 0; i < ROUNDS; i++)
        step();
    kicks = counted("gpu_kicks") - kicks;
    interrupts = counted("gpu_interrupts") - interrupts;
    host_stat("%s=%lu %lu", name, kicks * 1000 / ROUNDS, interrupts * 1000 / ROUNDS);
}

static void launches(void)
{
    uint32_t kernel;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    kernel = empty_kernel();
    launches_record(kernel, 1);
    measure("gpu_launch_empty", recorded_run, ROUNDS);
    exits_measure("gpu_exits_submission", recorded_run);
    exits_measure("gpu_exits_fence", fence_look);
    launches_record(kernel, BATCH);
    measure("gpu_launch_batch64", recorded_run, ROUNDS);
    gpu_context_close(ctx);
}

static void product(void)
{
    uint32_t ids[3];
    struct vgpgpu_tensor t[3];

    EXPECT(gpu_context_open(0, &ctx) == OK);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(gpu_buffer_create(ctx, SIDE * SIDE * 4ull, VGPGPU_BUFFER_GUEST, &ids[i]) == OK);
        t[i] = tensor_matrix(ids[i], VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    }
    record_begin();
    gpucmd_multiply(&recorded, &t[0], &t[1], &t[2], false);
    measure("gpu_gemm_1024", recorded_run, FEW_ROUNDS);
    gpu_context_close(ctx);
}

static void copies(void)
{
    uint32_t here, there;

    EXPECT(gpu_context_open(0, &ctx) == OK);
    EXPECT(gpu_buffer_create(ctx, COPY_BYTES, VGPGPU_BUFFER_GUEST, &here) == OK);
    EXPECT(gpu_buffer_create(ctx, COPY_BYTES, VGPGPU_BUFFER_DEVICE, &there) == OK);
    record_begin();
    gpucmd_copy(&recorded, here, 0, there, 0, COPY_BYTES);
    measure("gpu_write_64m", recorded_run, FEW_ROUNDS);
    record_begin();
    gpucmd_copy(&recorded, there, 0, here, 0, COPY_BYTES);
    measure("gpu_read_64m", recorded_run, FEW_ROUNDS);
    gpu_context_close(ctx);
}

static const struct ktest_case cases[] = {
    {"launches", launches},
    {"product", product},
    {"copies", copies},
    {NULL, NULL},
};

const struct ktest_suite suite_gpu_costs = {.name = "gpu_costs", .cases = cases, .by_name = true};
