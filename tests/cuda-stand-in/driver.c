/* driver.c: see stand_in.h. Contexts, memory, modules, failures. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "stand_in.h"

#define DEVICE_BYTES (1ull << 30)
#define MOST_DEPTH   8u
#define PAGE         4096u

/* A piece of device memory, or of registered host memory. */
struct range {
    struct range *next;
    uint64_t place, bytes;
    uint8_t *host;
    cuda_context context;
    bool registered;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges;      /* lock */
static uint64_t in_use;           /* lock: bytes of device memory */
static uint64_t next_place = 0x6660000000000000ull; /* lock; never given again */
static struct stand_in_counts counts; /* lock */
static pid_t initialised_in; /* lock */
static _Thread_local cuda_context stack[MOST_DEPTH];
static _Thread_local unsigned depth;

void wrong(const char *format, ...)
{
    char text[300];
    va_list more;
    int count = snprintf(text, sizeof(text), "cuda stand-in: ");
    va_start(more, format);
    count += vsnprintf(text + count, sizeof(text) - 2 - (size_t)count, format, more);
    va_end(more);
    count = count < 298 ? count : 297;
    text[count++] = '\n';
    ssize_t put = write(STDERR_FILENO, text, (size_t)count);
    (void)put;
    abort();
}

/* ---- What there is */

struct stand_in_counts stand_in_counts(void)
{
    pthread_mutex_lock(&lock);
    struct stand_in_counts now = counts;
    pthread_mutex_unlock(&lock);
    return now;
}

static void counts_change(const struct stand_in_counts *by, unsigned sign)
{
    const unsigned *from = (const unsigned *)by;
    unsigned *to = (unsigned *)&counts;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < sizeof(counts) / sizeof(unsigned); i++)
        to[i] += sign * from[i];
    pthread_mutex_unlock(&lock);
}

void counts_add(const struct stand_in_counts *more)
{
    counts_change(more, 1);
}

void counts_take(const struct stand_in_counts *less)
{
    counts_change(less, ~0u);
}

/* ---- Failures on purpose */

static struct {
    char name[64];
    unsigned long at, code;
    uint64_t seed; /* of random ones; 0: none */
} failure;
static atomic_ulong calls;
static pthread_once_t failure_once = PTHREAD_ONCE_INIT;

static void failure_read(void)
{
    const char *text = getenv("CUDA_STAND_IN_FAIL");
    if (!text || sscanf(text, "%63[^:]:%lu:%lu", failure.name, &failure.at, &failure.code) != 3)
        return;
    if (strcmp(failure.name, "random") == 0) {
        failure.seed = failure.at + (uint64_t)getpid();
        failure.at = 0;
    }
}

void stand_in_fail(const char *name, unsigned long at, int code)
{
    pthread_once(&failure_once, failure_read);
    snprintf(failure.name, sizeof(failure.name), "%s", name);
    failure.at = at;
    failure.code = (unsigned long)code;
    failure.seed = 0;
    atomic_store(&calls, 0);
}

static cuda_result failure_now(const char *name)
{
    static pthread_mutex_t random_lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_once(&failure_once, failure_read);
    if (failure.seed) {
        pthread_mutex_lock(&random_lock);
        failure.seed = failure.seed * 6364136223846793005ull + 1442695040888963407ull;
        bool fails = (failure.seed >> 33) % failure.code == 0;
        pthread_mutex_unlock(&random_lock);
        return fails ? CUDA_OUT_OF_MEMORY : 0;
    }
    return failure.at && strcmp(name, failure.name) == 0 && atomic_fetch_add(&calls, 1) + 1 == failure.at
               ? (cuda_result)failure.code
               : 0;
}

cuda_result call_begin(const char *name, bool current, bool may_fail)
{
    if (in_callback())
        wrong("%s in a callback", name);
    if (initialised_in != getpid())
        wrong("%s before cuInit() in this process", name);
    if (current && !depth)
        wrong("%s without a context", name);
    if (current && stack[depth - 1]->magic != MAGIC_CONTEXT)
        wrong("%s in a context that is gone", name);
    if (stuck())
        return stuck();
    return may_fail ? failure_now(name) : 0;
}

cuda_context context_current(void)
{
    return stack[depth - 1];
}

/* ---- The device */

/* A process that is forked off one in which the driver has started cannot start it. */
cuda_result cuInit(unsigned flags);
cuda_result cuInit(unsigned flags)
{
    static cuda_result started;
    if (flags)
        wrong("cuInit(%u)", flags);
    pthread_mutex_lock(&lock);
    if (!initialised_in) {
        initialised_in = getpid();
        started = driver_may_start() ? 0 : RESULT_OPERATING_SYSTEM;
    }
    cuda_result result = initialised_in == getpid() ? started : RESULT_NOT_INITIALIZED;
    pthread_mutex_unlock(&lock);
    return result;
}

cuda_result cuGetErrorName(cuda_result result, const char **name);
cuda_result cuGetErrorName(cuda_result result, const char **name)
{
    *name = result == RESULT_OPERATING_SYSTEM ? "CUDA_ERROR_OPERATING_SYSTEM"
            : result == RESULT_NOT_INITIALIZED ? "CUDA_ERROR_NOT_INITIALIZED"
                                               : NULL;
    return *name ? 0 : RESULT_INVALID;
}

/* Not in any manual. The real NVRTC calls it where there is a driver, and does without what it does not give. */
cuda_result cuGetExportTable(const void **table, const void *which);
cuda_result cuGetExportTable(const void **table, const void *which)
{
    (void)which;
    *table = NULL;
    return CUDA_NOT_FOUND;
}

cuda_result cuDriverGetVersion(int *version);
cuda_result cuDriverGetVersion(int *version)
{
    const char *wished = getenv("CUDA_STAND_IN_VERSION");
    *version = wished ? atoi(wished) : 12040;
    return 0;
}

cuda_result cuDeviceGetCount(int *count);
cuda_result cuDeviceGetCount(int *count)
{
    cuda_result result = call_begin("cuDeviceGetCount", false, false);
    *count = 2;
    return result;
}

static void device_check(const char *name, cuda_device device)
{
    call_begin(name, false, false);
    if (device != 100 && device != 101)
        wrong("device %d", device);
}

cuda_result cuDeviceGet(cuda_device *device, int index);
cuda_result cuDeviceGet(cuda_device *device, int index)
{
    if (index < 0 || index > 1)
        return 101;
    *device = 100 + index;
    return call_begin("cuDeviceGet", false, false);
}

cuda_result cuDeviceGetName(char *name, int bytes, cuda_device device);
cuda_result cuDeviceGetName(char *name, int bytes, cuda_device device)
{
    device_check("cuDeviceGetName", device);
    snprintf(name, (size_t)bytes, "CUDA stand-in %d", device - 100);
    return 0;
}

cuda_result cuDeviceGetAttribute(int *value, int which, cuda_device device);
cuda_result cuDeviceGetAttribute(int *value, int which, cuda_device device)
{
    device_check("cuDeviceGetAttribute", device);
    static const uint16_t values[CUDA_ALL_MEMORY + 1] = {[CUDA_MAX_GROUP] = 1024,
                                                    [CUDA_MAX_GROUP_SIZE] = 1024,
                                                    [CUDA_MAX_GROUP_SIZE + 1] = 1024,
                                                    [CUDA_MAX_GROUP_SIZE + 2] = 64,
                                                    [CUDA_GROUP_SHARED] = 49152,
                                                    [CUDA_WARP] = 32,
                                                    [CUDA_UNITS] = 7,
                                                    [CUDA_MAPS_HOST] = 1,
                                                    [CUDA_UNIFIED] = 1,
                                                    [CUDA_MAJOR] = 8};
    if (which < 0 || which > CUDA_ALL_MEMORY)
        return RESULT_INVALID;
    *value = values[which];
    return 0;
}

cuda_result cuDeviceTotalMem_v2(size_t *bytes, cuda_device device);
cuda_result cuDeviceTotalMem_v2(size_t *bytes, cuda_device device)
{
    device_check("cuDeviceTotalMem_v2", device);
    *bytes = DEVICE_BYTES;
    return 0;
}

/* ---- Contexts */

static void contexts_say(void)
{
    if (getenv("CUDA_STAND_IN_LOG"))
        fprintf(stderr, "cuda contexts now: %u\n", stand_in_counts().contexts);
}

/* Its descriptors up to the first that could not be had. */
static void context_free(cuda_context context)
{
    for (unsigned i = 0; i < CONTEXT_FILES && context->files[i] > 0; i++)
        close(context->files[i]);
    context->magic = MAGIC_DEAD;
    free(context);
}

static struct primary {
    cuda_context context; /* while it is held */
    unsigned holds, flags;
} primaries[2];
static pthread_mutex_t primaries_lock = PTHREAD_MUTEX_INITIALIZER;

cuda_result cuDevicePrimaryCtxSetFlags_v2(cuda_device device, unsigned flags);
cuda_result cuDevicePrimaryCtxSetFlags_v2(cuda_device device, unsigned flags)
{
    device_check("cuDevicePrimaryCtxSetFlags_v2", device);
    primaries[device - 100].flags = flags;
    return 0;
}

static cuda_result context_make(cuda_context *out)
{
    cuda_context context = calloc(1, sizeof(*context));
    context->magic = MAGIC_CONTEXT;
    for (unsigned i = 0; i < CONTEXT_FILES; i++)
        if ((context->files[i] = eventfd(0, EFD_CLOEXEC)) < 0) {
            context_free(context);
            return RESULT_OPERATING_SYSTEM;
        }
    *out = context;
    counts_add(&(struct stand_in_counts){.contexts = 1});
    contexts_say();
    return 0;
}

static void context_end(cuda_context context)
{
    for (unsigned i = 0; i < depth; i++)
        if (stack[i] == context)
            wrong("a context is destroyed that is on its thread's stack");
    if (context->streams || context->modules || context->ranges)
        wrong("a context leaves behind %u streams, %u modules, %u pieces of memory", context->streams,
              context->modules, context->ranges);
    context_free(context);
    counts_take(&(struct stand_in_counts){.contexts = 1});
    contexts_say();
}

cuda_result cuDevicePrimaryCtxRetain(cuda_context *out, cuda_device device);
cuda_result cuDevicePrimaryCtxRetain(cuda_context *out, cuda_device device)
{
    cuda_result result = call_begin("cuDevicePrimaryCtxRetain", false, true);
    device_check("cuDevicePrimaryCtxRetain", device);
    struct primary *primary = &primaries[device - 100];
    if (primary->flags != CUDA_CONTEXT_BLOCKING)
        wrong("a context whose waits keep a processor busy");
    pthread_mutex_lock(&primaries_lock);
    if (!result && !primary->holds)
        result = context_make(&primary->context);
    if (!result) {
        primary->holds++;
        *out = primary->context;
    }
    pthread_mutex_unlock(&primaries_lock);
    return result;
}

cuda_result cuDevicePrimaryCtxRelease_v2(cuda_device device);
cuda_result cuDevicePrimaryCtxRelease_v2(cuda_device device)
{
    cuda_result result = call_begin("cuDevicePrimaryCtxRelease_v2", false, false);
    device_check("cuDevicePrimaryCtxRelease_v2", device);
    struct primary *primary = &primaries[device - 100];
    pthread_mutex_lock(&primaries_lock);
    if (!primary->holds)
        wrong("a context is released that nobody holds");
    if (--primary->holds == 0)
        context_end(primary->context);
    pthread_mutex_unlock(&primaries_lock);
    return result;
}

cuda_result cuCtxPushCurrent_v2(cuda_context context);
cuda_result cuCtxPushCurrent_v2(cuda_context context)
{
    cuda_result result = call_begin("cuCtxPushCurrent_v2", false, false);
    if (context->magic != MAGIC_CONTEXT || depth == MOST_DEPTH)
        wrong("cuCtxPushCurrent_v2 of no context, or with %u on the stack", depth);
    stack[depth++] = context;
    return result;
}

cuda_result cuCtxPopCurrent_v2(cuda_context *context);
cuda_result cuCtxPopCurrent_v2(cuda_context *context)
{
    cuda_result result = call_begin("cuCtxPopCurrent_v2", true, false);
    *context = stack[--depth];
    return result;
}

/* ---- Memory */

static bool is_mapped(const void *memory, uint64_t bytes)
{
    uintptr_t first = (uintptr_t)memory & ~(uintptr_t)(PAGE - 1);
    return msync((void *)first, (uintptr_t)memory + bytes - first, MS_ASYNC) == 0;
}

uint8_t *memory_at(uint64_t place, uint64_t bytes)
{
    uint8_t *host = NULL;
    pthread_mutex_lock(&lock);
    for (struct range *range = ranges; range && !host; range = range->next)
        if (place >= range->place && place - range->place <= range->bytes &&
            bytes <= range->bytes - (place - range->place))
            host = range->host + (place - range->place);
    pthread_mutex_unlock(&lock);
    if (host && bytes && !is_mapped(host, bytes))
        wrong("memory is used that was registered and is unmapped");
    return host;
}

uint8_t *memory_need(uint64_t place, uint64_t bytes, const char *what)
{
    uint8_t *host = memory_at(place, bytes);
    if (!host)
        wrong("%s: %llu bytes at %#llx are no device memory", what, (unsigned long long)bytes,
              (unsigned long long)place);
    return host;
}

static struct range *range_add(uint8_t *host, uint64_t bytes, bool registered)
{
    struct range *range = calloc(1, sizeof(*range));
    pthread_mutex_lock(&lock);
    *range = (struct range){.next = ranges,
                            .place = next_place,
                            .bytes = bytes,
                            .host = host,
                            .context = context_current(),
                            .registered = registered};
    ranges = range;
    next_place += (bytes + 0x1ffffull) & ~0xffffull;
    context_current()->ranges++;
    pthread_mutex_unlock(&lock);
    counts_add(&(struct stand_in_counts){.allocations = !registered, .registrations = registered});
    return range;
}

/* Takes it out of the list; the caller frees. */
static struct range *range_take(uint64_t place, const void *host, bool registered)
{
    struct range *found = NULL;
    pthread_mutex_lock(&lock);
    for (struct range **at = &ranges; *at && !found; at = found ? at : &(*at)->next)
        if ((*at)->registered == registered && (registered ? (*at)->host == host : (*at)->place == place)) {
            found = *at;
            *at = found->next;
            break;
        }
    if (found)
        found->context->ranges--;
    pthread_mutex_unlock(&lock);
    if (found)
        counts_take(&(struct stand_in_counts){.allocations = !registered, .registrations = registered});
    return found;
}

cuda_result cuMemAlloc_v2(cuda_pointer *memory, size_t bytes);
cuda_result cuMemAlloc_v2(cuda_pointer *memory, size_t bytes)
{
    cuda_result result = call_begin("cuMemAlloc_v2", true, true);
    if (result)
        return result;
    if (!bytes)
        return RESULT_INVALID;
    pthread_mutex_lock(&lock);
    bool fits = bytes <= DEVICE_BYTES - in_use;
    in_use += fits ? bytes : 0;
    pthread_mutex_unlock(&lock);
    if (!fits)
        return CUDA_OUT_OF_MEMORY;
    uint8_t *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED)
        wrong("no memory for the stand-in");
    *memory = range_add(host, bytes, false)->place;
    return 0;
}

cuda_result cuMemFree_v2(cuda_pointer memory);
cuda_result cuMemFree_v2(cuda_pointer memory)
{
    cuda_result result = call_begin("cuMemFree_v2", true, false);
    context_wait(context_current());
    struct range *range = range_take(memory, NULL, false);
    if (!range)
        wrong("memory is freed that is not there: %#llx", (unsigned long long)memory);
    if (range->context != context_current())
        wrong("memory is freed in another context");
    pthread_mutex_lock(&lock);
    in_use -= range->bytes;
    pthread_mutex_unlock(&lock);
    munmap(range->host, range->bytes);
    free(range);
    return result;
}

/* What is registered already there, or partly: the manual has an error for the first alone. */
static cuda_result overlap_find(const uint8_t *memory, size_t bytes)
{
    cuda_result result = 0;
    pthread_mutex_lock(&lock);
    for (struct range *range = ranges; range && !result; range = range->next)
        if (range->registered && memory < range->host + range->bytes && range->host < memory + bytes)
            result = range->host == memory ? RESULT_ALREADY_REGISTERED : RESULT_INVALID;
    pthread_mutex_unlock(&lock);
    return result;
}

cuda_result cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags);
cuda_result cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags)
{
    cuda_result result = call_begin("cuMemHostRegister_v2", true, true);
    if (result)
        return result;
    if (flags != (CUDA_HOST_PORTABLE | CUDA_HOST_MAPPED) || !bytes || ((uintptr_t)memory | bytes) % PAGE)
        wrong("cuMemHostRegister_v2: %zu bytes at %p, flags %u", bytes, memory, flags);
    result = overlap_find(memory, bytes);
    if (result)
        return result;
    if (!is_mapped(memory, bytes))
        return RESULT_INVALID;
    for (size_t i = 0; i < bytes; i += PAGE) /* pinned: what has no page behind it cannot be */
        (void)*((volatile uint8_t *)memory + i);
    range_add(memory, bytes, true);
    return 0;
}

cuda_result cuMemHostUnregister(void *memory);
cuda_result cuMemHostUnregister(void *memory)
{
    cuda_result result = call_begin("cuMemHostUnregister", true, false);
    context_wait(context_current());
    struct range *range = range_take(0, memory, true);
    if (!range)
        wrong("memory is let go that was not registered");
    if (!is_mapped(memory, range->bytes))
        wrong("memory is let go after it was unmapped");
    free(range);
    return result;
}

cuda_result cuMemHostGetDevicePointer_v2(cuda_pointer *out, void *memory, unsigned flags)
{
    cuda_result result = call_begin("cuMemHostGetDevicePointer_v2", true, true);
    if (result)
        return result;
    if (flags)
        wrong("cuMemHostGetDevicePointer_v2: flags %u", flags);
    pthread_mutex_lock(&lock);
    struct range *range = ranges;
    while (range && !(range->registered && range->host == memory))
        range = range->next;
    *out = range ? range->place : 0;
    pthread_mutex_unlock(&lock);
    return *out ? 0 : RESULT_INVALID;
}

/* ---- Modules */

/* The driver keeps what it made of PTX in a folder, and makes it again each time where it cannot. */
static void cache_write(void)
{
    char path[400];
    const char *folder = getenv("CUDA_CACHE_PATH");
    snprintf(path, sizeof(path), "%s/cuda-stand-in", folder ? folder : "");
    FILE *kept = folder ? fopen(path, "w") : NULL;
    if (folder && (!kept || fputs("kept", kept) < 0 || fclose(kept)))
        wrong("nothing can be kept in %s", folder);
}

cuda_result cuModuleLoadDataEx(cuda_module *out, const void *image, unsigned count, int *options, void **values);
cuda_result cuModuleLoadDataEx(cuda_module *out, const void *image, unsigned count, int *options, void **values)
{
    cuda_result result = call_begin("cuModuleLoadDataEx", true, true);
    const char *why = NULL;
    if (result)
        return result;
    if (count != 2 || options[0] != CUDA_JIT_ERROR_LOG || options[1] != CUDA_JIT_ERROR_LOG_BYTES)
        wrong("cuModuleLoadDataEx: its options are not what gpud gives");
    cuda_module module = calloc(1, sizeof(*module));
    if (!module_parse(module, image, &why)) {
        snprintf(values[0], (size_t)(uintptr_t)values[1], "ptxas stand-in: %s", why);
        free(module);
        return RESULT_INVALID_PTX;
    }
    module->magic = MAGIC_MODULE;
    module->context = context_current();
    module->context->modules++;
    counts_add(&(struct stand_in_counts){.modules = 1});
    cache_write();
    *out = module;
    return 0;
}

cuda_result cuModuleUnload(cuda_module module);
cuda_result cuModuleUnload(cuda_module module)
{
    cuda_result result = call_begin("cuModuleUnload", true, false);
    context_wait(context_current());
    if (module->magic != MAGIC_MODULE || module->context != context_current())
        wrong("a module is unloaded that is none, or in another context");
    if (__atomic_load_n(&module->in_work, __ATOMIC_ACQUIRE) && !stuck())
        wrong("a module is unloaded whose kernels are in work");
    module->magic = MAGIC_DEAD;
    for (unsigned i = 0; i < module->count; i++)
        module->functions[i].magic = MAGIC_DEAD;
    module->context->modules--;
    counts_take(&(struct stand_in_counts){.modules = 1});
    free(module); /* with its functions: who uses one later is seen by the sanitizer */
    return result;
}

cuda_result cuModuleGetFunction(cuda_function *function, cuda_module module, const char *name);
cuda_result cuModuleGetFunction(cuda_function *function, cuda_module module, const char *name)
{
    cuda_result result = call_begin("cuModuleGetFunction", true, true);
    if (result)
        return result;
    if (module->magic != MAGIC_MODULE || module->context != context_current())
        wrong("a function of no module, or in another context");
    for (unsigned i = 0; i < module->count; i++)
        if (strcmp(module->functions[i].name, name) == 0) {
            *function = &module->functions[i];
            return 0;
        }
    return CUDA_NOT_FOUND;
}

cuda_result cuFuncGetAttribute(int *value, int which, cuda_function function);
cuda_result cuFuncGetAttribute(int *value, int which, cuda_function function)
{
    cuda_result result = call_begin("cuFuncGetAttribute", true, false);
    if (function->magic != MAGIC_FUNCTION)
        wrong("an attribute of no function");
    *value = which == CUDA_FUNCTION_MAX_GROUP ? (int)function->most_items : 0;
    return result;
}

/* Since CUDA 12.4. */
cuda_result cuFuncGetParamInfo(cuda_function function, size_t index, size_t *offset, size_t *bytes);
cuda_result cuFuncGetParamInfo(cuda_function function, size_t index, size_t *offset, size_t *bytes)
{
    cuda_result result = call_begin("cuFuncGetParamInfo", true, false);
    if (result)
        return result;
    if (function->magic != MAGIC_FUNCTION)
        wrong("a parameter of no function");
    if (index >= function->count)
        return RESULT_INVALID;
    *offset = function->offsets[index];
    *bytes = function->sizes[index];
    return 0;
}
