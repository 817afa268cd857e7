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

int malv_sub_buffer_create(struct malv_device *device, const struct malv_buffer *buffer, uint64_t offset,
                           uint64_t size, struct malv_buffer *sub)
{
    struct malv_sub_buffer request = {.offset = offset, .size = size, .buffer = buffer->id};
    struct malv_buffer made = {.flags = buffer->flags, .size = size};
    uint64_t inside = (buffer->mmap_offset + offset) % VGPGPU_PAGE; /* its first page */
    memset(sub, 0, sizeof(*sub));
    if (buffer->id == 0 || size == 0 || buffer->flags & MALV_BUFFER_MANAGED) {
        return -EINVAL;
    }
    if (offset > buffer->size || size > buffer->size - offset ||
        offset % device->info.config.offset_align != 0) {
        return -ERANGE;
    }
    int error = malv_ioctl(device, MALV_IOC_SUB_BUFFER, &request);
    if (error == 0) {
        *sub = made;
        sub->id = request.sub_buffer;
        sub->mmap_offset = request.mmap_offset + inside;
    }
    return error == -ENOTTY ? -EOPNOTSUPP : error;
}

int malv_buffer_map(struct malv_device *device, struct malv_buffer *buffer)
{
    if (!(buffer->flags & VGPGPU_BUFFER_GUEST)) {
        return -EINVAL;
    }
    if (buffer->memory != NULL) {
        return 0;
    }
    uint64_t inside = buffer->mmap_offset % VGPGPU_PAGE;
    void *memory = mmap(NULL, inside + buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
                        (off_t)(buffer->mmap_offset - inside));
    if (memory == MAP_FAILED) {
        return -errno;
    }
    buffer->memory = (uint8_t *)memory + inside;
    return 0;
}

void malv_buffer_unmap(struct malv_buffer *buffer)
{
    if (buffer->memory != NULL) {
        uint64_t inside = buffer->mmap_offset % VGPGPU_PAGE;
        munmap((uint8_t *)buffer->memory - inside, inside + buffer->size);
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
