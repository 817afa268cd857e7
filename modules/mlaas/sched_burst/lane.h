/*
 * lane.h: the operations of sched_burst. Threads whose next burst is predicted to be short go ahead
 * of the others: they wait in a lane of their own, behind those with a priority. All others are
 * sched_fair's, and all compete in its virtual time, so that what a thread gets early it does not
 * get twice:
 *
 * - of a sleep, up to LANE_SLEEP counts as if the thread had competed and waited: its share of that
 * time, among all who run and sleep here, it is owed, so that bursts that come in a row are served
 * early;
 * - into the lane comes who has had no more than its share (give or take LANE_SLACK) as it wakes;
 * - a burst longer than predicted ends the privilege at once;
 * - of LANE_MOST ns that the lane ran ahead of others, these get one in LANE_REST + 1 back before
 * it goes on.
 *
 * They touch nothing but the queue and the entities given, and are tested outside the kernel.
 */
#pragma once

#include "history.h"
#include "modules/mlaas/sched_fair/include/fair.h"

#define LANE_SLEEP      (40 * NS_PER_MS)
#define LANE_POPULATION (100 * NS_PER_MS)
#define LANE_SLACK      (1 * NS_PER_MS)
#define LANE_MOST       (20 * NS_PER_MS)
#define LANE_REST       4

/* What lies in sched_entity.data, and in sched_queue.data. */
struct lane_state {
    struct fair_state fair;
    struct history history;
};
_Static_assert(sizeof(struct lane_state) <= sizeof(((struct sched_entity *)0)->data), "state fits");

struct lane_queue {
    struct fair_queue fair;
    uint64_t
        ahead; /* ns that the lane ran while others waited, less LANE_REST times what these ran */
    uint64_t sleepers;    /* weight of those who wake here at least every LANE_POPULATION or so */
    uint64_t sleepers_at; /* time of that figure */
};
_Static_assert(sizeof(struct lane_queue) <= sizeof(((struct sched_queue *)0)->data), "queue fits");

static inline struct history *lane_history(struct sched_entity *e)
{
    return &((struct lane_state *)e->data)->history;
}

void lane_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now);
void lane_dequeue(struct sched_queue *q, struct sched_entity *e);
struct sched_entity *lane_pick(struct sched_queue *q, uint64_t now);
void lane_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran);
uint64_t lane_slice(struct sched_queue *q, struct sched_entity *e);
bool lane_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running);
bool lane_watch(uint64_t *memory, const struct sched_entity *e, uint64_t now);

/* What kind of burst comes next, by the model. Elsewhere: model.c, or a test. */
enum burst_kind burst_predict(const struct history *h);
