/*
 * internal.h: what libmalv's files share.
 */
#pragma once

#include "user/libmalv/malv.h"

/* Never changes after malv_device_open: no lock is needed. */
struct malv_device {
    int fd;
    const volatile struct vgpgpu_fence_slot *fences; /* VGPGPU_QUEUES_PER_CONTEXT of them */
    struct malv_info info;
};

/* ioctl that gives 0 or a negative errno, -EINTR when a signal came in. */
int malv_ioctl_once(const struct malv_device *device, uint32_t request, void *argument);

/* The same that goes on after a signal. */
int malv_ioctl(const struct malv_device *device, uint32_t request, void *argument);

/* Ends an object of enum malv_object_kind. */
int malv_object_destroy(const struct malv_device *device, uint32_t kind, uint32_t object);
