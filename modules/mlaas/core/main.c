/*
 * main.c: start and end of module mlaas; core.h says what it shows.
 */
#include "core.h"
#include "uapi/kmod.h"

static int mlaas_init(void)
{
    int r = classes_start();

    if (r != OK)
        return r;
    r = figures_start();
    if (r != OK)
        classes_stop();
    return r;
}

static void mlaas_exit(void)
{
    figures_stop();
    classes_stop();
}

KMOD_MANIFEST(.name = "mlaas", .version = "0.1.0", .needs = "linux", .init = mlaas_init,
              .exit = mlaas_exit);
