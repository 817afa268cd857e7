/*
 * random_test.c: the ledger beside a model of it in a few lines: six modules that come and go, take, give back, pass on,
 * and leak by chance, at places that come again.
 */
#include "rig.h"

#include <string.h>

#define PLACES  4000u
#define MODULES 6u
#define SPOTS   8u
#define NO_SPOT RIG_NOBODY

static const char *const names[MODULES] = {"one", "two", "three", "four", "five", "six"};

struct model_account {
    unsigned spot; /* NO_SPOT: it is not loaded, or lies elsewhere by now */
    size_t bytes, most;
    uint64_t refused;
};

struct model_place {
    bool taken;     /* the nucleus would not give it again */
    bool noted;     /* the ledger has it: for `owner`, whoever has it by now */
    unsigned owner; /* module */
    size_t bytes, size;
    enum rig_how how;
};

static struct model_account accounts[MODULES];
static struct model_place objects[PLACES], frames[PLACES];
static size_t limit;
static unsigned noted_places;
static uint64_t seed;

static uint32_t random_below(uint32_t below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % below;
}

static struct model_account *account_at(unsigned spot)
{
    for (unsigned i = 0; i < MODULES; i++)
        if (spot != NO_SPOT && accounts[i].spot == spot)
            return &accounts[i];
    return NULL;
}

static void model_forget(struct model_place *p)
{
    if (!p->noted)
        return;
    accounts[p->owner].bytes -= p->bytes;
    p->noted = false;
    noted_places--;
}

/* What should come of a question for this place. */
static bool model_take(struct model_account *a, struct model_place *p, size_t bytes)
{
    if (!a)
        return true;
    model_forget(p);
    if (a->bytes + bytes > limit || noted_places == RIG_PIECES) {
        a->refused++;
        return false;
    }
    *p = (struct model_place){.noted = true, .owner = (unsigned)(a - accounts), .bytes = bytes};
    noted_places++;
    a->bytes += bytes;
    a->most = a->bytes > a->most ? a->bytes : a->most;
    return true;
}

static void take_or_give(void)
{
    enum rig_how how = random_below(RIG_HOWS);
    unsigned spot = random_below(SPOTS + 1), at = random_below(PLACES);
    struct model_place *p = how == RIG_FRAMES ? &frames[at] : &objects[at];
    size_t size = how == RIG_FRAMES ? random_below(3) : random_below(600) + 1;
    bool good;

    spot = spot == SPOTS ? NO_SPOT : spot;
    if (!p->taken) {
        good = model_take(account_at(spot), p, rig_counted(how, size));
        assert_int_equal(rig_take(spot, how, at, size), good);
        p->taken = good;
        p->size = size;
        p->how = how;
    } else if (random_below(3)) {
        rig_give(spot, p->how, at, p->size);
        model_forget(p);
        p->taken = false;
    } else {
        p->taken = false; /* somebody else frees it */
    }
}

static void load(void)
{
    unsigned which = random_below(MODULES), spot = random_below(SPOTS);
    struct model_account *old = account_at(spot), *a = &accounts[which];

    assert_true(rig_link(spot, names[which]));
    if (old == a)
        return;
    if (old)
        old->spot = NO_SPOT;
    *a = (struct model_account){.spot = spot, .bytes = a->bytes, .most = a->bytes};
}

static void all_as_the_model(void)
{
    for (unsigned spot = 0; spot < SPOTS; spot++) {
        struct model_account *a = account_at(spot);
        struct rig_sums s = rig_sums(spot);

        assert_int_equal(s.open, a != NULL);
        if (!a)
            continue;
        assert_int_equal(s.bytes, a->bytes);
        assert_int_equal(s.most, a->most);
        assert_int_equal(s.refused, a->refused);
        assert_true(s.bytes <= limit);
    }
    assert_int_equal(rig_slots_used(), noted_places);
}

static void begin(uint64_t number, size_t limit_kib)
{
    memset(objects, 0, sizeof(objects));
    memset(frames, 0, sizeof(frames));
    seed = number;
    limit = limit_kib << 10;
    noted_places = 0;
    rig_begin(limit_kib);
    for (unsigned i = 0; i < MODULES; i++) {
        accounts[i] = (struct model_account){.spot = i};
        assert_true(rig_link(i, names[i]));
    }
}

/* In the end all is given back, and the ledger is as empty as at the start. */
static void give_all(void)
{
    for (unsigned i = 0; i < PLACES; i++) {
        rig_give(NO_SPOT, RIG_KMALLOC, i, 0);
        model_forget(&objects[i]);
        rig_give(NO_SPOT, RIG_FRAMES, i, 0);
        model_forget(&frames[i]);
    }
    assert_int_equal(noted_places, 0);
    all_as_the_model();
}

static void test_by_chance(void **state)
{
    static const size_t limits[] = {1, 16, 64, 256, 100000};
    uint64_t refused = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        begin(i + 1, limits[i]);
        for (unsigned round = 0; round < 60000; round++) {
            if (random_below(200))
                take_or_give();
            else
                load();
            if (round % 100 == 0)
                all_as_the_model();
        }
        for (unsigned k = 0; k < MODULES; k++)
            refused += accounts[k].refused;
        give_all();
        rig_end();
    }
    assert_true(refused > 0);
}

int random_run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_chance)};

    return cmocka_run_group_tests_name("policy_memory by chance", tests, NULL, NULL);
}
