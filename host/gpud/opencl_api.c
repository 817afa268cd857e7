/* opencl_api.c: see opencl_api.h. */
#include "opencl_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include "device.h"

struct opencl_api opencl;

static int symbol_find(void *library, const char *name, void **out, char *why)
{
    *out = dlsym(library, name);
    if (*out)
        return 0;
    snprintf(why, DEVICE_WHY_BYTES, "the OpenCL loader has no %s: install ocl-icd-libopencl1",
             name);
    return -1;
}

int opencl_load(char *why)
{
    static void *library;
    if (library)
        return 0;
    void *opened = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!opened) {
        snprintf(why, DEVICE_WHY_BYTES,
                 "no OpenCL on this host: install ocl-icd-libopencl1 and pocl-opencl-icd");
        return -1;
    }
#define OPENCL_FIND(name)                                                                          \
    if (symbol_find(opened, "cl" #name, (void **)&opencl.name, why)) {                             \
        dlclose(opened);                                                                           \
        return -1;                                                                                 \
    }
    OPENCL_FUNCTIONS(OPENCL_FIND)
#undef OPENCL_FIND
    opencl.CreateProgramWithIL =
        (opencl_create_program_with_il)dlsym(opened, "clCreateProgramWithIL");
    library = opened;
    return 0;
}
