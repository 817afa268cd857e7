/*
 * round_robin.c: the scheduling policy of last resort: by priority, then first in, first out, with fixed
 * slices.
 */
#include "sched.h"

#define SLICE_NS (4 * NS_PER_MS)

static void rr_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    struct list *after = q->list.prev;

    (void)now;
    while (after != &q->list && list_entry(after, struct sched_entity, link)->priority < e->priority)
        after = after->prev;
    list_add_between(&e->link, after, after->next);
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
    return fresh->priority > running->priority;
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
