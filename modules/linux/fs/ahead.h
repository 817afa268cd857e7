/*
 * ahead.h: the mechanism of the class "readahead" (include/linux_readahead.h): streams of accesses, asking
 * the policy, and doing what it says. Thread context, may sleep, unless said otherwise.
 */
#pragma once

#include <microlake/spinlock.h>

#include "modules/linux/fs/fill.h"
#include "modules/linux/include/linux_readahead.h"

struct ahead_shadow;
struct ahead_words;

/* An open file, or the mappings of a file. */
struct ahead_stream {
    struct spinlock lock;           /* guards all that follows */
    struct readahead_stream seen;
    uint64_t data[READAHEAD_OWN];
    uint64_t owner;                 /* the policy's registration whose data it is */
    struct ahead_words *words;      /* of a policy that wants more; NULL: none yet, or lost to another stream */
    uint64_t number;                /* who answered last */
    bool exactly;                   /* only what is asked for: random access was advised; set without the lock */
    enum readahead_use use;         /* of the last answer */
    struct ahead_shadow *shadow;    /* NULL: no policy was asked in the shadow yet, or as above */
};

/* A file whose pages are kept. */
struct ahead_file {
    struct fill_file fill;
    uint64_t serial; /* no other has had it */
    struct ahead_stream mapped;
};

/* The class and its policies. */
int ahead_init(void);

struct ahead_stream *ahead_stream_create(void); /* NULL: no memory */
void ahead_stream_free(struct ahead_stream *s); /* NULL is allowed */
void ahead_stream_end(struct ahead_stream *s);  /* the same for one that is part of something */

/*
 * An access to pages [first, first + count) of a file that has so many. What is missing of them is on its
 * way, or there, on return, and so is what the policy wants. Trouble shows when the pages are used.
 */
void ahead_access(struct ahead_file *file, struct ahead_stream *s, uint64_t file_pages, uint64_t first,
                  uint32_t count);

/* Page `index`, with a reference to its frame, for the reader of a stream; it has been accessed now.
 * Status as fill_page(). */
int ahead_page(struct ahead_file *file, struct ahead_stream *s, uint64_t index, paddr_t *out);

/* A pager's bring(): a touch of a mapped page. */
int ahead_bring(struct ahead_file *file, uint64_t file_pages, uint64_t index);

/* Advice of programs: reads pages in the background; gives back those that nobody has. */
void ahead_want(struct ahead_file *file, uint64_t file_pages, uint64_t first, uint64_t count);
void ahead_drop(struct ahead_file *file, uint64_t first, uint64_t count);
void ahead_advise(struct ahead_stream *s, enum readahead_advice advice, bool exactly);

/* So many bytes reached a program. Any context. */
void ahead_given(uint64_t bytes);
