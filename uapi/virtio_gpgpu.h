/*
 * virtio_gpgpu.h: the virtio-gpgpu device as C.
 *
 * docs/virtio-gpgpu.md is the specification; this header is that page in C and the two change
 * together. Everything on the wire is little-endian and naturally aligned. The driver chooses
 * object identifiers; a context is the unit of isolation and of clean-up.
 *
 * The device checks every field of every request on a private copy. A malformed request is answered
 * with a status; it never harms another context or another machine.
 */
#pragma once

#include <stdint.h>

#define VGPGPU_MAGIC 0x55475047u /* "GPGU" */
#define VGPGPU_VERSION 1u

/* The virtio device id is configurable (QEMU's generic vhost-user device wants one it can name). */
#define VGPGPU_DEFAULT_VIRTIO_ID 22u

enum vgpgpu_queue {
    VGPGPU_QUEUE_CONTROL = 0, /* object life cycle: request, then reply */
    VGPGPU_QUEUE_SUBMIT = 1,  /* batches of commands */
    VGPGPU_QUEUE_EVENT = 2,   /* device to driver: fences for sleepers, loss of the device */
    VGPGPU_QUEUE_COUNT = 3,
};

enum vgpgpu_device_type {
    VGPGPU_DEVICE_CPU = 1,
    VGPGPU_DEVICE_GPU = 2,
    VGPGPU_DEVICE_ACCELERATOR = 3,
};

#define VGPGPU_OPERATION_ROOM 16u /* built-in operations are numbered 1 to 15 */

/* Configuration space, read-only. Strings are NUL-terminated. */
struct vgpgpu_config {
    uint32_t magic;   /* VGPGPU_MAGIC: another device may wear the same virtio id */
    uint32_t version; /* VGPGPU_VERSION */
    uint32_t max_contexts;
    uint32_t max_objects;       /* per context and kind; identifiers are 1..max_objects */
    uint32_t max_segments;      /* of one BUFFER_CREATE */
    uint32_t max_submit_bytes;  /* commands of one submission */
    uint32_t max_program_bytes; /* source plus options of one PROGRAM_CREATE */
    uint32_t offset_align;      /* a buffer argument's offset is a multiple of this, bytes */
    uint32_t device_type;       /* enum vgpgpu_device_type */
    uint32_t compute_units;
    uint64_t global_memory; /* bytes */
    uint64_t max_buffer;    /* bytes of one buffer */
    char backend[32];       /* "opencl", "cuda" */
    char backend_version[32];
    char device_name[64];
    /* For each enum vgpgpu_operation the types it takes, 1 << enum vgpgpu_type; 0: not there. */
    uint16_t operations[VGPGPU_OPERATION_ROOM];
    uint32_t program_kinds;     /* that it builds: 1 << enum vgpgpu_program_kind */
    uint32_t features;          /* enum vgpgpu_device_feature */
    uint32_t max_group;         /* work-items of a group, whatever the kernel; 0: it does not tell */
    uint32_t max_group_size[3]; /* of them along each dimension */
    uint64_t local_bytes;       /* memory that a group may share */
};
_Static_assert(sizeof(struct vgpgpu_config) == 248, "config space layout");

enum vgpgpu_device_feature {
    VGPGPU_FEATURE_IN_PLACE = 1 << 0, /* kernels work on GUEST buffers where they lie, without a copy */
    VGPGPU_FEATURE_F16 = 1 << 1,      /* kernels may compute with numbers of 16 bits, */
    VGPGPU_FEATURE_F64 = 1 << 2,      /* of 64 bits, */
    VGPGPU_FEATURE_ATOMIC64 = 1 << 3, /* and use atomic operations on 64 bits */
    VGPGPU_FEATURE_SIGNAL = 1 << 4,     /* there is the command SIGNAL, */
    VGPGPU_FEATURE_SUB_BUFFER = 1 << 5, /* and the request SUB_BUFFER_CREATE */
};

enum vgpgpu_status {
    VGPGPU_OK = 0,
    VGPGPU_ERR_INVALID = 1,     /* malformed request: lengths, flags, reserved bits */
    VGPGPU_ERR_ID = 2,          /* no such context or object, or the identifier is taken */
    VGPGPU_ERR_RANGE = 3,       /* an offset or length leaves its object or guest memory */
    VGPGPU_ERR_LIMIT = 4,       /* more than the configuration space allows */
    VGPGPU_ERR_NO_MEMORY = 5,   /* the device is out of memory */
    VGPGPU_ERR_BUILD = 6,       /* the program does not build: see the log */
    VGPGPU_ERR_UNSUPPORTED = 7, /* a kind or command that this back end does not have */
    VGPGPU_ERR_EXEC = 8,        /* the device refused or failed the command */
    VGPGPU_ERR_LOST = 9,        /* the device or its worker died; the context is gone */
    VGPGPU_ERR_TIMEOUT = 10,    /* the context's time limit ended the work */
};

/* ---- Control queue: device-readable request, then device-writable reply ---------------------- */

enum vgpgpu_request_type {
    VGPGPU_CONTEXT_CREATE = 1,
    VGPGPU_CONTEXT_DESTROY = 2,
    VGPGPU_BUFFER_CREATE = 3,
    VGPGPU_BUFFER_DESTROY = 4,
    VGPGPU_PROGRAM_CREATE = 5,
    VGPGPU_PROGRAM_DESTROY = 6,
    VGPGPU_KERNEL_CREATE = 7,
    VGPGPU_KERNEL_DESTROY = 8,
    VGPGPU_QUERY = 9,
    VGPGPU_CONTEXT_LIMIT = 10,
    VGPGPU_SUB_BUFFER_CREATE = 11,
};

/* Starts every request. `object` is 0 for requests on the context itself. */
struct vgpgpu_request {
    uint32_t type;    /* enum vgpgpu_request_type */
    uint32_t context; /* 1..max_contexts */
    uint32_t object;  /* 1..max_objects */
    uint32_t reserved;
};

/* Starts every reply. */
struct vgpgpu_reply {
    uint32_t status; /* enum vgpgpu_status */
    uint32_t length; /* bytes of payload behind this header */
    uint64_t value;  /* per request: KERNEL_CREATE: argument count; else 0 */
};

/* CONTEXT_CREATE: the fence page, one page of guest memory that the device writes into. */
struct vgpgpu_context_create {
    struct vgpgpu_request header;
    uint64_t fence_page; /* guest-physical, 4096-aligned */
};

/* CONTEXT_LIMIT: of a context that has no objects and no submissions yet; once. */
struct vgpgpu_context_limit {
    struct vgpgpu_request header;
    uint32_t time_ms; /* not 0 */
    uint32_t reserved;
};

enum vgpgpu_buffer_flags {
    VGPGPU_BUFFER_GUEST = 1u << 0,  /* guest memory, used in place: segments follow */
    VGPGPU_BUFFER_DEVICE = 1u << 1, /* memory of the device: no segments */
};

struct vgpgpu_segment {
    uint64_t address; /* guest-physical, 4096-aligned */
    uint64_t length;  /* bytes, multiple of 4096 */
};

/* BUFFER_CREATE: exactly one of GUEST and DEVICE. GUEST: the segments add up to at least size. */
struct vgpgpu_buffer_create {
    struct vgpgpu_request header;
    uint32_t flags; /* enum vgpgpu_buffer_flags */
    uint32_t segment_count;
    uint64_t size; /* bytes, not 0 */
    /* struct vgpgpu_segment segments[segment_count] */
};

/* SUB_BUFFER_CREATE: a range of a buffer, which commands name like any buffer. */
struct vgpgpu_sub_buffer_create {
    struct vgpgpu_request header; /* object: the sub-buffer, numbered with the buffers */
    uint32_t buffer;              /* it may be a sub-buffer itself */
    uint32_t reserved;
    uint64_t offset; /* bytes, a multiple of offset_align */
    uint64_t size;   /* bytes, not 0 */
};

enum vgpgpu_program_kind {
    VGPGPU_PROGRAM_OPENCL_C = 1,
    VGPGPU_PROGRAM_SPIRV = 2,
    VGPGPU_PROGRAM_PTX = 3,
    VGPGPU_PROGRAM_CUDA_C = 4,
    VGPGPU_PROGRAM_BINARY = 5, /* what QUERY gave of a program on the same device */
};

/* PROGRAM_CREATE: builds. The reply's payload is the build log, cut to the room given. */
struct vgpgpu_program_create {
    struct vgpgpu_request header;
    uint32_t kind; /* enum vgpgpu_program_kind */
    uint32_t options_bytes;
    uint32_t source_bytes;
    uint32_t reserved;
    /* char options[options_bytes]; char source[source_bytes]; neither NUL-terminated */
};

/* KERNEL_CREATE: a kernel of a program that was built. */
struct vgpgpu_kernel_create {
    struct vgpgpu_request header;
    uint32_t program;
    uint32_t reserved;
    char name[64]; /* NUL-terminated */
};

enum vgpgpu_query_what {
    VGPGPU_QUERY_BINARY = 1, /* of a program: its bytes, for VGPGPU_PROGRAM_BINARY */
    VGPGPU_QUERY_KERNEL = 2, /* of a kernel: struct vgpgpu_kernel_info */
};

/*
 * QUERY: the reply's value is how many bytes there are, its payload those from `offset` on, as many
 * as there is room for.
 */
struct vgpgpu_query {
    struct vgpgpu_request header;
    uint32_t what; /* enum vgpgpu_query_what */
    uint32_t reserved;
    uint64_t offset;
};

struct vgpgpu_kernel_info {
    uint32_t arg_count;
    uint32_t reserved;
    uint64_t max_group;      /* work-items of a work-group */
    uint64_t group_multiple; /* a work-group's size is best a multiple of it */
    uint64_t local_bytes;    /* of a work-group, the kernel's own */
    uint64_t private_bytes;  /* of a work-item, as far as the device tells */
};

/* ---- Fence page ------------------------------------------------------------------------------ */

#define VGPGPU_PAGE 4096u
#define VGPGPU_QUEUES_PER_CONTEXT 64u /* in-order queues, 0..63; one fence slot each */
#define VGPGPU_NOBODY_WAITS UINT64_MAX

/*
 * One in-order queue's timeline. The device stores `signalled` last, with release order, then reads
 * `wait` after a full fence; a driver that goes to sleep stores `wait`, then reads `signalled` after
 * a full fence. So one of the two always sees the other.
 */
struct vgpgpu_fence_slot {
    uint64_t signalled; /* device: the newest value of a finished submission, or of a SIGNAL */
    uint64_t wait;      /* driver: send an event once signalled >= wait */
    uint64_t failed;    /* device: the first value that failed, or 0 */
    uint32_t status;    /* device: its enum vgpgpu_status */
    uint32_t reserved;
    /* Times of the submission that the newest value is of, by the device's clock. */
    uint64_t start_ns;  /* device: it began */
    uint64_t end_ns;    /* device: it ended, or had come as far as its SIGNAL */
    uint64_t queued_ns; /* device: it was taken out of the submit queue */
    uint64_t ready_ns;  /* device: it was handed to who carries it out */
};
_Static_assert(sizeof(struct vgpgpu_fence_slot) == 64, "one cache line a slot");

/* ---- Submit queue: device-readable only ------------------------------------------------------- */

/* A batch of commands for one in-order queue. Fence values of a queue only grow. */
struct vgpgpu_submit {
    uint32_t context;
    uint32_t queue;         /* 0..VGPGPU_QUEUES_PER_CONTEXT - 1 */
    uint32_t command_bytes; /* multiple of 8 */
    uint32_t flags;         /* enum vgpgpu_submit_flags */
    uint64_t fence; /* signalled when all commands have ended, in order, failed ones too */
    /* commands */
};

enum vgpgpu_submit_flags {
    VGPGPU_SUBMIT_UNORDERED = 1u << 0, /* between barriers, commands run in any order */
};

enum vgpgpu_command_op {
    VGPGPU_CMD_LAUNCH = 1,
    VGPGPU_CMD_COPY = 2,
    VGPGPU_CMD_FILL = 3,
    VGPGPU_CMD_BARRIER = 4, /* header only; everything before it in this queue ends first */
    VGPGPU_CMD_OPERATION = 5,
    VGPGPU_CMD_COPY_2D = 6,
    VGPGPU_CMD_FILL_2D = 7,
    VGPGPU_CMD_SIGNAL = 8,
};

/* Starts every command; commands stand at multiples of 8 bytes. */
struct vgpgpu_command {
    uint16_t op; /* enum vgpgpu_command_op */
    uint16_t reserved;
    uint32_t bytes; /* this command with its payload, multiple of 8 */
};

enum vgpgpu_arg_kind {
    VGPGPU_ARG_VALUE = 1,  /* `size` bytes follow, padded to a multiple of 8 */
    VGPGPU_ARG_BUFFER = 2, /* `object`, from `offset` */
    VGPGPU_ARG_LOCAL = 3,  /* `size` bytes of work-group local memory */
};

struct vgpgpu_arg {
    uint16_t kind; /* enum vgpgpu_arg_kind */
    uint16_t reserved;
    uint32_t object; /* BUFFER: its identifier; else 0 */
    uint64_t offset; /* BUFFER: bytes, multiple of offset_align; else 0 */
    uint64_t size;   /* VALUE, LOCAL: bytes; BUFFER: 0 */
};

#define VGPGPU_MAX_ARGS 64u
#define VGPGPU_MAX_VALUE 256u /* bytes of one VALUE argument */

/* LAUNCH: an ND-range of a kernel with all its arguments, in order. */
struct vgpgpu_cmd_launch {
    struct vgpgpu_command header;
    uint32_t kernel;
    uint32_t dimensions; /* 1..3 */
    uint32_t arg_count;
    uint32_t reserved;
    uint64_t global[3]; /* work-items; unused dimensions are 1 */
    uint64_t local[3];  /* work-group; all 0: the device chooses */
    /* struct vgpgpu_arg, each followed by its value */
};

/* COPY: ranges of one buffer must not overlap. */
struct vgpgpu_cmd_copy {
    struct vgpgpu_command header;
    uint32_t source;
    uint32_t target;
    uint64_t source_offset;
    uint64_t target_offset;
    uint64_t length; /* bytes, not 0 */
};

/* FILL: length and offset are multiples of pattern_bytes. */
struct vgpgpu_cmd_fill {
    struct vgpgpu_command header;
    uint32_t target;
    uint32_t pattern_bytes; /* 1, 2, 4, 8 or 16 */
    uint64_t offset;
    uint64_t length; /* bytes, not 0 */
    uint8_t pattern[16];
};

/* COPY_2D: `rows` pieces of `width` bytes; rows start a pitch apart. */
struct vgpgpu_cmd_copy_2d {
    struct vgpgpu_command header;
    uint32_t source;
    uint32_t target;
    uint64_t source_offset;
    uint64_t target_offset;
    uint64_t source_pitch; /* bytes, at least width */
    uint64_t target_pitch;
    uint64_t width; /* bytes, not 0 */
    uint64_t rows;  /* not 0 */
};

/* FILL_2D: all but `rows` are multiples of pattern_bytes. */
struct vgpgpu_cmd_fill_2d {
    struct vgpgpu_command header;
    uint32_t target;
    uint32_t pattern_bytes; /* 1, 2, 4, 8 or 16 */
    uint64_t offset;
    uint64_t pitch; /* bytes, at least width */
    uint64_t width; /* bytes, not 0 */
    uint64_t rows;  /* not 0 */
    uint8_t pattern[16];
};

/* SIGNAL: all before it in its queue has ended: the fence's value becomes the submission's less `before`. */
struct vgpgpu_cmd_signal {
    struct vgpgpu_command header;
    uint64_t before; /* not 0; less than in each SIGNAL before it in the submission */
};

/* Types of a tensor's elements. */
enum vgpgpu_type {
    VGPGPU_F32 = 1,
    VGPGPU_BF16 = 2,
    VGPGPU_S8 = 3,
    VGPGPU_S32 = 4,
};

#define VGPGPU_MAX_RANK    6u
#define VGPGPU_MAX_TENSORS 16u

/*
 * A view of numbers in a buffer: element (i, j, ...) is i * strides[0] + j * strides[1] + ...
 * elements behind `offset`. What lies beyond `rank` is 0. All zero: a tensor that is left out.
 */
struct vgpgpu_tensor {
    uint32_t buffer;
    uint16_t type;   /* enum vgpgpu_type */
    uint16_t rank;   /* 1..VGPGPU_MAX_RANK */
    uint64_t offset; /* bytes, a multiple of the element's size */
    uint64_t dimensions[VGPGPU_MAX_RANK];
    uint64_t strides[VGPGPU_MAX_RANK]; /* elements */
};
_Static_assert(sizeof(struct vgpgpu_tensor) == 112, "tensor layout");

enum vgpgpu_operation {
    VGPGPU_GEMM = 1,
    VGPGPU_CONV2D = 2,
    VGPGPU_POOL2D = 3,
    VGPGPU_SOFTMAX = 4,
    VGPGPU_REDUCE = 5,
    VGPGPU_LAYER_NORM = 6,
    VGPGPU_BATCH_NORM = 7,
    VGPGPU_ELEMENTWISE = 8,
    VGPGPU_LSTM = 9,
};

/* OPERATION: a built-in operation on tensors, written ones first. */
struct vgpgpu_cmd_operation {
    struct vgpgpu_command header;
    uint16_t operation;       /* enum vgpgpu_operation */
    uint16_t tensor_count;    /* at most VGPGPU_MAX_TENSORS */
    uint32_t parameter_bytes; /* a multiple of 8 */
    /* struct vgpgpu_tensor tensors[tensor_count], then the operation's parameters */
};

#define VGPGPU_MAX_WINDOW 65535u /* of the numbers of a window */

/* How a window moves over height and width. None but `before` and `after` is 0. */
struct vgpgpu_window {
    uint32_t stride[2];
    uint32_t dilation[2]; /* distance of the window's elements; 1: side by side */
    uint32_t before[2];   /* padding; less than the window's extent */
    uint32_t after[2];
};

/* CONV2D: tensors result, source, weights [, bias]. */
struct vgpgpu_conv2d {
    struct vgpgpu_window window;
    uint32_t groups;
    uint32_t reserved;
};

enum vgpgpu_pool_kind {
    VGPGPU_POOL_MAX = 1,
    VGPGPU_POOL_MEAN = 2,        /* of what is not padding */
    VGPGPU_POOL_MEAN_PADDED = 3, /* padding counts as 0 */
};

/* POOL2D: tensors result, source. */
struct vgpgpu_pool2d {
    struct vgpgpu_window window;
    uint32_t size[2]; /* the window's elements */
    uint32_t kind;    /* enum vgpgpu_pool_kind */
    uint32_t reserved;
};

/* SOFTMAX: tensors result, source. */
struct vgpgpu_softmax {
    uint32_t axis;
    uint32_t reserved;
};

enum vgpgpu_reduce_kind {
    VGPGPU_REDUCE_SUM = 1,
    VGPGPU_REDUCE_MEAN = 2,
    VGPGPU_REDUCE_MAX = 3,
    VGPGPU_REDUCE_MIN = 4,
};

/* REDUCE: tensors result, source; over the dimensions that are 1 in the result. */
struct vgpgpu_reduce {
    uint32_t kind; /* enum vgpgpu_reduce_kind */
    uint32_t reserved;
};

/*
 * LAYER_NORM: tensors result, source [, scale [, shift]]; over the last dimension.
 * BATCH_NORM: tensors result, source, mean, variance [, scale [, shift]]; dimension 1 is channels.
 */
struct vgpgpu_norm {
    float epsilon; /* added to the variance; not less than 0 */
    uint32_t reserved;
};

/* x: the element as the steps before left it; y: the operand's; a and b: the step's numbers. */
enum vgpgpu_step_op {
    VGPGPU_STEP_RELU = 1,      /* x where it is over 0, else a * x */
    VGPGPU_STEP_ELU = 2,       /* x where it is over 0, else a * (e^x - 1) */
    VGPGPU_STEP_LINEAR = 3,    /* a * x + b */
    VGPGPU_STEP_CLIP = 4,      /* at least a, at most b */
    VGPGPU_STEP_POW = 5,       /* a * x^b */
    VGPGPU_STEP_SWISH = 6,     /* x / (1 + e^(-a * x)) */
    VGPGPU_STEP_SIGMOID = 7,   /* 1 / (1 + e^-x) */
    VGPGPU_STEP_TANH = 8,      /* from here to 16 there is neither a nor b */
    VGPGPU_STEP_EXP = 9,
    VGPGPU_STEP_LOG = 10,
    VGPGPU_STEP_SQRT = 11,
    VGPGPU_STEP_SQUARE = 12,
    VGPGPU_STEP_ABS = 13,
    VGPGPU_STEP_ROUND = 14,     /* to the nearest whole number, ties to the even one */
    VGPGPU_STEP_GELU = 15,      /* by the error function */
    VGPGPU_STEP_GELU_TANH = 16, /* by its usual approximation */
    VGPGPU_STEP_ADD = 32,       /* x + y; these have an operand */
    VGPGPU_STEP_SUB = 33,
    VGPGPU_STEP_MUL = 34,
    VGPGPU_STEP_DIV = 35,
    VGPGPU_STEP_MAX = 36,
    VGPGPU_STEP_MIN = 37,
};

#define VGPGPU_MAX_STEPS 16u

struct vgpgpu_step {
    uint16_t op;      /* enum vgpgpu_step_op */
    uint16_t operand; /* its tensor's index, from 2; 0: none */
    float a, b;       /* 0 where the step has none */
    uint32_t reserved;
};
_Static_assert(sizeof(struct vgpgpu_step) == 16, "step layout");

/* ELEMENTWISE: tensors result, source [, operands]. May work in place. */
struct vgpgpu_elementwise {
    uint32_t count; /* 1..VGPGPU_MAX_STEPS */
    uint32_t reserved;
    /* struct vgpgpu_step steps[count] */
};

/*
 * LSTM: tensors result, last hidden, last cell, source, input weights, hidden weights, bias
 * [, first hidden, first cell]; the last two outputs may be left out, both.
 */
struct vgpgpu_lstm {
    uint32_t reverse; /* 1: from the last step to the first */
    uint32_t reserved;
};

/* GEMM: c = alpha * a * b + beta * c; tensors c, a, b. */
struct vgpgpu_gemm {
    float alpha, beta;
};

/* ---- Event queue: device-writable ------------------------------------------------------------- */

enum vgpgpu_event_type {
    VGPGPU_EVENT_FENCE = 1, /* signalled reached a `wait`: look at all slots of the context */
    VGPGPU_EVENT_LOST = 2,  /* the device is gone; every fence that is due failed with ERR_LOST */
};

struct vgpgpu_event {
    uint32_t type; /* enum vgpgpu_event_type */
    uint32_t context;
    uint32_t queue;
    uint32_t reserved;
    uint64_t value; /* FENCE: signalled */
};
