/*
 * load.c: the context of a choice: how many threads want a CPU, whether the GPU works, whether devices do, and
 * which program it is that wants the CPUs most. Coarse, so that each context is met often enough to learn what
 * is best in it.
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
_Static_assert(LEVELS * 4 == LOADS, "loads");

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

/* ---- Programs ---------------------------------------------------------------------------------- */

/* A place for a name: its own, a free one, or that of who has least (Misra and Gries' summary, roughly: what
 * has half of all is never lost for long). */
static void program_count(struct load *l, const char *name, uint64_t count)
{
    unsigned place = 0;

    for (unsigned i = 0; i < LOAD_PROGRAMS; i++) {
        if (!strncmp(l->programs[i].name, name, PROGRAM_MAX - 1)) {
            l->programs[i].runnable += count;
            return;
        }
        if (l->programs[i].runnable < l->programs[place].runnable)
            place = i;
    }
    if (l->programs[place].runnable > count) {
        l->programs[place].runnable -= count;
        return;
    }
    strlcpy(l->programs[place].name, name, PROGRAM_MAX);
    l->programs[place].runnable = count;
}

static void program_find(const struct load *l, char out[PROGRAM_MAX])
{
    strlcpy(out, "-", PROGRAM_MAX);
    for (unsigned i = 0; i < LOAD_PROGRAMS; i++)
        if (l->programs[i].runnable && 2 * l->programs[i].runnable >= l->runnable)
            strlcpy(out, l->programs[i].name, PROGRAM_MAX);
    for (char *c = out; *c; c++) /* it is a word of lines of text */
        if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~')
            *c = '_';
}

/* ---- Sums -------------------------------------------------------------------------------------- */

void load_add(struct load *sum, const struct load *l)
{
    sum->runnable += l->runnable;
    sum->samples += l->samples;
    sum->gpu += l->gpu;
    sum->devices += l->devices;
    sum->ns += l->ns;
    for (unsigned i = 0; i < LOAD_PROGRAMS; i++)
        if (l->programs[i].runnable)
            program_count(sum, l->programs[i].name, l->programs[i].runnable);
}

void load_fade(struct load *l)
{
    l->runnable /= 2;
    l->samples /= 2;
    l->gpu /= 2;
    l->devices /= 2;
    l->ns /= 2;
    for (unsigned i = 0; i < LOAD_PROGRAMS; i++)
        l->programs[i].runnable /= 2;
}

/* The one that looks is not counted, and neither are the threads that stand for idle CPUs. */
static void runnable_count(struct thread *t, void *context)
{
    enum thread_state state = t->state;
    struct load *l = context;

    if ((state != THREAD_READY && state != THREAD_RUNNING) || t == thread_current() ||
        strncmp(t->name, "idle", 4) == 0)
        return;
    l->runnable++;
    program_count(l, t->name, 1);
}

void load_sample(struct load *l)
{
    thread_for_each(runnable_count, l);
    l->samples++;
}

/* Runnable threads a CPU: less than half, about one, up to three, more. */
static unsigned level_of(const struct load *l)
{
    uint64_t cpus = cpu_count() * (l->samples ? l->samples : 1);
    uint64_t halves = 2 * l->runnable;

    return halves < cpus ? 0 : halves < 3 * cpus ? 1 : halves < 6 * cpus ? 2 : 3;
}

void load_context(const struct load *l, struct context_key *out)
{
    out->load = level_of(l);
    if (l->gpu)
        out->load |= GPU_BUSY;
    if (l->devices > DEVICES_BUSY * l->ns / NS_PER_SEC)
        out->load |= DEVICE_BUSY;
    program_find(l, out->program);
}

void load_describe(unsigned load, char *out, size_t size)
{
    static const char *const levels[LEVELS] = {"CPUs mostly idle", "about a thread for each CPU",
                                               "up to three threads for each CPU",
                                               "many threads for each CPU"};

    snprintf(out, size, "%s, GPU %s, devices %s", levels[load % LEVELS], load & GPU_BUSY ? "busy" : "idle",
             load & DEVICE_BUSY ? "busy" : "quiet");
}
