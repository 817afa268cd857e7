/*
 * aspaces.c: address spaces and memory objects, without any user program: faults are resolved by
 * aspace_fault() and contents are checked through user_read() in a thread that has the space loaded.
 */
#include "ktest.h"
#include <microlake/aspace.h>

#define RW (PROT_READ | PROT_WRITE)
#define LENGTH (64 * PAGE_SIZE)

static void demand_zero(struct aspace *as)
{
    struct aspace_stats stats;
    vaddr_t at = 0;
    uint64_t value = 1;

    EXPECT(aspace_map(as, 0, LENGTH, RW, MAP_PRIVATE, NULL, 0, &at) == OK);
    EXPECT(user_read(&value, at + 5 * PAGE_SIZE, 8) == OK && value == 0);
    value = 77;
    EXPECT(user_write(at + 9 * PAGE_SIZE - 4, &value, 8) == OK); /* across a page boundary */
    aspace_stats(as, &stats);
    EXPECT(stats.mapped == LENGTH && stats.resident == 3 * PAGE_SIZE);
    EXPECT(aspace_protect(as, at, PAGE_SIZE, PROT_READ) == OK);
    EXPECT(user_write(at, &value, 8) == ERR_FAULT);
    EXPECT(aspace_unmap(as, at, LENGTH) == OK);
    EXPECT(user_read(&value, at, 8) == ERR_FAULT);
    EXPECT(user_read(&value, USER_ADDRESS_END - 4, 8) == ERR_FAULT);
    EXPECT(user_read(&value, 0xffff800000000000ul, 8) == ERR_FAULT);
    aspace_stats(as, &stats);
    EXPECT(stats.mapped == 0 && stats.resident == 0);
}

static void copy_on_write(struct aspace *as)
{
    struct aspace *child = NULL;
    uint64_t value = 1;
    vaddr_t at;

    EXPECT(aspace_map(as, 0, LENGTH, RW, MAP_PRIVATE, NULL, 0, &at) == OK);
    for (unsigned i = 0; i < 64; i++)
        EXPECT(user_write(at + i * PAGE_SIZE, &value, 8) == OK);
    EXPECT(aspace_fork(as, &child) == OK);
    value = 2;
    EXPECT(user_write(at, &value, 8) == OK); /* the parent's copy */
    thread_set_aspace(child);
    EXPECT(user_read(&value, at, 8) == OK && value == 1);
    value = 3;
    EXPECT(user_write(at + PAGE_SIZE, &value, 8) == OK);
    thread_set_aspace(as);
    aspace_unref(child);
    EXPECT(user_read(&value, at, 8) == OK && value == 2);
    EXPECT(user_read(&value, at + PAGE_SIZE, 8) == OK && value == 1);
    EXPECT(aspace_unmap(as, at, LENGTH) == OK);
}

static void shared_object(struct aspace *as)
{
    struct memobj *obj = NULL;
    vaddr_t shared, private;
    uint64_t value = 5;

    EXPECT(memobj_create_anon(LENGTH, &obj) == OK);
    EXPECT(aspace_map(as, 0, LENGTH, RW, 0, obj, 0, &shared) == OK);
    EXPECT(aspace_map(as, 0, LENGTH, RW, MAP_PRIVATE, obj, 0, &private) == OK);
    EXPECT(user_write(shared + 8, &value, 8) == OK);
    EXPECT(user_read(&value, private + 8, 8) == OK && value == 5);
    EXPECT(memobj_read(obj, 8, &value, 8) == OK && value == 5);
    value = 6;
    EXPECT(user_write(private + 8, &value, 8) == OK);
    EXPECT(user_read(&value, shared + 8, 8) == OK && value == 5);
    EXPECT(memobj_read(obj, LENGTH - 4, &value, 8) == ERR_RANGE);
    EXPECT(aspace_unmap(as, shared, LENGTH) == OK);
    EXPECT(aspace_unmap(as, private, LENGTH) == OK);
    memobj_unref(obj);
}

/* A page that is read brings the neighbours with it that are there, within 64 KiB and the mapping, and
 * none that is not; a page that is written stays alone. */
static void neighbours(struct aspace *as)
{
    struct memobj *obj = NULL;
    struct aspace_stats stats;
    vaddr_t all, private;
    uint64_t value;

    EXPECT(memobj_create_anon(LENGTH, &obj) == OK);
    for (uint64_t i = 0; i < 32; i += 2) /* every second page of the first 128 KiB */
        EXPECT(memobj_write(obj, i * PAGE_SIZE, &i, 8) == OK);
    EXPECT(aspace_map(as, 16 << 20, LENGTH, RW, MAP_FIXED, obj, 0, &all) == OK);
    EXPECT(user_read(&value, all + 4 * PAGE_SIZE, 8) == OK && value == 4);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 8 * PAGE_SIZE && stats.faults == 1);
    for (uint64_t i = 0; i < 16; i += 2)
        EXPECT(user_read(&value, all + i * PAGE_SIZE, 8) == OK && value == i);
    aspace_stats(as, &stats);
    EXPECT(stats.faults == 1);
    value = 99;
    EXPECT(user_write(all + 20 * PAGE_SIZE, &value, 8) == OK);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 9 * PAGE_SIZE && stats.faults == 2);
    EXPECT(aspace_map(as, (32 << 20) + PAGE_SIZE, 3 * PAGE_SIZE, RW, MAP_FIXED | MAP_PRIVATE, obj,
                      20 * PAGE_SIZE, &private) == OK);
    EXPECT(user_read(&value, private, 8) == OK && value == 99);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 11 * PAGE_SIZE);
    value = 7;
    EXPECT(user_write(private + 2 * PAGE_SIZE, &value, 8) == OK); /* its own copy */
    EXPECT(user_read(&value, all + 22 * PAGE_SIZE, 8) == OK && value == 22);
    EXPECT(aspace_unmap(as, all, LENGTH) == OK);
    EXPECT(aspace_unmap(as, private, 3 * PAGE_SIZE) == OK);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 0);
    memobj_unref(obj);
}

static void pieces(struct aspace *as)
{
    vaddr_t at, hole, moved;
    uint64_t value = 9;

    EXPECT(aspace_map(as, 0, LENGTH, RW, MAP_PRIVATE, NULL, 0, &at) == OK);
    EXPECT(user_write(at + 20 * PAGE_SIZE, &value, 8) == OK);
    EXPECT(aspace_unmap(as, at + 10 * PAGE_SIZE, 2 * PAGE_SIZE) == OK);
    EXPECT(aspace_protect(as, at, LENGTH, PROT_READ) == ERR_NO_MEMORY); /* there is a hole */
    EXPECT(aspace_map(as, at + 10 * PAGE_SIZE, PAGE_SIZE, RW, MAP_PRIVATE | MAP_NOREPLACE, NULL, 0,
                      &hole) == OK);
    EXPECT(aspace_map(as, at + 10 * PAGE_SIZE, PAGE_SIZE, RW, MAP_PRIVATE | MAP_NOREPLACE, NULL, 0,
                      &hole) == ERR_EXISTS);
    EXPECT(aspace_map(as, 0, 8 * PAGE_SIZE, RW, MAP_PRIVATE, NULL, 0, &moved) == OK);
    EXPECT(aspace_move(as, at + 20 * PAGE_SIZE, 4 * PAGE_SIZE, moved, 8 * PAGE_SIZE) == OK);
    EXPECT(user_read(&value, moved, 8) == OK && value == 9);
    EXPECT(user_read(&value, at + 20 * PAGE_SIZE, 8) == ERR_FAULT);
    EXPECT(aspace_map(as, 123, LENGTH, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0, &hole) == ERR_INVALID);
    EXPECT(aspace_map(as, 0, ~0ul << 12, RW, MAP_PRIVATE, NULL, 0, &hole) == ERR_INVALID);
    EXPECT(aspace_unmap(as, moved, 8 * PAGE_SIZE) == OK);
    EXPECT(aspace_unmap(as, at, LENGTH) == OK);
}

#define HUGE (2ul << 20)

static void touch_all(vaddr_t at, uint64_t length, uint64_t value)
{
    for (uint64_t o = 0; o < length; o += PAGE_SIZE) {
        uint64_t v = value + o;

        EXPECT(user_write(at + o, &v, 8) == OK);
    }
}

static bool holds(vaddr_t at, uint64_t length, uint64_t value)
{
    for (uint64_t o = 0; o < length; o += PAGE_SIZE) {
        uint64_t v;

        if (user_read(&v, at + o, 8) != OK || v != value + o)
            return false;
    }
    return true;
}

/* Large pages whole, cut by every call that touches a part, shared with a child, and given back. */
static void large_pages(struct aspace *as)
{
    struct aspace *child = NULL;
    struct aspace_stats stats;
    vaddr_t area, at;
    uint64_t value = 1;

    EXPECT(aspace_map(as, 0, 8 * HUGE, RW, MAP_PRIVATE | MAP_HUGE, NULL, 0, &area) == OK);
    at = ALIGN_UP(area, HUGE);
    EXPECT(user_write(at + 12345 * 8, &value, 8) == OK);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == HUGE);
    touch_all(at, 6 * HUGE, 100);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 6 * HUGE);
    EXPECT(aspace_protect(as, at + HUGE, HUGE, PROT_READ) == OK); /* a whole one */
    EXPECT(user_write(at + HUGE, &value, 8) == ERR_FAULT && holds(at + HUGE, HUGE, 100 + HUGE));
    EXPECT(aspace_protect(as, at + HUGE, HUGE, RW) == OK);
    EXPECT(aspace_protect(as, at + HUGE + 5 * PAGE_SIZE, PAGE_SIZE, PROT_READ) == OK); /* a part */
    EXPECT(user_write(at + HUGE + 5 * PAGE_SIZE, &value, 8) == ERR_FAULT);
    EXPECT(holds(at, 6 * HUGE, 100));
    EXPECT(aspace_unmap(as, at + 2 * HUGE + 7 * PAGE_SIZE, 9 * PAGE_SIZE) == OK);
    EXPECT(aspace_discard(as, at + 3 * HUGE - PAGE_SIZE, HUGE + 2 * PAGE_SIZE) == OK);
    EXPECT(user_read(&value, at + 3 * HUGE, 8) == OK && value == 0);
    EXPECT(holds(at + 4 * HUGE + PAGE_SIZE, 2 * HUGE - PAGE_SIZE, 100 + 4 * HUGE + PAGE_SIZE));
    EXPECT(aspace_fork(as, &child) == OK);
    touch_all(at + 5 * HUGE, HUGE, 7);
    thread_set_aspace(child);
    EXPECT(holds(at + 5 * HUGE, HUGE, 100 + 5 * HUGE) && holds(at, HUGE, 100));
    thread_set_aspace(as);
    aspace_unref(child);
    EXPECT(aspace_advise_huge(as, at, HUGE, false) == OK);
    EXPECT(aspace_unmap(as, area, 8 * HUGE) == OK);
    aspace_stats(as, &stats);
    EXPECT(stats.resident == 0 && stats.mapped == 0);
}

static void with_aspace(void (*run)(struct aspace *as))
{
    struct aspace *as = NULL;

    EXPECT(aspace_create(&as) == OK);
    thread_set_aspace(as);
    run(as);
    thread_set_aspace(NULL);
    aspace_unref(as);
}

static void case_demand_zero(void)
{
    with_aspace(demand_zero);
}

static void case_copy_on_write(void)
{
    with_aspace(copy_on_write);
}

static void case_shared_object(void)
{
    with_aspace(shared_object);
}

static void case_neighbours(void)
{
    with_aspace(neighbours);
}

static void case_large_pages(void)
{
    with_aspace(large_pages);
}

static void case_pieces(void)
{
    with_aspace(pieces);
}

static const struct ktest_case cases[] = {
    {"demand_zero", case_demand_zero},
    {"copy_on_write", case_copy_on_write},
    {"shared_object", case_shared_object},
    {"neighbours", case_neighbours},
    {"pieces", case_pieces},
    {"large_pages", case_large_pages},
    {NULL, NULL},
};

const struct ktest_suite suite_aspaces = {.name = "aspaces", .cases = cases};
