/*
 * engine_messages.c: takes the front's messages, in order: starts batches, makes queues, destroys.
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

#define LOOSE_TURNS 64u /* BARRIERs and SIGNALs of a batch whose commands really run in any order */

/* A batch on the device. */
struct run {
    struct engine *engine;
    uint64_t token;
    uint32_t status;   /* of what could not be started */
    atomic_uint holds; /* its end, and each SIGNAL, are still to be told of */
    bool ended;        /* ends_lock */
    uint64_t before;   /* ends_lock: of the newest SIGNAL that it has come to */
};

/* A SIGNAL that the device has. */
struct mark {
    struct run *run;
    uint64_t before;
};

static void front_wake(struct engine *engine)
{
    uint64_t one = 1;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&engine->shared->front_sleeps, memory_order_relaxed) ||
        !atomic_exchange(&engine->shared->front_sleeps, 0))
        return;
    ssize_t put = write(engine->ended_fd, &one, sizeof(one));
    (void)put;
}

/* There is always room: one end and one note for each batch that the front has under way. */
static void end_put_locked(struct engine *engine, const struct link_end *end)
{
    engine->shared->ends[engine->ended & (LINK_ENDS - 1)] = *end;
    atomic_store_explicit(&engine->shared->ended, ++engine->ended, memory_order_release);
}

/* Any thread. */
static void end_post(struct engine *engine, const struct link_end *end)
{
    pthread_mutex_lock(&engine->ends_lock);
    end_put_locked(engine, end);
    pthread_mutex_unlock(&engine->ends_lock);
    atomic_fetch_sub(&engine->running, 1);
    front_wake(engine);
}

static void run_release(struct run *run)
{
    if (atomic_fetch_sub(&run->holds, 1) == 1)
        free(run);
}

/* A device_done. */
static void run_done(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns)
{
    struct run *run = token;
    struct engine *engine = run->engine;
    pthread_mutex_lock(&engine->ends_lock);
    run->ended = true;
    end_put_locked(engine, &(struct link_end){.token = run->token,
                                              .status = run->status ? run->status : status,
                                              .start_ns = start_ns,
                                              .end_ns = end_ns});
    pthread_mutex_unlock(&engine->ends_lock);
    atomic_fetch_sub(&engine->running, 1);
    front_wake(engine);
    run_release(run);
}

/* Reports of the device come in any order: an older SIGNAL, or one of a batch that has ended, is no news. Returns
 * whether there is something new to take for the front. */
static bool progress_put_locked(struct engine *engine, struct run *run, uint64_t before,
                                uint64_t start_ns, uint64_t end_ns)
{
    struct link_progress *progress = &engine->shared->progress[(uint32_t)run->token];
    if (run->ended || before >= run->before)
        return false;
    run->before = before;
    atomic_store(&progress->before, before);
    atomic_store(&progress->start_ns, start_ns);
    atomic_store(&progress->end_ns, end_ns);
    if (atomic_exchange(&progress->noted, 1))
        return false;
    end_put_locked(engine, &(struct link_end){.token = run->token, .note = 1});
    return true;
}

/* A device_reached. */
static void run_reached(void *token, uint32_t status, uint64_t start_ns, uint64_t end_ns)
{
    struct mark *mark = token;
    struct run *run = mark->run;
    struct engine *engine = run->engine;
    pthread_mutex_lock(&engine->ends_lock);
    bool news = !status && progress_put_locked(engine, run, mark->before, start_ns, end_ns);
    pthread_mutex_unlock(&engine->ends_lock);
    if (news)
        front_wake(engine);
    free(mark);
    run_release(run);
}

static const struct object_facts *facts_find(struct decoder *decoder, enum object_kind kind,
                                             uint32_t *id)
{
    struct thing *thing =
        thing_find(decoder->owner, kind == OBJECT_KERNEL ? THING_KERNEL : THING_BUFFER, *id);
    return thing ? &thing->facts : NULL;
}

/* What one batch runs on. */
struct target {
    const struct device_ops *ops;
    struct device_queue *queue;
    struct run *run;
    bool loose; /* its commands may run in any order */
};

static uint32_t barrier_apply(const struct target *target)
{
    return target->loose && target->ops->barrier ? target->ops->barrier(target->queue, true)
                                                 : VGPGPU_OK;
}

/* The first row by the pattern; then what is there once more, until all rows are. */
static uint32_t area_apply(const struct target *target, const struct operation *operation,
                           bool last)
{
    const struct device_fill *row = &operation->area.row;
    uint64_t pitch = operation->area.pitch, rows = operation->area.rows;
    uint32_t status = target->ops->fill(target->queue, row, last && rows == 1);
    for (uint64_t done = 1, more; done < rows && !status; done += more) {
        more = done < rows - done ? done : rows - done;
        status = barrier_apply(target);
        if (!status)
            status = target->ops->copy(target->queue,
                                       &(struct device_copy){.source = row->target,
                                                             .target = row->target,
                                                             .source_offset = row->offset,
                                                             .target_offset =
                                                                 row->offset + done * pitch,
                                                             .length = row->length,
                                                             .rows = more,
                                                             .source_pitch = pitch,
                                                             .target_pitch = pitch},
                                       last && done + more == rows);
    }
    return status;
}

static uint32_t signal_apply(const struct target *target, uint64_t before)
{
    struct mark *mark = malloc(sizeof(*mark));
    if (!mark)
        return VGPGPU_ERR_NO_MEMORY;
    *mark = (struct mark){.run = target->run, .before = before};
    atomic_fetch_add(&target->run->holds, 1);
    uint32_t status = target->ops->signal(target->queue, run_reached, mark);
    if (status) {
        free(mark);
        run_release(target->run);
    }
    return status;
}

static uint32_t operation_apply(const struct target *target, const struct operation *operation,
                                bool last)
{
    const struct device_ops *ops = target->ops;
    switch (operation->op) {
    case VGPGPU_CMD_LAUNCH:
        return ops->launch(target->queue, &operation->launch, last);
    case VGPGPU_CMD_COPY:
    case VGPGPU_CMD_COPY_2D:
        return ops->copy(target->queue, &operation->copy, last);
    case VGPGPU_CMD_FILL:
        return ops->fill(target->queue, &operation->fill, last);
    case VGPGPU_CMD_FILL_2D:
        return area_apply(target, operation, last);
    case VGPGPU_CMD_OPERATION:
        return ops->operation(target->queue, &operation->operation, last);
    case VGPGPU_CMD_SIGNAL:
        return signal_apply(target, operation->before);
    default:
        return barrier_apply(target);
    }
}

/* At each of these PoCL looks at every command of an out-of-order queue that has not ended. A batch of very many does
 * better in order, which is one of the orders that it may have. */
static bool has_few_turns(const struct decoded *decoded)
{
    unsigned turns = 0;
    for (unsigned i = 0; i < decoded->count; i++)
        turns += decoded->operations[i].op == VGPGPU_CMD_SIGNAL ||
                 decoded->operations[i].op == VGPGPU_CMD_BARRIER;
    return turns <= LOOSE_TURNS;
}

/* Of SIGNALs side by side the last one tells of all. */
static bool is_overtaken(const struct decoded *decoded, unsigned which)
{
    return decoded->operations[which].op == VGPGPU_CMD_SIGNAL && which + 1 < decoded->count &&
           decoded->operations[which + 1].op == VGPGPU_CMD_SIGNAL;
}

/* Returns the queue whose batch is the caller's to carry out, or NULL. */
static struct device_queue *batch_start(struct engine *engine, struct link_message *message)
{
    static struct decoded decoded; /* take_lock */
    struct thing *queue = thing_find(engine, THING_QUEUE, message->handle);
    struct run *run = malloc(sizeof(*run));
    uint32_t status = queue ? queue->queue.status : VGPGPU_ERR_EXEC;
    atomic_fetch_add(&engine->running, 1);
    if (!status && !run)
        status = VGPGPU_ERR_NO_MEMORY;
    if (status) {
        free(run);
        end_post(engine, &(struct link_end){.token = message->token, .status = status});
        return NULL;
    }
    struct decoder decoder = {.owner = engine,
                              .find = facts_find,
                              .offset_align = engine->info.offset_align,
                              .before = UINT64_MAX,
                              .out = &decoded};
    *run = (struct run){
        .engine = engine, .token = message->token, .holds = 1, .before = UINT64_MAX};
    status = submit_decode(&decoder, (uint8_t *)(message + 1),
                           message->bytes - (uint32_t)sizeof(*message));
    struct target target = {.ops = engine->ops,
                            .queue = queue->queue.device,
                            .run = run,
                            .loose = message->parent & VGPGPU_SUBMIT_UNORDERED &&
                                     !status && has_few_turns(&decoded)};
    if (!status)
        status = barrier_apply(&target);
    for (unsigned i = 0; i < decoded.count && !status; i++)
        if (!is_overtaken(&decoded, i))
            status = operation_apply(&target, &decoded.operations[i], i + 1 == decoded.count);
    run->status = status;
    bool left = engine->ops->batch_end(target.queue, !engine->runner_works, run_done, run);
    return left ? target.queue : NULL;
}

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
    uint32_t at = consumed & (LINK_MESSAGE_ROOM - 1), bytes = LINK_MESSAGE_ROOM - at;
    if (bytes >= sizeof(struct link_message)) {
        struct link_message *message = (void *)(shared->messages + at);
        bytes = message->bytes;
        if (message->kind == LINK_BATCH)
            *left = batch_start(engine, message);
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
