/*
 * residency.h: managed buffers, for the files of kernel/gpu that move them and decide about them.
 *
 * A managed buffer always has guest memory, under the number that programs know. While it is resident, a
 * buffer of the device stands in for it, under a number that no program may use.
 */
#pragma once

#include "internal.h"
#include <microlake/gpu_memory.h>

struct gpu_managed {
    struct gpu_memory_buffer view;  /* as it is */
    struct gpu_memory_buffer shade; /* as it would be, were the policy in the shadow asked */
    struct list link;               /* in the device's list; the front was touched longest ago */
    struct gpu_context *ctx;
    uint32_t id, device_id; /* the program's number, and the stand-in's; 0: not (any more) there */
    uint32_t pins;          /* batches under way that name it, */
    uint32_t pin_queue;     /* in that queue, */
    bool pinned_twice;      /* or in others too */
    uint64_t pin_fence;     /* the last of them; only grows within a queue */
    bool fresh;             /* nobody has written to it yet: all zero */
    uint32_t queue;         /* where it was last moved, in its context, */
    uint64_t fence;         /* and when that has ended; 0: never */

    /* of the batch that is being submitted; `wanted` is false and the rest stale outside of it */
    bool wanted, skips_reading;
    unsigned access;
};

/* ---- Decisions (decide.c). Callers hold gpu_residency_lock. ---------------------------------- */

/* The batch touches m. It finds m resident or not, in truth and in the shadow. */
void gpu_memory_touched(struct gpu_residency *r, struct gpu_managed *m, struct gpu_memory_touch *t);
/* m has come to the device or left it: m->view says which. */
void gpu_memory_moved(struct gpu_managed *m, bool copied);
void gpu_memory_freed(struct gpu_residency *r, struct gpu_managed *m);

/* Who leaves the device for `incoming` (or NULL); NULL: nobody can, or, with optional, should. */
struct gpu_managed *gpu_memory_victim(struct gpu_residency *r, struct gpu_managed *incoming, bool optional);
struct gpu_managed *gpu_memory_prefetch(struct gpu_residency *r); /* NULL: nobody */

/* The objective: so much was moved for so much that was touched. */
void gpu_memory_measure(uint64_t moved, uint64_t touched);
