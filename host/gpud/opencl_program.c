/* opencl_program.c: builds programs and finds out what their kernels want. */
#include "device_opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *build_log_get(cl_program program, cl_device_id device)
{
    size_t bytes = 0;
    if (opencl.GetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) ||
        !bytes)
        return NULL;
    char *log = calloc(1, bytes + 1);
    if (log &&
        opencl.GetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, bytes, log, NULL)) {
        free(log);
        log = NULL;
    }
    return log;
}

static cl_program handle_create(struct device_context *context, uint32_t kind, const char *source,
                                size_t source_bytes, uint32_t *status)
{
    cl_int error = CL_SUCCESS;
    cl_program handle = NULL;
    if (kind == VGPGPU_PROGRAM_OPENCL_C) {
        handle = opencl.CreateProgramWithSource(context->handle, 1, &source, &source_bytes, &error);
        *status = opencl_status(error);
    } else if (kind == VGPGPU_PROGRAM_SPIRV && context->device->spirv) {
        handle = opencl.CreateProgramWithIL(context->handle, source, source_bytes, &error);
        *status = error ? VGPGPU_ERR_BUILD : VGPGPU_OK;
    } else if (kind == VGPGPU_PROGRAM_BINARY) {
        const unsigned char *bytes = (const unsigned char *)source;
        handle = opencl.CreateProgramWithBinary(context->handle, 1, &context->device->id,
                                                &source_bytes, &bytes, NULL, &error);
        *status = error ? VGPGPU_ERR_BUILD : VGPGPU_OK;
    } else {
        *status = VGPGPU_ERR_UNSUPPORTED;
    }
    return handle;
}

/* Argument information is what tells a buffer from a number: without it no kernel is run. */
static char *options_extend(const char *options)
{
    char *extended = NULL;
    if (asprintf(&extended, "%s -cl-kernel-arg-info", options) < 0)
        return NULL;
    return extended;
}

uint32_t opencl_program_create(struct device_context *context, uint32_t kind, const char *options,
                               const char *source, size_t source_bytes, struct device_program **out,
                               char **log)
{
    uint32_t status;
    *log = NULL;
    struct device_program *program = calloc(1, sizeof(*program));
    char *extended = options_extend(options);
    if (!program || !extended) {
        free(program);
        free(extended);
        return VGPGPU_ERR_NO_MEMORY;
    }
    program->context = context;
    program->handle = handle_create(context, kind, source, source_bytes, &status);
    if (program->handle) {
        cl_device_id id = context->device->id;
        cl_int error = opencl.BuildProgram(program->handle, 1, &id, extended, NULL, NULL);
        status = error ? VGPGPU_ERR_BUILD : VGPGPU_OK;
        *log = build_log_get(program->handle, id);
    }
    free(extended);
    if (status) {
        if (program->handle)
            opencl.ReleaseProgram(program->handle);
        free(program);
        return status;
    }
    *out = program;
    return VGPGPU_OK;
}

void opencl_program_destroy(struct device_program *program)
{
    opencl.ReleaseProgram(program->handle);
    free(program);
}

/* Handles of the host must never come from a guest's bytes: such kinds are never given. */
static bool type_is_handle(const char *type)
{
    static const char *const handles[] = {"sampler_t", "event_t", "clk_event_t", "queue_t",
                                          "reserve_id_t"};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        if (strcmp(type, handles[i]) == 0)
            return true;
    return strncmp(type, "image", 5) == 0 || strncmp(type, "pipe", 4) == 0;
}

/* Bytes of a number, or of a vector of them, by its type's name; 0: it is none. */
static uint8_t number_bytes(const char *type)
{
    static const struct {
        const char *name;
        uint8_t bytes;
    } numbers[] = {{"char", 1}, {"uchar", 1}, {"short", 2}, {"ushort", 2}, {"half", 2},  {"int", 4},
                   {"uint", 4}, {"float", 4}, {"long", 8},  {"ulong", 8},  {"double", 8}};
    static const struct {
        const char *name;
        uint8_t count;
    } vectors[] = {{"", 1}, {"2", 2}, {"3", 4}, {"4", 4}, {"8", 8}, {"16", 16}};
    size_t letters = strcspn(type, "0123456789");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        for (size_t j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++)
            if (strlen(numbers[i].name) == letters && strncmp(type, numbers[i].name, letters) == 0 &&
                strcmp(type + letters, vectors[j].name) == 0)
                return (uint8_t)(numbers[i].bytes * vectors[j].count);
    return 0;
}

static cl_int arg_want(cl_kernel kernel, cl_uint index, uint8_t *want, uint8_t *bytes)
{
    cl_kernel_arg_address_qualifier place = 0;
    char type[256] = "";
    cl_int error = opencl.GetKernelArgInfo(kernel, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER,
                                           sizeof(place), &place, NULL);
    if (!error)
        error = opencl.GetKernelArgInfo(kernel, index, CL_KERNEL_ARG_TYPE_NAME, sizeof(type), type,
                                        NULL);
    if (error)
        return error;
    bool pointer = strchr(type, '*') != NULL;
    *bytes = number_bytes(type);
    if (!pointer && type_is_handle(type))
        *want = DEVICE_ARG_NEVER;
    else if (place == CL_KERNEL_ARG_ADDRESS_LOCAL)
        *want = DEVICE_ARG_LOCAL;
    else if (place == CL_KERNEL_ARG_ADDRESS_PRIVATE)
        *want = DEVICE_ARG_VALUE;
    else
        *want = DEVICE_ARG_BUFFER;
    return CL_SUCCESS;
}

/* What is left of a work-group's local memory beside the kernel's own. */
static uint64_t local_bytes_left(const struct device *device, cl_kernel kernel)
{
    cl_ulong own = 0;
    opencl.GetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof(own), &own,
                                  NULL);
    return own < device->local_bytes ? device->local_bytes - own : 0;
}

static uint32_t kernel_inspect(struct device_kernel *kernel, uint8_t *wants, uint32_t *arg_count)
{
    cl_uint count = 0;
    if (opencl.GetKernelInfo(kernel->handle, CL_KERNEL_NUM_ARGS, sizeof(count), &count, NULL))
        return VGPGPU_ERR_EXEC;
    if (count > VGPGPU_MAX_ARGS)
        return VGPGPU_ERR_LIMIT;
    for (cl_uint i = 0; i < count; i++)
        if (arg_want(kernel->handle, i, &wants[i], &kernel->value_bytes[i]))
            return VGPGPU_ERR_UNSUPPORTED;
    *arg_count = count;
    return VGPGPU_OK;
}

uint32_t opencl_kernel_create(struct device_program *program, const char *name, uint8_t *wants,
                              uint32_t *arg_count, struct device_kernel **out)
{
    struct device_kernel *kernel = calloc(1, sizeof(*kernel));
    if (!kernel)
        return VGPGPU_ERR_NO_MEMORY;
    cl_int error;
    kernel->handle = opencl.CreateKernel(program->handle, name, &error);
    uint32_t status = error == CL_INVALID_KERNEL_NAME ? VGPGPU_ERR_INVALID : opencl_status(error);
    if (!status) {
        status = kernel_inspect(kernel, wants, arg_count);
        if (status)
            opencl.ReleaseKernel(kernel->handle);
    }
    if (status) {
        free(kernel);
        return status;
    }
    kernel->device = program->context->device->id;
    kernel->local_bytes = local_bytes_left(program->context->device, kernel->handle);
    *out = kernel;
    return VGPGPU_OK;
}

void opencl_kernel_destroy(struct device_kernel *kernel)
{
    opencl.ReleaseKernel(kernel->handle);
    free(kernel);
}

uint32_t opencl_program_binary(struct device_program *program, void **bytes, size_t *count)
{
    size_t size = 0;
    cl_int error = opencl.GetProgramInfo(program->handle, CL_PROGRAM_BINARY_SIZES, sizeof(size),
                                         &size, NULL);
    if (error || !size)
        return VGPGPU_ERR_UNSUPPORTED;
    unsigned char *binary = malloc(size);
    if (!binary)
        return VGPGPU_ERR_NO_MEMORY;
    error = opencl.GetProgramInfo(program->handle, CL_PROGRAM_BINARIES, sizeof(binary), &binary,
                                  NULL);
    if (error) {
        free(binary);
        return VGPGPU_ERR_UNSUPPORTED;
    }
    *bytes = binary;
    *count = size;
    return VGPGPU_OK;
}

/* What a driver does not tell stays 0. */
uint32_t opencl_kernel_info(struct device_kernel *kernel, struct vgpgpu_kernel_info *info)
{
    size_t group = 0, multiple = 0;
    cl_ulong local = 0, private = 0;
    opencl.GetKernelWorkGroupInfo(kernel->handle, kernel->device, CL_KERNEL_WORK_GROUP_SIZE,
                                  sizeof(group), &group, NULL);
    opencl.GetKernelWorkGroupInfo(kernel->handle, kernel->device,
                                  CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof(multiple),
                                  &multiple, NULL);
    opencl.GetKernelWorkGroupInfo(kernel->handle, kernel->device, CL_KERNEL_LOCAL_MEM_SIZE,
                                  sizeof(local), &local, NULL);
    opencl.GetKernelWorkGroupInfo(kernel->handle, kernel->device, CL_KERNEL_PRIVATE_MEM_SIZE,
                                  sizeof(private), &private, NULL);
    info->max_group = group;
    info->group_multiple = multiple;
    info->local_bytes = local;
    info->private_bytes = private;
    return VGPGPU_OK;
}
