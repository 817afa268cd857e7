/*
 * round_robin.c: the scheduling policy of last resort: first in, first out, fixed slices.
 */
#include "sched.h"

#define SLICE_NS (4 * NS_PER_MS)

static void rr_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    (void)now;
    list_push_back(&q->list, &e->link);
}

static void rr_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    list_remove(&e->link);
}

static struct sched_entity *rr_pick(struct sched_queue *q, uint64_t now)
{
    struct list *first = list_pop_front(&q->list);

    (void)now;
    return first ? list_entry(first, struct sched_entity, link) : NULL;
}

static void rr_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    (void)q;
    (void)e;
    (void)ran;
}

static uint64_t rr_slice(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    (void)e;
    return SLICE_NS;
}

static bool rr_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    (void)q;
    (void)fresh;
    (void)running;
    return false;
}

static const struct sched_ops rr_ops = {
    .struct_size = sizeof(struct sched_ops),
    .enqueue = rr_enqueue,
    .dequeue = rr_dequeue,
    .pick = rr_pick,
    .charge = rr_charge,
    .slice = rr_slice,
    .preempts = rr_preempts,
};

struct policy sched_round_robin = {.name = "round_robin", .ops = &rr_ops};
