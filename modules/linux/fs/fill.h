/*
 * fill.h: reading pages of files into their memory objects, several requests at once.
 *
 * A fill is one request for neighbouring pages: on its way until they are in the object, or could not be
 * read. Whoever wants a page that is on its way waits for it; one that waits in the queue still is done
 * by whoever wants it. Threads of the kernel do what nobody waits for. Thread context, may sleep.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/wait.h>

#include "modules/linux/fs/cache.h"

#define FILL_PAGES 32u /* of one request, at most */

/* What fills know of a file. It lives as long as its memory object. */
struct fill_file {
    struct cache_file cache; /* its object, whose pager brings by fill_page() */
    /* Bytes read, 0 at the end, or an error. `to` is heap memory or a page of the direct map. */
    long (*read)(void *context, uint64_t offset, void *to, size_t size);
    void *context;
    unsigned at_once;         /* pages of one request, at most FILL_PAGES */
    struct list fills;        /* on their way; guarded by fill.c's lock */
    struct mutex insert_lock; /* held while pages go into the object */
    uint64_t generation;      /* of its content; changes under insert_lock */
};

void fill_file_init(struct fill_file *file, unsigned at_once,
                    long (*read)(void *context, uint64_t offset, void *to, size_t size), void *context);

/* What is to be read, and what becomes of the pages. */
struct fill_order {
    uint64_t first, count; /* pages */
    uint64_t wanted;       /* of these, so many at the start are wanted now: they are not ahead */
    uint16_t by;           /* the policy that asked */
};

/* Starts to read what of these pages is neither there nor on its way. With `run`, the first request is
 * done here and now; the others in the background, those with wanted pages first. Trouble is left to
 * fill_page(). */
void fill_start(struct fill_file *file, const struct fill_order *order, bool run);

/* Page `index` was in the object when this returned OK. ERR_IO, ERR_NO_MEMORY, ERR_RANGE, ERR_INTERRUPTED:
 * the caller's program is to end. */
int fill_page(struct fill_file *file, uint64_t index);

/* The content has changed: what was read before, and is not in the object yet, is old. */
void fill_changed(struct fill_file *file);

/* Fills on their way, of all files; for tests. */
unsigned fill_count(void);
