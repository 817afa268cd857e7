/*
 * ports_handles.c: of the suite "ports": handle tables, and handles in messages.
 */
#include "ports.h"

uint64_t things;

static void thing_destroy(struct object *o)
{
    __atomic_fetch_sub(&things, 1, __ATOMIC_RELAXED);
    kfree(o);
}

static const struct object_type thing_type = {.name = "thing", .destroy = thing_destroy};

struct object *thing_create(void)
{
    struct thing *t = kzalloc(sizeof(*t));

    ASSERT(t);
    __atomic_fetch_add(&things, 1, __ATOMIC_RELAXED);
    object_init(&t->object, &thing_type);
    return &t->object;
}

/* A table with a handle of a new object, which nobody else holds. */
static struct handle_table *table_with(uint32_t rights, handle_t *h)
{
    struct handle_table *t = handle_table_create();
    struct object *o = thing_create();

    ASSERT(t);
    EXPECT(handle_install(t, o, rights, h) == OK);
    object_unref(o);
    return t;
}

void ports_stale_handles(void)
{
    handle_t h, other, old[300];
    struct handle_table *t = table_with(RIGHTS_ALL, &h);
    struct object *o;

    EXPECT(handle_get(t, HANDLE_NONE, NULL, 0, &o) == ERR_NOT_FOUND);
    EXPECT(handle_get(t, ~0ull, NULL, 0, &o) == ERR_NOT_FOUND);
    EXPECT(handle_get(t, h + (1ull << 32), NULL, 0, &o) == ERR_NOT_FOUND);
    for (unsigned i = 0; i < 300; i++)
        EXPECT(handle_duplicate(t, h, RIGHT_READ, &old[i]) == OK);
    EXPECT(handle_table_count(t) == 301);
    for (unsigned i = 0; i < 300; i++)
        EXPECT(handle_close(t, old[i]) == OK);
    EXPECT(handle_close(t, h) == OK && things == 0);
    o = thing_create();
    for (unsigned i = 0; i < 301; i++)
        EXPECT(handle_install(t, o, RIGHT_READ, &other) == OK);
    for (unsigned i = 0; i < 300; i++) {
        struct object *wrong;

        EXPECT(handle_get(t, old[i], NULL, 0, &wrong) == ERR_NOT_FOUND);
        EXPECT(handle_close(t, old[i]) == ERR_NOT_FOUND);
    }
    object_unref(o);
    EXPECT(things == 1);
    handle_table_destroy(t);
    EXPECT(things == 0);
}

void ports_handle_rights(void)
{
    handle_t h, less, moved;
    struct handle_table *t = table_with(RIGHT_READ | RIGHT_WRITE | RIGHT_DUPLICATE, &h);
    struct handle_table *other = handle_table_create();
    struct object *o;
    struct port *p;
    uint32_t rights = 0;

    EXPECT(handle_get(t, h, NULL, RIGHT_READ | RIGHT_WRITE, &o) == OK);
    object_unref(o);
    EXPECT(port_of_handle(t, h, 0, &p) == ERR_INVALID);
    EXPECT(handle_get(t, h, NULL, RIGHT_MANAGE, &o) == ERR_ACCESS);
    EXPECT(handle_duplicate(t, h, RIGHT_READ | RIGHT_CALL, &less) == ERR_ACCESS);
    EXPECT(handle_duplicate(t, h, RIGHT_READ, &less) == OK);
    EXPECT(handle_duplicate(t, less, RIGHT_READ, &moved) == ERR_ACCESS);
    EXPECT(handle_replace(t, less, RIGHT_WRITE, &moved) == ERR_ACCESS);
    EXPECT(handle_replace(t, less, 0, &moved) == OK);
    EXPECT(handle_rights(t, less, &rights) == ERR_NOT_FOUND);
    EXPECT(handle_rights(t, moved, &rights) == OK && rights == 0);
    EXPECT(handle_move(t, h, RIGHT_READ, other, &moved) == ERR_ACCESS); /* no RIGHT_TRANSFER */
    handle_table_destroy(t);
    t = table_with(RIGHTS_ALL, &h);
    EXPECT(handle_move(t, h, RIGHT_READ, other, &moved) == OK);
    EXPECT(handle_rights(t, h, &rights) == ERR_NOT_FOUND);
    EXPECT(handle_rights(other, moved, &rights) == OK && rights == RIGHT_READ);
    handle_table_destroy(t);
    EXPECT(things == 1);
    handle_table_destroy(other);
    EXPECT(things == 0);
}

/* A server with a table: it keeps what it gets, but gives the first handle back with the reply. */
struct keeper {
    struct port *port;
    struct handle_table *table;
    uint32_t rights[MESSAGE_HANDLES];
};

static void keeper_serve(void *arg)
{
    struct keeper *k = arg;
    struct message in = {.table = k->table}, out = {.table = k->table};

    in.call = 0;
    while (port_reply_receive(k->port, in.call, &out, &in, TIME_NEVER, 0) == OK) {
        EXPECT(in.reply_status == OK);
        for (unsigned i = 0; i < in.handle_count; i++)
            EXPECT(handle_rights(k->table, in.handles[i], &k->rights[i]) == OK);
        out.words[0] = in.handle_count;
        out.gift_count = in.handle_count > 0;
        out.gifts[0] = (struct message_gift){in.handles[0], RIGHT_READ};
    }
}

static void transfer_good(struct keeper *k, struct handle_table *t, handle_t *h)
{
    struct message m = {.table = t, .gift_count = 4}, reply = {.table = t};
    uint32_t rights = 0;

    for (unsigned i = 0; i < 4; i++)
        m.gifts[i] = (struct message_gift){h[i], RIGHT_TRANSFER | RIGHT_READ | i};
    EXPECT(port_call(k->port, &m, &reply, TIME_NEVER, 0) == OK);
    EXPECT(reply.words[0] == 4 && reply.handle_count == 1);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(handle_rights(t, h[i], &rights) == ERR_NOT_FOUND);
        EXPECT(k->rights[i] == (RIGHT_TRANSFER | RIGHT_READ | i));
    }
    EXPECT(handle_rights(t, reply.handles[0], &rights) == OK && rights == RIGHT_READ);
    EXPECT(handle_close(t, reply.handles[0]) == OK);
    m.gift_count = 0; /* the server has ended its reply when it takes the next call */
    EXPECT(port_call(k->port, &m, &reply, TIME_NEVER, 0) == OK && reply.words[0] == 0);
    EXPECT(handle_table_count(k->table) == 3);
}

/* Nothing goes when one of them cannot. */
static void transfer_bad(struct keeper *k, struct handle_table *t, handle_t h)
{
    struct message m = {.table = t, .gift_count = 2}, reply = {.table = t};
    unsigned before = handle_table_count(k->table);
    handle_t weak;
    uint32_t rights;

    EXPECT(handle_duplicate(t, h, RIGHT_READ, &weak) == OK);
    m.gifts[0] = (struct message_gift){h, RIGHT_READ};
    m.gifts[1] = (struct message_gift){weak, RIGHT_READ};
    EXPECT(port_call(k->port, &m, &reply, TIME_NEVER, 0) == ERR_ACCESS);
    m.gifts[1].handle = h;
    EXPECT(port_call(k->port, &m, &reply, TIME_NEVER, 0) == ERR_BUSY); /* twice */
    m.gifts[1].handle = h + 77;
    EXPECT(port_call(k->port, &m, &reply, TIME_NEVER, 0) == ERR_NOT_FOUND);
    EXPECT(handle_rights(t, h, &rights) == OK && rights == RIGHTS_ALL);
    EXPECT(handle_close(t, weak) == OK);
    EXPECT(handle_table_count(k->table) == before);
}

/* A port's right to receive cannot wait in the port itself. */
static void transfer_circle(struct keeper *k, struct handle_table *t)
{
    struct message m = {.table = t, .gift_count = 1};

    EXPECT(handle_install(t, port_object(k->port), RIGHTS_ALL, &m.gifts[0].handle) == OK);
    m.gifts[0].rights = RIGHT_RECEIVE;
    EXPECT(port_call(k->port, &m, &m, TIME_NEVER, 0) == ERR_INVALID);
    EXPECT(handle_close(t, m.gifts[0].handle) == OK);
}

void ports_handle_transfer(void)
{
    struct keeper k = {.port = ports_create(), .table = handle_table_create()};
    struct thread *server = ports_thread(keeper_serve, &k);
    handle_t h[5];
    struct handle_table *t = table_with(RIGHTS_ALL, &h[0]);
    struct message m = {.table = t};

    object_ref(port_object(k.port));
    for (unsigned i = 1; i < 5; i++)
        EXPECT(handle_duplicate(t, h[0], RIGHTS_ALL, &h[i]) == OK);
    transfer_good(&k, t, h);
    transfer_bad(&k, t, h[4]);
    transfer_circle(&k, t);
    m.gift_count = 1;
    m.gifts[0] = (struct message_gift){h[4], RIGHTS_ALL};
    m.table = t;
    EXPECT(port_call(k.port, &m, &(struct message){0}, TIME_NEVER, 0) == OK); /* no table: closed */
    EXPECT(handle_table_count(t) == 0);
    port_close(k.port);
    ports_join(&server, 1);
    object_unref(port_object(k.port));
    handle_table_destroy(t);
    EXPECT(things == 1);
    handle_table_destroy(k.table);
    EXPECT(things == 0);
}
