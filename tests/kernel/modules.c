/*
 * modules.c: loading and unloading, again and again, and what must be refused.
 */
#include "ktest.h"
#include <microlake/module.h>

static void load_and_unload(void)
{
    bool was_loaded = module_find("sched_fair");

    if (was_loaded)
        EXPECT(module_unload("sched_fair") == OK);
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(module_load("sched_fair") == OK);
        EXPECT(module_find("sched_fair") != NULL);
        EXPECT(policy_set("sched", "sched_fair") == OK);
        EXPECT(module_unload("sched_fair") == OK);
        EXPECT(module_find("sched_fair") == NULL);
    }
    if (was_loaded) {
        EXPECT(module_load("sched_fair") == OK);
        EXPECT(policy_set("sched", "sched_fair") == OK);
    }
}

static void refuses(void)
{
    static const uint8_t nonsense[4096];

    EXPECT(module_load("no_such_module") == ERR_NOT_FOUND);
    EXPECT(module_load_bytes(nonsense, sizeof(nonsense)) == ERR_BAD_FORMAT);
    EXPECT(module_load_bytes(nonsense, 0) == ERR_BAD_FORMAT);
    EXPECT(module_unload("no_such_module") == ERR_NOT_FOUND);
    EXPECT(module_unload("ktest") == ERR_BUSY || module_unload("ktest") == ERR_UNSUPPORTED);
}

static const struct ktest_case cases[] = {
    {"load_and_unload", load_and_unload},
    {"refuses", refuses},
    {NULL, NULL},
};

const struct ktest_suite suite_modules = {.name = "modules", .cases = cases};
