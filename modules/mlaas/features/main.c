/*
 * main.c: start and end of module features. Sets come and go with the modules that register them.
 */
#include "store.h"
#include "uapi/kmod.h"

static int features_init(void)
{
    return recorder_start();
}

static void features_exit(void)
{
    recorder_stop();
}

KMOD_MANIFEST(.name = "features", .version = "1.0.0", .needs = "linux", .init = features_init,
              .exit = features_exit);
