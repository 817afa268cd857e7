/*
 * malv.h: libmalv, the C API of the GPU for programs.
 *
 *     open a device -> create buffers, programs, kernels -> record a batch -> submit -> wait
 *
 * It speaks uapi/malv.h to a device file and depends on no particular guest kernel. Functions
 * return 0 or a negative errno (the list is in uapi/malv.h; malv_error_text says it in words). All
 * sizes and offsets are bytes, all times nanoseconds.
 *
 * Objects belong to the device they were created on and end at the latest when it is closed. One
 * device may be used by many threads at once; one batch by one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define _Static_assert static_assert
#endif
#include "lib/gpucmd/tensor.h"
#include "uapi/malv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* libmalv.so shows programs what is declared from here to the end, and nothing else. */
#pragma GCC visibility push(default)

/* ---- Device ---------------------------------------------------------------------------------- */

struct malv_device;

/*
 * Opens a device: the file `path`, or MALV_DEVICE_PATH when it is NULL. The caller owns `*device`
 * and ends it with malv_device_close. -ENOENT or -ENODEV: there is none; -EPROTONOSUPPORT: the file
 * is no such device, or speaks another version.
 */
int malv_device_open(const char *path, struct malv_device **device);

/*
 * Ends a device with everything that was created on it; mappings of its buffers stay until
 * malv_buffer_unmap. NULL is allowed.
 */
void malv_device_close(struct malv_device *device);

/* What the device is and its limits. Valid until the device is closed. */
const struct vgpgpu_config *malv_device_config(const struct malv_device *device);

/*
 * The types that a built-in operation (enum vgpgpu_operation) takes on this device, as bits:
 * 1 << enum vgpgpu_type. 0: the device does not have the operation.
 */
static inline uint32_t malv_operation_types(const struct malv_device *device, uint32_t operation)
{
    return operation < VGPGPU_OPERATION_ROOM ? malv_device_config(device)->operations[operation] : 0;
}

/*
 * The name of a built-in operation, "gemm", or of a type of numbers (enum vgpgpu_type), "f32". NULL:
 * this libmalv knows no such number.
 */
const char *malv_operation_name(uint32_t operation);
const char *malv_type_name(uint32_t type);

/*
 * Gives a device that has no objects and no submissions yet a time limit, once. A submission or a build that
 * takes longer ends with -ETIME, and everything made on the device is lost then (-ENODEV): close it. Others that
 * have the device open go on. -EINVAL: too late, or 0; -E2BIG: too many programs have limits.
 */
int malv_device_limit(struct malv_device *device, uint32_t time_ms);

/* ---- Buffers --------------------------------------------------------------------------------- */

/* A buffer. The fields are the caller's to read, libmalv's to write. */
struct malv_buffer {
    uint32_t id;    /* names the buffer in commands; 0: none */
    uint32_t flags; /* VGPGPU_BUFFER_GUEST, VGPGPU_BUFFER_DEVICE or MALV_BUFFER_MANAGED */
    uint64_t size;
    uint64_t mmap_offset; /* where its first byte is to be mapped from */
    void *memory;         /* where malv_buffer_map put it, or NULL */
};

/*
 * Creates a buffer of `size` bytes: VGPGPU_BUFFER_GUEST in the program's reach, used in place by
 * the device, VGPGPU_BUFFER_DEVICE in the device's own memory, or MALV_BUFFER_MANAGED, zeroed, in the
 * one or the other as there is room (uapi/malv.h). On an error `*buffer` is all zero.
 */
int malv_buffer_create(struct malv_device *device, uint64_t size, uint32_t flags,
                       struct malv_buffer *buffer);

/*
 * Makes `*sub` a sub-buffer: `size` bytes of `buffer`, which may be one itself, from `offset` on, a multiple of the
 * device's offset_align. It is used like any buffer and ended by malv_buffer_destroy, before its buffer or after it: the
 * memory lives as long as one of them. Nothing in a batch reaches beyond it but a kernel. -EINVAL: `size` 0, or `buffer`
 * is MANAGED; -ERANGE: outside of the buffer, or between two multiples; -EOPNOTSUPP: the device has none
 * (VGPGPU_FEATURE_SUB_BUFFER). On an error `*sub` is all zero.
 */
int malv_sub_buffer_create(struct malv_device *device, const struct malv_buffer *buffer, uint64_t offset,
                           uint64_t size, struct malv_buffer *sub);

/*
 * Maps a GUEST buffer; the address is buffer->memory, page-aligned, but for a sub-buffer. What the program writes before
 * a submit the device sees, and what the device writes the program sees after the wait. -EINVAL for
 * any other buffer. Mapping it again changes nothing.
 */
int malv_buffer_map(struct malv_device *device, struct malv_buffer *buffer);

/* Undoes malv_buffer_map. A buffer that is not mapped is left alone. */
void malv_buffer_unmap(struct malv_buffer *buffer);

/*
 * Unmaps and destroys a buffer and makes `*buffer` all zero. Wait for the work that uses it first.
 * A buffer that is all zero is left alone.
 */
int malv_buffer_destroy(struct malv_device *device, struct malv_buffer *buffer);

/* ---- Programs and kernels -------------------------------------------------------------------- */

/*
 * Builds a program from `source_bytes` bytes of source (it need not end in NUL) of a kind of enum
 * vgpgpu_program_kind. `options` are the compiler's, NULL for none. When `log` is not NULL its
 * `log_bytes` bytes get the build log, NUL-terminated and cut to fit, on success too. -ENOEXEC: it
 * does not build, the log says why; -EOPNOTSUPP: not a kind that this back end takes.
 */
int malv_program_build(struct malv_device *device, uint32_t kind, const void *source,
                       size_t source_bytes, const char *options, char *log, size_t log_bytes,
                       uint32_t *program);

/* Destroys a program. Its kernels stay usable. */
int malv_program_destroy(struct malv_device *device, uint32_t program);

/*
 * Makes the kernel `name` of a program; `*arg_count`, if not NULL, gets the number of its
 * arguments. -ENOENT: the program has none of that name; -E2BIG: the name is longer than 63 bytes.
 */
int malv_kernel_create(struct malv_device *device, uint32_t program, const char *name,
                       uint32_t *kernel, uint32_t *arg_count);

int malv_kernel_destroy(struct malv_device *device, uint32_t kernel);

/* What the device tells of a kernel; what it does not tell is 0. -ENOENT: no such kernel. */
int malv_kernel_info(struct malv_device *device, uint32_t kernel, struct vgpgpu_kernel_info *info);

/*
 * The built program in the device's own form, to build it from with VGPGPU_PROGRAM_BINARY on the same device.
 * `*bytes` is how many there are, of which the first `room` go to `out`, NULL if there is no room. -ENOENT: no such
 * program; -EOPNOTSUPP: the device gives none.
 */
int malv_program_binary(struct malv_device *device, uint32_t program, void *out, size_t room,
                        size_t *bytes);

/* ---- Batches --------------------------------------------------------------------------------- */

/*
 * A recorded list of commands. It grows as needed. The first call that fails sets `error`; the
 * calls after it and malv_submit then return that error, so that it is enough to look once.
 */
struct malv_batch {
    uint8_t *bytes; /* commands in the device's layout (uapi/virtio_gpgpu.h) */
    size_t used;
    size_t capacity;
    int error; /* 0 or a negative errno */
};

/* One argument of a launch. Made by the functions below; `value` is read during malv_batch_launch.
 */
struct malv_arg {
    uint16_t kind;   /* enum vgpgpu_arg_kind */
    uint16_t hint;   /* BUFFER that is managed: enum malv_arg_hint, or 0; else 0 */
    uint32_t object; /* BUFFER: its id */
    uint64_t offset; /* BUFFER: bytes, a multiple of the device's offset_align */
    uint64_t size;   /* VALUE, LOCAL */
    const void *value;
};

/* A buffer, from `offset` on. */
static inline struct malv_arg malv_arg_buffer(const struct malv_buffer *buffer, uint64_t offset)
{
    return (struct malv_arg){.kind = VGPGPU_ARG_BUFFER, .object = buffer->id, .offset = offset};
}

/* The same with what the kernel does to the buffer, enum malv_arg_hint; only managed buffers need it. */
static inline struct malv_arg malv_arg_buffer_as(const struct malv_buffer *buffer, uint64_t offset,
                                                 enum malv_arg_hint hint)
{
    struct malv_arg arg = malv_arg_buffer(buffer, offset);
    arg.hint = buffer->flags & MALV_BUFFER_MANAGED ? (uint16_t)hint : 0;
    return arg;
}

/* The `size` bytes at `value`, 1 to VGPGPU_MAX_VALUE of them, in the kernel's own type. */
static inline struct malv_arg malv_arg_value(const void *value, size_t size)
{
    return (struct malv_arg){.kind = VGPGPU_ARG_VALUE, .size = size, .value = value};
}

/* `size` bytes of memory that a work-group shares. */
static inline struct malv_arg malv_arg_local(size_t size)
{
    return (struct malv_arg){.kind = VGPGPU_ARG_LOCAL, .size = size};
}

/* Makes a batch empty before its first use. It holds no memory yet. */
void malv_batch_init(struct malv_batch *batch);

/* Empties a batch and clears its error; its memory stays for the next commands. */
void malv_batch_reset(struct malv_batch *batch);

/* Frees a batch's memory; it is empty and usable again. */
void malv_batch_free(struct malv_batch *batch);

/*
 * Runs a kernel over `dimensions` (1..3) extents: `global[i]` work-items each, not 0, in groups of
 * `local[i]`; `local` NULL: the device chooses. All arguments of the kernel, in order. -EINVAL: a
 * number is out of these ranges; -ENOMEM: no memory for the batch.
 */
int malv_batch_launch(struct malv_batch *batch, uint32_t kernel, uint32_t dimensions,
                      const uint64_t *global, const uint64_t *local, const struct malv_arg *args,
                      uint32_t arg_count);

/* Copies `length` bytes, not 0; within one buffer the two ranges must not overlap. -ERANGE:
 * outside. */
int malv_batch_copy(struct malv_batch *batch, const struct malv_buffer *source,
                    uint64_t source_offset, const struct malv_buffer *target,
                    uint64_t target_offset, uint64_t length);

/*
 * Fills `length` bytes, not 0, with a pattern of 1, 2, 4, 8 or 16 bytes; offset and length are
 * multiples of the pattern. -ERANGE: outside the buffer.
 */
int malv_batch_fill(struct malv_batch *batch, const struct malv_buffer *target, uint64_t offset,
                    uint64_t length, const void *pattern, uint32_t pattern_bytes);

/* Where rows lie in a buffer: the first at `offset`, each `pitch` bytes behind the one before. */
struct malv_rows {
    const struct malv_buffer *buffer;
    uint64_t offset, pitch;
};

/*
 * Copies `rows` rows of `width` bytes, neither 0; a pitch is at least `width`. Within one buffer no byte may be
 * in both, and the pitches are the same if the areas reach into each other. -ERANGE: outside.
 */
int malv_batch_copy_2d(struct malv_batch *batch, const struct malv_rows *source,
                       const struct malv_rows *target, uint64_t width, uint64_t rows);

/* Fills `rows` rows of `width` bytes with a pattern; offset, pitch and width are multiples of it. */
int malv_batch_fill_2d(struct malv_batch *batch, const struct malv_rows *target, uint64_t width,
                       uint64_t rows, const void *pattern, uint32_t pattern_bytes);

/* Everything recorded before this ends before anything recorded after it starts. */
int malv_batch_barrier(struct malv_batch *batch);

/*
 * Once everything recorded before this has ended, malv_wait ends for the submission's fence less `before`: so the program
 * learns how far a long batch has come, and may read what that part wrote and the rest does not write. `before` is 1 to
 * MALV_SIGNALS_MAX, -EINVAL otherwise, and less each time in a batch: three steps before the end are 3, 2, 1. Else the
 * submission fails with -EINVAL, and on a device that has none (VGPGPU_FEATURE_SIGNAL) with -EOPNOTSUPP.
 */
#define MALV_SIGNALS_MAX ((1u << 23) - 1)
int malv_batch_signal(struct malv_batch *batch, uint32_t before);

/* ---- Built-in operations ---------------------------------------------------------------------- */

/*
 * A rows x columns matrix in a buffer, from byte `offset` on, its rows `leading` elements apart.
 * tensor_transposed() of lib/gpucmd/tensor.h exchanges rows and columns, tensor_dense() makes a
 * tensor of any rank; docs/virtio-gpgpu.md, section 9, has the operations.
 */
static inline struct vgpgpu_tensor malv_matrix(const struct malv_buffer *buffer,
                                               enum vgpgpu_type type, uint64_t offset,
                                               uint64_t rows, uint64_t columns, uint64_t leading)
{
    return tensor_matrix(buffer->id, type, offset, rows, columns, leading);
}

/*
 * Any built-in operation: its tensors, written ones first, and `bytes` of its parameters, a multiple
 * of 8. The device checks the tensors; what it finds is malv_wait's error. -EINVAL: no such number.
 */
int malv_batch_operation(struct malv_batch *batch, uint32_t operation,
                         const struct vgpgpu_tensor *tensors, uint32_t count,
                         const void *parameters, size_t bytes);

/* c = alpha * a * b + beta * c; with beta 0, c is not read. */
int malv_batch_gemm(struct malv_batch *batch, float alpha, const struct vgpgpu_tensor *a,
                    const struct vgpgpu_tensor *b, float beta, const struct vgpgpu_tensor *c);

/*
 * The operations of networks, by short names for malv_batch_operation; the parameters are those of
 * uapi/virtio_gpgpu.h. `bias`, `scale` and `shift` may be NULL: there is none.
 */
int malv_batch_conv2d(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *weights,
                      const struct vgpgpu_tensor *bias, const struct vgpgpu_conv2d *parameters);
int malv_batch_pool2d(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, const struct vgpgpu_pool2d *parameters);

/* e^x over the sum of e^x along dimension `axis`. */
int malv_batch_softmax(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                       const struct vgpgpu_tensor *source, uint32_t axis);

/* Over the dimensions that are 1 in the result; `kind` of enum vgpgpu_reduce_kind. */
int malv_batch_reduce(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                      const struct vgpgpu_tensor *source, uint32_t kind);

/* Each row, along the last dimension, to mean 0 and variance 1; then times scale, plus shift. */
int malv_batch_layer_norm(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                          const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *scale,
                          const struct vgpgpu_tensor *shift, float epsilon);

/* The same with mean and variance of each channel, dimension 1, as they are given. */
int malv_batch_batch_norm(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                          const struct vgpgpu_tensor *source, const struct vgpgpu_tensor *mean,
                          const struct vgpgpu_tensor *variance, const struct vgpgpu_tensor *scale,
                          const struct vgpgpu_tensor *shift, float epsilon);

/*
 * `count` steps (1..VGPGPU_MAX_STEPS) on each element. A step's operand is an index into `operands`
 * plus 2. The result may be the source. -EINVAL: too many steps or operands.
 */
int malv_batch_elementwise(struct malv_batch *batch, const struct vgpgpu_tensor *result,
                           const struct vgpgpu_tensor *source,
                           const struct vgpgpu_tensor *operands, uint32_t operand_count,
                           const struct vgpgpu_step *steps, uint32_t count);

/* The tensors of an LSTM; a pair of states may be NULL, both of it. */
struct malv_lstm {
    const struct vgpgpu_tensor *result, *last_hidden, *last_cell;
    const struct vgpgpu_tensor *source, *input_weights, *hidden_weights, *bias;
    const struct vgpgpu_tensor *first_hidden, *first_cell;
    uint32_t reverse; /* 1: from the last step to the first */
};

int malv_batch_lstm(struct malv_batch *batch, const struct malv_lstm *lstm);

/* ---- Queues ---------------------------------------------------------------------------------- */

/*
 * Hands a batch to an in-order queue (0..VGPGPU_QUEUES_PER_CONTEXT - 1) and does not wait; `*fence`
 * is what to wait for. The batch may be changed or used again at once. An empty batch is -EINVAL;
 * one of more than max_submit_bytes -E2BIG.
 */
int malv_submit(struct malv_device *device, uint32_t queue, const struct malv_batch *batch,
                uint64_t *fence);

/* The same, but the batch's commands between two barriers may run in any order and at the same time. */
int malv_submit_unordered(struct malv_device *device, uint32_t queue,
                          const struct malv_batch *batch, uint64_t *fence);

/* When a submission passed through the device, by the device's clock, in order. */
struct malv_times {
    uint64_t fence;     /* of the newest submission that ended, or of the newest malv_batch_signal; 0: none has */
    uint64_t queued_ns; /* the device took it up */
    uint64_t ready_ns;  /* it was handed to who carries it out */
    uint64_t start_ns;  /* it began */
    uint64_t end_ns;    /* it ended, or all before its signal had */
};

/* The times of a queue's newest submission that ended; wait for it first, and submit no more before. */
int malv_times(const struct malv_device *device, uint32_t queue, struct malv_times *times);

/*
 * Waits until all work of a queue up to `fence` has ended, at most `timeout_ns` (UINT64_MAX: no
 * limit; 0: only looks). It first spins for some microseconds on the fence page, then sleeps. 0:
 * the work succeeded; -ETIMEDOUT: not ended yet; else the error of the queue's first failed
 * submission.
 */
int malv_wait(struct malv_device *device, uint32_t queue, uint64_t fence, uint64_t timeout_ns);

/*
 * For event loops: poll() on malv_device_fd() says POLLIN from when this fence of the queue is signalled, or the device
 * is gone, until another fence of the queue is named here, or 0: none. malv_wait() with a timeout of 0 tells which
 * queue it is, and how its work ended. Each queue has one such fence. -EINVAL: no such queue; a fence that was never
 * submitted, or is lower than one that is still waited for. The descriptor is the device's: only poll it.
 */
int malv_notify(struct malv_device *device, uint32_t queue, uint64_t fence);
int malv_device_fd(const struct malv_device *device);

/* ---- Transfers ------------------------------------------------------------------------------- */

/*
 * Copies bytes from the program's memory to a buffer of any kind, or back, in a queue's order, and waits. Each
 * byte is copied twice: a buffer that is mapped needs neither. -ERANGE: outside the buffer.
 */
int malv_write(struct malv_device *device, uint32_t queue, const struct malv_buffer *target,
               uint64_t offset, const void *data, uint64_t bytes);
int malv_read(struct malv_device *device, uint32_t queue, const struct malv_buffer *source,
              uint64_t offset, void *data, uint64_t bytes);

/* ---- Errors ---------------------------------------------------------------------------------- */

/*
 * What an error of this API means, for a person: a phrase without a full stop, never NULL. `error`
 * is what a function returned, the negative errno.
 */
const char *malv_error_text(int error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
