/*
 * files.c: the log, the counters, the threads and what is alive on the GPU as text.
 */
#include <microlake/gpu.h>
#include <microlake/log.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "kinfo.h"
#include "modules/linux/include/linux_text.h"

long log_show(void *context, char *out, size_t size)
{
    uint64_t at = 0;
    size_t used = log_read(&at, out, size);

    (void)context;
    return (long)(used < size ? used : size + 1); /* a full buffer may have been too small */
}

long counters_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct counter_info info;

    (void)context;
    for (unsigned i = 0; counter_info(i, &info) == OK; i++)
        text_add(&t, "%s %lu\n", info.name, info.value);
    return text_length(&t);
}

/* Under the thread table's lock. The figures are as the thread's CPU left them last. */
static void thread_add(struct thread *t, void *text)
{
    static const char *const states[] = {
        [THREAD_NEW] = "new",         [THREAD_READY] = "ready", [THREAD_RUNNING] = "running",
        [THREAD_BLOCKED] = "blocked", [THREAD_DEAD] = "dead",
    };
    /* One that was preempted has not left the state. */
    enum thread_state state = t->state == THREAD_RUNNING && !t->on_cpu ? THREAD_READY : t->state;

    text_add(text, "%5lu %3u %-8s %10lu.%03lu %8lu %s\n", t->id, t->cpu,
             state < ARRAY_SIZE(states) ? states[state] : "?", t->cpu_time / NS_PER_MS,
             t->cpu_time % NS_PER_MS / NS_PER_US, t->switches, t->name);
}

long threads_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "   id cpu state             ms    switches name\n");
    thread_for_each(thread_add, &t);
    return text_length(&t);
}

long gpu_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct gpu_stats stats;

    (void)context;
    gpu_stats(&stats);
    text_add(&t, "devices %lu\ncontexts %lu\n", stats.devices, stats.contexts);
    text_add(&t, "buffers %lu\nprograms %lu\nkernels %lu\n", stats.objects[GPU_BUFFER],
             stats.objects[GPU_PROGRAM], stats.objects[GPU_KERNEL]);
    text_add(&t, "memory %lu\nbatches %lu\n", stats.memory, stats.batches);
    text_add(&t, "submissions %lu\nsleeps %lu\n", stats.submissions, stats.sleeps);
    text_add(&t, "managed %lu\nresident %lu\ntouched %lu\n", stats.managed, stats.resident, stats.touched);
    text_add(&t, "moved_in %lu\nmoved_out %lu\n", stats.moved_in, stats.moved_out);
    text_add(&t, "evictions %lu\nprefetches %lu\n", stats.evictions, stats.prefetches);
    return text_length(&t);
}

/* Of the first device, which is all that programs see. */
long gpu_quota_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    uint64_t bytes;
    int r = gpu_quota(0, NULL, &bytes);

    (void)context;
    if (r != OK)
        return r;
    text_add(&t, "%lu\n", bytes);
    return text_length(&t);
}

int gpu_quota_store(void *context, const char *text, size_t size)
{
    uint64_t bytes = 0;
    size_t i = 0;

    (void)context;
    for (; i < size && text[i] >= '0' && text[i] <= '9'; i++)
        if (__builtin_mul_overflow(bytes, 10, &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(text[i] - '0'), &bytes))
            return ERR_INVALID;
    if (i == 0 || (text[i] != 0 && text[i] != '\n'))
        return ERR_INVALID;
    return gpu_quota(0, &bytes, &bytes);
}
