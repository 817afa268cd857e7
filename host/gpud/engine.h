/*
 * engine.h: the device process of one machine: the real device, builds and a guest's kernels, which
 * are machine code in it where the device is the host's processor. It believes its front, and may be
 * ended at any time. engine.c brings it up and keeps what it has; engine_requests.c answers the
 * front; engine_messages.c takes batches and destructions, engine_batch.c gives batches to the device.
 *
 * Threads: the main thread answers requests; the runner takes messages, and carries out what the
 * device leaves to it; meanwhile the standby takes them; the device's own report ends, and may give a batch.
 */
#pragma once

#include <pthread.h>
#include <sys/types.h>
#include "link.h"
#include "sandbox.h"
#include "submit_decode.h"

struct engine_settings {
    const struct device_ops *ops;
    const char *selector;
    enum sandbox_kind sandbox;
    const char *folder; /* for temporary files and built kernels, */
    uid_t user;         /* whose it is, and the process will be */
    int socket;         /* to the front */
    int shared;         /* a struct link_shared */
    int ended;          /* eventfd: wakes the front */
    uint64_t memory;    /* bytes of the host's that the machine's buffers may take; 0: nobody bounds them */
};

enum thing_kind {
    THING_NONE,
    THING_CONTEXT,
    THING_QUEUE,
    THING_BUFFER,
    THING_PROGRAM,
    THING_KERNEL,
    THING_KINDS
};

/* What a handle stands for. */
struct thing {
    enum thing_kind kind;
    union {
        struct device_context *context;
        struct device_program *program;
        struct device_kernel *kernel;
        struct {
            struct device_queue *device; /* NULL: it could not be made, and its batches fail */
            uint32_t status;             /* then why */
        } queue;
        struct {
            struct device_buffer *device;
            struct guest_span span; /* memory NULL: the device's own memory */
        } buffer;
    };
    struct object_facts facts; /* of a buffer or a kernel */
};

struct engine {
    const struct device_ops *ops;
    struct device *device;
    struct device_info info;
    struct link_shared *shared;
    int socket;
    int ended_fd;
    struct guest_memory *memory; /* main thread: the newest table */
    pthread_mutex_t lock;
    struct thing **things;       /* lock: by handle */
    uint32_t room;               /* lock */
    uint32_t counts[THING_KINDS]; /* lock */
    atomic_uint running;         /* batches */
    pthread_mutex_t take_lock; /* held while messages are taken; then the lock above */
    bool runner_works;         /* take_lock: the runner carries out a batch itself */
    pthread_mutex_t ends_lock;
    uint64_t ended; /* ends_lock: what ->shared says */
};

/* Serves the front until it has gone, and does not return. */
_Noreturn void engine_main(const struct engine_settings *settings);

/* A new thing, not yet known by its handle; or NULL. */
struct thing *thing_new(enum thing_kind kind);
/* Makes it known. False: no memory. */
bool thing_add(struct engine *engine, uint32_t handle, struct thing *thing);
/* NULL: the handle stands for nothing of that kind. */
struct thing *thing_find(struct engine *engine, enum thing_kind kind, uint32_t handle);
/* Destroys what a handle stands for. */
void thing_destroy(struct engine *engine, uint32_t handle);

/* engine_messages.c: bodies of the threads. */
void *engine_runner_run(void *engine);
void *engine_standby_run(void *engine);
/* engine_requests.c: answers until the front has gone. */
void engine_requests_serve(struct engine *engine);
