/*
 * lane.h: the operations of sched_burst. Threads that answer something from outside go ahead of the
 * others as long as they need less than these: they wait in a lane of their own, behind those with
 * a priority, who is predicted to run shortest first. All others, and the same threads at other
 * times, are sched_fair's and get what they would get there.
 *
 * From outside is a thread woken by an interrupt (a timer, a device), or by one that runs ahead
 * itself; one of its last eight wake-ups is enough. Threads that only wake each other, like
 * trainers at a barrier, never are: put ahead they would only want the more.
 *
 * The lane runs on credit. A thread earns what somebody of its weight who always competes gets
 * meanwhile (sched_fair's virtual time, which stands still while the lane runs ahead), and pays
 * for all that it runs, ahead of others or not. So:
 *
 * - over time nobody in the lane gets more than those who always compete;
 * - a credit is a share of LANE_SLEEP at most, among all who run or sleep here. So in any time W
 * who always competes gets an equal share, among all there are, of W less LANE_SLEEP;
 * - of LANE_MOST ns that the lane ran ahead of others, these get one in LANE_REST + 1 back before
 * it goes on.
 *
 * The functions touch nothing but the queue and the entities given, and are tested outside the
 * kernel.
 */
#pragma once

#include "history.h"
#include "modules/mlaas/sched_fair/include/fair.h"

#define LANE_SLEEP      (200 * NS_PER_MS)
#define LANE_POPULATION (400 * NS_PER_MS)
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
    uint64_t people; /* sixteenths of the weight of all who come here every LANE_POPULATION or so */
    uint64_t people_at; /* time of that figure */
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

/* What kind of burst of e's comes next, by the model. Elsewhere: model.c, or a test. */
enum burst_kind burst_predict(const struct history *h, const struct sched_entity *e);
