/*
 * handles_test.c: handle tables and parcels. Each test ends with nothing left: no object, no grant
 * of a right, no memory.
 */
#include "handles_test.h"

#include <stdlib.h>
#include "kernel/port/parcel.h"

#define RIGHT_KINDS 8

struct thing {
    struct object object;
    int grants[RIGHT_KINDS];
    bool gone;
};

static void thing_count(struct thing *t, uint32_t rights, int by)
{
    assert_int_equal(rights & ~RIGHTS_ALL, 0);
    for (unsigned i = 0; i < RIGHT_KINDS; i++)
        if (rights >> i & 1)
            assert_true((t->grants[i] += by) >= 0);
}

static void thing_granted(struct object *o, uint32_t rights)
{
    thing_count(container_of(o, struct thing, object), rights, 1);
}

static void thing_dropped(struct object *o, uint32_t rights)
{
    assert_int_equal(locks_held, 0);
    thing_count(container_of(o, struct thing, object), rights, -1);
}

static void thing_destroy(struct object *o)
{
    struct thing *t = container_of(o, struct thing, object);

    assert_int_equal(locks_held, 0);
    assert_false(t->gone);
    t->gone = true;
}

static const struct object_type thing_type = {
    .name = "thing", .granted = thing_granted, .dropped = thing_dropped, .destroy = thing_destroy};
static const struct object_type other_type = {.name = "other", .destroy = thing_destroy};

static struct thing thing;

static struct handle_table *table_with(uint32_t rights, handle_t *h)
{
    struct handle_table *t = handle_table_create();

    assert_non_null(t);
    thing = (struct thing){0};
    object_init(&thing.object, &thing_type);
    assert_int_equal(handle_install(t, &thing.object, rights, h), OK);
    object_unref(&thing.object);
    return t;
}

/* The only references left are those of `handles` handles. */
static void expect_refs(unsigned handles)
{
    assert_int_equal(thing.gone, handles == 0);
    assert_int_equal(thing.object.refs, handles);
}

static void expect_nothing(void)
{
    expect_refs(0);
    for (unsigned i = 0; i < RIGHT_KINDS; i++)
        assert_int_equal(thing.grants[i], 0);
    assert_int_equal(heap_live, 0);
    assert_int_equal(locks_held, 0);
}

static void get(void **state)
{
    handle_t h;
    struct handle_table *t = table_with(RIGHT_READ, &h);
    struct object *o = NULL;

    (void)state;
    assert_int_equal(handle_get(t, h, &thing_type, RIGHT_READ, &o), OK);
    assert_ptr_equal(o, &thing.object);
    object_unref(o);
    assert_int_equal(handle_get(t, h, &other_type, RIGHT_READ, &o), ERR_INVALID);
    assert_int_equal(handle_get(t, h, NULL, RIGHT_READ | RIGHT_WRITE, &o), ERR_ACCESS);
    assert_int_equal(handle_get(t, h ^ 1ull << 40, NULL, 0, &o), ERR_NOT_FOUND);
    assert_int_equal(handle_get(t, HANDLE_NONE, NULL, 0, &o), ERR_NOT_FOUND);
    assert_int_equal(handle_install(t, &thing.object, RIGHTS_ALL + 1, &h), ERR_INVALID);
    expect_refs(1);
    handle_table_destroy(t);
    expect_nothing();
}

static void derive(void **state)
{
    handle_t h, d, e;
    struct handle_table *t = table_with(RIGHT_READ | RIGHT_DUPLICATE, &h);
    uint32_t rights;

    (void)state;
    assert_int_equal(handle_duplicate(t, h, RIGHT_READ | RIGHT_DUPLICATE, &d), OK);
    assert_int_equal(handle_duplicate(t, h, RIGHTS_ALL, &e), ERR_ACCESS);
    assert_int_equal(thing.grants[0], 2);
    assert_int_equal(handle_replace(t, d, RIGHT_DUPLICATE, &e), OK);
    assert_int_equal(thing.grants[0], 1);
    assert_int_equal(handle_rights(t, d, &rights), ERR_NOT_FOUND);
    assert_int_equal(handle_rights(t, e, &rights), OK);
    assert_int_equal(rights, RIGHT_DUPLICATE);
    assert_int_equal(handle_duplicate(t, e, RIGHT_READ, &d), ERR_ACCESS);
    assert_int_equal(handle_replace(t, e, 0, &e), OK);
    assert_int_equal(handle_duplicate(t, e, 0, &d), ERR_ACCESS);
    expect_refs(2);
    assert_int_equal(handle_close(t, e), OK);
    assert_int_equal(handle_close(t, e), ERR_NOT_FOUND);
    assert_int_equal(handle_close(t, h), OK);
    expect_refs(0);
    handle_table_destroy(t);
    expect_nothing();
}

static void no_memory(void **state)
{
    handle_t h, more[7], out = 0;
    struct handle_table *t = table_with(RIGHTS_ALL, &h), *empty = handle_table_create();

    (void)state;
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(handle_duplicate(t, h, RIGHT_READ, &more[i]), OK);
    for (unsigned i = 0; i < 3; i++) { /* the table is full */
        allocation_fails = 1;
        assert_int_equal(i == 0   ? handle_duplicate(t, h, RIGHT_READ, &out)
                         : i == 1 ? handle_replace(t, h, RIGHT_READ, &out)
                                  : handle_install(t, &thing.object, RIGHT_READ, &out),
                         ERR_NO_MEMORY);
        expect_refs(8);
    }
    allocation_fails = 1;
    assert_int_equal(handle_move(t, h, RIGHT_READ, empty, &out), ERR_NO_MEMORY);
    assert_int_equal(handle_move(t, h, RIGHT_READ, empty, &out), OK);
    expect_refs(8);
    handle_table_destroy(t);
    handle_table_destroy(empty);
    allocation_fails = 1;
    assert_null(handle_table_create());
    expect_nothing();
}

static void parcels(void **state)
{
    handle_t h, got[MESSAGE_HANDLES];
    struct handle_table *t = table_with(RIGHTS_ALL, &h), *to = handle_table_create();
    struct message_gift gifts[2] = {{h, RIGHT_READ}, {h, RIGHT_READ}};
    struct parcel p, copy;
    struct object *o;

    (void)state;
    assert_int_equal(parcel_pack(&p, NULL, gifts, 1), ERR_INVALID);
    assert_int_equal(parcel_pack(&p, t, gifts, 2), ERR_BUSY);
    expect_refs(1);
    assert_int_equal(parcel_pack(&p, t, gifts, 1), OK);
    assert_int_equal(handle_get(t, h, NULL, 0, &o), ERR_BUSY);
    assert_int_equal(handle_close(t, h), ERR_BUSY);
    parcel_finish(&p, t, gifts, false);
    assert_int_equal(handle_get(t, h, NULL, RIGHTS_ALL, &o), OK);
    object_unref(o);
    assert_int_equal(parcel_pack(&p, t, gifts, 1), OK);
    copy = p;
    parcel_finish(&p, t, gifts, true);
    assert_int_equal(handle_close(t, h), ERR_NOT_FOUND);
    parcel_open(&copy, to, got);
    assert_int_equal(handle_get(to, got[0], NULL, RIGHT_READ | RIGHT_WRITE, &o), ERR_ACCESS);
    assert_int_equal(handle_get(to, got[0], NULL, RIGHT_READ, &o), OK);
    object_unref(o);
    expect_refs(1);
    handle_table_destroy(t);
    handle_table_destroy(to);
    expect_nothing();
}

/* Nowhere to put it: it is closed, and the sender does not get it back. */
static void parcels_dropped(void **state)
{
    handle_t h, got[MESSAGE_HANDLES];
    struct handle_table *t = table_with(RIGHTS_ALL, &h), *to = handle_table_create();
    struct message_gift gift = {h, RIGHTS_ALL};
    struct parcel p, copy;

    (void)state;
    assert_int_equal(parcel_pack(&p, t, &gift, 1), OK);
    copy = p;
    allocation_fails = 1;
    parcel_open(&copy, to, got);
    assert_true(got[0] == HANDLE_NONE);
    expect_refs(1);
    parcel_finish(&p, t, &gift, true);
    expect_refs(0);
    handle_table_destroy(t);
    handle_table_destroy(to);
    expect_nothing();
}

/* A random walk: references and grants are always those of the handles there are. */
static void random_walk(void **state)
{
    handle_t h[64] = {0};
    struct handle_table *t = table_with(RIGHTS_ALL, &h[0]);
    unsigned live = 1;

    (void)state;
    srandom(3);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned from = (unsigned)random() % 64, to = (unsigned)random() % 64;
        uint32_t rights = (uint32_t)random() & RIGHTS_ALL;

        if (from != to && h[from] && !h[to] && random() % 2) {
            live += handle_duplicate(t, h[from], rights | RIGHT_DUPLICATE, &h[to]) == OK;
        } else if (h[from] && random() % 2) {
            (void)handle_replace(t, h[from], rights | RIGHT_DUPLICATE, &h[from]);
        } else if (h[from] && live > 1) {
            assert_int_equal(handle_close(t, h[from]), OK);
            h[from] = HANDLE_NONE;
            live--;
        }
        assert_int_equal(handle_table_count(t), live);
        expect_refs(live);
        assert_int_equal(thing.grants[6], live); /* RIGHT_DUPLICATE */
    }
    handle_table_destroy(t);
    expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_numbers),  cmocka_unit_test(slots_limits),
        cmocka_unit_test(slots_worn_out), cmocka_unit_test(get),
        cmocka_unit_test(derive),         cmocka_unit_test(no_memory),
        cmocka_unit_test(parcels),        cmocka_unit_test(parcels_dropped),
        cmocka_unit_test(random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
