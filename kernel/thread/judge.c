/*
 * judge.c: what came of a wake-up, for the class's figures. Whether a thread that wakes should go
 * ahead of one that runs is known when it blocks again: it should have if it ran shortly, and no
 * longer than it had slept; else the other could as well have gone on. So an answer is right or
 * wrong whatever policy gave it, the shadow's too. And how long a thread waited that sleeps longer
 * than it runs is what scheduling costs who needs little.
 *
 * Some wake-ups of each CPU are looked at. The shadow sees all of them, since it learns from them.
 */
#include "sched.h"
#include <microlake/memory.h>
#include "queue.h"

#define LOOK_EVERY 8u
#define SHORT_NS   (3 * NS_PER_MS)

struct watch {
    struct sched_entity *entity;
    uint64_t now;
    uint64_t memory[SCHED_SHADOW_WORDS];
    bool ahead;
};

static bool watch_ask(const struct policy *p, void *arg)
{
    const struct sched_ops *ops = p->ops;
    struct watch *w = arg;

    if (w->entity->shadow_owner == p->number)
        memcpy(w->memory, w->entity->shadow, sizeof(w->memory));
    else
        memset(w->memory, 0, sizeof(w->memory));
    w->ahead = ops->watch(w->memory, w->entity, w->now);
    return true;
}

/* The shadow's answer, and what it keeps of the thread. Its number, or 0: there is none. */
static uint64_t shadow_ask(struct sched_entity *e, uint64_t now, bool *ahead)
{
    struct watch w = {.entity = e, .now = now};
    uint64_t number;

    if (!policy_call_shadow(&sched_class, watch_ask, &w, &number))
        return 0;
    memcpy(e->shadow, w.memory, sizeof(e->shadow));
    e->shadow_owner = number;
    *ahead = w.ahead;
    return number;
}

static void verdict_begin(struct cpu *c, struct sched_entity *e, const struct sched_entity *next,
                          const struct sched_entity *running, uint64_t now)
{
    struct sched_verdict *v = &e->verdict;
    bool watched = __atomic_load_n(&sched_class.shadow, __ATOMIC_RELAXED) != NULL;
    bool looks = ++c->wakes_seen % LOOK_EVERY == 0;

    v->number = 0;
    if (!watched && !looks)
        return;
    *v = (struct sched_verdict){.busy = running != NULL,
                                .ahead = e == next,
                                .woke = now,
                                .slept = now - e->ran_until,
                                .ran = e->ran};
    if (watched)
        v->shadow = shadow_ask(e, now, &v->shadow_ahead);
    if (looks)
        v->number = c->policy->number;
}

void verdicts_begin(struct cpu *c, struct list *fresh, struct sched_entity *next,
                    const struct sched_entity *running, uint64_t now)
{
    for (struct list *it = fresh; it != &c->ready; it = it->next) {
        struct sched_entity *e = list_entry(it, struct sched_entity, ready_link);

        if (e->flags & SCHED_WAKEUP && e != running)
            verdict_begin(c, e, next, running, now);
    }
}

void verdict_end(struct sched_entity *e)
{
    struct sched_verdict *v = &e->verdict;
    uint64_t burst = e->ran - v->ran, waited = v->waited;
    bool should = burst <= SHORT_NS && burst <= v->slept;

    if (!v->number)
        return;
    if (v->busy) {
        policy_judge(&sched_class, v->number, v->ahead == should, 1);
        if (v->shadow)
            policy_judge(&sched_class, v->shadow, v->shadow_ahead == should, 1);
    }
    if (burst <= v->slept && waited)
        policy_measure(&sched_class, waited - 1, 1);
    v->number = 0;
}
