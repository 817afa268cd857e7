/*
 * expect.c: what is believed of a buffer's next touch: which guess, from its touch on, and, where its program has gone on
 * elsewhere since, what the order says from there.
 */
#include "internal.h"

#define SURE_LENGTH 16u  /* touches in the order of before */
#define SURE_RIGHT  244u /* of 255 */

static void state_set(const struct evict *e, struct gpu_memory_buffer *b, const struct evict_program *p, uint32_t flags)
{
    uint32_t target = (uint32_t)b->data[TARGET];

    if (entry_exists(e, target) && e->before[target % EVICT_HISTORY] & OVERWRITES)
        flags |= OVER;
    b->data[STATE] = flags | (uint64_t)p->jumps << 32;
}

void expect(struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    struct evict_sample *s = &e->sample;
    bool sure;

    s->believed = e->model ? e->model(s->inputs) : plain_rule(s);
    if (s->believed == EVICT_ALIGNED && s->guesses[EVICT_ALIGNED] == GAP_FREED)
        s->believed = EVICT_NEVER;
    sure = s->believed == EVICT_ALIGNED && p->length >= SURE_LENGTH && p->right[0] >> 8 >= SURE_RIGHT;
    state_set(e, b, p, s->believed | (sure ? SURE : 0));
}

/* ---- Anew -------------------------------------------------------------------------------------- */

/* The first entry of b's key behind `at`; NOWHERE: there is none that is known. */
static uint32_t entry_next(const struct evict *e, uint32_t n, uint32_t at)
{
    unsigned steps = STEPS;

    if (!entry_exists(e, n) || !entry_exists(e, at))
        return NOWHERE;
    while (n != NOWHERE && (int32_t)(n - at) <= 0 && steps--)
        n = entry_after(e, n);
    for (uint32_t before = n; before != NOWHERE && (int32_t)(before - at) > 0 && steps--;) {
        n = before;
        before = entry_before(e, n);
    }
    return steps < STEPS ? n : NOWHERE;
}

/* b's next entry where the program was last in this place, and the touches until then, as all times have it; NOWHERE:
 * it was in none of them. */
static uint32_t entry_expected(const struct evict *e, const struct evict_program *p, const struct gpu_memory_buffer *b,
                               uint32_t *ahead)
{
    uint32_t target = NOWHERE, n = (uint32_t)b->data[TARGET], sum = 0, count = 0;

    for (unsigned i = 0; i < EVICT_TIMES && p->at[i] != NOWHERE; i++) {
        uint32_t next = entry_next(e, n, p->at[i]);

        if (next == NOWHERE) { /* after the last time it has not come yet */
            sum += i == 0 ? stamps_between(e, p->at[0], e->next - 1) + mean_of(b) / 2 : 0;
            count += i == 0;
            continue;
        }
        n = next;
        target = target == NOWHERE ? n : target;
        sum += stamps_between(e, p->at[i], n);
        count++;
    }
    *ahead = count ? sum / count : 0;
    return target;
}

/* The program went on elsewhere since b was touched, or came by where b was expected: what is expected now. Seldom: what
 * it takes of registers, who asks each time need not save. */
static __attribute__((noinline)) void expect_anew(const struct evict *e, const struct evict_program *p,
                                                  struct gpu_memory_buffer *b)
{
    uint32_t ahead, target = entry_expected(e, p, b, &ahead), before;

    if (target == NOWHERE) {
        state_set(e, b, p, EVICT_ALIGNED | BEYOND);
        return;
    }
    before = entry_before(e, target);
    b->data[TARGET] = target | (uint64_t)(p->touches + ahead) << 32;
    state_set(e, b, p, before != NOWHERE && entry_freed(e, before) ? EVICT_NEVER : EVICT_ALIGNED);
}

/* ---- How far it is ----------------------------------------------------------------------------- */

/* What ALIGNED says, with a new look at it where the program has jumped since, or has come by. */
static uint32_t aligned_distance(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    uint32_t ahead = (uint32_t)(b->data[TARGET] >> 32) - p->touches;

    if ((uint32_t)(b->data[STATE] >> 32) != p->jumps || (int32_t)ahead <= 0) {
        expect_anew(e, p, b);
        if ((b->data[STATE] & BELIEVED) == EVICT_NEVER)
            return FAR;
        ahead = (uint32_t)(b->data[TARGET] >> 32) - p->touches;
    }
    return b->data[STATE] & BEYOND ? mean_of(b) : ahead;
}

/* By one gap of before: 0 where it did not come when it was expected. */
static uint32_t gap_distance(const struct evict_program *p, const struct gpu_memory_buffer *b, uint32_t gap)
{
    uint32_t age = gap_since(p, b);

    return gap > age ? gap - age : age - gap <= age / 4 + 2 ? 1 : 0;
}

uint32_t own_distance(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    enum evict_guess believed = (enum evict_guess)(b->data[STATE] & BELIEVED);

    if (believed == EVICT_ALIGNED)
        return aligned_distance(e, p, b);
    switch (believed) {
    case EVICT_NEVER:
        return FAR;
    case EVICT_MEAN:
        return mean_of(b);
    case EVICT_LAST:
        return gap_distance(p, b, (uint16_t)(b->data[GAPS] >> 16));
    case EVICT_SECOND:
        return gap_distance(p, b, (uint16_t)(b->data[GAPS] >> 32));
    default:
        return 0;
    }
}
