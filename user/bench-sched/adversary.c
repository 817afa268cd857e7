/*
 * adversary.c: threads that try to get more than their share by looking interactive, beside honest
 * hogs. The measure is the least that a hog got in any second, beside what an equal share of all
 * threads that could have run would be.
 */
#include "sched.h"

#include <sched.h>
#include <string.h>

#define HOGS     4
#define MOST     32
#define WINDOW   NS_PER_S
#define HOG_STEP (50 * NS_PER_US)

static atomic_bool over;
static atomic_ulong done[HOGS]; /* steps */

static void *hog(void *argument)
{
    while (!over) {
        work_do(HOG_STEP);
        done[(uintptr_t)argument]++;
    }
    return NULL;
}

/* Stops just before a slice ends. */
static void *just_before(void *unused)
{
    while (!over) {
        work_do(2800 * NS_PER_US);
        sleep_until(now_ns() + 20 * NS_PER_US);
    }
    return unused;
}

/* Short for a while, until everybody believes it; then it runs and runs. */
static void *turning(void *unused)
{
    while (!over) {
        for (unsigned i = 0; i < 40 && !over; i++) {
            work_do(200 * NS_PER_US);
            sleep_until(now_ns() + 2 * NS_PER_MS);
        }
        work_do(400 * NS_PER_MS);
    }
    return unused;
}

/* All of them wake at the same moments, and together want more than there is. */
static void *sleeper(void *unused)
{
    while (!over) {
        uint64_t now = now_ns();
        sleep_until(now - now % (10 * NS_PER_MS) + 10 * NS_PER_MS);
        work_do(NS_PER_MS);
    }
    return unused;
}

static const struct {
    const char *name;
    void *(*entry)(void *);
    unsigned count;
} kinds[] = {
    {"just_before", just_before, 4},
    {"turning", turning, 4},
    {"sleepers", sleeper, 24},
};

static unsigned cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set))
        fail("sched_getaffinity", 0);
    return (unsigned)CPU_COUNT(&set);
}

/* The least share of any hog in any window, in parts of an equal share. */
static double least_watch(unsigned windows, unsigned threads)
{
    double equal = (double)WINDOW * cpus() / threads, least = 1e9;
    unsigned long before[HOGS];
    for (unsigned w = 0; w < windows; w++) {
        uint64_t start = now_ns();
        for (unsigned i = 0; i < HOGS; i++)
            before[i] = done[i];
        sleep_until(start + WINDOW);
        double span = (double)(now_ns() - start) / (double)WINDOW;
        for (unsigned i = 0; i < HOGS; i++) {
            double got = (double)((done[i] - before[i]) * HOG_STEP) / span / equal;
            if (got < least)
                least = got;
        }
    }
    return least;
}

void measure_adversary(const struct settings *s)
{
    pthread_t threads[MOST];
    unsigned count = 0;
    for (uintptr_t i = 0; i < HOGS; i++)
        threads[count++] = thread_begin(hog, (void *)i, false);
    for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
        if (!strcmp(kinds[k].name, s->what))
            for (unsigned i = 0; i < kinds[k].count; i++)
                threads[count++] = thread_begin(kinds[k].entry, NULL, false);
    if (count == HOGS)
        fail("there is no such adversary", 0);
    double least = least_watch(s->seconds, count);
    over = true;
    for (unsigned i = 0; i < count; i++)
        thread_end(threads[i]);
    say("{\"name\": \"least\", \"value\": %.3f}\n", least);
}
