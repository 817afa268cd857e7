/*
 * lane.c: see lane.h.
 */
#include "lane.h"

#include "modules/mlaas/sched_fair/include/urgent.h"

static struct lane_queue *lane_queue(struct sched_queue *q)
{
    return (struct lane_queue *)q->data;
}

/* It has the CPU, or waits for it, within what was predicted of its burst. */
static bool is_ahead(struct sched_entity *e)
{
    const struct history *h = lane_history(e);

    return h->limit > history_burst(h, e) && !e->plain && !e->priority;
}

/* The lane may run on: nobody waits elsewhere, or they had their part. */
static bool lane_is_open(struct sched_queue *q)
{
    return !lane_queue(q)->fair.root || lane_queue(q)->ahead < LANE_MOST;
}

/* ---- predictions ------------------------------------------------------------------------------
 */

/* ns of the coming burst that go before others: twice what is predicted, for what was predicted too
 * low by a little is better done with. */
static uint64_t limit_of(enum burst_kind kind)
{
    return kind == BURST_BRIEF ? 2 * BURST_BRIEF_NS : kind == BURST_SHORT ? 2 * BURST_SHORT_NS : 0;
}

static void predict(struct history *h, const struct sched_entity *e, uint64_t now)
{
    history_capture(h, e, now);
    h->kind = history_is_sure(h) ? (uint8_t)burst_predict(h) : BURST_LONG;
    h->limit = limit_of(h->kind);
}

bool lane_watch(uint64_t *memory, const struct sched_entity *e, uint64_t now)
{
    struct history *h = (struct history *)memory;

    predict(h, e, now);
    return h->limit != 0;
}

static uint64_t weight_of(const struct sched_entity *e)
{
    return MIN(MAX(e->weight, 1u), FAIR_WEIGHT_MAX);
}

/*
 * Counts who comes and goes: each wake-up adds the thread's weight for the part of LANE_POPULATION
 * that has passed since its last one, and the whole fades as fast. So a thread counts once, however
 * often it wakes.
 */
static void population_take(struct lane_queue *l, const struct sched_entity *e, struct history *h,
                            uint64_t now)
{
    uint64_t since = MIN(now - l->sleepers_at, LANE_POPULATION);
    uint64_t apart = MIN(now - h->woke, LANE_POPULATION);

    l->sleepers -= MIN(l->sleepers, l->sleepers * since / LANE_POPULATION);
    l->sleepers += weight_of(e) * 16 * apart / LANE_POPULATION;
    l->sleepers_at = h->woke = now;
}

/* What a thread that slept is owed: see lane.h. */
static int64_t lag_after_sleep(struct sched_queue *q, const struct sched_entity *e,
                               const struct history *h, uint64_t now)
{
    uint64_t weight = weight_of(e),
             all = MAX(fair_queue(q)->weight, lane_queue(q)->sleepers / 16) + weight;
    int64_t most = (int64_t)(LANE_SLEEP * FAIR_WEIGHT_MAX / all);
    int64_t slept = (int64_t)(MIN(now - e->ran_until, LANE_SLEEP) * FAIR_WEIGHT_MAX / all);

    int64_t least = -(int64_t)(FAIR_LAG_LIMIT * FAIR_WEIGHT_MAX / weight);

    return MIN(MAX(h->lag, least) + slept, most);
}

/* Whether it has had its share, and more than a little more. */
static bool is_in_debt(struct sched_queue *q, struct sched_entity *e)
{
    const struct fair_state *s = fair_state(e);
    int64_t over = (int64_t)(s->vruntime - fair_virtual_time(fair_queue(q)));

    return over > (int64_t)(LANE_SLACK * FAIR_WEIGHT_MAX / s->weight);
}

/* ---- struct sched_ops -------------------------------------------------------------------------
 */

/* Shorter ones first, behind those with a priority. */
static void lane_add(struct sched_queue *q, struct sched_entity *e)
{
    struct list *after = q->list.prev;

    while (after != &q->list) {
        struct sched_entity *other = list_entry(after, struct sched_entity, link);

        if (!lane_history(other)->lane || lane_history(other)->kind >= lane_history(e)->kind)
            break;
        after = after->prev;
    }
    list_add_between(&e->link, after, after->next);
    lane_history(e)->lane = true;
}

static void lane_take(struct sched_entity *e)
{
    list_remove(&e->link);
    lane_history(e)->lane = false;
}

void lane_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    struct history *h = lane_history(e);

    h->lane = false; /* whatever another policy has left there */
    if (e->flags & SCHED_WAKEUP) {
        predict(h, e, now);
        population_take(lane_queue(q), e, h, now);
    }
    if (e->flags & (SCHED_YIELDED | SCHED_NEW | SCHED_ADOPTED))
        h->limit = 0;
    if (!is_ahead(e)) {
        if (h->limit && fair_queue(q)->running == e)
            fair_running_left(q); /* it ran on: it is owed no more than sched_fair would leave it */
        h->limit = 0;
        urgent_enqueue(q, e, now);
        return;
    }
    if (e->flags & SCHED_WAKEUP)
        fair_join_at(q, e, lag_after_sleep(q, e, h, now));
    else
        fair_join(q, e);
    if (is_in_debt(q, e)) {
        h->limit = 0;
        fair_wait(q, e);
    } else {
        lane_add(q, e);
    }
}

void lane_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    if (!lane_history(e)->lane) {
        urgent_dequeue(q, e);
        return;
    }
    lane_take(e);
    fair_leave(q, e);
}

struct sched_entity *lane_pick(struct sched_queue *q, uint64_t now)
{
    struct sched_entity *e = NULL;

    if (!list_empty(&q->list))
        e = list_entry(list_first(&q->list), struct sched_entity, link);
    if (!e || !lane_history(e)->lane)
        return urgent_pick(q, now);
    if (!lane_is_open(q)) {
        struct sched_entity *other = fair_pick(q, now);

        if (other) /* else all of them had more than their share */
            return other;
    }
    lane_take(e);
    fair_run(q, e);
    return e;
}

void lane_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    struct lane_queue *l = lane_queue(q);

    fair_charge(q, e, ran);
    if (e->priority)
        return;
    lane_history(e)->lag = (int64_t)(fair_virtual_time(fair_queue(q)) - fair_state(e)->vruntime);
    if (!l->fair.root)
        l->ahead = 0;
    else if (lane_history(e)->limit)
        l->ahead = MIN(l->ahead + ran, 2 * LANE_MOST);
    else
        l->ahead -= MIN(l->ahead, LANE_REST * ran);
}

uint64_t lane_slice(struct sched_queue *q, struct sched_entity *e)
{
    const struct history *h = lane_history(e);

    return is_ahead(e) ? h->limit - history_burst(h, e) : urgent_slice(q, e);
}

bool lane_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    if (fresh->priority || running->priority)
        return urgent_preempts(q, fresh, running);
    if (is_ahead(running))
        return lane_history(fresh)->lane && lane_history(fresh)->kind > lane_history(running)->kind;
    if (lane_history(fresh)->lane)
        return lane_is_open(q);
    return urgent_preempts(q, fresh, running);
}
