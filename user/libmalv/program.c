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

/* Copies up to `room` bytes of an answer, which comes in pieces; `*total` is how many there are. */
static int object_query(struct malv_device *device, uint32_t what, uint32_t object, void *out,
                        size_t room, uint64_t *total)
{
    uint8_t one[8];
    uint64_t have = 0;
    do {
        struct malv_query request = {.address = (uintptr_t)(room > have ? (uint8_t *)out + have : one),
                                     .offset = have,
                                     .what = what,
                                     .object = object,
                                     .bytes = room > have ? (uint32_t)(room - have < UINT32_MAX
                                                                           ? room - have
                                                                           : UINT32_MAX)
                                                          : (uint32_t)sizeof(one)};
        int error = malv_ioctl(device, MALV_IOC_QUERY, &request);
        if (error != 0) {
            return error;
        }
        *total = request.total;
        if (room <= have || request.bytes == 0) {
            break;
        }
        have += request.bytes;
    } while (have < room && have < *total);
    return 0;
}

int malv_kernel_info(struct malv_device *device, uint32_t kernel, struct vgpgpu_kernel_info *info)
{
    uint64_t total;
    memset(info, 0, sizeof(*info));
    return object_query(device, VGPGPU_QUERY_KERNEL, kernel, info, sizeof(*info), &total);
}

int malv_program_binary(struct malv_device *device, uint32_t program, void *out, size_t room,
                        size_t *bytes)
{
    uint64_t total = 0;
    int error = object_query(device, VGPGPU_QUERY_BINARY, program, out, room, &total);
    if (error == 0) {
        *bytes = total;
    }
    return error;
}
