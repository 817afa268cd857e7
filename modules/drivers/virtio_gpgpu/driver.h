/*
 * driver.h: what the files of the virtio-gpgpu driver share.
 *
 * The driver does not trust the device: a length, status or number that makes no sense ends in an
 * error or in gpgpu_lost(), which resets the device and gives all waiters ERR_LOST.
 */
#pragma once

#include <microlake/gpu.h>
#include <microlake/wait.h>

#include "modules/drivers/virtio/include/virtio.h"

/* Threads that sleep until a queue gives something back; interrupts are on while there are some. */
struct gpgpu_sleepers {
    struct spinlock lock;
    unsigned count; /* guarded by lock */
    struct wait_queue queue;
};

#define GPGPU_RESERVE 64u

struct gpgpu {
    struct virtio_device *virtio;
    struct gpu_device *gpu;
    struct vgpgpu_config config;
    struct virtio_queue *control, *submit, *event;
    struct gpgpu_sleepers control_sleepers, submit_sleepers;
    struct mutex reserve_lock;
    void
        *reserve; /* GPGPU_RESERVE bytes for one request without payload; guarded by reserve_lock */
    struct vgpgpu_event *events; /* one page, shared with the device */
    uint32_t late;               /* requests outstanding that are answered late; atomic */
    struct wait_queue late_room; /* for LATE_MAX of them */
    uint32_t slow;               /* requests outstanding that build or start something; atomic */
    bool ready;                  /* set once the queues are there */
    bool lost;                   /* set once */
};

/* The device is of no use any more. Any context. */
void gpgpu_lost(struct gpgpu *g);

/* The same with a line in the log: "the device `what`". */
void gpgpu_lose(void *driver, const char *what);

/* ERR_LOST, and all that belongs to it, when the device says that it has given up. Any context. */
int gpgpu_status_check(struct gpgpu *g);

/* Around a sleep on a queue's sleepers. */
void sleepers_enter(struct gpgpu_sleepers *s, struct virtio_queue *q);
void sleepers_leave(struct gpgpu_sleepers *s, struct virtio_queue *q);

/* ---- control.c
 * ----------------------------------------------------------------------------------- */

/*
 * One control request: `request` and `reply` are heap memory. Sleeps. OK when the device answered
 * with at least a reply's header and a payload length that fits what it wrote; *header is a copy
 * that the device can't change, and the status in it the caller's to look at. ERR_LOST.
 */
int gpgpu_request(struct gpgpu *g, const void *request, uint32_t request_bytes, const void *reply,
                  uint32_t reply_room, struct vgpgpu_reply *header);
void gpgpu_control_used(struct virtio_queue *q);
void gpgpu_control_lost(struct gpgpu *g);

/* ---- objects.c: gpu_driver_ops
 * -------------------------------------------------------------------- */

int gpgpu_context_create(void *driver, uint32_t context, paddr_t fence_page);
int gpgpu_context_limit(void *driver, uint32_t context, uint32_t time_ms);
int gpgpu_context_destroy(void *driver, uint32_t context);
int gpgpu_create(void *driver, struct gpu_create *what);
/* As gpgpu_status_check(), and asks the device something trivial, to see whether it answers. Without memory
 * nothing is asked. */
int gpgpu_alive(void *driver);

int gpgpu_destroy(void *driver, uint32_t context, enum gpu_object_kind kind, uint32_t id);
int gpgpu_query(void *driver, struct gpu_question *question);

/* ---- submit.c
 * ------------------------------------------------------------------------------------ */

int gpgpu_submit(void *driver, struct vgpgpu_submit *batch);
int gpgpu_submit_wait(void *driver, uint64_t due);
void gpgpu_submit_reap(struct gpgpu *g); /* frees batches that the device has read */
void gpgpu_submit_used(struct virtio_queue *q);
void gpgpu_submit_lost(struct gpgpu *g);

/* ---- event.c
 * ------------------------------------------------------------------------------------- */

int gpgpu_events_start(struct gpgpu *g);
void gpgpu_event_used(struct virtio_queue *q);
