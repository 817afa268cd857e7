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

/* A name that a library goes by, and the driver that it needs, as CUDA's version / 1000. */
struct name {
    const char *text;
    int least;
};

/*
 * The first of the libraries that is there, has all the symbols and was not made for a newer driver; NULL: none.
 * What one of another age makes, this driver would refuse. *lacks: a symbol that one did not have.
 */
static void *library_open(const struct name *names, int driver, const struct symbol *symbols, size_t count,
                          const char **lacks)
{
    for (; names->text; names++) {
        void *library = !driver || names->least <= driver ? dlopen(names->text, RTLD_NOW | RTLD_LOCAL) : NULL;
        size_t found = 0;
        while (library && found < count &&
               (*symbols[found].place = dlsym(library, symbols[found].name)))
            found++;
        if (library && found == count)
            return library;
        if (!library)
            continue;
        *lacks = symbols[found].name;
        dlclose(library);
    }
    return NULL;
}

#define PLACE(api) (void **)&api

/* As CUDA's version / 1000; 0: there is no driver, and nothing must fit to it. */
static int driver_major(void)
{
    int version = 0;
    if (cuda.driver_version)
        cuda.driver_version(&version);
    return version / 1000;
}

static int driver_start(char *why)
{
    const char *name = "";
    cuda_result result = cuda.init(0);
    if (result == 0)
        return 0;
    if (cuda.error_name(result, &name) || !name)
        name = "no name";
    snprintf(why, DEVICE_WHY_BYTES,
             "the CUDA driver does not start (error %d, %s): is its kernel module loaded, and /dev/nvidia* this "
             "user's?",
             result, name);
    return -1;
}

int cuda_load(char *why)
{
    static const struct name names[] = {{"libcuda.so.1", 0}, {NULL, 0}};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(cuda.name)},
    static const struct symbol symbols[] = {CUDA_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    const char *lacks = NULL;
    pthread_mutex_lock(&lock);
    void *library = open ? NULL : library_open(names, 0, symbols, sizeof(symbols) / sizeof(symbols[0]), &lacks);
    if (library)
        *PLACE(cuda.function_param) = dlsym(library, "cuFuncGetParamInfo");
    open |= library != NULL;
    pthread_mutex_unlock(&lock);
    if (open)
        return driver_start(why);
    if (lacks)
        snprintf(why, DEVICE_WHY_BYTES, "the CUDA driver has no %s: gpud wants one of CUDA 11 or newer", lacks);
    else
        snprintf(why, DEVICE_WHY_BYTES, "no CUDA driver on this host: libcuda.so.1 comes with NVIDIA's driver");
    return -1;
}

bool nvrtc_load(void)
{
    static const struct name names[] = {
        {"libnvrtc.so.13", 13}, {"libnvrtc.so.12", 12}, {"libnvrtc.so.11.2", 11}, {NULL, 0}};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(nvrtc.name)},
    static const struct symbol symbols[] = {NVRTC_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    pthread_mutex_lock(&lock);
    const char *lacks = NULL;
    open = open || library_open(names, driver_major(), symbols, sizeof(symbols) / sizeof(symbols[0]), &lacks);
    pthread_mutex_unlock(&lock);
    return open;
}

bool cublas_load(void)
{
    static const struct name names[] = {
        {"libcublas.so.13", 13}, {"libcublas.so.12", 12}, {"libcublas.so.11", 11}, {NULL, 0}};
#define CUDA_SYMBOL(name, symbol, arguments) {symbol, PLACE(cublas.name)},
    static const struct symbol symbols[] = {CUBLAS_FUNCTIONS(CUDA_SYMBOL)};
#undef CUDA_SYMBOL
    static bool open;
    pthread_mutex_lock(&lock);
    const char *lacks = NULL;
    open = open || library_open(names, driver_major(), symbols, sizeof(symbols) / sizeof(symbols[0]), &lacks);
    pthread_mutex_unlock(&lock);
    return open;
}
