/*
 * front.h: a vhost-user front end with no machine behind it. A memfd is its guest memory; it talks
 * to gpud as a guest's driver would, at native speed. Tests, fuzzing and benchmarks use it.
 *
 * One thread at a time uses a front. Functions end the program with a line when the host fails
 * them; what the device answers is a return value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "uapi/virtio_gpgpu.h"

#define FRONT_QUEUE_SIZE 128u
/* Guest memory lies in two regions, so that addresses and offsets in the file differ. */
#define FRONT_HIGH_GUEST 0x100000000ull

struct front_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

enum { FRONT_NEXT = 1, FRONT_WRITE = 2, FRONT_INDIRECT = 4 };

struct front_available {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[FRONT_QUEUE_SIZE];
};

struct front_used {
    uint16_t flags;
    uint16_t index;
    struct {
        uint32_t head;
        uint32_t written;
    } ring[FRONT_QUEUE_SIZE];
};

struct front_queue {
    struct front_descriptor *descriptors;
    struct front_available *available;
    struct front_used *used;
    uint64_t guest; /* of the three, one page each */
    uint16_t used_seen;
    unsigned free_count;
    uint16_t free[FRONT_QUEUE_SIZE];
    uint16_t length[FRONT_QUEUE_SIZE]; /* descriptors of the chain that starts here */
    int kick, call, error;
    uint64_t kicks;  /* sent so far */
    uint64_t chains; /* made available so far */
};

struct front {
    int socket;
    int memory_fd;
    int inflight_fd; /* gpud's notes of what it has in work, for the next gpud */
    uint64_t inflight_bytes;
    uint8_t *memory;
    uint64_t memory_bytes; /* half of it in each region */
    uint64_t allocated;    /* bytes of `memory` given out */
    struct front_queue queues[VGPGPU_QUEUE_COUNT];
    struct vgpgpu_config config;
    uint64_t request_guest; /* room for a control request and its reply */
    uint64_t submit_guest;  /* FRONT_QUEUE_SIZE slots of submit_slot bytes */
    uint64_t submit_slot;
    uint64_t event_guest;
    unsigned events_seen;
    struct vgpgpu_event last_event;
};

/* Starts gpud (`path`, with --device GPUD_DEVICE of the environment) on `socket` and waits until it is ready. Returns its pid. */
pid_t gpud_start(const char *path, const char *socket, const char *cache);
/* The same; what it says goes to log_fd, and at a machine's end it says what was there. */
pid_t gpud_start_counting(const char *path, const char *socket, const char *cache, int log_fd);
/* Ends it with SIGTERM and returns its exit status, or 128 and the signal. */
int gpud_stop(pid_t gpud);

struct front *front_open(const char *socket, uint64_t memory_bytes);
void front_close(struct front *front);
/* Connects anew once gpud has hung up: the rings go on where the used rings say. */
void front_reconnect(struct front *front, const char *socket);

/* Reads of the configuration space, 256 bytes at most. False: refused. */
bool front_config(struct front *front, uint32_t offset, uint32_t size, void *out);

/* Guest memory: zeroed pages that follow each other; guest-physical addresses. */
uint64_t front_pages(struct front *front, uint64_t pages);
void *front_at(struct front *front, uint64_t guest);

/* Lower level, for requests that are wrong on purpose. */
struct front_part {
    uint64_t guest;
    uint32_t bytes;
    bool write;
};
/* Posts a chain and kicks if the device wants it. Returns its head. */
uint16_t front_post(struct front *front, unsigned queue, const struct front_part *parts,
                    unsigned count);
/* Makes descriptor `head` available as it stands, and kicks. */
void front_post_head(struct front *front, unsigned queue, uint16_t head);
/* Takes one used chain, waiting at most timeout_ms (0: only looks). False: none came. */
bool front_take(struct front *front, unsigned queue, int timeout_ms, uint16_t *head,
                uint32_t *written);
/* Disconnects and connects the rings again, as a machine does whose driver resets the device. */
void front_reset(struct front *front);
/* The two halves of that: the rings stand still between them. */
void front_reset_begin(struct front *front);
void front_reset_end(struct front *front);
/* Stops and restarts the rings where they are, as a paused machine does. */
void front_pause(struct front *front);

/*
 * Sends a control request and waits. The reply's payload, NUL-terminated, goes to `text` if given.
 * Returns the reply's status; UINT32_MAX when no reply came in 60 seconds or it was empty.
 */
uint32_t front_request(struct front *front, const void *request, size_t bytes, uint64_t *value,
                       char *text, size_t text_bytes);

/* The requests, well formed. They return the status. */
uint32_t front_context_create(struct front *front, uint32_t context, uint64_t fence_page);
uint32_t front_context_limit(struct front *front, uint32_t context, uint32_t time_ms);
uint32_t front_context_destroy(struct front *front, uint32_t context);
uint32_t front_buffer_guest(struct front *front, uint32_t context, uint32_t buffer, uint64_t size,
                            const struct vgpgpu_segment *segments, uint32_t count);
uint32_t front_buffer_device(struct front *front, uint32_t context, uint32_t buffer, uint64_t size);
uint32_t front_sub_buffer(struct front *front, uint32_t context, uint32_t sub, uint32_t buffer,
                          uint64_t offset, uint64_t size);
uint32_t front_program(struct front *front, uint32_t context, uint32_t program, const char *source,
                       char *log, size_t log_bytes);
/* The same from bytes of any kind. */
uint32_t front_program_kind(struct front *front, uint32_t context, uint32_t program, uint32_t kind,
                            const void *source, size_t bytes, char *log, size_t log_bytes);
/* Of a program or a kernel: copies up to `room` bytes from `offset` on to `out`; *total: how many
 * there are. */
uint32_t front_query(struct front *front, uint32_t context, uint32_t object, uint32_t what,
                     uint64_t offset, void *out, size_t room, uint64_t *total, size_t *came);
uint32_t front_kernel(struct front *front, uint32_t context, uint32_t kernel, uint32_t program,
                      const char *name, uint64_t *arg_count);
uint32_t front_destroy(struct front *front, uint32_t type, uint32_t context, uint32_t object);

/* A batch of commands under construction. */
struct front_batch {
    uint32_t bytes;
    uint32_t last; /* where the newest launch starts */
    _Alignas(8) uint8_t commands[256u << 10];
};
void batch_launch(struct front_batch *batch, uint32_t kernel, uint64_t global, uint64_t local);
void batch_arg_buffer(struct front_batch *batch, uint32_t buffer, uint64_t offset);
void batch_arg_value(struct front_batch *batch, const void *value, uint64_t size);
void batch_arg_local(struct front_batch *batch, uint64_t size);
void batch_copy(struct front_batch *batch, uint32_t source, uint64_t source_offset, uint32_t target,
                uint64_t target_offset, uint64_t length);
void batch_fill(struct front_batch *batch, uint32_t target, uint64_t offset, uint64_t length,
                const void *pattern, uint32_t pattern_bytes);
void batch_copy_2d(struct front_batch *batch, const struct vgpgpu_cmd_copy_2d *copy);
void batch_fill_2d(struct front_batch *batch, const struct vgpgpu_cmd_fill_2d *fill);
void batch_barrier(struct front_batch *batch);
void batch_signal(struct front_batch *batch, uint64_t before);
void batch_operation(struct front_batch *batch, uint16_t operation,
                     const struct vgpgpu_tensor *tensors, uint16_t count, const void *parameters,
                     uint32_t bytes);

void front_submit(struct front *front, uint32_t context, uint32_t queue, uint64_t fence,
                  const void *commands, uint32_t bytes);
/* The same with enum vgpgpu_submit_flags. */
void front_submit_flags(struct front *front, uint32_t context, uint32_t queue, uint64_t fence,
                        uint32_t flags, const void *commands, uint32_t bytes);
/* Sends any bytes as a submission. */
void front_submit_raw(struct front *front, const void *bytes, uint32_t count);

/* Takes events that came and gives their room back. */
void front_events(struct front *front);

/*
 * Waits for a fence: looks for spin_us, then asks for an event and sleeps. 0, or -1 after
 * timeout_ms.
 */
int front_wait(struct front *front, struct vgpgpu_fence_slot *slot, uint64_t fence,
               unsigned spin_us, int timeout_ms);
