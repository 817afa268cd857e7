/*
 * mm.h: what kernel/mm offers the rest of the nucleus. Not for modules.
 */
#pragma once

#include <arch/cpu_local.h>
#include <microlake/memory.h>
#include <microlake/types.h>
#include "kernel/policy/guard.h"

struct aspace;
struct memobj;

/* The kernel's own mappings (stacks, kmap, modules live elsewhere) start here; 512 GiB. */
#define KVA_BASE 0xffffc00000000000ul
#define KVA_SIZE (1ul << 39)

/* Modules live within 2 GiB of the nucleus. */
#define MODULE_BASE 0xffffffffc0000000ul
#define MODULE_SIZE (512ul << 20)

#define KERNEL_IMAGE_BASE 0xffffffff80000000ul

/* Take over all RAM but the image, the archive and what the loader passed: what the page tables of the
 * start map at once, the rest when paging_init() has mapped it. */
void frame_init(void);
void frame_init_high(void);

/* Kernel address ranges: whole pages, first fit. 0: none left. Any context. */
uint64_t kva_alloc(uint64_t size);
void kva_free(uint64_t va, uint64_t size);
void kva_init(void);

/* Guarded kernel stacks; returns the lowest usable byte. Any context for free. */
#define KSTACK_SIZE (16ul << 10)
uint8_t *kstack_alloc(void);
void kstack_free(uint8_t *stack);
bool kstack_is_guard(uint64_t va);              /* va lies in some stack's guard area */
bool kstack_contains(uint64_t va, size_t size); /* readable kernel stack memory */

/* Frame table access for the heap: one small tag per frame. */
void frame_tag_set(paddr_t pa, uint16_t tag, uint32_t owner);
uint16_t frame_tag(paddr_t pa, uint32_t *owner);
unsigned frame_order(paddr_t pa);

/* Makes single frames, one reference each, of an allocated block with one reference. Any context. */
void frame_split(paddr_t pa, unsigned order);

/* Set while copying from user memory, where the processor checks (SMAP). */
void cpu_user_access_begin(void);
void cpu_user_access_end(void);
void user_access_init(void);

/* CPUs that may have an address space loaded, and its page tables. */
uint64_t aspace_cpus(const struct aspace *as);
void aspace_cpu_enter(struct aspace *as, unsigned cpu);
void aspace_cpu_leave(struct aspace *as, unsigned cpu);
uint64_t aspace_root(const struct aspace *as);

uint64_t heap_bytes(void);

/* Between frame.c and reclaim.c. */
uint64_t frames_free(void);              /* without the per-CPU caches */
bool reclaim_below_low(uint64_t free);
uint64_t reclaimable_frames(void);
void reclaim_wake(void);                 /* any context */
bool reclaim_direct(uint64_t frames);    /* true: something was given back, try again */

/* Fault injection: true when the calling thread asked for this allocation to fail. */
static inline bool allocation_must_fail(void)
{
    struct thread *t = current_thread();

    guard_forbid();
    return unlikely(t && t->fail_allocation) && --t->fail_allocation == 0;
}
