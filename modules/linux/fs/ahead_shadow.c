/*
 * ahead_shadow.c: see ahead_shadow.h.
 */
#include "modules/linux/fs/ahead_shadow.h"

static bool range_has(const struct readahead_range *r, uint64_t page)
{
    uint64_t at = page - r->first, stride = r->repeat > 1 ? r->stride : r->count;

    return page >= r->first && at / stride < r->repeat && at % stride < r->count;
}

static bool find_and_use(struct ahead_shadow *s, uint64_t page)
{
    for (unsigned i = 0; i < SHADOW_RANGES; i++) {
        struct shadow_range *r = &s->ranges[i];

        if (r->range.count && range_has(&r->range, page)) {
            r->used++;
            return true;
        }
    }
    return false;
}

void shadow_judge(struct ahead_shadow *s, const struct readahead_access *now, uint32_t there_else)
{
    uint32_t right = 0;

    for (uint32_t i = 0; i < now->count; i++)
        right += find_and_use(s, now->first + i);
    s->right += MIN(now->count, MAX(right, there_else));
    s->judged += now->count;
}

void shadow_remember(struct ahead_shadow *s, const struct readahead_answer *answer)
{
    for (uint32_t i = 0; i < answer->ranges_used; i++) {
        struct shadow_range *r = &s->ranges[s->next++ % SHADOW_RANGES];
        uint64_t pages = (uint64_t)r->range.count * r->range.repeat;

        if (pages > r->used)
            s->judged += pages - r->used;
        *r = (struct shadow_range){.range = answer->ranges[i]};
    }
}
