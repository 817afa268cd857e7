/*
 * latency.c: one thread that wakes every 10 ms for 1 ms of work, beside hogs. The measure is from
 * the moment that it is due to the end of its work; and how much the hogs got done meanwhile.
 */
#include "sched.h"

#include <stdlib.h>

#define PERIOD    (10 * NS_PER_MS)
#define WORK      NS_PER_MS
#define HOG_STEP  (50 * NS_PER_US)
#define HOGS_MOST 16
#define SETTLE    20 /* periods before it counts: hogs start, policies learn */

static atomic_bool over;
static atomic_ulong hog_steps;

static void *hog(void *unused)
{
    while (!over) {
        work_do(HOG_STEP);
        hog_steps++;
    }
    return unused;
}

struct periodic {
    unsigned periods;
    uint64_t *latency;
    uint64_t began, ended;
    uint64_t hog_steps;
};

static void *periodic(void *argument)
{
    struct periodic *p = argument;
    uint64_t due = now_ns() + PERIOD;
    for (unsigned i = 0; i < SETTLE + p->periods; i++, due += PERIOD) {
        sleep_until(due);
        if (i == SETTLE) {
            p->began = now_ns();
            p->hog_steps = hog_steps;
        }
        work_do(WORK);
        if (i >= SETTLE)
            p->latency[i - SETTLE] = now_ns() - due;
    }
    p->ended = now_ns();
    p->hog_steps = hog_steps - p->hog_steps;
    return NULL;
}

void measure_latency(const struct settings *s)
{
    struct periodic p = {.periods = s->periods, .latency = calloc(s->periods, sizeof(uint64_t))};
    pthread_t hogs[HOGS_MOST], thread;
    unsigned count = s->hogs < HOGS_MOST ? s->hogs : HOGS_MOST;
    if (!p.latency)
        fail("calloc", 0);
    for (unsigned i = 0; i < count; i++)
        hogs[i] = thread_begin(hog, NULL, false);
    thread = thread_begin(periodic, &p, s->fifo);
    thread_end(thread);
    over = true;
    for (unsigned i = 0; i < count; i++)
        thread_end(hogs[i]);
    print_percentiles("latency", p.latency, p.periods);
    say("{\"name\": \"hogs\", \"value\": %.4f}\n",
        (double)(p.hog_steps * HOG_STEP) / (double)(p.ended - p.began));
    free(p.latency);
}
