/*
 * aspace.h: address spaces of user programs and the memory objects mapped into them.
 *
 * All functions: thread context, may sleep. Addresses and lengths are multiples of PAGE_SIZE unless
 * said otherwise.
 */
#pragma once

#include <microlake/types.h>

struct aspace;
struct memobj;

/* ---- Memory objects: reference counted sources of pages -------------------------------------- */

#define PAGER_RUN_MAX 15u

/* Supplies the pages of a pager-backed object (a page cache, say). */
struct pager_ops {
    /* Fills a zeroed frame with page `index`. OK, ERR_IO, ERR_RANGE (past the end). */
    int (*fill)(void *pager, uint64_t index, void *page);
    /* In place of fill, when not NULL: the frame of page `index` as it is. The frame is the pager's own
     * and lives until closed(). OK, ERR_RANGE. */
    int (*frame)(void *pager, uint64_t index, paddr_t *out);
    /* Takes pages `first` and following, at most PAGER_RUN_MAX, that programs wrote to through shared
     * mappings; NULL: nobody wants to know. Locks of address spaces may be held: it must not touch user
     * memory. OK, ERR_IO. */
    int (*write)(void *pager, uint64_t first, const void *const *pages, unsigned count);
    /* In place of fill, when not NULL, for pages that come and go: puts page `index` into the object with
     * memobj_insert() and comes back. No lock of the object is held, so several may be on their way at once;
     * an address space's may be. OK: look again; ERR_IO, ERR_NO_MEMORY, ERR_INTERRUPTED. */
    int (*bring)(void *pager, uint64_t index);
    /* A page came into the object, or left it otherwise than through memobj_evict(). The object's lock is
     * held. May be NULL. */
    void (*moved)(void *pager, uint64_t index, paddr_t frame, bool came);
    /* The last reference to the object is gone. */
    void (*closed)(void *pager);
};

/* Zeroed on first touch; pages live as long as the object. size in bytes. */
int memobj_create_anon(uint64_t size, struct memobj **out);

/* Pages that `ops` supplies on first touch. */
int memobj_create_pager(uint64_t size, const struct pager_ops *ops, void *pager, struct memobj **out);

/* Physical memory as it is: device registers, or frames of somebody who outlives the object. */
int memobj_create_phys(paddr_t base, uint64_t size, struct memobj **out);

void memobj_ref(struct memobj *obj);
void memobj_unref(struct memobj *obj);
uint64_t memobj_size(const struct memobj *obj);
int memobj_resize(struct memobj *obj, uint64_t size); /* frees pages behind the end */

/* The frame of page `index`, allocated or filled if it was not there. The object keeps owning it. */
int memobj_page(struct memobj *obj, uint64_t index, paddr_t *out);

/* The same if it is there already, with a reference to the frame that the caller gives back
 * (frame_unref); false: it is not, or it is no frame of the object's own. */
bool memobj_page_ref(struct memobj *obj, uint64_t index, paddr_t *out);

/* Of pages [first, first + count), how many are there up to the first that is not. */
uint64_t memobj_present(struct memobj *obj, uint64_t first, uint64_t count);

/* Page `index` becomes a frame that the caller has filled and whose reference it gives away, when OK.
 * ERR_EXISTS, ERR_RANGE, ERR_NO_MEMORY. */
int memobj_insert(struct memobj *obj, uint64_t index, paddr_t frame);

/* Gives page `index` back, when it is in nobody's hands: not mapped, not written since the pager's write()
 * had it. The frame that it was; 0: it stays, or the object is in use just now. Takes no lock that it has to
 * wait for, so a reclaimer may call it, with preemption disabled. */
paddr_t memobj_evict(struct memobj *obj, uint64_t index);

/* Hands pages [first, first + count) that were written through mappings to the pager's write(). The last
 * error; such pages are tried again the next time. It also happens when a mapping goes. Those that no mapping
 * has can be evicted then. */
int memobj_write_back(struct memobj *obj, uint64_t first, uint64_t count);

/* Mappings through which programs can write to it. Any context. */
unsigned memobj_writers(const struct memobj *obj);

/* Whatever who made the object, or maps it, wants to find again. Any context; the callers lock. */
void memobj_set_owner(struct memobj *obj, void *owner);
void *memobj_owner(const struct memobj *obj);

/* Reads or writes bytes of an object through its pages. */
int memobj_read(struct memobj *obj, uint64_t offset, void *dst, size_t size);
int memobj_write(struct memobj *obj, uint64_t offset, const void *src, size_t size);

/* ---- Address spaces --------------------------------------------------------------------------- */

enum map_prot { PROT_READ = 1u << 0, PROT_WRITE = 1u << 1, PROT_EXEC = 1u << 2 };

enum map_flags {
    MAP_FIXED = 1u << 0,     /* exactly at `at`, replacing what is there */
    MAP_NOREPLACE = 1u << 1, /* exactly at `at`, or ERR_EXISTS */
    MAP_PRIVATE = 1u << 2,   /* writes go to the address space's own copies */
    MAP_POPULATE = 1u << 3,  /* touch every page now */
    MAP_GROWSDOWN = 1u << 4, /* a stack: faults just below it extend it to its limit */
    MAP_LOW = 1u << 5,       /* below 2 GiB */
    MAP_HUGE = 1u << 6,      /* private zeroed memory in 2 MiB pages where they fit */
    MAP_NOWRITE = 1u << 7,   /* shared: aspace_protect() can't make it writable */
    MAP_DONTFORK = 1u << 8,  /* a fork does not have it */
    MAP_FORKZERO = 1u << 9,  /* private zeroed memory: a fork has zeroes */
    MAP_LOCKED = 1u << 10,   /* a note for who mapped it; a fork does not have it */
};

int aspace_create(struct aspace **out);
void aspace_ref(struct aspace *as);
void aspace_unref(struct aspace *as); /* the last one frees every mapping and page */

/*
 * Maps length bytes of `obj` from `offset` (NULL: zeroed private memory) at, or above, the hint `at`
 * (0: anywhere). The mapping holds a reference of its own. *out: where. ERR_NO_MEMORY, ERR_EXISTS,
 * ERR_INVALID.
 */
int aspace_map(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot, unsigned flags,
               struct memobj *obj, uint64_t offset, vaddr_t *out);

/* Unmaps whatever lies in the range; holes are no error. */
int aspace_unmap(struct aspace *as, vaddr_t at, uint64_t length);

/* Changes protection; ERR_NO_MEMORY when part of the range is not mapped (as Linux says it); ERR_ACCESS:
 * MAP_NOWRITE. */
int aspace_protect(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot);

/* Moves a mapping's pages to `to` (mremap); the target range must be free or is replaced. */
int aspace_move(struct aspace *as, vaddr_t from, uint64_t old_length, vaddr_t to, uint64_t new_length);

/* The same, but the old place stays mapped, without pages, and both are of the same length. */
int aspace_move_pages(struct aspace *as, vaddr_t from, uint64_t length, vaddr_t to);

/* Writes back what was written through shared mappings in the range. ERR_NO_MEMORY: holes; ERR_IO. */
int aspace_sync(struct aspace *as, vaddr_t at, uint64_t length);

/* What is known of the pages of the range. ERR_NO_MEMORY: holes. */
enum aspace_page {
    ASPACE_RESIDENT = 1u << 0, /* a touch would find it at once */
    ASPACE_MAPPED = 1u << 1,   /* it is in the tables */
    ASPACE_OWN = 1u << 2,      /* and is private memory */
};
int aspace_resident(struct aspace *as, vaddr_t at, uint64_t pages, uint8_t *out);

/*
 * Takes pages of objects that come and go (`bring`) from the space which nobody has used since the last such
 * look; *at is where to go on (0 at first), ERR_NOT_FOUND: there is nothing above it. One mapping, and `looks`
 * pages of it, at most; locked and private ones stay. Waits for no lock, ERR_BUSY, so it may be called where
 * memory is taken; from inside bring() for the space whose lock the thread holds there, and nowhere else with
 * that lock.
 */
struct aspace_aged {
    uint64_t looked, unmapped; /* pages */
    struct memobj *obj; /* a reference, not NULL: unmapped pages [first, first + count) may have been written to */
    uint64_t first, count;
};
int aspace_age(struct aspace *as, vaddr_t *at, uint64_t looks, struct aspace_aged *out);

/* Drops the pages of private memory in the range: the next touch sees zeroes or the object again. */
int aspace_discard(struct aspace *as, vaddr_t at, uint64_t length);

/* Asks for 2 MiB pages, or for none, from now on in private zeroed memory. ERR_NO_MEMORY as above. */
int aspace_advise_huge(struct aspace *as, vaddr_t at, uint64_t length, bool huge);

/* Sets and clears MAP_DONTFORK, MAP_FORKZERO and MAP_LOCKED. ERR_NO_MEMORY as above; ERR_INVALID: FORKZERO
 * of what is not private zeroed memory. */
int aspace_mark(struct aspace *as, vaddr_t at, uint64_t length, unsigned set, unsigned clear);

/* A copy of the whole space for fork: private pages are shared until written. */
int aspace_fork(struct aspace *as, struct aspace **out);

struct aspace_mapping {
    vaddr_t start, end;
    unsigned prot, flags;
    uint64_t offset;
    struct memobj *obj; /* not a reference: valid only while the caller keeps the space unchanged */
};

/* The first mapping that ends above `at`. ERR_NOT_FOUND: none. */
int aspace_find(struct aspace *as, vaddr_t at, struct aspace_mapping *out);

/* The same; obj, if there is one, is a reference. */
int aspace_find_ref(struct aspace *as, vaddr_t at, struct aspace_mapping *out);

/* Resolves a fault at any address, as a page fault would. OK, ERR_NOT_FOUND, ERR_ACCESS, ERR_NO_MEMORY,
 * ERR_IO. */
int aspace_fault(struct aspace *as, vaddr_t address, unsigned access);

/* A full memory barrier on every CPU that runs a thread of the space (NULL: on every CPU); those that
 * are in user mode then look at their thread's user_work. */
void aspace_barrier(struct aspace *as);

struct aspace_stats {
    uint64_t mapped;   /* bytes of mappings */
    uint64_t resident; /* bytes in frames, shared ones included */
    uint64_t most;     /* bytes: the largest that `resident` has been */
    uint64_t faults;   /* pages that a touch brought in, or changed */
};
void aspace_stats(struct aspace *as, struct aspace_stats *out);
