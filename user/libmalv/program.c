/*
 * program.c: programs and the kernels in them.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

int malv_program_build(struct malv_device *device, uint32_t kind, const void *source,
                       size_t source_bytes, const char *options, char *log, size_t log_bytes,
                       uint32_t *program)
{
    size_t options_bytes = options != NULL ? strlen(options) : 0;
    if (source_bytes > UINT32_MAX || options_bytes > UINT32_MAX) {
        return -E2BIG;
    }
    if (log != NULL && log_bytes > 0) {
        log[0] = '\0';
    }
    struct malv_program_create request = {
        .source = (uintptr_t)source,
        .options = (uintptr_t)options,
        .log = (uintptr_t)log,
        .source_bytes = (uint32_t)source_bytes,
        .options_bytes = (uint32_t)options_bytes,
        .log_bytes = log == NULL              ? 0
                     : log_bytes > UINT32_MAX ? UINT32_MAX
                                              : (uint32_t)log_bytes,
        .kind = kind,
    };
    int error = malv_ioctl(device, MALV_IOC_PROGRAM_CREATE, &request);
    if (error == 0) {
        *program = request.program;
    }
    return error;
}

int malv_program_destroy(struct malv_device *device, uint32_t program)
{
    return malv_object_destroy(device, MALV_PROGRAM, program);
}

int malv_kernel_create(struct malv_device *device, uint32_t program, const char *name,
                       uint32_t *kernel, uint32_t *arg_count)
{
    struct malv_kernel_create request = {.program = program};
    size_t length = strlen(name);
    if (length >= sizeof(request.name)) {
        return -E2BIG;
    }
    memcpy(request.name, name, length);
    int error = malv_ioctl(device, MALV_IOC_KERNEL_CREATE, &request);
    if (error != 0) {
        return error;
    }
    *kernel = request.kernel;
    if (arg_count != NULL) {
        *arg_count = request.arg_count;
    }
    return 0;
}

int malv_kernel_destroy(struct malv_device *device, uint32_t kernel)
{
    return malv_object_destroy(device, MALV_KERNEL, kernel);
}
