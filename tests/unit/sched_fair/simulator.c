/*
 * simulator.c: see simulator.h. Time goes from event to event: a slice ends, a burst ends, a
 * sleeper wakes.
 */
#include "simulator.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

/* The limits that the kernel sets to slices. */
#define SLICE_LEAST (100 * NS_PER_US)
#define SLICE_MOST  (100 * NS_PER_MS)

void simulator_init(struct simulator *s, const struct sched_ops *ops)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    list_init(&s->queue.list);
    s->slice_end = UINT64_MAX;
}

struct task *simulator_task(struct simulator *s, uint32_t weight, uint64_t burst, uint64_t pause)
{
    struct task *t = &s->tasks[s->count];

    assert_true(s->count < SIMULATOR_TASKS);
    memset(t, 0, sizeof(*t));
    t->burst = t->left = burst;
    t->pause = pause;
    t->wakes = s->now;
    t->entity.weight = weight;
    t->entity.thread_id = 100 + s->count++;
    t->entity.flags = SCHED_NEW;
    list_init(&t->entity.link);
    return t;
}

/* Lets the current task run until `until`. */
static void advance(struct simulator *s, uint64_t until)
{
    uint64_t ran = until - s->now;

    s->now = until;
    if (!s->current)
        return;
    s->current->ran += ran;
    s->current->entity.ran += ran;
    s->current->entity.ran_until = s->now;
    s->current->left -= ran;
    s->ops->charge(&s->queue, &s->current->entity, ran);
}

static void task_enqueue(struct simulator *s, struct task *t)
{
    s->ops->enqueue(&s->queue, &t->entity, s->now);
    s->queue.ready++;
    t->ready = true;
    t->ready_since = s->now;
}

/* Enqueues who woke. Returns whether one of them preempts. */
static bool wake_all(struct simulator *s, bool may_preempt)
{
    bool preempts = false;

    for (unsigned i = 0; i < s->count; i++) {
        struct task *t = &s->tasks[i];

        if (t->ready || t->running || t->wakes > s->now)
            continue;
        t->woke_at = t->wakes;
        task_enqueue(s, t);
        if (may_preempt && s->current && !preempts)
            preempts = s->ops->preempts(&s->queue, &t->entity, &s->current->entity);
    }
    return preempts;
}

/* The current task's burst is over: it sleeps, or begins the next one. Returns whether it goes on.
 */
static bool burst_over(struct simulator *s)
{
    struct task *t = s->current;

    if (t->next)
        t->next(t);
    t->left = t->burst;
    t->entity.flags = t->yields ? SCHED_YIELDED : SCHED_PREEMPTED;
    if (t->pause == 0)
        return true;
    t->entity.flags = SCHED_WAKEUP;
    t->entity.outside = !t->inside; /* a timer, or somebody here */
    t->wakes = s->now + t->pause;
    t->running = false;
    return false;
}

static void task_starts(struct simulator *s, struct task *t)
{
    uint64_t waited = s->now - t->ready_since;

    t->ready = false;
    t->running = true;
    t->turns++;
    t->starved_most = MAX(t->starved_most, waited);
    if (t->woke_at) {
        t->wait_most = MAX(t->wait_most, s->now - t->woke_at);
        t->wait_sum += s->now - t->woke_at;
        t->waits++;
        t->woke_at = 0;
    }
}

static void choose(struct simulator *s)
{
    struct sched_entity *e;

    s->current = NULL;
    if (s->queue.ready == 0)
        return;
    e = s->ops->pick(&s->queue, s->now);
    assert_non_null(e);
    s->current = container_of(e, struct task, entity);
    assert_true(s->current >= s->tasks && s->current < s->tasks + s->count);
    assert_true(s->current->ready);
    s->queue.ready--;
    task_starts(s, s->current);
}

static void decide(struct simulator *s)
{
    bool over = s->current && s->current->left == 0;
    bool goes_on = s->current && (!over || burst_over(s));
    bool expired = s->now >= s->slice_end || (over && goes_on && s->current->yields);
    struct task *last = s->current;

    if (!goes_on)
        s->current = NULL;
    else if (!over)
        last->entity.flags = SCHED_PREEMPTED;
    expired |= wake_all(s, goes_on && !expired);
    if (goes_on && !expired) {
        if (s->slice_end == UINT64_MAX && s->queue.ready)
            s->slice_end = s->now + s->ops->slice(&s->queue, &last->entity);
        return;
    }
    if (goes_on) {
        last->running = false;
        task_enqueue(s, last);
    }
    choose(s);
    s->slice_end = UINT64_MAX;
    if (s->current && s->queue.ready) {
        uint64_t slice = s->ops->slice(&s->queue, &s->current->entity);
        s->slice_end = s->now + MIN(MAX(slice, SLICE_LEAST), SLICE_MOST);
    }
}

static uint64_t next_event(const struct simulator *s, uint64_t end)
{
    uint64_t at = end;

    if (s->current) {
        at = MIN(at, s->slice_end);
        at = MIN(at, s->now + s->current->left);
    }
    for (unsigned i = 0; i < s->count; i++)
        if (!s->tasks[i].ready && !s->tasks[i].running)
            at = MIN(at, MAX(s->tasks[i].wakes, s->now));
    return at;
}

void simulator_run(struct simulator *s, uint64_t end, void (*look)(struct simulator *s))
{
    while (s->now < end) {
        decide(s);
        if (look)
            look(s);
        advance(s, next_event(s, end));
    }
}
