/*
 * kva.c: the kernel's own address ranges: mappings of devices and scattered frames, guarded stacks,
 * and the modules' area. Ranges come from first-fit free lists; every mapping changes page tables
 * under one lock.
 */
#include <arch/arch.h>
#include <microlake/aspace.h>
#include <microlake/list.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include "mm.h"
#include "module_space.h"

struct range {
    struct list link; /* in its arena, by address; guarded by kva_lock */
    uint64_t start, size;
};

struct arena {
    struct list free;
};

#define STACKS_SIZE (KVA_SIZE / 2) /* stacks have a half of their own, so that an address tells */

static struct arena stacks, kva, modules;
static struct spinlock kva_lock;

static uint64_t range_end(const struct range *r)
{
    return r->start + r->size;
}

/* Takes from the first range that has room. *empty: a range to free, for nothing is left of it. The
 * last range of an arena is not from the heap and stays, were it empty. */
static uint64_t range_take_locked(struct arena *a, uint64_t size, struct range **empty)
{
    list_for_each (it, &a->free) {
        struct range *r = list_entry(it, struct range, link);
        uint64_t start = r->start;

        if (r->size < size)
            continue;
        r->start += size;
        r->size -= size;
        if (!r->size && it->next != &a->free) {
            list_remove(it);
            *empty = r;
        }
        return start;
    }
    return 0;
}

static uint64_t range_take(struct arena *a, uint64_t size)
{
    struct range *empty = NULL;
    uint64_t flags = spin_lock_irqsave(&kva_lock);
    uint64_t va = range_take_locked(a, size, &empty);

    spin_unlock_irqrestore(&kva_lock, flags);
    kfree(empty);
    return va;
}

/* The ranges on both sides of an address. The arena's last range is always above what was taken. */
static struct range *range_above_locked(struct arena *a, uint64_t start, struct range **below)
{
    *below = NULL;
    list_for_each (it, &a->free) {
        struct range *r = list_entry(it, struct range, link);

        if (r->start >= start)
            return r;
        *below = r;
    }
    panic("kernel address %016lx is given back to the wrong arena", start);
}

/* Joins [start, start + size) with its neighbours, or adds `fresh`. Returns a range to free, or NULL. */
static struct range *range_join_locked(struct arena *a, uint64_t start, uint64_t size, struct range *fresh)
{
    struct range *below, *above = range_above_locked(a, start, &below);

    if (below && range_end(below) == start) {
        below->size += size;
        if (range_end(below) != above->start)
            return fresh;
        above->start = below->start; /* the upper one stays: it may be the arena's last */
        above->size += below->size;
        list_remove(&below->link);
        kfree(fresh);
        return below;
    }
    if (start + size == above->start) {
        above->start = start;
        above->size += size;
        return fresh;
    }
    if (fresh) { /* without memory the address range is lost, never used twice */
        fresh->start = start;
        fresh->size = size;
        list_add_between(&fresh->link, above->link.prev, &above->link);
    }
    return NULL;
}

static void range_give(struct arena *a, uint64_t start, uint64_t size)
{
    struct range *fresh = kmalloc(sizeof(*fresh));
    uint64_t flags = spin_lock_irqsave(&kva_lock);
    struct range *gone = range_join_locked(a, start, size, fresh);

    spin_unlock_irqrestore(&kva_lock, flags);
    kfree(gone);
}

void kva_init(void)
{
    static struct range stacks_all = {.start = KVA_BASE, .size = STACKS_SIZE};
    static struct range kva_all = {.start = KVA_BASE + STACKS_SIZE, .size = KVA_SIZE - STACKS_SIZE};
    static struct range modules_all = {.start = MODULE_BASE, .size = MODULE_SIZE};

    list_init(&stacks.free);
    list_init(&kva.free);
    list_init(&modules.free);
    list_push_back(&stacks.free, &stacks_all.link);
    list_push_back(&kva.free, &kva_all.link);
    list_push_back(&modules.free, &modules_all.link);
}

uint64_t kva_alloc(uint64_t size)
{
    return range_take(&kva, size);
}

void kva_free(uint64_t va, uint64_t size)
{
    range_give(&kva, va, size);
}

/* Sets one kernel page. false: no memory for a table. */
static bool page_set(uint64_t va, paddr_t pa, uint64_t bits)
{
    uint64_t flags = spin_lock_irqsave(&kva_lock);
    pte_t *e = paging_entry(paging_kernel_root(), va, true);

    if (e)
        *e = pa | bits | PTE_PRESENT | PTE_GLOBAL;
    spin_unlock_irqrestore(&kva_lock, flags);
    return e;
}

static paddr_t page_clear(uint64_t va)
{
    pte_t *e = paging_entry(paging_kernel_root(), va, false);
    paddr_t pa = e ? *e & PTE_ADDRESS : 0;

    if (e)
        *e = 0;
    return pa;
}

static uint64_t kmap_bits(unsigned flags)
{
    return PTE_NX | (flags & KMAP_WRITE ? PTE_WRITE : 0) | (flags & KMAP_DEVICE ? PTE_PCD | PTE_PWT : 0);
}

void kunmap(void *address, size_t size)
{
    uint64_t va = ALIGN_DOWN((uint64_t)address, PAGE_SIZE);
    uint64_t end = ALIGN_UP((uint64_t)address + size, PAGE_SIZE);

    for (uint64_t at = va; at < end; at += PAGE_SIZE)
        page_clear(at);
    tlb_shootdown(~0ull, va, end);
    kva_free(va, end - va);
}

void *kmap_range(paddr_t pa, size_t size, unsigned flags)
{
    uint64_t offset = pa & PAGE_MASK, bytes = ALIGN_UP(size + offset, PAGE_SIZE);
    uint64_t va = kva_alloc(bytes);

    if (!va)
        return NULL;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
        if (!page_set(va + at, pa - offset + at, kmap_bits(flags))) {
            kunmap((void *)va, bytes);
            return NULL;
        }
    return (void *)(va + offset);
}

void *kmap_frames(const paddr_t *list, size_t count, unsigned flags)
{
    uint64_t va = kva_alloc(count * PAGE_SIZE);

    if (!va)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!page_set(va + i * PAGE_SIZE, list[i], kmap_bits(flags))) {
            kunmap((void *)va, count * PAGE_SIZE);
            return NULL;
        }
    return (void *)va;
}

paddr_t virt_to_phys(const void *p)
{
    uint64_t va = (uint64_t)p;
    pte_t *e;

    if (va >= KERNEL_IMAGE_BASE && va < MODULE_BASE)
        return va - KERNEL_IMAGE_BASE;
    if (va >= DIRECT_MAP_BASE && va < KVA_BASE)
        return va - DIRECT_MAP_BASE;
    e = paging_entry(paging_kernel_root(), va, false);
    return e ? (*e & PTE_ADDRESS) | (va & PAGE_MASK) : 0;
}

/* ---- stacks: a slot is a guard as large as the stack, then the stack ---- */

#define STACK_SLOT (2 * KSTACK_SIZE)
#define SPARES     32

/* Free stacks are linked through their first word. Guarded by stack_lock. */
static uint8_t *spare_stacks, *surplus_stacks;
static unsigned spare_count;
static struct spinlock stack_lock;

static uint8_t *stack_pop(uint8_t **list)
{
    uint64_t flags = spin_lock_irqsave(&stack_lock);
    uint8_t *stack = *list;

    if (stack) {
        *list = *(uint8_t **)stack;
        if (list == &spare_stacks)
            spare_count--;
    }
    spin_unlock_irqrestore(&stack_lock, flags);
    return stack;
}

static void stack_unmap(uint64_t stack, uint64_t mapped)
{
    paddr_t frames[KSTACK_SIZE / PAGE_SIZE];

    for (uint64_t at = 0; at < mapped; at += PAGE_SIZE)
        frames[at / PAGE_SIZE] = page_clear(stack + at);
    tlb_shootdown(~0ull, stack, stack + mapped);
    for (uint64_t at = 0; at < mapped; at += PAGE_SIZE)
        frame_free(frames[at / PAGE_SIZE], 0);
    range_give(&stacks, stack - KSTACK_SIZE, STACK_SLOT);
}

uint8_t *kstack_alloc(void)
{
    uint8_t *old;
    uint64_t slot;

    while ((old = stack_pop(&surplus_stacks)))
        stack_unmap((uint64_t)old, KSTACK_SIZE);
    old = stack_pop(&spare_stacks);
    if (old)
        return old;
    slot = range_take(&stacks, STACK_SLOT);
    if (!slot)
        return NULL;
    for (uint64_t at = 0; at < KSTACK_SIZE; at += PAGE_SIZE) {
        paddr_t pa = frame_alloc(0, FRAME_NOWAIT);

        if (!pa || !page_set(slot + KSTACK_SIZE + at, pa, PTE_WRITE | PTE_NX)) {
            if (pa)
                frame_free(pa, 0);
            stack_unmap(slot + KSTACK_SIZE, at);
            return NULL;
        }
    }
    return (uint8_t *)slot + KSTACK_SIZE;
}

/* Unmapping has to wait for other CPUs, which this context may not: the next kstack_alloc() does it. */
void kstack_free(uint8_t *stack)
{
    uint64_t flags = spin_lock_irqsave(&stack_lock);
    uint8_t **list = spare_count < SPARES ? &spare_stacks : &surplus_stacks;

    *(uint8_t **)stack = *list;
    *list = stack;
    spare_count += list == &spare_stacks;
    spin_unlock_irqrestore(&stack_lock, flags);
}

bool kstack_is_guard(uint64_t va)
{
    return va >= KVA_BASE && va < KVA_BASE + STACKS_SIZE && (va - KVA_BASE) % STACK_SLOT < KSTACK_SIZE;
}

bool kstack_contains(uint64_t va, size_t size)
{
    if (va >= KVA_BASE && va + size <= KVA_BASE + STACKS_SIZE)
        return (va - KVA_BASE) % STACK_SLOT >= KSTACK_SIZE &&
               paging_entry(paging_kernel_root(), va, false) &&
               (*paging_entry(paging_kernel_root(), va, false) & PTE_PRESENT);
    return va >= KERNEL_IMAGE_BASE && va + size <= KERNEL_IMAGE_BASE + boot_info.image_end;
}

/* ---- modules ---- */

static uint64_t prot_bits(unsigned prot)
{
    return (prot & PROT_WRITE ? PTE_WRITE : 0) | (prot & PROT_EXEC ? 0 : PTE_NX);
}

void *module_space_alloc(size_t pages)
{
    uint64_t va = range_take(&modules, pages * PAGE_SIZE);

    if (!va)
        return NULL;
    for (size_t i = 0; i < pages; i++) {
        paddr_t pa = frame_alloc(0, 0);

        if (!pa || !page_set(va + i * PAGE_SIZE, pa, PTE_WRITE | PTE_NX)) {
            if (pa)
                frame_free(pa, 0);
            module_space_free((void *)va, pages);
            return NULL;
        }
    }
    return (void *)va;
}

int module_space_protect(void *address, size_t pages, unsigned prot)
{
    uint64_t va = (uint64_t)address;

    if ((prot & PROT_WRITE) && (prot & PROT_EXEC))
        return ERR_INVALID;
    for (size_t i = 0; i < pages; i++) {
        pte_t *e = paging_entry(paging_kernel_root(), va + i * PAGE_SIZE, false);

        if (!e || !(*e & PTE_PRESENT))
            return ERR_INVALID;
        *e = (*e & PTE_ADDRESS) | prot_bits(prot) | PTE_PRESENT | PTE_GLOBAL;
    }
    return OK;
}

void module_space_publish(void *va, size_t pages)
{
    tlb_shootdown(~0ull, (uint64_t)va, (uint64_t)va + pages * PAGE_SIZE);
}

void module_space_free(void *address, size_t pages)
{
    uint64_t va = (uint64_t)address;

    /* Frames go back only after no CPU can reach them: two passes. */
    for (size_t i = 0; i < pages; i++) {
        pte_t *e = paging_entry(paging_kernel_root(), va + i * PAGE_SIZE, false);

        if (e)
            *e &= ~PTE_PRESENT;
    }
    tlb_shootdown(~0ull, va, va + pages * PAGE_SIZE);
    for (size_t i = 0; i < pages; i++) {
        paddr_t pa = page_clear(va + i * PAGE_SIZE);

        if (pa)
            frame_free(pa, 0);
    }
    range_give(&modules, va, pages * PAGE_SIZE);
}
