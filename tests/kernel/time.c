/*
 * time.c: the clock and timers.
 */
#include "ktest.h"
#include <microlake/time.h>

static void clock_is_monotonic(void)
{
    uint64_t last = time_now();

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now = time_now();

        EXPECT(now >= last);
        last = now;
    }
}

static void sleep_is_long_enough(void)
{
    for (unsigned ms = 0; ms < 6; ms++) {
        uint64_t due = time_now() + ms * NS_PER_MS;

        EXPECT(thread_sleep(due, 0) == OK);
        EXPECT(time_now() >= due);
    }
}

struct shot {
    struct timer timer;
    uint64_t due, fired;
};

static uint64_t shots;

static void shot_fired(struct timer *t)
{
    struct shot *s = container_of(t, struct shot, timer);

    s->fired = time_now();
    __atomic_fetch_add(&shots, 1, __ATOMIC_RELAXED);
}

static bool all_fired(const struct shot *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (s[i].timer.armed)
            return false;
    return true;
}

/* A storm of timers, armed, moved and cancelled in a random order. */
static void timer_storm(void)
{
    const unsigned count = 2000;
    struct shot *s = kzalloc(count * sizeof(*s));
    uint64_t random = 7, cancelled = 0, last = 0;

    shots = 0;
    for (unsigned i = 0; i < count; i++) {
        timer_init(&s[i].timer, shot_fired);
        s[i].due = time_now() + ktest_random(&random) % (15 * NS_PER_MS);
        timer_arm(&s[i].timer, s[i].due);
        if (i % 3 == 0) {
            s[i].due += NS_PER_MS;
            timer_arm(&s[i].timer, s[i].due);
        }
        last = MAX(last, s[i].due);
    }
    for (unsigned i = 0; i < count; i += 5)
        cancelled += timer_cancel(&s[i].timer);
    /* The other CPU's may be late: the host runs it when it likes. */
    for (unsigned tries = 0; tries < 2000 && (!tries || !all_fired(s, count)); tries++)
        thread_sleep(MAX(last, time_now()) + 5 * NS_PER_MS, 0);
    for (unsigned i = 0; i < count; i++) {
        EXPECT(!s[i].timer.armed);
        EXPECT(!s[i].fired || s[i].fired >= s[i].due || i % 3 == 0);
    }
    EXPECT(shots + cancelled >= count && shots + cancelled <= count + count / 3 + 1);
    kfree(s);
}

static const struct ktest_case cases[] = {
    {"clock_is_monotonic", clock_is_monotonic},
    {"sleep_is_long_enough", sleep_is_long_enough},
    {"timer_storm", timer_storm},
    {NULL, NULL},
};

const struct ktest_suite suite_time = {.name = "time", .cases = cases};
