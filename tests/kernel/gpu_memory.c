/*
 * gpu_memory.c: managed buffers on the real device, with a quota of a part of what they need: random work
 * beside a model of it, programs at once, mistakes, want of memory, and policies that misbehave.
 */
#include "ktest.h"

#include <microlake/gpu.h>
#include <microlake/gpu_memory.h>
#include <microlake/policy.h>
#include <microlake/time.h>

#include "lib/gpucmd/gpucmd.h"

#define WAIT_NS (60 * NS_PER_SEC)
#define BUFFERS 12u
#define WORDS   2048u /* of the largest buffer */
#define BYTES   (WORDS * 4ull)

/* One program's buffers, and what must be in them. Buffer i has WORDS - i % 3 * 512 words. */
struct work {
    struct gpu_context *ctx;
    uint32_t ids[BUFFERS], staging;
    uint32_t (*model)[WORDS];
    uint64_t random;
    bool right;
};

static uint32_t words_of(uint32_t i)
{
    return WORDS - i % 3 * 512;
}

static uint32_t random_below(struct work *w, uint32_t limit)
{
    w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(w->random >> 33) % limit;
}

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
    EXPECT(after.objects[GPU_BUFFER] == before->objects[GPU_BUFFER]);
    EXPECT(after.memory == before->memory && after.batches == before->batches);
    EXPECT(after.managed == before->managed && after.resident == before->resident);
}

static int quota_set(unsigned nth, uint64_t bytes)
{
    return gpu_quota(nth, &bytes, &bytes);
}

static uint64_t quota_change(uint64_t bytes)
{
    uint64_t old = 0;

    EXPECT(gpu_quota(0, NULL, &old) == OK);
    EXPECT(quota_set(0, bytes) == OK);
    return old;
}

static void work_open(struct work *w, uint64_t seed)
{
    *w = (struct work){.random = seed, .right = true, .model = kzalloc(BUFFERS * BYTES)};
    EXPECT(w->model && gpu_context_open(0, &w->ctx) == OK);
    EXPECT(gpu_buffer_create(w->ctx, BYTES, VGPGPU_BUFFER_GUEST, &w->staging) == OK);
    for (uint32_t i = 0; i < BUFFERS; i++)
        EXPECT(gpu_buffer_create(w->ctx, words_of(i) * 4ull, GPU_BUFFER_MANAGED, &w->ids[i]) == OK);
}

static void work_close(struct work *w)
{
    gpu_context_close(w->ctx);
    kfree(w->model);
}

/* Submits and, where asked to, waits. */
static int run(struct gpu_context *ctx, uint32_t queue, const void *commands, uint32_t bytes, bool wait)
{
    struct vgpgpu_submit *batch = gpu_batch_alloc(ctx, bytes);
    enum vgpgpu_status failed = VGPGPU_OK;
    uint64_t fence = 0;
    int r;

    if (!batch)
        return ERR_NO_MEMORY;
    memcpy(batch + 1, commands, bytes);
    r = gpu_submit(ctx, queue, batch, 0, &fence);
    if (r == OK && wait)
        r = gpu_fence_wait(ctx, queue, fence, time_now() + WAIT_NS, 0, &failed);
    return r == OK ? gpu_status(failed) : r;
}

static int fill(struct gpu_context *ctx, uint32_t buffer, uint32_t value)
{
    uint64_t room[16];
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_fill(&c, buffer, 0, 16, &value, sizeof(value));
    return run(ctx, 0, room, c.used, true);
}

/* A buffer's words are what the model says. */
static bool work_compare(struct work *w, uint32_t queue, uint32_t i)
{
    uint64_t room[16], run_bytes = 0;
    const uint32_t *words;
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_copy(&c, w->ids[i], 0, w->staging, 0, words_of(i) * 4ull);
    if (run(w->ctx, queue, room, c.used, true) != OK)
        return false;
    words = gpu_buffer_at(w->ctx, w->staging, 0, &run_bytes);
    return words && run_bytes == BYTES && memcmp(words, w->model[i], words_of(i) * 4) == 0;
}

static void model_fill(struct work *w, uint32_t i, uint32_t from, uint32_t count, uint32_t value)
{
    for (uint32_t at = from; at < from + count; at++)
        w->model[i][at] = value;
}

/* A batch of up to three commands, each on one or two of the buffers. */
static bool work_step(struct work *w, uint32_t queue, bool wait)
{
    uint64_t room[64];
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    for (uint32_t n = random_below(w, 3) + 1; n > 0; n--) {
        uint32_t i = random_below(w, BUFFERS), j = random_below(w, BUFFERS), value = random_below(w, 1u << 30);
        uint32_t count = random_below(w, 8) ? random_below(w, 1023) + 1 : words_of(i);
        uint32_t from = random_below(w, words_of(i) - count + 1);

        if (i == j || random_below(w, 2)) {
            gpucmd_fill(&c, w->ids[i], from * 4ull, count * 4ull, &value, 4);
            model_fill(w, i, from, count, value);
        } else {
            count = MIN(count, words_of(j));
            from = MIN(from, words_of(j) - count);
            gpucmd_copy(&c, w->ids[i], from * 4ull, w->ids[j], from * 4ull, count * 4ull);
            memcpy(&w->model[j][from], &w->model[i][from], count * 4);
        }
    }
    return !c.failed && run(w->ctx, queue, room, c.used, wait) == OK;
}

/* Without waiting in one queue; in several, one batch after the other. */
static bool work_do(struct work *w, uint32_t steps, bool queues)
{
    for (uint32_t n = 0; n < steps; n++) {
        uint32_t queue = queues ? random_below(w, VGPGPU_QUEUES_PER_CONTEXT) : 3;

        if (!work_step(w, queue, queues))
            return false;
        if (n % 7 == 0 && !work_compare(w, queue, random_below(w, BUFFERS)))
            return false;
    }
    for (uint32_t i = 0; i < BUFFERS; i++)
        if (!work_compare(w, 3, i))
            return false;
    return true;
}

static void random_work(uint64_t seed, uint32_t steps, bool queues)
{
    struct gpu_stats before = stats_now();
    struct work w;

    work_open(&w, seed);
    EXPECT(work_do(&w, steps, queues));
    EXPECT(stats_now().resident - before.resident <= stats_now().managed - before.managed);
    work_close(&w);
    expect_as_before(&before);
}

/* ---- Cases ------------------------------------------------------------------------------------- */

static void managed_buffers_are_buffers(void)
{
    struct gpu_stats before = stats_now(), now;
    struct memobj *obj;
    struct work w;
    uint64_t any;

    work_open(&w, 1);
    now = stats_now();
    EXPECT(now.managed > before.managed && now.resident == before.resident);
    EXPECT(gpu_buffer_at(w.ctx, w.ids[0], 0, &any) == NULL);
    EXPECT(gpu_buffer_memobj(w.ctx, w.ids[0], &obj, NULL) == ERR_INVALID);
    for (uint32_t i = 0; i < BUFFERS; i++)
        EXPECT(work_compare(&w, 0, i)); /* all zero */
    now = stats_now();
    EXPECT(now.moved_in == before.moved_in && now.moved_out == before.moved_out);
    EXPECT(now.resident - before.resident == now.managed - before.managed);
    EXPECT(gpu_object_destroy(w.ctx, GPU_BUFFER, w.ids[0]) == OK);
    EXPECT(stats_now().resident == now.resident - BYTES);
    EXPECT(fill(w.ctx, w.ids[0], 1) == ERR_NOT_FOUND);
    work_close(&w);
    expect_as_before(&before);
}

static void random_work_with_little_room(void)
{
    static const uint64_t quotas[] = {6 * BYTES, 7 * BYTES + 100, 9 * BYTES, 100 * BYTES};
    struct gpu_stats before = stats_now();
    uint64_t old = quota_change(BYTES);

    for (uint32_t i = 0; i < ARRAY_SIZE(quotas); i++) {
        EXPECT(quota_set(0, quotas[i]) == OK);
        random_work(i + 10, 150, false);
        random_work(i + 20, 60, true);
    }
    EXPECT(quota_set(0, old) == OK);
    EXPECT(stats_now().evictions > before.evictions && stats_now().moved_out > before.moved_out);
}

/* What nobody changed is not written back, and what is overwritten not read. */
static void moves_are_few(void)
{
    uint64_t old = quota_change(BYTES), room[16];
    struct gpu_stats before, now;
    const uint32_t value = 7;
    struct gpucmd c;
    struct work w;

    work_open(&w, 1);
    before = stats_now();
    for (uint32_t i = 0; i < 6; i += 3) { /* whole ones of the same size: nothing comes, one leaves */
        gpucmd_begin(&c, room, sizeof(room));
        gpucmd_fill(&c, w.ids[i], 0, BYTES, &value, 4);
        model_fill(&w, i, 0, WORDS, value);
        EXPECT(run(w.ctx, 0, room, c.used, true) == OK);
    }
    now = stats_now();
    EXPECT(now.moved_in == before.moved_in && now.moved_out == before.moved_out + BYTES);
    for (uint32_t n = 0; n < 10; n++)
        EXPECT(work_compare(&w, 0, n % 2 * 3));
    now = stats_now();
    EXPECT(now.moved_in == before.moved_in + 10 * BYTES); /* the last one was there, the first had gone */
    EXPECT(now.moved_out == before.moved_out + 2 * BYTES);
    work_close(&w);
    EXPECT(quota_set(0, old) == OK);
}

static void mistakes_are_answered(void)
{
    uint64_t old = quota_change(2 * BYTES), room[64];
    struct gpu_stats before = stats_now();
    uint32_t value = 1, refused = 0;
    struct vgpgpu_submit *batch;
    struct gpucmd c;
    struct work w;

    work_open(&w, 1);
    gpucmd_begin(&c, room, sizeof(room));
    for (uint32_t i = 0; i < 9; i += 3)
        gpucmd_fill(&c, w.ids[i], 0, 16, &value, 4);
    EXPECT(run(w.ctx, 0, room, c.used, true) == ERR_RANGE);
    EXPECT(fill(w.ctx, w.ids[0], 5) == OK && fill(w.ctx, w.ids[3], 5) == OK);
    model_fill(&w, 0, 0, 4, 5);
    for (uint32_t id = 1; id < 40; id++) /* two stand-ins are among them */
        refused += fill(w.ctx, id, 0) == ERR_NOT_FOUND && gpu_object_destroy(w.ctx, GPU_BUFFER, id) == ERR_NOT_FOUND;
    EXPECT(refused >= 40 - 1 - BUFFERS - 1);
    work_close(&w);

    work_open(&w, 1);
    memset(room, 0xee, sizeof(room));
    EXPECT(run(w.ctx, 0, room, 64, true) == ERR_INVALID);
    room[0] = 99 | 64ull << 32;
    EXPECT(run(w.ctx, 0, room, 64, true) == ERR_UNSUPPORTED);
    batch = gpu_batch_alloc(w.ctx, 0);
    EXPECT(gpu_submit(w.ctx, 0, batch, GPU_NOWAIT, &(uint64_t){0}) == ERR_INVALID);
    batch = gpu_batch_alloc(w.ctx, 0);
    EXPECT(gpu_submit(w.ctx, 64, batch, 0, &(uint64_t){0}) == ERR_INVALID);
    EXPECT(run(w.ctx, 0, room, 0, true) == OK);
    EXPECT(work_do(&w, 0, false) && gpu_buffer_create(w.ctx, 0, GPU_BUFFER_MANAGED, &value) == ERR_INVALID);
    work_close(&w);
    expect_as_before(&before);
    EXPECT(quota_set(99, 1) == ERR_NOT_FOUND);
    EXPECT(quota_set(0, old) == OK);
}

/* More than one question can hold; all are of one size, so that who leaves hands over its place. */
static void many_buffers(void)
{
    enum { MANY = 300, SIZE = 4096 };
    uint64_t old = quota_change(200 * SIZE);
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint32_t ids[MANY];

    EXPECT(gpu_context_open(0, &ctx) == OK);
    for (uint32_t i = 0; i < MANY; i++)
        EXPECT(gpu_buffer_create(ctx, SIZE, GPU_BUFFER_MANAGED, &ids[i]) == OK);
    for (uint32_t n = 0; n < 2 * MANY; n++)
        EXPECT(fill(ctx, ids[n % MANY], n) == OK);
    EXPECT(stats_now().resident == before.resident + 200 * SIZE);
    EXPECT(stats_now().evictions == before.evictions + 2 * MANY - 200); /* in turn: nobody is there */
    EXPECT(quota_set(0, 10 * SIZE) == OK);
    EXPECT(stats_now().resident == before.resident + 10 * SIZE);
    gpu_context_close(ctx);
    expect_as_before(&before);
    EXPECT(quota_set(0, old) == OK);
}

static void program(void *arg)
{
    struct work *w = arg;

    w->right = work_do(w, 120, w->random & 1);
}

static void programs_share_the_quota(void)
{
    uint64_t old = quota_change(8 * BYTES);
    struct gpu_stats before = stats_now();
    struct thread *threads[3];
    struct work works[3];

    for (uint32_t i = 0; i < 3; i++) {
        work_open(&works[i], 100 + i);
        EXPECT(thread_create("gpu-program", program, &works[i], &threads[i]) == OK);
    }
    for (uint32_t i = 0; i < 3; i++) {
        thread_join(threads[i], TIME_NEVER);
        thread_unref(threads[i]);
        EXPECT(works[i].right);
        work_close(&works[i]);
    }
    expect_as_before(&before);
    EXPECT(quota_set(0, old) == OK);
}

/* Closed and destroyed in the middle of work. */
static void ends_come_at_any_moment(void)
{
    uint64_t old = quota_change(6 * BYTES);
    struct gpu_stats before = stats_now();
    struct work w;

    for (uint64_t n = 0; n < 10; n++) {
        work_open(&w, n);
        for (uint32_t i = 0; i < 20; i++) {
            EXPECT(work_step(&w, i % 5, false));
            if (i == n || i == 2 * n)
                EXPECT(gpu_object_destroy(w.ctx, GPU_BUFFER, w.ids[random_below(&w, BUFFERS)]) != ERR_LOST);
            if (i > n)
                break;
        }
        work_close(&w);
        expect_as_before(&before);
    }
    EXPECT(quota_set(0, old) == OK);
}

static int op_gpu(void)
{
    struct gpu_context *ctx;
    uint32_t ids[3];
    int r = gpu_context_open(0, &ctx);

    if (r != OK)
        return r;
    for (uint32_t i = 0; i < 3 && r == OK; i++)
        r = gpu_buffer_create(ctx, BYTES, GPU_BUFFER_MANAGED, &ids[i]);
    for (uint32_t i = 0; i < 6 && r == OK; i++)
        r = fill(ctx, ids[i % 3], i);
    gpu_context_close(ctx);
    return r;
}

/* The 1st, 2nd, 3rd… allocation fails: an error, nothing lost, and the device goes on. */
static void allocations_fail(void)
{
    uint64_t old = quota_change(2 * BYTES), left = 0;
    struct gpu_stats before = stats_now();

    for (unsigned n = 1; n < 300 && !left; n++) {
        int r;

        thread_current()->fail_allocation = n;
        r = op_gpu();
        left = thread_current()->fail_allocation;
        thread_current()->fail_allocation = 0;
        EXPECT(r == (left ? OK : ERR_NO_MEMORY) || (r == OK && n > 1));
        expect_as_before(&before);
    }
    EXPECT(left > 0);
    EXPECT(quota_set(0, old) == OK);
}

/* Takes the device's memory but for some `left` bytes. */
static void device_memory_take(struct gpu_context *ctx, uint64_t left)
{
    struct vgpgpu_config config;
    uint32_t id = 0, count = 0;
    uint64_t size;

    EXPECT(gpu_device_info(0, &config) == OK);
    size = MIN(config.global_memory / 20, config.max_buffer);
    while (count < 1000 && gpu_buffer_create(ctx, size, VGPGPU_BUFFER_DEVICE, &id) == OK)
        count++;
    EXPECT(size > 2 * left && count > 0 && count < 1000);
    EXPECT(gpu_object_destroy(ctx, GPU_BUFFER, id) == OK);
    EXPECT(gpu_buffer_create(ctx, size - left, VGPGPU_BUFFER_DEVICE, &id) == OK);
}

/* More than the device has: others leave although the quota has room. */
static void device_memory_runs_out(void)
{
    enum { MANY = 24, SIZE = 1 << 20 };
    uint64_t old = quota_change(UINT64_MAX);
    struct gpu_stats before = stats_now();
    struct gpu_context *ctx;
    uint32_t ids[MANY];

    EXPECT(gpu_context_open(0, &ctx) == OK);
    device_memory_take(ctx, MANY / 2 * SIZE);
    for (uint32_t i = 0; i < MANY; i++)
        EXPECT(gpu_buffer_create(ctx, SIZE, GPU_BUFFER_MANAGED, &ids[i]) == OK);
    for (uint32_t n = 0; n < 2 * MANY; n++)
        EXPECT(fill(ctx, ids[n % MANY], n) == OK);
    EXPECT(stats_now().evictions > before.evictions);
    gpu_context_close(ctx);
    expect_as_before(&before);
    EXPECT(quota_set(0, old) == OK);
}

/* ---- Policies ---------------------------------------------------------------------------------- */

static uint32_t (*bad_answer)(const struct gpu_memory_question *q);
static uint64_t told, unknown, prefetched; /* touches, strangers' words, questions */

static void test_touch(struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    told++;
    if (b->data[0] != b->touches - b->data[1]) /* it counts itself, from when it was told first */
        unknown++;
    if (!b->data[0])
        b->data[1] = b->touches;
    b->data[0] = b->touches + 1 - b->data[1];
    if (t->quota == 0 || t->number == 0)
        unknown++;
}

static uint32_t test_victim(const struct gpu_memory_question *q)
{
    for (uint32_t i = 0; i < q->count; i++)
        if (!q->list[i]->resident || q->list[i] == q->incoming)
            return UINT32_MAX - 1;
    return bad_answer && q->touches % 8 == 7 ? bad_answer(q) : q->count - 1;
}

static uint32_t test_prefetch(const struct gpu_memory_question *q)
{
    prefetched++;
    for (uint32_t i = 0; i < q->count; i++)
        if (q->list[i]->resident)
            return q->count;
    return (uint32_t)(q->touches % q->count);
}

static const struct gpu_memory_ops test_ops = {
    .struct_size = sizeof(test_ops), .touch = test_touch, .victim = test_victim, .prefetch = test_prefetch};

static uint32_t answer_beyond(const struct gpu_memory_question *q)
{
    return q->count;
}

static uint32_t answer_none(const struct gpu_memory_question *q)
{
    return q->optional ? q->count : GPU_MEMORY_NONE;
}

static uint32_t answer_fault(const struct gpu_memory_question *q)
{
    return *(volatile uint32_t *)(q->touches * 0);
}

static uint32_t answer_loop(const struct gpu_memory_question *q)
{
    for (;;)
        __atomic_fetch_add(&told, q->count, __ATOMIC_RELAXED);
    return 0;
}

static bool is_machines(const char *name)
{
    struct policy_info info;

    for (unsigned i = 0; policy_info(GPU_MEMORY_CLASS, i, &info) == OK; i++)
        if (info.machine && !info.retired)
            return !strcmp(info.name, name);
    return false;
}

static void hostile_policies(void)
{
    static uint32_t (*const answers[])(const struct gpu_memory_question *) = {
        NULL, answer_beyond, answer_none, answer_fault, answer_loop};
    uint64_t old = quota_change(6 * BYTES);
    struct gpu_stats before = stats_now();

    for (uint32_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct policy policy = {.name = "test", .ops = &test_ops};

        bad_answer = answers[i];
        told = unknown = prefetched = 0;
        EXPECT(policy_register(GPU_MEMORY_CLASS, &policy) == OK);
        EXPECT(policy_set(GPU_MEMORY_CLASS, "test") == OK);
        random_work(i + 30, 100, false);
        random_work(i + 40, 40, true);
        EXPECT(is_machines("test") == !answers[i]);
        EXPECT(told > 0 && unknown == 0);
        policy_unregister(GPU_MEMORY_CLASS, &policy);
        EXPECT(is_machines("lru"));
        expect_as_before(&before);
    }
    EXPECT(stats_now().prefetches > before.prefetches);
    EXPECT(quota_set(0, old) == OK);
}

static bool switching; /* atomic */

static void switch_policies(void *arg)
{
    uint64_t *switches = arg;

    while (__atomic_load_n(&switching, __ATOMIC_ACQUIRE)) {
        EXPECT(policy_set(GPU_MEMORY_CLASS, ++*switches % 2 ? "test" : "lru") == OK);
        thread_sleep(time_now() + 200 * NS_PER_US, 0);
    }
}

/* Its words are zeroed whenever it takes a buffer over again; nothing is lost. */
static void policies_change_under_load(void)
{
    struct policy policy = {.name = "test", .ops = &test_ops};
    uint64_t old = quota_change(6 * BYTES), switches = 0;
    struct gpu_stats before = stats_now();
    struct thread *t;

    bad_answer = NULL;
    told = unknown = 0;
    EXPECT(policy_register(GPU_MEMORY_CLASS, &policy) == OK);
    __atomic_store_n(&switching, true, __ATOMIC_RELEASE);
    EXPECT(thread_create("switcher", switch_policies, &switches, &t) == OK);
    random_work(60, 300, false);
    random_work(61, 100, true);
    __atomic_store_n(&switching, false, __ATOMIC_RELEASE);
    thread_join(t, TIME_NEVER);
    thread_unref(t);
    policy_unregister(GPU_MEMORY_CLASS, &policy);
    EXPECT(switches > 10 && told > 0);
    expect_as_before(&before);
    EXPECT(quota_set(0, old) == OK);
}

/* Its answers are judged by a residency that is only thought of. */
static void policy_in_the_shadow(void)
{
    struct policy policy = {.name = "test", .ops = &test_ops};
    uint64_t old = quota_change(6 * BYTES);
    struct policy_info info;

    bad_answer = NULL;
    told = unknown = prefetched = 0;
    EXPECT(policy_register(GPU_MEMORY_CLASS, &policy) == OK);
    EXPECT(policy_shadow(GPU_MEMORY_CLASS, "test") == OK);
    random_work(50, 100, false);
    EXPECT(told > 100 && unknown == 0 && prefetched == 0);
    for (unsigned i = 0; policy_info(GPU_MEMORY_CLASS, i, &info) == OK; i++)
        if (!strcmp(info.name, "test"))
            EXPECT(info.figures.judged == told && info.figures.right > 0 && info.figures.right < told);
    EXPECT(is_machines("lru"));
    policy_unregister(GPU_MEMORY_CLASS, &policy);
    random_work(51, 20, false);
    EXPECT(quota_set(0, old) == OK);
}

static const struct ktest_case cases[] = {
    {"managed_buffers_are_buffers", managed_buffers_are_buffers},
    {"random_work_with_little_room", random_work_with_little_room},
    {"moves_are_few", moves_are_few},
    {"mistakes_are_answered", mistakes_are_answered},
    {"many_buffers", many_buffers},
    {"programs_share_the_quota", programs_share_the_quota},
    {"ends_come_at_any_moment", ends_come_at_any_moment},
    {"allocations_fail", allocations_fail},
    {"device_memory_runs_out", device_memory_runs_out},
    {"hostile_policies", hostile_policies},
    {"policies_change_under_load", policies_change_under_load},
    {"policy_in_the_shadow", policy_in_the_shadow},
    {NULL, NULL},
};

const struct ktest_suite suite_gpu_memory = {.name = "gpu_memory", .cases = cases, .needs_gpu = true};
