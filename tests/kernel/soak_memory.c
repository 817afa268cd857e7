/*
 * soak_memory.c: workers of the soak that use memory: frames, heap, kernel mappings, address
 * spaces.
 */
#include "soak.h"
#include <microlake/aspace.h>

#define RW (PROT_READ | PROT_WRITE)

/* ---- frames, heap, mappings ------------------------------------------------------------------ */

void round_frames(struct worker *w)
{
    paddr_t block[32];
    unsigned order[32];

    (void)w;
    for (unsigned i = 0; i < ARRAY_SIZE(block); i++) {
        order[i] = soak_random() % 5;
        block[i] = frame_alloc(order[i], i % 2 ? FRAME_ZERO : 0);
        EXPECT(block[i]);
        if (block[i])
            *(paddr_t *)phys_to_virt(block[i]) = block[i];
    }
    for (unsigned i = ARRAY_SIZE(block); i-- > 0;) {
        EXPECT(!block[i] || *(paddr_t *)phys_to_virt(block[i]) == block[i]);
        if (block[i])
            frame_free(block[i], order[i]);
    }
}

#define SHELF 128

/* Objects lie on a shelf that all share, so that one CPU frees what another has allocated. */
struct thing {
    size_t size;
    uint8_t bytes[];
};

static struct thing *shelf[SHELF]; /* atomic */

static void thing_check_and_free(struct thing *o)
{
    EXPECT(!o || o->bytes[o->size - 1] == (uint8_t)o->size);
    kfree(o);
}

static void shelf_replace(void)
{
    size_t size = 1 + soak_random() % (soak_random() % 16 ? 600 : 20000);
    struct thing *o = kmalloc(sizeof(*o) + size);

    EXPECT(o);
    if (o) {
        o->size = size;
        o->bytes[size - 1] = (uint8_t)size;
    }
    thing_check_and_free(__atomic_exchange_n(&shelf[soak_random() % SHELF], o, __ATOMIC_ACQ_REL));
}

void round_heap(struct worker *w)
{
    (void)w;
    for (unsigned i = 0; i < 32; i++)
        shelf_replace();
}

static void shelf_clear(void)
{
    for (unsigned i = 0; i < SHELF; i++) {
        thing_check_and_free(shelf[i]);
        shelf[i] = NULL;
    }
}

void round_mappings(struct worker *w)
{
    uint64_t stamp = soak_random();
    paddr_t pa = frame_alloc(0, 0);
    volatile uint64_t *p = pa ? kmap_range(pa, PAGE_SIZE, KMAP_WRITE) : NULL;

    (void)w;
    EXPECT(p);
    if (p) {
        *p = stamp;
        thread_yield();
        EXPECT(*(uint64_t *)phys_to_virt(pa) == stamp);
        kunmap((void *)p, PAGE_SIZE);
    }
    if (pa)
        frame_free(pa, 0);
}

/* ---- address spaces -------------------------------------------------------------------------- */

#define SPACE_PAGES 48

static void pages_write(vaddr_t at, uint64_t stamp)
{
    for (unsigned i = 0; i < SPACE_PAGES; i += 1 + soak_random() % 3) {
        uint64_t value = stamp + i;

        EXPECT(user_write(at + i * PAGE_SIZE, &value, sizeof(value)) == OK);
    }
}

/* Each page holds what either stamp makes of it, or nothing yet. */
static void pages_check(vaddr_t at, uint64_t stamp, uint64_t other)
{
    for (unsigned i = 0; i < SPACE_PAGES; i++) {
        uint64_t value = 0;

        EXPECT(user_read(&value, at + i * PAGE_SIZE, sizeof(value)) == OK);
        EXPECT(value == 0 || value == stamp + i || value == other + i);
    }
}

/* Parent and child write the same pages after a fork; what the child writes the parent never sees.
 */
static void space_fork(struct aspace *as, vaddr_t at, uint64_t stamp)
{
    struct aspace *child = NULL;

    EXPECT(aspace_fork(as, &child) == OK);
    if (!child)
        return;
    pages_write(at, stamp);
    thread_set_aspace(child);
    pages_check(at, stamp, stamp);
    pages_write(at, ~stamp);
    pages_check(at, stamp, ~stamp);
    EXPECT(aspace_discard(child, at, PAGE_SIZE) == OK);
    thread_set_aspace(as);
    pages_check(at, stamp, stamp);
    pages_write(at, stamp);
    aspace_unref(child);
    pages_check(at, stamp, stamp);
}

void round_spaces(struct worker *w)
{
    uint64_t stamp = soak_random() | 1;
    vaddr_t at = 0, other = 0;
    struct aspace *as = NULL;

    (void)w;
    EXPECT(aspace_create(&as) == OK);
    if (!as)
        return;
    thread_set_aspace(as);
    EXPECT(aspace_map(as, 0, SPACE_PAGES * PAGE_SIZE, RW, MAP_PRIVATE, NULL, 0, &at) == OK);
    pages_write(at, stamp);
    space_fork(as, at, stamp);
    EXPECT(aspace_protect(as, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ) == OK);
    EXPECT(user_zero(at + 9 * PAGE_SIZE, 8) == ERR_FAULT);
    EXPECT(aspace_unmap(as, at + 20 * PAGE_SIZE, 4 * PAGE_SIZE) == OK);
    EXPECT(aspace_map(as, at + 20 * PAGE_SIZE, 4 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0,
                      &other) == OK);
    pages_check(at, stamp, stamp);
    thread_set_aspace(NULL);
    aspace_unref(as);
}

/* One space and one object for all copies of this worker: each round has a page of its own. */
static struct aspace *shared_space;
static struct memobj *shared_object;
static uint64_t shared_taken; /* atomic; bit n: page n is somebody's */

static unsigned shared_page_take(void)
{
    for (unsigned n = 0;; n = (n + 1) % 63)
        if (!(__atomic_fetch_or(&shared_taken, 1ull << n, __ATOMIC_ACQ_REL) >> n & 1))
            return n;
}

void round_shared_space(struct worker *w)
{
    unsigned page = shared_page_take();
    uint64_t mine = page * PAGE_SIZE, stamp = soak_random(), value = 0;
    uint32_t old;
    vaddr_t at = 0;

    (void)w;
    thread_set_aspace(shared_space);
    EXPECT(aspace_map(shared_space, 0, 64 * PAGE_SIZE, RW, 0, shared_object, 0, &at) == OK);
    EXPECT(user_write(at + mine, &stamp, sizeof(stamp)) == OK);
    EXPECT(user_read(&value, at + mine, sizeof(value)) == OK && value == stamp);
    EXPECT(user_fetch_op32(at + 64 * PAGE_SIZE - 4, USER_OP_ADD, 1, &old) == OK);
    EXPECT(aspace_unmap(shared_space, at, 64 * PAGE_SIZE) == OK);
    thread_set_aspace(NULL);
    __atomic_fetch_and(&shared_taken, ~(1ull << page), __ATOMIC_ACQ_REL);
}

/*
 * One thread maps and unmaps a page of the shared space, others watch from other CPUs: while the
 * page is there they read what was written to it last, and once it is gone no CPU remembers it.
 */
enum window_phase { WINDOW_OPEN, WINDOW_CLOSING, WINDOW_CLOSED, WINDOW_OPENING, WINDOW_PHASES };

#define WINDOW 0x10000000ul /* far from where mappings go that may go anywhere */

/* Atomic. window_turn % WINDOW_PHASES is the phase; the open page holds the turn. */
static uint64_t window_turn;

static void window_turn_to(uint64_t turn)
{
    __atomic_store_n(&window_turn, turn, __ATOMIC_SEQ_CST);
}

void round_window(struct worker *w)
{
    uint64_t turn = window_turn + 2; /* of the phase open */
    vaddr_t at;

    (void)w;
    thread_set_aspace(shared_space);
    window_turn_to(turn - 1);
    EXPECT(aspace_map(shared_space, WINDOW, PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0, &at) ==
           OK);
    EXPECT(user_write(WINDOW, &turn, sizeof(turn)) == OK);
    window_turn_to(turn);
    soak_nap(soak_random() % 50);
    window_turn_to(turn + 1);
    EXPECT(aspace_unmap(shared_space, WINDOW, PAGE_SIZE) == OK);
    window_turn_to(turn + 2);
    thread_yield();
    thread_set_aspace(NULL);
}

static void window_look(void)
{
    uint64_t turn = __atomic_load_n(&window_turn, __ATOMIC_SEQ_CST), value = 0;
    int r = user_read(&value, WINDOW, sizeof(value));

    if (turn != __atomic_load_n(&window_turn, __ATOMIC_SEQ_CST))
        return;
    if (turn % WINDOW_PHASES == WINDOW_OPEN)
        EXPECT(r == OK && value == turn);
    if (turn % WINDOW_PHASES == WINDOW_CLOSED)
        EXPECT(r == ERR_FAULT);
}

void round_watch(struct worker *w)
{
    (void)w;
    thread_set_aspace(shared_space);
    for (unsigned i = 0; i < 100; i++)
        window_look();
    thread_set_aspace(NULL);
    thread_yield();
}

/* ---- begin and end --------------------------------------------------------------------------- */

void soak_memory_begin(void)
{
    EXPECT(aspace_create(&shared_space) == OK);
    EXPECT(memobj_create_anon(64 * PAGE_SIZE, &shared_object) == OK);
    window_turn_to(WINDOW_CLOSED);
}

void soak_memory_end(void)
{
    shelf_clear();
    memobj_unref(shared_object);
    aspace_unref(shared_space);
}
