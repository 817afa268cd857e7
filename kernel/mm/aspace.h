/*
 * aspace.h: the inside of address spaces, for kernel/mm only.
 */
#pragma once

#include <arch/arch.h>
#include <microlake/aspace.h>
#include <microlake/wait.h>
#include "lib/treap/treap.h"

struct mapping {
    struct treap_node node; /* key: start */
    vaddr_t start, end;
    unsigned prot, flags;
    struct memobj *obj; /* NULL: zeroed private memory */
    uint64_t offset;    /* of start in obj */
};

struct aspace {
    struct mutex lock;     /* guards the mappings and the user half of the tables */
    struct treap mappings; /* struct mapping by start */
    paddr_t root;
    uint32_t refs;
    cpu_mask_t cpus; /* CPUs that may hold translations; any CPU sets its own bit */
    vaddr_t top;     /* mappings without a wish go below this */
    vaddr_t next;    /* where the last such one began */
    uint64_t mapped, resident; /* bytes; guarded by lock */
    uint64_t most;             /* of resident, as of the last time it got less; guarded by lock */
    uint64_t faults;           /* guarded by lock */
};

struct mapping *mapping_at(struct aspace *as, vaddr_t at);
struct mapping *mapping_from(struct aspace *as, vaddr_t at); /* first that ends above at */

/* Entries are 0, present, or kept: a frame whose mapping's protection allows no access. */
static inline bool entry_used(pte_t e)
{
    return e != 0;
}

/* The protection bits that an entry of mapping m may have, by what the entry refers to. */
pte_t entry_bits(const struct mapping *m, pte_t what, paddr_t pa);

/* Clears every entry of [start, end) and gives the frames back. Caller holds the lock. */
void entries_clear_locked(struct aspace *as, vaddr_t start, vaddr_t end);

/* Of mappings of an object, at most `looks` entries from *at on; *at is then where it stopped. Caller holds the
 * lock. */
void entries_age_locked(struct aspace *as, vaddr_t *at, vaddr_t end, uint64_t looks, struct aspace_aged *out);

/* ---- 2 MiB pages (large.c); callers hold the lock ---- */

pte_t *large_entry(struct aspace *as, vaddr_t va); /* the large page at va, or NULL */
int large_split(struct aspace *as, vaddr_t va);    /* cuts it into small ones; OK where there is none */
int large_split_range(struct aspace *as, vaddr_t start, vaddr_t end);
bool large_fault(struct aspace *as, const struct mapping *m, vaddr_t va); /* true: resolved */
void large_protect(const struct mapping *m, pte_t *e);
void large_clear(struct aspace *as, vaddr_t va, pte_t *e); /* va: its start */

int fault_locked(struct aspace *as, vaddr_t address, unsigned access);
