/*
 * fault.c: page faults and the life of page table entries: demand zero, pages of objects, and
 * copy-on-write.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/trace.h>
#include "aspace.h"
#include "memobj.h"
#include "mm.h"

COUNTER(pages_zeroed);  /* first touches of private memory */
COUNTER(pages_copied);  /* writes to shared private pages */
COUNTER(pages_mapped);  /* of memory objects */

#define ZAP_BATCH 64
#define AROUND    (64ul << 10) /* what is mapped at once where it is there already; divides a table's span */
#define STACK_LIMIT (8ul << 20)

struct zap {
    struct aspace *as;
    vaddr_t start, end; /* entries cleared and not yet flushed */
    paddr_t frames[ZAP_BATCH];
    unsigned count;
};

/* Only after no CPU can reach the frames are they given back. */
static void zap_flush(struct zap *z)
{
    if (z->start < z->end)
        tlb_shootdown(z->as->cpus, z->start, z->end);
    for (unsigned i = 0; i < z->count; i++)
        frame_unref(z->frames[i]);
    z->count = 0;
    z->start = z->end;
}

static void entry_zap(struct zap *z, vaddr_t va, pte_t *e)
{
    pte_t old = *e;

    *e = 0;
    z->as->resident -= PAGE_SIZE;
    if (z->start >= z->end)
        z->start = va;
    z->end = va + PAGE_SIZE;
    if (old & PTE_COUNTED)
        z->frames[z->count++] = old & PTE_ADDRESS;
    if (z->count == ZAP_BATCH)
        zap_flush(z);
}

void entries_clear_locked(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct zap z = {.as = as, .start = end, .end = end};

    as->most = MAX(as->most, as->resident);
    for (vaddr_t va = paging_next(as->root, start, end); va < end;
         va = paging_next(as->root, va + PAGE_SIZE, end)) {
        pte_t *e = large_entry(as, va);

        if (e) { /* whole: callers have cut those that cross start or end */
            large_clear(as, va, e);
            va += PAGING_LARGE - PAGE_SIZE;
            continue;
        }
        e = paging_entry(as->root, va, false);
        if (e && entry_used(*e))
            entry_zap(&z, va, e);
    }
    zap_flush(&z);
}

void entries_age_locked(struct aspace *as, vaddr_t *at, vaddr_t end, uint64_t looks, struct aspace_aged *out)
{
    struct zap z = {.as = as, .start = end, .end = end};

    as->most = MAX(as->most, as->resident);
    for (*at = paging_next(as->root, *at, end); *at < end && out->looked < looks;
         *at = paging_next(as->root, *at + PAGE_SIZE, end), out->looked++) {
        pte_t *e = paging_entry(as->root, *at, false);

        if (*e & PTE_PRIVATE)
            continue;
        if (!(*e & PTE_ACCESS)) {
            entry_zap(&z, *at, e);
            out->unmapped++;
        }
        *e &= ~PTE_ACCESS; /* a processor that has it in its buffers does not set it again: it counts as old early */
    }
    zap_flush(&z);
}

pte_t entry_bits(const struct mapping *m, pte_t what, paddr_t pa)
{
    pte_t bits = PTE_USER | PTE_ACCESS | (what & (PTE_COUNTED | PTE_PRIVATE));
    bool own;

    if (!(m->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return what & (PTE_COUNTED | PTE_PRIVATE); /* kept */
    if (!(m->prot & PROT_EXEC))
        bits |= PTE_NX;
    own = what & PTE_PRIVATE ? frame_refs(pa) == 1
                             : !(m->flags & MAP_PRIVATE) && (!memobj_tracks(m->obj) || (what & PTE_DIRTY));
    if ((m->prot & PROT_WRITE) && own)
        bits |= PTE_WRITE | PTE_DIRTY;
    return bits | PTE_PRESENT;
}

static void entry_set(struct aspace *as, const struct mapping *m, pte_t *e, paddr_t pa, pte_t what)
{
    if (!entry_used(*e))
        as->resident += PAGE_SIZE;
    *e = pa | entry_bits(m, what, pa);
}

/* Gives the mapping a private copy of `source` (0: zeroes) in place of what the entry held. */
static int private_page(struct aspace *as, const struct mapping *m, vaddr_t va, pte_t *e, paddr_t source)
{
    paddr_t pa = frame_alloc(0, source ? 0 : FRAME_ZERO);
    pte_t old = *e;

    if (!pa)
        return ERR_NO_MEMORY;
    if (source) {
        COUNT(pages_copied, 1);
        memcpy(phys_to_virt(pa), phys_to_virt(source), PAGE_SIZE);
    } else {
        COUNT(pages_zeroed, 1);
    }
    entry_set(as, m, e, pa, PTE_PRIVATE | PTE_COUNTED);
    if (entry_used(old)) {
        tlb_shootdown(as->cpus, va, va + PAGE_SIZE);
        if (old & PTE_COUNTED)
            frame_unref(old & PTE_ADDRESS);
    }
    return OK;
}

/* A program that reads one page of an object reads its neighbours soon: those that are there already are
 * mapped with it, and fault no more. `e` is the entry of va. */
static void neighbours_map(struct aspace *as, const struct mapping *m, vaddr_t va, pte_t *e)
{
    vaddr_t base = ALIGN_DOWN(va, AROUND), end = MIN(base + AROUND, m->end), at = MAX(base, m->start);
    uint64_t index = (m->offset + (at - m->start)) / PAGE_SIZE;

    for (e -= (va - at) / PAGE_SIZE; at < end; at += PAGE_SIZE, index++, e++) {
        bool counted;
        paddr_t pa;

        if (!entry_used(*e) && memobj_page_present(m->obj, index, &pa, &counted)) {
            entry_set(as, m, e, pa, counted ? PTE_COUNTED : 0);
            *e &= ~PTE_ACCESS;
        }
    }
}

static int object_page(struct aspace *as, const struct mapping *m, vaddr_t va, pte_t *e, bool write)
{
    uint64_t index = (m->offset + (va - m->start)) / PAGE_SIZE;
    bool counted;
    paddr_t pa;
    int r = memobj_page_get(m->obj, index, write && !(m->flags & MAP_PRIVATE), &pa, &counted);

    if (r != OK)
        return r == ERR_NO_MEMORY ? r : ERR_IO;
    if (write && (m->flags & MAP_PRIVATE)) {
        r = private_page(as, m, va, e, pa);
        if (counted)
            frame_unref(pa);
        return r;
    }
    COUNT(pages_mapped, 1);
    entry_set(as, m, e, pa, (counted ? PTE_COUNTED : 0) | (write ? PTE_DIRTY : 0));
    if (m->obj->kind == MEMOBJ_PHYS && !frame_is_ram(pa))
        *e |= PTE_PCD | PTE_PWT;
    if (!write)
        neighbours_map(as, m, va, e);
    return OK;
}

static int write_to_present(struct aspace *as, const struct mapping *m, vaddr_t va, pte_t *e)
{
    paddr_t pa = *e & PTE_ADDRESS;
    bool private_frame = *e & PTE_PRIVATE;

    if (!private_frame && !(m->flags & MAP_PRIVATE) && memobj_tracks(m->obj)) {
        entries_clear_locked(as, va, va + PAGE_SIZE);
        return object_page(as, m, va, e, true); /* and the object hears of it */
    }
    if (private_frame ? frame_refs(pa) > 1 : (m->flags & MAP_PRIVATE))
        return private_page(as, m, va, e, pa);
    *e = pa | entry_bits(m, *e, pa);
    tlb_shootdown(1ull << cpu_id(), va, va + PAGE_SIZE); /* others fault and find it so */
    return OK;
}

static struct mapping *stack_grow(struct aspace *as, vaddr_t at)
{
    struct mapping *m = mapping_from(as, at), *below;

    if (!m || !(m->flags & MAP_GROWSDOWN) || m->end - at > STACK_LIMIT)
        return NULL;
    at = ALIGN_DOWN(at, PAGE_SIZE);
    below = container_of(treap_floor(&as->mappings, at), struct mapping, node);
    if (treap_floor(&as->mappings, at) && below->end > at)
        return NULL;
    treap_remove(&as->mappings, &m->node);
    as->mapped += m->start - at;
    m->start = at;
    treap_insert(&as->mappings, &m->node, at);
    return m;
}

static bool access_allowed(const struct mapping *m, unsigned access)
{
    unsigned needed = access & FAULT_WRITE ? PROT_WRITE : access & FAULT_EXEC ? PROT_EXEC : PROT_READ;

    if (needed == PROT_READ) /* the processor has no write-only or execute-only pages */
        return m->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
    return m->prot & needed;
}

int fault_locked(struct aspace *as, vaddr_t address, unsigned access)
{
    vaddr_t va = ALIGN_DOWN(address, PAGE_SIZE);
    struct mapping *m = mapping_at(as, va);
    bool write = access & FAULT_WRITE;
    pte_t *e;

    if (!m)
        m = stack_grow(as, va);
    if (!m)
        return ERR_NOT_FOUND;
    if (!access_allowed(m, access))
        return ERR_ACCESS;
    if (large_fault(as, m, va))
        return OK;
    e = paging_entry(as->root, va, true);
    if (!e)
        return ERR_NO_MEMORY;
    if (entry_used(*e)) {
        if (write && !(*e & PTE_WRITE))
            return write_to_present(as, m, va, e);
        *e = (*e & PTE_ADDRESS) | entry_bits(m, *e, *e & PTE_ADDRESS);
        tlb_shootdown(1ull << cpu_id(), va, va + PAGE_SIZE);
        return OK;
    }
    return m->obj ? object_page(as, m, va, e, write) : private_page(as, m, va, e, 0);
}

int aspace_fault(struct aspace *as, vaddr_t address, unsigned access)
{
    int r;

    if (address >= USER_ADDRESS_END)
        return ERR_NOT_FOUND;
    mutex_lock(&as->lock);
    as->faults++;
    r = fault_locked(as, address, access);
    mutex_unlock(&as->lock);
    return r;
}
