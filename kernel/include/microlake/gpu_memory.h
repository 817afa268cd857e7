/*
 * gpu_memory.h: the class "gpu_memory" of policies: which managed buffer leaves the device when there is
 * no room for another one, and which comes back before somebody wants it.
 *
 * A managed buffer (GPU_BUFFER_MANAGED, gpu.h) lies on the device, where it counts against the device's
 * quota, or only in guest memory. Whenever a batch names it, it is *touched*; the touches of a device are
 * numbered. The built-in policy, "lru", gives up what was touched least recently.
 *
 * Operations are guarded (policy.h): they must not sleep, allocate or take locks. No two of them run at
 * the same time. A policy in the shadow is asked about a residency of its own, which is only simulated.
 */
#pragma once

#include <microlake/types.h>

#define GPU_MEMORY_CLASS      "gpu_memory"
#define GPU_MEMORY_CANDIDATES 128        /* of one question; of more the winners meet in the next one */
#define GPU_MEMORY_NONE       UINT32_MAX /* an answer: none of them */
#define GPU_MEMORY_WORDS      8

/* A managed buffer as a policy sees it. */
struct gpu_memory_buffer {
    uint64_t id;       /* no other buffer ever has it */
    uint64_t program;  /* its context's; what one context touches follows that program's order */
    uint64_t bytes;
    uint64_t touches;  /* so far */
    uint64_t last;     /* number of the last of them; 0: none yet */
    bool resident;     /* it lies on the device */
    bool dirty;        /* and has changed there: to give it up means to move it */
    bool known;        /* `data` is this policy's; false: another one's, not to be looked at */
    uint64_t data[GPU_MEMORY_WORDS]; /* the policy's; zeroed at the first touch that it is told of */

    uint64_t owner; /* the kernel's: number of the policy whose `data` it is; 0: nobody's */
};

struct gpu_memory_touch {
    uint64_t number;   /* 1 and up */
    uint64_t batch;    /* touches of one batch come in the order of its commands, each buffer once */
    uint32_t position; /* in the batch, from 0 */
    bool reads;  /* its contents matter; false: all of it is written first */
    bool writes;
    bool copied;    /* its contents have to be copied to the device if they are not there */
    uint64_t quota; /* of the device, bytes */
};

struct gpu_memory_question {
    struct gpu_memory_buffer *const *list; /* what was touched longest ago comes first */
    uint32_t count;                        /* 1..GPU_MEMORY_CANDIDATES */
    const struct gpu_memory_buffer *incoming; /* who wants the room; NULL: nobody in particular */
    bool optional;                            /* GPU_MEMORY_NONE is an answer */
    uint64_t touches;                         /* number of the last touch */
};

struct gpu_memory_ops {
    size_t struct_size; /* sizeof(struct gpu_memory_ops) */
    /* A batch names b. Comes before the questions that this batch leads to. */
    void (*touch)(struct gpu_memory_buffer *b, const struct gpu_memory_touch *t);
    void (*freed)(struct gpu_memory_buffer *b); /* the last that is heard of b. NULL: it does not matter */
    /* b has come to the device or left it. copied: its contents were moved. NULL: it does not matter. */
    void (*moved)(struct gpu_memory_buffer *b, bool here, bool copied);
    /* Index of who leaves the device: all of the list are resident, and no work uses them. */
    uint32_t (*victim)(const struct gpu_memory_question *q);
    /* Index of who comes back early, or GPU_MEMORY_NONE: none of the list is resident. Where there is no
     * room, `victim` is asked with `optional`. NULL: nothing comes early. */
    uint32_t (*prefetch)(const struct gpu_memory_question *q);
};
