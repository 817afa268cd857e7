/*
 * timeline.c: fences. Batches of a queue may be reported ended by any thread, but are signalled in
 * order; the slot in guest memory is this side's to write but for `wait`.
 */
#include "machine.h"

#include <sched.h>
#include <stdlib.h>
#include "watch.h"

static void timeline_make(struct timeline *timeline, struct context *context, unsigned index,
                          struct vgpgpu_fence_slot *slot)
{
    *timeline = (struct timeline){.context = context, .index = index, .slot = slot};
    pthread_mutex_init(&timeline->lock, NULL);
}

void timeline_init(struct timeline *timeline, struct context *context, unsigned index,
                   struct vgpgpu_fence_slot *slot)
{
    timeline_make(timeline, context, index, slot);
    *slot = (struct vgpgpu_fence_slot){.wait = VGPGPU_NOBODY_WAITS};
}

static struct vgpgpu_event fence_event(const struct timeline *timeline)
{
    return (struct vgpgpu_event){.type = VGPGPU_EVENT_FENCE,
                                 .context = timeline->context->id,
                                 .queue = timeline->index,
                                 .value = timeline->signalled};
}

/* The former front may not have come to send the event for what it signalled. */
static void timeline_tell(struct timeline *timeline)
{
    struct context *context = timeline->context;
    uint64_t wait = __atomic_load_n(&timeline->slot->wait, __ATOMIC_RELAXED);
    struct vgpgpu_event event = fence_event(timeline);
    if (wait <= timeline->signalled)
        event_raise(context->machine, context, &event);
}

void timeline_resume(struct timeline *timeline, struct context *context, unsigned index,
                     struct vgpgpu_fence_slot *slot, uint64_t submitted)
{
    timeline_make(timeline, context, index, slot);
    uint64_t before = __atomic_load_n(&slot->signalled, __ATOMIC_RELAXED);
    timeline->failed = __atomic_load_n(&slot->failed, __ATOMIC_RELAXED) != 0;
    timeline->submitted = timeline->signalled = submitted > before ? submitted : before;
    if (submitted > before && !timeline->failed) {
        timeline->failed = true;
        __atomic_store_n(&slot->status, VGPGPU_ERR_LOST, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->failed, before + 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&slot->signalled, timeline->signalled, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* who goes to sleep looks once more */
    timeline_tell(timeline);
}

void timeline_add(struct submission *submission)
{
    struct timeline *timeline = submission->timeline;
    atomic_fetch_add(&timeline->context->machine->running, 1);
    pthread_mutex_lock(&timeline->lock);
    submission->next = NULL;
    if (timeline->last)
        timeline->last->next = submission;
    else
        timeline->first = submission;
    timeline->last = submission;
    if (timeline->first == submission)
        watch_add(timeline);
    pthread_mutex_unlock(&timeline->lock);
}

/* The submission has ended, or come as far as a SIGNAL. The device process says what it likes, but the four times
 * are in order. On an in-order queue a batch begins once the one before it has ended. */
static void slot_times_locked(struct timeline *timeline, const struct submission *submission)
{
    struct vgpgpu_fence_slot *slot = timeline->slot;
    uint64_t ready = submission->start_ns > submission->queued_ns ? submission->start_ns
                                                                  : submission->queued_ns;
    uint64_t begun = ready > timeline->end_ns ? ready : timeline->end_ns;
    uint64_t least = begun > timeline->value_ns ? begun : timeline->value_ns;
    timeline->value_ns = submission->end_ns > least ? submission->end_ns : least;
    if (submission->ended)
        timeline->end_ns = timeline->value_ns;
    __atomic_store_n(&slot->start_ns, begun, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->end_ns, timeline->value_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->queued_ns, submission->queued_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->ready_ns, ready, __ATOMIC_RELAXED);
}

/* The last step. Returns whether somebody began to wait for it. */
static bool slot_raise_locked(struct timeline *timeline, uint64_t value)
{
    struct vgpgpu_fence_slot *slot = timeline->slot;
    uint64_t before = timeline->signalled;
    timeline->signalled = value;
    __atomic_store_n(&slot->signalled, value, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t wait = __atomic_load_n(&slot->wait, __ATOMIC_RELAXED);
    return wait > before && wait <= value;
}

static bool machine_is_lost(const struct timeline *timeline)
{
    return atomic_load_explicit(&timeline->context->machine->lost, memory_order_relaxed);
}

/*
 * Stores one submission's outcome. Returns whether somebody began to wait for it. A fence value
 * that does not grow is a failure of its own: it is reported, and `signalled` stays. Of one that grows all values
 * fail that were not signalled yet.
 */
static bool slot_signal_locked(struct timeline *timeline, const struct submission *submission)
{
    struct vgpgpu_fence_slot *slot = timeline->slot;
    bool grows = submission->fence > timeline->signalled && submission->fence != VGPGPU_NOBODY_WAITS;
    if (machine_is_lost(timeline))
        return false;
    if (submission->end_ns)
        slot_times_locked(timeline, submission);
    if (submission->status && !timeline->failed) {
        uint64_t failed = grows ? timeline->signalled + 1 : submission->fence;
        timeline->failed = true;
        __atomic_store_n(&slot->status, submission->status, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->failed, failed ? failed : 1, __ATOMIC_RELAXED);
    }
    return slot_raise_locked(timeline, grows ? submission->fence : timeline->signalled);
}

/* What the oldest submission has come to, if that is new. Returns whether somebody began to wait for it. */
static bool slot_reach_locked(struct timeline *timeline)
{
    const struct submission *first = timeline->first;
    if (!first || first->reached <= timeline->signalled || machine_is_lost(timeline))
        return false;
    slot_times_locked(timeline, first);
    return slot_raise_locked(timeline, first->reached);
}

void submission_reached(struct submission *submission, uint64_t before, uint64_t start_ns,
                        uint64_t end_ns)
{
    struct timeline *timeline = submission->timeline;
    struct context *context = context_hold(timeline->context);
    uint64_t value = submission->fence - before;
    pthread_mutex_lock(&timeline->lock);
    bool wake = false;
    if (!submission->ended && value > submission->reached) {
        submission->reached = value;
        submission->start_ns = start_ns;
        submission->end_ns = end_ns;
        wake = slot_reach_locked(timeline);
    }
    struct vgpgpu_event event = fence_event(timeline);
    pthread_mutex_unlock(&timeline->lock);
    atomic_fetch_sub(&submission->holds, 1);
    if (wake)
        event_raise(context->machine, context, &event);
    context_release(context);
}

bool submission_is_first(struct submission *submission)
{
    pthread_mutex_lock(&submission->timeline->lock);
    bool first = submission->timeline->first == submission;
    pthread_mutex_unlock(&submission->timeline->lock);
    return first;
}

void submission_done(struct submission *submission, uint32_t status, uint64_t start_ns,
                     uint64_t end_ns)
{
    struct submission *signalled = NULL;
    struct timeline *timeline = submission->timeline;
    struct context *context = context_hold(timeline->context);
    struct machine *machine = context->machine;
    unsigned count = 0;
    bool wake = false;

    pthread_mutex_lock(&timeline->lock);
    const struct submission *oldest = timeline->first;
    submission->ended = true;
    submission->start_ns = start_ns;
    submission->end_ns = end_ns;
    if (!submission->status)
        submission->status = status;
    while (timeline->first && timeline->first->ended) {
        struct submission *first = timeline->first;
        wake |= slot_signal_locked(timeline, first);
        timeline->first = first->next;
        if (!timeline->first)
            timeline->last = NULL;
        first->next = signalled;
        signalled = first;
        count++;
    }
    wake |= slot_reach_locked(timeline);
    if (!timeline->first)
        watch_remove(timeline);
    else if (timeline->first != oldest)
        watch_next(timeline);
    struct vgpgpu_event event = fence_event(timeline);
    pthread_mutex_unlock(&timeline->lock);

    if (wake)
        event_raise(machine, context, &event);
    pthread_mutex_lock(&machine->garbage_lock);
    while (signalled) {
        struct submission *next = signalled->next;
        signalled->next = machine->garbage;
        machine->garbage = signalled;
        signalled = next;
    }
    pthread_mutex_unlock(&machine->garbage_lock);
    context_release(context);
    atomic_fetch_sub(&machine->running, count);
    if (atomic_load(&machine->deferred_count)) /* it collects what was signalled here */
        eventfd_signal(machine->control_wake);
    if (atomic_exchange(&machine->throttled, false))
        eventfd_signal(machine->submit_wake);
}

void garbage_collect(struct machine *machine)
{
    pthread_mutex_lock(&machine->garbage_lock);
    struct submission *submission = machine->garbage;
    machine->garbage = NULL;
    pthread_mutex_unlock(&machine->garbage_lock);
    if (!submission)
        return;
    while (submission) {
        struct submission *next = submission->next;
        struct context *context = submission->timeline->context;
        while (atomic_load(&submission->holds))
            sched_yield(); /* for some stores */
        for (unsigned i = 0; i < submission->reference_count; i++)
            object_release(submission->references[i]);
        free(submission);
        context_release(context);
        submission = next;
    }
    /* The control thread may have looked at the references before they were given back here. */
    if (atomic_load(&machine->deferred_count))
        eventfd_signal(machine->control_wake);
}
