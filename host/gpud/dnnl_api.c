/* dnnl_api.c: see dnnl_api.h. */
#include "dnnl_api.h"

#include <dlfcn.h>
#include <pthread.h>

struct dnnl_api dnnl;

static bool symbols_find(void *library)
{
#define DNNL_FIND(name)                                                                            \
    dnnl.name = (__typeof__(dnnl.name))dlsym(library, "dnnl_" #name);                              \
    if (!dnnl.name)                                                                                \
        return false;
    DNNL_FUNCTIONS(DNNL_FIND)
#undef DNNL_FIND
    return true;
}

static void library_open(void)
{
    void *library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library && (!symbols_find(library) || dnnl.engine_create(&dnnl.cpu, dnnl_cpu, 0))) {
        dlclose(library);
        dnnl.cpu = NULL;
    }
}

bool dnnl_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_open);
    return dnnl.cpu;
}
