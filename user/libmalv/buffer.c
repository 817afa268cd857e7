/*
 * buffer.c: buffers, and the mapping of those in guest memory.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int malv_buffer_create(struct malv_device *device, uint64_t size, uint32_t flags,
                       struct malv_buffer *buffer)
{
    memset(buffer, 0, sizeof(*buffer));
    struct malv_buffer_create request = {.size = size, .flags = flags};
    int error = malv_ioctl(device, MALV_IOC_BUFFER_CREATE, &request);
    if (error == 0) {
        buffer->id = request.buffer;
        buffer->flags = flags;
        buffer->size = size;
        buffer->mmap_offset = request.mmap_offset;
    }
    return error;
}

int malv_buffer_map(struct malv_device *device, struct malv_buffer *buffer)
{
    if (!(buffer->flags & VGPGPU_BUFFER_GUEST)) {
        return -EINVAL;
    }
    if (buffer->memory != NULL) {
        return 0;
    }
    void *memory = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
                        (off_t)buffer->mmap_offset);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    buffer->memory = memory;
    return 0;
}

void malv_buffer_unmap(struct malv_buffer *buffer)
{
    if (buffer->memory != NULL) {
        munmap(buffer->memory, buffer->size);
        buffer->memory = NULL;
    }
}

int malv_buffer_destroy(struct malv_device *device, struct malv_buffer *buffer)
{
    if (buffer->id == 0) {
        return 0;
    }
    malv_buffer_unmap(buffer);
    int error = malv_object_destroy(device, MALV_BUFFER, buffer->id);
    memset(buffer, 0, sizeof(*buffer));
    return error;
}
