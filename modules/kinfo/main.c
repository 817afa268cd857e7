/*
 * main.c: start and end of module kinfo; kinfo.h says what it shows.
 */
#include <microlake/log.h>

#include "kinfo.h"
#include "modules/linux/include/linux_dev.h"
#include "uapi/kmod.h"

#define ROOT "/sys/kernel/malv/"

static const struct {
    const char *path;
    struct linux_pseudo_ops ops;
} files[] = {
    {ROOT "log", {.show = log_show}},
    {ROOT "counters", {.show = counters_show}},
    {ROOT "threads", {.show = threads_show}},
    {ROOT "gpu", {.show = gpu_show}},
    {ROOT "gpu_quota", {.show = gpu_quota_show, .store = gpu_quota_store}},
    {ROOT "trace", {.show = trace_show, .store = trace_store}},
};

/* Somebody looks for the files. */
static void files_show(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int r = linux_pseudo_register(files[i].path, &files[i].ops, NULL);

        if (r != OK)
            log_warn("kinfo: %s can't be shown: %s", files[i].path, status_name(r));
    }
}

static struct linux_pseudo_later later = {.fn = files_show};

static void kinfo_exit(void)
{
    linux_pseudo_later_end(&later);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        linux_pseudo_unregister(files[i].path);
}

static int kinfo_init(void)
{
    linux_pseudo_later(&later);
    return OK;
}

KMOD_MANIFEST(.name = "kinfo", .version = "1.0.0", .needs = "linux", .init = kinfo_init,
              .exit = kinfo_exit);
