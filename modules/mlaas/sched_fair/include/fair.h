/*
 * fair.h: weighted fair scheduling by earliest eligible virtual deadline.
 *
 * The algorithm is EEVDF (I. Stoica, H. Abdel-Wahab: "Earliest Eligible Virtual Deadline First: A
 * Flexible and Accurate Mechanism for Proportional Share Resource Allocation", 1995). Each entity
 * has a virtual run time, which grows by its real run time over its weight. A queue's virtual time
 * is the weighted mean of the virtual run times of all who compete. An entity whose virtual run
 * time is not above the queue's has had no more than its share: it is eligible. Of those the one
 * with the earliest virtual deadline runs, where the deadline is the end of its present request for
 * time. Who asks for little time at once therefore gets it soon, and nobody gets more than its
 * share.
 *
 * The queue of entities is a tree by deadline whose nodes know the least virtual run time below
 * them (tree.c), so that every operation takes logarithmic time.
 *
 * The functions are those of struct sched_ops and follow its rules. They touch nothing but the
 * queue and the entities given, and are tested outside the kernel.
 */
#pragma once

#include <microlake/policy.h>

/* Virtual time: at weight FAIR_WEIGHT_MAX it runs as fast as real nanoseconds. It may wrap. */
#define FAIR_WEIGHT_MAX     65536u
#define FAIR_REQUEST_LEAST  (300 * NS_PER_US) /* of an entity that runs in short bursts */
#define FAIR_REQUEST_NORMAL (3 * NS_PER_MS)   /* with FAIR_FEW competitors or more */
#define FAIR_REQUEST_LONG   (6 * NS_PER_MS)   /* with fewer: switching less costs nobody much */
#define FAIR_FEW            4
#define FAIR_LAG_LIMIT      FAIR_REQUEST_LONG /* what an entity keeps of its lag while it sleeps */

/* What lies in sched_entity.data. */
struct fair_state {
    uint64_t vruntime;
    uint64_t deadline;
    union {
        struct {
            struct sched_entity *left, *right;
        } tree; /* while it is queued */
        struct {
            int64_t lag;     /* virtual time it was owed when it last stopped */
            uint64_t vqueue; /* the queue's virtual time then */
        } away;              /* while it is not */
    };
    uint64_t least;  /* least vruntime in its part of the tree */
    uint32_t weight; /* the one it is counted with */
    uint16_t cpu;    /* of `vqueue` */
    bool queued;
    uint64_t burst;         /* ns it ran since it last woke */
    uint64_t burst_average; /* ns between waking and sleeping; 0: unknown */
};
_Static_assert(sizeof(struct fair_state) <= sizeof(((struct sched_entity *)0)->data), "state fits");

/* What lies in sched_queue.data. */
struct fair_queue {
    struct sched_entity *root;
    uint64_t base;   /* virtual time that `sum` counts from */
    int64_t sum;     /* of weight * (vruntime - base), over the tree and the running entity */
    uint64_t weight; /* of all these */
    /* The running entity's part in the sum. It may be gone: never followed. */
    const struct sched_entity *running;
    uint64_t running_weight;
    uint64_t running_vruntime;
};
_Static_assert(sizeof(struct fair_queue) <= sizeof(((struct sched_queue *)0)->data), "queue fits");

static inline struct fair_state *fair_state(struct sched_entity *e)
{
    return (struct fair_state *)e->data;
}

static inline struct fair_queue *fair_queue(struct sched_queue *q)
{
    return (struct fair_queue *)q->data;
}

/* Whether virtual time a is before b. */
static inline bool virtual_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

void fair_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now);
void fair_dequeue(struct sched_queue *q, struct sched_entity *e);
struct sched_entity *fair_pick(struct sched_queue *q, uint64_t now);
void fair_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran);
uint64_t fair_slice(struct sched_queue *q, struct sched_entity *e);
bool fair_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running);

/*
 * For policies that extend this one and keep some entities elsewhere than in the tree: they compete as
 * all others do, and what they get is counted. An entity that joins gets its place in virtual time; then it
 * waits in the tree after all, leaves the queue, or runs.
 */
void fair_join(struct sched_queue *q, struct sched_entity *e);
void fair_join_at(struct sched_queue *q, struct sched_entity *e, int64_t lag); /* virtual time it is owed */
void fair_wait(struct sched_queue *q, struct sched_entity *e);
void fair_leave(struct sched_queue *q, struct sched_entity *e);
void fair_run(struct sched_queue *q, struct sched_entity *e);

/* Of a thread that runs without competing for once: how long its bursts are is noted all the same. */
void fair_woke_aside(struct sched_entity *e);
void fair_ran_aside(struct sched_entity *e, uint64_t ran);

/* Somebody who does not compete by share runs next: nobody of the queue is running. */
void fair_running_left(struct sched_queue *q);

/* The weighted mean of the virtual run times of all who compete. */
uint64_t fair_virtual_time(const struct fair_queue *f);

/* tree.c: a treap by (deadline, thread_id), each node with the least vruntime below it. */
struct sched_entity *fair_tree_insert(struct sched_entity *root, struct sched_entity *e);
struct sched_entity *fair_tree_remove(struct sched_entity *root, struct sched_entity *e);

/* The first whose vruntime is not above `limit`; NULL: none. */
struct sched_entity *fair_tree_first_eligible(struct sched_entity *root, uint64_t limit);
