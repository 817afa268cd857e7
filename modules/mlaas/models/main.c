/*
 * main.c: start and end of module models. Nobody has a slot any more when it is unloaded, because
 * their modules need it; what programs have loaded goes with it.
 */
#include "store.h"
#include "uapi/kmod.h"

static int models_init(void)
{
    int r = list_start();

    if (r != OK)
        return r;
    r = device_start();
    if (r != OK)
        list_stop();
    return r;
}

static void models_exit(void)
{
    device_stop();
    list_stop();
    for (unsigned i = 0; i < MODELS_MAX; i++)
        if (store_entries[i].name[0])
            entry_free_locked(&store_entries[i]);
}

KMOD_MANIFEST(.name = "models", .version = "1.0.0", .needs = "linux,mlrt", .init = models_init,
              .exit = models_exit);
