/*
 * evict.c: see evict.h. What stands in buffers' words may be anything, after a change of policies too: it
 * is used as a number, or as a place in tables modulo their size, and never more.
 */
#include "evict.h"

#define UNITS         65536u
#define SLACK         (UNITS / 16) /* may be risked before anything has been won */
#define NOWHERE       UINT32_MAX
#define GAP           0x7fffu /* of an entry: the gap; the bit above: the next touch overwrites */
#define GAP_MAX       0x7ffeu
#define GAP_FREED     0x7fffu /* it was not touched again before it was freed */
#define OVERWRITES    0x8000u
#define SKIPS         16u    /* other programs' touches that are passed over */
#define MISSES        3u     /* touches that may be left out where the order is followed */
#define SHARE         5u     /* of one touch in the running shares: 1 / 32 */
#define NEVER         UINT64_MAX
#define FAR           (1u << 30)
#define PREFETCH_NEAR 4u /* touches from now */
#define SURE_LENGTH   16u  /* touches in the order of before */
#define SURE_RIGHT    244u /* of 255 */

enum flags { LATEST = 1, HERE = 2, DIRTY = 4, FIRST = 8, PROGRAM_SHIFT = 4 };

/* A buffer's words. */
enum word { PLACE, EXPECTED, GAPS, GUESSES, OVERWRITTEN, SURE };

void evict_init(struct evict *e, evict_model_fn *model)
{
    __builtin_memset(e, 0, sizeof(*e));
    e->model = model;
}

static void evict_reset(struct evict *e, uint64_t quota)
{
    evict_init(e, e->model);
    e->quota = quota;
    e->unit = quota / UNITS + 1;
    for (unsigned i = 0; i < EVICT_PROGRAMS; i++)
        e->programs[i].at = NOWHERE;
}

static uint32_t size_units(const struct evict *e, uint64_t bytes)
{
    uint64_t units = bytes / e->unit + 1;

    return units < UNITS ? (uint32_t)units : UNITS - 1;
}

/* Eight times the logarithm to base 2, roughly. */
static int32_t log_of(uint64_t value)
{
    int top = value ? 63 - __builtin_clzll(value) : 0;

    return value ? top * 8 + (int)((top >= 3 ? value >> (top - 3) : value << (3 - top)) & 7) : -8;
}

/* ---- The history ------------------------------------------------------------------------------- */

static bool entry_exists(const struct evict *e, uint32_t n)
{
    return n != NOWHERE && e->next - n - 1 < EVICT_HISTORY - MISSES - SKIPS;
}

/* The entry of b's last touch, or NOWHERE. */
static uint32_t own_entry(const struct evict *e, const struct gpu_memory_buffer *b)
{
    uint32_t n = (uint32_t)b->data[PLACE], i = n % EVICT_HISTORY;

    if (!b->data[GAPS] || e->next - n - 1 >= EVICT_HISTORY || e->next == n)
        return NOWHERE;
    return e->flags[i] & LATEST && e->keys[i] == (uint16_t)b->data[GAPS] ? n : NOWHERE;
}

static bool lru_has(const struct evict *e, uint32_t n)
{
    return n != NOWHERE && n - e->tail < e->next - e->tail;
}

/* The simulated LRU gives up what it touched longest ago. */
static void lru_drop(struct evict *e)
{
    uint32_t i = e->tail++ % EVICT_HISTORY;

    if (!(e->flags[i] & LATEST))
        return;
    e->lru_units -= e->sizes[i];
    e->lru_moved += e->flags[i] & DIRTY ? e->sizes[i] : 0;
    e->risked -= e->flags[i] & HERE ? 0 : e->sizes[i];
    e->flags[i] &= (uint8_t)~DIRTY;
}

static void entry_add(struct evict *e, uint16_t key, uint32_t units, uint8_t flags)
{
    uint32_t i = e->next % EVICT_HISTORY;

    if (e->next - e->tail == EVICT_HISTORY)
        lru_drop(e);
    e->next++;
    e->keys[i] = key;
    e->gaps[i] = 0;
    e->sizes[i] = (uint16_t)units;
    e->flags[i] = flags;
    e->lru_units += units;
    e->risked += flags & HERE ? 0 : units;
    while (e->lru_units > UNITS && e->next - e->tail > 1)
        lru_drop(e);
}

/* What the touch takes over from the entry before; DIRTY is the simulated LRU's. */
static uint8_t entry_take(struct evict *e, uint32_t n, bool copied, uint32_t units)
{
    uint32_t i = n % EVICT_HISTORY;
    uint8_t dirty = 0;

    if (lru_has(e, n)) {
        e->lru_units -= e->sizes[i];
        e->risked -= e->flags[i] & HERE ? 0 : e->sizes[i];
        dirty = e->flags[i] & DIRTY;
    } else {
        e->lru_moved += copied ? units : 0;
    }
    if (n != NOWHERE)
        e->flags[i] &= (uint8_t)~LATEST;
    return dirty;
}

/* ---- Order ------------------------------------------------------------------------------------- */

static unsigned program_find(struct evict *e, const struct gpu_memory_buffer *b)
{
    unsigned slot = 0;

    for (unsigned i = 0; i < EVICT_PROGRAMS; i++) {
        if (e->programs[i].id == b->program && e->programs[i].touches)
            return i;
        if (e->programs[i].seen < e->programs[slot].seen)
            slot = i;
    }
    e->programs[slot] = (struct evict_program){
        .id = b->program, .seen = e->number - 1, .at = NOWHERE, .rate = 256, .right = {255 << 7, 255 << 7}};
    return slot;
}

/* The program's entry behind n, or NOWHERE. */
static uint32_t entry_behind(const struct evict *e, unsigned slot, uint32_t n)
{
    for (unsigned i = 0; i < SKIPS && entry_exists(e, n); i++) {
        n++;
        if (n != e->next && e->flags[n % EVICT_HISTORY] >> PROGRAM_SHIFT == slot)
            return n;
    }
    return NOWHERE;
}

static uint16_t *index_of(struct evict *e, uint16_t previous, uint16_t key)
{
    uint32_t hash = (previous * 2654435761u ^ key * 2246822519u) * 3266489917u;

    return &e->index[(hash >> 16) % EVICT_INDEX];
}

/* The last entry that such a pair of touches ended with, or NOWHERE. */
static uint32_t pair_find(struct evict *e, uint16_t previous, uint16_t key)
{
    uint32_t place = *index_of(e, previous, key), n;

    if (place-- == 0 || e->next == 0)
        return NOWHERE;
    n = e->next - 1 - (e->next - 1 + EVICT_HISTORY - place % EVICT_HISTORY) % EVICT_HISTORY;
    return entry_exists(e, n) && e->keys[n % EVICT_HISTORY] == key ? n : NOWHERE;
}

/* Moves the program's alignment to where `key` was touched in the same order before. */
static void align(struct evict *e, unsigned slot, uint16_t key, uint32_t own)
{
    struct evict_program *p = &e->programs[slot];
    uint32_t n = p->at;

    for (unsigned misses = 0; misses < MISSES; misses++) {
        n = entry_behind(e, slot, n);
        if (n == NOWHERE)
            break;
        if (e->keys[n % EVICT_HISTORY] != key)
            continue;
        p->at = n;
        p->length = misses ? p->length / 2 + 1 : p->length + 1;
        return;
    }
    n = pair_find(e, p->previous, key);
    p->length = n != NOWHERE;
    p->at = n != NOWHERE ? n : entry_exists(e, own) ? own : NOWHERE;
}

/* A new buffer may have the part that another one had: made at the same point, of the same size. */
static uint16_t key_choose(const struct evict *e, unsigned slot, const struct gpu_memory_buffer *b, uint32_t units)
{
    uint32_t n = entry_behind(e, slot, e->programs[slot].at), i = n % EVICT_HISTORY;

    if (n != NOWHERE && e->flags[i] & FIRST && e->sizes[i] == units)
        return e->keys[i];
    return (uint16_t)((b->id * 40503u + b->program * 977u) | 1);
}

/* ---- Guesses ----------------------------------------------------------------------------------- */

static bool guess_right(uint32_t guess, uint32_t gap)
{
    uint32_t off = guess > gap ? guess - gap : gap - guess;

    return off <= guess / 16 + 1;
}

/* How the guesses of b's last touch turned out. */
static void guesses_judge(struct evict_program *p, const struct gpu_memory_buffer *b, uint32_t gap)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t guess = (uint16_t)(b->data[GUESSES] >> (16 * i));
        uint32_t score = guess_right(guess, gap) ? 255u << 8 : 0;

        if (guess)
            p->right[i] += (score >> SHARE) - (p->right[i] >> SHARE);
    }
}

static enum evict_guess plain_rule(const struct evict_sample *s)
{
    if (s->inputs[1] >= 2)
        return s->guesses[EVICT_ALIGNED] == GAP_FREED ? EVICT_NEVER : EVICT_ALIGNED;
    if (s->guesses[EVICT_LAST] && guess_right(s->guesses[EVICT_LAST], s->guesses[EVICT_SECOND]))
        return EVICT_LAST;
    return EVICT_UNKNOWN;
}

static void sample_fill(struct evict *e, const struct evict_program *p, const struct gpu_memory_buffer *b,
                        const struct gpu_memory_touch *t)
{
    struct evict_sample *s = &e->sample;
    uint32_t last = (uint16_t)(b->data[GAPS] >> 16), second = (uint16_t)(b->data[GAPS] >> 32);
    uint32_t aligned = p->at == NOWHERE ? 0 : e->gaps[p->at % EVICT_HISTORY] & GAP;

    s->guesses[EVICT_ALIGNED] = aligned;
    s->guesses[EVICT_LAST] = last;
    s->guesses[EVICT_SECOND] = second;
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
}

/* Number of the device's touch that b is expected at. */
static uint64_t expect(struct evict *e, const struct evict_program *p)
{
    struct evict_sample *s = &e->sample;
    uint32_t gap;

    s->believed = e->model ? e->model(s->inputs) : plain_rule(s);
    if (s->believed == EVICT_NEVER || (s->believed == EVICT_ALIGNED && s->guesses[EVICT_ALIGNED] == GAP_FREED))
        return NEVER;
    if (s->believed > EVICT_SECOND)
        return 0;
    gap = s->guesses[s->believed];
    return gap ? e->number + ((uint64_t)gap * p->rate >> 8) : 0;
}

/* ---- Events ------------------------------------------------------------------------------------ */

static void program_advance(struct evict *e, struct evict_program *p)
{
    uint64_t step = (e->number - p->seen) << 8;

    if (step > 1u << 24)
        step = 1u << 24;
    p->rate += (uint32_t)(step >> SHARE) - (p->rate >> SHARE);
    p->seen = e->number;
    p->touches++;
}

static uint32_t gap_since(const struct evict_program *p, const struct gpu_memory_buffer *b)
{
    uint32_t gap = p->touches - (uint32_t)(b->data[PLACE] >> 32);

    return gap == 0 ? 1 : gap < GAP_MAX ? gap : GAP_MAX;
}

void evict_touch(struct evict *e, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    struct evict_program *p;
    uint32_t own, units, gap;
    uint8_t flags;
    uint16_t key;
    unsigned slot;

    if (t->quota != e->quota || t->number <= e->number)
        evict_reset(e, t->quota);
    e->number = t->number;
    slot = program_find(e, b);
    p = &e->programs[slot];
    program_advance(e, p);
    own = own_entry(e, b);
    units = size_units(e, b->bytes);
    e->largest = units > e->largest ? units : e->largest;
    flags = entry_take(e, own, t->copied, units);
    if (b->data[GAPS]) {
        gap = gap_since(p, b);
        guesses_judge(p, b, gap);
        if (own != NOWHERE)
            e->gaps[own % EVICT_HISTORY] = (uint16_t)(gap | (t->reads ? 0 : OVERWRITES));
        key = (uint16_t)b->data[GAPS];
        b->data[GAPS] = key | (b->data[GAPS] & 0xffffffff0000) << 16 | (uint64_t)gap << 16;
    } else {
        key = key_choose(e, slot, b, units);
        b->data[GAPS] = key;
        flags |= FIRST;
    }
    align(e, slot, key, own);
    sample_fill(e, p, b, t);
    b->data[EXPECTED] = expect(e, p);
    b->data[OVERWRITTEN] = p->at != NOWHERE && e->gaps[p->at % EVICT_HISTORY] & OVERWRITES;
    b->data[GUESSES] = (uint16_t)e->sample.guesses[EVICT_ALIGNED] | (uint64_t)(uint16_t)e->sample.guesses[EVICT_LAST] << 16;
    b->data[SURE] = e->sample.believed == EVICT_ALIGNED && p->length >= SURE_LENGTH && p->right[0] >> 8 >= SURE_RIGHT;
    *index_of(e, p->previous, key) = (uint16_t)(e->next % EVICT_HISTORY + 1);
    p->previous = key;
    b->data[PLACE] = e->next | (uint64_t)p->touches << 32;
    flags |= (uint8_t)(LATEST | (b->resident ? HERE : 0) | (t->writes ? DIRTY : 0) | slot << PROGRAM_SHIFT);
    entry_add(e, key, units, flags);
}

void evict_moved(struct evict *e, struct gpu_memory_buffer *b, bool here, bool copied)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (!e->unit)
        return;
    e->moved += copied ? size_units(e, b->bytes) : 0;
    if (n == NOWHERE || here == !!(e->flags[i] & HERE))
        return;
    e->flags[i] ^= HERE;
    if (lru_has(e, n))
        e->risked += here ? 0 - (uint64_t)e->sizes[i] : e->sizes[i];
}

void evict_freed(struct evict *e, struct gpu_memory_buffer *b)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (n == NOWHERE)
        return;
    if (lru_has(e, n)) {
        e->lru_units -= e->sizes[i];
        e->risked -= e->flags[i] & HERE ? 0 : e->sizes[i];
    }
    e->flags[i] &= (uint8_t)~(LATEST | DIRTY);
    e->gaps[i] = GAP_FREED;
}

/* ---- Questions --------------------------------------------------------------------------------- */

/* How long b is not expected: the touches until then; of those about whom nothing is known, and who did not
 * come when they were expected, how long they have not been touched, as LRU has it. */
static uint64_t distance(const struct gpu_memory_question *q, const struct gpu_memory_buffer *b)
{
    uint64_t now = q->touches, age = now > b->last ? now - b->last : 0, expected = b->data[EXPECTED];

    if (!b->known || !expected)
        return age;
    if (expected == NEVER)
        return FAR + age;
    if (expected > now)
        return expected - now < FAR ? expected - now : FAR;
    return now - expected <= age / 4 + 2 ? 1 : age;
}

/* Touches without b by the moves that it costs to give it up: out when it has changed, in again unless it is
 * overwritten then. */
static uint64_t worth(const struct gpu_memory_question *q, const struct gpu_memory_buffer *b)
{
    uint64_t d = distance(q, b);
    bool back = d < FAR && !(b->known && b->data[OVERWRITTEN]);

    if (d > FAR)
        d = FAR + (d & (FAR - 1)) / 64;
    return b->dirty && back ? d * 4 : b->dirty || back ? d * 8 : d * 64;
}

static bool affordable(const struct evict *e, uint32_t n, bool dirty)
{
    uint32_t units = e->sizes[n % EVICT_HISTORY];
    uint64_t slack = SLACK + 2 * (e->largest < UNITS / 8 ? e->largest : UNITS / 8);

    return e->moved + e->risked + units * (1u + dirty) <= e->lru_moved + e->lru_moved / 32 + slack;
}

/* Else what comes early would soon give its place back. */
static bool surely_far(const struct gpu_memory_question *q, const struct gpu_memory_buffer *b)
{
    return b->known && b->data[SURE] && distance(q, b) >= 4 * PREFETCH_NEAR;
}

uint32_t evict_victim(struct evict *e, const struct gpu_memory_question *q)
{
    uint32_t best = GPU_MEMORY_NONE, free_best = GPU_MEMORY_NONE, oldest = 0;
    uint64_t most = 0, free_most = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        const struct gpu_memory_buffer *b = q->list[i];
        uint32_t n = b->known ? own_entry(e, b) : NOWHERE;
        uint64_t value = worth(q, b);

        if (b->last < q->list[oldest]->last)
            oldest = i;
        if (lru_has(e, n) ? value >= most : value >= free_most) {
            *(lru_has(e, n) ? &best : &free_best) = i;
            *(lru_has(e, n) ? &most : &free_most) = value;
        }
    }
    if (best != GPU_MEMORY_NONE && (free_best == GPU_MEMORY_NONE || most > free_most) && e->unit &&
        affordable(e, own_entry(e, q->list[best]), q->list[best]->dirty))
        free_best = best;
    if (q->optional)
        return free_best != GPU_MEMORY_NONE && surely_far(q, q->list[free_best]) ? free_best : GPU_MEMORY_NONE;
    return free_best != GPU_MEMORY_NONE ? free_best : oldest;
}

uint32_t evict_prefetch(struct evict *e, const struct gpu_memory_question *q)
{
    uint32_t best = GPU_MEMORY_NONE;
    uint64_t nearest = q->touches + PREFETCH_NEAR;

    (void)e;
    for (uint32_t i = 0; i < q->count; i++) {
        const struct gpu_memory_buffer *b = q->list[i];
        uint64_t expected = b->known && b->data[SURE] ? b->data[EXPECTED] : 0;

        if (expected > q->touches && expected < nearest && !b->data[OVERWRITTEN]) {
            nearest = expected;
            best = i;
        }
    }
    return best;
}
