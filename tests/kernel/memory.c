/*
 * memory.c: frames, heap and kernel mappings.
 */
#include <microlake/reclaim.h>
#include <microlake/spinlock.h>
#include "ktest.h"

#define BLOCKS 512

static void frames_shuffled(void)
{
    static paddr_t block[BLOCKS];
    static unsigned order[BLOCKS];
    uint64_t random = 1;

    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            order[i] = ktest_random(&random) % 3;
            block[i] = frame_alloc(order[i], 0);
            EXPECT(block[i] && !(block[i] & ((PAGE_SIZE << order[i]) - 1)));
            if (block[i])
                *(uint64_t *)phys_to_virt(block[i]) = i;
        }
        for (unsigned i = 0; i < BLOCKS; i++) { /* out of order */
            unsigned at = i * 199 % BLOCKS;

            EXPECT(*(uint64_t *)phys_to_virt(block[at]) == at);
            frame_free(block[at], order[at]);
        }
    }
}

static void frames_zeroed(void)
{
    paddr_t dirty = frame_alloc(0, 0), clean;

    memset(phys_to_virt(dirty), 0xa5, PAGE_SIZE);
    frame_free(dirty, 0);
    clean = frame_alloc(0, FRAME_ZERO);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        EXPECT(((uint64_t *)phys_to_virt(clean))[i] == 0);
    frame_free(clean, 0);
}

/* Everything is taken, to the last frame; every later call fails, and all of it comes back. */
static void frames_exhausted(void)
{
    struct link {
        struct link *next;
        unsigned order;
    } *all = NULL;
    struct memory_stats before, after;

    memory_stats(&before);
    for (int order = 9; order >= 0; order--) {
        paddr_t pa;

        while ((pa = frame_alloc((unsigned)order, FRAME_NOWAIT))) {
            struct link *l = phys_to_virt(pa);

            *l = (struct link){all, (unsigned)order};
            all = l;
        }
    }
    EXPECT(frame_alloc(0, FRAME_NOWAIT) == 0);
    EXPECT(frame_alloc(FRAME_MAX_ORDER + 1, FRAME_NOWAIT) == 0);
    EXPECT(kmalloc(100 << 10) == NULL);
    while (all) {
        struct link *l = all;

        all = l->next;
        frame_free(virt_to_phys(l), l->order);
    }
    memory_stats(&after);
    EXPECT(after.free + (256 << 10) >= before.free);
}

static void frames_counted(void)
{
    paddr_t pa = frame_alloc(0, 0);

    EXPECT(frame_refs(pa) == 1);
    frame_ref(pa);
    EXPECT(frame_refs(pa) == 2);
    frame_unref(pa);
    EXPECT(frame_refs(pa) == 1);
    frame_unref(pa);
}

static void heap_sizes(void)
{
    static uint8_t *p[600];

    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        size_t size = 1 + i * 37 % 9000;

        p[i] = kmalloc(size);
        EXPECT(p[i] && !((uint64_t)p[i] & 15));
        memset(p[i], (int)i, size);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        size_t size = 1 + i * 37 % 9000;

        EXPECT(p[i][0] == (uint8_t)i && p[i][size - 1] == (uint8_t)i);
        kfree(p[i]);
    }
    EXPECT(kmalloc(1ul << 40) == NULL);
    kfree(NULL);
}

static void heap_worker(void *arg)
{
    uint64_t random = (uint64_t)arg + 1;
    void *p[32] = {0};

    for (unsigned i = 0; i < 20000; i++) {
        unsigned at = ktest_random(&random) % 32;

        kfree(p[at]);
        p[at] = kmalloc(ktest_random(&random) % 700);
        EXPECT(p[at]);
    }
    for (unsigned i = 0; i < 32; i++)
        kfree(p[i]);
}

static void heap_from_all_cpus(void)
{
    struct thread *t[8];

    for (unsigned i = 0; i < 8; i++)
        EXPECT(thread_create("heap", heap_worker, (void *)(uint64_t)i, &t[i]) == OK);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(thread_join(t[i], TIME_NEVER) == OK);
        thread_unref(t[i]);
    }
}

static void mappings(void)
{
    paddr_t pa[4];
    volatile uint64_t *p;

    for (unsigned i = 0; i < 4; i++) {
        pa[i] = frame_alloc(0, FRAME_ZERO);
        *(uint64_t *)phys_to_virt(pa[i]) = i + 1;
    }
    p = kmap_frames(pa, 4, KMAP_WRITE);
    EXPECT(p != NULL);
    for (unsigned i = 0; p && i < 4; i++) {
        EXPECT(p[i * PAGE_SIZE / 8] == i + 1);
        p[i * PAGE_SIZE / 8] = i + 10;
        EXPECT(*(uint64_t *)phys_to_virt(pa[i]) == i + 10);
        EXPECT(virt_to_phys((void *)&p[i * PAGE_SIZE / 8]) == pa[i]);
    }
    kunmap((void *)p, 4 * PAGE_SIZE);
    for (unsigned i = 0; i < 4; i++)
        frame_free(pa[i], 0);
}

/* Room for n addresses, in one block. */
static paddr_t *room_alloc(uint64_t n)
{
    unsigned order = 0;
    paddr_t pa;

    while (PAGE_SIZE << order < n * sizeof(paddr_t))
        order++;
    pa = frame_alloc(order, 0);
    return pa ? phys_to_virt(pa) : NULL;
}

static void room_free(paddr_t *room, uint64_t n)
{
    unsigned order = 0;

    while (PAGE_SIZE << order < n * sizeof(paddr_t))
        order++;
    if (room)
        frame_free(virt_to_phys(room), order);
}

struct hoard {
    struct reclaimer reclaimer;
    struct spinlock lock;
    paddr_t *frames;
    uint64_t count; /* guarded by lock */
};

static uint64_t hoard_reclaim(struct reclaimer *r, uint64_t frames)
{
    struct hoard *h = container_of(r, struct hoard, reclaimer);
    uint64_t given = 0;

    for (; given < frames; given++) {
        paddr_t pa = 0;

        spin_lock(&h->lock);
        if (h->count)
            pa = h->frames[--h->count];
        spin_unlock(&h->lock);
        if (!pa)
            break;
        frame_free(pa, 0);
    }
    return given;
}

/* A cache holds three quarters of the memory; whoever needs more than the rest gets it from there. */
static void reclaim(void)
{
    static struct hoard h = {.reclaimer = {.name = "hoard", .reclaim = hoard_reclaim}};
    struct memory_stats memory;
    struct reclaim_stats stats;
    uint64_t half, taken = 0, held = 0;
    paddr_t *mine;

    memory_stats(&memory);
    half = memory.free / PAGE_SIZE / 2;
    h.frames = room_alloc(2 * half);
    mine = room_alloc(half);
    EXPECT(h.frames && mine);
    for (h.count = 0; h.frames && h.count < half * 3 / 2; h.count++)
        h.frames[h.count] = frame_alloc(0, 0);
    held = h.count;
    EXPECT(reclaimer_register(&h.reclaimer) == OK);
    for (; mine && taken < half; taken++) {
        mine[taken] = frame_alloc(0, 0);
        if (!mine[taken])
            break;
    }
    EXPECT(taken == half);
    reclaimer_unregister(&h.reclaimer); /* it does not run any more: figures hold still */
    reclaim_stats(&stats);
    EXPECT(h.reclaimer.reclaimed > 0 && h.reclaimer.reclaimed + h.count == held);
    EXPECT(stats.runs + stats.direct > 0 && stats.low < stats.high);
    while (taken)
        frame_free(mine[--taken], 0);
    hoard_reclaim(&h.reclaimer, ~0ul);
    room_free(h.frames, 2 * half);
    room_free(mine, half);
}

static const struct ktest_case cases[] = {
    {"frames_shuffled", frames_shuffled},   {"frames_zeroed", frames_zeroed},
    {"frames_counted", frames_counted},     {"heap_sizes", heap_sizes},
    {"heap_from_all_cpus", heap_from_all_cpus}, {"mappings", mappings},
    {"reclaim", reclaim},                   {"frames_exhausted", frames_exhausted},
    {NULL, NULL},
};

const struct ktest_suite suite_memory = {.name = "memory", .cases = cases};
