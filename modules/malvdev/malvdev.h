/*
 * malvdev.h: what the files of /dev/malv0 share.
 */
#pragma once

#include <microlake/gpu.h>

/* One open file: one context. Nothing in it changes after open; the object layer locks. */
struct malv_file {
    struct gpu_context *ctx;
    struct vgpgpu_config config;
};

/* mmap offsets of buffers: the number above, bytes below. Number 0 is the fence page. */
#define MALV_OFFSET_SHIFT 40

long malv_ioctl(void *file, unsigned command, uint64_t argument);

/* Our statuses, and the device's, as the errnos that uapi/malv.h promises. */
long malv_errno(int status);
long malv_errno_of_device(uint32_t vgpgpu_status);
