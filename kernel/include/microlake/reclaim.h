/*
 * reclaim.h: giving memory back when it gets scarce.
 *
 * Below the low watermark a thread of the nucleus asks the reclaimers, in turn, until the high one is
 * reached. An allocation that would fail asks them itself first, unless it says FRAME_NOWAIT.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

struct reclaimer {
    const char *name;
    /*
     * Gives back about `frames` frames (frame_free, frame_unref) and returns how many it was. Thread
     * context. It may run inside an allocation whose caller holds an address space's or an object's
     * lock: it must take neither, and what it allocates itself must be FRAME_NOWAIT.
     */
    uint64_t (*reclaim)(struct reclaimer *r, uint64_t frames);
    uint64_t reclaimed;    /* frames so far */
    struct list link;      /* guarded by the registry's lock */
};

/* Thread context. unregister returns when the reclaimer does not run any more. */
int reclaimer_register(struct reclaimer *r);
void reclaimer_unregister(struct reclaimer *r);

/* So many frames more (or less) could be given back: memory_stats() tells of them. Any context. */
void reclaimable_add(int64_t frames);

struct reclaim_stats {
    uint64_t low, high;  /* watermarks, frames */
    uint64_t runs;       /* of the thread */
    uint64_t direct;     /* allocations that asked themselves */
    uint64_t reclaimed;  /* frames in all */
};
void reclaim_stats(struct reclaim_stats *out);
