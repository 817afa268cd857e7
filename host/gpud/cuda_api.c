/* cuda_api.c: see cuda_api.h. */
#include "cuda_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include "device.h"

struct cuda_api cuda;
struct nvrtc_api nvrtc;
struct cublas_api cublas;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct symbol {
    const char *name;
    void **place;
};

/* The first of the libraries that is there and has all the symbols; NULL: none. */
static void *library_open(const char *const *names, const struct symbol *symbols, size_t count)
{
    for (; *names; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        size_t found = 0;
        while (library && found < count &&
               (*symbols[found].place = dlsym(library, symbols[found].name)))
            found++;
        if (library && found == count)
            return library;
        if (library)
            dlclose(library);
    }
    return NULL;
}

#define PLACE(api) (void **)&api

int cuda_load(char *why)
{
    static const char *const names[] = {"libcuda.so.1", NULL};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(cuda.name)},
    static const struct symbol symbols[] = {CUDA_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    pthread_mutex_lock(&lock);
    void *library = open ? NULL : library_open(names, symbols, sizeof(symbols) / sizeof(symbols[0]));
    if (library)
        *PLACE(cuda.function_param) = dlsym(library, "cuFuncGetParamInfo");
    open |= library != NULL;
    pthread_mutex_unlock(&lock);
    if (open && cuda.init(0) == 0)
        return 0;
    snprintf(why, DEVICE_WHY_BYTES,
             open ? "the CUDA driver does not start: is its kernel module loaded, and /dev/nvidia* "
                    "this user's?"
                  : "no CUDA driver on this host: libcuda.so.1 comes with NVIDIA's driver");
    return -1;
}

bool nvrtc_load(void)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2",
                                        "libnvrtc.so", NULL};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(nvrtc.name)},
    static const struct symbol symbols[] = {NVRTC_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    pthread_mutex_lock(&lock);
    open = open || library_open(names, symbols, sizeof(symbols) / sizeof(symbols[0]));
    pthread_mutex_unlock(&lock);
    return open;
}

bool cublas_load(void)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11",
                                        "libcublas.so", NULL};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(cublas.name)},
    static const struct symbol symbols[] = {CUBLAS_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    pthread_mutex_lock(&lock);
    open = open || library_open(names, symbols, sizeof(symbols) / sizeof(symbols[0]));
    pthread_mutex_unlock(&lock);
    return open;
}
