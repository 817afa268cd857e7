/*
 * control.c: control requests. Many threads may have one outstanding; whoever finds finished ones
 * takes them for all. Waiting spins a moment first, because the device answers small requests fast.
 */
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "driver.h"

#define SPIN_NS   (30 * NS_PER_US)
#define PERIOD_NS (1 * NS_PER_SEC) /* how often a long wait looks whether the device lives */

/* The host tells nobody when the device's process dies: the device just does not answer any more.
 */
#define LIMIT_NS     (10 * NS_PER_SEC)
/* For builds and what else takes long, and requests that may stand behind one; gpud ends a build after 60 s. */
#define LIMIT_SLOW_S 90u
/* And how long work may keep back an answer; so many at a time, which leaves others room in the queue. */
#define LIMIT_LATE_S 150u
#define LATE_MAX     32u

/* Lies on the stack of the thread that waits, until `done`. */
struct control_call {
    struct vring_buffer buffers[2];
    uint32_t late; /* the context whose work may keep the answer back: what is destroyed is in use; or 0 */
    bool queued;
    uint32_t written;
    bool done; /* written last, with release order: the call may be gone right after */
};

static void call_done(struct control_call *call, uint32_t written)
{
    call->written = written;
    __atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
}

/* Takes back all that is finished. */
static void control_drain(struct gpgpu *g)
{
    uint32_t written;
    bool any = false;
    void *call;
    int r;

    while ((r = virtio_queue_take(g->control, &call, &written)) == OK) {
        call_done(call, written);
        any = true;
    }
    if (any)
        wait_wake_all(&g->control_sleepers.queue);
    if (r == ERR_LOST)
        gpgpu_lose(g, "gives back requests that it does not have");
}

void gpgpu_control_used(struct virtio_queue *q)
{
    control_drain(virtio_queue_context(q));
}

void gpgpu_control_lost(struct gpgpu *g)
{
    struct control_call *call;

    while ((call = virtio_queue_reclaim(g->control)))
        call_done(call, 0);
    wait_wake_all(&g->control_sleepers.queue);
}

static bool call_finished(struct gpgpu *g, struct control_call *call)
{
    if (virtio_queue_pending(g->control))
        control_drain(g);
    return __atomic_load_n(&call->done, __ATOMIC_ACQUIRE);
}

/* Queues the call if there is room. True: it is queued, or never will be. */
static bool call_queued(struct gpgpu *g, struct control_call *call)
{
    int r;

    if (call->queued || call->done)
        return true;
    r = g->lost ? ERR_LOST : virtio_queue_add(g->control, call->buffers, 2, call);
    if (r == ERR_AGAIN) {
        if (virtio_queue_pending(g->control))
            control_drain(g);
        return false;
    }
    call->queued = r == OK;
    if (r != OK)
        call_done(call, 0);
    else if (g->lost) /* meanwhile, and maybe too late for those who took everything back */
        gpgpu_control_lost(g);
    if (r == ERR_LOST)
        gpgpu_lost(g);
    return true;
}

/* The option gpu.patience says it where the host gives work and builds another time than it usually does; 0: for ever. */
static uint64_t patience(unsigned usual_s)
{
    uint64_t seconds = MIN(boot_option_number("gpu.patience", usual_s), UINT32_MAX);

    return seconds ? seconds * NS_PER_SEC : UINT64_MAX;
}

static uint64_t silence_limit(const struct gpgpu *g)
{
    if (!__atomic_load_n(&g->slow, __ATOMIC_RELAXED))
        return LIMIT_NS;
    return MAX(LIMIT_SLOW_S * NS_PER_SEC, patience(LIMIT_SLOW_S));
}

/* Where work goes on that may keep the answer back, that is no silence, and the device is asked something else. */
static void silence_check(struct gpgpu *g, const struct control_call *call, uint64_t started, uint64_t *since)
{
    uint64_t limit = silence_limit(g), now = time_now();

    if (call->late && now - started < patience(LIMIT_LATE_S) && gpu_is_working(g->gpu, call->late)) {
        *since = now;
        gpgpu_alive(g);
        return;
    }
    if (now - *since < limit || g->lost)
        return;
    log_error("virtio_gpgpu: the device has not answered for %lu s", limit / NS_PER_SEC);
    gpgpu_lost(g);
}

/* Waits for one of the two conditions above; gives the device up when it does not answer. */
static void call_wait(struct gpgpu *g, struct control_call *call,
                      bool (*condition)(struct gpgpu *g, struct control_call *call))
{
    uint64_t started = time_now(), since = started, due;
    int r;

    sleepers_enter(&g->control_sleepers, g->control);
    do {
        due = time_now() + PERIOD_NS; /* however often others' answers wake this one */
        r = WAIT_UNTIL(&g->control_sleepers.queue, condition(g, call), due, 0);
        if (r == ERR_TIMED_OUT)
            silence_check(g, call, started, &since);
    } while (r == ERR_TIMED_OUT && gpgpu_status_check(g) == OK);
    sleepers_leave(&g->control_sleepers, g->control);
}

static bool late_has_room(const struct gpgpu *g)
{
    return __atomic_load_n(&g->late, __ATOMIC_RELAXED) < LATE_MAX;
}

static void late_enter(struct gpgpu *g)
{
    while (__atomic_fetch_add(&g->late, 1, __ATOMIC_RELAXED) >= LATE_MAX) {
        __atomic_fetch_sub(&g->late, 1, __ATOMIC_RELAXED);
        WAIT_UNTIL(&g->late_room, late_has_room(g), TIME_NEVER, 0);
    }
}

static void late_leave(struct gpgpu *g)
{
    __atomic_fetch_sub(&g->late, 1, __ATOMIC_RELAXED);
    wait_wake_all(&g->late_room);
}

static void call_run(struct gpgpu *g, struct control_call *call)
{
    uint64_t end;

    if (!call_queued(g, call))
        call_wait(g, call, call_queued);
    if (!call->queued)
        return;
    virtio_queue_kick(g->control);
    for (end = time_now() + SPIN_NS; time_now() < end; cpu_relax())
        if (call_finished(g, call))
            return;
    if (!call_finished(g, call))
        call_wait(g, call, call_finished);
    /* Loss marks every queued call as done, maybe on another CPU: the call must not go before. */
    while (!call_finished(g, call))
        cpu_relax();
}

int gpgpu_request(struct gpgpu *g, const void *request, uint32_t request_bytes, const void *reply,
                  uint32_t reply_room, struct vgpgpu_reply *header)
{
    const struct vgpgpu_request *what = request;
    struct control_call call = {
        .buffers = {{virt_to_phys(request), request_bytes, false},
                    {virt_to_phys(reply), reply_room, true}},
        .late = what->type == VGPGPU_BUFFER_DESTROY ? what->context : 0,
    };

    if (g->lost)
        return ERR_LOST;
    if (call.late)
        late_enter(g);
    call_run(g, &call);
    if (call.late)
        late_leave(g);
    if (!call.queued || g->lost)
        return ERR_LOST;
    memcpy(header, reply, sizeof(*header));
    if (call.written >= sizeof(*header) && header->length <= call.written - sizeof(*header))
        return OK;
    gpgpu_lose(g, "sent a malformed reply");
    return ERR_LOST;
}
