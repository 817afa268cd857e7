/* device.c: the implementations that this gpud has. */
#include "device.h"

#include <string.h>

static const struct device_ops *const implementations[] = {&device_opencl};

const struct device_ops *device_ops_find(const char *name)
{
    for (size_t i = 0; i < sizeof(implementations) / sizeof(implementations[0]); i++)
        if (strcmp(implementations[i]->name, name) == 0)
            return implementations[i];
    return NULL;
}
