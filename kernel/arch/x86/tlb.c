/*
 * tlb.c: makes other CPUs forget translations. One request is in flight at a time; its sender waits
 * with interrupts on, so two senders cannot block each other.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/log.h>
#include <microlake/trace.h>
#include "kernel/mm/mm.h"

COUNTER(tlb_shootdowns);

#define FLUSH_ALL_PAGES 32 /* beyond so many pages a full flush is cheaper */

static struct spinlock request_lock;
static struct {
    uint64_t start, end;
    struct aspace *drop; /* instead: stop using this address space */
    cpu_mask_t pending;  /* CPUs that have not served it yet */
} request;

/* Interrupts off in between: one may take the address space away (drop_local) whose root was read. */
static void flush_all(bool global)
{
    uint64_t irq = interrupts_disable();

    if (global) { /* the kernel's mappings */
        uint64_t cr4 = cr4_read();

        cr4_write(cr4 & ~CR4_PGE);
        cr4_write(cr4);
    } else {
        cr3_write(cr3_read());
    }
    interrupts_restore(irq);
}

static void flush_local(uint64_t start, uint64_t end)
{
    if ((end - start) / PAGE_SIZE > FLUSH_ALL_PAGES) {
        flush_all(start >= DIRECT_MAP_BASE);
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        tlb_flush_page(va);
}

static void drop_local(struct aspace *as)
{
    struct cpu *c = this_cpu();

    if (c->aspace == as) {
        c->aspace = NULL;
        paging_load(paging_kernel_root());
    }
}

void tlb_service(void)
{
    cpu_mask_t me = 1ull << this_cpu()->id;

    if (!(__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE) & me))
        return;
    if (request.drop)
        drop_local(request.drop);
    else
        flush_local(request.start, request.end);
    __atomic_fetch_and(&request.pending, ~me, __ATOMIC_RELEASE);
}

static void request_send(cpu_mask_t others)
{
    COUNT(tlb_shootdowns, 1);
    __atomic_store_n(&request.pending, others, __ATOMIC_RELEASE);
    for (unsigned i = 0; others >> i; i++)
        if (others >> i & 1)
            apic_send(i, VECTOR_TLB);
    while (__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE))
        cpu_relax();
}

/* Takes the lock while still serving others' requests. */
static void request_begin(void)
{
    ASSERT(interrupts_are_on());
    while (!spin_trylock(&request_lock))
        cpu_relax();
}

void tlb_shootdown(cpu_mask_t mask, uint64_t start, uint64_t end)
{
    cpu_mask_t me;

    preempt_disable();
    me = 1ull << this_cpu()->id;
    if (mask & me)
        flush_local(start, end);
    mask &= ~me & ((cpu_count() < 64 ? 1ull << cpu_count() : 0) - 1);
    if (mask) {
        request_begin();
        request.start = start;
        request.end = end;
        request.drop = NULL;
        request_send(mask);
        spin_unlock(&request_lock);
    }
    preempt_enable();
}

void tlb_drop_aspace(struct aspace *as)
{
    cpu_mask_t mask;

    preempt_disable();
    interrupts_off();
    drop_local(as);
    interrupts_on();
    mask = aspace_cpus(as) & ~(1ull << this_cpu()->id);
    if (mask) {
        request_begin();
        request.drop = as;
        request_send(mask);
        spin_unlock(&request_lock);
    }
    preempt_enable();
}
