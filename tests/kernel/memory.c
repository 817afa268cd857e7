/*
 * memory.c: frames, heap and kernel mappings.
 */
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

static const struct ktest_case cases[] = {
    {"frames_shuffled", frames_shuffled},   {"frames_zeroed", frames_zeroed},
    {"frames_counted", frames_counted},     {"heap_sizes", heap_sizes},
    {"heap_from_all_cpus", heap_from_all_cpus}, {"mappings", mappings},
    {"frames_exhausted", frames_exhausted}, {NULL, NULL},
};

const struct ktest_suite suite_memory = {.name = "memory", .cases = cases};
