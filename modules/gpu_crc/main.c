/*
 * main.c: loading and unloading. Loading takes no time: the keeper's thread looks for the device.
 * Nobody uses the module any more when it is unloaded, because users need it.
 */
#include <microlake/boot.h>

#include "crc.h"
#include "uapi/kmod.h"

struct crc32c_tables crc_tables;

static int gpu_crc_init(void)
{
    crc32c_tables_fill(&crc_tables);
    processor_init();
    return keeper_start();
}

static void gpu_crc_exit(void)
{
    keeper_stop();
}

KMOD_MANIFEST(.name = "gpu_crc", .version = "1.0.0", .init = gpu_crc_init, .exit = gpu_crc_exit);
