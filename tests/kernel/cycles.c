/*
 * cycles.c: modules that come and go while all CPUs are busy. No page may be lost. How often:
 * `ktest.cycles=N`.
 */
#include "crew.h"
#include <microlake/module.h>

#define WARM_UP    20
#define PAGE_SLACK (64ul << 10) /* per-CPU caches of the heap and of stacks fill and empty */
#define HEAP_SLACK 1024ul

static struct crew crew;

static void cycle(const char *name, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        EXPECT(module_load(name) == OK);
        EXPECT(module_unload(name) == OK);
    }
    EXPECT(module_find(name) == NULL);
}

/* Free memory and live heap bytes with the load still on, so that both looks see the same. */
static void cycles_under_load(const char *name)
{
    unsigned count = (unsigned)boot_option_number("ktest.cycles", 300);
    struct memory_stats before, after;

    crew_add_load(&crew);
    cycle(name, WARM_UP);
    memory_stats(&before);
    cycle(name, count);
    memory_stats(&after);
    EXPECT(after.free + PAGE_SLACK >= before.free);
    EXPECT(after.heap <= before.heap + HEAP_SLACK);
    host_stat("cycles.%s.count=%u", name, count);
    host_stat("cycles.%s.bytes_lost=%ld", name, (long)(before.free - after.free));
    host_stat("cycles.%s.heap_bytes_lost=%ld", name, (long)(after.heap - before.heap));
    crew_end(&crew, 60);
}

static void template(void)
{
    cycles_under_load("template");
}

static void sched_fair(void)
{
    bool was_loaded = module_find("sched_fair");

    if (was_loaded)
        EXPECT(module_unload("sched_fair") == OK);
    cycles_under_load("sched_fair");
    if (was_loaded) {
        EXPECT(module_load("sched_fair") == OK);
        EXPECT(policy_set("sched", "sched_fair") == OK);
    }
}

static const struct ktest_case cases[] = {
    {"template", template},
    {"sched_fair", sched_fair},
    {NULL, NULL},
};

const struct ktest_suite suite_cycles = {.name = "cycles", .cases = cases};
