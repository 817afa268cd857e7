/*
 * malvdev.h: what the files of /dev/malv0 share.
 */
#pragma once

#include <microlake/gpu.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_dev.h"

struct malv_watch;

/* One open file: one context, which locks for itself. */
struct malv_file {
    struct gpu_context *ctx;
    struct vgpgpu_config config;
    struct mutex lock;          /* of what follows (watch.c) */
    struct malv_watch *watches; /* one a queue; NULL: nobody has asked yet. Read without the lock */
    struct linux_poll_source source;
    bool closing; /* set once */
};

/* mmap offsets of buffers: the number above, bytes below. Number 0 is the fence page. */
#define MALV_OFFSET_SHIFT 40

long malv_ioctl(void *file, unsigned command, uint64_t argument);

/* poll() says that this fence (0: none any more) of a queue is signalled. Errors as gpu_fence_wait(); ERR_INVALID too
 * when it is lower than one that is still waited for. */
int malv_notify(struct malv_file *f, uint32_t queue, uint64_t fence);
unsigned malv_poll(void *file, struct linux_poll_source **source);
void malv_watches_close(struct malv_file *f);

/* Our statuses, and the device's, as the errnos that uapi/malv.h promises. */
long malv_errno(int status);
long malv_errno_of_device(uint32_t vgpgpu_status);
