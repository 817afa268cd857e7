/*
 * engine_messages.c: takes the front's messages, in order: has batches started, makes queues, destroys.
 *
 * Mostly one thread does that, the runner, and nothing waits for work to end. A batch that the
 * device leaves to its caller the runner carries out itself, which saves a wake-up; meanwhile
 * another thread, the standby, is the one that the front wakes. When there is no message a thread
 * sleeps at once: on two processors one that looks for the next takes time from the device's own
 * threads, and launches took longer the longer it looked.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "engine.h"
#include "engine_batch.h"

static void queue_make(struct engine *engine, const struct link_message *message)
{
    struct thing *context = thing_find(engine, THING_CONTEXT, message->parent);
    struct thing *queue = thing_new(THING_QUEUE);
    if (!queue)
        return; /* its batches will not find it, and fail */
    queue->queue.status =
        context ? engine->ops->queue_create(context->context, &queue->queue.device)
                : VGPGPU_ERR_EXEC;
    if (!thing_add(engine, message->handle, queue)) {
        if (queue->queue.device)
            engine->ops->queue_destroy(queue->queue.device);
        free(queue);
    }
}

/* Carries out the next message. False: there is none. */
static bool message_take_locked(struct engine *engine, struct device_queue **left)
{
    struct link_shared *shared = engine->shared;
    uint64_t consumed = atomic_load_explicit(&shared->consumed, memory_order_relaxed);
    if (atomic_load_explicit(&shared->posted, memory_order_acquire) == consumed)
        return false;
    engine_lent_wait();
    uint32_t at = consumed & (LINK_MESSAGE_ROOM - 1), bytes = LINK_MESSAGE_ROOM - at;
    if (bytes >= sizeof(struct link_message)) {
        struct link_message *message = (void *)(shared->messages + at);
        bytes = message->bytes;
        if (message->kind == LINK_BATCH)
            *left = engine_batch_start(engine, message);
        else if (message->kind == LINK_QUEUE_CREATE)
            queue_make(engine, message);
        else if (message->kind == LINK_DESTROY)
            thing_destroy(engine, message->handle);
    }
    atomic_store_explicit(&shared->consumed, consumed + bytes, memory_order_release);
    return true;
}

static bool has_messages(struct link_shared *shared)
{
    return atomic_load_explicit(&shared->posted, memory_order_relaxed) !=
           atomic_load_explicit(&shared->consumed, memory_order_relaxed);
}

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void runner_sleep(struct link_shared *shared)
{
    atomic_store(&shared->device_sleeps, LINK_RUNNER);
    if (!has_messages(shared))
        futex_wait(&shared->device_sleeps, LINK_RUNNER);
    atomic_store(&shared->device_sleeps, LINK_NOBODY);
}

/* Takes what there is. Returns the queue whose batch the runner is to carry out, or NULL. */
static struct device_queue *runner_take(struct engine *engine)
{
    struct device_queue *left = NULL;
    pthread_mutex_lock(&engine->take_lock);
    engine->runner_works = false;
    atomic_store(&engine->shared->device_sleeps, LINK_NOBODY);
    while (!left && message_take_locked(engine, &left))
        ;
    if (left) {
        engine->runner_works = true;
        atomic_store(&engine->shared->device_sleeps, LINK_STANDBY);
        if (has_messages(engine->shared))
            link_device_wake(engine->shared);
    }
    pthread_mutex_unlock(&engine->take_lock);
    return left;
}

void *engine_runner_run(void *argument)
{
    struct engine *engine = argument;
    for (;;) {
        struct device_queue *left = runner_take(engine);
        if (left)
            engine->ops->batch_run(left);
        else
            runner_sleep(engine->shared);
    }
    return NULL;
}

/* Takes what comes while the runner works: nothing of it is left to this thread. */
void *engine_standby_run(void *argument)
{
    struct engine *engine = argument;
    struct link_shared *shared = engine->shared;
    struct device_queue *none;
    for (;;) {
        unsigned calls = atomic_load(&shared->standby_calls);
        pthread_mutex_lock(&engine->take_lock);
        while (engine->runner_works && has_messages(shared)) {
            while (message_take_locked(engine, &none))
                ;
            atomic_store(&shared->device_sleeps, LINK_STANDBY);
        }
        pthread_mutex_unlock(&engine->take_lock);
        futex_wait(&shared->standby_calls, calls);
    }
    return NULL;
}
