/*
 * urgent.c: entities with a priority, which come before all who compete by share. They wait in the
 * queue's list, highest priority first, and take turns among equals; everybody else is fair.c's.
 */
#include "include/urgent.h"

#define URGENT_SLICE (10 * NS_PER_MS)

/* The link is in the list, or points at itself: the kernel sees to that between policies. */
static bool is_waiting_urgent(const struct sched_entity *e)
{
    return !list_empty(&e->link);
}

void urgent_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    struct list *after = q->list.prev;

    if (!e->priority) {
        fair_enqueue(q, e, now);
        return;
    }
    while (after != &q->list && list_entry(after, struct sched_entity, link)->priority < e->priority)
        after = after->prev;
    list_add_between(&e->link, after, after->next);
}

void urgent_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    if (is_waiting_urgent(e))
        list_remove(&e->link);
    else
        fair_dequeue(q, e);
}

struct sched_entity *urgent_pick(struct sched_queue *q, uint64_t now)
{
    struct list *first = list_pop_front(&q->list);

    if (!first)
        return fair_pick(q, now);
    fair_running_left(q);
    return list_entry(first, struct sched_entity, link);
}

uint64_t urgent_slice(struct sched_queue *q, struct sched_entity *e)
{
    return e->priority ? URGENT_SLICE : fair_slice(q, e);
}

bool urgent_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    if (fresh->priority || running->priority)
        return fresh->priority > running->priority;
    return fair_preempts(q, fresh, running);
}
