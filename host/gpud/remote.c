/* remote.c: see remote.h. The device process's life, and what the front posts to it. */
#include "remote.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "keeper.h"
#include "log.h"
#include "machine.h"

#define START_LIMIT_MS 60000 /* the first use of a device may compile its own library */
#define LOOK_MS        100
#define TAKE_AT_ONCE   16u

static int remote_init(struct remote *remote, int shared)
{
    remote->socket = remote->arrived = -1;
    pthread_mutex_init(&remote->lock, NULL);
    atomic_init(&remote->epoch, 1);
    for (uint32_t i = 0; i < MAX_RUNNING; i++)
        remote->free_flights[i] = (uint16_t)i;
    remote->free_flight_count = MAX_RUNNING;
    remote->shared =
        mmap(NULL, sizeof(*remote->shared), PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (remote->shared != MAP_FAILED)
        return 0;
    log_line("no memory to speak to a device process: %s", strerror(errno));
    return -1;
}

int remotes_init(struct machine *machine, const struct remote_ends *ends)
{
    machine->ends = *ends;
    pthread_mutex_init(&machine->keeper_lock, NULL);
    atomic_init(&machine->remote_count, 1);
    for (unsigned i = 0; i < KEEPER_DEVICES; i++) {
        machine->remotes[i].machine = machine;
        machine->remotes[i].index = i;
        if (remote_init(&machine->remotes[i], ends->shared[i]))
            return -1;
    }
    return 0;
}

struct remote *remote_take(struct machine *machine, uint64_t limit_ns)
{
    for (unsigned i = 1; i < KEEPER_DEVICES; i++) {
        struct remote *remote = &machine->remotes[i];
        if (atomic_exchange(&remote->owned, true))
            continue;
        if (i >= atomic_load(&machine->remote_count))
            atomic_store(&machine->remote_count, i + 1);
        atomic_store(&remote->limit_ns, limit_ns);
        return remote;
    }
    return NULL;
}

void remote_leave(struct remote *remote)
{
    atomic_store(&remote->owned, false);
}

static bool is_up_locked(const struct remote *remote, uint32_t epoch)
{
    return remote->state == REMOTE_UP && atomic_load(&remote->epoch) == epoch;
}

bool remote_is_up(struct remote *remote, uint32_t epoch)
{
    pthread_mutex_lock(&remote->lock);
    bool up = is_up_locked(remote, epoch);
    pthread_mutex_unlock(&remote->lock);
    return up;
}

static void ends_take(struct remote *remote);

/* ---- Life */

static void keeper_tell(struct remote *remote, char what)
{
    struct keeper_message message = {what, (uint8_t)remote->index};
    struct iovec part = {&message, sizeof(message)};
    link_send(remote->machine->ends.keeper, &part, 1, NULL, 0); /* without a keeper this process ends too */
}

static void kill_locked(struct remote *remote)
{
    if (remote->state != REMOTE_UP)
        return;
    remote->state = REMOTE_DYING;
    keeper_tell(remote, KEEPER_KILL);
}

void remote_kill(struct remote *remote, const struct timeline *late, bool late_call)
{
    pthread_mutex_lock(&remote->lock);
    if (remote->state == REMOTE_UP) {
        remote->late = late;
        remote->late_call = late_call;
    }
    kill_locked(remote);
    pthread_mutex_unlock(&remote->lock);
}

/* Everything is as it was before the first device process, but the epoch. */
static void start_locked(struct remote *remote)
{
    struct link_shared *shared = remote->shared;
    atomic_store(&shared->posted, 0);
    atomic_store(&shared->consumed, 0);
    atomic_store(&shared->ended, 0);
    atomic_store(&shared->device_sleeps, 0);
    atomic_store(&shared->front_sleeps, 1); /* it may sleep, not knowing of this process yet */
    atomic_store(&remote->taken, 0);
    remote->posted = 0;
    remote->handle_count = remote->free_count = 0;
    remote->late = NULL;
    remote->late_call = false;
    remote->state = REMOTE_STARTING;
    keeper_tell(remote, KEEPER_START);
}

/* The control thread takes the socket of a device process that it has not seen yet. */
static void socket_take_locked(struct remote *remote)
{
    if (remote->arrived < 0)
        return;
    if (remote->socket >= 0)
        close(remote->socket);
    remote->socket = remote->arrived;
    remote->arrived = -1;
    remote->memory_serial = 0;
}

uint32_t remote_ensure(struct remote *remote)
{
    bool started = false;
    for (unsigned waited = 0; waited < START_LIMIT_MS; waited += LOOK_MS) {
        pthread_mutex_lock(&remote->lock);
        enum remote_state state = remote->state;
        if (state == REMOTE_UP)
            socket_take_locked(remote);
        if (state == REMOTE_NONE && !started) {
            start_locked(remote);
            started = true;
            state = REMOTE_STARTING;
        }
        pthread_mutex_unlock(&remote->lock);
        if (state == REMOTE_UP)
            return VGPGPU_OK;
        if (state == REMOTE_NONE)
            return VGPGPU_ERR_LOST; /* it ended before it was there */
        struct pollfd event = {.fd = remote->machine->ends.keeper, .events = POLLIN};
        poll(&event, 1, LOOK_MS);
        remotes_pump(remote->machine);
    }
    return VGPGPU_ERR_LOST;
}

/* The batches that a device process has left, one after the other; NULL: no more. */
static struct submission *flight_abandon(struct remote *remote)
{
    struct submission *submission = NULL;
    pthread_mutex_lock(&remote->lock);
    for (uint32_t i = 0; i < MAX_RUNNING && !submission; i++) {
        struct flight *flight = &remote->flights[i];
        submission = flight->submission;
        if (!submission)
            continue;
        flight->submission = NULL;
        flight->round++;
        remote->free_flights[remote->free_flight_count++] = (uint16_t)i;
    }
    pthread_mutex_unlock(&remote->lock);
    return submission;
}

/* It is dead, with all that it started: nothing touches guest memory any more. */
static void device_gone(struct remote *remote)
{
    struct submission *submission;
    unsigned lost = 0;
    ends_take(remote); /* what it has still done */
    pthread_mutex_lock(&remote->lock);
    const struct timeline *late = remote->late;
    const char *why = late ? "its work took longer than the time limit"
                      : remote->late_call ? "what it was asked took longer than the time limit"
                                          : "it ended";
    atomic_fetch_add(&remote->epoch, 1);
    pthread_mutex_unlock(&remote->lock);
    /* The state stays as it is for now: a new device process must not fill the same places. */
    for (; (submission = flight_abandon(remote)); lost++) {
        bool timeout = submission->timeline == late && submission_is_first(submission);
        submission_done(submission, timeout ? VGPGPU_ERR_TIMEOUT : VGPGPU_ERR_LOST, 0, 0);
    }
    pthread_mutex_lock(&remote->lock);
    remote->state = REMOTE_NONE;
    pthread_mutex_unlock(&remote->lock);
    log_line("the device process is gone, %s: %u batches under way were lost, and its contexts", why,
             lost);
}

static void keeper_obey(struct remote *remote, char what, const int *fds, unsigned fd_count)
{
    pthread_mutex_lock(&remote->lock);
    if (what == KEEPER_STARTED && fd_count == 1) {
        if (remote->arrived >= 0)
            close(remote->arrived);
        remote->arrived = fds[0];
        remote->state = REMOTE_UP;
    }
    if (what == KEEPER_GONE && remote->state == REMOTE_UP)
        remote->state = REMOTE_DYING;
    pthread_mutex_unlock(&remote->lock);
}

/* One message of the keeper's. False: there is none. */
static bool keeper_hear(struct machine *machine)
{
    int fds[GUEST_MEMORY_REGIONS] = {-1};
    unsigned fd_count;
    struct keeper_message message;
    struct pollfd event = {.fd = machine->ends.keeper, .events = POLLIN};
    pthread_mutex_lock(&machine->keeper_lock);
    bool heard = poll(&event, 1, 0) == 1 &&
                 link_receive_fds(machine->ends.keeper, &message, sizeof(message), fds,
                                  &fd_count) == 0 &&
                 message.device < KEEPER_DEVICES;
    if (heard)
        keeper_obey(&machine->remotes[message.device], message.what, fds, fd_count);
    pthread_mutex_unlock(&machine->keeper_lock);
    if (heard && message.what == KEEPER_GONE)
        device_gone(&machine->remotes[message.device]);
    return heard;
}

void remotes_pump(struct machine *machine)
{
    remotes_ends_take(machine);
    while (keeper_hear(machine))
        ;
}

void remotes_kill(struct machine *machine)
{
    for (unsigned i = 0; i < KEEPER_DEVICES; i++)
        remote_kill(&machine->remotes[i], NULL, false);
}

/* ---- Handles */

/* Room for giving back comes with a handle: that must not fail. */
static uint32_t handle_take_locked(struct remote *remote)
{
    if (remote->free_count)
        return remote->free_handles[--remote->free_count];
    if (remote->handle_count == remote->free_room) {
        uint32_t room = remote->free_room ? remote->free_room * 2 : 256;
        uint32_t *grown = realloc(remote->free_handles, room * sizeof(*grown));
        if (!grown)
            return 0;
        remote->free_handles = grown;
        remote->free_room = room;
    }
    return ++remote->handle_count;
}

uint32_t remote_handle(struct remote *remote, uint32_t epoch)
{
    pthread_mutex_lock(&remote->lock);
    uint32_t handle = is_up_locked(remote, epoch) ? handle_take_locked(remote) : 0;
    pthread_mutex_unlock(&remote->lock);
    return handle;
}

static void handle_drop_locked(struct remote *remote, uint32_t epoch, uint32_t handle)
{
    if (atomic_load(&remote->epoch) == epoch)
        remote->free_handles[remote->free_count++] = handle;
}

void remote_handle_drop(struct remote *remote, uint32_t epoch, uint32_t handle)
{
    pthread_mutex_lock(&remote->lock);
    handle_drop_locked(remote, epoch, handle);
    pthread_mutex_unlock(&remote->lock);
}

/* ---- Messages */

static uint64_t now_us(void)
{
    return now_ns() / 1000u;
}

static void device_wake(struct link_shared *shared)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&shared->device_sleeps, memory_order_relaxed))
        link_device_wake(shared);
}

/* Where a message of `bytes` can be put, in one piece; NULL: not now. */
static uint8_t *message_place_locked(struct remote *remote, uint32_t bytes)
{
    struct link_shared *shared = remote->shared;
    uint64_t used =
        remote->posted - atomic_load_explicit(&shared->consumed, memory_order_acquire);
    if (used > LINK_MESSAGE_ROOM) {
        log_line("the device process reads what was not written");
        kill_locked(remote);
        return NULL;
    }
    uint32_t at = remote->posted & (LINK_MESSAGE_ROOM - 1), rest = LINK_MESSAGE_ROOM - at;
    uint32_t padding = bytes > rest ? rest : 0;
    if ((uint64_t)padding + bytes > LINK_MESSAGE_ROOM - used)
        return NULL;
    if (padding >= sizeof(struct link_message))
        memcpy(shared->messages + at,
               &(struct link_message){.bytes = padding, .kind = LINK_PADDING},
               sizeof(struct link_message));
    remote->posted += padding; /* less than a header: the reader knows */
    return shared->messages + (padding ? 0 : at);
}

/* Posts a message, waiting for room. False: that device process is no more. Keeps the lock. */
static bool message_post_locked(struct remote *remote, uint32_t epoch,
                                struct link_message *message, const void *payload, uint32_t bytes)
{
    uint8_t *place = NULL;
    message->bytes = (uint32_t)sizeof(*message) + bytes;
    while (is_up_locked(remote, epoch)) {
        place = message_place_locked(remote, message->bytes);
        if (place)
            break;
        pthread_mutex_unlock(&remote->lock);
        poll(NULL, 0, 1);
        remotes_pump(remote->machine);
        pthread_mutex_lock(&remote->lock);
    }
    if (!place)
        return false;
    memcpy(place, message, sizeof(*message));
    if (bytes)
        memcpy(place + sizeof(*message), payload, bytes);
    remote->posted += message->bytes;
    atomic_store_explicit(&remote->shared->posted, remote->posted, memory_order_release);
    return true;
}

uint32_t remote_queue_create(struct remote *remote, uint32_t epoch, uint32_t context)
{
    struct link_message message = {.kind = LINK_QUEUE_CREATE, .parent = context};
    message.handle = remote_handle(remote, epoch);
    if (!message.handle)
        return 0;
    pthread_mutex_lock(&remote->lock);
    bool posted = message_post_locked(remote, epoch, &message, NULL, 0);
    if (!posted)
        handle_drop_locked(remote, epoch, message.handle);
    pthread_mutex_unlock(&remote->lock);
    return posted ? message.handle : 0; /* the batch that follows wakes the device process */
}

void remote_destroy(struct remote *remote, uint32_t epoch, uint32_t handle)
{
    struct link_message message = {.kind = LINK_DESTROY, .handle = handle};
    pthread_mutex_lock(&remote->lock);
    if (message_post_locked(remote, epoch, &message, NULL, 0))
        handle_drop_locked(remote, epoch, handle);
    pthread_mutex_unlock(&remote->lock);
    device_wake(remote->shared);
}

/* What a device process that is gone has not read nobody will. */
static bool is_unread(struct remote *remote, uint32_t epoch, uint64_t posted)
{
    pthread_mutex_lock(&remote->lock);
    bool there = remote->state != REMOTE_NONE && atomic_load(&remote->epoch) == epoch;
    pthread_mutex_unlock(&remote->lock);
    return there && atomic_load_explicit(&remote->shared->consumed, memory_order_acquire) < posted;
}

void remote_settle(struct remote *remote, uint32_t epoch)
{
    uint64_t begun = now_us();
    pthread_mutex_lock(&remote->lock);
    uint64_t posted = remote->posted;
    pthread_mutex_unlock(&remote->lock);
    while (is_unread(remote, epoch, posted)) {
        if (now_us() - begun < 200) {
            sched_yield();
            continue;
        }
        poll(NULL, 0, 1);
        remotes_pump(remote->machine);
    }
}

/* ---- Batches and their ends */

/* An end that was taken, or a note. */
struct news {
    struct link_end end;
    struct submission *submission; /* of a note: held */
    uint64_t before;               /* of a note: what it has come to */
};

static uint64_t flight_begin_locked(struct remote *remote, struct submission *submission)
{
    uint16_t place = remote->free_flights[--remote->free_flight_count];
    remote->flights[place].submission = submission;
    atomic_store(&remote->shared->progress[place].noted, 0);
    return (uint64_t)remote->flights[place].round << 32 | place;
}

/* The batch that a token names; NULL: there is none such under way. */
static struct flight *flight_find_locked(struct remote *remote, uint64_t token)
{
    uint32_t place = (uint32_t)token, round = (uint32_t)(token >> 32);
    struct flight *flight = place < MAX_RUNNING ? &remote->flights[place] : NULL;
    return flight && flight->submission && flight->round == round ? flight : NULL;
}

/* The batch that an end names. */
static struct submission *flight_end_locked(struct remote *remote, uint64_t token)
{
    struct flight *flight = flight_find_locked(remote, token);
    if (!flight)
        return NULL;
    struct submission *submission = flight->submission;
    flight->submission = NULL;
    flight->round++;
    remote->free_flights[remote->free_flight_count++] = (uint16_t)token;
    return submission;
}

/* The batch that a note names, held, and what it has come to. NULL: that cannot be. */
static struct submission *flight_look_locked(struct remote *remote, uint64_t token,
                                             struct news *news)
{
    struct flight *flight = flight_find_locked(remote, token);
    if (!flight)
        return NULL;
    struct link_progress *progress = &remote->shared->progress[(uint32_t)token];
    atomic_store(&progress->noted, 0);
    news->before = atomic_load(&progress->before);
    news->end.start_ns = atomic_load(&progress->start_ns);
    news->end.end_ns = atomic_load(&progress->end_ns);
    if (!news->before || news->before >= flight->submission->room || !flight->submission->notes)
        return NULL;
    flight->submission->notes--;
    atomic_fetch_add(&flight->submission->holds, 1);
    return flight->submission;
}

void remote_submit(struct remote *remote, uint32_t epoch, uint32_t queue,
                   struct submission *submission, uint32_t flags, const void *commands,
                   uint32_t bytes)
{
    struct link_message message = {.kind = LINK_BATCH, .handle = queue, .parent = flags};
    bool posted = false;
    pthread_mutex_lock(&remote->lock);
    if (is_up_locked(remote, epoch) && remote->free_flight_count) {
        message.token = flight_begin_locked(remote, submission);
        posted = message_post_locked(remote, epoch, &message, commands, bytes);
        /* Not posted: has device_gone() taken it meanwhile? */
        if (!posted && !flight_end_locked(remote, message.token))
            posted = true;
    }
    pthread_mutex_unlock(&remote->lock);
    if (posted)
        device_wake(remote->shared);
    else
        submission_done(submission, VGPGPU_ERR_LOST, 0, 0);
}

static bool has_ends(struct remote *remote)
{
    return atomic_load_explicit(&remote->shared->ended, memory_order_relaxed) !=
           atomic_load_explicit(&remote->taken, memory_order_relaxed);
}

/* Takes one end, or note. False: there is none, or what is there cannot be. */
static bool news_take_locked(struct remote *remote, struct news *news)
{
    uint64_t taken = atomic_load(&remote->taken);
    uint64_t ended = atomic_load_explicit(&remote->shared->ended, memory_order_acquire);
    if (ended == taken || (remote->state != REMOTE_UP && remote->state != REMOTE_DYING))
        return false;
    news->end = *(const volatile struct link_end *)&remote->shared->ends[taken & (LINK_ENDS - 1)];
    news->submission = NULL;
    if (ended - taken <= LINK_ENDS)
        news->submission = news->end.note ? flight_look_locked(remote, news->end.token, news)
                                          : flight_end_locked(remote, news->end.token);
    atomic_store(&remote->taken, taken + 1);
    if (news->submission)
        return true;
    if (remote->state == REMOTE_UP)
        log_line("the device process tells of what is not under way");
    kill_locked(remote);
    atomic_store(&remote->taken, ended); /* nothing more from it is believed */
    return false;
}

static void news_tell(const struct news *news)
{
    const struct link_end *end = &news->end;
    if (end->note)
        submission_reached(news->submission, news->before, end->start_ns, end->end_ns);
    else
        submission_done(news->submission,
                        end->status > VGPGPU_ERR_TIMEOUT ? VGPGPU_ERR_EXEC : end->status,
                        end->start_ns, end->end_ns);
}

static void ends_take(struct remote *remote)
{
    struct news news[TAKE_AT_ONCE];
    unsigned count;
    do {
        pthread_mutex_lock(&remote->lock);
        for (count = 0; count < TAKE_AT_ONCE; count++)
            if (!news_take_locked(remote, &news[count]))
                break;
        pthread_mutex_unlock(&remote->lock);
        for (unsigned i = 0; i < count; i++)
            news_tell(&news[i]);
    } while (count == TAKE_AT_ONCE);
}

bool remotes_have_ends(struct machine *machine)
{
    unsigned count = atomic_load_explicit(&machine->remote_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        if (has_ends(&machine->remotes[i]))
            return true;
    return false;
}

void remotes_ends_take(struct machine *machine)
{
    for (unsigned i = 0; i < atomic_load(&machine->remote_count); i++)
        ends_take(&machine->remotes[i]);
}

void remotes_sleep(struct machine *machine, bool sleeps)
{
    for (unsigned i = 0; i < atomic_load(&machine->remote_count); i++)
        atomic_store(&machine->remotes[i].shared->front_sleeps, sleeps);
}
