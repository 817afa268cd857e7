/*
 * ports.c: handles, and calls between threads.
 */
#include "ports.h"

void ports_join(struct thread **t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(thread_join(t[i], time_now() + 60 * NS_PER_SEC) == OK);
        thread_unref(t[i]);
    }
}

struct thread *ports_thread(void (*entry)(void *), void *arg)
{
    struct thread *t = NULL;

    EXPECT(thread_create("ports", entry, arg, &t) == OK);
    return t;
}

struct port *ports_create(void)
{
    struct port *p = NULL;

    EXPECT(port_create(&p) == OK);
    return p;
}

/* Answers each call with its words plus one, and with its bytes, until the port closes. */
void ports_serve(void *arg)
{
    uint8_t bytes[256];
    struct message in = {.room = bytes, .room_bytes = sizeof(bytes)}, out = {0};
    uint64_t call = 0;

    while (port_reply_receive(arg, call, &out, &in, TIME_NEVER, 0) == OK) {
        call = in.call;
        out.label = in.label + 1;
        for (unsigned i = 0; i < MESSAGE_WORDS; i++)
            out.words[i] = in.words[i] + 1;
        out.data = bytes;
        out.data_bytes = in.received_bytes;
    }
}

/* ---- calls -------------------------------------------------------------------------------------
 */

static void call_values(struct port *p)
{
    uint8_t sent[256], got[256];
    struct message m = {.label = 70, .data = sent, .room = got, .room_bytes = sizeof(got)};

    for (unsigned round = 0; round < 200; round++) {
        m.label = round;
        m.data_bytes = round;
        memset(got, 0, sizeof(got));
        for (unsigned i = 0; i < MESSAGE_WORDS; i++)
            m.words[i] = round * 100 + i;
        for (unsigned i = 0; i < round; i++)
            sent[i] = (uint8_t)(round + i);
        EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK);
        EXPECT(m.label == round + 1 && m.received_bytes == round && m.handle_count == 0);
        for (unsigned i = 0; i < MESSAGE_WORDS; i++)
            EXPECT(m.words[i] == round * 100 + i + 1);
        EXPECT(memcmp(sent, got, round) == 0);
    }
}

/* Every size is checked before anything happens. */
static void call_sizes(struct port *p)
{
    static uint8_t big[MESSAGE_BYTES_MAX + 1];
    struct message m = {.data = big, .data_bytes = 257}, reply = {0};

    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_RANGE); /* the server has room for 256 */
    m.data_bytes = 10;
    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_RANGE); /* no room for the reply */
    m.data_bytes = MESSAGE_BYTES_MAX + 1;
    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_RANGE);
    m = (struct message){.data_bytes = 1};
    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_INVALID);
    m = (struct message){.gift_count = MESSAGE_HANDLES + 1};
    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_INVALID);
    m = (struct message){.gift_count = 1}; /* from no table */
    EXPECT(port_call(p, &m, &reply, TIME_NEVER, 0) == ERR_INVALID);
    m = (struct message){.label = 4};
    EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK && m.label == 5);
}

static void values(void)
{
    struct port *p = ports_create();
    struct thread *server = ports_thread(ports_serve, p);

    call_values(p);
    call_sizes(p);
    object_ref(port_object(p));
    port_close(p); /* ends the server, who holds no reference */
    ports_join(&server, 1);
    object_unref(port_object(p));
}

struct crowd {
    struct port *port;
    uint64_t calls, number, made, end;
};

static void crowd_call(void *arg)
{
    struct crowd *c = arg;
    uint64_t me = __atomic_add_fetch(&c->number, 1, __ATOMIC_RELAXED), random = me;

    for (unsigned i = 0; i < 1500 && time_now() < c->end; i++) {
        struct message m = {.label = me << 32 | i, .words = {me, i, ktest_random(&random)}};
        uint64_t third = m.words[2];

        __atomic_fetch_add(&c->made, 1, __ATOMIC_RELAXED);
        EXPECT(port_call(c->port, &m, &m, TIME_NEVER, 0) == OK);
        EXPECT(m.label == (me << 32 | i) + 1 && m.words[0] == me + 1);
        EXPECT(m.words[1] == i + 1 && m.words[2] == third + 1);
        __atomic_fetch_add(&c->calls, 1, __ATOMIC_RELAXED);
    }
}

/* Everybody gets the reply to their own call, whoever serves it and wherever. */
static void crowd(unsigned callers, unsigned servers)
{
    struct crowd c = {.port = ports_create(), .end = time_now() + NS_PER_SEC};
    struct thread *t[24];

    object_ref(port_object(c.port));
    for (unsigned i = 0; i < servers; i++)
        t[callers + i] = ports_thread(ports_serve, c.port);
    for (unsigned i = 0; i < callers; i++)
        t[i] = ports_thread(crowd_call, &c);
    ports_join(t, callers);
    EXPECT(c.calls == c.made && c.calls);
    port_close(c.port);
    ports_join(t + callers, servers);
    object_unref(port_object(c.port));
}

static void many_callers(void)
{
    crowd(8, 1);
    crowd(1, 4);
    crowd(12, 5);
}

/* Where threads may run is obeyed, though callers hand their CPU over. */
static void serve_pinned(void *arg)
{
    unsigned last = cpu_count() - 1;
    struct message m = {0};

    thread_set_affinity(thread_current(), 1ull << last);
    thread_yield();
    m.call = 0;
    while (port_reply_receive(arg, m.call, &m, &m, TIME_NEVER, 0) == OK) {
        preempt_disable();
        EXPECT(cpu_id() == last);
        preempt_enable();
    }
}

static void affinity(void)
{
    struct port *p = ports_create();
    struct thread *server = ports_thread(serve_pinned, p);
    struct message m = {0};

    object_ref(port_object(p));
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        EXPECT(thread_set_affinity(thread_current(), 1ull << cpu) == OK);
        thread_yield();
        for (unsigned i = 0; i < 50; i++) {
            EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK);
            preempt_disable();
            EXPECT(cpu_id() == cpu);
            preempt_enable();
        }
    }
    thread_set_affinity(thread_current(), ~0ull);
    port_close(p);
    ports_join(&server, 1);
    object_unref(port_object(p));
}

/* Of 3000 calls: how far what both threads used is from what passed, in 1/1000 of that. */
static uint64_t account_error(struct port *p, struct thread *server)
{
    struct thread *self = thread_current();
    struct message m = {0};
    uint64_t start, used, passed;

    thread_yield(); /* brings the figures up to date */
    start = time_now();
    used = self->cpu_time + server->cpu_time;
    for (unsigned i = 0; i < 3000; i++)
        EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK);
    thread_yield();
    used = self->cpu_time + server->cpu_time - used;
    passed = time_now() - start;
    EXPECT(server->cpu_time > passed / 20);
    return (used > passed ? used - passed : passed - used) * 1000 / passed;
}

/* What two threads used while they handed one CPU to each other is what passed. The machine itself
 * may lose the CPU between two readings: the best of a few is looked at. */
static void accounting(void)
{
    struct port *p = ports_create();
    struct thread *server;
    struct message m = {0};
    uint64_t error = 1000;

    object_ref(port_object(p));
    thread_set_affinity(thread_current(), 1);
    thread_yield();
    server = ports_thread(ports_serve, p);
    thread_set_affinity(server, 1);
    EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK);
    for (unsigned i = 0; i < 20 && error > 100; i++)
        error = MIN(error, account_error(p, server));
    EXPECT(error <= 100);
    thread_set_affinity(thread_current(), ~0ull);
    port_close(p);
    ports_join(&server, 1);
    object_unref(port_object(p));
}

/* ---- notifications -----------------------------------------------------------------------------
 */

struct bell {
    struct timer timer;
    struct port *port;
    uint64_t next, last;
};

static void bell_rings(struct timer *t)
{
    struct bell *b = container_of(t, struct bell, timer);

    port_notify(b->port, 1ull << b->next);
    if (b->next++ < b->last)
        timer_arm(t, time_now() + 50 * NS_PER_US);
}

static void from_interrupt(struct port *p)
{
    struct bell b = {.port = p, .last = 39};
    struct message m = {0};
    uint64_t seen = 0;

    timer_init(&b.timer, bell_rings);
    timer_arm(&b.timer, time_now() + NS_PER_MS);
    while (seen != (1ull << 40) - 1) {
        EXPECT(port_receive(p, &m, time_now() + 10 * NS_PER_SEC, 0) == OK);
        EXPECT(m.call == 0 && m.label && !(m.label & seen));
        if (!m.label)
            break;
        seen |= m.label;
    }
    timer_cancel(&b.timer);
}

static void notifications(void)
{
    struct port *p = ports_create();
    struct message m = {0};

    EXPECT(port_receive(p, &m, 0, 0) == ERR_TIMED_OUT);
    port_notify(p, 0);
    EXPECT(port_receive(p, &m, 0, 0) == ERR_TIMED_OUT);
    port_notify(p, 5);
    port_notify(p, 8 | 1);
    EXPECT(port_receive(p, &m, 0, 0) == OK && m.label == 13 && m.call == 0);
    EXPECT(port_receive(p, &m, 0, 0) == ERR_TIMED_OUT);
    from_interrupt(p);
    port_close(p);
}

static const struct ktest_case cases[] = {
    {"values", values},
    {"many_callers", many_callers},
    {"affinity", affinity},
    {"accounting", accounting},
    {"notifications", notifications},
    {"stale_handles", ports_stale_handles},
    {"handle_rights", ports_handle_rights},
    {"handle_transfer", ports_handle_transfer},
    {"timeouts", ports_timeouts},
    {"interruption", ports_interruption},
    {"peer_death", ports_peer_death},
    {"nothing_leaks", ports_nothing_leaks},
    {"soak", ports_soak},
    {NULL, NULL},
};

const struct ktest_suite suite_ports = {.name = "ports", .cases = cases};
