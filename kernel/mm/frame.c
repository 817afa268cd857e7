/*
 * frame.c: page frames: a binary buddy allocator (Knuth, TAOCP 1, 2.5) with per-CPU caches of single
 * frames.
 *
 * The frame table has 16 bytes a frame, valid only for the first frame of a block that is or was
 * handed out or free ("head"): so start-up writes a handful of entries, whatever the machine's size.
 * A block's buddy is always a valid head, because splitting made both.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include "mm.h"

enum frame_state { STATE_RESERVED = 0, STATE_FREE, STATE_USED, STATE_CACHED };

struct frame {
    union {
        struct {
            uint32_t next, prev; /* FREE: links of the order's list; 0 ends. Guarded by buddy_lock */
        };
        struct {
            uint32_t refs;  /* USED */
            uint32_t owner; /* USED: the heap's */
        };
    };
    uint8_t order;
    uint8_t state;
    uint16_t tag; /* USED: the heap's */
    uint32_t pad;
};
_Static_assert(sizeof(struct frame) == 16, "frame table entry");

#define EARLY_END (1ul << 30) /* the page tables of the start map that much */

#define CACHE_SIZE  64
#define CACHE_BATCH 32

struct frame_cache {
    uint32_t count;
    uint32_t frames[CACHE_SIZE];
};

static struct frame *frames;
static uint32_t frame_limit; /* frames 0..limit-1 are in the table */
static uint32_t free_heads[FRAME_MAX_ORDER + 1];
static uint64_t free_frames, total_frames, reserved_frames;
static struct spinlock buddy_lock;
static struct frame_cache caches[MAX_CPUS]; /* own CPU, interrupts off */

static void free_push(uint32_t n, unsigned order)
{
    frames[n].state = STATE_FREE;
    frames[n].order = (uint8_t)order;
    frames[n].prev = 0;
    frames[n].next = free_heads[order];
    if (frames[n].next)
        frames[frames[n].next].prev = n;
    free_heads[order] = n;
}

static void free_unlink(uint32_t n, unsigned order)
{
    if (frames[n].prev)
        frames[frames[n].prev].next = frames[n].next;
    else
        free_heads[order] = frames[n].next;
    if (frames[n].next)
        frames[frames[n].next].prev = frames[n].prev;
}

static void used_mark(uint32_t n, unsigned order)
{
    frames[n] = (struct frame){.refs = 1, .order = (uint8_t)order, .state = STATE_USED};
}

static uint32_t block_take_locked(unsigned order)
{
    unsigned o = order;
    uint32_t n;

    while (o <= FRAME_MAX_ORDER && !free_heads[o])
        o++;
    if (o > FRAME_MAX_ORDER)
        return 0;
    n = free_heads[o];
    free_unlink(n, o);
    while (o > order) {
        o--;
        free_push(n + (1u << o), o);
    }
    used_mark(n, order);
    free_frames -= 1ul << order;
    return n;
}

static void block_give_locked(uint32_t n, unsigned order)
{
    free_frames += 1ul << order;
    for (; order < FRAME_MAX_ORDER; order++) {
        uint32_t buddy = n ^ (1u << order);

        if (buddy >= frame_limit || frames[buddy].state != STATE_FREE || frames[buddy].order != order)
            break;
        free_unlink(buddy, order);
        frames[n].state = STATE_RESERVED;
        frames[buddy].state = STATE_RESERVED;
        n &= ~(1u << order);
    }
    free_push(n, order);
}

static uint32_t cache_take(void)
{
    struct frame_cache *cache = &caches[this_cpu()->id];

    if (!cache->count) {
        spin_lock(&buddy_lock);
        while (cache->count < CACHE_BATCH) {
            uint32_t n = block_take_locked(0);

            if (!n)
                break;
            frames[n].state = STATE_CACHED;
            cache->frames[cache->count++] = n;
        }
        spin_unlock(&buddy_lock);
    }
    if (!cache->count)
        return 0;
    cache->count--;
    used_mark(cache->frames[cache->count], 0);
    return cache->frames[cache->count];
}

static void cache_give(uint32_t n)
{
    struct frame_cache *cache = &caches[this_cpu()->id];

    if (cache->count == CACHE_SIZE) {
        spin_lock(&buddy_lock);
        while (cache->count > CACHE_SIZE - CACHE_BATCH)
            block_give_locked(cache->frames[--cache->count], 0);
        spin_unlock(&buddy_lock);
    }
    frames[n].state = STATE_CACHED;
    cache->frames[cache->count++] = n;
}

static uint32_t block_take(unsigned order)
{
    uint64_t irq = interrupts_disable();
    uint32_t n;

    if (order == 0) {
        n = cache_take();
    } else {
        spin_lock(&buddy_lock);
        n = block_take_locked(order);
        spin_unlock(&buddy_lock);
    }
    interrupts_restore(irq);
    if (unlikely(reclaim_below_low(free_frames)))
        reclaim_wake();
    return n;
}

uint64_t frames_free(void)
{
    return free_frames;
}

paddr_t frame_alloc(unsigned order, unsigned flags)
{
    uint32_t n;

    if (order > FRAME_MAX_ORDER || allocation_must_fail())
        return 0;
    n = block_take(order);
    /* What comes back is scattered: a block takes some more tries. */
    for (unsigned tries = 1 + 3 * order; unlikely(!n) && !(flags & FRAME_NOWAIT) && tries > 0; tries--) {
        if (!reclaim_direct(1ul << order))
            break;
        n = block_take(order);
    }
    if (n && (flags & FRAME_ZERO))
        memset(phys_to_virt((paddr_t)n << PAGE_SHIFT), 0, PAGE_SIZE << order);
    return (paddr_t)n << PAGE_SHIFT;
}

static struct frame *frame_checked(paddr_t pa, const char *what)
{
    uint64_t n = pa >> PAGE_SHIFT;

    guard_forbid();
    if ((pa & PAGE_MASK) || n >= frame_limit || frames[n].state != STATE_USED)
        panic("%s of frame %lx, which is not in use", what, pa);
    return &frames[n];
}

void frame_free(paddr_t pa, unsigned order)
{
    struct frame *f = frame_checked(pa, "free");
    uint32_t n = (uint32_t)(pa >> PAGE_SHIFT);
    uint64_t irq;

    if (f->order != order)
        panic("free of frame %lx with order %u, allocated with order %u", pa, order, f->order);
    irq = interrupts_disable();
    if (order == 0) {
        cache_give(n);
    } else {
        spin_lock(&buddy_lock);
        block_give_locked(n, order);
        spin_unlock(&buddy_lock);
    }
    interrupts_restore(irq);
}

void frame_ref(paddr_t pa)
{
    __atomic_fetch_add(&frame_checked(pa, "reference")->refs, 1, __ATOMIC_RELAXED);
}

void frame_unref(paddr_t pa)
{
    struct frame *f = frame_checked(pa, "release");

    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
        frame_free(pa, f->order);
}

unsigned frame_refs(paddr_t pa)
{
    return __atomic_load_n(&frame_checked(pa, "look")->refs, __ATOMIC_ACQUIRE);
}

bool frame_is_ram(paddr_t pa)
{
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        if (pa >= boot_info.ram[i].start && pa < boot_info.ram[i].end)
            return true;
    return false;
}

void frame_tag_set(paddr_t pa, uint16_t tag, uint32_t owner)
{
    uint32_t n = (uint32_t)(pa >> PAGE_SHIFT);

    frames[n].tag = tag;
    frames[n].owner = owner;
    if (frames[n].state != STATE_USED) { /* inside a block: make it a valid entry */
        frames[n].state = STATE_RESERVED;
        frames[n].order = 0;
    }
}

uint16_t frame_tag(paddr_t pa, uint32_t *owner)
{
    uint64_t n = pa >> PAGE_SHIFT;

    if (n >= frame_limit)
        return 0;
    *owner = frames[n].owner;
    return frames[n].tag;
}

unsigned frame_order(paddr_t pa)
{
    return frame_checked(pa, "look")->order;
}

void frame_split(paddr_t pa, unsigned order)
{
    uint32_t n = (uint32_t)(pa >> PAGE_SHIFT);

    ASSERT(frame_refs(pa) == 1 && frame_order(pa) == order);
    for (uint32_t i = 0; i < 1u << order; i++)
        used_mark(n + i, 0);
}

/* The order of the largest aligned block at the head of [start, end). */
static unsigned head_order(uint32_t start, uint32_t end)
{
    unsigned order = 0;

    while (order < FRAME_MAX_ORDER && !(start & (1u << order)) && end - start >= 2u << order)
        order++;
    return order;
}

/* Closes off the buddies of the region's blocks: the table's memory need not be zero. Those that are free
 * are added only after all regions have been through this. */
static void region_close(uint32_t start, uint32_t end)
{
    while (start < end) {
        unsigned order = head_order(start, end);
        uint32_t buddy = start ^ (1u << order);

        if (buddy < frame_limit)
            frames[buddy].state = STATE_RESERVED;
        start += 1u << order;
    }
}

/* Gives [start, end) to the allocator in the largest aligned blocks. */
static void region_add(uint32_t start, uint32_t end)
{
    reserved_frames -= end - start;
    total_frames += end - start;
    free_frames += end - start;
    while (start < end) {
        unsigned order = head_order(start, end);

        free_push(start, order);
        start += 1u << order;
    }
}

struct hole {
    paddr_t start, end;
};

static struct hole holes[4]; /* the table, image, archive and command line; sorted by address */

/* Calls fn for what [start, end) is without the holes. */
static void region_around(paddr_t start, paddr_t end, void (*fn)(uint32_t start, uint32_t end))
{
    for (unsigned i = 0; i < ARRAY_SIZE(holes) && start < end; i++) {
        paddr_t from = ALIGN_DOWN(holes[i].start, PAGE_SIZE), to = ALIGN_UP(holes[i].end, PAGE_SIZE);

        if (to <= start || from >= end || from == to)
            continue;
        if (from > start)
            fn((uint32_t)(start >> PAGE_SHIFT), (uint32_t)(from >> PAGE_SHIFT));
        start = MAX(start, to);
    }
    if (start < end)
        fn((uint32_t)(start >> PAGE_SHIFT), (uint32_t)(end >> PAGE_SHIFT));
}

/* The same for all RAM in [from, to). */
static void regions_around(paddr_t from, paddr_t to, void (*fn)(uint32_t start, uint32_t end))
{
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        region_around(MAX(boot_info.ram[i].start, from), MIN(boot_info.ram[i].end, to), fn);
}

/* The frame table goes right behind the image, or at the first place above it that has room. */
static struct hole table_place(uint64_t bytes)
{
    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        paddr_t start = MAX(boot_info.ram[i].start, ALIGN_UP(boot_info.image_end, PAGE_SIZE));

        if (boot_info.archive < start + bytes && boot_info.archive_end > start)
            start = ALIGN_UP(boot_info.archive_end, PAGE_SIZE);
        if (start < boot_info.ram[i].end && boot_info.ram[i].end - start >= bytes)
            return (struct hole){start, start + bytes};
    }
    panic("no memory for the frame table: give the machine more than %lu MiB", bytes >> 20);
}

static void holes_sort(void)
{
    for (unsigned i = 1; i < ARRAY_SIZE(holes); i++)
        for (unsigned j = i; j > 0 && holes[j].start < holes[j - 1].start; j--) {
            struct hole h = holes[j];

            holes[j] = holes[j - 1];
            holes[j - 1] = h;
        }
}

void frame_init(void)
{
    paddr_t top = 0;

    reserved_frames = 0;
    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        top = MAX(top, boot_info.ram[i].end);
        reserved_frames += (boot_info.ram[i].end - boot_info.ram[i].start) >> PAGE_SHIFT;
    }
    if (!top)
        panic("the loader named no memory");
    frame_limit = (uint32_t)(top >> PAGE_SHIFT);
    holes[0] = table_place(ALIGN_UP(frame_limit * sizeof(struct frame), PAGE_SIZE));
    holes[1] = (struct hole){boot_info.image_start, boot_info.image_end};
    holes[2] = (struct hole){boot_info.archive, boot_info.archive_end};
    holes[3] = (struct hole){(paddr_t)boot_info.command_line - DIRECT_MAP_BASE,
                             (paddr_t)boot_info.command_line - DIRECT_MAP_BASE +
                                 (boot_info.command_line ? 4096 : 0)};
    frames = phys_to_virt(holes[0].start);
    holes_sort();
    regions_around(0, UINT64_MAX, region_close);
    regions_around(0, EARLY_END, region_add);
}

void frame_init_high(void)
{
    regions_around(EARLY_END, UINT64_MAX, region_add);
}

void memory_stats(struct memory_stats *out)
{
    uint64_t cached = 0;

    for (unsigned i = 0; i < cpu_count(); i++)
        cached += caches[i].count;
    out->total = (total_frames + reserved_frames) << PAGE_SHIFT;
    out->free = (free_frames + cached) << PAGE_SHIFT;
    out->reclaimable = reclaimable_frames() << PAGE_SHIFT;
    out->metadata = reserved_frames << PAGE_SHIFT;
    out->heap = heap_bytes();
}
