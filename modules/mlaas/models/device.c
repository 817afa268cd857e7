/*
 * device.c: /dev/mlmodels: programs load, replace and unload models (uapi/mlaas.h). The whole file
 * comes in one call, from the program's memory; it is copied before it is looked at.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/include/linux_dev.h"
#include "store.h"
#include "uapi/mlaas.h"

#define DEVICE_NAME "mlmodels"

_Static_assert(MLAAS_NAME_BYTES == MODELS_NAME_MAX && MLAAS_WHY_BYTES == MODELS_WHY_MAX, "texts");

static long errno_result(int status)
{
    switch (status) {
    case ERR_LIMIT:
        return LINUX_ERRNO(ENOSPC);
    case ERR_RANGE:
        return LINUX_ERRNO(EFBIG);
    default:
        return status;
    }
}

static int file_take(const struct mlaas_model *m, struct models_file **out, char *why)
{
    struct models_file *file;

    if (m->bytes > MLRT_FILE_MAX) {
        snprintf(why, MODELS_WHY_MAX, "a model has at most %u MiB", MLRT_FILE_MAX >> 20);
        return ERR_RANGE;
    }
    file = file_create(m->bytes, FILE_PROGRAM);
    if (!file) {
        snprintf(why, MODELS_WHY_MAX, "there is no memory for %lu bytes", m->bytes);
        return ERR_NO_MEMORY;
    }
    if (user_read(file->bytes, m->data, m->bytes) != OK) {
        file_unref(file);
        return ERR_FAULT;
    }
    *out = file;
    return OK;
}

static int model_call(unsigned command, struct mlaas_model *m)
{
    struct models_file *file;
    int r;

    if (command == MLAAS_MODEL_UNLOAD)
        return m->data || m->bytes ? ERR_INVALID : models_unload(m->name, m->why);
    r = file_take(m, &file, m->why);
    if (r != OK)
        return r;
    return command == MLAAS_MODEL_LOAD ? store_load(m->name, file, m->why)
                                       : store_replace(m->name, file, m->why);
}

static long device_ioctl(void *file, unsigned command, uint64_t argument)
{
    struct mlaas_model m;
    int r;

    (void)file;
    if (command != MLAAS_MODEL_LOAD && command != MLAAS_MODEL_REPLACE &&
        command != MLAAS_MODEL_UNLOAD)
        return LINUX_ERRNO(ENOTTY);
    if (user_read(&m, argument, sizeof(m)) != OK)
        return ERR_FAULT;
    if (strnlen(m.name, sizeof(m.name)) == sizeof(m.name))
        return ERR_INVALID;
    memset(m.why, 0, sizeof(m.why));
    r = model_call(command, &m);
    if (r != OK &&
        user_write(argument + offsetof(struct mlaas_model, why), m.why, sizeof(m.why)) != OK)
        return ERR_FAULT;
    return errno_result(r);
}

static const struct linux_device_ops device_ops = {.ioctl = device_ioctl};

int device_start(void)
{
    return linux_device_register(DEVICE_NAME, 0600, &device_ops, NULL);
}

void device_stop(void)
{
    linux_device_unregister(DEVICE_NAME);
}
