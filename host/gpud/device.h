/*
 * device.h: what gpud asks of a device, as one table of operations.
 *
 * An implementation owns the real device. Its caller has checked every number against its objects:
 * identifiers, ranges, argument kinds. Statuses are enum vgpgpu_status.
 *
 * Threads: one thread at a time works on a queue (launch, copy, fill, operation, barrier, signal, batch_lend, batch_end),
 * while another may be in its batch_run(); other operations may be called from any thread at the same time. A
 * program, kernel, queue or buffer is destroyed only after every batch that names it has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "uapi/virtio_gpgpu.h"

struct device;
struct device_context;
struct device_buffer;
struct device_program;
struct device_kernel;
struct device_queue;

#define DEVICE_WHY_BYTES 512u /* room for one line that says why something failed */

/* What the configuration space tells of a device. */
struct device_info {
    uint32_t type; /* enum vgpgpu_device_type */
    uint32_t compute_units;
    uint32_t offset_align;  /* bytes, a power of two */
    uint64_t global_memory; /* bytes */
    uint64_t max_buffer;    /* bytes */
    char backend[32];
    char backend_version[32];
    char name[64];
    /* As in the configuration space. */
    uint16_t operations[VGPGPU_OPERATION_ROOM];
    uint32_t program_kinds, features, max_group, max_group_size[3];
    uint64_t local_bytes;
};

/* What a kernel wants as one argument. */
enum device_arg_want {
    DEVICE_ARG_NEVER = 0, /* a kind that cannot be given: images, samplers, pipes */
    DEVICE_ARG_VALUE = VGPGPU_ARG_VALUE,
    DEVICE_ARG_BUFFER = VGPGPU_ARG_BUFFER,
    DEVICE_ARG_LOCAL = VGPGPU_ARG_LOCAL,
    DEVICE_ARG_EITHER, /* 8 bytes that are a number or a buffer: the device cannot tell which */
};

struct device_arg {
    uint32_t kind; /* enum vgpgpu_arg_kind */
    const void *value;
    uint64_t size;
    struct device_buffer *buffer;
    uint64_t offset;
};

struct device_launch {
    struct device_kernel *kernel;
    unsigned dimensions;
    size_t global[3];
    size_t local[3]; /* all 0: the device chooses */
    const struct device_arg *args;
    unsigned arg_count;
};

struct device_copy {
    struct device_buffer *source, *target;
    uint64_t source_offset, target_offset, length;
    uint64_t rows;                       /* of `length` bytes each; 1: the pitches mean nothing */
    uint64_t source_pitch, target_pitch; /* from row to row, bytes */
};

struct device_fill {
    struct device_buffer *target;
    uint64_t offset, length;
    const void *pattern;
    uint32_t pattern_bytes;
};

/* A built-in operation that operation_check() and the buffers' sizes have let pass. */
struct device_operation {
    uint32_t operation; /* enum vgpgpu_operation */
    unsigned tensor_count;
    const struct vgpgpu_tensor *tensors;
    struct device_buffer *const *buffers; /* one for each tensor; NULL: left out */
    const void *parameters;
    uint32_t parameter_bytes;
};

/*
 * Called once a batch has ended, from any thread, in the queue's order or not. Must be short. The
 * times are of the device's clock: when the batch was handed over, and when it had ended.
 */
typedef void (*device_done)(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns);

/* Called once for each signal() of a batch, in the same way, before device_done or after it, in any order. A status:
 * not all that was to end has succeeded, or was begun. `end_ns`: when it had ended. */
typedef void (*device_reached)(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns);

struct device_ops {
    const char *name;

    /* Finds up to `room` devices. 0, or -1 with a line in `why`. */
    int (*list)(struct device_info *infos, unsigned room, unsigned *count, char *why);
    /* `selector` is an index, part of a name, or "auto". 0, or -1 with a line in `why`. */
    int (*open)(const char *selector, struct device **out, struct device_info *info, char *why);
    void (*close)(struct device *device);

    uint32_t (*context_create)(struct device *device, struct device_context **out);
    void (*context_destroy)(struct device_context *context);

    /* `memory`: `size` bytes used in place, the caller's for the buffer's life; NULL: the device's.
     */
    uint32_t (*buffer_create)(struct device_context *context, void *memory, uint64_t size,
                              struct device_buffer **out);
    void (*buffer_destroy)(struct device_buffer *buffer);

    /*
     * Builds. `source` and `options` are NUL-terminated too. *log is the build log, malloc'd, or
     * NULL; the caller frees it.
     */
    uint32_t (*program_create)(struct device_context *context, uint32_t kind, const char *options,
                               const char *source, size_t source_bytes, struct device_program **out,
                               char **log);
    void (*program_destroy)(struct device_program *program);

    /* Fills `wants` (VGPGPU_MAX_ARGS entries of enum device_arg_want) and *arg_count. */
    uint32_t (*kernel_create)(struct device_program *program, const char *name, uint8_t *wants,
                              uint32_t *arg_count, struct device_kernel **out);
    void (*kernel_destroy)(struct device_kernel *kernel);

    /* The built program in the device's own form, for program_create of VGPGPU_PROGRAM_BINARY. The
     * caller frees *bytes. ERR_UNSUPPORTED, ERR_NO_MEMORY. */
    uint32_t (*program_binary)(struct device_program *program, void **bytes, size_t *count);
    /* Fills all but ->arg_count. */
    uint32_t (*kernel_info)(struct device_kernel *kernel, struct vgpgpu_kernel_info *info);

    /* An in-order queue. */
    uint32_t (*queue_create)(struct device_context *context, struct device_queue **out);
    void (*queue_destroy)(struct device_queue *queue);

    /* `last`: a hint that batch_end comes next. */
    uint32_t (*launch)(struct device_queue *queue, const struct device_launch *launch, bool last);
    uint32_t (*copy)(struct device_queue *queue, const struct device_copy *copy, bool last);
    uint32_t (*fill)(struct device_queue *queue, const struct device_fill *fill, bool last);
    /* ERR_UNSUPPORTED: an operation, or types, that this device does not have. */
    uint32_t (*operation)(struct device_queue *queue, const struct device_operation *operation,
                          bool last);
    /* All before ends first. What follows up to batch_end or the next one runs in order or, with
     * `loose`, in any order and at the same time. */
    uint32_t (*barrier)(struct device_queue *queue, bool loose);
    /* Tells when all before it in the queue has ended, and what that wrote to the guest's memory is there. What follows
     * need not wait for it. An error: `reached` is not called. */
    uint32_t (*signal)(struct device_queue *queue, device_reached reached, void *token);
    /*
     * Ends a batch and sets it going: `done` is called exactly once (perhaps before this returns),
     * after all the batch's work has ended. `may_run`: the caller can do the work itself. True: it
     * is to, by one call of batch_run(), and whatever comes into the queue meanwhile waits.
     */
    bool (*batch_end)(struct device_queue *queue, bool may_run, device_done done, void *token);
    /*
     * Has a thread of the device's own call give(data), once and in the queue's order, which gives the queue a whole
     * batch of launches, batch_end() without `may_run` included, and waits for nothing. For a device that has nothing
     * else to do. `narrow`: no launch of it has work for two threads at a time. False: the caller is to give it. NULL:
     * that is always so.
     */
    bool (*batch_lend)(struct device_queue *queue, bool narrow, void (*give)(void *data), void *data);
    /* Does the work that batch_end() left to its caller, to its end. NULL: it never does. */
    void (*batch_run)(struct device_queue *queue);
};

/*
 * The implementation that a selector names, which is then what it means to that: "cuda" and
 * "cuda:WHICH" are CUDA's, all others OpenCL's.
 */
const struct device_ops *device_ops_select(const char **selector);

extern const struct device_ops device_opencl;
extern const struct device_ops device_cuda;
