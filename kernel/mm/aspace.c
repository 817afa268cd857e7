/*
 * aspace.c: address spaces: the set of mappings and the calls that change it. Entries of page tables
 * are fault.c's.
 */
#include "aspace.h"
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/random.h>
#include <microlake/user.h>
#include "memobj.h"
#include "mm.h"

#define MAP_TOP    0x00007fff00000000ul
#define MAP_RANDOM 0x0ffffffful /* pages: mappings begin up to 1 TiB below MAP_TOP */
#define MAP_LOW_TOP    0x80000000ul
#define MAP_LOWEST     0x10000ul

struct mapping *mapping_at(struct aspace *as, vaddr_t at)
{
    struct treap_node *n = treap_floor(&as->mappings, at);
    struct mapping *m = n ? container_of(n, struct mapping, node) : NULL;

    return m && m->end > at ? m : NULL;
}

struct mapping *mapping_from(struct aspace *as, vaddr_t at)
{
    struct mapping *m = mapping_at(as, at);
    struct treap_node *n;

    if (m)
        return m;
    n = treap_above(&as->mappings, at);
    return n ? container_of(n, struct mapping, node) : NULL;
}

int aspace_create(struct aspace **out)
{
    struct aspace *as = kzalloc(sizeof(*as));
    uint32_t pages;

    if (!as)
        return ERR_NO_MEMORY;
    as->root = paging_root_create();
    if (!as->root) {
        kfree(as);
        return ERR_NO_MEMORY;
    }
    random_bytes(&pages, sizeof(pages));
    as->top = as->next = MAP_TOP - (pages & MAP_RANDOM) * PAGE_SIZE;
    as->refs = 1;
    mutex_init(&as->lock);
    *out = as;
    return OK;
}

void aspace_ref(struct aspace *as)
{
    __atomic_fetch_add(&as->refs, 1, __ATOMIC_RELAXED);
}

/* A program can write to its object through it. */
static bool mapping_writes(const struct mapping *m)
{
    return m->obj && !(m->flags & (MAP_PRIVATE | MAP_NOWRITE));
}

static void mapping_hold(const struct mapping *m)
{
    if (m->obj)
        memobj_ref(m->obj);
    if (mapping_writes(m))
        memobj_writer(m->obj, 1);
}

/* No page of it is in use any more. */
static void mapping_free(struct mapping *m)
{
    if (mapping_writes(m)) {
        memobj_writer(m->obj, -1);
        if (memobj_write_back(m->obj, m->offset / PAGE_SIZE, (m->end - m->start) / PAGE_SIZE) != OK)
            log_warn("memory: what a program wrote to a mapped file could not be written back");
    }
    if (m->obj)
        memobj_unref(m->obj);
    kfree(m);
}

void aspace_unref(struct aspace *as)
{
    struct treap_node *n;

    if (__atomic_sub_fetch(&as->refs, 1, __ATOMIC_ACQ_REL))
        return;
    tlb_drop_aspace(as);
    as->cpus = 0;
    entries_clear_locked(as, 0, USER_ADDRESS_END);
    while ((n = treap_first(&as->mappings))) {
        treap_remove(&as->mappings, n);
        mapping_free(container_of(n, struct mapping, node));
    }
    paging_root_free(as->root);
    kfree(as);
}

uint64_t aspace_cpus(const struct aspace *as)
{
    return __atomic_load_n(&as->cpus, __ATOMIC_ACQUIRE);
}

void aspace_cpu_enter(struct aspace *as, unsigned cpu)
{
    __atomic_fetch_or(&as->cpus, 1ull << cpu, __ATOMIC_ACQ_REL);
}

void aspace_cpu_leave(struct aspace *as, unsigned cpu)
{
    __atomic_fetch_and(&as->cpus, ~(1ull << cpu), __ATOMIC_ACQ_REL);
}

/* Being interrupted is a barrier: an empty flush is one and nothing else. */
void aspace_barrier(struct aspace *as)
{
    cpu_full_barrier();
    tlb_shootdown(as ? aspace_cpus(as) : ~0ull, 0, 0);
}

uint64_t aspace_root(const struct aspace *as)
{
    return as->root;
}

/* Cuts the mapping that contains `at` in two there. */
static int mapping_split(struct aspace *as, vaddr_t at)
{
    struct mapping *m = mapping_at(as, at), *upper;

    if (!m || m->start == at)
        return OK;
    if (at % PAGING_LARGE && large_split(as, at) != OK)
        return ERR_NO_MEMORY;
    upper = kmalloc(sizeof(*upper));
    if (!upper)
        return ERR_NO_MEMORY;
    *upper = *m;
    upper->start = at;
    upper->offset += at - m->start;
    mapping_hold(upper);
    m->end = at;
    treap_insert(&as->mappings, &upper->node, at);
    return OK;
}

static int range_isolate(struct aspace *as, vaddr_t start, vaddr_t end)
{
    int r = mapping_split(as, start);

    return r == OK ? mapping_split(as, end) : r;
}

static int unmap_locked(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct mapping *m;
    int r = range_isolate(as, start, end);

    if (r != OK)
        return r;
    entries_clear_locked(as, start, end);
    while ((m = mapping_from(as, start)) && m->start < end) {
        treap_remove(&as->mappings, &m->node);
        as->mapped -= m->end - m->start;
        mapping_free(m);
    }
    return OK;
}

static bool range_free(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct mapping *m = mapping_from(as, start);

    return !m || m->start >= end;
}

/* The highest free place below `top`. 0: none. */
static vaddr_t place_find(struct aspace *as, uint64_t length, vaddr_t top)
{
    vaddr_t end = top;

    while (end >= MAP_LOWEST + length) {
        struct treap_node *n = treap_floor(&as->mappings, end - 1);
        struct mapping *m = n ? container_of(n, struct mapping, node) : NULL;

        if (!m || m->end <= end - length)
            return end - length;
        end = m->start;
    }
    return 0;
}

static vaddr_t place_choose(struct aspace *as, vaddr_t hint, uint64_t length, unsigned flags)
{
    vaddr_t at;

    if (hint >= MAP_LOWEST && hint < USER_ADDRESS_END - length && range_free(as, hint, hint + length))
        return hint;
    if (flags & MAP_LOW)
        return place_find(as, length, MAP_LOW_TOP);
    at = as->next > length + MAP_LOWEST ? as->next - length : 0;
    if (!at || !range_free(as, at, at + length))
        at = place_find(as, length, as->top);
    if (at)
        as->next = at;
    return at;
}

static bool mapping_extend(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot, unsigned flags)
{
    struct mapping *m = at ? mapping_at(as, at - 1) : NULL;

    if (!m || m->obj || m->prot != prot || m->flags != flags)
        return false;
    m->end = at + length;
    as->mapped += length;
    return true;
}

/* What a mapping is marked with, and has no meaning for its pages. */
#define MARKS (MAP_DONTFORK | MAP_FORKZERO | MAP_LOCKED)

static int map_locked(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot, unsigned flags,
                      struct memobj *obj, uint64_t offset, vaddr_t *out)
{
    struct mapping *m;
    int r;

    if (flags & MAP_NOREPLACE) {
        if (!range_free(as, at, at + length))
            return ERR_EXISTS;
    } else if (flags & MAP_FIXED) {
        r = unmap_locked(as, at, at + length);
        if (r != OK)
            return r;
    } else {
        at = place_choose(as, at, length, flags);
        if (!at)
            return ERR_NO_MEMORY;
    }
    *out = at;
    flags &= MAP_PRIVATE | MAP_GROWSDOWN | MAP_HUGE | MAP_NOWRITE | MARKS;
    if (!obj && mapping_extend(as, at, length, prot, flags))
        return OK;
    m = kzalloc(sizeof(*m));
    if (!m)
        return ERR_NO_MEMORY;
    m->start = at;
    m->end = at + length;
    m->prot = prot;
    m->flags = flags;
    m->obj = obj;
    m->offset = offset;
    mapping_hold(m);
    treap_insert(&as->mappings, &m->node, at);
    as->mapped += length;
    return OK;
}

static bool range_valid(vaddr_t at, uint64_t length)
{
    return !(at & PAGE_MASK) && length && !(length & PAGE_MASK) && length <= USER_ADDRESS_END &&
           at <= USER_ADDRESS_END - length;
}

static void range_populate(struct aspace *as, vaddr_t start, vaddr_t end, unsigned prot)
{
    for (vaddr_t va = start; va < end; va += PAGE_SIZE)
        if (fault_locked(as, va, prot & PROT_WRITE ? FAULT_WRITE : FAULT_READ) != OK)
            break;
}

int aspace_map(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot, unsigned flags,
               struct memobj *obj, uint64_t offset, vaddr_t *out)
{
    int r;

    if (!(flags & (MAP_FIXED | MAP_NOREPLACE)) && !range_valid(at, length))
        at = 0;
    if (!range_valid(at, length) || (offset & PAGE_MASK) || offset + length < offset)
        return ERR_INVALID;
    if (!obj && !(flags & MAP_PRIVATE))
        return ERR_INVALID; /* shared memory needs an object to live in */
    mutex_lock(&as->lock);
    r = map_locked(as, at, length, prot, flags, obj, offset, out);
    if (r == OK && (flags & MAP_POPULATE))
        range_populate(as, *out, *out + length, prot);
    mutex_unlock(&as->lock);
    return r;
}

int aspace_unmap(struct aspace *as, vaddr_t at, uint64_t length)
{
    int r;

    if (!range_valid(at, length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = unmap_locked(as, at, at + length);
    mutex_unlock(&as->lock);
    return r;
}

static bool range_covered(struct aspace *as, vaddr_t start, vaddr_t end)
{
    while (start < end) {
        struct mapping *m = mapping_at(as, start);

        if (!m)
            return false;
        start = m->end;
    }
    return true;
}

static bool range_may_protect(struct aspace *as, vaddr_t start, vaddr_t end, unsigned prot)
{
    while ((prot & PROT_WRITE) && start < end) {
        const struct mapping *m = mapping_at(as, start);

        if (m->flags & MAP_NOWRITE)
            return false;
        start = m->end;
    }
    return true;
}

static void entries_protect(struct aspace *as, const struct mapping *m)
{
    for (vaddr_t va = paging_next(as->root, m->start, m->end); va < m->end;
         va = paging_next(as->root, va + PAGE_SIZE, m->end)) {
        pte_t *e = large_entry(as, va);

        if (e) {
            large_protect(m, e);
            va += PAGING_LARGE - PAGE_SIZE;
            continue;
        }
        e = paging_entry(as->root, va, false);
        if (e && entry_used(*e))
            *e = (*e & PTE_ADDRESS) | entry_bits(m, *e, *e & PTE_ADDRESS);
    }
}

int aspace_protect(struct aspace *as, vaddr_t at, uint64_t length, unsigned prot)
{
    int r = ERR_NO_MEMORY;

    if (!range_valid(at, length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    if (range_covered(as, at, at + length))
        r = range_may_protect(as, at, at + length, prot) ? range_isolate(as, at, at + length) : ERR_ACCESS;
    for (vaddr_t va = at; r == OK && va < at + length;) {
        struct mapping *m = mapping_at(as, va);

        m->prot = prot;
        entries_protect(as, m);
        va = m->end;
    }
    if (r == OK)
        tlb_shootdown(as->cpus, at, at + length);
    mutex_unlock(&as->lock);
    return r;
}

static void entries_move(struct aspace *as, vaddr_t from, vaddr_t end, vaddr_t to)
{
    for (vaddr_t va = paging_next(as->root, from, end); va < end;
         va = paging_next(as->root, va + PAGE_SIZE, end)) {
        pte_t *e = paging_entry(as->root, va, false), *target;

        if (!e || !entry_used(*e))
            continue;
        target = paging_entry(as->root, to + (va - from), true);
        if (!target)
            continue; /* stays behind and is cleared with the old range: it faults in again */
        *target = *e;
        *e = 0;
    }
    tlb_shootdown(as->cpus, from, end);
}

static int grow_in_place(struct aspace *as, struct mapping *m, uint64_t old_length, uint64_t new_length)
{
    vaddr_t end = m->start + new_length;

    if (new_length <= old_length)
        return unmap_locked(as, end, m->start + old_length);
    if (!range_free(as, m->end, end) || end > USER_ADDRESS_END)
        return ERR_NO_MEMORY;
    as->mapped += end - m->end;
    m->end = end;
    return OK;
}

static int move_locked(struct aspace *as, vaddr_t from, uint64_t old_length, vaddr_t to,
                       uint64_t new_length, bool keep)
{
    struct mapping *m;
    vaddr_t at;
    int r = range_isolate(as, from, from + old_length);

    if (r == OK)
        r = large_split_range(as, from, from + old_length);
    if (r != OK)
        return r;
    m = mapping_at(as, from);
    if (!m || m->end != from + old_length)
        return ERR_NOT_FOUND;
    if (to == from)
        return new_length == old_length ? OK : grow_in_place(as, m, old_length, new_length);
    if (to < from + old_length && from < to + new_length)
        return ERR_INVALID;
    r = map_locked(as, to, new_length, m->prot, m->flags | MAP_FIXED, m->obj, m->offset, &at);
    if (r != OK)
        return r;
    entries_move(as, from, from + MIN(old_length, new_length), to);
    if (keep) {
        entries_clear_locked(as, from, from + old_length); /* any that could not move */
        return OK;
    }
    return unmap_locked(as, from, from + old_length);
}

int aspace_move(struct aspace *as, vaddr_t from, uint64_t old_length, vaddr_t to, uint64_t new_length)
{
    int r;

    if (!range_valid(from, old_length) || !range_valid(to, new_length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = move_locked(as, from, old_length, to, new_length, false);
    mutex_unlock(&as->lock);
    return r;
}

int aspace_move_pages(struct aspace *as, vaddr_t from, uint64_t length, vaddr_t to)
{
    int r;

    if (!range_valid(from, length) || !range_valid(to, length) || from == to)
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = move_locked(as, from, length, to, length, true);
    mutex_unlock(&as->lock);
    return r;
}

/* The object of the mapping at `at`, with a reference, and its part that lies below end. */
static int sync_part(struct aspace *as, vaddr_t at, vaddr_t end, struct memobj **obj, uint64_t *first,
                     uint64_t *count)
{
    struct mapping *m;

    mutex_lock(&as->lock);
    m = mapping_at(as, at);
    if (m) {
        end = MIN(end, m->end);
        *first = (m->offset + (at - m->start)) / PAGE_SIZE;
        *count = (end - at) / PAGE_SIZE;
        *obj = mapping_writes(m) ? m->obj : NULL;
        if (*obj)
            memobj_ref(*obj);
    }
    mutex_unlock(&as->lock);
    return m ? OK : ERR_NO_MEMORY;
}

int aspace_sync(struct aspace *as, vaddr_t at, uint64_t length)
{
    vaddr_t end = at + length;
    int result = OK;

    if (!range_valid(at, length))
        return ERR_INVALID;
    while (at < end) {
        uint64_t first, count;
        struct memobj *obj;
        int r = sync_part(as, at, end, &obj, &first, &count);

        if (r != OK)
            return r;
        if (obj) {
            r = memobj_write_back(obj, first, count);
            memobj_unref(obj);
        }
        result = r != OK ? r : result;
        at += count * PAGE_SIZE;
    }
    return result;
}

int aspace_resident(struct aspace *as, vaddr_t at, uint64_t pages, uint8_t *out)
{
    const struct mapping *m = NULL;
    int r = OK;

    mutex_lock(&as->lock);
    for (uint64_t i = 0; i < pages && r == OK; i++) {
        vaddr_t va = at + i * PAGE_SIZE;
        pte_t *e;

        if (!m || m->end <= va)
            m = mapping_at(as, va);
        if (!m) {
            r = ERR_NO_MEMORY;
            break;
        }
        e = large_entry(as, va);
        if (!e)
            e = paging_entry(as->root, va, false);
        out[i] = 0;
        if (e && entry_used(*e))
            out[i] = ASPACE_RESIDENT | ASPACE_MAPPED | (*e & PTE_PRIVATE ? ASPACE_OWN : 0);
        else if (m->obj && memobj_has_page(m->obj, (m->offset + (va - m->start)) / PAGE_SIZE))
            out[i] = ASPACE_RESIDENT;
    }
    mutex_unlock(&as->lock);
    return r;
}

int aspace_age(struct aspace *as, vaddr_t *at, uint64_t looks, struct aspace_aged *out)
{
    bool own = as->lock.owner == thread_current();
    const struct mapping *m;

    *out = (struct aspace_aged){0};
    if (!own && !mutex_trylock(&as->lock))
        return ERR_BUSY;
    m = mapping_from(as, *at);
    if (m) {
        vaddr_t from = MAX(*at, m->start);

        *at = memobj_evicts(m->obj) && !(m->flags & MAP_LOCKED) ? from : m->end;
        entries_age_locked(as, at, m->end, looks, out);
        if (out->unmapped && mapping_writes(m)) {
            out->obj = m->obj;
            memobj_ref(m->obj);
            out->first = (m->offset + (from - m->start)) / PAGE_SIZE;
            out->count = (*at - from) / PAGE_SIZE;
        }
    }
    if (!own)
        mutex_unlock(&as->lock);
    return m ? OK : ERR_NOT_FOUND;
}

int aspace_discard(struct aspace *as, vaddr_t at, uint64_t length)
{
    int r;

    if (!range_valid(at, length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = large_split(as, at);
    if (r == OK)
        r = large_split(as, at + length);
    if (r == OK)
        entries_clear_locked(as, at, at + length);
    mutex_unlock(&as->lock);
    return r;
}

int aspace_advise_huge(struct aspace *as, vaddr_t at, uint64_t length, bool huge)
{
    int r;

    if (!range_valid(at, length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = range_covered(as, at, at + length) ? range_isolate(as, at, at + length) : ERR_NO_MEMORY;
    for (vaddr_t va = at; r == OK && va < at + length;) {
        struct mapping *m = mapping_at(as, va);

        m->flags = huge && !m->obj ? m->flags | MAP_HUGE : m->flags & ~MAP_HUGE;
        va = m->end;
    }
    mutex_unlock(&as->lock);
    return r;
}

int aspace_mark(struct aspace *as, vaddr_t at, uint64_t length, unsigned set, unsigned clear)
{
    int r;

    if (!range_valid(at, length))
        return ERR_INVALID;
    mutex_lock(&as->lock);
    r = range_covered(as, at, at + length) ? range_isolate(as, at, at + length) : ERR_NO_MEMORY;
    for (vaddr_t va = at; r == OK && va < at + length;) {
        struct mapping *m = mapping_at(as, va);

        if ((set & MAP_FORKZERO) && m->obj)
            r = ERR_INVALID;
        else
            m->flags = (m->flags & ~(clear & MARKS)) | (set & MARKS);
        va = m->end;
    }
    mutex_unlock(&as->lock);
    return r;
}

/* Shares the private pages of one mapping between two spaces, read-only in both until written. */
static int entries_share(struct aspace *from, struct aspace *to, const struct mapping *m)
{
    int r = large_split_range(from, m->start, m->end); /* also where they are no longer wanted */

    if (r != OK)
        return r;
    for (vaddr_t va = paging_next(from->root, m->start, m->end); va < m->end;
         va = paging_next(from->root, va + PAGE_SIZE, m->end)) {
        pte_t *e = paging_entry(from->root, va, false), *copy;

        if (!e || !(*e & PTE_PRIVATE))
            continue; /* pages of objects fault in again */
        copy = paging_entry(to->root, va, true);
        if (!copy)
            return ERR_NO_MEMORY;
        frame_ref(*e & PTE_ADDRESS);
        *e &= ~PTE_WRITE;
        *copy = *e;
        to->resident += PAGE_SIZE;
    }
    return OK;
}

static int mapping_copy(struct aspace *from, struct aspace *to, const struct mapping *m)
{
    struct mapping *copy;

    if (m->flags & MAP_DONTFORK)
        return OK;
    copy = kmalloc(sizeof(*copy));
    if (!copy)
        return ERR_NO_MEMORY;
    *copy = *m;
    copy->flags &= ~MAP_LOCKED;
    mapping_hold(copy);
    treap_insert(&to->mappings, &copy->node, copy->start);
    to->mapped += copy->end - copy->start;
    return m->flags & MAP_FORKZERO ? OK : entries_share(from, to, m);
}

int aspace_fork(struct aspace *as, struct aspace **out)
{
    struct mapping *m;
    int r = aspace_create(out);

    if (r != OK)
        return r;
    mutex_lock(&as->lock);
    (*out)->top = as->top;
    (*out)->next = as->next;
    for (vaddr_t at = 0; r == OK && (m = mapping_from(as, at)); at = m->end)
        r = mapping_copy(as, *out, m);
    tlb_shootdown(as->cpus, 0, USER_ADDRESS_END);
    mutex_unlock(&as->lock);
    if (r != OK) {
        aspace_unref(*out);
        *out = NULL;
    }
    return r;
}

static int find(struct aspace *as, vaddr_t at, bool hold, struct aspace_mapping *out)
{
    struct mapping *m;

    mutex_lock(&as->lock);
    m = mapping_from(as, at);
    if (m)
        *out = (struct aspace_mapping){m->start, m->end, m->prot, m->flags, m->offset, m->obj};
    if (m && m->obj && hold)
        memobj_ref(m->obj);
    mutex_unlock(&as->lock);
    return m ? OK : ERR_NOT_FOUND;
}

int aspace_find(struct aspace *as, vaddr_t at, struct aspace_mapping *out)
{
    return find(as, at, false, out);
}

int aspace_find_ref(struct aspace *as, vaddr_t at, struct aspace_mapping *out)
{
    return find(as, at, true, out);
}

void aspace_stats(struct aspace *as, struct aspace_stats *out)
{
    mutex_lock(&as->lock);
    out->mapped = as->mapped;
    out->resident = as->resident;
    out->most = MAX(as->most, as->resident);
    out->faults = as->faults;
    mutex_unlock(&as->lock);
}
