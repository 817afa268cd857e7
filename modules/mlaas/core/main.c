/*
 * main.c: start and end of module mlaas; core.h says what it shows.
 */
#include <microlake/log.h>

#include "core.h"
#include "uapi/kmod.h"

struct mutex manager_lock = MUTEX_INIT(manager_lock);

static const struct {
    const char *what;
    int (*start)(void);
    void (*stop)(void);
} parts[] = {
    {"figures", figures_start, figures_stop},
    {"the profile", profile_start, profile_stop},
    {"the classes", classes_start, classes_stop},
    {"choices", choices_start, choices_stop},
};

/* Somebody looks for the files. */
static void parts_start(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        int r = parts[i].start();

        if (r != OK)
            log_warn("mlaas: %s can't be shown: %s", parts[i].what, status_name(r));
    }
}

static struct linux_pseudo_later files = {.fn = parts_start};

static int mlaas_init(void)
{
    policy_memory_start();
    linux_pseudo_later(&files);
    return OK;
}

static void mlaas_exit(void)
{
    policy_memory_stop();
    linux_pseudo_later_end(&files);
    for (size_t i = ARRAY_SIZE(parts); i > 0; i--)
        parts[i - 1].stop();
}

KMOD_MANIFEST(.name = "mlaas", .version = "0.2.0", .needs = "linux", .init = mlaas_init,
              .exit = mlaas_exit);
