/*
 * batch.h: what the files of mlbatch share.
 *
 *     net.c       what callers call; small batches on the processor, in the caller
 *     worker.c    a net's thread: takes what waits, joins it, gives it to either side
 *     device.c    a model on the device: context, weights, buffers, a run
 *     measure.c   both sides' times when a model comes to the device
 *     crossing.c  from which size on the device is faster
 *     main.c      start, end, /sys/kernel/mlaas/batch
 */
#pragma once

#include <microlake/gpu.h>
#include <microlake/wait.h>

#include "crossing.h"
#include "include/mlbatch.h"

#define LANES 4u /* batches on the processor at once, each with memory to work in */

struct lane {
    struct mutex lock;
    void *block, *workspace; /* guarded by lock, as is its size */
    size_t size;
};

/* A model on the device. The worker's alone. */
struct batch_device {
    struct gpu_context *ctx;
    struct models_view *view; /* a reference */
    struct mlrt_gpu gpu;
    struct mlrt_gpu_buffers buffers;
    uint32_t rows_max, steps;
};

struct mlbatch_net {
    struct list link; /* guarded by nets_lock */
    struct mlbatch_want want;
    struct lane lanes[LANES];

    struct mutex lock;         /* guards what follows */
    struct wait_queue news;    /* for the worker */
    struct wait_queue answers; /* for those who wait for a request */
    struct list requests;      /* those that wait, oldest first */
    uint32_t rows_waiting;
    struct crossing crossing;
    struct mlbatch_figures figures; /* without what crossing holds */
    bool renewed;                   /* somebody has seen that the slot has another model */

    bool stopping;        /* atomic */
    enum mlbatch_way way; /* atomic */
    struct thread *worker;
    struct thread *closer;       /* closes a device that has gone wrong; the worker's */
    bool closer_done;            /* atomic */
    struct batch_device *device; /* the worker's; NULL: none */
    uint64_t retry_at;           /* the worker's: when to look for a device again */
};

extern unsigned batch_measure_ms; /* option mlbatch.measure_ms, 20 unless given */

extern struct mutex nets_lock;
extern struct list nets;

/* ---- net.c ---- */

/* Rows on the processor, in this thread. */
int net_processor_run(struct mlbatch_net *net, const float *in, uint32_t rows, float *out);
void net_finish(struct mlbatch_net *net, struct mlbatch_request *request, int status);
/* The device is no more, or can't be had: the reason is kept and logged. */
void net_reason(struct mlbatch_net *net, enum mlbatch_device device, const char *reason);

/* ---- worker.c ---- */

void worker_run(void *net);
/* Answers what waits, on the processor: in the middle of what takes long. */
void worker_serve(struct mlbatch_net *net);

/* ---- device.c ---- */

/* ERR_NOT_FOUND: no device. ERR_UNSUPPORTED: `why` says what it can't do. `view`: a reference that
 * is taken over on success. */
int device_create(struct models_view *view, uint32_t rows_max, uint32_t steps,
                  struct batch_device **out, const char **why);
void device_close(struct batch_device *device);

/* Where row `row` of the inputs or of the outputs lies. `count` rows are copied. */
void device_put(struct batch_device *device, uint32_t row, const float *in, uint32_t count);
void device_get(const struct batch_device *device, uint32_t row, float *out, uint32_t count);
/* Runs the first `rows` rows. ERR_TIMED_OUT, ERR_LOST, others: the device is to be closed. */
int device_run(struct batch_device *device, uint32_t rows, uint64_t expected_ns);

/* ---- measure.c ---- */

/* Times both sides. Other than OK: the device went wrong. */
int measure_take(struct mlbatch_net *net);
