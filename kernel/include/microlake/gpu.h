/*
 * gpu.h: the GPU as kernel code sees it: device, context, buffer, program, kernel, queue, fence.
 *
 * A context is the unit of isolation and of clean-up: closing it releases everything in it. Objects
 * are numbers 1.. of their context, one number space a kind; they are the very numbers that
 * commands (uapi/virtio_gpgpu.h) carry. lib/gpucmd writes commands, those of the built-in operations
 * on tensors (matrix products and more) too; `operations` of gpu_device_info() says which there are.
 * docs/gpu-in-the-kernel.md has an example.
 *
 * ERR_RANGE is more than the device allows of something, ERR_LIMIT that all numbers are taken,
 * ERR_LOST that the device is gone for good. What is destroyed is gone whatever that returns.
 *
 * Thread context, may sleep, unless said otherwise. A context may be used from several threads at
 * once; only gpu_context_close() must be the last call.
 */
#pragma once

#include <microlake/types.h>
#include "uapi/virtio_gpgpu.h"

struct gpu_device;
struct gpu_context;
struct memobj;

/* ---- Using a device ----------------------------------------------------------------------------
 */

/* What device number nth says of itself; starts it if need be. ERR_NOT_FOUND: no such device. */
int gpu_device_info(unsigned nth, struct vgpgpu_config *out);

/* ERR_NOT_FOUND: no such device. ERR_LIMIT, ERR_NO_MEMORY, ERR_LOST. */
int gpu_context_open(unsigned nth_device, struct gpu_context **out);

/* Gives a context that has no objects and no submissions yet a time limit, once: a submission, or a build,
 * that takes longer fails with the device's timeout and the context is lost; other contexts go on.
 * ERR_INVALID: too late, or 0. ERR_RANGE: the device has no place for more such contexts.
 * ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_LOST. */
int gpu_context_limit(struct gpu_context *ctx, uint32_t time_ms);

/* Ends the context's work and releases all its objects. Memory that is still mapped somewhere lives
 * until it is unmapped. Work that does not come on for gpu.patience seconds (150) is waited for no more: the device
 * is asked to end it, and is lost if it does not. */
void gpu_context_close(struct gpu_context *ctx);

enum gpu_object_kind { GPU_BUFFER, GPU_PROGRAM, GPU_KERNEL, GPU_OBJECT_KINDS };

/* Releases one object. A guest buffer's memory is freed after all work submitted before has ended.
 * ERR_NOT_FOUND. */
int gpu_object_destroy(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id);

/*
 * A flag of gpu_buffer_create() that no device knows, instead of the two others: a managed buffer. It has
 * zeroed memory of this machine and moves to the device when a batch names it, and back when others need
 * the room there (docs/gpu-in-the-kernel.md). Only commands reach its contents.
 */
#define GPU_BUFFER_MANAGED (1u << 16)

/*
 * Creates a buffer of `size` bytes. VGPGPU_BUFFER_GUEST: zeroed pages of this machine, in the
 * largest contiguous blocks to be had. VGPGPU_BUFFER_DEVICE: memory of the device. ERR_INVALID,
 * ERR_RANGE, ERR_LIMIT, ERR_NO_MEMORY, ERR_LOST.
 */
int gpu_buffer_create(struct gpu_context *ctx, uint64_t size, uint32_t flags, uint32_t *id);

/* A buffer over memory that is there already, without a copy. The memory belongs to the caller, who
 * keeps it until the buffer is destroyed or the context closed. Segments as in BUFFER_CREATE. */
int gpu_buffer_wrap(struct gpu_context *ctx, uint64_t size, const struct vgpgpu_segment *segments,
                    uint32_t count, uint32_t *id);

/* A sub-buffer: `size` bytes of a buffer, or of a sub-buffer, from `offset` on, a multiple of offset_align. It is a
 * buffer like any other, without memory of its own; the buffer's memory lives as long as its sub-buffers, whichever is
 * destroyed first. ERR_NOT_FOUND, ERR_INVALID (the buffer is managed, or `size` 0), ERR_RANGE (it leaves the buffer),
 * ERR_LIMIT, ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_LOST. */
int gpu_buffer_sub(struct gpu_context *ctx, uint32_t buffer, uint64_t offset, uint64_t size, uint32_t *id);

/* The kernel's view of a created guest buffer: the address of byte `offset`, and in *run how many
 * bytes are contiguous from there. NULL: no such byte. Valid while the buffer lives. */
void *gpu_buffer_at(struct gpu_context *ctx, uint32_t id, uint64_t offset, uint64_t *run);

/* A created guest buffer, or the fence page, as an object to map into user space. The caller's
 * reference. *first (may be NULL): where the buffer's first byte is in it, not 0 for some sub-buffers, whose object is
 * the whole buffer's. ERR_NOT_FOUND, ERR_INVALID (its memory is not ours), ERR_NO_MEMORY. */
int gpu_buffer_memobj(struct gpu_context *ctx, uint32_t id, struct memobj **out, uint64_t *first);
int gpu_fences_memobj(struct gpu_context *ctx, struct memobj **out);

/* Text of the caller's for gpu_program_build(). log (may be NULL) is NUL-terminated on return. */
struct gpu_program_source {
    uint32_t kind; /* enum vgpgpu_program_kind */
    const char *source, *options;
    uint32_t source_bytes, options_bytes;
    char *log;
    uint32_t log_bytes;
};

/* ERR_BUILD: the log says why. ERR_UNSUPPORTED, ERR_RANGE, ERR_TIMED_OUT, ERR_LOST. */
int gpu_program_build(struct gpu_context *ctx, const struct gpu_program_source *source,
                      uint32_t *id);

/* A kernel of a program by its name. ERR_NOT_FOUND: no such program; other errors are the device's.
 */
int gpu_kernel_create(struct gpu_context *ctx, uint32_t program, const char *name, uint32_t *id,
                      uint32_t *arg_count);

/* Asks about a program or a kernel: `what` of enum vgpgpu_query_what. Copies what there is from `offset` on,
 * up to *bytes, which becomes how many came, perhaps fewer; *total: how many there are in all.
 * ERR_NOT_FOUND, ERR_INVALID, ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_LOST. */
int gpu_query(struct gpu_context *ctx, uint32_t what, uint32_t id, uint64_t offset, void *out,
              uint32_t *bytes, uint64_t *total);

/* ---- Work --------------------------------------------------------------------------------------
 */

/*
 * Room for `command_bytes` (a multiple of 8) of commands, which stand right behind the structure
 * returned: fill them there and give it to gpu_submit(), or free it. NULL: no memory, or more than
 * the device takes. Any context.
 */
struct vgpgpu_submit *gpu_batch_alloc(struct gpu_context *ctx, uint32_t command_bytes);
void gpu_batch_free(struct vgpgpu_submit *batch);

enum gpu_submit_flags {
    GPU_NOWAIT = 1u << 0,    /* any context: ERR_AGAIN instead of waiting for room */
    GPU_UNORDERED = 1u << 1, /* commands between two barriers of the batch may run in any order */
};

/* With the flags: the n values below the fence are the batch's too, for its SIGNALs. They may be waited for. */
#define GPU_SIGNALS(n) ((uint32_t)(n) << 8)

/*
 * Submits to in-order queue 0..63 and takes the batch over, except for ERR_AGAIN. *fence: the value
 * to wait for. ERR_INVALID, ERR_LOST; ERR_INTERRUPTED and, when the device takes nothing for gpu.patience seconds,
 * ERR_TIMED_OUT while it waits for room: nothing was submitted. In a context that has had managed buffers it may sleep whatever the
 * flags (GPU_NOWAIT: ERR_INVALID), the commands are looked at here, and errors are also ERR_RANGE: the
 * managed buffers that the batch names are more than the quota; ERR_NOT_FOUND, ERR_UNSUPPORTED: a number or
 * a command that does not exist; ERR_NO_MEMORY.
 */
int gpu_submit(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch, unsigned flags,
               uint64_t *fence);

/* True when the fence is signalled or never will be. Any context. */
bool gpu_fence_poll(struct gpu_context *ctx, uint32_t queue, uint64_t fence);

/*
 * Waits until time `due` (absolute; TIME_NEVER) for a fence: spins for about as long as this
 * queue's waits usually take when that is short, then sleeps. flags: enum wait_flags. OK when
 * signalled, and then *failed (may be NULL) is the device's status of the queue's first failed
 * submission up to the fence; VGPGPU_ERR_EXEC where that makes no sense. ERR_TIMED_OUT,
 * ERR_INTERRUPTED, ERR_LOST, ERR_INVALID (never submitted).
 */
int gpu_fence_wait(struct gpu_context *ctx, uint32_t queue, uint64_t fence, uint64_t due,
                   unsigned flags, enum vgpgpu_status *failed);

/* The device's statuses as ours. Any context. */
int gpu_status(uint32_t vgpgpu_status);

/* Live objects, for tests that nothing leaks. Any context. */
struct gpu_stats {
    uint64_t devices, contexts;
    uint64_t objects[GPU_OBJECT_KINDS];
    uint64_t
        memory; /* bytes of guest memory in buffers and fence pages, mapped leftovers included */
    uint64_t batches;
    uint64_t submissions, sleeps; /* since the start: batches submitted; waits that slept */
    uint64_t managed, resident;   /* bytes of managed buffers, and of those on the device */
    uint64_t moved_in, moved_out; /* since the start: bytes that managed buffers were moved */
    uint64_t touched;             /* since the start: bytes of the managed buffers that batches named */
    uint64_t evictions, prefetches;
};
void gpu_stats(struct gpu_stats *out);

/* How many bytes of managed buffers may lie on device number nth. At first what the option gpu.quota=BYTES
 * says, else all memory that the device has; `fresh` (may be NULL) from now on. Less than lies there is reached
 * as batches end. ERR_NOT_FOUND. */
int gpu_quota(unsigned nth, const uint64_t *fresh, uint64_t *now);

/* ---- Being a device ----------------------------------------------------------------------------
 */

/* A new object on the device. */
struct gpu_create {
    enum gpu_object_kind kind;
    uint32_t context, id;
    union {
        struct {
            uint64_t size;
            uint32_t flags, count;
            const struct vgpgpu_segment *segments;
            uint64_t offset; /* of a sub-buffer: `size` bytes of `parent` from there on, and none of these three */
            uint32_t parent; /* 0: it is none */
        } buffer;
        const struct gpu_program_source *program;
        struct {
            uint32_t program;
            const char *name;
            uint32_t arg_count; /* out */
        } kernel;
    };
};

/* A question about an object, as in gpu_query(). */
struct gpu_question {
    uint32_t context, what, id;
    uint64_t offset;
    void *out;
    uint32_t bytes; /* room, then how many came */
    uint64_t total; /* out */
};

/*
 * A driver's operations; `driver` is what it registered with. Thread context and sleeping allowed,
 * but for submit. The object layer calls with valid numbers only and never destroys what it did not
 * create; it does not serialise calls, apart from `start`.
 */
struct gpu_driver_ops {
    size_t struct_size; /* sizeof(struct gpu_driver_ops) */
    /* Once, before anything else, at the first use; fills *config. */
    int (*start)(void *driver, struct vgpgpu_config *config);
    int (*context_create)(void *driver, uint32_t context, paddr_t fence_page);
    int (*context_limit)(void *driver, uint32_t context, uint32_t time_ms);
    int (*context_destroy)(void *driver, uint32_t context);
    int (*create)(void *driver, struct gpu_create *what);
    int (*destroy)(void *driver, uint32_t context, enum gpu_object_kind kind, uint32_t id);
    int (*query)(void *driver, struct gpu_question *question);
    /* Any context. Takes the batch over on OK, to free it with gpu_batch_free(). ERR_AGAIN: full.
     */
    int (*submit)(void *driver, struct vgpgpu_submit *batch);
    /* Sleeps until submit may have room again. ERR_LOST, ERR_INTERRUPTED, ERR_TIMED_OUT at time `due`. */
    int (*submit_wait)(void *driver, uint64_t due);
    /* ERR_LOST once the device is known to be gone; called now and then by those who wait long. */
    int (*alive)(void *driver);
    /* It does what no device does: "the device `what`". Any context. */
    void (*lose)(void *driver, const char *what);
};

/* The device exists from now on. ERR_INVALID, ERR_NO_MEMORY, ERR_LIMIT. */
int gpu_device_register(const struct gpu_driver_ops *ops, void *driver, struct gpu_device **out);

/* Takes the device away. ERR_BUSY while contexts are open. */
int gpu_device_unregister(struct gpu_device *device);

/* A fence somebody sleeps for may have been signalled. Any context. */
void gpu_fence_event(struct gpu_device *device, uint32_t context);

/* Whether submissions of a context, which is open, are still to end. Any context. */
bool gpu_is_working(struct gpu_device *device, uint32_t context);

/* Adds the class "gpu_memory"; once, at start. */
void gpu_memory_start(void);

/* The device is gone for good: every wait ends with ERR_LOST, and so does every call. Any context.
 */
void gpu_device_lost(struct gpu_device *device);
