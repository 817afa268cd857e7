/*
 * fair.c: the decisions of fair.h.
 */
#include "include/fair.h"

#define RAN_MOST   (10 * NS_PER_SEC) /* keeps products in 64 bits; no turn is that long */
#define BURST_MOST (10 * NS_PER_SEC)

/* Real nanoseconds as virtual time of a weight. */
static uint64_t virtual_of(uint64_t ns, uint64_t weight)
{
    return ns * FAIR_WEIGHT_MAX / weight;
}

static int64_t clamp(int64_t x, int64_t least, int64_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* ---- the queue's virtual time ---------------------------------------------------------------- */

/* Moves the base to the mean, rounded down, so that at least one entity is at or below it: the sum stays
 * small for ever, and the base is the queue's virtual time whenever nobody changes it. */
static void rebase(struct fair_queue *f)
{
    int64_t weight = (int64_t)f->weight, distance;

    if (weight == 0)
        return;
    distance = f->sum / weight - (f->sum % weight < 0);
    f->base += (uint64_t)distance;
    f->sum -= distance * weight;
}

uint64_t fair_virtual_time(const struct fair_queue *f)
{
    return f->base;
}

static void sum_add(struct fair_queue *f, uint64_t weight, uint64_t vruntime)
{
    f->sum += (int64_t)weight * (int64_t)(vruntime - f->base);
    f->weight += weight;
    rebase(f);
}

static void sum_remove(struct fair_queue *f, uint64_t weight, uint64_t vruntime)
{
    f->sum -= (int64_t)weight * (int64_t)(vruntime - f->base);
    f->weight -= weight;
    if (f->weight == 0) /* time stands still while nobody competes */
        f->sum = 0;
    rebase(f);
}

static void running_forget(struct fair_queue *f)
{
    if (f->running)
        sum_remove(f, f->running_weight, f->running_vruntime);
    f->running = NULL;
}

void fair_running_left(struct sched_queue *q)
{
    running_forget(fair_queue(q));
}

/* ---- entities ----------------------------------------------------------------------------------
 */

/* How much time, in ns, an entity asks for at once: short for one that sleeps soon anyway. */
static uint64_t request_length(const struct sched_queue *q, const struct fair_state *s)
{
    uint64_t length = q->ready + 1 >= FAIR_FEW ? FAIR_REQUEST_NORMAL : FAIR_REQUEST_LONG;
    uint64_t burst = MAX(s->burst_average, s->burst);

    if (s->burst_average == 0)
        return length;
    return MIN(length, MAX(2 * burst, FAIR_REQUEST_LEAST));
}

static void request_begin(const struct sched_queue *q, struct fair_state *s)
{
    s->deadline = s->vruntime + virtual_of(request_length(q, s), s->weight);
}

/* Keeps what the entity is owed, or owes, for the time it is away. */
static void lag_keep(struct sched_queue *q, struct fair_state *s)
{
    int64_t limit = (int64_t)virtual_of(FAIR_LAG_LIMIT, s->weight);

    s->away.vqueue = fair_virtual_time(fair_queue(q));
    s->away.lag = clamp((int64_t)(s->away.vqueue - s->vruntime), -limit, limit);
    s->cpu = (uint16_t)q->cpu;
}

/*
 * The lag it comes back with: what it owed has been paid as far as the others went on meanwhile. An
 * entity that slept while another policy was active brings that one's data: whatever it says, the
 * limit holds.
 */
static int64_t lag_now(struct sched_queue *q, const struct fair_state *s)
{
    int64_t limit = (int64_t)virtual_of(FAIR_LAG_LIMIT, s->weight);
    int64_t lag = clamp(s->away.lag, -limit, limit);
    int64_t passed = (int64_t)(fair_virtual_time(fair_queue(q)) - s->away.vqueue);

    if (lag < 0 && s->cpu == q->cpu && passed > 0)
        lag = passed >= -lag ? 0 : lag + passed;
    return lag;
}

static void burst_end(struct fair_state *s)
{
    uint64_t average = MIN(s->burst_average, BURST_MOST), burst = MIN(s->burst, BURST_MOST);

    s->burst_average = average ? (3 * average + burst) / 4 : burst;
    s->burst = 0;
}

void fair_woke_aside(struct sched_entity *e)
{
    burst_end(fair_state(e));
}

void fair_ran_aside(struct sched_entity *e, uint64_t ran)
{
    fair_state(e)->burst += MIN(ran, RAN_MOST);
}

static void weight_take(struct sched_entity *e)
{
    fair_state(e)->weight = (uint32_t)clamp(e->weight, 1, FAIR_WEIGHT_MAX);
}

/* Gives an entity that comes from outside its place in virtual time. */
static void entity_place(struct sched_queue *q, struct sched_entity *e, int64_t lag)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_state *s = fair_state(e);

    if (e->flags & SCHED_WAKEUP)
        burst_end(s);
    /* Its coming moves the mean towards it: stretched, the lag is right afterwards. */
    if (f->weight != 0)
        lag += lag * (int64_t)s->weight / (int64_t)f->weight;
    s->vruntime = fair_virtual_time(f) - (uint64_t)lag;
    request_begin(q, s);
}

/* It ran here until now and goes on competing. */
static void entity_return(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_state *s = fair_state(e);

    weight_take(e);
    if (e->flags & SCHED_YIELDED)
        s->deadline = s->vruntime + 2 * virtual_of(request_length(q, s), s->weight);
    else if (!virtual_before(s->vruntime, s->deadline))
        request_begin(q, s);
}

/* ---- competing, in the tree or elsewhere -------------------------------------------------------
 */

static void competes(struct fair_queue *f, struct sched_entity *e)
{
    sum_add(f, fair_state(e)->weight, fair_state(e)->vruntime);
    fair_state(e)->queued = true;
}

void fair_join_at(struct sched_queue *q, struct sched_entity *e, int64_t lag)
{
    weight_take(e);
    entity_place(q, e, lag);
    competes(fair_queue(q), e);
}

void fair_join(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_queue *f = fair_queue(q);
    bool ran_here = f->running == e && (e->flags & (SCHED_PREEMPTED | SCHED_YIELDED)) &&
                    !(e->flags & (SCHED_NEW | SCHED_ADOPTED | SCHED_MOVED));

    if (f->running == e)
        running_forget(f);
    if (ran_here) {
        entity_return(q, e);
        competes(f, e);
        return;
    }
    weight_take(e); /* the lag's limit follows from it */
    fair_join_at(q, e, e->flags & (SCHED_NEW | SCHED_ADOPTED) ? 0 : lag_now(q, fair_state(e)));
}

void fair_wait(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_queue *f = fair_queue(q);

    f->root = fair_tree_insert(f->root, e);
}

void fair_leave(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_state *s = fair_state(e);

    s->queued = false;
    lag_keep(q, s);
    sum_remove(fair_queue(q), s->weight, s->vruntime);
}

void fair_run(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_state *s = fair_state(e);

    running_forget(f);
    s->queued = false;
    f->running = e;
    f->running_weight = s->weight;
    f->running_vruntime = s->vruntime;
    lag_keep(q, s);
}

/* ---- struct sched_ops ---------------------------------------------------------------------------
 */

void fair_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    (void)now;
    fair_join(q, e);
    fair_wait(q, e);
}

void fair_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    struct fair_queue *f = fair_queue(q);

    f->root = fair_tree_remove(f->root, e);
    fair_leave(q, e);
}

struct sched_entity *fair_pick(struct sched_queue *q, uint64_t now)
{
    struct fair_queue *f = fair_queue(q);
    struct sched_entity *e;

    (void)now;
    running_forget(f);
    e = fair_tree_first_eligible(f->root, fair_virtual_time(f));
    if (!e)
        return NULL;
    f->root = fair_tree_remove(f->root, e);
    fair_run(q, e);
    return e;
}

void fair_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_state *s = fair_state(e);

    if (s->weight == 0 || s->queued) /* it has never been picked here */
        return;
    ran = MIN(ran, RAN_MOST);
    s->burst += ran;
    s->vruntime += virtual_of(ran, s->weight);
    if (f->running == e) {
        f->sum += (int64_t)f->running_weight * (int64_t)(s->vruntime - f->running_vruntime);
        f->running_vruntime = s->vruntime;
        rebase(f);
    }
    lag_keep(q, s);
}

uint64_t fair_slice(struct sched_queue *q, struct sched_entity *e)
{
    const struct fair_state *s = fair_state(e);
    uint64_t request = request_length(q, s);

    if (!virtual_before(s->vruntime, s->deadline))
        return request;
    return clamp((int64_t)((s->deadline - s->vruntime) * s->weight / FAIR_WEIGHT_MAX),
                 FAIR_REQUEST_LEAST, (int64_t)request);
}

bool fair_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    const struct fair_state *s = fair_state(fresh);

    return !virtual_before(fair_virtual_time(fair_queue(q)), s->vruntime) &&
           virtual_before(s->deadline, fair_state(running)->deadline);
}
