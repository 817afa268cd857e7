/*
 * device.c: opens the device file, checks that it is one of ours, maps the fence page.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int malv_ioctl_once(const struct malv_device *device, uint32_t request, void *argument)
{
    return ioctl(device->fd, (unsigned long)request, argument) < 0 ? -errno : 0;
}

int malv_ioctl(const struct malv_device *device, uint32_t request, void *argument)
{
    int error;
    do {
        error = malv_ioctl_once(device, request, argument);
    } while (error == -EINTR);
    return error;
}

int malv_object_destroy(const struct malv_device *device, uint32_t kind, uint32_t object)
{
    struct malv_destroy request = {.kind = kind, .object = object};
    return malv_ioctl(device, MALV_IOC_DESTROY, &request);
}

/* The strings of the configuration are used as C strings from here on. */
static void config_terminate(struct vgpgpu_config *config)
{
    config->backend[sizeof(config->backend) - 1] = '\0';
    config->backend_version[sizeof(config->backend_version) - 1] = '\0';
    config->device_name[sizeof(config->device_name) - 1] = '\0';
}

static int device_identify(struct malv_device *device)
{
    int error = malv_ioctl(device, MALV_IOC_INFO, &device->info);
    if (error == -ENOTTY || error == -EINVAL || error == -ENOSYS) {
        return -EPROTONOSUPPORT;
    }
    if (error != 0) {
        return error;
    }
    if (device->info.abi_version != MALV_ABI_VERSION || device->info.config.magic != VGPGPU_MAGIC) {
        return -EPROTONOSUPPORT;
    }
    config_terminate(&device->info.config);
    return 0;
}

static int fences_map(struct malv_device *device)
{
    void *page =
        mmap(NULL, VGPGPU_PAGE, PROT_READ, MAP_SHARED, device->fd, (off_t)MALV_MMAP_FENCES);
    if (page == MAP_FAILED) {
        return -errno;
    }
    device->fences = page;
    return 0;
}

int malv_device_open(const char *path, struct malv_device **device)
{
    struct malv_device *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return -ENOMEM;
    }
    opened->fd = open(path != NULL ? path : MALV_DEVICE_PATH, O_RDWR | O_CLOEXEC);
    int error = opened->fd < 0 ? -errno : device_identify(opened);
    if (error == 0) {
        error = fences_map(opened);
    }
    if (error != 0) {
        malv_device_close(opened);
        return error;
    }
    *device = opened;
    return 0;
}

void malv_device_close(struct malv_device *device)
{
    if (device == NULL) {
        return;
    }
    if (device->fences != NULL) {
        munmap((void *)device->fences, VGPGPU_PAGE);
    }
    if (device->fd >= 0) {
        close(device->fd);
    }
    free(device);
}

const struct vgpgpu_config *malv_device_config(const struct malv_device *device)
{
    return &device->info.config;
}

int malv_device_limit(struct malv_device *device, uint32_t time_ms)
{
    struct malv_limit request = {.time_ms = time_ms};
    return malv_ioctl(device, MALV_IOC_LIMIT, &request);
}
