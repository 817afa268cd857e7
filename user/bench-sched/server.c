/*
 * server.c: an inference server beside a training job. One thread takes requests in as they arrive
 * and hands them to workers through a queue; the trainers each do a part of a step and meet at a
 * barrier. The measures are from a request's arrival to its end, and the steps of training. If it is
 * asked for, a control loop runs beside both, measured from due to done.
 */
#include "sched.h"

#include <stdlib.h>

#define WORKERS       2
#define TRAINERS      2
#define REQUESTS_MOST 20000u
#define STEP          (6 * NS_PER_MS)   /* of each trainer, more or less */
#define INTAKE_WORK   (30 * NS_PER_US)  /* reading a request */
#define SETTLE        (500 * NS_PER_MS) /* requests that come before are not counted */
#define LOOP_MOST     10000u
#define LOOP_PERIOD   (10 * NS_PER_MS)
#define LOOP_WORK     NS_PER_MS

static struct request *requests;
static unsigned request_count;
static uint64_t began;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static unsigned taken, given; /* guarded by lock */

static atomic_bool over;
static atomic_ulong steps;
static pthread_barrier_t barrier;
static bool last_step; /* one writes between two barriers, all read behind the second */

static void *intake(void *unused)
{
    for (unsigned i = 0; i < request_count; i++) {
        sleep_until(began + requests[i].due);
        work_do(INTAKE_WORK);
        pthread_mutex_lock(&lock);
        given = i + 1;
        pthread_cond_signal(&arrived);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    given = request_count + WORKERS; /* one end for each */
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&lock);
    return unused;
}

static unsigned request_take(void)
{
    pthread_mutex_lock(&lock);
    while (taken == given)
        pthread_cond_wait(&arrived, &lock);
    unsigned i = taken++;
    pthread_mutex_unlock(&lock);
    return i;
}

static void *work(void *unused)
{
    for (unsigned i; (i = request_take()) < request_count;) {
        work_do(requests[i].service);
        requests[i].finished = now_ns();
    }
    return unused;
}

/* The parts of a step are not quite equal: the first one at the barrier waits. */
static void *train(void *argument)
{
    uint64_t share = (uintptr_t)argument;
    for (;;) {
        work_do(STEP - STEP / 8 + share * STEP / 4);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            steps++;
            last_step = over;
        }
        pthread_barrier_wait(&barrier);
        if (last_step)
            return NULL;
    }
}

static uint64_t loop_latency[LOOP_MOST];
static unsigned loop_count;

static void *loop(void *unused)
{
    for (uint64_t due = began; !over && loop_count < LOOP_MOST; due += LOOP_PERIOD) {
        sleep_until(due);
        work_do(LOOP_WORK);
        loop_latency[loop_count++] = now_ns() - due;
    }
    return unused;
}

static void report(uint64_t ended)
{
    uint64_t *latency = calloc(request_count, sizeof(uint64_t));
    unsigned count = 0;
    if (!latency)
        fail("calloc", 0);
    for (unsigned i = 0; i < request_count; i++)
        if (requests[i].due >= SETTLE)
            latency[count++] = requests[i].finished - began - requests[i].due;
    print_percentiles("request", latency, count);
    say("{\"name\": \"training\", \"value\": %.3f}\n",
        (double)steps * (double)NS_PER_S / (double)(ended - began));
    free(latency);
}

void measure_server(const struct settings *s)
{
    pthread_t workers[WORKERS], trainers[TRAINERS], reader, looper = 0;
    requests = calloc(REQUESTS_MOST, sizeof(*requests));
    if (!requests)
        fail("calloc", 0);
    request_count = arrivals_make(s->what, s->seed, s->seconds * NS_PER_S, requests, REQUESTS_MOST);
    if (!request_count)
        fail("there is no such pattern of arrivals", 0);
    pthread_barrier_init(&barrier, NULL, TRAINERS);
    began = now_ns() + 10 * NS_PER_MS;
    for (uintptr_t i = 0; i < TRAINERS; i++)
        trainers[i] = thread_begin(train, (void *)i, false);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i] = thread_begin(work, NULL, s->fifo);
    if (s->loop)
        looper = thread_begin(loop, NULL, s->fifo);
    reader = thread_begin(intake, NULL, s->fifo);
    thread_end(reader);
    for (unsigned i = 0; i < WORKERS; i++)
        thread_end(workers[i]);
    uint64_t ended = now_ns();
    over = true;
    for (unsigned i = 0; i < TRAINERS; i++)
        thread_end(trainers[i]);
    report(ended);
    if (s->loop) {
        thread_end(looper);
        print_percentiles("loop", loop_latency, loop_count);
    }
    free(requests);
}
