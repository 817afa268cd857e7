/*
 * ports_ends.c: of the suite "ports": calls that end without a reply; leaks; everything at once.
 */
#include "ports.h"

#define SHORTLY (time_now() + 2 * NS_PER_MS)

struct caller {
    struct port *port;
    struct handle_table *table; /* with one handle, which goes along; NULL: none */
    handle_t handle;
    uint64_t due;
    unsigned flags;
    int status;
};

static void caller_run(void *arg)
{
    struct caller *c = arg;
    struct message m = {.label = 1, .table = c->table, .gift_count = c->table != NULL};

    m.gifts[0] = (struct message_gift){c->handle, RIGHT_READ};
    c->status = port_call(c->port, &m, &m, c->due, c->flags);
}

static void receiver_run(void *arg)
{
    struct caller *c = arg;
    struct message m = {0};

    c->status = port_receive(c->port, &m, c->due, c->flags);
}

static void pause_ms(unsigned ms)
{
    thread_sleep(time_now() + ms * NS_PER_MS, 0);
}

static void table_fill(struct caller *c)
{
    struct object *o = thing_create();

    c->table = handle_table_create();
    EXPECT(handle_install(c->table, o, RIGHTS_ALL, &c->handle) == OK);
    object_unref(o);
}

void ports_timeouts(void)
{
    struct caller c = {.port = ports_create()};
    struct message m = {0};
    struct thread *t;
    uint64_t due;

    table_fill(&c);
    c.due = time_now() + NS_PER_MS; /* nobody receives it: the handle stays */
    caller_run(&c);
    EXPECT(c.status == ERR_TIMED_OUT && time_now() >= c.due && handle_table_count(c.table) == 1);
    caller_run(&c); /* due already */
    EXPECT(c.status == ERR_TIMED_OUT && port_receive(c.port, &m, 0, 0) == ERR_TIMED_OUT);
    due = SHORTLY;
    EXPECT(port_receive(c.port, &m, due, 0) == ERR_TIMED_OUT && time_now() >= due);
    EXPECT(port_reply_receive(c.port, 0, NULL, &m, SHORTLY, 0) == ERR_TIMED_OUT);
    c.due =
        time_now() + 300 * NS_PER_MS; /* somebody receives it and is late: the handle has gone */
    t = ports_thread(caller_run, &c);
    EXPECT(port_receive(c.port, &m, time_now() + NS_PER_SEC, 0) == OK && m.handle_count == 1);
    ports_join(&t, 1);
    EXPECT(c.status == ERR_TIMED_OUT && handle_table_count(c.table) == 0 && things == 0);
    EXPECT(port_reply(c.port, m.call, &m) == ERR_LOST);
    EXPECT(port_reply(c.port, m.call + 1, &m) == ERR_LOST && port_reply(c.port, 0, &m) == ERR_LOST);
    EXPECT(port_reply_receive(c.port, m.call, &m, &m, SHORTLY, 0) == ERR_TIMED_OUT);
    EXPECT(m.reply_status == ERR_LOST);
    handle_table_destroy(c.table);
    port_close(c.port);
}

static void interrupt_call(struct caller *c, bool received)
{
    struct message m = {0}, reply = {.gift_count = 1};
    struct thread *t;
    uint32_t rights;

    table_fill(c);
    t = ports_thread(caller_run, c);
    if (received)
        EXPECT(port_receive(c->port, &m, TIME_NEVER, 0) == OK);
    else
        pause_ms(2);
    thread_interrupt(t);
    ports_join(&t, 1);
    EXPECT(c->status == ERR_INTERRUPTED && handle_table_count(c->table) == !received);
    if (received) { /* the reply transfers nothing */
        struct object *o = thing_create();

        EXPECT(handle_install(c->table, o, RIGHTS_ALL, &reply.gifts[0].handle) == OK);
        object_unref(o);
        reply.table = c->table;
        EXPECT(port_reply(c->port, m.call, &reply) == ERR_LOST);
        EXPECT(handle_rights(c->table, reply.gifts[0].handle, &rights) == OK &&
               rights == RIGHTS_ALL);
    } else {
        EXPECT(port_receive(c->port, &m, 0, 0) == ERR_TIMED_OUT);
    }
    handle_table_destroy(c->table);
    EXPECT(things == 0);
}

static void call_interrupted(void *arg)
{
    struct caller *c = arg;

    thread_interrupt(thread_current());
    caller_run(c);
    EXPECT(c->status == ERR_INTERRUPTED);
    c->flags = 0; /* not asked for: goes through */
    caller_run(c);
}

void ports_interruption(void)
{
    struct caller c = {.port = ports_create(), .due = TIME_NEVER, .flags = WAIT_INTERRUPTIBLE};
    struct message m = {0};
    struct thread *t;

    interrupt_call(&c, false);
    interrupt_call(&c, true);
    c.table = NULL;
    t = ports_thread(receiver_run, &c);
    pause_ms(2);
    thread_interrupt(t);
    ports_join(&t, 1);
    EXPECT(c.status == ERR_INTERRUPTED);
    t = ports_thread(call_interrupted, &c);
    EXPECT(port_receive(c.port, &m, TIME_NEVER, 0) == OK);
    EXPECT(port_reply(c.port, m.call, &m) == OK);
    ports_join(&t, 1);
    EXPECT(c.status == OK);
    port_close(c.port);
}

/* The right to receive goes with a handle; a second port's goes with its table. */
static void death_of_handle(struct port *p)
{
    struct handle_table *space = handle_table_create();
    struct caller pending = {.port = p, .due = TIME_NEVER}, waiting = pending, served = pending;
    struct message m = {0};
    struct thread *t[3];
    handle_t one, two;

    EXPECT(handle_install(space, port_object(p), RIGHTS_ALL, &one) == OK);
    EXPECT(handle_duplicate(space, one, RIGHTS_ALL, &two) == OK);
    object_ref(port_object(p));
    port_close(p);
    EXPECT(handle_replace(space, one, RIGHT_CALL, &one) == OK);
    t[0] = ports_thread(caller_run, &served);
    EXPECT(port_receive(p, &m, TIME_NEVER, 0) == OK);
    t[1] = ports_thread(caller_run, &pending);
    pause_ms(2);
    EXPECT(pending.status == OK && served.status == OK);
    EXPECT(handle_close(space, two) == OK); /* the last one */
    ports_join(t, 2);
    EXPECT(pending.status == ERR_LOST && served.status == ERR_LOST);
    EXPECT(port_reply(p, m.call, &m) == ERR_LOST);
    EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == ERR_LOST);
    receiver_run(&waiting);
    EXPECT(waiting.status == ERR_LOST);
    port_notify(p, 1); /* into the void */
    handle_table_destroy(space);
    object_unref(port_object(p));
}

static void death_of_table(struct port *p)
{
    struct handle_table *space = handle_table_create();
    struct caller waiting[2] = {{.port = p, .due = TIME_NEVER}, {.port = p, .due = TIME_NEVER}};
    struct thread *t[2];
    handle_t h;

    EXPECT(handle_install(space, port_object(p), RIGHT_RECEIVE, &h) == OK);
    object_ref(port_object(p));
    port_close(p);
    for (unsigned i = 0; i < 2; i++)
        t[i] = ports_thread(receiver_run, &waiting[i]);
    pause_ms(2);
    handle_table_destroy(space);
    ports_join(t, 2);
    EXPECT(waiting[0].status == ERR_LOST && waiting[1].status == ERR_LOST);
    object_unref(port_object(p));
}

/* The right to receive lies in a message that its receiver never takes. */
static void death_in_transit(struct port *p)
{
    struct port *lost = ports_create();
    struct caller c = {.port = p, .due = SHORTLY, .table = handle_table_create()};

    EXPECT(handle_install(c.table, port_object(lost), RIGHT_RECEIVE | RIGHT_TRANSFER | RIGHT_READ,
                          &c.handle) == OK);
    caller_run(&c);
    EXPECT(c.status == ERR_TIMED_OUT && handle_table_count(c.table) == 1);
    port_close(lost);
    handle_table_destroy(c.table);
    port_close(p);
}

void ports_peer_death(void)
{
    death_of_handle(ports_create());
    death_of_table(ports_create());
    death_in_transit(ports_create());
}

/* ---- leaks
 * ---------------------------------------------------------------------------------------- */

static void keep_nothing(void *arg)
{
    struct handle_table *t = handle_table_create();
    struct message m = {.table = t};

    m.call = 0;
    while (port_reply_receive(arg, m.call, &m, &m, TIME_NEVER, 0) == OK)
        for (unsigned i = 0; i < m.handle_count; i++)
            EXPECT(handle_close(t, m.handles[i]) == OK);
    handle_table_destroy(t);
}

static uint64_t heap_used(void)
{
    struct memory_stats stats;

    memory_stats(&stats);
    return stats.heap;
}

/* The server may still be giving back what its last message brought. */
static bool heap_comes_back(uint64_t before)
{
    for (unsigned i = 0; i < 10000 && heap_used() != before; i++)
        thread_sleep(time_now() + NS_PER_MS, 0);
    return heap_used() == before;
}

void ports_nothing_leaks(void)
{
    struct port *p = ports_create();
    struct thread *server = ports_thread(keep_nothing, p);
    struct handle_table *t = handle_table_create();
    struct object *o = thing_create();
    uint64_t before = 0;

    object_ref(port_object(p));
    for (unsigned i = 0; i < 10100; i++) {
        struct message m = {.table = t, .gift_count = i % (MESSAGE_HANDLES + 1)};

        if (i == 100) {
            thread_sleep(time_now() + 10 * NS_PER_MS, 0);
            before = heap_used();
        }
        for (unsigned g = 0; g < m.gift_count; g++) {
            EXPECT(handle_install(t, o, RIGHTS_ALL, &m.gifts[g].handle) == OK);
            m.gifts[g].rights = RIGHT_WRITE;
        }
        EXPECT(port_call(p, &m, &m, i % 3 ? TIME_NEVER : time_now() + NS_PER_SEC, 0) == OK);
    }
    EXPECT(heap_comes_back(before));
    EXPECT(handle_table_count(t) == 0 && o->refs == 1);
    object_unref(o);
    port_close(p);
    ports_join(&server, 1);
    object_unref(port_object(p));
    handle_table_destroy(t);
    EXPECT(things == 0);
}

/* ---- everything at once ------------------------------------------------------------------------
 */

#define SOAK_PORTS   3
#define SOAK_THREADS 12

static struct {
    struct port *ports[SOAK_PORTS];
    uint64_t end;
    uint64_t called, served, seed;
} soak;

/* A call of any kind; the handle is still there exactly if nobody received it. */
static void soak_call(uint64_t *random, struct handle_table *t)
{
    static const uint64_t patience[] = {0, 20, 200, 2000}; /* us */
    struct port *p = soak.ports[ktest_random(random) % SOAK_PORTS];
    struct message m = {.label = ktest_random(random), .table = t};
    uint64_t label = m.label, due = TIME_NEVER;
    struct object *o = NULL;
    int r;

    if (ktest_random(random) % 2)
        due = time_now() + patience[ktest_random(random) % 4] * NS_PER_US;
    if (ktest_random(random) % 4 == 0) {
        o = thing_create();
        EXPECT(handle_install(t, o, RIGHTS_ALL, &m.gifts[0].handle) == OK);
        m.gift_count = 1;
        m.gifts[0].rights = RIGHT_TRANSFER | RIGHT_READ;
        object_unref(o);
    }
    r = port_call(p, &m, &m, due, WAIT_INTERRUPTIBLE);
    EXPECT(r == OK || r == ERR_TIMED_OUT || r == ERR_INTERRUPTED);
    EXPECT(r != OK || m.label == ~label);
    if (m.gift_count && handle_close(t, m.gifts[0].handle) == OK)
        EXPECT(r != OK);
    if (r == OK && m.handle_count)
        EXPECT(handle_close(t, m.handles[0]) == OK);
    if (r == ERR_INTERRUPTED)
        thread_interrupt_clear();
    __atomic_fetch_add(&soak.called, r == OK, __ATOMIC_RELAXED);
}

static void soak_serve(uint64_t *random, struct handle_table *t)
{
    struct port *p = soak.ports[ktest_random(random) % SOAK_PORTS];
    struct message in = {.table = t}, out = {.table = t};
    int r = port_receive(p, &in, time_now() + ktest_random(random) % NS_PER_MS, 0);

    for (unsigned i = 0; i < 20 && r == OK; i++) {
        __atomic_fetch_add(&soak.served, in.call != 0, __ATOMIC_RELAXED);
        out.label = ~in.label;
        out.gift_count = in.call ? in.handle_count : 0;
        out.gifts[0] = (struct message_gift){in.handles[0], RIGHT_READ};
        r = port_reply_receive(p, in.call, &out, &in, time_now() + 100 * NS_PER_US, 0);
        if (out.gift_count && in.reply_status != OK)
            EXPECT(handle_close(t, out.gifts[0].handle) == OK);
        if (r == OK && ktest_random(random) % 32 == 0)
            break; /* the caller may wait in vain; its time is over some day */
    }
    EXPECT(r == OK || r == ERR_TIMED_OUT);
    if (r == OK) {
        if (in.handle_count)
            EXPECT(handle_close(t, in.handles[0]) == OK);
        if (in.call) {
            __atomic_fetch_add(&soak.served, 1, __ATOMIC_RELAXED);
            port_reply(p, in.call, &(struct message){.label = ~in.label});
        }
    }
}

static void soak_run(void *arg)
{
    uint64_t random = __atomic_add_fetch(&soak.seed, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);
    struct handle_table *t = handle_table_create();
    bool server = arg != NULL;

    while (time_now() < soak.end) {
        unsigned what = ktest_random(&random) % 64;

        if (what == 0)
            thread_set_affinity(thread_current(), ktest_random(&random) | 1);
        else if (what == 1)
            port_notify(soak.ports[ktest_random(&random) % SOAK_PORTS], 1 + what);
        else if (server)
            soak_serve(&random, t);
        else
            soak_call(&random, t);
    }
    EXPECT(handle_table_count(t) == 0);
    handle_table_destroy(t);
}

void ports_soak(void)
{
    struct thread *t[2 * SOAK_THREADS];
    struct message m = {0};
    uint64_t random = 5;

    for (unsigned i = 0; i < SOAK_PORTS; i++)
        soak.ports[i] = ports_create();
    soak.called = soak.served = 0;
    soak.end = time_now() + NS_PER_SEC;
    for (unsigned i = 0; i < 2 * SOAK_THREADS; i++)
        t[i] = ports_thread(soak_run, i < SOAK_THREADS ? NULL : &soak);
    for (unsigned i = 0; time_now() < soak.end; i++) {
        thread_interrupt(t[ktest_random(&random) % SOAK_THREADS]);
        thread_sleep(time_now() + 300 * NS_PER_US, 0);
        if (i % 256 == 0) /* policies meet threads that they have never picked */
            policy_set("sched", i / 256 % 2 ? "sched_fair" : "round_robin");
    }
    policy_set("sched", "sched_fair");
    for (unsigned i = 0; i < SOAK_THREADS; i++) /* callers for ever, whose servers have ended */
        while (thread_join(t[i], time_now() + NS_PER_MS) == ERR_TIMED_OUT)
            thread_interrupt(t[i]);
    ports_join(t, 2 * SOAK_THREADS);
    for (unsigned i = 0; i < SOAK_PORTS; i++) {
        int r = port_receive(soak.ports[i], &m, 0, 0);

        EXPECT(r == ERR_TIMED_OUT || (r == OK && !m.call));
        port_close(soak.ports[i]);
    }
    EXPECT(soak.called > 10 && soak.served >= soak.called && things == 0);
}
