/*
 * policies.c: scheduling policies that fault, loop, answer nonsense, and switching under load.
 */
#include "ktest.h"
#include <microlake/policy.h>

static struct sched_entity *(*bad_pick)(struct sched_queue *q, struct sched_entity *honest);

static void fifo_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    (void)now;
    list_push_back(&q->list, &e->link);
}

static void fifo_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    list_remove(&e->link);
}

static struct sched_entity *fifo_pick(struct sched_queue *q, uint64_t now)
{
    struct list *first = list_pop_front(&q->list);
    struct sched_entity *e = first ? list_entry(first, struct sched_entity, link) : NULL;

    (void)now;
    /* It misbehaves now and then, in the middle of its work. */
    return e && q->data[0]++ % 16 == 15 ? bad_pick(q, e) : e;
}

static void fifo_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    (void)q;
    (void)e;
    (void)ran;
}

static uint64_t fifo_slice(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    (void)e;
    return NS_PER_MS;
}

static bool fifo_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running)
{
    (void)q;
    return fresh->thread_id < running->thread_id;
}

static const struct sched_ops ops = {
    .struct_size = sizeof(ops),
    .enqueue = fifo_enqueue,
    .dequeue = fifo_dequeue,
    .pick = fifo_pick,
    .charge = fifo_charge,
    .slice = fifo_slice,
    .preempts = fifo_preempts,
};

static struct sched_entity *pick_divide(struct sched_queue *q, struct sched_entity *e)
{
    volatile unsigned zero = q->cpu * 0;

    return e + 1000 / zero;
}

static struct sched_entity *pick_null_read(struct sched_queue *q, struct sched_entity *e)
{
    volatile uint64_t *nothing = (uint64_t *)(q->data[7] * 0);

    return e + *nothing;
}

static struct sched_entity *pick_loop(struct sched_queue *q, struct sched_entity *e)
{
    for (;;)
        __atomic_fetch_add(&q->data[1], 1, __ATOMIC_RELAXED);
    return e;
}

static struct sched_entity *pick_nothing(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    (void)e;
    return NULL;
}

static struct sched_entity *pick_stranger(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    (void)e;
    return &thread_current()->sched; /* it runs, it does not wait */
}

/* A right answer, but the list still has it: the next change of the list would write to a thread that may
 * be gone by then. */
static struct sched_entity *pick_kept(struct sched_queue *q, struct sched_entity *e)
{
    list_push_back(&q->list, &e->link);
    return e;
}

static struct sched_entity *pick_garbage(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    return (struct sched_entity *)((uint64_t)e + 8);
}

static struct sched_entity *pick_wild(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    (void)e;
    return (struct sched_entity *)0xdeadbeefcafef00dul; /* not even canonical */
}

/* What it gets would be nobody's when it is abandoned. */
static struct sched_entity *pick_keeps_memory(struct sched_queue *q, struct sched_entity *e)
{
    q->data[2] = (uint64_t)kmalloc(4096);
    return e;
}

static struct sched_entity *pick_sleeps(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    thread_sleep(time_now() + NS_PER_MS, 0);
    return e;
}

static void busy(void *arg)
{
    for (unsigned i = 0; i < 300; i++) {
        uint64_t random = i + 1;

        for (unsigned k = 0; k < 2000; k++)
            ktest_random(&random);
        if (i % 3 == 0)
            thread_yield();
        else if (i % 7 == 0)
            thread_sleep(time_now() + 50 * NS_PER_US, 0);
    }
    __atomic_fetch_add((uint64_t *)arg, 1, __ATOMIC_RELAXED);
}

static void load_start(struct thread **t, unsigned n, uint64_t *ended)
{
    for (unsigned i = 0; i < n; i++)
        EXPECT(thread_create("busy", busy, ended, &t[i]) == OK);
}

static void load_end(struct thread **t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(thread_join(t[i], time_now() + 60 * NS_PER_SEC) == OK);
        thread_unref(t[i]);
    }
}

static bool policy_find(const char *name, struct policy_info *out)
{
    for (unsigned i = 0; policy_info("sched", i, out) == OK; i++)
        if (!strcmp(out->name, name))
            return true;
    return false;
}

/* Under load the bad policy is contained, counted and retired, and every thread still ends. */
static void contain(struct sched_entity *(*pick)(struct sched_queue *, struct sched_entity *),
                    enum policy_fault_kind kind)
{
    struct policy bad = {.name = "bad", .ops = &ops};
    struct policy_info info = {0};
    struct thread *t[8];
    uint64_t ended = 0;

    bad_pick = pick;
    EXPECT(policy_register("sched", &bad) == OK);
    EXPECT(policy_register("sched", &bad) == ERR_EXISTS);
    load_start(t, 8, &ended);
    EXPECT(policy_set("sched", "bad") == OK);
    load_end(t, 8);
    EXPECT(ended == 8);
    EXPECT(policy_find("bad", &info) && info.retired && !info.active && info.figures.faults[kind] > 0);
    EXPECT(policy_find("round_robin", &info) && info.active);
    EXPECT(policy_set("sched", "bad") == ERR_ACCESS);
    policy_unregister("sched", &bad);
    EXPECT(!policy_find("bad", &info));
}

static void contains_division(void)
{
    contain(pick_divide, POLICY_FAULTED);
}

static void contains_null_read(void)
{
    contain(pick_null_read, POLICY_FAULTED);
}

static void contains_loop(void)
{
    contain(pick_loop, POLICY_OVERRAN);
}

static void contains_null_answer(void)
{
    contain(pick_nothing, POLICY_NONSENSE);
}

static void contains_stranger(void)
{
    contain(pick_stranger, POLICY_NONSENSE);
}

static void contains_kept_entity(void)
{
    contain(pick_kept, POLICY_NONSENSE);
}

static void contains_garbage(void)
{
    contain(pick_garbage, POLICY_NONSENSE);
}

static void contains_wild_pointer(void)
{
    contain(pick_wild, POLICY_FAULTED);
}

static void contains_allocation(void)
{
    contain(pick_keeps_memory, POLICY_FAULTED);
}

static void contains_sleep(void)
{
    contain(pick_sleeps, POLICY_FAULTED);
}

/* The module sched_fair may be loaded meanwhile and take over, so it is made active until it is retired. */
void ktest_policy_misbehave(unsigned nth)
{
    static struct sched_entity *(*const picks[])(struct sched_queue *, struct sched_entity *) = {
        pick_divide, pick_null_read, pick_loop, pick_nothing, pick_stranger, pick_kept, pick_garbage,
        pick_wild, pick_keeps_memory, pick_sleeps};
    struct policy bad = {.name = "bad", .ops = &ops};
    uint64_t due = time_now() + 20 * NS_PER_SEC;
    int r;

    bad_pick = picks[nth % ARRAY_SIZE(picks)];
    EXPECT(policy_register("sched", &bad) == OK);
    while ((r = policy_set("sched", "bad")) == OK && time_now() < due)
        thread_sleep(time_now() + NS_PER_MS, 0);
    EXPECT(r == ERR_ACCESS);
    policy_unregister("sched", &bad);
}

static struct sched_entity *pick_honest(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    return e;
}

static struct policy ktest_fifo = {.name = "ktest_fifo", .ops = &ops};

void ktest_fifo_register(void)
{
    bad_pick = pick_honest;
    EXPECT(policy_register("sched", &ktest_fifo) == OK);
}

void ktest_fifo_unregister(void)
{
    policy_unregister("sched", &ktest_fifo);
}

static void switches_under_load(void)
{
    struct policy fifo = {.name = "fifo", .ops = &ops};
    uint64_t ended = 0, before = policy_switches("sched");
    struct thread *t[8];

    bad_pick = pick_honest;
    EXPECT(policy_register("sched", &fifo) == OK);
    load_start(t, 8, &ended);
    for (unsigned i = 0; i < 200; i++)
        EXPECT(policy_set("sched", i % 2 ? "round_robin" : "fifo") == OK);
    load_end(t, 8);
    EXPECT(ended == 8);
    EXPECT(policy_switches("sched") >= before + 199);
    policy_unregister("sched", &fifo);
    EXPECT(policy_set("sched", "no such policy") == ERR_NOT_FOUND);
    EXPECT(policy_set("no such class", "fifo") == ERR_NOT_FOUND);
}

static const struct ktest_case cases[] = {
    {"contains_division", contains_division},
    {"contains_null_read", contains_null_read},
    {"contains_loop", contains_loop},
    {"contains_null_answer", contains_null_answer},
    {"contains_stranger", contains_stranger},
    {"contains_kept_entity", contains_kept_entity},
    {"contains_garbage", contains_garbage},
    {"contains_wild_pointer", contains_wild_pointer},
    {"contains_allocation", contains_allocation},
    {"contains_sleep", contains_sleep},
    {"switches_under_load", switches_under_load},
    {NULL, NULL},
};

const struct ktest_suite suite_policies = {.name = "policies", .cases = cases};
