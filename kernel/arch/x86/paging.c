/*
 * paging.c: four-level page tables: the kernel's own mappings, and primitives for address spaces.
 *
 * The kernel half (upper 256 top-level entries) is filled once, with every top-level entry present,
 * and shared by all address spaces; so a kernel mapping made later is seen everywhere.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "kernel/mm/mm.h"

#define HUGE_PAGE  (1ul << 30)
#define TABLE_MASK (PTE_PRESENT | PTE_WRITE | PTE_USER)

paddr_t kernel_root;

extern char image_start[], rodata_start[], data_start[], image_end[];

static unsigned level_index(uint64_t va, unsigned level)
{
    return va >> (12 + 9 * level) & 511;
}

static pte_t *table_of(pte_t entry)
{
    return phys_to_virt(entry & PTE_ADDRESS);
}

/* The entry for va at `level` (0: 4 KiB), making tables above it. NULL: absent or no memory. */
static pte_t *entry_at(paddr_t root, uint64_t va, unsigned level, bool create)
{
    pte_t *table = phys_to_virt(root);

    for (unsigned l = 3; l > level; l--) {
        pte_t *e = &table[level_index(va, l)];

        if (!*e) {
            paddr_t pa = create ? frame_alloc(0, FRAME_ZERO | FRAME_NOWAIT) : 0;

            if (!pa)
                return NULL;
            *e = pa | (va >> 63 ? TABLE_MASK & ~PTE_USER : TABLE_MASK);
        } else if (*e & PTE_LARGE) {
            return NULL;
        }
        table = table_of(*e);
    }
    return &table[level_index(va, level)];
}

pte_t *paging_entry(paddr_t root, uint64_t va, bool create)
{
    return entry_at(root, va, 0, create);
}

pte_t *paging_large_entry(paddr_t root, uint64_t va, bool create)
{
    return entry_at(root, va, 1, create);
}

/* Index of the first entry at or above i that is in use; 512: none. */
static unsigned table_next(const pte_t *table, unsigned i, unsigned level)
{
    pte_t empty = level > 0 ? PTE_LARGE : 0; /* what an unused entry may hold */

    while (i < 512 && !(table[i] & ~empty))
        i++;
    return i;
}

uint64_t paging_next(paddr_t root, uint64_t va, uint64_t end)
{
    while (va < end) {
        pte_t *table = phys_to_virt(root);

        for (unsigned l = 3;; l--) {
            unsigned shift = 12 + 9 * l, from = (unsigned)level_index(va, l);
            unsigned i = table_next(table, from, l);

            if (i != from)
                va = ALIGN_DOWN(va, 1ul << (shift + 9)) + ((uint64_t)i << shift);
            if (i == 512 || va >= end)
                break;
            if (l == 0 || (table[i] & PTE_LARGE))
                return va;
            table = table_of(table[i]);
        }
    }
    return end;
}

/* Maps a range in pages of a level (0: 4 KiB). A table is looked up once for all of its entries. */
static void map_early(uint64_t va, paddr_t pa, uint64_t size, unsigned level, uint64_t bits)
{
    uint64_t step = 1ul << (12 + 9 * level);
    pte_t *e = NULL;

    bits |= PTE_PRESENT | PTE_GLOBAL | (level ? PTE_LARGE : 0);
    for (uint64_t at = 0; at < size; at += step, e++) {
        if (!e || !level_index(va + at, level))
            e = entry_at(kernel_root, va + at, level, true);
        if (!e)
            panic("no memory for the kernel's page tables");
        *e = (pa + at) | bits;
    }
}

static void image_map(const char *from, const char *to, uint64_t bits)
{
    map_early((uint64_t)from, virt_to_phys(from), (uint64_t)(to - from), 0, bits);
}

/* RAM in the largest pages that fit; the holes between regions stay unmapped but for 2 MiB edges. */
static void direct_map(void)
{
    bool huge = cpuid(0x80000001, 0).edx & (1u << 26);

    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        paddr_t pa = ALIGN_DOWN(boot_info.ram[i].start, PAGING_LARGE);
        paddr_t end = ALIGN_UP(boot_info.ram[i].end, PAGING_LARGE);

        while (pa < end) {
            bool one = huge && !(pa % HUGE_PAGE) && end - pa >= HUGE_PAGE;
            paddr_t next = one ? pa + HUGE_PAGE : MIN(end, ALIGN_DOWN(pa, HUGE_PAGE) + HUGE_PAGE);

            map_early(pa + DIRECT_MAP_BASE, pa, next - pa, one ? 2 : 1, PTE_WRITE | PTE_NX);
            pa = next;
        }
    }
}

void paging_init(void)
{
    kernel_root = frame_alloc(0, FRAME_ZERO | FRAME_NOWAIT);
    if (!kernel_root)
        panic("no memory for the kernel's page tables");
    image_map(image_start, rodata_start, 0);
    image_map(rodata_start, data_start, PTE_NX);
    image_map(data_start, image_end, PTE_WRITE | PTE_NX);
    direct_map();
    /* Ranges that grow later get their top-level tables now. */
    if (!entry_at(kernel_root, KVA_BASE, 2, true))
        panic("no memory for the kernel's page tables");
    cr3_write(kernel_root);
}

paddr_t paging_kernel_root(void)
{
    return kernel_root;
}

paddr_t paging_root_create(void)
{
    paddr_t root = frame_alloc(0, FRAME_ZERO);

    if (root)
        memcpy((pte_t *)phys_to_virt(root) + 256, (pte_t *)phys_to_virt(kernel_root) + 256,
               256 * sizeof(pte_t));
    return root;
}

static void table_free(paddr_t table, unsigned level, unsigned entries)
{
    pte_t *e = phys_to_virt(table);

    for (unsigned i = 0; level > 0 && i < entries; i++)
        if (e[i] & PTE_PRESENT)
            table_free(e[i] & PTE_ADDRESS, level - 1, 512);
    frame_free(table, 0);
}

void paging_root_free(paddr_t root)
{
    table_free(root, 3, 256);
}

void paging_load(paddr_t root)
{
    cr3_write(root);
}
