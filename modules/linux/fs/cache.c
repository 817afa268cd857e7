/*
 * cache.c: see cache.h.
 *
 * Each frame of the machine can have a note, in chunks of 2 MiB of memory that are made when the first
 * page there comes in. A page without a note (there was no memory for it) stays until its file goes.
 *
 * An object's lock is held where pages come and leave, and then the lists' lock is taken; who gives pages
 * back has the lists' lock and only tries the object's.
 */
#include "modules/linux/fs/cache.h"

#include <microlake/aspace.h>
#include <microlake/list.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/reclaim.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>

#include "modules/linux/mm/trim.h"

#define CHUNK_FRAMES   512u
#define CHUNKS_MAX     (1u << 17) /* 256 GiB of addresses */
#define HOLE           (4ull << 30) /* addresses between pieces of memory, at most */
#define REGISTER_PAGES 1024u /* a cache of less gives nothing worth a thread */
#define BATCH          32u   /* given back at once, at least */
#define KEEP_SHARE     9 / 10 /* of the cache, at most, is kept before all others */
#define RESERVE_SHARE  32u   /* of memory: what the cache leaves to others */
#define LEAST_SHARE    16u   /* of memory: so much of what programs have mapped is left to them */
#define TRIES          64u   /* pages taken from programs may stand anywhere in the lists */
#define RELIEF         64u   /* pages: less is no help for long */
#define PATIENCE       (1 * NS_PER_SEC) /* with programs that are busy, and with servers that are written to */

#define MARK_USED      0x80u /* beside enum cache_mark: an access used it */

enum list_name { SOON, ONCE, OFTEN, LISTS }; /* in the order in which they are given back */

struct note {
    struct list link;        /* in one of the lists */
    struct cache_file *file; /* NULL: no page of a file */
    uint32_t index;
    uint8_t list; /* enum list_name */
    uint8_t marks;
    uint16_t by;
};
_Static_assert(sizeof(struct note) == 32, "one note a frame");

static struct spinlock lock = SPINLOCK_INIT;
static struct list lists[LISTS]; /* guarded by lock, as all that follows */
static uint64_t counts[LISTS];
static struct note **chunks; /* NULL: nothing came yet */
static uint64_t chunk_count;
static bool registered; /* atomic */
static uint64_t passed_over; /* atomic; pages that could not go, since programs were last asked for theirs */
static void (*wasted_hook)(uint16_t by);

/* ---- Notes ---- */

static bool chunks_make(void)
{
    struct memory_stats memory;

    memory_stats(&memory);
    chunk_count = MIN((memory.total + HOLE) / (CHUNK_FRAMES * PAGE_SIZE), CHUNKS_MAX);
    chunks = kzalloc(chunk_count * sizeof(chunks[0]));
    for (unsigned i = 0; i < LISTS; i++)
        list_init(&lists[i]);
    return chunks;
}

/* NULL: it has none. */
static struct note *note_of(paddr_t frame, bool make)
{
    uint64_t number = frame / PAGE_SIZE, chunk = number / CHUNK_FRAMES;
    struct note *n;

    if (!chunks && !(make && chunks_make()))
        return NULL;
    if (chunk >= chunk_count)
        return NULL;
    if (!chunks[chunk] && make) {
        chunks[chunk] = kzalloc(CHUNK_FRAMES * sizeof(struct note));
        for (unsigned i = 0; chunks[chunk] && i < CHUNK_FRAMES; i++)
            list_init(&chunks[chunk][i].link);
    }
    n = chunks[chunk] ? &chunks[chunk][number % CHUNK_FRAMES] : NULL;
    return n && (make || n->file) ? n : NULL;
}

static void put_in(struct note *n, enum list_name list)
{
    n->list = (uint8_t)list;
    list_push_back(&lists[list], &n->link);
    counts[list]++;
}

static void take_out(struct note *n)
{
    list_remove(&n->link);
    counts[n->list]--;
}

/* A page that has gone; its note is free again. */
static void forget(struct note *n)
{
    take_out(n);
    n->file->resident--;
    n->file = NULL;
    reclaimable_add(-1);
    if ((n->marks & CACHE_AHEAD) && wasted_hook)
        wasted_hook(n->by);
}

/* ---- Pages that come, are used, and leave ---- */

void cache_came(struct cache_file *file, uint64_t index, paddr_t frame)
{
    struct note *n;

    spin_lock(&lock);
    n = index <= UINT32_MAX ? note_of(frame, true) : NULL;
    if (n) {
        n->file = file;
        n->index = (uint32_t)index;
        n->marks = 0;
        file->resident++;
        put_in(n, ONCE);
        reclaimable_add(1);
    }
    spin_unlock(&lock);
}

void cache_left(paddr_t frame)
{
    struct note *n;

    spin_lock(&lock);
    n = note_of(frame, false);
    if (n)
        forget(n);
    spin_unlock(&lock);
}

void cache_file_gone(void)
{
    spin_lock(&lock);
    spin_unlock(&lock);
}

void cache_mark(paddr_t frame, unsigned marks, uint16_t by)
{
    struct note *n;

    spin_lock(&lock);
    n = note_of(frame, false);
    if (n) {
        n->marks |= (uint8_t)marks;
        n->by = by;
    }
    spin_unlock(&lock);
}

static uint64_t page_count(void)
{
    return counts[SOON] + counts[ONCE] + counts[OFTEN];
}

/* What is kept must leave room for what comes. */
static void keep_bound(void)
{
    if (counts[OFTEN] > BATCH && counts[OFTEN] > page_count() * KEEP_SHARE) {
        struct note *oldest = list_entry(list_first(&lists[OFTEN]), struct note, link);

        take_out(oldest);
        put_in(oldest, ONCE);
    }
}

static enum list_name list_for(const struct note *n, enum cache_use use)
{
    if (use == CACHE_SOON)
        return SOON;
    return use == CACHE_KEEP || (n->marks & MARK_USED) ? OFTEN : ONCE;
}

bool cache_used(paddr_t frame, enum cache_use use)
{
    bool first = false;
    struct note *n;

    spin_lock(&lock);
    n = note_of(frame, false);
    if (n) {
        first = n->marks & CACHE_AHEAD;
        take_out(n);
        put_in(n, list_for(n, use));
        n->marks = (uint8_t)((n->marks & ~CACHE_AHEAD) | MARK_USED);
        keep_bound();
    }
    spin_unlock(&lock);
    return first;
}

void cache_wasted_set(void (*wasted)(uint16_t by))
{
    wasted_hook = wasted;
}

/* ---- Giving back ---- */

/* Up to `pages` of one list. Those that can't go now go behind the others; each is looked at once. */
static uint64_t shrink_list(enum list_name list, uint64_t pages)
{
    uint64_t looks = MIN(counts[list], 4 * pages + BATCH), given = 0;

    while (looks-- > 0 && given < pages) {
        struct note *n = list_entry(list_first(&lists[list]), struct note, link);

        if (memobj_evict(n->file->pages, n->index)) {
            forget(n);
            given++;
        } else {
            list_remove(&n->link);
            list_push_back(&lists[list], &n->link);
            __atomic_add_fetch(&passed_over, 1, __ATOMIC_RELAXED);
        }
    }
    return given;
}

uint64_t cache_shrink(uint64_t pages)
{
    uint64_t given = 0;

    for (unsigned i = 0; i < LISTS && given < pages; i++) {
        uint64_t n, wanted;

        do {
            spin_lock(&lock);
            wanted = MIN(pages - given, BATCH); /* others get the lock in between */
            n = chunks ? shrink_list((enum list_name)i, wanted) : 0;
            spin_unlock(&lock);
            given += n;
        } while (n == wanted && given < pages);
    }
    return given;
}

void cache_drop(struct cache_file *file, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count && __atomic_load_n(&file->resident, __ATOMIC_RELAXED); i++) {
        struct note *n;
        paddr_t frame;

        spin_lock(&lock);
        frame = memobj_evict(file->pages, first + i);
        n = frame ? note_of(frame, false) : NULL;
        if (n)
            forget(n);
        spin_unlock(&lock);
    }
}

/* Programs can be asked for theirs: what they run on must not be read again and again. */
static bool may_trim(void)
{
    struct memory_stats memory;

    memory_stats(&memory);
    return page_count() > memory.total / PAGE_SIZE / LEAST_SHARE; /* looked at without the lock: about */
}

static uint64_t reclaim_pages(struct reclaimer *r, uint64_t frames)
{
    uint64_t wanted = MAX(frames, BATCH), given = cache_shrink(wanted);

    (void)r;
    if (given == 0 && may_trim() && trim_await(wanted))
        given = cache_shrink(wanted);
    return given;
}

static struct reclaimer reclaimer = {.name = "pages of files", .reclaim = reclaim_pages};

static void start_once(void)
{
    if (__atomic_exchange_n(&registered, true, __ATOMIC_RELAXED))
        return;
    if (reclaimer_register(&reclaimer) != OK)
        __atomic_store_n(&registered, false, __ATOMIC_RELAXED);
    else if (trim_start() != OK)
        log_warn("linux: no memory for a thread; files that others have mapped will stay in memory");
}

/* Also what the caller's program has mapped. */
static uint64_t shrink_own(uint64_t pages)
{
    uint64_t given = cache_shrink(pages);

    for (unsigned i = 0; i < TRIES && given < pages && may_trim() && trim_own(4 * pages); i++)
        given += cache_shrink(pages - given);
    return given;
}

/* Mapped pages get old as others do: of those that were passed over programs lose what they don't use. */
static void trim_balance(uint64_t given)
{
    uint64_t passed = __atomic_exchange_n(&passed_over, 0, __ATOMIC_RELAXED);

    if (passed <= given || !may_trim())
        return;
    trim_own(MIN(passed - given, 2 * BATCH));
    trim_want(2 * BATCH);
}

void cache_make_room(uint64_t pages)
{
    struct memory_stats memory;

    if (page_count() < REGISTER_PAGES) /* looked at without the lock: about */
        return;
    start_once();
    trim_owed();
    memory_stats(&memory);
    if (memory.free < memory.total / RESERVE_SHARE + pages * PAGE_SIZE)
        trim_balance(shrink_own(MAX(pages, BATCH)));
}

bool cache_relieve(void)
{
    static uint64_t fails_since; /* atomic; 0: it does not */
    uint64_t given = shrink_own(RELIEF), since, now = time_now();

    if (given < RELIEF && may_trim() && trim_await(4 * RELIEF))
        given += cache_shrink(RELIEF - given);
    since = given < RELIEF ? __atomic_load_n(&fails_since, __ATOMIC_RELAXED) : 0;
    __atomic_store_n(&fails_since, given < RELIEF && !since ? now : since, __ATOMIC_RELAXED);
    return given >= RELIEF || (may_trim() && (!since || now - since < PATIENCE));
}

void cache_size(struct cache_size *out)
{
    struct memory_stats memory;
    uint64_t reserve;

    memory_stats(&memory);
    reserve = memory.total / RESERVE_SHARE;
    spin_lock(&lock);
    out->now = page_count();
    out->kept = counts[OFTEN];
    spin_unlock(&lock);
    out->most = out->now + (memory.free > reserve ? (memory.free - reserve) / PAGE_SIZE : 0);
}
