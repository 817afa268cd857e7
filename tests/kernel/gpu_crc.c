/*
 * gpu_crc.c: module gpu_crc, through the cases of a module that needs it (tests/crc-consumer): each
 * case loads both and unloads them.
 */
#include "ktest.h"

#include <microlake/gpu.h>
#include <microlake/module.h>

static const struct ktest_case *lent;

void ktest_lend(const struct ktest_case *cases)
{
    lent = cases;
}

static void lent_run(const char *name)
{
    const struct ktest_case *c;

    EXPECT(module_load("crc_consumer") == OK);
    EXPECT(module_unload("gpu_crc") == ERR_BUSY);
    for (c = lent; c && c->name && strcmp(c->name, name); c++)
        ;
    EXPECT(c && c->name);
    if (c && c->name)
        c->run();
    EXPECT(module_unload("crc_consumer") == OK);
    EXPECT(lent == NULL);
    EXPECT(module_unload("gpu_crc") == OK);
}

/* Nothing of the GPU is left when the modules are gone. */
static void lent_run_clean(const char *name)
{
    struct gpu_stats before, after;

    gpu_stats(&before);
    lent_run(name);
    gpu_stats(&after);
    EXPECT(after.contexts == before.contexts);
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++)
        EXPECT(after.objects[kind] == before.objects[kind]);
    EXPECT(after.memory == before.memory);
    EXPECT(after.batches == before.batches);
}

static void sums_are_right(void)
{
    lent_run_clean("sums_are_right");
}

static void parts_are_put_together(void)
{
    lent_run_clean("parts_are_put_together");
}

static void pages_in_any_order(void)
{
    lent_run_clean("pages_in_any_order");
}

static void no_memory(void)
{
    lent_run_clean("no_memory");
}

static void many_at_once(void)
{
    lent_run_clean("many_at_once");
}

static void unloaded_in_flight(void)
{
    for (unsigned i = 0; i < 5; i++)
        lent_run_clean("work_is_left");
}

/* Unloaded at once, while its thread opens the device, builds or measures. */
static void unloaded_while_it_starts(void)
{
    for (uint64_t i = 0; i < 8; i++) {
        EXPECT(module_load("gpu_crc") == OK);
        thread_sleep(time_now() + (NS_PER_MS / 4 << i), 0);
        EXPECT(module_unload("gpu_crc") == OK);
    }
}

static void goes_on_when_lost(void)
{
    lent_run_clean("goes_on_when_lost");
}

static void device_comes_back(void)
{
    lent_run_clean("device_comes_back");
}

static void costs(void)
{
    lent_run("costs");
}

static const struct ktest_case cases[] = {
    {"sums_are_right", sums_are_right},
    {"parts_are_put_together", parts_are_put_together},
    {"pages_in_any_order", pages_in_any_order},
    {"no_memory", no_memory},
    {"many_at_once", many_at_once},
    {"unloaded_in_flight", unloaded_in_flight},
    {"unloaded_while_it_starts", unloaded_while_it_starts},
    {NULL, NULL},
};
const struct ktest_suite suite_gpu_crc = {.name = "gpu_crc", .cases = cases};

static const struct ktest_case named_cases[] = {
    {"goes_on_when_lost", goes_on_when_lost},
    {"device_comes_back", device_comes_back},
    {"costs", costs},
    {NULL, NULL},
};
const struct ktest_suite suite_crc = {.name = "crc", .cases = named_cases, .by_name = true};
