/*
 * storms.c: interrupts in masses, from all CPUs at once: timers, wake-ups across CPUs, TLB
 * shootdowns, threads that are chased from CPU to CPU.
 */
#include "soak.h"
#include <microlake/time.h>

#define LIMIT_S  120              /* for each storm; far more than it needs */
#define STORM_NS (4 * NS_PER_SEC) /* on a busy host a storm ends then, with fewer rounds */

static uint64_t storm_end;

/*
 * Rounds of each of the CPUs: the whole stays the same, because what goes between CPUs gets slower
 * the more of them share a host's processor.
 */
static unsigned rounds_of(unsigned whole)
{
    return whole / cpu_count();
}

static struct crew crew;

static void storm_begin(void)
{
    storm_end = time_now() + STORM_NS;
}

/* ---- timers ---------------------------------------------------------------------------------- */

#define TIMERS       64 /* of each CPU */
#define TIMER_ROUNDS 60

struct shot {
    struct timer timer;
    uint64_t fired, early; /* written by the callback, on one CPU at a time */
    uint64_t arms, moves, cancelled;
    bool movable; /* its owner moves it, else cancels it first: then `due` is the one that fires */
};

static struct shot shots[MAX_CPUS][TIMERS];

static void shot_fired(struct timer *t)
{
    struct shot *s = container_of(t, struct shot, timer);

    s->early += !s->movable && time_now() < t->due;
    __atomic_fetch_add(&s->fired, 1, __ATOMIC_RELAXED);
}

static void shot_round(struct shot *s, uint64_t *random)
{
    uint64_t due = time_now() + ktest_random(random) % (3 * NS_PER_MS);

    if (s->movable) {
        timer_arm(&s->timer, due); /* moves it, or arms it anew if it has just fired */
        s->arms++;
        s->moves++;
        return;
    }
    s->cancelled += timer_cancel(&s->timer);
    timer_arm(&s->timer, due);
    s->arms++;
}

/* Arms its timers here and cancels them on the next CPU, while they fire on the one before. */
static void timers_work(void *arg)
{
    struct shot *mine = shots[(uint64_t)arg];
    uint64_t random = (uint64_t)arg + 11;

    for (unsigned i = 0; i < TIMERS; i++) {
        mine[i] = (struct shot){.movable = i % 4 == 3};
        timer_init(&mine[i].timer, shot_fired);
    }
    for (unsigned round = 0; round < TIMER_ROUNDS; round++) {
        thread_set_affinity(thread_current(), (cpu_mask_t)1 << (round % cpu_count()));
        for (unsigned i = 0; i < TIMERS; i++)
            shot_round(&mine[i], &random);
        thread_sleep(time_now() + NS_PER_MS, 0);
    }
    for (unsigned i = 0; i < TIMERS; i += 2)
        mine[i].cancelled += timer_cancel(&mine[i].timer);
}

static unsigned timers_armed(void)
{
    unsigned armed = 0;

    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        for (unsigned i = 0; i < TIMERS; i++)
            armed += __atomic_load_n(&shots[cpu][i].timer.armed, __ATOMIC_ACQUIRE);
    return armed;
}

/* Every arming ends in one shot or one cancellation; only a move may swallow one. */
static void shot_check(struct shot *s)
{
    uint64_t ended;

    timer_cancel(&s->timer); /* waits for a callback that still runs */
    ended = __atomic_load_n(&s->fired, __ATOMIC_ACQUIRE) + s->cancelled;
    EXPECT(!s->early);
    EXPECT(ended <= s->arms && ended + s->moves >= s->arms);
}

static void timers_from_all_cpus(void)
{
    uint64_t due = time_now() + LIMIT_S * NS_PER_SEC;

    crew_add_pinned(&crew, "storm.timer", timers_work);
    if (!crew_wait(&crew, LIMIT_S))
        return;
    while (timers_armed() && time_now() < due)
        thread_sleep(time_now() + NS_PER_MS, 0);
    EXPECT(!timers_armed());
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        for (unsigned i = 0; i < TIMERS; i++)
            shot_check(&shots[cpu][i]);
}

/* ---- wake-ups -------------------------------------------------------------------------------- */

#define RINGS       3
#define RING_ROUNDS 2400

/* A token goes round through one thread of each CPU. */
struct ring {
    struct wait_queue queues[MAX_CPUS];
    uint64_t turn; /* atomic: turn % members says whose it is */
    unsigned members;
};

static struct ring rings[RINGS];

static bool ring_is_mine(struct ring *r, unsigned me)
{
    return __atomic_load_n(&r->turn, __ATOMIC_ACQUIRE) % r->members == me;
}

static void ring_pass(struct ring *r, unsigned me)
{
    WAIT_UNTIL(&r->queues[me], ring_is_mine(r, me), TIME_NEVER, 0);
    __atomic_fetch_add(&r->turn, 1, __ATOMIC_ACQ_REL);
    wait_wake_all(&r->queues[(me + 1) % r->members]);
}

static void ring_work(struct ring *r, unsigned me)
{
    for (unsigned i = 0; i < rounds_of(RING_ROUNDS); i++)
        ring_pass(r, me);
}

static void ring_work_0(void *arg)
{
    ring_work(&rings[0], (unsigned)(uint64_t)arg);
}

static void ring_work_1(void *arg)
{
    ring_work(&rings[1], (unsigned)(uint64_t)arg);
}

/* The other way round. */
static void ring_work_2(void *arg)
{
    ring_work(&rings[2], cpu_count() - 1 - (unsigned)(uint64_t)arg);
}

/* Each wake-up goes to another CPU; one that is lost stops its ring for ever. */
static void wake_ups(void)
{
    static void (*const works[RINGS])(void *) = {ring_work_0, ring_work_1, ring_work_2};

    for (unsigned i = 0; i < RINGS; i++) {
        rings[i] = (struct ring){.members = cpu_count()};
        for (unsigned m = 0; m < cpu_count(); m++)
            wait_queue_init(&rings[i].queues[m]);
        crew_add_pinned(&crew, "storm.ring", works[i]);
    }
    if (crew_wait(&crew, LIMIT_S))
        for (unsigned i = 0; i < RINGS; i++)
            EXPECT(rings[i].turn == rounds_of(RING_ROUNDS) * rings[i].members);
}

#define HERD       24
#define HERD_CALLS 100

static struct {
    struct wait_queue called, gathered;
    uint64_t call;    /* atomic: number of the latest call */
    uint64_t arrived; /* atomic: how many have answered it */
} herd;

static void herd_work(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= HERD_CALLS; i++) {
        WAIT_UNTIL(&herd.called, __atomic_load_n(&herd.call, __ATOMIC_ACQUIRE) >= i, TIME_NEVER, 0);
        if (__atomic_add_fetch(&herd.arrived, 1, __ATOMIC_ACQ_REL) == i * HERD)
            wait_wake_all(&herd.gathered);
    }
}

/* Many threads are woken at once, again and again. */
static void thundering_herd(void)
{
    herd.call = herd.arrived = 0;
    wait_queue_init(&herd.called);
    wait_queue_init(&herd.gathered);
    crew_add(&crew, "storm.herd", herd_work, NULL, HERD);
    for (uint64_t i = 1; i <= HERD_CALLS; i++) {
        __atomic_store_n(&herd.call, i, __ATOMIC_RELEASE);
        wait_wake_all(&herd.called);
        EXPECT(WAIT_UNTIL(&herd.gathered,
                          __atomic_load_n(&herd.arrived, __ATOMIC_ACQUIRE) == i * HERD,
                          time_now() + LIMIT_S * NS_PER_SEC, 0) == OK);
    }
    crew_wait(&crew, LIMIT_S);
}

/* ---- shootdowns ------------------------------------------------------------------------------ */

#define MAP_ROUNDS 800
#define MAP_PAGES  3

/*
 * Maps pages of its own at addresses that other CPUs have just used. A CPU that still knows the old
 * translation reads, or spoils, what is another's.
 */
static void maps_work(void *arg)
{
    uint64_t me = (uint64_t)arg + 1;
    paddr_t frames[MAP_PAGES];

    for (unsigned i = 0; i < MAP_PAGES; i++)
        frames[i] = frame_alloc(0, FRAME_ZERO);
    for (uint64_t round = 0; round < rounds_of(MAP_ROUNDS) && time_now() < storm_end; round++) {
        size_t count = 1 + round % MAP_PAGES;
        volatile uint64_t *p = kmap_frames(frames, count, KMAP_WRITE);

        EXPECT(p != NULL);
        for (size_t i = 0; p && i < count; i++) {
            volatile uint64_t *word = p + i * PAGE_SIZE / 8;
            uint64_t *direct = phys_to_virt(frames[i]);

            *direct = me << 32 | round;
            EXPECT(*word == (me << 32 | round));
            *word = ~round;
            EXPECT(*direct == ~round);
        }
        if (round % 16 == 0)
            thread_yield();
        if (p)
            kunmap((void *)p, count * PAGE_SIZE);
    }
    for (unsigned i = 0; i < MAP_PAGES; i++)
        frame_free(frames[i], 0);
}

static void shootdowns(void)
{
    storm_begin();
    crew_add_pinned(&crew, "storm.map", maps_work);
    crew_add_pinned(&crew, "storm.map", maps_work);
    crew_wait(&crew, LIMIT_S);
}

#define WINDOWS 400

static uint64_t windows_open; /* atomic: threads that still open and close the window */

static void window_work(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < WINDOWS && time_now() < storm_end; i++)
        round_window(NULL);
    __atomic_store_n(&windows_open, 0, __ATOMIC_RELEASE);
}

static void watch_work(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&windows_open, __ATOMIC_ACQUIRE))
        round_watch(NULL);
}

/* As shootdowns(), in an address space that all CPUs have loaded. */
static void user_shootdowns(void)
{
    soak_memory_begin();
    storm_begin();
    windows_open = 1;
    crew_add(&crew, "storm.window", window_work, NULL, 1);
    crew_add_pinned(&crew, "storm.watch", watch_work);
    if (crew_wait(&crew, LIMIT_S))
        soak_memory_end();
}

/* ---- chased threads -------------------------------------------------------------------------- */

#define HOPS   2000
#define CHASED 12
#define CHASES 30

static bool on_cpu(unsigned cpu)
{
    bool here;

    preempt_disable();
    here = cpu_id() == cpu;
    preempt_enable();
    return here;
}

/* A thread that sends itself elsewhere is there when the call is over. */
static void hop_work(void *arg)
{
    uint64_t random = (uint64_t)arg + 5;

    for (unsigned i = 0; i < rounds_of(HOPS) && time_now() < storm_end; i++) {
        unsigned cpu = (unsigned)(ktest_random(&random) % cpu_count());

        EXPECT(thread_set_affinity(thread_current(), (cpu_mask_t)1 << cpu) == OK);
        EXPECT(on_cpu(cpu));
        if (i % 64 == 0)
            thread_sleep(time_now() + 50 * NS_PER_US, 0);
    }
}

static void chased_work(void *arg)
{
    while (!crew_stops(arg))
        cpu_relax();
}

static unsigned strays(cpu_mask_t mask)
{
    unsigned found = 0;

    for (unsigned i = 0; i < crew.count; i++) {
        struct thread *t = crew.threads[i];

        found += __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) && !(mask >> t->cpu & 1);
    }
    return found;
}

/* Threads that only spin, running or waiting for their turn, follow when others send them. */
static void chase(void)
{
    uint64_t random = 3;
    unsigned stray = 0;

    crew_add(&crew, "storm.chased", chased_work, &crew, CHASED);
    for (unsigned round = 0; round < CHASES && !stray; round++) {
        cpu_mask_t mask = (cpu_mask_t)1 << ktest_random(&random) % cpu_count();
        uint64_t due = time_now() + 15 * NS_PER_SEC;

        for (unsigned i = 0; i < crew.count; i++)
            EXPECT(thread_set_affinity(crew.threads[i], mask) == OK);
        do
            thread_sleep(time_now() + NS_PER_MS, 0);
        while (strays(mask) && time_now() < due);
        stray = strays(mask);
    }
    EXPECT(!stray);
    crew_end(&crew, LIMIT_S);
}

static void affinity_bouncing(void)
{
    storm_begin();
    crew_add_pinned(&crew, "storm.hop", hop_work);
    crew_add_pinned(&crew, "storm.hop", hop_work);
    if (crew_wait(&crew, LIMIT_S))
        chase();
}

/* ---- all of them at once --------------------------------------------------------------------- */

static void at_once(void)
{
    storm_begin();
    crew_add_pinned(&crew, "storm.timer", timers_work);
    crew_add_pinned(&crew, "storm.map", maps_work);
    crew_add_pinned(&crew, "storm.hop", hop_work);
    crew_wait(&crew, LIMIT_S);
}

static const struct ktest_case cases[] = {
    {"timers_from_all_cpus", timers_from_all_cpus},
    {"wake_ups", wake_ups},
    {"thundering_herd", thundering_herd},
    {"shootdowns", shootdowns},
    {"user_shootdowns", user_shootdowns},
    {"affinity_bouncing", affinity_bouncing},
    {"at_once", at_once},
    {NULL, NULL},
};

const struct ktest_suite suite_storms = {.name = "storms", .cases = cases};
