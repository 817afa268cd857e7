/*
 * main.c: policies of the class readahead that answer nonsense, never, or fault. Each is sane for a while, so that
 * it has something on its way when it goes wrong.
 */
#include <microlake/policy.h>

#include "modules/linux/include/linux_readahead.h"
#include "uapi/kmod.h"

#define SANE 20u

/* True: be sane this time. */
static bool still_sane(const struct readahead_stream *s, const struct readahead_access *now,
                       uint64_t *data, struct readahead_answer *answer)
{
    if (data[0]++ >= SANE || now->first + 24 > s->file_pages)
        return data[0] <= SANE;
    answer->ranges[0] = (struct readahead_range){.first = now->first + 16, .count = 8, .repeat = 1};
    answer->ranges_used = 1;
    return true;
}

#define HOSTILE(word, evil) \
    static void word##_access(const struct readahead_stream *s, const struct readahead_access *now, \
                              const struct readahead_memory *m, uint64_t *data, struct readahead_answer *a) \
    { \
        (void)m; \
        if (!still_sane(s, now, data, a)) { \
            evil; \
        } \
    } \
    static const struct readahead_ops word##_ops = {sizeof(word##_ops), word##_access, 0}; \
    static struct policy word = {.name = #word, .ops = &word##_ops}

#define RANGE(f, c, r, st) ((struct readahead_range){.first = (f), .count = (c), .repeat = (r), .stride = (st)})

HOSTILE(ra_outside, a->ranges[0] = RANGE(s->file_pages - 1, 2, 1, 0); a->ranges_used = 1);
HOSTILE(ra_huge, a->ranges[0] = RANGE(0, READAHEAD_PAGES_MAX + 1, 1, 0); a->ranges_used = 1);
HOSTILE(ra_overlap, a->ranges[0] = RANGE(0, 8, 1, 0); a->ranges[1] = RANGE(4, 8, 1, 0); a->ranges_used = 2);
HOSTILE(ra_many, a->ranges_used = 1000000);
HOSTILE(ra_faults, *(volatile uint64_t *)data[0] = 1);
HOSTILE(ra_loops, for (;;) __asm__ volatile(""));

static struct policy *const all[] = {&ra_outside, &ra_huge, &ra_overlap, &ra_many, &ra_faults, &ra_loops};

static int hostile_init(void)
{
    int r = OK;

    for (unsigned i = 0; i < ARRAY_SIZE(all) && r == OK; i++)
        r = policy_register(READAHEAD_CLASS, all[i]);
    return r;
}

static void hostile_exit(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        policy_unregister(READAHEAD_CLASS, all[i]);
}

KMOD_MANIFEST(.name = "hostile_readahead", .version = "0.1.0", .needs = "linux", .init = hostile_init,
              .exit = hostile_exit);
