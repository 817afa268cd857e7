/*
 * memory.c: the frames of guest buffers. Blocks are as large as can be had, because every block may
 * be a segment that the device has to map; neighbours in memory become one segment.
 */
#include "internal.h"

static void memory_free(struct gpu_memory *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        gpu_count(&gpu_counters.memory, -(int64_t)(PAGE_SIZE << m->blocks[i].order));
        frame_free(m->blocks[i].base, m->blocks[i].order);
    }
    kfree(m->blocks);
    kfree(m);
}

void gpu_memory_unref(struct gpu_memory *m)
{
    if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
        memory_free(m);
}

/* The largest order that is not more than `pages`. */
static unsigned order_below(uint64_t pages)
{
    unsigned order = 63u - (unsigned)__builtin_clzll(pages);

    return MIN(order, FRAME_MAX_ORDER);
}

/* A block of up to *order; *order becomes what it is. Only single frames are worth waiting for. */
static paddr_t block_alloc(unsigned *order)
{
    paddr_t base;

    for (; *order > 0; --*order) {
        base = frame_alloc(*order, FRAME_ZERO | FRAME_NOWAIT);
        if (base)
            return base;
    }
    return frame_alloc(0, FRAME_ZERO);
}

static int block_append(struct gpu_memory *m, struct gpu_block block, uint32_t max_blocks)
{
    if (m->count == m->room) {
        uint32_t room = m->room ? MIN(m->room * 2, max_blocks) : MIN(8u, max_blocks);
        struct gpu_block *blocks = room > m->room ? kmalloc(room * sizeof(*blocks)) : NULL;

        if (!blocks)
            return ERR_NO_MEMORY;
        if (m->count)
            memcpy(blocks, m->blocks, m->count * sizeof(*blocks));
        kfree(m->blocks);
        m->blocks = blocks;
        m->room = room;
    }
    m->blocks[m->count++] = block;
    gpu_count(&gpu_counters.memory, (int64_t)(PAGE_SIZE << block.order));
    return OK;
}

static int memory_fill(struct gpu_memory *m, uint32_t max_blocks)
{
    unsigned order = FRAME_MAX_ORDER;

    for (uint64_t page = 0; page < m->pages; page += 1ull << order) {
        struct gpu_block block = {.first = page};

        order = MIN(order, order_below(m->pages - page));
        block.base = block_alloc(&order);
        block.order = order;
        if (!block.base)
            return ERR_NO_MEMORY;
        if (block_append(m, block, max_blocks) != OK) {
            frame_free(block.base, block.order);
            return ERR_NO_MEMORY;
        }
    }
    return OK;
}

/* Refuses what can't be had before it starves everybody else. */
static bool memory_enough(uint64_t size)
{
    struct memory_stats stats;

    memory_stats(&stats);
    return size < stats.free + stats.reclaimable;
}

int gpu_memory_create(uint64_t size, uint32_t max_blocks, struct gpu_memory **out)
{
    struct gpu_memory *m = memory_enough(size) ? kzalloc(sizeof(*m)) : NULL;

    if (!m)
        return ERR_NO_MEMORY;
    m->refs = 1;
    m->pages = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT;
    if (memory_fill(m, max_blocks) != OK) {
        memory_free(m);
        return ERR_NO_MEMORY;
    }
    *out = m;
    return OK;
}

const struct gpu_block *gpu_memory_block(const struct gpu_memory *m, uint64_t page)
{
    uint32_t low = 0, high = m->count;

    if (page >= m->pages)
        return NULL;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (m->blocks[middle].first <= page)
            low = middle;
        else
            high = middle;
    }
    return &m->blocks[low];
}

uint32_t gpu_memory_segments(const struct gpu_memory *m, struct vgpgpu_segment *out)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct gpu_block *b = &m->blocks[i];
        uint64_t bytes = PAGE_SIZE << b->order;

        if (count && out[count - 1].address + out[count - 1].length == b->base)
            out[count - 1].length += bytes;
        else
            out[count++] = (struct vgpgpu_segment){b->base, bytes};
    }
    return count;
}

/* ---- As a memory object
 * -------------------------------------------------------------------------- */

static int pager_frame(void *pager, uint64_t index, paddr_t *out)
{
    const struct gpu_block *b = gpu_memory_block(pager, index);

    if (!b)
        return ERR_RANGE;
    *out = b->base + ((index - b->first) << PAGE_SHIFT);
    return OK;
}

static void pager_closed(void *pager)
{
    gpu_memory_unref(pager);
}

static const struct pager_ops memory_pager = {.frame = pager_frame, .closed = pager_closed};

int gpu_memory_object(struct gpu_memory *m, struct memobj **out)
{
    int r;

    __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
    r = memobj_create_pager(m->pages << PAGE_SHIFT, &memory_pager, m, out);
    if (r != OK)
        gpu_memory_unref(m);
    return r;
}
