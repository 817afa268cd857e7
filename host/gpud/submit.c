/*
 * submit.c: the submit queue's thread. A submission is copied out of guest memory, decoded, and
 * only then handed to the device process. Its chain goes back at once; the fence tells when the work
 * has ended. The same thread takes the ends of batches and signals their fences.
 *
 * After work the thread looks at the ring, and for ends, a short while before it sleeps, with kicks
 * turned off: a driver that submits again soon pays for no notification.
 */
#include "machine.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "checked.h"
#include "clock.h"
#include "log.h"
#include "submit_decode.h"

/* How long the thread looks before it sleeps, in ns: longer when that pays, shorter when not. */
#define SPIN_LEAST_NS 4000u
#define SPIN_MOST_NS  50000u

struct submitter {
    struct machine *machine;
    struct decoded decoded;
    uint64_t spin_ns;
    struct chain chain;
    _Alignas(8) uint8_t commands[MAX_SUBMIT_BYTES];
};

/* Lengths and the commands' copy. */
static uint32_t commands_read(struct submitter *submitter, const struct vgpgpu_submit *header)
{
    if ((header->flags & ~(uint32_t)VGPGPU_SUBMIT_UNORDERED) || header->command_bytes % 8)
        return VGPGPU_ERR_INVALID;
    if (header->command_bytes > MAX_SUBMIT_BYTES)
        return VGPGPU_ERR_LIMIT;
    return chain_read(&submitter->chain, sizeof(*header), submitter->commands,
                      header->command_bytes)
               ? VGPGPU_OK
               : VGPGPU_ERR_INVALID;
}

/* Fence values grow, and the two ends of the range mean something else. */
static bool fence_is_good(const struct timeline *timeline, uint64_t fence)
{
    return fence > timeline->submitted && fence != VGPGPU_NOBODY_WAITS;
}

/* Finds an object of the context, keeps it for the submission, and puts its handle in place. */
static const struct object_facts *object_use(struct decoder *decoder, enum object_kind kind,
                                             uint32_t *id)
{
    struct object *object = object_find_locked(decoder->owner, kind, *id);
    if (!object)
        return NULL;
    object_hold(object);
    decoder->out->references[decoder->out->reference_count++] = object;
    *id = object->parent ? object->parent->handle : object->handle;
    return &object->facts;
}

/* Everything that can be wrong with it, with objects_lock held. */
static uint32_t submission_check_locked(struct submitter *submitter, struct timeline *timeline,
                                        const struct vgpgpu_submit *header)
{
    struct decoder decoder = {.owner = timeline->context,
                              .find = object_use,
                              .offset_align = submitter->machine->config.offset_align,
                              .before = header->fence - timeline->submitted,
                              .out = &submitter->decoded};
    uint32_t status = submitter->chain.refused ? VGPGPU_ERR_LOST : commands_read(submitter, header);
    if (!status && !fence_is_good(timeline, header->fence))
        status = VGPGPU_ERR_INVALID;
    if (!status && context_is_lost(timeline->context))
        status = VGPGPU_ERR_LOST;
    return status ? status : submit_decode(&decoder, submitter->commands, header->command_bytes);
}

/*
 * Finds where the submission belongs and checks it. A submission that names no queue of a context
 * has no fence to report to: NULL. Any other fault is left in ->status.
 */
static struct submission *submission_create(struct submitter *submitter,
                                            const struct vgpgpu_submit *header)
{
    struct machine *machine = submitter->machine;
    struct decoded *decoded = &submitter->decoded;
    struct submission *submission = NULL;
    decoded->count = decoded->reference_count = 0;
    pthread_mutex_lock(&machine->objects_lock);
    struct context *context = context_find_locked(machine, header->context);
    if (context && header->queue < VGPGPU_QUEUES_PER_CONTEXT) {
        struct timeline *timeline = &context->timelines[header->queue];
        uint32_t status = submission_check_locked(submitter, timeline, header);
        size_t references = decoded->reference_count * sizeof(struct object *);
        submission = malloc(sizeof(*submission) + references);
        if (submission) {
            *submission = (struct submission){.timeline = timeline,
                                              .fence = header->fence,
                                              .room = header->fence - timeline->submitted,
                                              .notes = decoded->signal_count,
                                              .queued_ns = now_ns(),
                                              .status = status,
                                              .reference_count = decoded->reference_count};
            if (references)
                memcpy(submission->references, decoded->references, references);
            context_hold(context);
        }
    }
    pthread_mutex_unlock(&machine->objects_lock);
    for (unsigned i = 0; !submission && i < decoded->reference_count; i++)
        object_release(decoded->references[i]);
    return submission;
}

static uint32_t queue_make(struct timeline *timeline)
{
    struct context *context = timeline->context;
    if (timeline->handle)
        return VGPGPU_OK;
    timeline->handle = remote_queue_create(context->remote, context->epoch, context->handle);
    if (!timeline->handle)
        return remote_is_up(context->remote, context->epoch) ? VGPGPU_ERR_NO_MEMORY
                                                              : VGPGPU_ERR_LOST;
    atomic_fetch_add(&context->machine->queue_count, 1);
    return VGPGPU_OK;
}

/* And so that the next front knows, should this one be killed. */
static void submitted_note(struct timeline *timeline, uint64_t fence)
{
    struct context *context = timeline->context;
    struct inflight_context *note =
        inflight_context(&context->machine->session.inflight, context->id);
    timeline->submitted = fence;
    if (note)
        atomic_store_explicit(&note->submitted[timeline->index], fence, memory_order_relaxed);
}

/* Starts the work. Whatever fails, the fence is signalled behind what came before it. */
static void submission_apply(struct submitter *submitter, struct submission *submission,
                             const struct vgpgpu_submit *header)
{
    struct timeline *timeline = submission->timeline;
    struct context *context = timeline->context;
    timeline_add(submission);
    if (fence_is_good(timeline, submission->fence))
        submitted_note(timeline, submission->fence);
    if (!submission->status && atomic_load(&context->machine->running) > MAX_RUNNING)
        submission->status = VGPGPU_ERR_NO_MEMORY; /* destructions have made it take so many */
    if (!submission->status)
        submission->status = queue_make(timeline);
    if (submission->status)
        submission_done(submission, submission->status, 0, 0);
    else
        remote_submit(context->remote, context->epoch, timeline->handle, submission,
                      header->flags, submitter->commands, header->command_bytes);
}

static void chain_serve_locked(struct submitter *submitter, struct ring *ring)
{
    struct vgpgpu_submit header;
    struct submission *submission = NULL;
    if (submitter->chain.refused)
        log_line("a submission that %u fronts have died with is refused", VIRTQUEUE_DEATHS);
    if (chain_read(&submitter->chain, 0, &header, sizeof(header)))
        submission = submission_create(submitter, &header);
    if (submission)
        submission_apply(submitter, submission, &header);
    else
        log_guest("a submission without a queue to report to was dropped");
    ring_push_locked(ring, submitter->chain.head, 0);
}

/* Keeps the number of batches on the device in bounds: submission_done() wakes the thread again. */
static bool is_full(struct machine *machine)
{
    if (atomic_load(&machine->running) < ENOUGH_RUNNING || atomic_load(&machine->settles))
        return false;
    atomic_store(&machine->throttled, true);
    if (atomic_load(&machine->running) >= ENOUGH_RUNNING)
        return true;
    atomic_store(&machine->throttled, false);
    return false;
}

/* Serves what is there. Returns whether there was anything. */
static bool ring_drain_locked(struct submitter *submitter, struct ring *ring)
{
    bool any = false;
    while (!ring_is_wanted(ring) && !is_full(submitter->machine) &&
           ring_pop_locked(ring, &submitter->chain)) {
        chain_serve_locked(submitter, ring);
        any = true;
    }
    if (remotes_have_ends(submitter->machine)) {
        remotes_ends_take(submitter->machine);
        any = true;
    }
    return any;
}

/* Looks until something comes or the time is over. Lets other threads run meanwhile, first of all
 * those that were woken just now. */
static bool ring_watch_locked(struct submitter *submitter, struct ring *ring)
{
    uint64_t end = now_ns() + submitter->spin_ns;
    do {
        sched_yield();
        for (unsigned i = 0; i < 4; i++) {
            if (!virtqueue_is_empty(&ring->queue) || remotes_have_ends(submitter->machine))
                return true;
            __builtin_ia32_pause();
        }
        if (ring_is_wanted(ring))
            return false;
    } while (now_ns() < end);
    return false;
}

static void ring_serve(struct submitter *submitter, struct ring *ring)
{
    ring_lock(ring);
    virtqueue_want_kicks(&ring->queue, false);
    while (ring_drain_locked(submitter, ring)) {
        bool paid = ring_watch_locked(submitter, ring);
        garbage_collect(submitter->machine);
        uint64_t next = paid ? submitter->spin_ns * 2 : submitter->spin_ns / 2;
        submitter->spin_ns = next < SPIN_LEAST_NS  ? SPIN_LEAST_NS
                             : next > SPIN_MOST_NS ? SPIN_MOST_NS
                                                   : next;
    }
    virtqueue_want_kicks(&ring->queue, true);
    ring_unlock(ring);
}

/* Whether something came while kicks were off. */
static bool has_work(struct machine *machine, struct ring *ring)
{
    ring_lock(ring);
    bool work = !virtqueue_is_empty(&ring->queue) && !is_full(machine);
    ring_unlock(ring);
    return work || remotes_have_ends(machine);
}

static void submitter_sleep(struct machine *machine, struct ring *ring)
{
    ring_lock(ring);
    struct pollfd events[4] = {{.fd = machine->submit_wake, .events = POLLIN},
                               {.fd = ring->kick, .events = POLLIN},
                               {.fd = machine->ends.ended, .events = POLLIN},
                               {.fd = machine->ends.keeper, .events = POLLIN}};
    ring_unlock(ring);
    poll(events, 4, -1);
    for (unsigned i = 0; i < 3; i++)
        if (events[i].revents)
            eventfd_drain(events[i].fd);
    if (events[3].revents)
        remotes_pump(machine);
}

void *submit_run(void *argument)
{
    static struct submitter submitter; /* one front, one submit thread */
    struct machine *machine = argument;
    struct ring *ring = &machine->session.rings[VGPGPU_QUEUE_SUBMIT];
    submitter.machine = machine;
    submitter.spin_ns = SPIN_MOST_NS;
    for (;;) {
        ring_serve(&submitter, ring);
        garbage_collect(machine);
        remotes_sleep(machine, true);
        if (!has_work(machine, ring))
            submitter_sleep(machine, ring);
        remotes_sleep(machine, false);
    }
    return NULL;
}
