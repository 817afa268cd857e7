/*
 * port.c: calls, replies and notifications (port.h).
 *
 * Who waits is a `party` on its own stack: a server for a message, a caller for its reply. Under
 * the port's lock another thread completes it: it writes the message into the party's own struct,
 * wakes its thread or hands it this CPU, and says `done` as the last thing: from then on the party,
 * and after the lock is free the port, may be gone.
 *
 * A caller blocks at the very moment it gives a waiting server work, and a server when it replies
 * with nothing else to do: then the CPU goes straight over to the other (sched_hand_off()).
 *
 * Lock order: a port's lock, then a thread's wake_lock. Handle tables are never touched under a
 * port's lock: parcels carry handles (parcel.h).
 */
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include "kernel/thread/sched.h"
#include "parcel.h"
#include "slots.h"

struct port {
    struct object object;
    uint32_t receivers; /* rights to receive there are; atomic */
    struct spinlock lock;
    struct slots calls;  /* all calls, under the numbers replies name; guarded by lock */
    struct list pending; /* callers no server has received yet, oldest first; guarded by lock */
    struct list servers; /* parties that wait for a message, oldest first; guarded by lock */
    uint64_t bits;       /* notified and not received; guarded by lock */
    bool closed;         /* nobody can receive any more; guarded by lock */
};

struct party {
    struct list link; /* in pending or servers */
    struct thread *thread;
    struct message *in;   /* where the message, or the reply, goes */
    struct parcel parcel; /* what came with it */
    int status;
    bool done; /* atomic; the last thing written by who completes it */
};

struct call {
    struct party party;
    const struct message *message;
    struct parcel sent;
    uint64_t number;
    bool received; /* guarded by the port's lock */
};

/* ---- messages ----------------------------------------------------------------------------------
 */

static int message_check(const struct message *m)
{
    if (m->gift_count > MESSAGE_HANDLES || (m->data_bytes && !m->data))
        return ERR_INVALID;
    return m->data_bytes > MESSAGE_BYTES_MAX ? ERR_RANGE : OK;
}

/* Checks a message to be sent and takes its handles out. */
static int message_pack(const struct message *m, struct parcel *sent)
{
    int r;

    sent->count = 0;
    if (likely(!(m->gift_count | m->data_bytes)))
        return OK;
    r = message_check(m);
    return r == OK && m->gift_count ? parcel_pack(sent, m->table, m->gifts, m->gift_count) : r;
}

static bool message_fits(const struct message *m, const struct message *in)
{
    return likely(!m->data_bytes) || m->data_bytes <= in->room_bytes;
}

static __attribute__((noinline)) void message_pass_rest(const struct message *m,
                                                        const struct parcel *sent, struct party *to)
{
    memcpy(to->in->room, m->data, m->data_bytes);
    memcpy(to->parcel.items, sent->items, sent->count * sizeof(sent->items[0]));
}

/* The message must fit. Port locked. */
static void message_pass(const struct message *m, const struct parcel *sent, struct party *to)
{
    struct message *in = to->in;

    in->label = m->label;
#pragma GCC unroll 6
    for (unsigned i = 0; i < MESSAGE_WORDS; i++)
        in->words[i] = m->words[i];
    in->received_bytes = m->data_bytes;
    to->parcel.count = sent->count;
    if (unlikely(m->data_bytes | sent->count))
        message_pass_rest(m, sent, to);
}

/* The party's own thread puts the handles that came into its table. */
static void message_open(struct party *p)
{
    p->in->handle_count = p->parcel.count;
    if (unlikely(p->parcel.count))
        parcel_open(&p->parcel, p->in->table, p->in->handles);
}

/* ---- waiting -----------------------------------------------------------------------------------
 */

static void party_init(struct party *p, struct message *in)
{
    p->thread = thread_current();
    p->in = in;
    p->parcel.count = 0;
    p->status = OK;
    p->done = false;
    list_init(&p->link);
}

/*
 * Ends a party's wait. Port locked, the party in no list. hand_over: the calling thread is about to
 * block. Returns the thread to hand the CPU to, or NULL when there is nothing more to do.
 */
static struct thread *party_complete(struct party *p, int status, bool hand_over)
{
    struct thread *t = p->thread;
    bool claimed = hand_over && sched_claim(t);

    p->status = status;
    if (!claimed)
        sched_wake(t);
    __atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
    return claimed ? t : NULL;
}

static struct party *party_first(struct list *l)
{
    return list_empty(l) ? NULL : list_entry(list_first(l), struct party, link);
}

static void call_forget(struct port *port, struct call *call)
{
    list_remove(&call->party.link);
    slots_release(&port->calls, slots_find(&port->calls, call->number));
}

/*
 * Sleeps until the party is done. Entered with the port locked, the thread marked by
 * sched_block_begin() and preemption disabled once more; leaves with all of that undone. next: hand
 * the CPU to it. call: the party's, if it is a caller. OK means done.
 */
static int party_wait(struct port *port, struct party *p, struct call *call, struct thread *next,
                      uint64_t due, unsigned flags, uint64_t irq)
{
    int r = OK;

    for (;;) {
        spin_unlock_irqrestore(&port->lock, irq);
        if (next)
            sched_hand_off(next);
        else if (r == OK)
            sched_block();
        preempt_enable();
        if (likely(__atomic_load_n(&p->done, __ATOMIC_ACQUIRE)))
            return OK;
        if (r != OK)
            return r;
        next = NULL;
        preempt_disable();
        irq = spin_lock_irqsave(&port->lock);
        if (p->done)
            r = ERR_AGAIN; /* it is done */
        else
            r = sched_block_begin(due, flags);
        if (r == OK || r == ERR_AGAIN)
            continue;
        if (call)
            call_forget(port, call);
        else
            list_remove(&p->link);
    }
}

/* ---- calling -----------------------------------------------------------------------------------
 */

/* Port locked. OK: the caller is marked as blocked, and *next may name whom it hands the CPU to. */
static int call_begin(struct port *port, struct call *call, uint64_t due, unsigned flags,
                      struct thread **next)
{
    struct party *server = party_first(&port->servers);
    int r;

    *next = NULL;
    if (port->closed)
        return ERR_LOST;
    if (server && !message_fits(call->message, server->in))
        return ERR_RANGE;
    r = slots_take(&port->calls, call, 0, &call->number);
    if (r != OK)
        return r;
    r = sched_block_begin(due, flags);
    if (r != OK) {
        call_forget(port, call);
        return r;
    }
    if (!server) {
        list_push_back(&port->pending, &call->party.link);
        return OK;
    }
    list_remove(&server->link);
    message_pass(call->message, &call->sent, server);
    server->in->call = call->number;
    call->received = true;
    *next = party_complete(server, OK, true);
    return OK;
}

static int call_run(struct port *port, struct call *call, uint64_t due, unsigned flags)
{
    struct thread *next;
    uint64_t irq;
    int r;

    preempt_disable();
    irq = spin_lock_irqsave(&port->lock);
    r = call_begin(port, call, due, flags, &next);
    if (likely(r == OK))
        return party_wait(port, &call->party, call, next, due, flags, irq);
    spin_unlock_irqrestore(&port->lock, irq);
    preempt_enable();
    return r;
}

static int call_run_timed(struct port *port, struct call *call, uint64_t due, unsigned flags)
{
    struct alarm alarm;
    int r;

    alarm_set(&alarm, due);
    r = call_run(port, call, due, flags);
    timer_cancel(&alarm.timer);
    return r;
}

/* The right to receive from a port, waiting in that very port, would keep it open for ever. */
static bool parcel_closes_circle(const struct port *port, const struct parcel *p)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->items[i].object == &port->object && (p->items[i].rights & RIGHT_RECEIVE))
            return true;
    return false;
}

int port_call(struct port *port, const struct message *message, struct message *reply, uint64_t due,
              unsigned flags)
{
    struct call call;
    int r = message_pack(message, &call.sent);

    if (r != OK)
        return r;
    party_init(&call.party, reply);
    call.message = message;
    call.received = false;
    if (unlikely(parcel_closes_circle(port, &call.sent)))
        r = ERR_INVALID;
    else if (likely(due == TIME_NEVER))
        r = call_run(port, &call, due, flags);
    else
        r = call_run_timed(port, &call, due, flags);
    if (unlikely(call.sent.count))
        parcel_finish(&call.sent, message->table, message->gifts, call.received);
    if (r != OK)
        return r;
    message_open(&call.party);
    return call.party.status;
}

/* ---- receiving and replying
 * ---------------------------------------------------------------------- */

/* Port locked. As port_reply(); *next as of party_complete(). */
static int reply_give(struct port *port, uint64_t number, const struct message *m,
                      const struct parcel *sent, bool hand_over, struct thread **next)
{
    struct slot *slot = slots_find(&port->calls, number);
    struct call *call = slot ? slot->item : NULL;

    if (!call || !call->received)
        return ERR_LOST;
    slots_release(&port->calls, slot);
    if (!message_fits(m, call->party.in)) {
        *next = party_complete(&call->party, ERR_RANGE, hand_over);
        return ERR_RANGE;
    }
    message_pass(m, sent, &call->party);
    *next = party_complete(&call->party, OK, hand_over);
    return OK;
}

int port_reply(struct port *port, uint64_t number, const struct message *m)
{
    struct thread *next;
    struct parcel sent;
    uint64_t irq;
    int r = message_pack(m, &sent);

    if (r != OK)
        return r;
    irq = spin_lock_irqsave(&port->lock);
    r = reply_give(port, number, m, &sent, false, &next);
    spin_unlock_irqrestore(&port->lock, irq);
    parcel_finish(&sent, m->table, m->gifts, r == OK);
    return r;
}

/* Takes the oldest call that fits; refuses those that do not. Port locked. */
static bool pending_take(struct port *port, struct party *server)
{
    struct party *p;

    while ((p = party_first(&port->pending))) {
        struct call *call = container_of(p, struct call, party);

        if (message_fits(call->message, server->in)) {
            list_remove(&p->link);
            message_pass(call->message, &call->sent, server);
            server->in->call = call->number;
            call->received = true;
            return true;
        }
        call_forget(port, call);
        party_complete(p, ERR_RANGE, false);
    }
    return false;
}

static void bits_give(struct port *port, struct message *in)
{
    in->label = port->bits;
    in->received_bytes = 0;
    in->call = 0;
    port->bits = 0;
}

/* What can be received without waiting. Port locked. ERR_AGAIN: nothing. */
static int receive_now(struct port *port, struct party *server)
{
    if (port->closed)
        return ERR_LOST;
    if (port->bits)
        bits_give(port, server->in);
    else if (list_empty(&port->pending) || !pending_take(port, server))
        return ERR_AGAIN;
    return OK;
}

/*
 * Replies to call `number` unless it is 0, and receives. The reply is given before the message
 * comes, as both may be in one struct; but whether the thread will wait is found out first, because
 * then the CPU goes to the caller.
 */
static int receive_run(struct port *port, uint64_t number, const struct message *reply,
                       struct party *server, uint64_t due, unsigned flags)
{
    static const struct parcel nothing;
    struct thread *next = NULL;
    int begun = ERR_AGAIN, replied = OK, r = OK;
    uint64_t irq;

    preempt_disable();
    irq = spin_lock_irqsave(&port->lock);
    if (list_empty(&port->pending) && !port->bits && !port->closed)
        begun = sched_block_begin(due, flags);
    if (number)
        replied = reply_give(port, number, reply, &nothing, begun == OK, &next);
    if (begun == ERR_AGAIN) {
        r = receive_now(port, server);
        if (r == ERR_AGAIN)
            begun = r = sched_block_begin(due, flags);
    } else {
        r = begun;
    }
    server->in->reply_status = replied;
    if (begun == OK) {
        list_push_back(&port->servers, &server->link);
        return party_wait(port, server, NULL, next, due, flags, irq);
    }
    spin_unlock_irqrestore(&port->lock, irq);
    preempt_enable();
    return r;
}

static int receive_run_timed(struct port *port, uint64_t number, const struct message *reply,
                             struct party *server, uint64_t due, unsigned flags)
{
    struct alarm alarm;
    int r;

    alarm_set(&alarm, due);
    r = receive_run(port, number, reply, server, due, flags);
    timer_cancel(&alarm.timer);
    return r;
}

static int reply_and_receive(struct port *port, uint64_t number, const struct message *reply,
                             struct message *in, uint64_t due, unsigned flags)
{
    struct party server;
    int r;

    party_init(&server, in);
    if (likely(due == TIME_NEVER))
        r = receive_run(port, number, reply, &server, due, flags);
    else
        r = receive_run_timed(port, number, reply, &server, due, flags);
    if (r != OK)
        return r;
    message_open(&server);
    return server.status;
}

int port_receive(struct port *port, struct message *in, uint64_t due, unsigned flags)
{
    return reply_and_receive(port, 0, NULL, in, due, flags);
}

/* Handles leave their table only when no lock is held: this takes two steps. */
static int gifts_and_receive(struct port *port, uint64_t number, const struct message *reply,
                             struct message *next, uint64_t due, unsigned flags)
{
    int replied = port_reply(port, number, reply), r;

    if (replied != OK && replied != ERR_LOST && replied != ERR_RANGE)
        return replied;
    r = port_receive(port, next, due, flags);
    next->reply_status = replied;
    return r;
}

int port_reply_receive(struct port *port, uint64_t number, const struct message *reply,
                       struct message *next, uint64_t due, unsigned flags)
{
    int r;

    if (number && unlikely(reply->gift_count | reply->data_bytes)) {
        r = message_check(reply);
        if (r != OK)
            return r;
        if (reply->gift_count)
            return gifts_and_receive(port, number, reply, next, due, flags);
    }
    return reply_and_receive(port, number, reply, next, due, flags);
}

void port_notify(struct port *port, uint64_t bits)
{
    uint64_t irq = spin_lock_irqsave(&port->lock);
    struct party *server = party_first(&port->servers);

    port->bits |= bits;
    if (server && port->bits) {
        list_remove(&server->link);
        bits_give(port, server->in);
        party_complete(server, OK, false);
    }
    spin_unlock_irqrestore(&port->lock, irq);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void port_granted(struct object *o, uint32_t rights)
{
    if (rights & RIGHT_RECEIVE)
        __atomic_fetch_add(&container_of(o, struct port, object)->receivers, 1, __ATOMIC_RELAXED);
}

/* Nobody can receive any more: everyone who waits hears of it. */
static void port_lose(struct port *port)
{
    uint64_t irq = spin_lock_irqsave(&port->lock);
    struct party *server;

    port->closed = true;
    for (uint32_t i = 0; i < port->calls.size; i++) {
        struct call *call = port->calls.slot[i].item;

        if (call) {
            call_forget(port, call);
            party_complete(&call->party, ERR_LOST, false);
        }
    }
    while ((server = party_first(&port->servers))) {
        list_remove(&server->link);
        party_complete(server, ERR_LOST, false);
    }
    spin_unlock_irqrestore(&port->lock, irq);
}

static void port_dropped(struct object *o, uint32_t rights)
{
    struct port *port = container_of(o, struct port, object);

    if ((rights & RIGHT_RECEIVE) && !__atomic_sub_fetch(&port->receivers, 1, __ATOMIC_ACQ_REL))
        port_lose(port);
}

static void port_destroy(struct object *o)
{
    struct port *port = container_of(o, struct port, object);

    slots_discard(&port->calls);
    kfree(port);
}

static const struct object_type port_type = {
    .name = "port",
    .granted = port_granted,
    .dropped = port_dropped,
    .destroy = port_destroy,
};

int port_create(struct port **out)
{
    struct port *port = kzalloc(sizeof(*port));

    if (!port)
        return ERR_NO_MEMORY;
    object_init(&port->object, &port_type);
    port->receivers = 1;
    port->calls.limit = PORT_CALLS_AT_MOST;
    list_init(&port->pending);
    list_init(&port->servers);
    *out = port;
    return OK;
}

void port_close(struct port *port)
{
    object_drop(&port->object, RIGHT_RECEIVE);
}

struct object *port_object(struct port *port)
{
    return &port->object;
}

int port_of_handle(struct handle_table *t, handle_t h, uint32_t needed, struct port **out)
{
    struct object *o;
    int r = handle_get(t, h, &port_type, needed, &o);

    if (r == OK)
        *out = container_of(o, struct port, object);
    return r;
}
