/*
 * rig.h: memory objects, frames and a file to read, for the tests of readahead.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "modules/linux/fs/fill.h"

#define RIG_PAGES  4096u /* of a file, at most */
#define RIG_FRAMES 8192u

struct memobj {
    struct fill_file *file; /* hears of pages that come */
    uint64_t size;          /* pages */
    unsigned refs;
    paddr_t frames[RIG_PAGES];
    bool stuck[RIG_PAGES]; /* can't be evicted */
};

/* A file of so many pages; each holds its number in all its bytes. */
struct rig {
    struct memobj object;
    struct fill_file file;
    uint64_t bytes;       /* of the file */
    uint64_t reads;       /* calls */
    uint64_t bad_page;    /* can't be read, UINT64_MAX: none */
    bool changes;         /* during each read the content changes */
};

void rig_start(struct rig *r, uint64_t pages);
void rig_end(struct rig *r); /* and checks that nothing is left over */

extern uint64_t rig_free;    /* bytes that memory_stats() says */
extern unsigned rig_threads; /* that were asked for; none runs */
extern unsigned rig_frames;  /* in use */
extern int64_t rig_reclaimable;
extern const struct spinlock *rig_locked; /* somebody has it */
extern struct rig *rig_program; /* a program has its stuck pages mapped; NULL: nobody has */

void rig_read(struct rig *r, uint64_t first, uint64_t count); /* as a reader wants pages */
bool rig_there(const struct rig *r, uint64_t page);

extern const struct CMUnitTest cache_tests[], fill_tests[], policy_tests[];
extern const size_t cache_test_count, fill_test_count, policy_test_count;
