/* relay.c: see relay.h. */
#include "relay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "inflight.h"
#include "log.h"
#include "virtqueue.h"

/* ---- What is remembered */

static void slot_clear(struct relay *relay, unsigned slot)
{
    vhost_message_close(&relay->kept[slot]);
    relay->kept[slot] = (struct vhost_message){0};
}

/* Takes the message's descriptors over. */
static void slot_fill(struct relay *relay, unsigned slot, struct vhost_message *message)
{
    slot_clear(relay, slot);
    relay->kept[slot] = *message;
    relay->kept[slot].flags = VHOST_VERSION;
    message->fd_count = 0;
}

/* Where a message of that kind is kept, for ring 0; RELAY_SLOTS: nowhere. */
static unsigned slot_of_kind(uint32_t request)
{
    switch (request) {
    case VHOST_SET_FEATURES:
        return RELAY_FEATURES;
    case VHOST_SET_MEM_TABLE:
        return RELAY_MEMORY;
    case VHOST_SET_INFLIGHT_FD:
        return RELAY_INFLIGHT;
    case VHOST_SET_VRING_NUM:
        return RELAY_SIZES;
    case VHOST_SET_VRING_BASE:
        return RELAY_BASES;
    case VHOST_SET_VRING_ADDR:
        return RELAY_ADDRESSES;
    case VHOST_SET_VRING_ERR:
        return RELAY_ERRORS;
    case VHOST_SET_VRING_CALL:
        return RELAY_CALLS;
    case VHOST_SET_VRING_ENABLE:
        return RELAY_ENABLES;
    case VHOST_SET_VRING_KICK:
        return RELAY_KICKS;
    default:
        return RELAY_SLOTS;
    }
}

/* All that name a ring do so in the payload's first bytes; those with a descriptor in a byte. */
static unsigned ring_of(const struct vhost_message *message)
{
    switch (message->request) {
    case VHOST_SET_FEATURES:
    case VHOST_SET_MEM_TABLE:
    case VHOST_SET_INFLIGHT_FD:
        return 0;
    case VHOST_SET_VRING_ERR:
    case VHOST_SET_VRING_CALL:
    case VHOST_SET_VRING_KICK:
        return message->payload.number & VHOST_RING_MASK;
    default:
        return message->payload.state.index;
    }
}

/* A ring that was stopped goes on where its front end has been told. */
static void ring_stopped(struct relay *relay, const struct vhost_message *answer)
{
    struct vhost_message base = {.request = VHOST_SET_VRING_BASE,
                                 .size = sizeof(base.payload.state),
                                 .payload.state = answer->payload.state};
    unsigned ring = relay->asked.payload.state.index;
    if (ring >= RELAY_RINGS)
        return;
    base.payload.state.index = ring;
    slot_clear(relay, RELAY_KICKS + ring);
    slot_fill(relay, RELAY_BASES + ring, &base);
}

static void rings_forgotten(struct relay *relay)
{
    for (unsigned ring = 0; ring < RELAY_RINGS; ring++) {
        slot_clear(relay, RELAY_SIZES + ring);
        slot_clear(relay, RELAY_BASES + ring);
        slot_clear(relay, RELAY_ADDRESSES + ring);
        slot_clear(relay, RELAY_ENABLES + ring);
        slot_clear(relay, RELAY_KICKS + ring);
    }
}

/* The front has made notes of its own for the front end, and uses them from now on. */
static void inflight_made(struct relay *relay, const struct vhost_message *answer)
{
    struct vhost_message given = {.request = VHOST_SET_INFLIGHT_FD,
                                  .size = sizeof(given.payload.inflight),
                                  .payload.inflight = answer->payload.inflight,
                                  .fd_count = 1};
    given.fds[0] = answer->fd_count == 1 ? fcntl(answer->fds[0], F_DUPFD_CLOEXEC, 3) : -1;
    if (given.fds[0] >= 0)
        slot_fill(relay, RELAY_INFLIGHT, &given);
}

/* The front has done what it was asked. */
static void asked_keep(struct relay *relay)
{
    struct vhost_message *asked = &relay->asked;
    unsigned slot = slot_of_kind(asked->request), ring = ring_of(asked);
    if (asked->request == VHOST_SET_PROTOCOL_FEATURES)
        relay->protocol_features = asked->payload.number;
    else if (asked->request == VHOST_GET_VRING_BASE)
        ring_stopped(relay, &relay->answer);
    else if (asked->request == VHOST_GET_INFLIGHT_FD)
        inflight_made(relay, &relay->answer);
    else if (asked->request == VHOST_RESET_OWNER || asked->request == VHOST_RESET_DEVICE)
        rings_forgotten(relay);
    else if (slot < RELAY_SLOTS && ring < RELAY_RINGS)
        slot_fill(relay, slot + ring, asked);
}

/* ---- The front */

static void front_send(struct relay *relay, const struct vhost_message *message)
{
    relay->busy = true;
    if (vhost_message_offer(relay->front, message) != 1)
        relay->failed = true; /* dying, or out of order: it has one message at a time to take */
}

/* Gives the front its next message. */
static void front_feed(struct relay *relay)
{
    if (relay->front < 0 || relay->busy)
        return;
    while (relay->told < RELAY_SLOTS && !relay->kept[relay->told].request)
        relay->told++;
    if (relay->told < RELAY_SLOTS)
        front_send(relay, &relay->kept[relay->told]);
    else if (relay->phase == RELAY_ASKS)
        front_send(relay, &relay->asked);
}

/* Has the front end, as the machine's device is lost: no message is without a version. */
static void relay_break(struct relay *relay)
{
    const struct vhost_message none = {0};
    relay->phase = RELAY_OVER;
    if (relay->front >= 0)
        vhost_message_offer(relay->front, &none);
}

static void relay_end(struct relay *relay)
{
    relay->phase = RELAY_OVER;
    if (relay->front >= 0)
        shutdown(relay->front, SHUT_WR);
}

/* ---- The front end */

static void reply_offer(struct relay *relay)
{
    int sent = vhost_message_offer(relay->machine, &relay->reply);
    relay->phase = sent ? RELAY_TAKES : RELAY_TELLS;
    if (sent)
        vhost_message_close(&relay->reply);
    if (sent < 0)
        relay_end(relay);
}

/* An answer that vhost-user knows of, or the acknowledgement that the front end wants, or none. */
static void asked_answer(struct relay *relay)
{
    struct vhost_message *reply = &relay->reply;
    uint32_t outcome = relay->answer.flags;
    bool acknowledge = (relay->asked.flags & VHOST_FLAG_NEED_REPLY) &&
                       (relay->protocol_features & 1ull << VHOST_PROTOCOL_REPLY_ACK);
    if (!(outcome & VHOST_FLAG_REFUSED))
        asked_keep(relay);
    vhost_message_close(&relay->asked);
    *reply = relay->answer;
    relay->answer.fd_count = 0; /* they are the reply's now */
    reply->flags = VHOST_VERSION | VHOST_FLAG_REPLY;
    relay->phase = RELAY_TAKES;
    if (outcome & VHOST_FLAG_REPLY) {
        reply_offer(relay);
    } else if (acknowledge) {
        reply->payload.number = (outcome & VHOST_FLAG_REFUSED) != 0;
        reply->size = sizeof(reply->payload.number);
        reply_offer(relay);
    } else if (outcome & VHOST_FLAG_REFUSED) {
        log_line("vhost-user request %u refused", reply->request);
        relay_break(relay);
    }
}

/* A new front's answer to what it was told. */
static void told_check(struct relay *relay)
{
    if (relay->answer.flags & VHOST_FLAG_DONE) {
        relay->told++;
        return;
    }
    log_line("another front does not take vhost-user request %u of the former one's",
             relay->answer.request);
    relay_break(relay);
}

/* Descriptors come with one kind of answer. */
static bool answer_is_good(const struct relay *relay)
{
    const struct vhost_message *answer = &relay->answer, *question = relay->told < RELAY_SLOTS
                                                                         ? &relay->kept[relay->told]
                                                                         : &relay->asked;
    uint32_t kinds = answer->flags & (VHOST_FLAG_REPLY | VHOST_FLAG_DONE | VHOST_FLAG_REFUSED);
    return relay->busy && answer->request == question->request && kinds && !(kinds & (kinds - 1)) &&
           answer->fd_count ==
               (answer->request == VHOST_GET_INFLIGHT_FD && kinds == VHOST_FLAG_REPLY);
}

static void front_hear(struct relay *relay)
{
    enum vhost_take taken = vhost_message_take(relay->front, &relay->answer, &relay->answer_bytes);
    if (taken == VHOST_TAKE_PART)
        return;
    relay->failed = taken != VHOST_TAKE_WHOLE || !answer_is_good(relay);
    if (relay->failed) {
        if (taken != VHOST_TAKE_END) /* that is how it goes when it dies */
            log_line("the front answers what is no answer");
        relay_front_end(relay);
        return;
    }
    relay->busy = false;
    if (relay->told < RELAY_SLOTS)
        told_check(relay);
    else if (relay->phase == RELAY_ASKS)
        asked_answer(relay);
}

static void machine_hear(struct relay *relay)
{
    switch (vhost_message_take(relay->machine, &relay->asked, &relay->asked_bytes)) {
    case VHOST_TAKE_PART:
        break;
    case VHOST_TAKE_WHOLE:
        relay->phase = RELAY_ASKS;
        break;
    case VHOST_TAKE_END:
        relay_end(relay);
        break;
    case VHOST_TAKE_BAD:
        log_line("the front end sent no vhost-user message: connection closed");
        relay_break(relay);
        break;
    }
}

/* ---- */

int relay_init(struct relay *relay, int machine)
{
    struct vhost_message given = {
        .request = VHOST_SET_INFLIGHT_FD,
        .size = sizeof(given.payload.inflight),
        .payload.inflight = {.queues = RELAY_RINGS, .size = VIRTQUEUE_MAX_SIZE},
        .fd_count = 1};
    *relay = (struct relay){.machine = machine, .front = -1};
    given.fds[0] = inflight_file(RELAY_RINGS, VIRTQUEUE_MAX_SIZE, &given.payload.inflight.bytes);
    if (given.fds[0] < 0)
        return -1;
    slot_fill(relay, RELAY_INFLIGHT, &given);
    return 0;
}

void relay_front_begin(struct relay *relay, int front)
{
    relay->front = front;
    relay->busy = relay->failed = false;
    relay->told = 0;
    front_feed(relay);
}

void relay_front_end(struct relay *relay)
{
    vhost_message_close(&relay->answer); /* what came of it */
    relay->answer_bytes = 0;
    if (relay->front >= 0)
        close(relay->front);
    relay->front = -1;
}

void relay_poll(const struct relay *relay, struct pollfd events[2])
{
    bool takes = relay->phase == RELAY_TAKES, tells = relay->phase == RELAY_TELLS;
    events[0] = (struct pollfd){.fd = takes || tells ? relay->machine : -1,
                                .events = takes ? POLLIN : POLLOUT};
    events[1] = (struct pollfd){.fd = relay->front, .events = POLLIN};
}

bool relay_serve(struct relay *relay, const struct pollfd events[2])
{
    if (events[1].revents && relay->front >= 0)
        front_hear(relay);
    if (events[0].revents && relay->phase == RELAY_TAKES)
        machine_hear(relay);
    else if (events[0].revents && relay->phase == RELAY_TELLS)
        reply_offer(relay);
    front_feed(relay);
    return !relay->failed;
}

void relay_forget(struct relay *relay)
{
    for (unsigned slot = 0; slot < RELAY_SLOTS; slot++)
        vhost_message_close(&relay->kept[slot]);
    vhost_message_close(&relay->asked);
    vhost_message_close(&relay->reply);
    relay_front_end(relay);
    close(relay->machine);
}
