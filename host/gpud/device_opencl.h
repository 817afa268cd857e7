/* device_opencl.h: what the files of the OpenCL implementation share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "cpu_move.h"
#include "cpu_operation.h"
#include "device.h"
#include "opencl_api.h"

/* Where a device's threads are while only one of them has work. */
struct opencl_park {
    pthread_mutex_t lock;
    cl_context context;     /* lock */
    cl_command_queue queue; /* lock: out of order; NULL until somebody is parked */
    unsigned narrow;        /* lock: batches since something else was given to the device */
    atomic_uint threads;    /* that are parked, or are to be */
    atomic_uint turn;       /* a futex: who was parked in a former one leaves */
};

struct device {
    cl_platform_id platform;
    cl_device_id id;
    uint32_t offset_align;
    uint64_t local_bytes; /* local memory of a work-group */
    bool unified; /* the device works on host memory itself: no hand-over of buffers in place */
    bool spirv;
    bool clblast; /* it has no processor of this host, or is to be tested as if */
    bool native; /* it calls functions of this process in a queue's order */
    bool lends;  /* and such a function may give the queue more */
    unsigned units; /* compute units: threads, where it lends */
    struct opencl_park park;
};

struct device_context {
    struct device *device;
    cl_context handle;
    cl_command_queue upkeep; /* hands buffers over, on devices that are not unified; else NULL */
};

#define SUB_BUFFERS 64u /* offsets of one buffer that are remembered */

struct device_buffer {
    struct device_context *context;
    cl_mem handle;
    uint64_t size;
    void *memory; /* used in place; NULL: OpenCL's own */
    bool own;     /* the memory is this side's: free() */
    pthread_mutex_t lock;
    unsigned sub_count; /* lock */
    unsigned sub_next;  /* lock: the entry that is replaced next */
    struct {
        uint64_t offset;
        cl_mem handle;
    } subs[SUB_BUFFERS];     /* lock */
    void *map;               /* lock: the host's view while the guest owns the bytes */
    struct device_queue *on; /* lock: the batch under way that took it from the guest */
};

struct device_program {
    struct device_context *context;
    cl_program handle;
};

struct device_kernel {
    cl_device_id device;
    cl_kernel handle;
    uint64_t local_bytes; /* that a work-group may still be given as arguments */
    /* Of arguments that are numbers, or vectors of them: PoCL takes shorter ones. 0: of others OpenCL alone knows. */
    uint8_t value_bytes[VGPGPU_MAX_ARGS];
};

#define MAX_TAKEN 256u /* buffers in place that one batch takes from the guest */

/* A batch from its first command, or its end, to done() and the last of its signals. */
struct batch {
    atomic_uint holds; /* these */
    device_done done;
    void *token;
    uint64_t start_ns;
    atomic_uint status;        /* of the first built-in operation that failed */
    struct device_queue *told; /* the queue that counts it among what OpenCL has; or NULL */
};

#define MAX_DIRECT 64u /* operations of a batch that its thread does itself */

/* A built-in operation with the places of its tensors, or a large copy or fill, or a signal. */
struct direct_operation {
    struct cpu_plan *plan;
    device_reached reached; /* a signal's; without one, and without a plan, it is a move */
    union {
        void *memory[VGPGPU_MAX_TENSORS];
        struct cpu_move move;
        void *token;
    };
};

struct device_queue {
    struct device_context *context;
    cl_command_queue handle;
    cl_command_queue loose;  /* out of order; NULL until it is wanted */
    cl_command_queue active; /* the one of the two that commands go to */
    struct cpu_scratch scratch; /* of the command that runs, on the queue in order */
    atomic_uint under_way;      /* batches that OpenCL has */
    /* The batch under way; the submitting thread's. */
    uint64_t start_ns;   /* 0: nothing enqueued yet */
    cl_event last;       /* of the newest command, if it has one */
    struct batch *batch; /* NULL until something needs it */
    bool is_lent;        /* OpenCL's own thread gives it */
    unsigned taken_count;
    struct device_buffer *taken[MAX_TAKEN];
    /* Operations that were not given to OpenCL. While batch_run() is at work they are that's. */
    struct direct_operation direct[MAX_DIRECT];
    unsigned direct_count;      /* the submitting thread's */
    unsigned direct_left;       /* batch_run()'s */
    struct batch *direct_batch; /* batch_run()'s */
    pthread_mutex_t lock;
    bool direct_runs; /* lock: until batch_run() is through */
    cl_event gate;    /* lock: what came meanwhile waits for it, or NULL */
};

/* Before a command is given to OpenCL. */
uint32_t opencl_begin(struct device_queue *queue);
/* Where the next command's event goes: nowhere unless it is the last. */
cl_event *opencl_event_place(struct device_queue *queue, bool last);
/* The batch under way; NULL: no memory. */
struct batch *opencl_batch_get(struct device_queue *queue);
/* Its work has ended. */
void opencl_batch_finish(struct batch *batch, uint32_t status);
/* All before a signal of it has ended. */
void opencl_signal_tell(struct batch *batch, device_reached reached, void *token, uint32_t status);
/* Gives OpenCL a signal. */
uint32_t opencl_signal_enqueue(struct device_queue *queue, device_reached reached, void *token);

/* opencl_operation.c. Whether a function of this process moves so much, which opencl_move() then does. */
bool opencl_moves(const struct device_queue *queue, const struct device_buffer *source,
                  const struct device_buffer *target, uint64_t bytes);
uint32_t opencl_move(struct device_queue *queue, const struct cpu_move *move, bool last);
/* Leaves the batch, of built-in operations and moves alone, to opencl_batch_run(). */
void opencl_direct_leave(struct device_queue *queue, struct batch *batch);
/* Gives OpenCL the operations that were kept from it: the batch has something else too. */
uint32_t opencl_direct_give(struct device_queue *queue);
/* Keeps a signal from OpenCL, beside such operations. False: it is not to be kept. */
bool opencl_direct_signal(struct device_queue *queue, device_reached reached, void *token);
/* Has what OpenCL gets next wait for a batch_run() that is under way. */
uint32_t opencl_direct_gate(struct device_queue *queue);

/* opencl_lend.c. Before anything but a narrow batch that was lent is given to the device: its threads may have work. */
void opencl_unpark(struct device *device);

/* An OpenCL error as a status; CL_SUCCESS is VGPGPU_OK. */
uint32_t opencl_status(cl_int error);

/* The buffer's memory from `offset` on, a handle that the buffer owns. NULL on failure. */
cl_mem opencl_buffer_from(struct device_buffer *buffer, uint64_t offset, cl_int *error);

/* Takes a buffer in place from the guest, on devices that are not unified. */
uint32_t opencl_buffer_take(struct device_queue *queue, struct device_buffer *buffer);

/* opencl_clblast.c: whether the library is there; a product in the queue's order. */
bool opencl_clblast_load(void);
uint32_t opencl_clblast(struct device_queue *queue, const struct device_operation *operation);

uint32_t opencl_queue_create(struct device_context *context, struct device_queue **out);
void opencl_queue_destroy(struct device_queue *queue);
uint32_t opencl_launch(struct device_queue *queue, const struct device_launch *launch, bool last);
uint32_t opencl_copy(struct device_queue *queue, const struct device_copy *copy, bool last);
uint32_t opencl_fill(struct device_queue *queue, const struct device_fill *fill, bool last);
uint32_t opencl_operation(struct device_queue *queue, const struct device_operation *operation,
                          bool last);
uint32_t opencl_barrier(struct device_queue *queue, bool loose);
uint32_t opencl_signal(struct device_queue *queue, device_reached reached, void *token);
bool opencl_batch_lend(struct device_queue *queue, bool narrow, void (*give)(void *data), void *data);
bool opencl_batch_end(struct device_queue *queue, bool may_run, device_done done, void *token);
void opencl_batch_run(struct device_queue *queue);

int opencl_list(struct device_info *infos, unsigned room, unsigned *count, char *why);
int opencl_open(const char *selector, struct device **out, struct device_info *info, char *why);

uint32_t opencl_program_create(struct device_context *context, uint32_t kind, const char *options,
                               const char *source, size_t source_bytes, struct device_program **out,
                               char **log);
void opencl_program_destroy(struct device_program *program);
uint32_t opencl_kernel_create(struct device_program *program, const char *name, uint8_t *wants,
                              uint32_t *arg_count, struct device_kernel **out);
void opencl_kernel_destroy(struct device_kernel *kernel);
uint32_t opencl_program_binary(struct device_program *program, void **bytes, size_t *count);
uint32_t opencl_kernel_info(struct device_kernel *kernel, struct vgpgpu_kernel_info *info);
