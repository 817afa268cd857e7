/*
 * cache.h: which pages of files stay in memory, and which go first when memory gets scarce.
 *
 * Pages are the memory objects' of their files; here they only stand in lists, oldest first: those
 * used once, those used again or worth keeping, and those that will not be wanted soon. A page that is
 * mapped, or written and not yet with its server, is passed over, and where there are many of these mm/trim.c takes
 * them from programs. Any context, unless said otherwise.
 */
#pragma once

#include <microlake/types.h>

struct memobj;

/* What the lists know of a file. */
struct cache_file {
    struct memobj *pages; /* set before the first page comes, and valid until the last has gone */
    uint64_t resident;    /* pages of it; guarded by the cache's lock */
};

/* How a page that was just used is to be treated. */
enum cache_use {
    CACHE_NORMAL, /* it stays longer once it is used again */
    CACHE_KEEP,   /* longer than what is used once */
    CACHE_SOON,   /* it goes before all others */
};

enum cache_mark {
    CACHE_AHEAD = 1u << 0, /* it was read ahead, and nobody has used it yet */
};

/* A page came in, or left. */
void cache_came(struct cache_file *file, uint64_t index, paddr_t frame);
void cache_left(paddr_t frame);

/* On return nobody looks at a file that has no pages any more. */
void cache_file_gone(void);

/* The next page of this file to come has these marks, and was asked for by this policy. */
void cache_mark(paddr_t frame, unsigned marks, uint16_t by);

/* An access used the page. True: it had been read ahead, and this was its first use. */
bool cache_used(paddr_t frame, enum cache_use use);

/* Pages read ahead that went without use, with the policy that asked for them. */
void cache_wasted_set(void (*wasted)(uint16_t by));

/* Before `pages` more are taken: gives back as many where little is left. Thread context; as trim_own(). */
void cache_make_room(uint64_t pages);

/* There is no memory left: gives back what can be had, also from who uses it. False: that has been hardly anything
 * for a while, so somebody must end. Context as above. */
bool cache_relieve(void);

/* Gives back about this many; how many it was. */
uint64_t cache_shrink(uint64_t pages);

/* Gives back those of a file's pages [first, first + count) that can go. */
void cache_drop(struct cache_file *file, uint64_t first, uint64_t count);

/* How many pages the cache could hold if nobody else takes more, and how many it holds. */
struct cache_size {
    uint64_t most, now, kept;
};
void cache_size(struct cache_size *out);
