/*
 * device_cuda.c: the device layer over CUDA's driver: devices, contexts, buffers. Guest memory is
 * registered with the driver and used in place. Programs are PTX or CUDA C; there are no arguments
 * of work-group memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "device_cuda.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "log.h"

#define ALIGNMENT 16u /* of a buffer argument's offset: the widest load of a kernel */

/*
 * Errors of the device after which, their manual says, every call of the process fails: a kernel's stray
 * address, a failed assertion, memory that does not correct itself.
 */
static bool is_final(cuda_result result)
{
    static const uint16_t final[] = {214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911, 999};
    for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
        if (result == final[i])
            return true;
    return false;
}

/* Only another process can use the device again: the keeper starts it, once this one has ended. */
uint32_t cuda_status(cuda_result result)
{
    if (is_final(result)) {
        log_line("the device has failed what this process gave it (CUDA error %d): the process ends", result);
        _exit(1);
    }
    if (result == 0)
        return VGPGPU_OK;
    if (result == CUDA_OUT_OF_MEMORY)
        return VGPGPU_ERR_NO_MEMORY;
    log_guest("CUDA error %d", result);
    return VGPGPU_ERR_EXEC;
}

void cuda_enter(struct device_context *context)
{
    cuda_status(cuda.context_push(context->handle));
}

void cuda_leave(void)
{
    cuda_context former;
    cuda.context_pop(&former);
}

/* ---- Devices -----------------------------------------------------------------------------------
 */

static int attribute(cuda_device device, int which)
{
    int value = 0;
    cuda.device_attribute(&value, which, device);
    return value;
}

/* Arithmetic of 16-bit numbers. */
static bool has_halves(cuda_device device)
{
    return attribute(device, CUDA_MAJOR) * 10 + attribute(device, CUDA_MINOR) >= 53;
}

/* Whether it can do what a machine's device must: work on the machine's memory, for more than one process. */
static bool is_fit(cuda_device device)
{
    return attribute(device, CUDA_MAPS_HOST) && attribute(device, CUDA_UNIFIED) &&
           attribute(device, CUDA_COMPUTE_MODE) != CUDA_MODE_PROHIBITED;
}

static void device_describe(cuda_device id, struct device_info *info)
{
    size_t memory = 0;
    int version = 0;
    cuda.device_memory(&memory, id);
    cuda.driver_version(&version);
    *info = (struct device_info){.type = VGPGPU_DEVICE_GPU,
                                 .compute_units = (uint32_t)attribute(id, CUDA_UNITS),
                                 .offset_align = ALIGNMENT,
                                 .global_memory = memory,
                                 .max_buffer = memory,
                                 .backend = "cuda",
                                 .program_kinds = 1u << VGPGPU_PROGRAM_PTX | 1u << VGPGPU_PROGRAM_BINARY |
                                                  (nvrtc_load() ? 1u << VGPGPU_PROGRAM_CUDA_C : 0),
                                 .features = VGPGPU_FEATURE_IN_PLACE | VGPGPU_FEATURE_F64 |
                                             VGPGPU_FEATURE_ATOMIC64 | (has_halves(id) ? VGPGPU_FEATURE_F16 : 0),
                                 .max_group = (uint32_t)attribute(id, CUDA_MAX_GROUP),
                                 .local_bytes = (uint64_t)attribute(id, CUDA_GROUP_SHARED)};
    for (int i = 0; i < 3; i++)
        info->max_group_size[i] = (uint32_t)attribute(id, CUDA_MAX_GROUP_SIZE + i);
    snprintf(info->backend_version, sizeof(info->backend_version), "%d.%d", version / 1000,
             version % 1000 / 10);
    cuda.device_name(info->name, sizeof(info->name), id);
    info->name[sizeof(info->name) - 1] = 0;
    if (cublas_load())
        info->operations[VGPGPU_GEMM] =
            1u << VGPGPU_F32 | (attribute(id, CUDA_MAJOR) >= 8 ? 1u << VGPGPU_BF16 : 0u);
}

static int cuda_list(struct device_info *infos, unsigned room, unsigned *count, char *why)
{
    int there = 0;
    *count = 0;
    if (cuda_load(why))
        return -1;
    cuda.device_count(&there);
    for (int i = 0; i < there && *count < room; i++) {
        cuda_device id;
        if (cuda.device_get(&id, i) == 0 && is_fit(id))
            device_describe(id, &infos[(*count)++]);
    }
    if (*count)
        return 0;
    snprintf(why, DEVICE_WHY_BYTES, "the CUDA driver has no device on this host that can be used (%d in all)", there);
    return -1;
}

static bool is_meant(const char *selector, int index, const struct device_info *info)
{
    char *end;
    if (strcmp(selector, "auto") == 0)
        return true;
    long number = strtol(selector, &end, 10);
    return isdigit((unsigned char)selector[0]) && !*end ? number == index
                                                        : strcasestr(info->name, selector) != NULL;
}

/*
 * What the driver and its libraries read of the environment: products of F32 are not to be rounded to TF32,
 * whatever gpud was started with.
 */
static void environment_set(void)
{
    setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
}

/* Its stray kernels, too: they are then what machine code would be, and the sandbox keeps them. */
static void reach_tell(cuda_device device)
{
    if (attribute(device, CUDA_ALL_MEMORY))
        log_line("a guest's kernels reach all memory of their device process, and its sandbox alone keeps them in: "
                 "uvm_disable_hmm=1 for the module nvidia-uvm ends that");
}

static int cuda_open(const char *selector, struct device **out, struct device_info *info, char *why)
{
    int there = 0, index = 0; /* index: as cuda_list() has them */
    environment_set();
    if (cuda_load(why))
        return -1;
    cuda.device_count(&there);
    for (int i = 0; i < there; i++) {
        cuda_device id;
        if (cuda.device_get(&id, i) || !is_fit(id))
            continue;
        device_describe(id, info);
        if (!is_meant(selector, index++, info))
            continue;
        *out = calloc(1, sizeof(**out));
        if (!*out) {
            snprintf(why, DEVICE_WHY_BYTES, "out of memory");
            return -1;
        }
        reach_tell(id);
        cuda.primary_flags(id, CUDA_CONTEXT_BLOCKING);
        **out = (struct device){
            .id = id, .major = attribute(id, CUDA_MAJOR), .minor = attribute(id, CUDA_MINOR)};
        return 0;
    }
    snprintf(why, DEVICE_WHY_BYTES, "no CUDA device of %d matches \"%.64s\"", there, selector);
    return -1;
}

static void cuda_close(struct device *device)
{
    free(device);
}

/* ---- Contexts and buffers ----------------------------------------------------------------------
 */

static uint32_t cuda_context_create(struct device *device, struct device_context **out)
{
    struct device_context *context = calloc(1, sizeof(*context));
    if (!context)
        return VGPGPU_ERR_NO_MEMORY;
    context->device = device;
    uint32_t status = cuda_status(cuda.primary_hold(&context->handle, device->id));
    if (status)
        free(context);
    else
        *out = context;
    return status;
}

static void cuda_context_destroy(struct device_context *context)
{
    cuda_status(cuda.primary_release(context->device->id));
    free(context);
}

/* Whole pages, as they are pinned: the rest of the last one is the buffer's too. */
static size_t pages_of(const struct device_buffer *buffer)
{
    return (buffer->size + VGPGPU_PAGE - 1) & ~(uint64_t)(VGPGPU_PAGE - 1);
}

static cuda_result memory_register(struct device_buffer *buffer, void *memory)
{
    cuda_result result =
        cuda.host_register(memory, pages_of(buffer), CUDA_HOST_PORTABLE | CUDA_HOST_MAPPED);
    if (result)
        return result;
    buffer->registered = memory;
    return cuda.host_pointer(&buffer->place, memory, 0);
}

/*
 * The driver registers an address once, and says so in one way or another. Pages that are in another buffer already
 * are mapped a second time: of a shared mapping, mremap() of nothing makes another.
 */
static cuda_result memory_take(struct device_buffer *buffer, void *memory)
{
    cuda_result result = memory_register(buffer, memory);
    if (!result || result == CUDA_OUT_OF_MEMORY || buffer->registered)
        return result;
    void *alias = mremap(memory, 0, pages_of(buffer), MREMAP_MAYMOVE);
    if (alias == MAP_FAILED)
        return result;
    buffer->alias = alias;
    return memory_register(buffer, alias);
}

static void buffer_let_go(struct device_buffer *buffer)
{
    if (buffer->registered)
        cuda_status(cuda.host_unregister(buffer->registered));
    else if (buffer->place)
        cuda_status(cuda.memory_free(buffer->place));
    if (buffer->alias)
        munmap(buffer->alias, pages_of(buffer));
}

static uint32_t cuda_buffer_create(struct device_context *context, void *memory, uint64_t size,
                                   struct device_buffer **out)
{
    struct device_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return VGPGPU_ERR_NO_MEMORY;
    buffer->context = context;
    buffer->size = size;
    cuda_enter(context);
    cuda_result result =
        memory ? memory_take(buffer, memory) : cuda.memory_alloc(&buffer->place, size);
    if (result)
        buffer_let_go(buffer);
    cuda_leave();
    if (result) {
        free(buffer);
        return cuda_status(result);
    }
    *out = buffer;
    return VGPGPU_OK;
}

static void cuda_buffer_destroy(struct device_buffer *buffer)
{
    cuda_enter(buffer->context);
    buffer_let_go(buffer);
    cuda_leave();
    free(buffer);
}

const struct device_ops device_cuda = {
    .name = "cuda",
    .list = cuda_list,
    .open = cuda_open,
    .close = cuda_close,
    .context_create = cuda_context_create,
    .context_destroy = cuda_context_destroy,
    .buffer_create = cuda_buffer_create,
    .buffer_destroy = cuda_buffer_destroy,
    .program_create = cuda_program_create,
    .program_destroy = cuda_program_destroy,
    .program_binary = cuda_program_binary,
    .kernel_create = cuda_kernel_create,
    .kernel_destroy = cuda_kernel_destroy,
    .kernel_info = cuda_kernel_info,
    .queue_create = cuda_queue_create,
    .queue_destroy = cuda_queue_destroy,
    .launch = cuda_launch,
    .copy = cuda_copy,
    .fill = cuda_fill,
    .operation = cuda_operation,
    .signal = cuda_signal,
    .batch_end = cuda_batch_end,
};
