/*
 * soak.c: everything at once for `ktest.seconds=N`: threads, mutexes, timers, wake-ups, address
 * spaces with faults, forks and copies, frames, heap, mappings, ports, modules that come and go,
 * policies that change and misbehave. Each worker checks what it does and counts; one that stands
 * still for long is a failure, and so is memory that is not there again at the end.
 */
#include "soak.h"
#include <microlake/module.h>
#include <microlake/time.h>

#define STILL_S    60 /* an emulated CPU on a busy host may stand still for seconds */
#define PAGE_SLACK ((256ul << 10) + cpu_count() * (128ul << 10)) /* caches of stacks and objects   \
                                                                  */
#define HEAP_SLACK 1024ul

struct crew soak_crew;

uint64_t soak_random(void)
{
    static uint64_t seed = 1;
    uint64_t state = __atomic_fetch_add(&seed, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED) | 1;

    return ktest_random(&state);
}

void soak_nap(uint64_t us)
{
    thread_sleep(time_now() + us * NS_PER_US, 0);
}

/* ---- modules and policies -------------------------------------------------------------------- */

static void round_modules(struct worker *w)
{
    const char *name = w->rounds % 4 ? "template" : "sched_fair";

    if (module_find(name))
        EXPECT(module_unload(name) == OK);
    EXPECT(module_load(name) == OK);
    soak_nap(soak_random() % 2000);
}

/* sched_fair comes and goes meanwhile, so both answers are right. */
static void round_policies(struct worker *w)
{
    int r = policy_set("sched", soak_random() % 2 ? "sched_fair" : "round_robin");

    EXPECT(r == OK || r == ERR_NOT_FOUND || r == ERR_ACCESS);
    soak_nap(soak_random() % 5000);
    if (w->rounds % 16 == 0)
        ktest_policy_misbehave((unsigned)(w->rounds / 16));
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct worker workers[] = {
    {.name = "mutex", .round = round_mutex, .copies = 4},
    {.name = "throw", .round = round_throw, .copies = 2},
    {.name = "catch", .round = round_catch, .copies = 4},
    {.name = "timers", .round = round_timers, .copies = 3},
    {.name = "frames", .round = round_frames, .copies = 2},
    {.name = "heap", .round = round_heap, .copies = 3},
    {.name = "mappings", .round = round_mappings, .copies = 3},
    {.name = "spaces", .round = round_spaces, .copies = 3},
    {.name = "shared_space", .round = round_shared_space, .copies = 3},
    {.name = "window", .round = round_window, .copies = 1},
    {.name = "watch", .round = round_watch, .copies = 2},
    {.name = "threads", .round = round_threads, .copies = 2},
    {.name = "serve", .round = round_serve, .copies = 2},
    {.name = "call", .round = round_call, .copies = 3},
    {.name = "hops", .round = round_hops, .copies = 2},
    {.name = "modules", .round = round_modules, .copies = 1},
    {.name = "policies", .round = round_policies, .copies = 1},
};

/* Mostly they let others go on after a round, or who never sleeps would have the CPUs. */
static void worker_run(void *arg)
{
    struct worker *w = arg;

    while (!crew_stops(&soak_crew)) {
        w->round(w);
        __atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELAXED);
        if (soak_random() % 8)
            thread_yield();
    }
}

/* `ktest.only=WORKER` (several times: several), to narrow a failure down. */
static bool worker_wanted(const struct worker *w)
{
    const char *name;

    for (unsigned nth = 0; (name = boot_option("ktest.only", nth)); nth++)
        if (!strcmp(name, w->name))
            return true;
    return !boot_option("ktest.only", 0);
}

/* False: somebody has done nothing for long. */
static bool workers_move(uint64_t now)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
        struct worker *w = &workers[i];
        uint64_t rounds = __atomic_load_n(&w->rounds, __ATOMIC_RELAXED);

        if (rounds != w->seen || !w->seen_at || !worker_wanted(w)) {
            w->seen = rounds;
            w->seen_at = now;
        } else if (now - w->seen_at > STILL_S * NS_PER_SEC) {
            log_error("soak: worker %s stands still after %lu rounds", w->name, rounds);
            ktest_fail(__FILE__, __LINE__, w->name);
            return false;
        }
    }
    return true;
}

static void workers_start(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
        workers[i].rounds = workers[i].seen = workers[i].seen_at = 0;
        if (worker_wanted(&workers[i]))
            crew_add(&soak_crew, workers[i].name, worker_run, &workers[i], workers[i].copies);
    }
}

/* As the boot archive left it. */
static void modules_restore(bool had_fair)
{
    if (module_find("template"))
        EXPECT(module_unload("template") == OK);
    if (module_find("sched_fair"))
        EXPECT(module_unload("sched_fair") == OK);
    if (had_fair)
        EXPECT(module_load("sched_fair") == OK);
}

static void workers_report(uint64_t seconds)
{
    host_stat("soak.seconds=%lu", seconds);
    host_stat("soak.cpus=%u", cpu_count());
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++)
        host_stat("soak.%s=%lu", workers[i].name, workers[i].rounds);
}

static void soak_run(uint64_t seconds)
{
    uint64_t end = time_now() + seconds * NS_PER_SEC;
    bool moves = true;

    soak_memory_begin();
    soak_threads_begin();
    workers_start();
    while (moves && time_now() < end) {
        soak_nap(200000);
        moves = workers_move(time_now());
    }
    if (!crew_end(&soak_crew, STILL_S))
        return;
    soak_threads_end();
    soak_memory_end();
}

/* The first second fills caches and free lists; after it memory must not shrink, however long it
 * goes. */
static void everything(void)
{
    uint64_t seconds = boot_option_number("ktest.seconds", 10);
    bool had_fair = module_find("sched_fair");
    struct memory_stats before, after;

    soak_run(1);
    modules_restore(had_fair);
    memory_stats(&before);
    soak_run(seconds);
    modules_restore(had_fair);
    memory_stats(&after);
    workers_report(seconds);
    host_stat("soak.bytes_lost=%ld", (long)(before.free - after.free));
    host_stat("soak.heap_bytes_lost=%ld", (long)(after.heap - before.heap));
    EXPECT(after.free + PAGE_SLACK >= before.free);
    EXPECT(after.heap <= before.heap + HEAP_SLACK);
}

static const struct ktest_case cases[] = {
    {"everything", everything},
    {NULL, NULL},
};

const struct ktest_suite suite_soak = {.name = "soak", .cases = cases};
