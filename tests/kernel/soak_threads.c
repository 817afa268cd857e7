/*
 * soak_threads.c: workers of the soak that wake, lock, sleep, call and move threads.
 */
#include "soak.h"
#include <microlake/port.h>
#include <microlake/time.h>

/* ---- mutexes and wake-ups -------------------------------------------------------------------- */

static struct mutex pair_lock = MUTEX_INIT(pair_lock);
static uint64_t pair[2]; /* equal but inside pair_lock */

void round_mutex(struct worker *w)
{
    (void)w;
    mutex_lock(&pair_lock);
    EXPECT(pair[0] == pair[1]);
    pair[0]++;
    if (soak_random() % 32 == 0)
        thread_yield();
    pair[1]++;
    mutex_unlock(&pair_lock);
}

/* Players take a ball in turns; who waits for long looks again, but never needs to. */
static struct wait_queue ball_queue = WAIT_QUEUE_INIT(ball_queue);
static uint64_t ball; /* atomic: balls in the air */

static bool ball_catch(void)
{
    uint64_t n = __atomic_load_n(&ball, __ATOMIC_ACQUIRE);

    return n &&
           __atomic_compare_exchange_n(&ball, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void round_throw(struct worker *w)
{
    (void)w;
    __atomic_fetch_add(&ball, 1, __ATOMIC_ACQ_REL);
    wait_wake(&ball_queue, 1);
    soak_nap(soak_random() % 200);
}

void round_catch(struct worker *w)
{
    (void)w;
    WAIT_UNTIL(&ball_queue, __atomic_load_n(&ball, __ATOMIC_ACQUIRE), time_now() + 5 * NS_PER_MS,
               WAIT_INTERRUPTIBLE);
    ball_catch();
}

/* ---- timers ---------------------------------------------------------------------------------- */

struct soak_timer {
    struct timer timer;
    uint64_t fired;
};

static void soak_timer_fired(struct timer *t)
{
    __atomic_fetch_add(&container_of(t, struct soak_timer, timer)->fired, 1, __ATOMIC_RELEASE);
}

/* Each is either cancelled or has fired, and not before its time. */
void round_timers(struct worker *w)
{
    struct soak_timer timers[16];

    (void)w;
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        timers[i].fired = 0;
        timer_init(&timers[i].timer, soak_timer_fired);
        timer_arm(&timers[i].timer, time_now() + soak_random() % NS_PER_MS);
    }
    soak_nap(soak_random() % 1000);
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        uint64_t cancelled = timer_cancel(&timers[i].timer);

        EXPECT(cancelled + __atomic_load_n(&timers[i].fired, __ATOMIC_ACQUIRE) == 1);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

static void child_run(void *arg)
{
    uint64_t *sum = arg;

    if (soak_random() % 4 == 0)
        soak_nap(soak_random() % 300);
    __atomic_fetch_add(sum, 1, __ATOMIC_RELEASE);
}

void round_threads(struct worker *w)
{
    struct thread *children[8];
    unsigned count = 1 + soak_random() % ARRAY_SIZE(children);
    uint64_t sum = 0;

    (void)w;
    for (unsigned i = 0; i < count; i++) {
        EXPECT(thread_create("soak.child", child_run, &sum, &children[i]) == OK);
        thread_set_weight(children[i], 1 + soak_random() % 4096);
        thread_set_affinity(children[i], (cpu_mask_t)1 << soak_random() % cpu_count());
        if (soak_random() % 4 == 0)
            thread_interrupt(children[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        EXPECT(thread_join(children[i], TIME_NEVER) == OK);
        thread_unref(children[i]);
    }
    EXPECT(__atomic_load_n(&sum, __ATOMIC_ACQUIRE) == count);
}

void round_hops(struct worker *w)
{
    unsigned cpu = (unsigned)(soak_random() % cpu_count());

    (void)w;
    EXPECT(thread_set_affinity(thread_current(), (cpu_mask_t)1 << cpu) == OK);
    soak_nap(soak_random() % 100);
}

/* ---- ports ----------------------------------------------------------------------------------- */

#define BELL 2u

static struct port *port;
static uint64_t bells; /* atomic: notifications seen */

void round_serve(struct worker *w)
{
    uint8_t bytes[64];
    struct message m = {.room = bytes, .room_bytes = sizeof(bytes)};
    int r = port_receive(port, &m, time_now() + 5 * NS_PER_MS, 0);

    (void)w;
    EXPECT(r == OK || r == ERR_TIMED_OUT);
    if (r != OK)
        return;
    if (!m.call) {
        EXPECT(m.label == BELL);
        __atomic_fetch_add(&bells, 1, __ATOMIC_RELAXED);
        return;
    }
    m.label++;
    m.data = bytes;
    m.data_bytes = m.received_bytes;
    r = port_reply(port, m.call, &m);
    EXPECT(r == OK || r == ERR_LOST); /* its caller has given up */
}

/* A busy host lets an emulated CPU stand still for seconds: a call is lost after a minute. */
static int call_patiently(struct message *m)
{
    int r = ERR_TIMED_OUT;

    for (unsigned i = 0; i < 30 && r == ERR_TIMED_OUT && !crew_stops(&soak_crew); i++)
        r = port_call(port, m, m, time_now() + 2 * NS_PER_SEC, 0);
    return r;
}

/* Now and then a caller has no patience. Servers may end before callers do. */
void round_call(struct worker *w)
{
    uint64_t sent[2] = {soak_random(), soak_random()}, got[2] = {0};
    bool hasty = sent[0] % 16 == 0;
    struct message m = {.label = sent[0], .data = sent, .room = got, .room_bytes = sizeof(got)};
    int r;

    (void)w;
    m.data_bytes = sizeof(sent);
    r = hasty ? port_call(port, &m, &m, time_now() + 30 * NS_PER_US, 0) : call_patiently(&m);
    EXPECT(r == OK || (r == ERR_TIMED_OUT && (hasty || crew_stops(&soak_crew))));
    EXPECT(r != OK || (m.label == sent[0] + 1 && !memcmp(sent, got, sizeof(got))));
    if (hasty)
        port_notify(port, BELL);
}

/* ---- begin and end --------------------------------------------------------------------------- */

void soak_threads_begin(void)
{
    EXPECT(port_create(&port) == OK);
}

void soak_threads_end(void)
{
    EXPECT(pair[0] == pair[1]);
    port_close(port);
}
