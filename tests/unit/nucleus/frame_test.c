/*
 * frame_test.c: the frame allocator against a model of who owns each frame, on machines with holes
 * and odd boundaries; exhaustion; the per-CPU caches; and that what must not be freed ends in a
 * panic.
 */
#include "frame_rig.h"

#define BLOCKS_MAX 4000
#define STEPS      100000
#define GARBAGE    0x01 /* as a state, it means "free" */

struct block {
    paddr_t pa;
    unsigned order, refs;
};

static struct block blocks[BLOCKS_MAX];
static unsigned block_count;
static uint8_t *owned; /* a byte for each frame */

/* ---- the model --------------------------------------------------------------------------------
 */

static void model_start(void)
{
    owned = calloc(rig_frame_end(), 1);
    block_count = 0;
}

static void model_add(paddr_t pa, unsigned order)
{
    uint64_t n = pa >> PAGE_SHIFT;

    assert_int_equal(pa & ((PAGE_SIZE << order) - 1), 0);
    for (uint64_t i = n; i < n + (1ul << order); i++) {
        if (!rig_managed(i) || owned[i])
            fail_msg("frame %lx of order %u: %lx is %s", n, order, i,
                     rig_managed(i) ? "in use" : "no memory");
        owned[i] = 1;
    }
    assert_int_equal(frame_refs(pa), 1);
    assert_int_equal(frame_order(pa), order);
    blocks[block_count++] = (struct block){pa, order, 1};
}

static void model_remove(unsigned i)
{
    memset(owned + (blocks[i].pa >> PAGE_SHIFT), 0, 1ul << blocks[i].order);
    blocks[i] = blocks[--block_count];
}

static unsigned order_random(unsigned most)
{
    return random_below(2) ? 0 : (unsigned)random_below(most + 1);
}

static void step_alloc(unsigned most)
{
    unsigned order = order_random(most);
    paddr_t pa;

    if (block_count == BLOCKS_MAX)
        return;
    pa = frame_alloc(order, FRAME_NOWAIT);
    if (pa)
        model_add(pa, order);
}

static void step_free(void)
{
    unsigned i = (unsigned)random_below(block_count);

    if (random_below(2) && blocks[i].refs == 1)
        frame_free(blocks[i].pa, blocks[i].order);
    else
        while (blocks[i].refs-- > 0)
            frame_unref(blocks[i].pa);
    model_remove(i);
}

static void step_ref(void)
{
    struct block *b = &blocks[random_below(block_count)];

    if (b->refs > 1 && random_below(2)) {
        frame_unref(b->pa);
        b->refs--;
    } else {
        frame_ref(b->pa);
        b->refs++;
    }
    assert_int_equal(frame_refs(b->pa), b->refs);
}

static void step_split(void)
{
    unsigned i = (unsigned)random_below(block_count);
    struct block b = blocks[i];

    if (b.refs != 1 || b.order > 6 || block_count + (1u << b.order) > BLOCKS_MAX)
        return;
    frame_split(b.pa, b.order);
    model_remove(i);
    for (unsigned n = 0; n < 1u << b.order; n++)
        model_add(b.pa + n * PAGE_SIZE, 0);
}

static void random_operations(unsigned most, unsigned steps)
{
    for (unsigned step = 0; step < steps; step++) {
        bool growing = step / 5000 % 2 == 0;

        cpu_run_on((unsigned)random_below(cpu_count()));
        if (!block_count || random_below(10) < (growing ? 6 : 4))
            step_alloc(most);
        else if (random_below(8) == 0)
            step_ref();
        else if (random_below(50) == 0)
            step_split();
        else
            step_free();
        if (step % 5000 == 0)
            rig_check();
    }
}

static void free_all(void)
{
    while (block_count)
        step_free();
    free(owned);
}

static void test_random_operations(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rig_layout_count; i++) {
        bool large = rig_layouts[i].ram[2].end > 1ul << 32;

        random_seed(i);
        rig_start(&rig_layouts[i], 3, GARBAGE);
        rig_check_whole();
        model_start();
        random_operations(large ? FRAME_MAX_ORDER : 9, large ? STEPS / 20 : STEPS);
        free_all();
        rig_drain();
        rig_check_whole();
        rig_stop();
    }
}

/* ---- start-up ---------------------------------------------------------------------------------
 */

static paddr_t place_random(paddr_t end)
{
    return random_below(3) ? random_below(end) : random_below(end) & ~PAGE_MASK;
}

/* Regions in order, none touching another; then places for image and archive above the first MiB.
 */
static struct rig_layout layout_random(void)
{
    struct rig_layout layout = {.ram = {{0}}};
    paddr_t at = 0x10000 + random_below(16) * PAGE_SIZE;
    unsigned regions = 1 + (unsigned)random_below(ARRAY_SIZE(layout.ram));
    struct memory_region *last;

    for (unsigned i = 0; i < regions; i++) {
        uint64_t size = i + 1 < regions ? 1 + random_below(300) : 1500 + random_below(3000);

        layout.ram[i] = (struct memory_region){at, at + size * PAGE_SIZE};
        at = layout.ram[i].end + (1 + random_below(40)) * PAGE_SIZE;
    }
    last = &layout.ram[regions - 1];
    layout.image.start = last->start + place_random(200 * PAGE_SIZE);
    layout.image.end = layout.image.start + place_random(300 * PAGE_SIZE);
    layout.archive.start =
        random_below(2) ? layout.image.end : layout.image.end + place_random(1 << 21);
    layout.archive.end = layout.archive.start + place_random(1 << 21);
    if (random_below(2))
        layout.command_line = layout.ram[0].start + random_below(last->end - layout.ram[0].start);
    return layout;
}

static void test_random_machines(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 150; seed++) {
        struct rig_layout layout;

        random_seed(seed);
        layout = layout_random();
        rig_start(&layout, 1, GARBAGE);
        rig_check_whole();
        model_start();
        random_operations(9, 500);
        free_all();
        rig_drain();
        rig_check_whole();
        rig_stop();
    }
}

static void test_figures(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rig_layout_count; i++) {
        struct memory_stats before, after;
        uint64_t ram = 0;
        paddr_t pa;

        rig_start(&rig_layouts[i], 2, 0);
        for (unsigned r = 0; r < boot_info.ram_count; r++) {
            ram += boot_info.ram[r].end - boot_info.ram[r].start;
            assert_true(frame_is_ram(boot_info.ram[r].start));
            assert_true(frame_is_ram(boot_info.ram[r].end - 1));
            assert_false(frame_is_ram(boot_info.ram[r].end));
            assert_false(frame_is_ram(boot_info.ram[r].start - 1));
        }
        memory_stats(&before);
        assert_int_equal(before.total, ram);
        assert_int_equal(before.free, rig_managed_count() * PAGE_SIZE);
        assert_int_equal(before.metadata, before.total - before.free);
        pa = frame_alloc(0, 0); /* the cache that it fills is free memory too */
        memory_stats(&after);
        assert_int_equal(after.free, before.free - PAGE_SIZE);
        frame_free(pa, 0);
        rig_stop();
    }
}

static void init(uint64_t a, uint64_t b)
{
    (void)a, (void)b;
    frame_init();
}

static void test_no_memory_at_all(void **state)
{
    static const struct rig_layout small = {.ram = {{0x100000, 0x102000}},
                                            .image = {0x100000, 0x101fff}};

    (void)state;
    boot_info.ram_count = 0;
    assert_panics("no memory", init, 0, 0);
    boot_info.ram[0] = small.ram[0];
    boot_info.ram_count = 1;
    boot_info.image_end = small.image.end;
    boot_info.archive = boot_info.archive_end = 0;
    assert_panics("give the machine more", init, 0, 0);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static void test_exhaustion(void **state)
{
    unsigned count = 0;
    paddr_t pa, *all;

    (void)state;
    rig_start(&rig_layouts[0], 2, 0);
    all = calloc(rig_managed_count(), sizeof(*all));
    assert_int_equal(frame_alloc(FRAME_MAX_ORDER + 1, 0), 0);
    assert_int_equal(frame_alloc(UINT32_MAX, 0), 0);
    assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_NOWAIT), 0);
    while ((pa = frame_alloc(0, FRAME_NOWAIT)))
        all[count++] = pa;
    assert_int_equal(count, rig_managed_count());
    assert_int_equal(frames_free(), 0);
    assert_int_equal(frame_alloc(1, FRAME_NOWAIT), 0);
    assert_int_equal(rig_reclaims, 0);

    assert_int_equal(frame_alloc(0, 0), 0); /* who may wait asks for memory back */
    assert_int_equal(rig_reclaims, 1);
    rig_reclaimable = all[7];
    assert_int_equal(frame_alloc(0, 0), all[7]);
    assert_int_equal(rig_reclaims, 2);

    while (count)
        frame_free(all[--count], 0);
    rig_drain();
    rig_check_whole();
    free(all);
    rig_stop();
}

static void test_largest_blocks(void **state)
{
    paddr_t got[8];
    unsigned count = 0;

    (void)state;
    rig_start(&rig_layouts[2], 1, GARBAGE);
    while (count < ARRAY_SIZE(got) && (got[count] = frame_alloc(FRAME_MAX_ORDER, FRAME_NOWAIT)))
        count++;
    assert_int_equal(count,
                     2); /* 1..2 and 4..5 GiB; the archive ends in the third of the lower three */
    assert_int_equal(got[0] % (1ul << 30), 0);
    while (count)
        frame_free(got[--count], FRAME_MAX_ORDER);
    rig_check_whole();
    rig_stop();
}

static void test_zero(void **state)
{
    uint8_t *p;
    paddr_t pa;

    (void)state;
    rig_start(&rig_layouts[1], 1, GARBAGE);
    for (unsigned order = 0; order < 4; order++) {
        pa = frame_alloc(order, 0);
        p = phys_to_virt(pa);
        memset(p, 0xff, PAGE_SIZE << order);
        frame_free(pa, order);
        assert_int_equal(frame_alloc(order, FRAME_ZERO), pa);
        for (size_t i = 0; i < PAGE_SIZE << order; i++)
            assert_int_equal(p[i], 0);
        frame_free(pa, order);
    }
    rig_stop();
}

static void test_injected_failure(void **state)
{
    paddr_t pa;

    (void)state;
    rig_start(&rig_layouts[0], 1, 0);
    running_cpu->current->fail_allocation = 2;
    pa = frame_alloc(0, 0);
    assert_int_not_equal(pa, 0);
    assert_int_equal(frame_alloc(0, 0), 0);
    assert_int_equal(rig_reclaims, 0);
    frame_free(pa, 0);
    assert_int_equal(frame_alloc(0, 0), pa);
    frame_free(pa, 0);
    rig_stop();
}

static void test_watermark(void **state)
{
    (void)state;
    rig_start(&rig_layouts[0], 1, 0);
    frame_free(frame_alloc(3, 0), 3);
    assert_int_equal(rig_wakes, 0);
    rig_low = true;
    frame_free(frame_alloc(3, 0), 3);
    assert_int_equal(rig_wakes, 1);
    rig_stop();
}

/* ---- per-CPU caches ---------------------------------------------------------------------------
 */

static void test_caches(void **state)
{
    paddr_t got[200];

    (void)state;
    rig_start(&rig_layouts[1], 2, GARBAGE);
    got[0] = frame_alloc(0, 0);
    assert_int_equal(rig_cached(0), 31);
    cpu_run_on(1);
    assert_int_equal(rig_cached(1), 0);
    frame_free(got[0], 0); /* it stays with the CPU that frees it, and is given out again there */
    assert_int_equal(rig_cached(1), 1);
    assert_int_equal(frame_alloc(0, 0), got[0]);
    frame_free(got[0], 0);

    for (unsigned i = 0; i < 200; i++)
        got[i] = frame_alloc(0, 0);
    assert_int_equal(rig_cached(0), 31); /* nobody takes from another CPU */
    for (unsigned i = 0; i < 200; i++) {
        frame_free(got[i], 0);
        assert_true(rig_cached(1) <= 64);
        rig_check();
    }
    rig_drain();
    rig_check_whole();
    rig_stop();
}

/* ---- what must not be freed -------------------------------------------------------------------
 */

static void free_block(uint64_t pa, uint64_t order)
{
    frame_free(pa, (unsigned)order);
}

static void split_block(uint64_t pa, uint64_t order)
{
    frame_split(pa, (unsigned)order);
}

static void ref(uint64_t pa, uint64_t unused)
{
    (void)unused;
    frame_ref(pa);
}

static void unref(uint64_t pa, uint64_t unused)
{
    (void)unused;
    frame_unref(pa);
}

static void look(uint64_t pa, uint64_t unused)
{
    (void)unused;
    frame_refs(pa);
}

static void test_double_free(void **state)
{
    (void)state;
    for (unsigned order = 0; order <= 9; order++) {
        paddr_t pa, beside;

        rig_start(&rig_layouts[1], 1, 0);
        pa = frame_alloc(order, 0);
        beside = frame_alloc(order, 0);
        free_block(pa, order);
        assert_panics("not in use", free_block, pa, order);
        assert_panics("not in use", unref, pa, 0);
        assert_panics("not in use", ref, pa, 0);
        assert_panics("not in use", look, pa, 0);
        free_block(beside, order); /* the two may have become one block with the first in front */
        assert_panics("not in use", free_block, pa, order);
        assert_panics("not in use", free_block, beside, order);
        rig_check();
        rig_stop();
    }
}

static void test_wrong_order(void **state)
{
    paddr_t pa;

    (void)state;
    rig_start(&rig_layouts[1], 1, 0);
    pa = frame_alloc(3, 0);
    assert_panics("order 0, allocated with order 3", free_block, pa, 0);
    assert_panics("order 4, allocated with order 3", free_block, pa, 4);
    assert_panics("order 99", free_block, pa, 99);
    for (unsigned i = 1; i < 8; i++)
        assert_panics("not in use", free_block, pa + i * PAGE_SIZE, 0);
    frame_split(pa, 3);
    assert_panics("order 3, allocated with order 0", free_block, pa, 3);
    assert_panics("assertion", split_block, pa, 3);
    frame_ref(pa);
    assert_panics("assertion", split_block, pa, 0);
    frame_unref(pa);
    for (unsigned i = 0; i < 8; i++)
        frame_unref(pa + i * PAGE_SIZE);
    rig_drain();
    rig_check_whole();
    rig_stop();
}

static void test_wild_free(void **state)
{
    paddr_t pa;

    (void)state;
    rig_start(&rig_layouts[0], 1, 0);
    pa = frame_alloc(0, 0);
    assert_panics("not in use", free_block, 0, 0);
    assert_panics("not in use", free_block, pa + 8, 0);
    assert_panics("not in use", free_block, pa + (1ul << 44), 0); /* frame numbers have 32 bits */
    assert_panics("not in use", free_block, UINT64_MAX & ~PAGE_MASK, 0);
    assert_panics("not in use", free_block, rig_frame_end() << PAGE_SHIFT, 0);
    assert_panics("not in use", free_block, boot_info.image_start, 0);
    assert_panics("not in use", free_block, 0xa0000, 0);
    assert_panics("not in use", free_block, 14ul << 20, 0); /* free, in the middle of a block */
    free_block(pa, 0);
    rig_drain();
    rig_check_whole();
    rig_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_random_machines),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_no_memory_at_all),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_largest_blocks),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_injected_failure),
        cmocka_unit_test(test_watermark),
        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_double_free),
        cmocka_unit_test(test_wrong_order),
        cmocka_unit_test(test_wild_free),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
