/*
 * load.c: the context of a choice: how many threads want a CPU, whether the GPU works, whether devices do.
 * Coarse, so that each context is met often enough to learn what is best in it.
 */
#include <microlake/cpu.h>
#include <microlake/gpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "auto.h"

#define DEVICES_BUSY 200u /* interrupts of devices a second */
#define LEVELS       4u

enum { GPU_BUSY = 4, DEVICE_BUSY = 8 };
_Static_assert(LEVELS * 4 <= BANDIT_CONTEXTS, "contexts");

static uint64_t device_interrupts(void)
{
    struct counter_info info;

    for (unsigned i = 0; counter_info(i, &info) == OK; i++)
        if (!strcmp(info.name, "interrupts_device"))
            return info.value;
    return 0;
}

static uint64_t gpu_work(void)
{
    struct gpu_stats stats;

    gpu_stats(&stats);
    return stats.submissions;
}

void load_begin(struct load *l)
{
    *l = (struct load){.gpu = gpu_work(), .devices = device_interrupts(), .ns = time_now()};
}

void load_end(struct load *l)
{
    l->gpu = gpu_work() - l->gpu;
    l->devices = device_interrupts() - l->devices;
    l->ns = time_now() - l->ns;
}

void load_add(struct load *sum, const struct load *l)
{
    sum->runnable += l->runnable;
    sum->samples += l->samples;
    sum->gpu += l->gpu;
    sum->devices += l->devices;
    sum->ns += l->ns;
}

/* The one that looks is not counted, and neither are the threads that stand for idle CPUs. */
static void runnable_count(struct thread *t, void *context)
{
    enum thread_state state = t->state;

    if ((state == THREAD_READY || state == THREAD_RUNNING) && t != thread_current() &&
        strncmp(t->name, "idle", 4) != 0)
        ++*(uint64_t *)context;
}

void load_sample(struct load *l)
{
    uint64_t count = 0;

    thread_for_each(runnable_count, &count);
    l->runnable += count;
    l->samples++;
}

/* Runnable threads a CPU: less than half, about one, up to three, more. */
static unsigned level_of(const struct load *l)
{
    uint64_t cpus = cpu_count() * (l->samples ? l->samples : 1);
    uint64_t halves = 2 * l->runnable;

    return halves < cpus ? 0 : halves < 3 * cpus ? 1 : halves < 6 * cpus ? 2 : 3;
}

unsigned load_context(const struct load *l)
{
    unsigned context = level_of(l);

    if (l->gpu)
        context |= GPU_BUSY;
    if (l->devices > DEVICES_BUSY * l->ns / NS_PER_SEC)
        context |= DEVICE_BUSY;
    return context;
}

void load_describe(unsigned context, char *out, size_t size)
{
    static const char *const levels[LEVELS] = {"CPUs mostly idle", "about a thread for each CPU",
                                               "up to three threads for each CPU",
                                               "many threads for each CPU"};

    snprintf(out, size, "%s, GPU %s, devices %s", levels[context % LEVELS],
             context & GPU_BUSY ? "busy" : "idle", context & DEVICE_BUSY ? "busy" : "quiet");
}
