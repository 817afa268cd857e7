/*
 * figures.c: modules and memory of the machine, and what was wrong when one was to be loaded.
 */
#include <microlake/memory.h>
#include <microlake/module.h>

#include "core.h"

#define MODULES_PATH MLAAS_ROOT "/modules"
#define ERROR_PATH   MLAAS_ROOT "/load_error"
#define MEMORY_PATH  MLAAS_ROOT "/memory"

static long modules_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct module_info info;

    (void)context;
    for (unsigned i = 0; module_info(i, &info) == OK; i++)
        text_add(&t, "%s %s %zu %u\n", info.name, info.version, info.size, info.refs);
    return text_length(&t);
}

static long memory_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct memory_stats stats;

    (void)context;
    memory_stats(&stats);
    text_add(&t, "total %lu\n", stats.total);
    text_add(&t, "free %lu\n", stats.free);
    text_add(&t, "heap %lu\n", stats.heap);
    text_add(&t, "metadata %lu\n", stats.metadata);
    policy_memory_list(&t);
    return text_length(&t);
}

static long error_show(void *context, char *out, size_t size)
{
    size_t length = module_complaints(out, size);

    (void)context;
    return (long)length;
}

static const struct linux_pseudo_ops modules_ops = {.show = modules_show};
static const struct linux_pseudo_ops memory_ops = {.show = memory_show};

static const struct linux_pseudo_ops error_ops = {.show = error_show};

int figures_start(void)
{
    int r = linux_pseudo_register(MODULES_PATH, &modules_ops, NULL);

    if (r == OK)
        r = linux_pseudo_register(ERROR_PATH, &error_ops, NULL);
    if (r == OK)
        r = linux_pseudo_register(MEMORY_PATH, &memory_ops, NULL);
    if (r != OK)
        figures_stop();
    return r;
}

void figures_stop(void)
{
    linux_pseudo_unregister(MODULES_PATH);
    linux_pseudo_unregister(ERROR_PATH);
    linux_pseudo_unregister(MEMORY_PATH);
}
