/*
 * frame_rig.c: see frame_rig.h.
 */
#include "frame_rig.h"

#include "kernel/mm/frame.c"

#define MIB (1ul << 20)

const struct rig_layout rig_layouts[] = {
    {
        /* as a microvm of 16 MiB, but for an odd end */
        .ram = {{0x10000, 0x9f000}, {0x100000, 16 * MIB - 0x3000}},
        .image = {0x100000, 0x150123},
        .archive = {12 * MIB + 0x123, 13 * MIB + 0x4567},
        .command_line = 0x20010,
    },
    {
        /* the archive lies where the table would go; a hole of one frame, a region of one frame */
        .ram =
            {{0x10000, 0x9f000}, {0x100000, 0x7ff000}, {0x800000, 0x801000}, {0x803000, 0x3333000}},
        .image = {0x100000, 0x180000},
        .archive = {0x180000, 0x2a0001},
        .command_line = 0x2a0ff0,
    },
    {
        /* blocks of 1 GiB, on both sides of the hole below 4 GiB */
        .ram = {{0x10000, 0x9f000}, {0x100000, 3072 * MIB}, {4096 * MIB, 5632 * MIB + 0x7000}},
        .image = {0x100000, 0x150000},
        .archive = {3072 * MIB - 0x40000, 3072 * MIB},
    },
    {
        /* one region; image and archive share a frame; nothing is aligned to anything */
        .ram = {{0x13000, 0x1345000}},
        .image = {0x100001, 0x123456},
        .archive = {0x123456, 0x13ffff},
        .command_line = 0x150ff7,
    },
};
const unsigned rig_layout_count = ARRAY_SIZE(rig_layouts);

paddr_t rig_reclaimable;
unsigned rig_reclaims, rig_wakes;
bool rig_low;

static uint8_t *managed; /* a byte for each frame */
static uint8_t *seen;
static uint64_t managed_count;

/* ---- around frame.c ---------------------------------------------------------------------------
 */

bool reclaim_below_low(uint64_t free)
{
    (void)free;
    return rig_low;
}

uint64_t reclaimable_frames(void)
{
    return 0;
}

void reclaim_wake(void)
{
    rig_wakes++;
}

bool reclaim_direct(uint64_t n)
{
    paddr_t pa = rig_reclaimable;

    assert_true(n > 0);
    rig_reclaims++;
    rig_reclaimable = 0;
    if (pa)
        frame_free(pa, 0);
    return pa;
}

/* The heap test brings the heap. */
__attribute__((weak)) uint64_t heap_bytes(void)
{
    return 0;
}

/* ---- starting ---------------------------------------------------------------------------------
 */

static void boot_info_fill(const struct rig_layout *layout)
{
    boot_info = (struct boot_info){
        .archive = layout->archive.start,
        .archive_end = layout->archive.end,
        .image_start = layout->image.start,
        .image_end = layout->image.end,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(layout->ram) && layout->ram[i].end; i++)
        boot_info.ram[boot_info.ram_count++] = layout->ram[i];
}

static void range_unmanage(paddr_t start, paddr_t end)
{
    for (uint64_t n = start >> PAGE_SHIFT; start < end && n <= (end - 1) >> PAGE_SHIFT; n++)
        managed[n] = 0;
}

/* What the allocator may give, by its rules and not by its code. */
static void managed_find(const struct rig_layout *layout)
{
    paddr_t table = virt_to_phys(frames);

    free(managed);
    free(seen);
    managed = calloc(frame_limit, 1);
    seen = calloc(frame_limit, 1);
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        for (uint64_t n = boot_info.ram[i].start >> PAGE_SHIFT;
             n < boot_info.ram[i].end >> PAGE_SHIFT; n++)
            managed[n] = 1;
    for (uint64_t n = table >> PAGE_SHIFT;
         n < (table + frame_limit * sizeof(struct frame)) >> PAGE_SHIFT; n++)
        assert_true(managed[n]); /* the table lies in RAM */
    range_unmanage(layout->image.start, layout->image.end);
    range_unmanage(layout->archive.start, layout->archive.end);
    assert_true(managed[table >> PAGE_SHIFT]);
    range_unmanage(table, table + frame_limit * sizeof(struct frame));
    if (layout->command_line)
        range_unmanage(layout->command_line, layout->command_line + 4096);
    managed_count = 0;
    for (uint64_t n = 0; n < frame_limit; n++)
        managed_count += managed[n];
}

/* Before the final page tables: nothing is handed out that the first ones do not map. */
static void early_check(void)
{
    uint64_t count = 0;

    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
        for (uint32_t n = free_heads[order]; n; n = frames[n].next) {
            assert_true(n + (1ul << order) <= (1ul << 30) >> PAGE_SHIFT);
            count += 1ul << order;
        }
    }
    assert_true(count > 0);
    assert_int_equal(count, free_frames);
}

void rig_start(const struct rig_layout *layout, unsigned cpu_total, uint8_t table_byte)
{
    paddr_t end;

    boot_info_fill(layout);
    end = boot_info.ram[boot_info.ram_count - 1].end;
    memory_map(end);
    memset((void *)(direct_map + ALIGN_UP(layout->image.end, PAGE_SIZE)), table_byte,
           MIN(end / 256 + 4 * MIB, end - ALIGN_UP(layout->image.end, PAGE_SIZE)));
    if (layout->command_line)
        boot_info.command_line = phys_to_virt(layout->command_line);
    cpus_reset(cpu_total);
    buddy_lock = (struct spinlock)SPINLOCK_INIT;
    memset(caches, 0, sizeof(caches));
    memset(free_heads, 0, sizeof(free_heads));
    free_frames = total_frames = 0;
    rig_reclaimable = 0;
    rig_reclaims = rig_wakes = 0;
    rig_low = false;
    frame_init();
    managed_find(layout);
    early_check();
    frame_init_high();
}

void rig_stop(void)
{
    machine_check_idle();
    memory_unmap();
}

bool rig_managed(uint64_t frame)
{
    return frame < frame_limit && managed[frame];
}

uint64_t rig_managed_count(void)
{
    return managed_count;
}

uint64_t rig_frame_end(void)
{
    return frame_limit;
}

unsigned rig_cached(unsigned cpu)
{
    return caches[cpu].count;
}

/* ---- looking inside ---------------------------------------------------------------------------
 */

static void block_check(uint32_t n, unsigned order)
{
    uint32_t buddy = n ^ (1u << order);

    assert_int_equal(n & ((1u << order) - 1), 0);
    assert_int_equal(frames[n].state, STATE_FREE);
    assert_int_equal(frames[n].order, order);
    for (uint32_t i = n; i < n + (1u << order); i++) {
        assert_true(rig_managed(i));
        assert_false(seen[i]);
        seen[i] = 1;
    }
    /* Two free halves would have become one, but where two regions of RAM touch. */
    if (order < FRAME_MAX_ORDER && rig_managed(buddy) && frames[buddy].order == order)
        assert_int_not_equal(frames[buddy].state, STATE_FREE);
}

void rig_check(void)
{
    uint64_t in_lists = 0;

    memset(seen, 0, frame_limit);
    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
        uint32_t before = 0;

        for (uint32_t n = free_heads[order]; n; before = n, n = frames[n].next) {
            assert_int_equal(frames[n].prev, before);
            block_check(n, order);
            in_lists += 1ul << order;
        }
    }
    assert_int_equal(in_lists, free_frames);
    assert_int_equal(frames_free(), free_frames);
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        for (uint32_t i = 0; i < caches[cpu].count; i++) {
            uint32_t n = caches[cpu].frames[i];

            assert_true(rig_managed(n));
            assert_false(seen[n]);
            assert_int_equal(frames[n].state, STATE_CACHED);
            seen[n] = 1;
        }
    }
}

void rig_drain(void)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        while (caches[cpu].count)
            block_give_locked(caches[cpu].frames[--caches[cpu].count], 0);
}

/* The order of the largest aligned block of frames that begins at n, all to be handed out. */
static unsigned order_most(uint32_t n)
{
    unsigned order = 0;

    while (order < FRAME_MAX_ORDER && !(n & (1u << order))) {
        for (uint32_t i = n + (1u << order); i < n + (2u << order); i++)
            if (!rig_managed(i))
                return order;
        order++;
    }
    return order;
}

void rig_check_whole(void)
{
    rig_check();
    assert_int_equal(free_frames, managed_count);
    for (uint32_t n = 0; n < frame_limit;) {
        unsigned order;

        if (!managed[n]) {
            n++;
            continue;
        }
        order = order_most(n);
        assert_int_equal(frames[n].state, STATE_FREE);
        assert_int_equal(frames[n].order, order);
        n += 1u << order;
    }
}
