/* cpu_crew.c: see cpu_crew.h. */
#include "cpu_crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define MOST_HELPERS 7u /* memory is not faster for more */
#define END_LOOKS    200u

struct task {
    void (*work)(const void *job, uint64_t piece);
    const void *job;
    uint64_t pieces;
    _Atomic uint64_t next;
};

static struct {
    pthread_mutex_t owner; /* whose task it is */
    pthread_mutex_t lock;
    pthread_cond_t begun, left;
    bool started;        /* owner: the helpers have been made */
    unsigned count;      /* owner: of helpers */
    struct task *task;   /* lock: NULL: none, or no more help is wanted */
    uint64_t number;     /* lock: of the newest task */
    atomic_uint helping; /* changes with the lock held */
} crew = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .begun = PTHREAD_COND_INITIALIZER,
          .left = PTHREAD_COND_INITIALIZER};

static void task_work(struct task *task)
{
    uint64_t piece;
    while ((piece = atomic_fetch_add(&task->next, 1)) < task->pieces)
        task->work(task->job, piece);
}

static void *helper_run(void *none)
{
    uint64_t seen = 0;
    (void)none;
    pthread_mutex_lock(&crew.lock);
    for (;;) {
        while (!crew.task || crew.number == seen)
            pthread_cond_wait(&crew.begun, &crew.lock);
        struct task *task = crew.task;
        seen = crew.number;
        atomic_fetch_add(&crew.helping, 1);
        pthread_mutex_unlock(&crew.lock);
        task_work(task);
        pthread_mutex_lock(&crew.lock);
        if (atomic_fetch_sub(&crew.helping, 1) == 1)
            pthread_cond_signal(&crew.left);
    }
    return NULL;
}

/* One for each processor but the caller's. */
static void helpers_start(void)
{
    cpu_set_t processors;
    pthread_t thread;
    crew.started = true;
    if (sched_getaffinity(0, sizeof(processors), &processors) < 0)
        return;
    unsigned wanted = (unsigned)CPU_COUNT(&processors) - 1;
    while (crew.count < wanted && crew.count < MOST_HELPERS &&
           pthread_create(&thread, NULL, helper_run, NULL) == 0) {
        pthread_detach(thread);
        crew.count++;
    }
}

static void help_ask(struct task *task)
{
    pthread_mutex_lock(&crew.lock);
    crew.task = task;
    crew.number++;
    pthread_mutex_unlock(&crew.lock);
    pthread_cond_broadcast(&crew.begun);
}

/* Nobody comes any more, and whoever is there has left. The last pieces take but a moment. */
static void help_end(void)
{
    pthread_mutex_lock(&crew.lock);
    crew.task = NULL;
    pthread_mutex_unlock(&crew.lock);
    for (unsigned looks = 0; looks < END_LOOKS && atomic_load(&crew.helping); looks++)
        sched_yield();
    pthread_mutex_lock(&crew.lock);
    while (atomic_load(&crew.helping))
        pthread_cond_wait(&crew.left, &crew.lock);
    pthread_mutex_unlock(&crew.lock);
}

void cpu_crew_run(void (*work)(const void *job, uint64_t piece), const void *job, uint64_t pieces)
{
    struct task task = {.work = work, .job = job, .pieces = pieces};
    if (pieces < 2 || pthread_mutex_trylock(&crew.owner)) {
        task_work(&task);
        return;
    }
    if (!crew.started)
        helpers_start();
    help_ask(&task);
    task_work(&task);
    help_end();
    pthread_mutex_unlock(&crew.owner);
}
