/*
 * contexts.c: which contexts the bandit has learned in, by what the machine was doing. There are fewer places
 * than loads and programs: the one that was not met for longest makes room.
 */
#include <microlake/memory.h>

#include "auto.h"

#define LEVEL_MASK 3u /* of a load: how many threads */

static unsigned difference(unsigned a, unsigned b)
{
    return a > b ? a - b : b - a;
}

/* How alike two contexts are; 0: not enough to learn from. The same program under a load close by, or the
 * same load of another program. */
static unsigned likeness(const struct context_key *a, const struct context_key *b)
{
    bool program = !strcmp(a->program, b->program);
    unsigned steps = difference(a->load & LEVEL_MASK, b->load & LEVEL_MASK) +
                     ((a->load ^ b->load) & ~LEVEL_MASK ? 1 : 0);

    return program && steps <= 1 ? 4 - steps : steps == 0 ? 1 : 0;
}

static unsigned likest(const struct contexts *all, const struct bandit *b, unsigned to)
{
    unsigned best = BANDIT_CONTEXTS, most = 0;

    for (unsigned i = 0; i < BANDIT_CONTEXTS; i++) {
        unsigned like;

        if (i == to || !all->keys[i].program[0] || !bandit_knows(b, i, 0))
            continue;
        like = likeness(&all->keys[i], &all->keys[to]);
        if (like > most || (like == most && like && all->used[i] > all->used[best])) {
            best = i;
            most = like;
        }
    }
    return best;
}

static unsigned place_find(const struct contexts *all, const struct context_key *key, bool *fresh)
{
    unsigned oldest = 0;

    *fresh = false;
    for (unsigned i = 0; i < BANDIT_CONTEXTS; i++) {
        if (all->keys[i].load == key->load && !strcmp(all->keys[i].program, key->program))
            return i;
        if (all->used[i] < all->used[oldest])
            oldest = i;
    }
    *fresh = true;
    return oldest;
}

unsigned context_find(struct contexts *all, struct bandit *b, const struct context_key *key, bool *fresh)
{
    unsigned place = place_find(all, key, fresh), from;

    all->used[place] = ++all->clock;
    if (!*fresh)
        return place;
    all->keys[place] = *key;
    bandit_clear(b, place);
    from = likest(all, b, place);
    if (from < BANDIT_CONTEXTS)
        bandit_seed(b, place, from);
    return place;
}
