/*
 * evict.c: see evict.h. What stands in buffers' words may be anything, after a change of policies too: it
 * is used as a number, or as a place in tables modulo their size, and never more.
 */
#include "evict.h"

#define UNITS         65536u
#define SLACK         (UNITS / 16) /* may be risked before anything has been won, where LRU is not good */
#define NOWHERE       UINT32_MAX
#define LINK          0x1fffu /* of before and after; the bits above are flags */
#define NAME_BITS     12u     /* of a key */
#define GAP_MAX       0xfffeu
#define GAP_FREED     0xffffu /* a guess: it is not touched again before it is freed */
#define SKIPS         16u    /* other programs' touches that are passed over */
#define MISSES        3u     /* touches that may be left out where the order is followed */
#define STEPS         12u    /* links that are followed for one guess */
#define ALIKE         8u     /* touches before, by which other times are found */
#define SHARE         5u     /* of one touch in the running shares: 1 / 32 */
#define RATE_SHARE    7u     /* the same, of a program's rate */
#define MEAN_SHARE    3u     /* the same, of a buffer's mean gap */
#define MUCH          4u     /* times the bytes that are wanted */
#define FAR           (1u << 30)
#define PREFETCH_NEAR 4u /* touches from now */
#define SURE_LENGTH   16u  /* touches in the order of before */
#define SURE_RIGHT    244u /* of 255 */

/* Flags above a link: of after, and of before. DIRTY is the simulated LRU's, CHANGED the device's. */
enum { HERE = 0x8000, DIRTY = 0x4000, FREED = 0x2000 };
enum { FIRST = 0x8000, OVERWRITES = 0x4000, CHANGED = 0x2000 };

/* A buffer's words. TARGET: entry of the guess ALIGNED, and above it the touch of the program that this means;
 * STATE: the guess believed, whether it is sure, whether that touch overwrites all, and above them the program's jumps
 * then. */
enum word { PLACE, TARGET, GAPS, GUESSES, STATE, MEAN };
enum { BELIEVED = 7, SURE = 8, BEYOND = 16, OVER = 32 };

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
        e->programs[i].at[0] = NOWHERE;
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

static unsigned slot_of(uint16_t key)
{
    return key >> NAME_BITS;
}

static uint32_t entry_before(const struct evict *e, uint32_t n)
{
    uint32_t back = e->before[n % EVICT_HISTORY] & LINK;

    return back && entry_exists(e, n - back) ? n - back : NOWHERE;
}

static uint32_t entry_after(const struct evict *e, uint32_t n)
{
    uint32_t on = e->after[n % EVICT_HISTORY] & LINK;

    return on ? n + on : NOWHERE;
}

/* n is the last touch of a buffer that is alive. */
static bool entry_latest(const struct evict *e, uint32_t n)
{
    return !(e->after[n % EVICT_HISTORY] & (LINK | FREED));
}

/* The entry of b's last touch, or NOWHERE. */
static uint32_t own_entry(const struct evict *e, const struct gpu_memory_buffer *b)
{
    uint32_t n = (uint32_t)b->data[PLACE];

    if (!b->data[GAPS] || e->next - n - 1 >= EVICT_HISTORY || e->next == n)
        return NOWHERE;
    return entry_latest(e, n) && e->keys[n % EVICT_HISTORY] == (uint16_t)b->data[GAPS] ? n : NOWHERE;
}

static bool lru_has(const struct evict *e, uint32_t n)
{
    return n != NOWHERE && n - e->tail < e->next - e->tail;
}

static bool owes(const struct evict *e, uint32_t n)
{
    return e->before[n % EVICT_HISTORY] & CHANGED && !(e->after[n % EVICT_HISTORY] & DIRTY);
}

/* The simulated LRU gives up what it touched longest ago. */
static void lru_drop(struct evict *e)
{
    uint32_t n = e->tail++, i = n % EVICT_HISTORY;

    if (!entry_latest(e, n))
        return;
    e->lru_units -= e->sizes[i];
    e->lru_moved += e->after[i] & DIRTY ? e->sizes[i] : 0;
    e->risked -= e->after[i] & HERE ? 0 : e->sizes[i];
    e->owed -= owes(e, n) ? e->sizes[i] : 0;
    e->after[i] &= (uint16_t)~DIRTY;
    e->owed += owes(e, n) ? e->sizes[i] : 0;
}

/* The entry n is not the latest of its buffer any more, or not known any more. */
static void entry_settle(struct evict *e, uint32_t n)
{
    uint32_t i = n % EVICT_HISTORY;

    e->owed -= owes(e, n) ? e->sizes[i] : 0;
    e->before[i] &= (uint16_t)~CHANGED;
    if (!lru_has(e, n))
        return;
    e->lru_units -= e->sizes[i];
    e->risked -= e->after[i] & HERE ? 0 : e->sizes[i];
}

/* flags: of after, and of before. prior: the same key's entry before. */
static void entry_add(struct evict *e, uint16_t key, uint32_t units, uint32_t prior, uint16_t after, uint16_t before)
{
    uint32_t n = e->next, i = n % EVICT_HISTORY, back = n - prior;

    if (prior == NOWHERE || back > EVICT_HISTORY)
        back = 0;
    if (back)
        e->after[prior % EVICT_HISTORY] |= (uint16_t)back;
    if (e->next - e->tail == EVICT_HISTORY)
        lru_drop(e);
    if (n >= EVICT_HISTORY)
        entry_settle(e, n - EVICT_HISTORY);
    e->next++;
    e->keys[i] = key;
    e->stamps[i] = (uint16_t)e->programs[slot_of(key)].touches;
    e->sizes[i] = (uint16_t)units;
    e->after[i] = after;
    e->before[i] = before | (uint16_t)(back < EVICT_HISTORY ? back : 0);
    e->lru_units += units;
    e->risked += after & HERE ? 0 : units;
    e->owed += owes(e, n) ? units : 0;
    while (e->lru_units > UNITS && e->next - e->tail > 1)
        lru_drop(e);
}

/* What the touch takes over from the entry before; DIRTY is the simulated LRU's. */
static uint16_t entry_take(struct evict *e, uint32_t n, bool copied, uint32_t units)
{
    uint16_t dirty = lru_has(e, n) ? e->after[n % EVICT_HISTORY] & DIRTY : 0;

    if (!lru_has(e, n)) {
        e->lru_moved += copied ? units : 0;
        e->lru_back += copied && n != NOWHERE ? units : 0;
    }
    if (n != NOWHERE)
        entry_settle(e, n);
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
        .id = b->program, .seen = e->number - 1, .at = {NOWHERE}, .rate = 256, .right = {255 << 7, 255 << 7}};
    return slot;
}

/* The program's entry behind n, or NOWHERE. */
static uint32_t entry_behind(const struct evict *e, unsigned slot, uint32_t n)
{
    for (unsigned i = 0; i < SKIPS && entry_exists(e, n); i++) {
        n++;
        if (n != e->next && slot_of(e->keys[n % EVICT_HISTORY]) == slot)
            return n;
    }
    return NOWHERE;
}

static uint16_t *index_of(struct evict *e, uint16_t previous, uint16_t key)
{
    uint32_t hash = (previous * 2654435761u ^ key * 2246822519u) * 3266489917u;

    return &e->index[(hash >> 16) % EVICT_INDEX];
}

/* The entry whose place in the history is noted there, or NOWHERE. */
static uint32_t noted_find(const struct evict *e, const uint16_t *note)
{
    uint32_t place = *note, n;

    if (place-- == 0 || e->next == 0)
        return NOWHERE;
    n = e->next - 1 - (e->next - 1 + EVICT_HISTORY - place % EVICT_HISTORY) % EVICT_HISTORY;
    return entry_exists(e, n) ? n : NOWHERE;
}

/* The last entry that such a pair of touches ended with, or NOWHERE. The pair of a key with itself: the key's last. */
static uint32_t pair_find(struct evict *e, uint16_t previous, uint16_t key)
{
    uint32_t n = noted_find(e, index_of(e, previous, key));

    return n != NOWHERE && e->keys[n % EVICT_HISTORY] == key ? n : NOWHERE;
}

/* Where new buffers of that size are noted, by what was touched before. */
static uint16_t *index_new(struct evict *e, uint16_t previous, uint32_t units)
{
    return index_of(e, previous, (uint16_t)(units * 40503u >> 3));
}

static void share_move(uint32_t *share, bool yes)
{
    *share += ((yes ? 255u << 8 : 0) >> SHARE) - (*share >> SHARE);
}

/* The program's entry ahead of n, or NOWHERE. */
static uint32_t entry_ahead(const struct evict *e, unsigned slot, uint32_t n)
{
    for (unsigned i = 0; i < SKIPS && entry_exists(e, n - 1); i++)
        if (slot_of(e->keys[--n % EVICT_HISTORY]) == slot)
            return n;
    return NOWHERE;
}

/* What was touched up to a and up to b is the same, as far back as `length`. */
static bool entries_alike(const struct evict *e, uint32_t a, uint32_t b, uint32_t length)
{
    unsigned slot = slot_of(e->keys[a % EVICT_HISTORY]);

    for (; length; length--) {
        a = entry_ahead(e, slot, a);
        b = entry_ahead(e, slot, b);
        if (a == NOWHERE || b == NOWHERE || e->keys[a % EVICT_HISTORY] != e->keys[b % EVICT_HISTORY])
            return false;
    }
    return true;
}

/* at[1] and on have come to the same key as at[0]. */
static bool others_follow(const struct evict *e, struct evict_program *p)
{
    uint16_t key = e->keys[p->at[0] % EVICT_HISTORY];

    for (unsigned i = 1; i < EVICT_TIMES; i++) {
        uint32_t n = entry_behind(e, slot_of(key), p->at[i]);

        if (n == NOWHERE || e->keys[n % EVICT_HISTORY] != key)
            return false;
        p->at[i] = n;
    }
    return true;
}

/* The times before at[0] that it was touched after the same. */
static void others_find(const struct evict *e, struct evict_program *p)
{
    uint32_t n = p->at[0], length = p->length < ALIKE ? p->length : ALIKE;
    unsigned found = 1;

    for (unsigned steps = 0; steps < STEPS && found < EVICT_TIMES && n != NOWHERE; steps++) {
        n = entry_before(e, n);
        if (n != NOWHERE && entries_alike(e, p->at[0], n, length))
            p->at[found++] = n;
    }
    while (found < EVICT_TIMES)
        p->at[found++] = NOWHERE;
}

/* Moves the program's alignment to where `key` was touched in the same order before. */
static void align(struct evict *e, unsigned slot, uint16_t key, uint32_t own)
{
    struct evict_program *p = &e->programs[slot];
    uint32_t n = p->at[0];

    for (unsigned misses = 0; misses < MISSES; misses++) {
        n = entry_behind(e, slot, n);
        if (n == NOWHERE)
            break;
        if (e->keys[n % EVICT_HISTORY] != key)
            continue;
        p->at[0] = n;
        p->length = misses ? p->length / 2 + 1 : p->length + 1;
        share_move(&p->followed, misses == 0);
        if (misses || !others_follow(e, p))
            others_find(e, p);
        return;
    }
    share_move(&p->followed, false);
    n = pair_find(e, p->previous, key);
    p->length = n != NOWHERE;
    p->at[0] = n != NOWHERE ? n : entry_exists(e, own) ? own : NOWHERE;
    p->jumps++;
    others_find(e, p);
}

/* n is the first touch of a buffer of that size that is gone; *last: its last touch, where that is known. */
static bool entry_was_like(struct evict *e, uint32_t n, uint32_t units, uint32_t *last)
{
    uint32_t i = n % EVICT_HISTORY;

    if (n == NOWHERE || !(e->before[i] & FIRST) || e->sizes[i] != units)
        return false;
    *last = pair_find(e, e->keys[i], e->keys[i]);
    return *last == NOWHERE || e->after[*last % EVICT_HISTORY] & FREED;
}

/* The key of a new buffer, and the entry before it: it may have the part that another one had that is gone, made at
 * the same point, of the same size. */
static uint16_t key_choose(struct evict *e, unsigned slot, uint32_t units, uint32_t *prior)
{
    struct evict_program *p = &e->programs[slot];
    uint32_t n = entry_behind(e, slot, p->at[0]);

    if (entry_was_like(e, n, units, prior))
        return e->keys[n % EVICT_HISTORY];
    n = noted_find(e, index_new(e, p->previous, units));
    if (entry_was_like(e, n, units, prior) && slot_of(e->keys[n % EVICT_HISTORY]) == slot)
        return e->keys[n % EVICT_HISTORY];
    *prior = NOWHERE;
    p->names = p->names % ((1u << NAME_BITS) - 1) + 1;
    return (uint16_t)(slot << NAME_BITS | p->names);
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

        if (guess)
            share_move(&p->right[i], guess_right(guess, gap));
    }
}

static enum evict_guess plain_rule(const struct evict_sample *s)
{
    if (s->inputs[1] >= 2 && s->inputs[11] >= 128 && s->guesses[EVICT_ALIGNED])
        return EVICT_ALIGNED;
    if (s->guesses[EVICT_LAST] && guess_right(s->guesses[EVICT_LAST], s->guesses[EVICT_SECOND]))
        return EVICT_LAST;
    return s->guesses[EVICT_MEAN] ? EVICT_MEAN : EVICT_UNKNOWN;
}

/* From the entry n to the next of the same key; 0: there is none. */
static uint32_t gap_after(const struct evict *e, uint32_t n, uint32_t *target)
{
    *target = n == NOWHERE ? NOWHERE : entry_after(e, n);
    if (n != NOWHERE && e->after[n % EVICT_HISTORY] & FREED)
        return GAP_FREED;
    return *target == NOWHERE ? 0 : (uint16_t)(e->stamps[*target % EVICT_HISTORY] - e->stamps[n % EVICT_HISTORY]);
}

/* The same, of all the times that are regarded; gap: of the last. */
static uint32_t gap_mean(const struct evict *e, const struct evict_program *p, uint32_t gap)
{
    uint32_t sum = gap, count = 1, other, target;

    if (!gap || gap == GAP_FREED)
        return gap;
    for (unsigned i = 1; i < EVICT_TIMES && p->at[i] != NOWHERE; i++) {
        other = gap_after(e, p->at[i], &target);
        if (!other || other == GAP_FREED)
            continue;
        sum += other;
        count++;
    }
    return sum / count;
}

static uint32_t mean_of(const struct gpu_memory_buffer *b)
{
    return (uint32_t)b->data[MEAN] >> MEAN_SHARE;
}

static void mean_move(struct gpu_memory_buffer *b, uint32_t gap)
{
    uint32_t mean = (uint32_t)b->data[MEAN];

    b->data[MEAN] = mean ? mean + gap - (mean >> MEAN_SHARE) : gap << MEAN_SHARE;
}

static void sample_fill(struct evict *e, const struct evict_program *p, const struct gpu_memory_buffer *b,
                        const struct gpu_memory_touch *t, uint32_t aligned)
{
    struct evict_sample *s = &e->sample;
    uint32_t last = (uint16_t)(b->data[GAPS] >> 16), second = (uint16_t)(b->data[GAPS] >> 32);

    s->guesses[EVICT_ALIGNED] = aligned;
    s->guesses[EVICT_LAST] = last;
    s->guesses[EVICT_SECOND] = second;
    s->guesses[EVICT_MEAN] = mean_of(b);
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
    s->inputs[10] = log_of(mean_of(b));
    s->inputs[11] = (int32_t)(p->followed >> 8) & 255;
}

/* ---- Events ------------------------------------------------------------------------------------ */

static void program_advance(struct evict *e, struct evict_program *p)
{
    uint64_t step = (e->number - p->seen) << 8;

    if (step > 1u << 20)
        step = 1u << 20;
    p->rate += (uint32_t)(step >> RATE_SHARE) - (p->rate >> RATE_SHARE);
    p->seen = e->number;
    p->touches++;
}

static uint32_t gap_since(const struct evict_program *p, const struct gpu_memory_buffer *b)
{
    uint32_t gap = p->touches - (uint32_t)(b->data[PLACE] >> 32);

    return gap == 0 ? 1 : gap < GAP_MAX ? gap : GAP_MAX;
}

static void state_set(const struct evict *e, struct gpu_memory_buffer *b, const struct evict_program *p, uint32_t flags)
{
    uint32_t target = (uint32_t)b->data[TARGET];

    if (entry_exists(e, target) && e->before[target % EVICT_HISTORY] & OVERWRITES)
        flags |= OVER;
    b->data[STATE] = flags | (uint64_t)p->jumps << 32;
}

/* What is believed of b's next touch, from its touch just now. */
static void expect(struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    struct evict_sample *s = &e->sample;
    bool sure;

    s->believed = e->model ? e->model(s->inputs) : plain_rule(s);
    if (s->believed == EVICT_ALIGNED && s->guesses[EVICT_ALIGNED] == GAP_FREED)
        s->believed = EVICT_NEVER;
    sure = s->believed == EVICT_ALIGNED && p->length >= SURE_LENGTH && p->right[0] >> 8 >= SURE_RIGHT;
    state_set(e, b, p, s->believed | (sure ? SURE : 0));
}

void evict_touch(struct evict *e, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    struct evict_program *p;
    uint32_t own, prior, units, gap, target;
    uint16_t key, noted, after, before = t->reads ? 0 : OVERWRITES;
    unsigned slot;

    if (t->quota != e->quota || t->number <= e->number)
        evict_reset(e, t->quota);
    e->number = t->number;
    slot = program_find(e, b);
    p = &e->programs[slot];
    program_advance(e, p);
    prior = own = own_entry(e, b);
    units = size_units(e, b->bytes);
    e->largest = units > e->largest ? units : e->largest;
    after = entry_take(e, own, t->copied, units);
    if (b->data[GAPS] && slot_of((uint16_t)b->data[GAPS]) == slot) {
        gap = gap_since(p, b);
        guesses_judge(p, b, gap);
        key = (uint16_t)b->data[GAPS];
        b->data[GAPS] = key | (b->data[GAPS] & 0xffffffff0000) << 16 | (uint64_t)gap << 16;
        mean_move(b, gap);
    } else {
        key = key_choose(e, slot, units, &prior);
        b->data[GAPS] = key;
        b->data[MEAN] = 0;
        before |= FIRST;
    }
    align(e, slot, key, own);
    b->data[PLACE] = e->next | (uint64_t)p->touches << 32;
    after |= (uint16_t)((b->resident ? HERE : 0) | (t->writes ? DIRTY : 0));
    before |= t->writes || (b->resident && b->dirty) ? CHANGED : 0;
    entry_add(e, key, units, prior, after, before);
    noted = (uint16_t)((e->next - 1) % EVICT_HISTORY + 1);
    *index_of(e, p->previous, key) = *index_of(e, key, key) = noted;
    if (before & FIRST)
        *index_new(e, p->previous, units) = noted;
    p->previous = key;
    gap = gap_after(e, p->at[0], &target);
    gap = gap_mean(e, p, gap);
    sample_fill(e, p, b, t, gap);
    b->data[TARGET] = target | (uint64_t)(p->touches + gap) << 32;
    b->data[GUESSES] = (uint16_t)gap | (uint64_t)(uint16_t)e->sample.guesses[EVICT_LAST] << 16;
    expect(e, p, b);
}

void evict_moved(struct evict *e, struct gpu_memory_buffer *b, bool here, bool copied)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (!e->unit)
        return;
    e->moved += copied ? size_units(e, b->bytes) : 0;
    if (n == NOWHERE || here == !!(e->after[i] & HERE))
        return;
    e->after[i] ^= HERE;
    if (lru_has(e, n))
        e->risked += here ? 0 - (uint64_t)e->sizes[i] : e->sizes[i];
    if (here)
        return;
    e->owed -= owes(e, n) ? e->sizes[i] : 0;
    e->before[i] &= (uint16_t)~CHANGED;
}

void evict_freed(struct evict *e, struct gpu_memory_buffer *b)
{
    uint32_t n = own_entry(e, b), i = n % EVICT_HISTORY;

    if (n == NOWHERE)
        return;
    entry_settle(e, n);
    e->after[i] = (uint16_t)((e->after[i] & ~DIRTY) | FREED);
}

/* ---- Questions --------------------------------------------------------------------------------- */

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

static uint32_t stamps_between(const struct evict *e, uint32_t from, uint32_t to)
{
    return (uint16_t)(e->stamps[to % EVICT_HISTORY] - e->stamps[from % EVICT_HISTORY]);
}

/* The program went on elsewhere since b was touched, or came by where b was expected: what is expected now. */
static void expect_anew(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    uint32_t target = NOWHERE, n = (uint32_t)b->data[TARGET], before, sum = 0, count = 0, flags = EVICT_ALIGNED;

    for (unsigned i = 0; i < EVICT_TIMES && p->at[i] != NOWHERE; i++) {
        uint32_t next = entry_next(e, n, p->at[i]);

        if (next == NOWHERE) {
            sum += i == 0 ? stamps_between(e, p->at[0], e->next - 1) + mean_of(b) / 2 : 0;
            count += i == 0;
            continue;
        }
        n = next;
        target = target == NOWHERE ? n : target;
        sum += stamps_between(e, p->at[i], n);
        count++;
    }
    if (target == NOWHERE) {
        state_set(e, b, p, EVICT_ALIGNED | BEYOND);
        return;
    }
    before = entry_before(e, target);
    if (before != NOWHERE && e->after[before % EVICT_HISTORY] & FREED)
        flags = EVICT_NEVER;
    b->data[TARGET] = target | (uint64_t)(p->touches + sum / count) << 32;
    state_set(e, b, p, flags);
}

/* What ALIGNED says, a new look at it included. */
static uint32_t aligned_distance(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    expect_anew(e, p, b);
    if ((b->data[STATE] & BELIEVED) == EVICT_NEVER)
        return FAR;
    return b->data[STATE] & BEYOND ? mean_of(b) : (uint32_t)(b->data[TARGET] >> 32) - p->touches;
}

/* The program's touches from now until b's next; FAR: never; 0: nothing is believed. */
static uint32_t own_distance(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b)
{
    enum evict_guess believed = (enum evict_guess)(b->data[STATE] & BELIEVED);
    uint32_t ahead = (uint32_t)(b->data[TARGET] >> 32) - p->touches, gap, age;

    if (believed == EVICT_ALIGNED && (uint32_t)(b->data[STATE] >> 32) == p->jumps && (int32_t)ahead > 0)
        return b->data[STATE] & BEYOND ? mean_of(b) : ahead;
    switch (believed) {
    case EVICT_ALIGNED:
        return aligned_distance(e, p, b);
    case EVICT_NEVER:
        return FAR;
    case EVICT_MEAN:
        return mean_of(b);
    case EVICT_LAST:
    case EVICT_SECOND:
        gap = (uint16_t)(b->data[GAPS] >> (believed == EVICT_LAST ? 16 : 32));
        age = gap_since(p, b);
        return gap > age ? gap - age : age - gap <= age / 4 + 2 ? 1 : 0;
    default:
        return 0;
    }
}

static const struct evict_program *program_of(const struct evict *e, const struct gpu_memory_buffer *b)
{
    const struct evict_program *p = &e->programs[slot_of((uint16_t)b->data[GAPS])];

    return b->known && b->data[GAPS] && p->id == b->program && p->touches ? p : NULL;
}

/* How long b is not expected: the device's touches until then; of those about whom nothing is known, and who did not
 * come when they were expected, how long they have not been touched, as LRU has it. */
static uint64_t distance(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    uint64_t now = q->touches, age = now > b->last ? now - b->last : 0, idle;
    const struct evict_program *p = program_of(e, b);
    uint32_t own = p ? own_distance(e, p, b) : 0;

    if (!own)
        return age;
    if (own == FAR)
        return FAR + age;
    idle = now > p->seen ? (now - p->seen) * 16 : 0; /* a program that pauses is slower than it was */
    idle = (uint64_t)own * (idle > p->rate ? idle : p->rate) >> 8;
    return idle < FAR ? idle + 1 : FAR;
}

/* Touches without b by the moves that it costs to give it up: out when it has changed, in again unless it is
 * overwritten then. */
static uint64_t worth(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    uint64_t d = distance(e, q, b);
    bool back = d < FAR && !(b->known && b->data[STATE] & OVER);

    if (d > FAR)
        d = FAR + (d & (FAR - 1)) / 64;
    if (q->incoming && b->bytes > q->incoming->bytes * MUCH) /* most of its room would be idle for a while */
        d /= 2;
    return b->dirty && back ? d * 4 : b->dirty || back ? d * 8 : d * 64;
}

static bool affordable(const struct evict *e, uint32_t n, bool dirty)
{
    uint32_t units = e->sizes[n % EVICT_HISTORY];
    uint64_t slack = SLACK + 2 * (e->largest < UNITS / 8 ? e->largest : UNITS / 8);

    slack = slack < e->lru_back ? slack : e->lru_back;

    units = dirty && !owes(e, n) ? units * 2 : units;
    return e->moved + e->risked + e->owed + units <= e->lru_moved + e->lru_moved / 28 + slack;
}

/* Else what comes early would soon give its place back. */
static bool surely_far(const struct evict *e, const struct gpu_memory_question *q, struct gpu_memory_buffer *b)
{
    return b->known && b->data[STATE] & SURE && distance(e, q, b) >= 4 * PREFETCH_NEAR;
}

uint32_t evict_victim(struct evict *e, const struct gpu_memory_question *q)
{
    uint32_t best = GPU_MEMORY_NONE, free_best = GPU_MEMORY_NONE, oldest = 0;
    uint64_t most = 0, free_most = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        struct gpu_memory_buffer *b = q->list[i];
        bool risky = b->known && b->data[GAPS] && lru_has(e, (uint32_t)b->data[PLACE]);
        uint64_t value = worth(e, q, b);

        if (b->last < q->list[oldest]->last)
            oldest = i;
        if (value >= (risky ? most : free_most)) {
            *(risky ? &best : &free_best) = i;
            *(risky ? &most : &free_most) = value;
        }
    }
    if (best != GPU_MEMORY_NONE && (free_best == GPU_MEMORY_NONE || most > free_most) && e->unit &&
        affordable(e, own_entry(e, q->list[best]), q->list[best]->dirty))
        free_best = best;
    if (q->optional)
        return free_best != GPU_MEMORY_NONE && surely_far(e, q, q->list[free_best]) ? free_best : GPU_MEMORY_NONE;
    return free_best != GPU_MEMORY_NONE ? free_best : oldest;
}

uint32_t evict_prefetch(struct evict *e, const struct gpu_memory_question *q)
{
    uint32_t best = GPU_MEMORY_NONE;
    uint64_t nearest = PREFETCH_NEAR;

    for (uint32_t i = 0; i < q->count; i++) {
        struct gpu_memory_buffer *b = q->list[i];
        bool sure = b->known && (b->data[STATE] & (SURE | OVER)) == SURE;
        uint64_t d = sure ? distance(e, q, b) : nearest;

        if (d < nearest) {
            nearest = d;
            best = i;
        }
    }
    return best;
}
