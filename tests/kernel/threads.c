/*
 * threads.c: threads, waiting, mutexes, affinity.
 */
#include "ktest.h"

#define MANY 64

static uint64_t counter;
static struct mutex counter_lock = MUTEX_INIT(counter_lock);

static void join_all(struct thread **t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(thread_join(t[i], time_now() + 60 * NS_PER_SEC) == OK);
        thread_unref(t[i]);
    }
}

static void add_one(void *arg)
{
    __atomic_fetch_add((uint64_t *)arg, 1, __ATOMIC_RELAXED);
}

static void create_and_join(void)
{
    uint64_t ended = 0;

    for (unsigned round = 0; round < 40; round++) {
        struct thread *t[MANY];

        for (unsigned i = 0; i < MANY; i++)
            EXPECT(thread_create("one", add_one, &ended, &t[i]) == OK);
        join_all(t, MANY);
    }
    EXPECT(ended == 40 * MANY);
}

static void count_under_lock(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t seen;

        mutex_lock(&counter_lock);
        seen = counter;
        if (i % 64 == 0)
            thread_yield();
        counter = seen + 1;
        mutex_unlock(&counter_lock);
    }
}

static void mutex_excludes(void)
{
    struct thread *t[8];

    counter = 0;
    for (unsigned i = 0; i < 8; i++)
        EXPECT(thread_create("mutex", count_under_lock, NULL, &t[i]) == OK);
    join_all(t, 8);
    EXPECT(counter == 8 * 2000);
}

struct ball {
    struct wait_queue queue;
    uint64_t side; /* whose turn */
    uint64_t hits;
};

static void play(struct ball *b, uint64_t me)
{
    for (unsigned i = 0; i < 5000; i++) {
        int r =
            WAIT_UNTIL(&b->queue, __atomic_load_n(&b->side, __ATOMIC_ACQUIRE) == me, TIME_NEVER, 0);

        EXPECT(r == OK);
        b->hits++;
        __atomic_store_n(&b->side, !me, __ATOMIC_RELEASE);
        wait_wake_all(&b->queue);
    }
}

static void play_other(void *arg)
{
    play(arg, 1);
}

/* No wake-up is ever lost, on one CPU or several. */
static void ping_pong(void)
{
    struct ball *b = kzalloc(sizeof(*b));
    struct thread *t;

    wait_queue_init(&b->queue);
    EXPECT(thread_create("pong", play_other, b, &t) == OK);
    play(b, 0);
    join_all(&t, 1);
    EXPECT(b->hits == 10000);
    kfree(b);
}

static void spin_until(void *arg)
{
    while (!__atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE))
        cpu_relax();
}

/* More spinning threads than CPUs: only preemption lets the others run. */
static void preemption(void)
{
    struct thread *t[8];
    bool stop = false;

    for (unsigned i = 0; i < 8; i++)
        EXPECT(thread_create("spin", spin_until, &stop, &t[i]) == OK);
    thread_sleep(time_now() + 30 * NS_PER_MS, 0);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    join_all(t, 8);
}

struct pinned {
    unsigned cpu;
    bool wrong;
};

static void stay(void *arg)
{
    struct pinned *p = arg;

    for (unsigned i = 0; i < 200; i++) {
        thread_yield();
        preempt_disable();
        if (cpu_id() != p->cpu)
            p->wrong = true;
        preempt_enable();
        if (i % 20 == 0)
            thread_sleep(time_now() + 100 * NS_PER_US, 0);
    }
}

static void affinity_entry(void *arg)
{
    struct pinned *p = arg;

    EXPECT(thread_set_affinity(thread_current(), 1ull << p->cpu) == OK);
    thread_yield();
    stay(p);
}

static void affinity(void)
{
    struct pinned p[MAX_CPUS];
    struct thread *t[MAX_CPUS];
    unsigned n = cpu_count();

    for (unsigned i = 0; i < n; i++) {
        p[i] = (struct pinned){.cpu = i};
        EXPECT(thread_create("pinned", affinity_entry, &p[i], &t[i]) == OK);
    }
    join_all(t, n);
    for (unsigned i = 0; i < n; i++)
        EXPECT(!p[i].wrong);
    EXPECT(thread_set_affinity(thread_current(), 0) == ERR_INVALID);
}

static struct wait_queue never = WAIT_QUEUE_INIT(never);

static void wait_for_ever(void *arg)
{
    *(int *)arg = WAIT_UNTIL(&never, false, TIME_NEVER, WAIT_INTERRUPTIBLE);
}

static void interruption(void)
{
    int result = OK;
    struct thread *t;

    EXPECT(thread_create("waiting", wait_for_ever, &result, &t) == OK);
    thread_sleep(time_now() + NS_PER_MS, 0);
    thread_interrupt(t);
    join_all(&t, 1);
    EXPECT(result == ERR_INTERRUPTED);
    EXPECT(WAIT_UNTIL(&never, false, time_now() + NS_PER_MS, 0) == ERR_TIMED_OUT);
}

#define SPRINT_STEPS 300000

struct sprint {
    uint32_t priority;
    uint64_t overtaken; /* steps while a higher one wanted to run */
};

static struct sprint sprints[3] = {{.priority = 0}, {.priority = 10}, {.priority = 20}};
static uint32_t sprint_wants; /* bit n: sprints[n] is in its loop */

static void run_sprint(void *arg)
{
    struct sprint *s = arg;
    unsigned me = (unsigned)(s - sprints);

    thread_set_affinity(thread_current(), 1);
    thread_set_priority(thread_current(), s->priority);
    thread_sleep(time_now() + NS_PER_MS, 0); /* both take effect with the next wake-up */
    __atomic_fetch_or(&sprint_wants, 1u << me, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < SPRINT_STEPS; i++)
        s->overtaken += __atomic_load_n(&sprint_wants, __ATOMIC_SEQ_CST) >> (me + 1) != 0;
    __atomic_fetch_and(&sprint_wants, ~(1u << me), __ATOMIC_SEQ_CST);
}

/* On one CPU nobody runs while one with a higher priority wants to. */
static void priorities(void)
{
    struct thread *t[3];

    for (unsigned i = 0; i < 3; i++) {
        sprints[i].overtaken = 0;
        EXPECT(thread_create("sprint", run_sprint, &sprints[i], &t[i]) == OK);
    }
    join_all(t, 3);
    EXPECT(sprints[0].overtaken + sprints[1].overtaken + sprints[2].overtaken == 0);
}

static const struct ktest_case cases[] = {
    {"create_and_join", create_and_join},
    {"mutex_excludes", mutex_excludes},
    {"ping_pong", ping_pong},
    {"preemption", preemption},
    {"priorities", priorities},
    {"affinity", affinity},
    {"interruption", interruption},
    {NULL, NULL},
};

const struct ktest_suite suite_threads = {.name = "threads", .cases = cases};
