/*
 * mlbatch.h: inference in batches, by the GPU where it is faster. What module mlbatch offers to
 * other modules: name modules/mlaas/batch and modules/mlaas/models in NEEDS, and mlbatch and models
 * in the manifest's needs.
 *
 * A net is a slot of the model store (models.h) whose float model runs on rows that come in any
 * number. Small batches are the processor's, at once and in the caller; from some size on the
 * device is faster. That size, the crossing, is measured when the net is opened and watched from
 * then on. Rows of callers that come together go in one batch. An answer never depends on the
 * device: where there is none, where it is lost, fails or does not answer in time, the processor
 * answers, and the figures say why. Results of the device differ from the processor's by rounding:
 * by at most 2e-5 in the tests' models, whose outputs are about as large as 1.
 *
 * Thread context, may sleep, unless said otherwise.
 */
#pragma once

#include "modules/mlaas/models/include/models.h"

#define MLBATCH_ROWS_MAX   4096u
#define MLBATCH_REASON_MAX 96u
#define MLBATCH_CLASSES    13u /* batches of 1, 2, 4, ... rows */
#define MLBATCH_NEVER      UINT32_MAX

struct mlbatch_net;

struct mlbatch_want {
    const char *name;         /* in figures; stays as it is */
    struct models_slot *slot; /* open, for float models */
    uint32_t rows_max;        /* of a batch on the device, a power of two up to MLBATCH_ROWS_MAX;
                                 0: that. Buffers for so many are kept */
    uint32_t steps;           /* of a sequence, for models with cells; 0: 1 */
    uint64_t linger_ns;       /* how long rows may wait for others to make a batch for the device */
};

/* Measures nothing yet: a thread of the net does. ERR_NO_MEMORY, ERR_INVALID. */
int mlbatch_open(const struct mlbatch_want *want, struct mlbatch_net **out);

/* Nobody is inside any more, and no request is under way. Before models_close(). */
void mlbatch_close(struct mlbatch_net *net);

/* out[rows][outputs] of in[rows][steps][inputs]. Any number of rows. ERR_NO_MEMORY: there was none
 * to work in. */
int mlbatch_run(struct mlbatch_net *net, const float *in, uint32_t rows, float *out);

/* A run without waiting. The request and its arrays stay until `done` has been called, in a thread
 * of the net; it must not wait for long. status: as of mlbatch_run(). */
struct mlbatch_request {
    const float *in;
    uint32_t rows;
    float *out;
    void (*done)(struct mlbatch_request *request); /* NULL: mlbatch_wait() */
    int status;

    /* the net's */
    struct list link;
    uint64_t came;
    bool finished; /* guarded by the net's lock */
};
void mlbatch_submit(struct mlbatch_net *net, struct mlbatch_request *request);

/* Waits for a request without `done`; returns its status. */
int mlbatch_wait(struct mlbatch_net *net, struct mlbatch_request *request);

enum mlbatch_device {
    MLBATCH_NO_DEVICE, /* this machine has none, or it can't run the model: the reason says */
    MLBATCH_STARTING,  /* opening, or measuring */
    MLBATCH_READY,
    MLBATCH_LOST, /* looked for again once a second */
};

struct mlbatch_figures {
    char name[MODELS_NAME_MAX];
    uint32_t version; /* of the model on the device */
    enum mlbatch_device device;
    uint32_t crossing;                /* rows from which on the device is faster; MLBATCH_NEVER */
    uint64_t on_processor, on_device; /* rows */
    uint64_t batches;                 /* on the device */
    uint64_t joined;                  /* of these, with rows of several requests */
    uint64_t fallbacks; /* batches that the device was given and the processor answered */
    uint64_t moves;     /* how often the crossing has moved since it was measured */
    char reason[MLBATCH_REASON_MAX]; /* of the last loss, or why there is no device */
    uint64_t processor_ns[MLBATCH_CLASSES],
        device_ns[MLBATCH_CLASSES]; /* of a batch; 0: not known */
};
void mlbatch_figures(struct mlbatch_net *net, struct mlbatch_figures *out);

/* For tests and measurements: which way all batches go. Any context. */
enum mlbatch_way { MLBATCH_FASTEST, MLBATCH_PROCESSOR, MLBATCH_DEVICE };
void mlbatch_force(struct mlbatch_net *net, enum mlbatch_way way);
