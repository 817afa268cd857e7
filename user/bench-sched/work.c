/*
 * work.c: fixed work, threads and percentiles.
 */
#include "sched.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define CALIBRATE_TRIES 60
#define CALIBRATE_WORK  200000u
#define FIFO_PRIORITY   50

static uint64_t rate;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void sleep_until(uint64_t due)
{
    struct timespec t = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

__attribute__((noinline)) static void iterate(uint64_t iterations)
{
    uint64_t x = iterations;
    for (uint64_t i = 0; i < iterations; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
}

/* Whatever takes the CPU away makes it slower, nothing makes it faster: the best try counts. */
uint64_t work_calibrate(void)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < CALIBRATE_TRIES; i++) {
        uint64_t start = now_ns();
        iterate(CALIBRATE_WORK);
        uint64_t took = now_ns() - start;
        if (took < best)
            best = took;
    }
    return CALIBRATE_WORK * NS_PER_MS / (best ? best : 1);
}

void work_set_rate(uint64_t iterations_a_ms)
{
    rate = iterations_a_ms;
}

void work_do(uint64_t ns)
{
    iterate(ns * rate / NS_PER_MS);
}

pthread_t thread_begin(void *(*entry)(void *), void *argument, bool fifo)
{
    struct sched_param param = {.sched_priority = FIFO_PRIORITY};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    if (fifo) {
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        pthread_attr_setschedparam(&attributes, &param);
    }
    int error = pthread_create(&thread, &attributes, entry, argument);
    if (error)
        fail("pthread_create", error);
    return thread;
}

void thread_end(pthread_t thread)
{
    pthread_join(thread, NULL);
}

static int value_compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static double us_at(const uint64_t *sorted, unsigned count, unsigned per_mille)
{
    uint64_t index = (uint64_t)count * per_mille / 1000;
    return (double)sorted[index < count ? index : count - 1] / NS_PER_US;
}

void print_percentiles(const char *name, uint64_t *ns, unsigned count)
{
    qsort(ns, count, sizeof(*ns), value_compare);
    if (count)
        say("{\"name\": \"%s\", \"count\": %u, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
            "\"p999\": %.1f}\n",
            name, count, us_at(ns, count, 500), us_at(ns, count, 900), us_at(ns, count, 990),
            us_at(ns, count, 999));
}
