/*
 * large.c: 2 MiB pages of private zeroed memory. They appear whole on a first touch and are cut into
 * small ones wherever only a part changes: so only mapping, unmapping and protection of whole ones
 * know them.
 */
#include "aspace.h"
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/trace.h>
#include "mm.h"

COUNTER(pages_zeroed_large);

#define LARGE_ORDER 9

static bool is_large(const pte_t *e)
{
    return e && (*e & PTE_LARGE);
}

pte_t *large_entry(struct aspace *as, vaddr_t va)
{
    pte_t *e = paging_large_entry(as->root, va, false);

    return is_large(e) ? e : NULL;
}

int large_split(struct aspace *as, vaddr_t va)
{
    pte_t *e = large_entry(as, va), *table;
    paddr_t pa, frame;
    pte_t bits;

    if (!e)
        return OK;
    pa = frame_alloc(0, 0);
    if (!pa)
        return ERR_NO_MEMORY;
    frame = *e & PTE_ADDRESS;
    bits = *e & ~(PTE_ADDRESS | PTE_LARGE);
    frame_split(frame, LARGE_ORDER);
    table = phys_to_virt(pa);
    for (unsigned i = 0; i < PAGING_LARGE / PAGE_SIZE; i++)
        table[i] = (frame + i * PAGE_SIZE) | bits;
    *e = pa | PTE_PRESENT | PTE_WRITE | PTE_USER;
    va = ALIGN_DOWN(va, PAGING_LARGE);
    tlb_shootdown(as->cpus, va, va + PAGING_LARGE);
    return OK;
}

int large_split_range(struct aspace *as, vaddr_t start, vaddr_t end)
{
    int r = OK;

    for (vaddr_t va = start; r == OK && va < end; va = ALIGN_DOWN(va, PAGING_LARGE) + PAGING_LARGE)
        r = large_split(as, va);
    return r;
}

bool large_fault(struct aspace *as, const struct mapping *m, vaddr_t va)
{
    vaddr_t base = ALIGN_DOWN(va, PAGING_LARGE);
    paddr_t pa;
    pte_t *e;

    if (!(m->flags & MAP_HUGE) || m->obj || base < m->start || base + PAGING_LARGE > m->end)
        return false;
    e = paging_large_entry(as->root, va, true);
    if (!e || (*e && !is_large(e)))
        return false;
    if (!*e) {
        pa = frame_alloc(LARGE_ORDER, FRAME_ZERO);
        if (!pa)
            return false; /* small pages do */
        *e = pa | PTE_LARGE | PTE_PRIVATE | PTE_COUNTED;
        as->resident += PAGING_LARGE;
        COUNT(pages_zeroed_large, 1);
    }
    large_protect(m, e);
    tlb_shootdown(1ull << cpu_id(), va, va + PAGE_SIZE);
    return true;
}

void large_protect(const struct mapping *m, pte_t *e)
{
    paddr_t pa = *e & PTE_ADDRESS;

    *e = pa | PTE_LARGE | entry_bits(m, *e, pa);
}

void large_clear(struct aspace *as, vaddr_t va, pte_t *e)
{
    paddr_t pa = *e & PTE_ADDRESS;

    *e = 0;
    as->resident -= PAGING_LARGE;
    tlb_shootdown(as->cpus, va, va + PAGING_LARGE);
    frame_free(pa, LARGE_ORDER);
}
