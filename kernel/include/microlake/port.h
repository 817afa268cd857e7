/*
 * port.h: synchronous calls between threads, with replies, and asynchronous notifications
 * (docs/ports.md).
 *
 * A caller sends a message and waits for the reply; a server receives messages and replies to them,
 * in any order and from any of its threads. First come, first served, among callers and among
 * servers. Thread context, no locks held, unless said otherwise. Whoever calls one of these
 * functions holds a reference to the port meanwhile.
 */
#pragma once

#include <microlake/handle.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#define MESSAGE_WORDS      6
#define MESSAGE_HANDLES    4
#define MESSAGE_BYTES_MAX  4096u  /* larger things go as a handle of memory */
#define PORT_CALLS_AT_MOST 65536u /* of one port, waiting and being served */

/* A handle to send, and the rights it arrives with: equal to or fewer than those it has. It must
 * have RIGHT_TRANSFER. */
struct message_gift {
    handle_t handle;
    uint32_t rights;
};

struct message {
    uint64_t label;
    uint64_t words[MESSAGE_WORDS];

    /* The sender sets these. Label and words alone take the short way. */
    const void *data; /* bytes to send with it */
    uint32_t data_bytes;
    uint32_t gift_count;
    struct message_gift gifts[MESSAGE_HANDLES]; /* they leave the sender's table */

    /* The receiver sets these before... */
    void *room; /* for bytes that come with the message */
    uint32_t room_bytes;

    /* ...and finds these afterwards. */
    uint32_t received_bytes;
    uint32_t handle_count;
    handle_t
        handles[MESSAGE_HANDLES]; /* HANDLE_NONE: no place for it in the table; it was closed */
    uint64_t call;    /* for the reply; 0: this is a notification, and the label holds its bits */
    int reply_status; /* port_reply_receive(): what port_reply() would have returned */

    /* Both: where the gifts come from, and where received handles go. NULL: received ones are
     * closed. */
    struct handle_table *table;
};

struct port;

/*
 * A new port. The caller holds one reference with RIGHT_RECEIVE, until port_close(). Handles for
 * others are made of port_object() with handle_install(). ERR_NO_MEMORY.
 */
int port_create(struct port **out);

/* Gives the maker's reference and its right to receive back. */
void port_close(struct port *p);

struct object *port_object(struct port *p);

/* The port of a handle that has the rights, with a reference for object_unref(port_object()).
 * Errors as of handle_get(). */
int port_of_handle(struct handle_table *t, handle_t h, uint32_t needed, struct port **out);

/*
 * Sends a message and waits for its reply, which may be the same struct. `due` and `flags` as in
 * wait.h.
 *   OK               *reply is the reply
 *   ERR_LOST         nobody has the right to receive (any more), or the call was served and dropped
 *   ERR_TIMED_OUT, ERR_INTERRUPTED (with WAIT_INTERRUPTIBLE)
 *   ERR_RANGE        the other side has not room for so many bytes, or the message has too many
 *   ERR_LIMIT, ERR_NO_MEMORY  too many calls
 *   ERR_INVALID, and handle_get()'s and ERR_ACCESS  the message or a gift is not right
 * Gifts stay with the caller, under the same numbers, unless a server has received them.
 */
int port_call(struct port *p, const struct message *message, struct message *reply, uint64_t due,
              unsigned flags);

/*
 * Waits for a call or a notification. A due time that is past makes it a poll. ERR_LOST: nobody has
 * the right to receive any more. ERR_TIMED_OUT, ERR_INTERRUPTED. Calls with more bytes than *in has
 * room for are refused on the way, with ERR_RANGE to their callers.
 */
int port_receive(struct port *p, struct message *in, uint64_t due, unsigned flags);

/*
 * Replies to a call that was received from this port. ERR_LOST: there is no such call any more: its
 * caller went, or it has had its reply. ERR_RANGE: the caller has not room for so many bytes; the
 * call ends with that for both. Nothing is transferred then. Other errors, as of port_call(): the
 * message is not right, and the call still waits for its reply.
 */
int port_reply(struct port *p, uint64_t call, const struct message *message);

/*
 * Replies, then receives: a server's loop. `next` may be the same struct as `reply`. call 0: there
 * is nothing to reply to. next->reply_status says how the reply went if the result is OK; if the
 * message is not right, that is the result at once, and nothing is received.
 */
int port_reply_receive(struct port *p, uint64_t call, const struct message *reply,
                       struct message *next, uint64_t due, unsigned flags);

/* Adds bits to the port; the next receive finds them all, before any call. Any context. */
void port_notify(struct port *p, uint64_t bits);
