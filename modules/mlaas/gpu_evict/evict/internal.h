/*
 * internal.h: what the files of gpu_evict's algorithm share; evict.h says what it does.
 *
 *     touch.c      a touch, and all that it changes
 *     history.c    the last touches of all programs
 *     risk.c       the LRU that is simulated, and what is at risk where the device has something else
 *     order.c      programs, and where each touched the same before
 *     guess.c      guesses of a buffer's next touch, and how they turned out
 *     expect.c     what is believed of it, until it comes
 *     question.c   who leaves, and who comes early
 *
 * What stands in buffers' words may be anything, after a change of policies too: it is used as a number, or as a
 * place in tables modulo their size, and never more.
 */
#pragma once

#include "evict.h"

#define UNITS     65536u /* of the quota */
#define NOWHERE   UINT32_MAX
#define LINK      0x1fffu /* of before and after; the bits above are flags */
#define NAME_BITS 12u     /* of a key */
#define GAP_MAX   0xfffeu
#define GAP_FREED 0xffffu /* a guess: it is not touched again before it is freed */
#define SKIPS     16u     /* other programs' touches that are passed over */
#define MISSES    3u      /* touches that may be left out where the order is followed */
#define STEPS     12u     /* links that are followed for one guess */
#define MEAN_SHARE 3u    /* of one gap in a buffer's mean: 1 / 8 */
#define FAR       (1u << 30) /* touches: never */

/* Flags above a link: of after, and of before. DIRTY is the simulated LRU's, CHANGED the device's. */
enum { HERE = 0x8000, DIRTY = 0x4000, FREED = 0x2000 };
enum { FIRST = 0x8000, OVERWRITES = 0x4000, CHANGED = 0x2000 };

/* A buffer's words. TARGET: entry of the guess ALIGNED, and above it the touch of the program that this means;
 * STATE: the guess believed, whether it is sure, whether that touch overwrites all, and above them the program's jumps
 * then. */
enum word { PLACE, TARGET, GAPS, GUESSES, STATE, MEAN };
enum { BELIEVED = 7, SURE = 8, BEYOND = 16, OVER = 32 };

static inline uint32_t size_units(const struct evict *e, uint64_t bytes)
{
    uint64_t units = bytes / e->unit + 1;

    return units < UNITS ? (uint32_t)units : UNITS - 1;
}

/* ---- history.c: entries, by their numbers. None is NOWHERE ------------------------------------- */

static inline bool entry_exists(const struct evict *e, uint32_t n)
{
    return n != NOWHERE && e->next - n - 1 < EVICT_HISTORY - MISSES - SKIPS;
}

/* The program's. */
static inline unsigned slot_of(uint16_t key)
{
    return key >> NAME_BITS;
}

static inline uint16_t key_at(const struct evict *e, uint32_t n)
{
    return e->keys[n % EVICT_HISTORY];
}

/* The same key's before and after. */
static inline uint32_t entry_before(const struct evict *e, uint32_t n)
{
    uint32_t back = e->before[n % EVICT_HISTORY] & LINK;

    return back && entry_exists(e, n - back) ? n - back : NOWHERE;
}

static inline uint32_t entry_after(const struct evict *e, uint32_t n)
{
    uint32_t on = e->after[n % EVICT_HISTORY] & LINK;

    return on ? n + on : NOWHERE;
}

/* n is the last touch of a buffer that is alive. */
static inline bool entry_latest(const struct evict *e, uint32_t n)
{
    return !(e->after[n % EVICT_HISTORY] & (LINK | FREED));
}

static inline bool entry_freed(const struct evict *e, uint32_t n)
{
    return e->after[n % EVICT_HISTORY] & FREED;
}

/* The program's touches from one to the other. */
static inline uint32_t stamps_between(const struct evict *e, uint32_t from, uint32_t to)
{
    return (uint16_t)(e->stamps[to % EVICT_HISTORY] - e->stamps[from % EVICT_HISTORY]);
}

/* Of b's last touch. */
uint32_t own_entry(const struct evict *e, const struct gpu_memory_buffer *b);

/* The program's touch behind n, and ahead of it. */
uint32_t entry_behind(const struct evict *e, unsigned slot, uint32_t n);
uint32_t entry_ahead(const struct evict *e, unsigned slot, uint32_t n);

/* The last one that such a pair of touches ended with. The pair of a key with itself: the key's last. */
uint32_t pair_find(const struct evict *e, uint16_t previous, uint16_t key);

/* The last new buffer of that size behind such a touch. */
uint32_t new_find(const struct evict *e, uint16_t previous, uint32_t units);

/* Adds a touch, and notes for both of these where it is. prior: the same key's before; after, before: flags. */
void entry_add(struct evict *e, uint16_t key, uint32_t units, uint32_t prior, uint16_t after, uint16_t before);
void entry_note(struct evict *e, uint16_t previous, uint32_t n);

/* ---- risk.c ------------------------------------------------------------------------------------ */

static inline bool lru_has(const struct evict *e, uint32_t n)
{
    return n != NOWHERE && n - e->tail < e->next - e->tail;
}

static inline uint32_t stretch_of(uint32_t n)
{
    return n / EVICT_STRETCH % EVICT_STRETCHES;
}

/* It may have b, which is known. */
static inline bool lru_may_have(const struct evict *e, const struct gpu_memory_buffer *b)
{
    uint32_t n = (uint32_t)b->data[PLACE];

    if (!b->data[GAPS] || lru_has(e, n))
        return b->data[GAPS];
    return (int32_t)(n - e->gone) >= 0 && (int32_t)(n - e->tail) < 0 && e->beyond[stretch_of(n)].units;
}

/* The simulated LRU has b touched, whose entry so far was n; copied: it would have to be copied in. What it keeps of
 * the flags: DIRTY or 0. */
uint16_t lru_touch(struct evict *e, const struct gpu_memory_buffer *b, uint32_t n, bool copied);

/* There will be one entry more; the oldest may go for it. Then: it has become the entry n. */
void lru_make_place(struct evict *e);
void lru_add(struct evict *e, uint32_t n);

/* Whether the device may give up b, which LRU may have. */
bool affordable(const struct evict *e, const struct gpu_memory_buffer *b);

/* ---- order.c ----------------------------------------------------------------------------------- */

/* The place of b's program among those that are followed. */
unsigned program_find(struct evict *e, const struct gpu_memory_buffer *b);

/* It has touched something. */
void program_advance(const struct evict *e, struct evict_program *p);

/* Moves the program's alignment to where `key` was touched in the same order before. own: the buffer's last entry. */
void align(struct evict *e, unsigned slot, uint16_t key, uint32_t own);

/* The key of a new buffer, and the entry before it: it may have the part that another one had that is gone, made at the
 * same point, of the same size. */
uint16_t key_choose(struct evict *e, unsigned slot, uint32_t units, uint32_t *prior);

/* ---- guess.c ----------------------------------------------------------------------------------- */

/* How long b has not been touched, in its program's touches. */
static inline uint32_t gap_since(const struct evict_program *p, const struct gpu_memory_buffer *b)
{
    uint32_t gap = p->touches - (uint32_t)(b->data[PLACE] >> 32);

    return gap == 0 ? 1 : gap < GAP_MAX ? gap : GAP_MAX;
}

/* b's gap on average. 0: nobody knows. */
static inline uint32_t mean_of(const struct gpu_memory_buffer *b)
{
    return (uint32_t)b->data[MEAN] >> MEAN_SHARE;
}

/* A running share of 255, times 256. */
void share_move(uint32_t *share, bool yes);

/* b has been touched after that long: how the guesses of its last touch turned out, and the gap is noted. */
void gap_take(struct evict_program *p, struct gpu_memory_buffer *b, uint32_t gap);

/* Makes the guesses of b's next touch, from its touch t just now. */
void guesses_make(struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b,
                  const struct gpu_memory_touch *t);

enum evict_guess plain_rule(const struct evict_sample *s);

/* ---- expect.c ---------------------------------------------------------------------------------- */

/* Says which of the guesses to believe. */
void expect(struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b);

/* The program's touches from now until b's next; FAR: never; 0: nothing is believed. */
uint32_t own_distance(const struct evict *e, const struct evict_program *p, struct gpu_memory_buffer *b);
