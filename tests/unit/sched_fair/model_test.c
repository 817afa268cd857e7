/*
 * model_test.c: random operations on two CPUs' queues; after each, the tree and the sums are held
 * against their definitions, and each pick against a search through all entities.
 */
#include "sched_fair_test.h"

#include <stdlib.h>
#include <string.h>

#include "modules/mlaas/sched_fair/include/fair.h"

#define ENTITIES 200
#define QUEUES   2

enum place { AWAY, QUEUED, RUNNING };

struct model_entity {
    struct sched_entity entity;
    enum place place;
    unsigned queue;
};

static struct model_entity entities[ENTITIES];
static struct sched_queue queues[QUEUES];
static struct model_entity *running[QUEUES];

/* Checks order, least and count of a part of a tree; returns its number of nodes. */
static unsigned tree_check(struct sched_entity *e, uint64_t *least)
{
    struct fair_state *s = fair_state(e);
    struct sched_entity *sides[] = {s->tree.left, s->tree.right};
    unsigned count = 1;

    *least = s->vruntime;
    for (int i = 0; i < 2; i++) {
        uint64_t side_least;

        if (!sides[i])
            continue;
        count += tree_check(sides[i], &side_least);
        if (virtual_before(side_least, *least))
            *least = side_least;
        if (i == 0)
            assert_false(virtual_before(s->deadline, fair_state(sides[0])->deadline));
        else
            assert_false(virtual_before(fair_state(sides[1])->deadline, s->deadline));
    }
    assert_int_equal(s->least, *least);
    return count;
}

static void queue_check(unsigned q)
{
    struct fair_queue *f = fair_queue(&queues[q]);
    uint64_t least, weight = 0;
    int64_t sum = 0;
    unsigned count = 0;

    for (unsigned i = 0; i < ENTITIES; i++) {
        struct fair_state *s = fair_state(&entities[i].entity);

        if (entities[i].queue != q || entities[i].place == AWAY)
            continue;
        count += entities[i].place == QUEUED;
        weight += s->weight;
        sum += (int64_t)s->weight * (int64_t)(s->vruntime - f->base);
    }
    assert_int_equal(f->root ? tree_check(f->root, &least) : 0, count);
    if (running[q] || !f->running) { /* else one that is gone still counts, until the next pick */
        assert_int_equal(f->weight, weight);
        assert_int_equal(f->sum, sum);
    }
}

static struct sched_entity *pick_expected(unsigned q)
{
    struct sched_entity *best = NULL;
    uint64_t weight = 0, base = fair_queue(&queues[q])->base;
    int64_t sum = 0;

    for (unsigned i = 0; i < ENTITIES; i++) {
        struct fair_state *s = fair_state(&entities[i].entity);

        if (entities[i].queue == q && entities[i].place == QUEUED) {
            weight += s->weight;
            sum += (int64_t)s->weight * (int64_t)(s->vruntime - base);
        }
    }
    for (unsigned i = 0; i < ENTITIES; i++) {
        struct sched_entity *e = &entities[i].entity;
        struct fair_state *s = fair_state(e);

        if (entities[i].queue != q || entities[i].place != QUEUED)
            continue;
        /* v <= sum / weight + base, without the division */
        if ((__int128)(int64_t)(s->vruntime - base) * (int64_t)weight > sum)
            continue;
        if (!best || virtual_before(s->deadline, fair_state(best)->deadline) ||
            (s->deadline == fair_state(best)->deadline && e->thread_id < best->thread_id))
            best = e;
    }
    return best;
}

static void enqueue(struct model_entity *m, unsigned q, uint32_t flags)
{
    m->entity.flags = flags;
    m->queue = q;
    fair_enqueue(&queues[q], &m->entity, 0);
    m->place = QUEUED;
    queues[q].ready++;
}

/* The running one stops: it goes on later, yields, sleeps, or leaves for the other CPU. */
static void stop(unsigned q)
{
    static const uint32_t flags[] = {SCHED_PREEMPTED, SCHED_YIELDED};
    struct model_entity *m = running[q];

    fair_charge(&queues[q], &m->entity, (uint64_t)(rand() % 8000000));
    running[q] = NULL;
    switch (rand() % 4) {
    case 0:
    case 1:
        enqueue(m, q, flags[rand() % 2]);
        break;
    case 2:
        m->place = AWAY;
        break;
    default:
        m->place = AWAY;
        enqueue(m, !q, SCHED_MOVED);
        break;
    }
}

static void choose(unsigned q)
{
    struct sched_entity *expected = pick_expected(q);
    struct sched_entity *e = fair_pick(&queues[q], 0);

    assert_ptr_equal(e, expected);
    if (!e)
        return;
    running[q] = container_of(e, struct model_entity, entity);
    running[q]->place = RUNNING;
    queues[q].ready--;
    assert_true(fair_slice(&queues[q], e) >= FAIR_REQUEST_LEAST);
    assert_true(fair_slice(&queues[q], e) <= FAIR_REQUEST_LONG);
}

static void change(struct model_entity *m, unsigned q)
{
    if (m->place == AWAY) {
        m->entity.weight = 1u << rand() % 17;
        enqueue(m, q, m->entity.ran++ ? SCHED_WAKEUP : SCHED_NEW);
        if (running[q])
            fair_preempts(&queues[q], &m->entity, &running[q]->entity);
    } else if (m->place == QUEUED && rand() % 8 == 0) {
        fair_dequeue(&queues[m->queue], &m->entity);
        queues[m->queue].ready--;
        enqueue(m, !m->queue, SCHED_MOVED);
    }
}

static void model_reset(unsigned seed)
{
    srand(seed);
    memset(entities, 0, sizeof(entities));
    memset(queues, 0, sizeof(queues));
    memset(running, 0, sizeof(running));
    queues[1].cpu = 1;
    for (unsigned i = 0; i < ENTITIES; i++)
        entities[i].entity.thread_id = i + 1;
}

void test_random_operations(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        model_reset(seed);
        for (int step = 0; step < 2000; step++) {
            unsigned q = (unsigned)rand() % QUEUES;

            if (rand() % 2)
                change(&entities[rand() % ENTITIES], q);
            else if (running[q])
                stop(q);
            else
                choose(q);
            for (q = 0; q < QUEUES; q++)
                queue_check(q);
        }
    }
}

/* Threads that slept through other policies bring those policies' data: no harm comes of it. */
void test_foreign_data(void **state)
{
    (void)state;
    model_reset(99);
    for (unsigned i = 0; i < ENTITIES; i++) {
        uint8_t *data = (uint8_t *)entities[i].entity.data;

        for (size_t n = 0; n < sizeof(entities[i].entity.data); n++)
            data[n] = (uint8_t)rand();
        entities[i].entity.weight = 1u << rand() % 17;
        enqueue(&entities[i], 0, SCHED_WAKEUP);
        queue_check(0);
    }
    for (int turn = 0; turn < 5000; turn++) {
        choose(0);
        assert_non_null(running[0]);
        fair_charge(&queues[0], &running[0]->entity, 3 * NS_PER_MS);
        enqueue(running[0], 0, SCHED_PREEMPTED);
        running[0] = NULL;
        queue_check(0);
    }
}
