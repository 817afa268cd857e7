/*
 * drive.c: kernel code that works with a device, whatever that does: every call comes back in time, with a status;
 * nothing is written beyond what it was given.
 */
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "lib/gpucmd/gpucmd.h"
#include "machine.h"

/* What docs/gpu-in-the-kernel.md promises, and some for the work itself: gpu.patience is 2 s here. */
#define CALL_NS  (10 * NS_PER_SEC + 8 * NS_PER_SEC)
#define BUILD_NS (90 * NS_PER_SEC + 8 * NS_PER_SEC)
#define LATE_NS  (150 * NS_PER_SEC) /* and more, where a buffer goes that work may use */
#define WAIT_NS  (3 * NS_PER_SEC)
#define HANG_NS  (1200 * NS_PER_SEC)
#define MANY     150u /* more than a queue holds */
#define CANARY   0xa5
#define UNSIGNALLED 63u /* the queue that a liar about `alive` never signals */

unsigned drive_failures; /* of work, as its fences tell; atomic */
static bool stop;                   /* atomic */
static uint64_t building, built_at; /* threads that build; when one last ended to; atomic */

/* The device may be silent for longer while one builds, to all. */
static void build_begin(void)
{
    __atomic_fetch_add(&building, 1, __ATOMIC_RELAXED);
}

static void build_end(void)
{
    __atomic_store_n(&built_at, time_now(), __ATOMIC_RELAXED);
    __atomic_fetch_sub(&building, 1, __ATOMIC_RELAXED);
}

/* Buffers that work may use are destroyed: the first thread's, but no other is waited for. */
static bool late;

/* Statuses are not the only thing that a call returns: it returns. */
static int came(int r, uint64_t began, uint64_t most, int line)
{
    uint64_t took = time_now() - began;
    bool build = __atomic_load_n(&building, __ATOMIC_RELAXED) || __atomic_load_n(&built_at, __ATOMIC_RELAXED) >= began;

    if (took > (build ? BUILD_NS : most) + (late ? LATE_NS : 0))
        wrong(__FILE__, line, "a call takes too long, ms", (long)(took / NS_PER_MS));
    if (r > 0)
        wrong(__FILE__, line, "a call returns a status", r);
    return r;
}

#define TIMED(call)                                                                                                    \
    ({                                                                                                                 \
        uint64_t began_ = time_now();                                                                                  \
        came((call), began_, CALL_NS, __LINE__);                                                                       \
    })

/* ---- One context ------------------------------------------------------------------------------- */

struct work {
    struct gpu_context *ctx;
    uint32_t guest, device, wrapped, sub, managed[2], program, kernel; /* 0: it could not be made */
    paddr_t frame;
};

static int fill_submit(struct gpu_context *ctx, uint32_t queue, uint32_t buffer, uint64_t *fence)
{
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, sizeof(struct vgpgpu_cmd_fill));
    struct gpucmd c;

    if (!batch)
        return ERR_NO_MEMORY;
    gpucmd_begin(&c, batch + 1, sizeof(struct vgpgpu_cmd_fill));
    gpucmd_fill(&c, buffer, 0, 64, "", 1);
    return TIMED(gpu_submit(ctx, queue, batch, 0, fence));
}

static int fence_await(struct gpu_context *ctx, uint32_t queue, uint64_t fence)
{
    enum vgpgpu_status failed = VGPGPU_OK;
    int r = TIMED(gpu_fence_wait(ctx, queue, fence, time_now() + WAIT_NS, 0, &failed));

    CHECK((uint32_t)failed <= VGPGPU_ERR_TIMEOUT, failed);
    if (r == OK && failed != VGPGPU_OK)
        __atomic_fetch_add(&drive_failures, 1, __ATOMIC_RELAXED);
    return r == OK ? gpu_status(failed) : r;
}

static void fill(struct gpu_context *ctx, uint32_t queue, uint32_t buffer)
{
    uint64_t fence;

    if (fill_submit(ctx, queue, buffer, &fence) == OK)
        fence_await(ctx, queue, fence);
}

static void buffers_make(struct work *w)
{
    struct vgpgpu_segment segment = {w->frame, PAGE_SIZE};

    if (TIMED(gpu_buffer_create(w->ctx, 3 * PAGE_SIZE, VGPGPU_BUFFER_GUEST, &w->guest)) != OK)
        w->guest = 0;
    if (TIMED(gpu_buffer_create(w->ctx, 1 << 16, VGPGPU_BUFFER_DEVICE, &w->device)) != OK)
        w->device = 0;
    if (TIMED(gpu_buffer_wrap(w->ctx, PAGE_SIZE, &segment, 1, &w->wrapped)) != OK)
        w->wrapped = 0;
    if (TIMED(gpu_buffer_sub(w->ctx, w->guest, 64, 4096, &w->sub)) != OK)
        w->sub = 0;
    if (w->guest)
        CHECK(gpu_buffer_at(w->ctx, w->guest, 0, &(uint64_t){0}) != NULL, w->guest);
}

static void program_make(struct work *w)
{
    static const char text[] = "__kernel void k(__global int *p) { *p = 1; }";
    uint8_t log[96];
    struct gpu_program_source source = {.kind = VGPGPU_PROGRAM_OPENCL_C,
                                        .source = text,
                                        .source_bytes = sizeof(text) - 1,
                                        .log = (char *)log,
                                        .log_bytes = 64};
    uint32_t count = 0;

    memset(log, CANARY, sizeof(log));
    build_begin();
    if (TIMED(gpu_program_build(w->ctx, &source, &w->program)) != OK)
        w->program = 0;
    build_end();
    CHECK(strnlen((char *)log, 64) < 64, log[0]);
    for (unsigned i = 64; i < sizeof(log); i++)
        CHECK(log[i] == CANARY, log[i]);
    if (!w->program || TIMED(gpu_kernel_create(w->ctx, w->program, "k", &w->kernel, &count)) != OK)
        w->kernel = 0;
    CHECK(count <= VGPGPU_MAX_ARGS, count);
}

static void query(struct work *w)
{
    uint8_t answer[64 + 32];
    uint64_t total = 0;

    for (uint32_t room = 0; w->kernel && room <= 64; room += 8) {
        uint32_t bytes = room;

        memset(answer, CANARY, sizeof(answer));
        TIMED(gpu_query(w->ctx, VGPGPU_QUERY_KERNEL, w->kernel, room / 2, answer, &bytes, &total));
        CHECK(bytes <= room, bytes);
        for (unsigned i = room; i < sizeof(answer); i++)
            CHECK(answer[i] == CANARY, answer[i]);
    }
}

static void work_do(struct work *w)
{
    uint64_t fence = 0;
    unsigned i;

    for (i = 0; i < 12; i++)
        fill(w->ctx, i % 3 * 5, i % 2 ? w->guest : w->device);
    for (i = 0; i < MANY && fill_submit(w->ctx, 2, w->guest, &fence) == OK; i++)
        ;
    if (fence)
        fence_await(w->ctx, 2, fence);
    fill(w->ctx, UNSIGNALLED, w->sub);
}

/* What follows in this context goes through the keeper of managed buffers. */
static void managed_work(struct work *w)
{
    for (unsigned i = 0; i < 2; i++)
        if (TIMED(gpu_buffer_create(w->ctx, 2 * PAGE_SIZE, GPU_BUFFER_MANAGED, &w->managed[i])) != OK)
            w->managed[i] = 0;
    for (unsigned i = 0; i < 6; i++)
        fill(w->ctx, i % 2, w->managed[i % 2]);
}

static void objects_end(struct work *w)
{
    TIMED(gpu_object_destroy(w->ctx, GPU_BUFFER, w->guest));
    TIMED(gpu_object_destroy(w->ctx, GPU_BUFFER, w->sub));
    TIMED(gpu_object_destroy(w->ctx, GPU_BUFFER, w->managed[0]));
    TIMED(gpu_object_destroy(w->ctx, GPU_KERNEL, w->kernel));
    TIMED(gpu_object_destroy(w->ctx, GPU_PROGRAM, w->program));
}

static int context_close(struct gpu_context *ctx)
{
    gpu_context_close(ctx);
    return OK;
}

static void context_work(unsigned round)
{
    struct work w = {.frame = frame_alloc(0, FRAME_ZERO)};
    struct memobj *mapped = NULL;

    if (w.frame && TIMED(gpu_context_open(0, &w.ctx)) == OK) {
        build_begin(); /* as long as a build */
        TIMED(gpu_context_limit(w.ctx, 5000));
        build_end();
        buffers_make(&w);
        if (w.guest && gpu_buffer_memobj(w.ctx, w.guest, &mapped, NULL) != OK)
            mapped = NULL;
        program_make(&w);
        query(&w);
        work_do(&w);
        late = true;
        managed_work(&w);
        if (round % 2 == 0)
            objects_end(&w);
        late = false;
        TIMED(context_close(w.ctx));
    }
    if (mapped)
        memobj_unref(mapped);
    if (w.frame)
        frame_free(w.frame, 0);
}

/* ---- Threads ----------------------------------------------------------------------------------- */

/* What is handed on of the configuration, to programs too. */
static void config_look(void)
{
    struct vgpgpu_config c;

    if (gpu_device_info(0, &c) != OK)
        return;
    CHECK(c.offset_align && !(c.offset_align & (c.offset_align - 1)), c.offset_align);
    CHECK(c.max_submit_bytes <= 1u << 20 && c.max_program_bytes <= 1u << 20, c.max_submit_bytes);
    CHECK(strnlen(c.device_name, sizeof(c.device_name)) < sizeof(c.device_name), 0);
    for (const char *name = c.device_name; *name; name++)
        CHECK(*name >= ' ' && *name <= '~', *name);
}

static void rounds_work(void *arg)
{
    config_look();
    for (unsigned round = 0; round < (uintptr_t)arg; round++)
        context_work(round);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
}

/* It goes on beside the other, and never in its way. */
static void neighbour_work(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        struct gpu_context *ctx;
        uint32_t id;

        thread_sleep(time_now() + 20 * NS_PER_MS, 0);
        if (TIMED(gpu_context_open(0, &ctx)) != OK)
            continue;
        if (TIMED(gpu_buffer_create(ctx, PAGE_SIZE, VGPGPU_BUFFER_GUEST, &id)) == OK)
            fill(ctx, 1, id);
        TIMED(context_close(ctx));
    }
}

bool drive(unsigned rounds)
{
    static void (*const works[])(void *) = {rounds_work, neighbour_work};
    struct thread *threads[ARRAY_SIZE(works)];
    uint64_t due = time_now() + HANG_NS;
    bool ended = true;

    __atomic_store_n(&stop, false, __ATOMIC_RELEASE);
    __atomic_store_n(&drive_failures, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < ARRAY_SIZE(works); i++)
        if (thread_create("drive", works[i], (void *)(uintptr_t)rounds, &threads[i]) != OK)
            panic("no thread");
    for (unsigned i = 0; i < ARRAY_SIZE(works); i++) {
        if (thread_join(threads[i], due) != OK) {
            wrong(__FILE__, __LINE__, "a thread hangs", i);
            ended = false;
        }
        thread_unref(threads[i]);
    }
    return ended;
}
