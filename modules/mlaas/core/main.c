/*
 * main.c: start and end of module mlaas; core.h says what it shows.
 */
#include "core.h"
#include "uapi/kmod.h"

struct mutex manager_lock = MUTEX_INIT(manager_lock);

static const struct {
    int (*start)(void);
    void (*stop)(void);
} parts[] = {
    {figures_start, figures_stop},
    {profile_start, profile_stop},
    {classes_start, classes_stop},
    {choices_start, choices_stop},
};

static void parts_stop(size_t count)
{
    while (count)
        parts[--count].stop();
}

static int mlaas_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        int r = parts[i].start();

        if (r != OK) {
            parts_stop(i);
            return r;
        }
    }
    return OK;
}

static void mlaas_exit(void)
{
    parts_stop(ARRAY_SIZE(parts));
}

KMOD_MANIFEST(.name = "mlaas", .version = "0.2.0", .needs = "linux", .init = mlaas_init,
              .exit = mlaas_exit);
