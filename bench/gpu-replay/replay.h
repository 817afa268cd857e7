/*
 * replay.h: a trace replayed as the kernel would have it (kernel/gpu/residency.c): before each batch room
 * is made for all that it names, what it names can't leave, what is new or overwritten is not copied in,
 * and what nothing has written to is not copied out.
 */
#pragma once

#include <microlake/gpu_memory.h>

#include "trace.h"

struct replay;

/* Who decides. All get their `context`; the places of victim and prefetch are in q->list. */
struct replay_policy {
    const char *name;
    void *context;
    void (*touch)(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t);
    void (*moved)(void *context, struct gpu_memory_buffer *b, bool here, bool copied);
    void (*freed)(void *context, struct gpu_memory_buffer *b);
    uint32_t (*victim)(void *context, const struct gpu_memory_question *q);
    uint32_t (*prefetch)(void *context, const struct gpu_memory_question *q);
};

struct replay_result {
    uint64_t moved_in, moved_out; /* bytes */
    uint64_t hits, touches, decisions, prefetches;
    bool nonsense; /* an answer that the kernel would not have taken */
};

/* quota: at least trace->largest. False: no memory. */
bool replay_run(const struct trace *trace, uint64_t quota, const struct replay_policy *policy,
                struct replay_result *out);

/* LRU, and what knows the future. context of the latter: struct offline. */
extern const struct replay_policy replay_lru;

/* ---- offline.c --------------------------------------------------------------------------------- */

/*
 * Belady's rule for buffers of any size: who is used furthest in the future leaves. It is optimal when all
 * buffers have one size and nothing is written back; else it is a good heuristic and no bound, so it is
 * taken in several forms, and the best counts:
 */
enum offline_form {
    OFFLINE_FURTHEST,    /* by the next use alone */
    OFFLINE_CLEAN_FIRST, /* what would have to be written back counts as half as far */
    OFFLINE_COST,        /* by bytes that are moved for the room and how long it lasts */
    OFFLINE_READ,        /* by the next use that reads: what is overwritten next need not come back */
    OFFLINE_FORMS,
};

struct offline {
    enum offline_form form;
    const uint64_t *next; /* of each touch: number of the same buffer's next one, or UINT64_MAX */
    const uint8_t *reads; /* whether that one needs the contents */
    const uint64_t *next_read;
    uint64_t touch;       /* number of the last */
    uint64_t *last;       /* of each buffer: its last touch */
};

bool offline_open(struct offline *o, const struct trace *trace, enum offline_form form);
void offline_close(struct offline *o);
extern const struct replay_policy replay_offline; /* set context */

/*
 * No order of moves copies less in than this: each stretch between two uses of a buffer is either kept, and
 * takes its bytes of the quota for that long, or copied in at its end. At best the shortest are kept, and
 * the quota is full all the time (PFOO-L: Berger, Beckmann, Harchol-Balter, "Practical Bounds on Optimal
 * Caching with Variable Object Sizes", 2018). Writing back is left out, so it may be far below what can be.
 */
uint64_t offline_bound(const struct trace *trace, uint64_t quota);

/* ---- informed.c -------------------------------------------------------------------------------- */

/*
 * For traces that go on by chance (TRACE_CHOICE), what can be done without knowing how the chances fall, by who knows
 * them: who is touched last as far as one can expect leaves. As Belady's rule it is a heuristic, so it is
 * taken in several forms (by the expected time of the next touch and by its probability soon, as well as the first
 * three of enum offline_form), and the best counts. best->touches is 0 where the trace leaves nothing to chance.
 *
 * bound: no policy that does not know how the chances fall moves less, in the mean of all the ways they could have
 * fallen, however good it is: what exceeds the quota is missing when a request begins, and each byte of it that is
 * needed comes in. It has to be copied then, or it is overwritten, and has to be copied out when it leaves. (The last
 * quota of bytes need never leave.) For that no buffer may be made or freed after the first request.
 */
bool informed_run(const struct trace *trace, uint64_t quota, struct replay_result *best, uint64_t *bound);
