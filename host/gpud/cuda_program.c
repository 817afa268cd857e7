/*
 * cuda_program.c: programs of PTX and of CUDA C, which NVRTC makes PTX of. The PTX is kept: it
 * tells what parameters kernels take, and is a program's binary form.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device_cuda.h"

#define MAX_OPTIONS 64u
#define LOG_BYTES   16384u

/* Cuts the options at blanks, in place, behind the one for the device. */
static int options_split(char *options, const char *own, const char **out)
{
    int count = 0;
    char *rest = NULL;
    out[count++] = own;
    for (char *word = strtok_r(options, " \t\n", &rest); word && count < (int)MAX_OPTIONS;
         word = strtok_r(NULL, " \t\n", &rest))
        out[count++] = word;
    return count;
}

static char *log_get(nvrtc_program program)
{
    size_t bytes = 0;
    if (nvrtc.log_bytes(program, &bytes) || !bytes)
        return NULL;
    char *log = calloc(1, bytes + 1);
    if (log)
        nvrtc.log(program, log);
    return log;
}

static uint32_t ptx_get(nvrtc_program program, char **ptx)
{
    size_t bytes = 0;
    if (nvrtc.ptx_bytes(program, &bytes) || !bytes)
        return VGPGPU_ERR_BUILD;
    *ptx = calloc(1, bytes + 1);
    if (!*ptx)
        return VGPGPU_ERR_NO_MEMORY;
    if (nvrtc.ptx(program, *ptx) == 0)
        return VGPGPU_OK;
    free(*ptx);
    return VGPGPU_ERR_BUILD;
}

static uint32_t cuda_c_compile(const struct device *device, const char *options, const char *source,
                               char **ptx, char **log)
{
    const char *words[MAX_OPTIONS];
    nvrtc_program program;
    char own[48];
    if (!nvrtc_load())
        return VGPGPU_ERR_UNSUPPORTED;
    char *copy = strdup(options);
    if (!copy)
        return VGPGPU_ERR_NO_MEMORY;
    snprintf(own, sizeof(own), "--gpu-architecture=compute_%d%d", device->major, device->minor);
    int count = options_split(copy, own, words);
    uint32_t status =
        nvrtc.create(&program, source, "program.cu", 0, NULL, NULL) ? VGPGPU_ERR_BUILD : VGPGPU_OK;
    if (!status) {
        status = nvrtc.compile(program, count, words) ? VGPGPU_ERR_BUILD : VGPGPU_OK;
        *log = log_get(program);
        if (!status)
            status = ptx_get(program, ptx);
        nvrtc.destroy(&program);
    }
    free(copy);
    return status;
}

static uint32_t module_load(struct device_program *program, char **log)
{
    int options[2] = {CUDA_JIT_ERROR_LOG, CUDA_JIT_ERROR_LOG_BYTES};
    char *text = calloc(1, LOG_BYTES);
    void *values[2] = {text, (void *)(uintptr_t)(LOG_BYTES - 1)};
    if (!text)
        return VGPGPU_ERR_NO_MEMORY;
    cuda_enter(program->context);
    cuda_result result = cuda.module_load(&program->handle, program->ptx, 2, options, values);
    cuda_leave();
    if (result && (!*log || !**log)) { /* the compiler, before, may have had nothing to say */
        free(*log);
        *log = text;
    } else {
        free(text);
    }
    uint32_t status = cuda_status(result);
    return status == VGPGPU_ERR_EXEC ? VGPGPU_ERR_BUILD : status;
}

/* The driver takes machine code, too, in forms with lengths of their own: what is none of text. */
static uint32_t ptx_take(const char *source, size_t bytes, char **ptx, char **log)
{
    if (memchr(source, 0, bytes) || !ptx_is_text(source)) {
        *log = strdup("this is no PTX, which begins with .version");
        return VGPGPU_ERR_BUILD;
    }
    *ptx = strdup(source);
    return *ptx ? VGPGPU_OK : VGPGPU_ERR_NO_MEMORY;
}

uint32_t cuda_program_create(struct device_context *context, uint32_t kind, const char *options,
                             const char *source, size_t source_bytes, struct device_program **out,
                             char **log)
{
    struct device_program *program = calloc(1, sizeof(*program));
    uint32_t status = VGPGPU_ERR_UNSUPPORTED;
    *log = NULL;
    if (!program)
        return VGPGPU_ERR_NO_MEMORY;
    program->context = context;
    atomic_init(&program->references, 1);
    if (kind == VGPGPU_PROGRAM_CUDA_C)
        status = cuda_c_compile(context->device, options, source, &program->ptx, log);
    else if (kind == VGPGPU_PROGRAM_PTX || kind == VGPGPU_PROGRAM_BINARY)
        status = ptx_take(source, source_bytes, &program->ptx, log);
    if (!status)
        status = module_load(program, log);
    if (status) {
        free(program->ptx);
        free(program);
        return status;
    }
    *out = program;
    return VGPGPU_OK;
}

void cuda_program_destroy(struct device_program *program)
{
    if (atomic_fetch_sub(&program->references, 1) != 1)
        return; /* its kernels stay */
    cuda_enter(program->context);
    cuda_status(cuda.module_unload(program->handle));
    cuda_leave();
    free(program->ptx);
    free(program);
}

uint32_t cuda_program_binary(struct device_program *program, void **bytes, size_t *count)
{
    *bytes = strdup(program->ptx);
    *count = strlen(program->ptx);
    return *bytes ? VGPGPU_OK : VGPGPU_ERR_NO_MEMORY;
}

static uint64_t function_attribute(struct device_kernel *kernel, int which)
{
    int value = 0;
    cuda.function_attribute(&value, which, kernel->handle);
    return value > 0 ? (uint64_t)value : 0;
}

/* Whether the driver, if it is new enough to tell, has the same parameters at the same places. */
static bool params_agree(const struct device_kernel *kernel)
{
    size_t offset, bytes;
    if (!cuda.function_param)
        return true;
    for (uint32_t i = 0; i < kernel->param_count; i++)
        if (cuda.function_param(kernel->handle, i, &offset, &bytes) || bytes != kernel->params[i].bytes ||
            offset != kernel->params[i].offset)
            return false;
    return cuda.function_param(kernel->handle, kernel->param_count, &offset, &bytes) != 0;
}

static uint32_t function_find(struct device_kernel *kernel, const char *name)
{
    cuda_enter(kernel->context);
    cuda_result result = cuda.function_get(&kernel->handle, kernel->program->handle, name);
    bool agree = result || params_agree(kernel);
    if (!result)
        kernel->most_items = (uint32_t)function_attribute(kernel, CUDA_FUNCTION_MAX_GROUP);
    cuda_leave();
    return result == CUDA_NOT_FOUND ? VGPGPU_ERR_INVALID : agree ? cuda_status(result) : VGPGPU_ERR_UNSUPPORTED;
}

uint32_t cuda_kernel_create(struct device_program *program, const char *name, uint8_t *wants,
                            uint32_t *arg_count, struct device_kernel **out)
{
    struct device_kernel *kernel = calloc(1, sizeof(*kernel));
    if (!kernel)
        return VGPGPU_ERR_NO_MEMORY;
    kernel->context = program->context;
    kernel->program = program;
    uint32_t status = ptx_params_find(program->ptx, name, kernel->params, &kernel->param_count);
    if (!status)
        status = function_find(kernel, name);
    if (status) {
        free(kernel);
        return status;
    }
    atomic_fetch_add(&program->references, 1);
    *arg_count = kernel->param_count;
    if (kernel->param_count)
        kernel->param_bytes =
            kernel->params[kernel->param_count - 1].offset + kernel->params[kernel->param_count - 1].bytes;
    for (uint32_t i = 0; i < kernel->param_count; i++)
        wants[i] = kernel->params[i].want;
    *out = kernel;
    return VGPGPU_OK;
}

void cuda_kernel_destroy(struct device_kernel *kernel)
{
    struct device_program *program = kernel->program;
    free(kernel); /* the function is its module's */
    cuda_program_destroy(program);
}

uint32_t cuda_kernel_info(struct device_kernel *kernel, struct vgpgpu_kernel_info *info)
{
    int warp = 0;
    cuda_enter(kernel->context);
    cuda.device_attribute(&warp, CUDA_WARP, kernel->context->device->id);
    info->group_multiple = warp > 0 ? (uint64_t)warp : 1;
    info->max_group = function_attribute(kernel, CUDA_FUNCTION_MAX_GROUP);
    info->local_bytes = function_attribute(kernel, CUDA_FUNCTION_SHARED);
    info->private_bytes = function_attribute(kernel, CUDA_FUNCTION_LOCAL);
    cuda_leave();
    return VGPGPU_OK;
}
