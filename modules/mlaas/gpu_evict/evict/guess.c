/*
 * guess.c: guesses of a buffer's next touch: as where the order was the same, as the last times, as on average; and how
 * such guesses turned out. All are in the program's own touches.
 */
#include "internal.h"

#define SHARE 5u /* of one touch in the running shares: 1 / 32 */

void share_move(uint32_t *share, bool yes)
{
    *share += ((yes ? 255u << 8 : 0) >> SHARE) - (*share >> SHARE);
}

/* Eight times the logarithm to base 2, roughly. */
static int32_t log_of(uint64_t value)
{
    int top = value ? 63 - __builtin_clzll(value) : 0;

    return value ? top * 8 + (int)((top >= 3 ? value >> (top - 3) : value << (3 - top)) & 7) : -8;
}

static bool guess_right(uint32_t guess, uint32_t gap)
{
    uint32_t off = guess > gap ? guess - gap : gap - guess;

    return off <= guess / 16 + 1;
}

enum evict_guess plain_rule(const struct evict_sample *s)
{
    if (s->inputs[1] >= 2 && s->inputs[11] >= 128 && s->guesses[EVICT_ALIGNED])
        return EVICT_ALIGNED;
    if (s->guesses[EVICT_LAST] && guess_right(s->guesses[EVICT_LAST], s->guesses[EVICT_SECOND]))
        return EVICT_LAST;
    return s->guesses[EVICT_MEAN] ? EVICT_MEAN : EVICT_UNKNOWN;
}

/* ---- Gaps -------------------------------------------------------------------------------------- */

/* How the guesses of b's last touch turned out. */
static void guesses_judge(struct evict_program *p, const struct gpu_memory_buffer *b, uint32_t gap)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t guess = (uint16_t)(b->data[GUESSES] >> (16 * i));

        if (guess)
            share_move(&p->right[i], guess_right(guess, gap));
    }
}

static void mean_move(struct gpu_memory_buffer *b, uint32_t gap)
{
    uint32_t mean = (uint32_t)b->data[MEAN];

    b->data[MEAN] = mean ? mean + gap - (mean >> MEAN_SHARE) : gap << MEAN_SHARE;
}

void gap_take(struct evict_program *p, struct gpu_memory_buffer *b, uint32_t gap)
{
    guesses_judge(p, b, gap);
    b->data[GAPS] = (uint16_t)b->data[GAPS] | (b->data[GAPS] & 0xffffffff0000) << 16 | (uint64_t)gap << 16;
    mean_move(b, gap);
}

/* From the entry n to the next of the same key; 0: there is none. */
static uint32_t gap_after(const struct evict *e, uint32_t n, uint32_t *target)
{
    *target = n == NOWHERE ? NOWHERE : entry_after(e, n);
    if (n != NOWHERE && entry_freed(e, n))
        return GAP_FREED;
    return *target == NOWHERE ? 0 : stamps_between(e, n, *target);
}

/* The same, of all the times that are regarded; *target: of the last. */
static uint32_t gap_aligned(const struct evict *e, const struct evict_program *p, uint32_t *target)
{
    uint32_t gap = gap_after(e, p->at[0], target), sum = gap, count = 1, other, ignored;

    if (!gap || gap == GAP_FREED)
        return gap;
    for (unsigned i = 1; i < EVICT_TIMES && p->at[i] != NOWHERE; i++) {
        other = gap_after(e, p->at[i], &ignored);
        if (!other || other == GAP_FREED)
            continue;
        sum += other;
        count++;
    }
    return sum / count;
}

/* ---- What the model is asked ------------------------------------------------------------------- */

static void inputs_fill(struct evict_sample *s, const struct evict_program *p, const struct gpu_memory_buffer *b,
                        const struct gpu_memory_touch *t)
{
    uint32_t aligned = s->guesses[EVICT_ALIGNED], last = s->guesses[EVICT_LAST], second = s->guesses[EVICT_SECOND];

    s->inputs[0] = log_of(aligned);
    s->inputs[1] = p->length < 64 ? (int32_t)p->length : 64;
    s->inputs[2] = log_of(last);
    s->inputs[3] = log_of(second);
    s->inputs[4] = log_of(b->data[GAPS] >> 48);
    s->inputs[5] = (int32_t)(p->right[0] >> 8) & 255;
    s->inputs[6] = (int32_t)(p->right[1] >> 8) & 255;
    s->inputs[7] = b->touches < 32 ? (int32_t)b->touches : 32;
    s->inputs[8] = t->reads + 2 * t->writes;
    s->inputs[9] = guess_right(aligned, last) + 2 * guess_right(last, second);
    s->inputs[10] = log_of(s->guesses[EVICT_MEAN]);
    s->inputs[11] = (int32_t)(p->followed >> 8) & 255;
}

void guesses_make(struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b,
                  const struct gpu_memory_touch *t)
{
    uint32_t target, aligned = gap_aligned(e, p, &target);
    struct evict_sample *s = &e->sample;

    s->guesses[EVICT_ALIGNED] = aligned;
    s->guesses[EVICT_LAST] = (uint16_t)(b->data[GAPS] >> 16);
    s->guesses[EVICT_SECOND] = (uint16_t)(b->data[GAPS] >> 32);
    s->guesses[EVICT_MEAN] = mean_of(b);
    inputs_fill(s, p, b, t);
    b->data[TARGET] = target | (uint64_t)(p->touches + aligned) << 32;
    b->data[GUESSES] = (uint16_t)aligned | (uint64_t)(uint16_t)s->guesses[EVICT_LAST] << 16;
}
