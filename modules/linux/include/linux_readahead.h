/*
 * linux_readahead.h: the class of policies "readahead": which pages of a file are read before a program
 * asks for them, and how long those it used stay.
 *
 * The personality asks once for each access: a read() call, or a touch of a mapped page that was not in
 * memory. Only what the access itself wants is read in any case. An answer is checked; one that is not
 * allowed retires the policy.
 */
#pragma once

#include <microlake/types.h>

#define READAHEAD_CLASS     "readahead"
#define READAHEAD_RANGES    8u
#define READAHEAD_PAGES_MAX 1024u /* of one answer */
#define READAHEAD_HISTORY   4u
#define READAHEAD_OWN       6u  /* words that each stream has for its policy */
#define READAHEAD_DATA      32u /* words that a policy can have for a stream at most */

enum readahead_advice { READAHEAD_NO_ADVICE, READAHEAD_SEQUENTIAL };

/* What becomes of the pages that the access used. */
enum readahead_use {
    READAHEAD_NORMAL, /* they go when nothing older is left; later, if they are used again */
    READAHEAD_KEEP,   /* they stay as long as others can go instead */
    READAHEAD_DROP,   /* they go first */
};

struct readahead_access {
    uint64_t first; /* page */
    uint32_t count; /* pages, not 0 */
    uint32_t there; /* of these, how many were in memory, up to the first that was not */
};

/* One open file, or all mappings of one file. */
struct readahead_stream {
    uint64_t file;       /* tells files apart; no other has had the number */
    uint64_t file_pages; /* the file's size */
    uint64_t accesses;   /* so far, this one not included */
    bool mapped;         /* touches of mapped pages; those that were in memory are not seen */
    uint8_t advice;      /* enum readahead_advice; who advised random access is not asked */
    /* The last accesses; access n stands at n % READAHEAD_HISTORY. */
    struct readahead_access history[READAHEAD_HISTORY];
};

struct readahead_memory {
    uint64_t cache_most; /* pages that files can have in memory, if nobody else takes more */
    uint64_t cache_now;  /* pages they have */
    uint64_t file_now;   /* and this file */
};

struct readahead_range {
    uint64_t first;  /* page */
    uint32_t count;  /* pages, not 0 */
    uint32_t repeat; /* how often, not 0 */
    uint32_t stride; /* from one's first page to the next one's, at least count; for one alone any */
};

/* Ranges lie inside the file, ascending, and apart from each other: each starts behind the end of the
 * last piece of the one before. What is in memory, or on its way, is not read again. */
struct readahead_answer {
    uint32_t ranges_used;
    uint32_t use; /* enum readahead_use */
    struct readahead_range ranges[READAHEAD_RANGES];
};

/*
 * Preemption is off: no sleep, no allocation, no locks. `answer` is zeroed. `data` is the policy's own words of
 * this stream, zeroed when another policy takes over; nothing else may be kept of a stream. Each stream has
 * READAHEAD_OWN. A policy that wants more is first asked when a page was missing, and then its words come from
 * 64 KiB that all streams share: the stream that was asked about longest ago loses its own, and begins with zeroes
 * again. What it last did is in the history.
 */
struct readahead_ops {
    size_t struct_size; /* sizeof(struct readahead_ops) */
    void (*access)(const struct readahead_stream *stream, const struct readahead_access *now,
                   const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer);
    uint32_t words; /* of data, if more than READAHEAD_OWN */
};
