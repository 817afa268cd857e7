/*
 * relay.h: the keeper between a machine's front end and its front: it passes vhost-user messages
 * on, one at a time, and answers back. It remembers what they have set, so that another front can
 * be put in the place of one that was killed: that is told all of it, gets the notes of what was in
 * work (inflight.h), and then the message that had no answer yet. The front end notices nothing but
 * the time it takes.
 *
 * Only messages pass here. Rings, kicks and calls are the front's and the machine's own affair.
 *
 * Nothing here waits: neither side can keep the keeper from its other duties. What the front end
 * sends is bounded here and checked by the front; nothing is remembered that a front has not
 * accepted.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include "vhost_message.h"

#define RELAY_RINGS VGPGPU_QUEUE_COUNT

/* What is remembered, each the message that set it, in the order in which a new front is told. */
enum relay_slot {
    RELAY_FEATURES,
    RELAY_SIZES,
    RELAY_BASES =
        RELAY_SIZES + RELAY_RINGS, /* before the notes, which say it better when they can */
    RELAY_INFLIGHT = RELAY_BASES + RELAY_RINGS,
    RELAY_MEMORY,
    RELAY_ADDRESSES,
    RELAY_ERRORS = RELAY_ADDRESSES + RELAY_RINGS,
    RELAY_CALLS = RELAY_ERRORS + RELAY_RINGS,
    RELAY_ENABLES = RELAY_CALLS + RELAY_RINGS,
    RELAY_KICKS = RELAY_ENABLES + RELAY_RINGS, /* last: with it a ring runs */
    RELAY_SLOTS = RELAY_KICKS + RELAY_RINGS,
};

enum relay_phase {
    RELAY_TAKES, /* the next message from the front end */
    RELAY_ASKS,  /* ->asked is the front's to answer, once it knows all that is remembered */
    RELAY_TELLS, /* ->reply is the front end's to take */
    RELAY_OVER,  /* the front end has gone, or must; so will the front */
};

struct relay {
    int machine; /* the front end's connection */
    int front;   /* -1: there is none */
    enum relay_phase phase;
    struct vhost_message asked, answer, reply;
    size_t asked_bytes, answer_bytes; /* that have come of the first two */
    bool busy;                        /* the front has a message to answer */
    bool failed;                      /* the front does not do as it should: it must be ended */
    unsigned told;                    /* slots that it knows */
    uint64_t protocol_features;
    struct vhost_message kept[RELAY_SLOTS]; /* ->request 0: nothing */
};

/* For the connection `machine`, without a front. 0, or -1 with errno. */
int relay_init(struct relay *relay, int machine);
/* A front, or another one, is at the other end of this socket, which is the relay's now. */
void relay_front_begin(struct relay *relay, int front);
/* It is no more. */
void relay_front_end(struct relay *relay);

/* What to wait for. */
void relay_poll(const struct relay *relay, struct pollfd events[2]);
/* Goes as far as it can without waiting. False: the front must be ended. */
bool relay_serve(struct relay *relay, const struct pollfd events[2]);

/* In a child: closes its copies of all descriptors. */
void relay_forget(struct relay *relay);
