/*
 * device.c: checksums on the device. Each work-item takes a block, moves its register past all that
 * follows the block, and adds it to the sum of all blocks: one launch, no second pass.
 *
 * A request wraps the caller's pages into a buffer, so that the device reads them where they are.
 * Requests work side by side: each has a lane, which is a queue and a cell for the result.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "crc.h"
#include "lib/gpucmd/gpucmd.h"

#define LANES       8u
#define ALL_LANES   ((1u << LANES) - 1)
#define CELL_WORDS  16u /* cells of two lanes share no cache line */
#define BATCH_BYTES 1024u
#define WAIT_NS     (60 * NS_PER_SEC)

/* How much one work-item takes, and how many go together: a processor wants few long ones. */
#define BLOCK_OF_CPU 16384u
#define BLOCK_OF_GPU 1024u
#define GROUP_OF_GPU 64u

static const char source[] =
    "uint multiply(uint a, uint b)\n"
    "{\n"
    "    uint product = 0;\n"
    "    for (; a; a <<= 1) {\n"
    "        if (a >> 31)\n"
    "            product ^= b;\n"
    "        b = b >> 1 ^ (b & 1 ? 0x82f63b78u : 0u);\n"
    "    }\n"
    "    return product;\n"
    "}\n"
    "__kernel void blocks(__global const uint2 *data, ulong offset, ulong bytes, uint block,\n"
    "                     __global const uint *tables, __global uint *cells, uint cell)\n"
    "{\n"
    "    ulong from = get_global_id(0) * (ulong)block, to = min(from + block, bytes);\n"
    "    __global const uint *s = tables, *powers = tables + 2048;\n"
    "    uint crc = 0, n = 0;\n"
    "    if (from >= bytes)\n"
    "        return;\n"
    "    for (ulong at = (offset + from) / 8; at < (offset + to) / 8; at++) {\n"
    "        uint low = crc ^ data[at].x, high = data[at].y;\n"
    "        crc = s[1792 + (low & 255)] ^ s[1536 + (low >> 8 & 255)] ^\n"
    "              s[1280 + (low >> 16 & 255)] ^ s[1024 + (low >> 24)] ^\n"
    "              s[768 + (high & 255)] ^ s[512 + (high >> 8 & 255)] ^\n"
    "              s[256 + (high >> 16 & 255)] ^ s[high >> 24];\n"
    "    }\n"
    "    for (ulong behind = bytes - to; behind; behind >>= 1, n++)\n"
    "        if (behind & 1)\n"
    "            crc = multiply(crc, powers[n]);\n"
    "    atomic_xor(&cells[cell], crc);\n"
    "}\n";

_Static_assert(sizeof(crc_tables.slices) == 2048 * sizeof(uint32_t), "where the powers begin");

struct crc_device {
    struct gpu_context *ctx;
    uint32_t tables, cells; /* buffers */
    uint32_t kernel;
    uint32_t block, group;
    struct mutex lock;
    struct wait_queue lane_free;
    unsigned lanes; /* those that are taken, as bits; guarded by lock */
    bool failed; /* atomic: work failed here, so that a queue keeps an error, or the device is lost
                  */
};

static int program_build(struct crc_device *d)
{
    char log[256];
    struct gpu_program_source text = {
        .kind = VGPGPU_PROGRAM_OPENCL_C,
        .source = source,
        .source_bytes = sizeof(source) - 1,
        .log = log,
        .log_bytes = sizeof(log),
    };
    uint32_t program, arg_count;
    int r = gpu_program_build(d->ctx, &text, &program);

    if (r == ERR_BUILD)
        log_error("gpu_crc: its program does not build: %s", log);
    if (r == OK)
        r = gpu_kernel_create(d->ctx, program, "blocks", &d->kernel, &arg_count);
    return r;
}

/* The tables lie in pages of this machine that the device reads in place. */
static int tables_create(struct crc_device *d)
{
    int r = gpu_buffer_create(d->ctx, sizeof(crc_tables), VGPGPU_BUFFER_GUEST, &d->tables);
    uint64_t run;

    if (r != OK)
        return r;
    for (uint64_t at = 0; at < sizeof(crc_tables); at += run) {
        void *to = gpu_buffer_at(d->ctx, d->tables, at, &run);

        memcpy(to, (const uint8_t *)&crc_tables + at, run);
    }
    return gpu_buffer_create(d->ctx, PAGE_SIZE, VGPGPU_BUFFER_GUEST, &d->cells);
}

int crc_device_open(struct crc_device **out)
{
    struct crc_device *d = kzalloc(sizeof(*d));
    struct vgpgpu_config config;
    int r;

    if (!d)
        return ERR_NO_MEMORY;
    mutex_init(&d->lock);
    wait_queue_init(&d->lane_free);
    r = gpu_device_info(0, &config);
    if (r == OK)
        r = gpu_context_open(0, &d->ctx);
    if (r == OK)
        r = tables_create(d);
    if (r == OK)
        r = program_build(d);
    if (r != OK) {
        crc_device_close(d);
        return r;
    }
    d->block = config.device_type == VGPGPU_DEVICE_CPU ? BLOCK_OF_CPU : BLOCK_OF_GPU;
    d->group = config.device_type == VGPGPU_DEVICE_CPU ? 1 : GROUP_OF_GPU;
    *out = d;
    return OK;
}

void crc_device_close(struct crc_device *d)
{
    if (d->ctx)
        gpu_context_close(d->ctx);
    kfree(d);
}

static int lane_try(struct crc_device *d)
{
    int lane = -1;

    mutex_lock(&d->lock);
    if (d->lanes != ALL_LANES) {
        lane = __builtin_ctz(~d->lanes);
        d->lanes |= 1u << lane;
    }
    mutex_unlock(&d->lock);
    return lane;
}

static bool lane_is_free(struct crc_device *d)
{
    return __atomic_load_n(&d->lanes, __ATOMIC_RELAXED) != ALL_LANES;
}

static unsigned lane_take(struct crc_device *d)
{
    int lane;

    while ((lane = lane_try(d)) < 0)
        WAIT_UNTIL(&d->lane_free, lane_is_free(d), TIME_NEVER, 0);
    return (unsigned)lane;
}

static void lane_give(struct crc_device *d, unsigned lane)
{
    mutex_lock(&d->lock);
    d->lanes &= ~(1u << lane);
    mutex_unlock(&d->lock);
    wait_wake(&d->lane_free, 1);
}

static struct vgpgpu_submit *batch_create(const struct crc_device *d, uint32_t buffer,
                                          uint64_t offset, uint64_t bytes, unsigned lane)
{
    const uint32_t block = d->block, cell = lane * CELL_WORDS;
    const uint64_t group = d->group;
    const uint64_t items = ALIGN_UP((bytes + block - 1) / block, group);
    const struct gpucmd_arg args[] = {
        GPUCMD_BUFFER(buffer),    GPUCMD_VALUE(offset),    GPUCMD_VALUE(bytes), GPUCMD_VALUE(block),
        GPUCMD_BUFFER(d->tables), GPUCMD_BUFFER(d->cells), GPUCMD_VALUE(cell),
    };
    const struct gpucmd_launch launch = {d->kernel, 1, ARRAY_SIZE(args), &items, &group, args};
    uint64_t room[BATCH_BYTES / sizeof(uint64_t)];
    struct vgpgpu_submit *batch;
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_launch(&c, &launch);
    batch = c.failed ? NULL : gpu_batch_alloc(d->ctx, c.used);
    if (batch)
        memcpy(batch + 1, room, c.used);
    return batch;
}

static int batch_run(struct crc_device *d, struct vgpgpu_submit *batch, unsigned lane)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    uint64_t fence;
    int r = gpu_submit(d->ctx, lane, batch, 0, &fence);

    if (r == OK)
        r = gpu_fence_wait(d->ctx, lane, fence, time_now() + WAIT_NS, 0, &failed);
    return r == OK ? gpu_status(failed) : r;
}

int crc_device_register(struct crc_device *d, const struct vgpgpu_segment *segments, uint32_t count,
                        uint64_t offset, uint64_t bytes, uint32_t *reg)
{
    unsigned lane = lane_take(d);
    struct vgpgpu_submit *batch;
    uint64_t run;
    volatile uint32_t *cell = gpu_buffer_at(d->ctx, d->cells, lane * CELL_WORDS * 4ull, &run);
    uint32_t buffer;
    int r = gpu_buffer_wrap(d->ctx, offset + bytes, segments, count, &buffer);

    if (r == OK) {
        *cell = 0;
        batch = batch_create(d, buffer, offset, bytes, lane);
        r = batch ? batch_run(d, batch, lane) : ERR_NO_MEMORY;
        if (r != OK && batch)
            __atomic_store_n(&d->failed, true, __ATOMIC_RELAXED);
        gpu_object_destroy(d->ctx, GPU_BUFFER, buffer);
        *reg = *cell;
    } else if (r == ERR_LOST) {
        __atomic_store_n(&d->failed, true, __ATOMIC_RELAXED);
    }
    lane_give(d, lane);
    return r;
}

unsigned crc_device_in_work(const struct crc_device *d)
{
    unsigned count = 0;

    for (unsigned lanes = __atomic_load_n(&d->lanes, __ATOMIC_RELAXED); lanes; lanes &= lanes - 1)
        count++;
    return count;
}

bool crc_device_failed(const struct crc_device *d)
{
    return __atomic_load_n(&d->failed, __ATOMIC_RELAXED);
}
