/*
 * lane.c: see lane.h.
 */
#include "lane.h"

#include "modules/mlaas/sched_fair/include/urgent.h"

#define PERSON    16 /* the unit of lane_queue.people */
#define EARN_MOST NS_PER_SEC

static struct lane_queue *lane_queue(struct sched_queue *q)
{
    return (struct lane_queue *)q->data;
}

/* It has the CPU, or waits for it, ahead of others. */
static bool is_ahead(struct sched_entity *e)
{
    const struct history *h = lane_history(e);

    return h->ahead && h->credit > 0 && !e->plain && !e->priority;
}

/* The lane may run on: nobody waits elsewhere, or they had their part. */
static bool lane_is_open(struct sched_queue *q)
{
    return !lane_queue(q)->fair.root || lane_queue(q)->ahead < LANE_MOST;
}

/* ---- predictions ------------------------------------------------------------------------------
 */

/* Whether it may go ahead at all is not the model's to say, but who does so first. */
static void predict(struct history *h, const struct sched_entity *e, uint64_t now)
{
    bool sure;

    history_capture(h, e, now);
    sure = history_is_sure(h);
    h->kind = sure ? (uint8_t)burst_predict(h, e) : BURST_LONG;
    h->called = (uint8_t)(h->called << 1 | e->outside);
    h->ahead = sure && h->called;
}

/* ns of a burst of that kind, and half as much again: what was predicted too low by a little is
 * better done with. */
static uint64_t limit_of(unsigned kind)
{
    return kind == BURST_BRIEF   ? BURST_BRIEF_NS * 3 / 2
           : kind == BURST_SHORT ? BURST_SHORT_NS * 3 / 2
                                 : UINT64_MAX;
}

/* What it counts as by now: whoever has run on is no longer what it was taken for. */
static unsigned kind_now(struct sched_entity *e)
{
    const struct history *h = lane_history(e);

    return history_burst(h, e) < limit_of(h->kind) ? h->kind : BURST_LONG;
}

/* Where another policy orders the queue nobody leads, so only the prediction is asked for. */
bool lane_watch(uint64_t *memory, const struct sched_entity *e, uint64_t now)
{
    struct history *h = (struct history *)memory;

    predict(h, e, now);
    return h->kind >= BURST_SHORT;
}

/* ---- credit -----------------------------------------------------------------------------------
 */

static uint64_t weight_of(const struct sched_entity *e)
{
    return MIN(MAX(e->weight, 1u), FAIR_WEIGHT_MAX);
}

/*
 * Counts who comes: each time that a thread is enqueued adds its weight for the part of
 * LANE_POPULATION that has passed since the last time, and the whole fades as fast. So a thread
 * counts once, however often it comes, whether it sleeps or runs in between.
 */
static void people_count(struct lane_queue *l, const struct sched_entity *e, struct history *h,
                         uint64_t now)
{
    uint64_t since = MIN(now - l->people_at, LANE_POPULATION);
    uint64_t apart = MIN(now - h->counted, LANE_POPULATION);

    l->people -= MIN(l->people, l->people * since / LANE_POPULATION);
    l->people += weight_of(e) * PERSON * apart / LANE_POPULATION;
    l->people_at = h->counted = now;
}

/* What of `ns` is its share, of all who are here. */
static int64_t share_of(struct sched_queue *q, const struct sched_entity *e, uint64_t ns)
{
    uint64_t weight = weight_of(e);
    uint64_t all = MAX(fair_queue(q)->weight + weight, lane_queue(q)->people / PERSON);

    return (int64_t)(ns * weight / all);
}

/*
 * What somebody of its weight who always competes got since the last time. Where virtual time says
 * nothing, because nobody competed or it is another CPU's, its share of the time that it slept.
 * (`credit` and `vqueue` may be what another policy has left there.)
 */
static void credit_earn(struct sched_queue *q, const struct sched_entity *e, struct history *h,
                        uint64_t slept)
{
    int64_t weight = (int64_t)weight_of(e), most = share_of(q, e, LANE_SLEEP);
    uint64_t vqueue = fair_virtual_time(fair_queue(q));
    int64_t passed = h->cpu == q->cpu ? (int64_t)(vqueue - h->vqueue) : 0;

    passed = MIN(MAX(passed, 0), (int64_t)(EARN_MOST * FAIR_WEIGHT_MAX) / weight);
    passed = passed ? passed * weight / (int64_t)FAIR_WEIGHT_MAX
                    : share_of(q, e, MIN(slept, LANE_SLEEP));
    h->credit = MIN(MIN(MAX(h->credit, -most), most) + passed, most);
    h->vqueue = vqueue;
    h->cpu = (uint8_t)q->cpu;
}

/* It has only now come under this policy. */
static void credit_begin(struct sched_queue *q, struct history *h)
{
    h->credit = 0;
    h->vqueue = fair_virtual_time(fair_queue(q));
    h->cpu = (uint8_t)q->cpu;
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
    if (h->counted == 0)
        credit_begin(q, h);
    people_count(lane_queue(q), e, h, now);
    if (e->flags & SCHED_WAKEUP) {
        predict(h, e, now);
        credit_earn(q, e, h, now - e->ran_until);
    }
    if (e->flags & (SCHED_YIELDED | SCHED_NEW | SCHED_ADOPTED))
        h->ahead = false;
    e->leads = h->called && !e->plain;
    h->ahead = is_ahead(e);
    if (!h->ahead) {
        urgent_enqueue(q, e, now);
        return;
    }
    if (e->flags & SCHED_WAKEUP)
        fair_woke_aside(e);
    h->kind = (uint8_t)kind_now(e);
    lane_add(q, e);
}

void lane_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    if (lane_history(e)->lane)
        lane_take(e);
    else
        urgent_dequeue(q, e);
}

struct sched_entity *lane_pick(struct sched_queue *q, uint64_t now)
{
    struct sched_entity *e = NULL;

    if (!list_empty(&q->list))
        e = list_entry(list_first(&q->list), struct sched_entity, link);
    if (!e || !lane_history(e)->lane)
        return urgent_pick(q, now);
    if (!lane_is_open(q))
        return fair_pick(q, now);
    lane_take(e);
    fair_running_left(q);
    return e;
}

void lane_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    struct lane_queue *l = lane_queue(q);
    struct history *h = lane_history(e);

    if (h->ahead)
        fair_ran_aside(e, ran);
    else
        fair_charge(q, e, ran);
    if (e->priority)
        return;
    credit_earn(q, e, h, 0);
    if (!h->ahead || l->fair.root) /* else nobody else wants the CPU */
        h->credit -= (int64_t)MIN(ran, NS_PER_SEC);
    if (!l->fair.root)
        l->ahead = 0;
    else if (h->ahead)
        l->ahead = MIN(l->ahead + ran, 2 * LANE_MOST);
    else
        l->ahead -= MIN(l->ahead, LANE_REST * ran);
}

uint64_t lane_slice(struct sched_queue *q, struct sched_entity *e)
{
    const struct history *h = lane_history(e);
    uint64_t open = LANE_MOST - MIN(lane_queue(q)->ahead, LANE_MOST);

    if (!is_ahead(e))
        return urgent_slice(q, e);
    return MIN(MIN((uint64_t)h->credit, open), limit_of(kind_now(e)) - history_burst(h, e));
}

bool lane_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    if (fresh->priority || running->priority)
        return urgent_preempts(q, fresh, running);
    if (is_ahead(running))
        return lane_history(fresh)->lane && lane_history(fresh)->kind > kind_now(running);
    if (lane_history(fresh)->lane)
        return lane_is_open(q);
    return urgent_preempts(q, fresh, running);
}
