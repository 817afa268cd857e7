/* device.c: the implementations that this gpud has. */
#include "device.h"

#include <string.h>

const struct device_ops *device_ops_select(const char **selector)
{
    size_t length = strlen(device_cuda.name);
    if (strncmp(*selector, device_cuda.name, length) != 0 ||
        ((*selector)[length] && (*selector)[length] != ':'))
        return &device_opencl;
    *selector = (*selector)[length] ? *selector + length + 1 : "auto";
    return &device_cuda;
}
