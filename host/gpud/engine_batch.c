/*
 * engine_batch.c: see engine_batch.h. What a batch asks for is given to the device, command by command, and its end and
 * its SIGNALs are told to the front, from whatever thread the device reports them on.
 *
 * A batch of many small launches on a device that is idle may be given to it by a thread of the device's own: it then
 * makes the commands on the processor that will run them. While that goes on nothing else is taken.
 */
#include "engine_batch.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "engine.h"

#define LOOSE_TURNS 64u /* BARRIERs and SIGNALs of a batch whose commands really run in any order */
#define LEND_LEAST  8u  /* launches of a batch that the device's own thread gives it */
#define NARROW_MOST 64u /* items that are one group's, whatever the device chooses */

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

/* A batch while it is given to the device; take_lock, or the device's thread that has been lent it. */
static struct giving {
    struct decoded decoded;
    struct target target;
} giving;

/* Whether the device's thread still has that: 1; 2: and somebody waits for it. A futex. */
static atomic_uint lent;

static uint32_t commands_give(void)
{
    const struct decoded *decoded = &giving.decoded;
    uint32_t status = barrier_apply(&giving.target);
    for (unsigned i = 0; i < decoded->count && !status; i++)
        if (!is_overtaken(decoded, i))
            status = operation_apply(&giving.target, &decoded->operations[i], i + 1 == decoded->count);
    return status;
}

/* Gives all of it. Returns whether batch_run() is the caller's. */
static bool batch_give(uint32_t status, bool may_run)
{
    struct run *run = giving.target.run;
    run->status = status ? status : commands_give();
    return run->engine->ops->batch_end(giving.target.queue, may_run, run_done, run);
}

static void lent_give(void *data)
{
    (void)data;
    batch_give(VGPGPU_OK, false);
    if (atomic_exchange(&lent, 0) == 2)
        syscall(SYS_futex, &lent, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void engine_lent_wait(void)
{
    unsigned one = 1;
    while (atomic_load(&lent)) {
        atomic_compare_exchange_strong(&lent, &one, 2);
        syscall(SYS_futex, &lent, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
        one = 1;
    }
}

/* Only launches, which never wait for anything, and nothing else on the device: its thread comes at once. */
static bool is_to_lend(struct engine *engine)
{
    const struct decoded *decoded = &giving.decoded;
    if (!engine->ops->batch_lend || decoded->count < LEND_LEAST || giving.target.loose ||
        atomic_load(&engine->running) != 1)
        return false;
    for (unsigned i = 0; i < decoded->count; i++)
        if (decoded->operations[i].op != VGPGPU_CMD_LAUNCH)
            return false;
    return true;
}

static bool is_one_group(const struct device_launch *launch)
{
    size_t items = 1;
    bool same = true;
    for (unsigned i = 0; i < launch->dimensions; i++) {
        same &= launch->local[i] == launch->global[i];
        items *= launch->global[i] <= NARROW_MOST ? launch->global[i] : NARROW_MOST + 1;
    }
    return same || items <= NARROW_MOST;
}

static bool is_narrow(void)
{
    const struct decoded *decoded = &giving.decoded;
    for (unsigned i = 0; i < decoded->count; i++)
        if (!is_one_group(&decoded->operations[i].launch))
            return false;
    return true;
}

static bool batch_lend(struct engine *engine)
{
    if (!is_to_lend(engine))
        return false;
    atomic_store(&lent, 1);
    if (engine->ops->batch_lend(giving.target.queue, is_narrow(), lent_give, NULL))
        return true;
    atomic_store(&lent, 0);
    return false;
}

struct device_queue *engine_batch_start(struct engine *engine, struct link_message *message)
{
    struct decoded *decoded = &giving.decoded;
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
                              .out = decoded};
    *run = (struct run){
        .engine = engine, .token = message->token, .holds = 1, .before = UINT64_MAX};
    status = submit_decode(&decoder, (uint8_t *)(message + 1),
                           message->bytes - (uint32_t)sizeof(*message));
    giving.target = (struct target){.ops = engine->ops,
                                    .queue = queue->queue.device,
                                    .run = run,
                                    .loose = message->parent & VGPGPU_SUBMIT_UNORDERED &&
                                             !status && has_few_turns(decoded)};
    if (!status && batch_lend(engine))
        return NULL;
    return batch_give(status, !engine->runner_works) ? queue->queue.device : NULL;
}
