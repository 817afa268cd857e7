/*
 * evict.h: the algorithm of gpu_evict. It calls nothing of the kernel, so that it can be tested and replayed on
 * the build machine (tests/unit/gpu_evict, bench/gpu-replay).
 *
 * Programs that train or infer touch their buffers in nearly the same order again and again. The last touches of
 * all programs are kept, and each program is aligned with the place where it touched the same before: what came
 * after that place is what is expected now (of the last EVICT_TIMES such places, in the mean). Where the program
 * goes on in another way (a loop of another length, a request that ends early), it is aligned anew, and what is
 * expected of all its buffers with it. Other guesses are as long as the last times, and as long as on average. A
 * model (EVICT_INPUTS numbers in, EVICT_GUESSES out) says which guess to believe, or none. Who is expected last
 * leaves; about whom nothing is believed leaves as in LRU. Guesses are in the program's own touches; how fast each
 * program touches makes them comparable.
 *
 * Beside that LRU is simulated. Of what it has from before the last EVICT_HISTORY touches only sums are kept, by
 * stretches of touches, EVICT_STRETCHES of them; in case of doubt it has the buffer that comes back. To choose otherwise
 * than LRU puts bytes at risk: what LRU would still have, and what LRU has copied out already. No more is risked than was
 * won so far and a small part of the quota (or twice the largest buffer: less would not do for one): so the bytes
 * moved are never more than 1 + 1/28 times LRU's, plus that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <microlake/gpu_memory.h>

#define EVICT_HISTORY   5376u /* touches */
#define EVICT_INDEX     4096u /* pairs of touches, by their hash */
#define EVICT_STRETCH   256u  /* touches, from before the history */
#define EVICT_STRETCHES 128u
#define EVICT_TIMES     3u    /* that the same order was before are regarded */
#define EVICT_PROGRAMS  16u   /* whose order is followed; of more, some share */

enum evict_guess {
    EVICT_ALIGNED, /* when it was touched next where the same order was before */
    EVICT_LAST,    /* as long as the last time */
    EVICT_SECOND,  /* as long as the time before */
    EVICT_MEAN,    /* as long as on average, from whenever one asks */
    EVICT_NEVER,   /* it is not touched again */
    EVICT_UNKNOWN,
    EVICT_GUESSES,
};

#define EVICT_INPUTS 12u

/* The guess to believe; NULL in struct evict: a plain rule. */
typedef enum evict_guess evict_model_fn(const int32_t *inputs);

/* What the model was asked last. Guesses are in the program's own touches; 0: there is none. */
struct evict_sample {
    int32_t inputs[EVICT_INPUTS];
    uint32_t guesses[EVICT_GUESSES];
    enum evict_guess believed;
};

struct evict_program {
    uint64_t id;
    uint64_t seen;     /* the device's touch number at its last touch */
    uint32_t touches;  /* its own count */
    uint32_t at[EVICT_TIMES]; /* entries of the history that it is aligned with, the last first; or none */
    uint32_t jumps;    /* how often it went on elsewhere than expected */
    uint32_t length;   /* touches that have followed as before */
    uint32_t rate;     /* touches of the device for each of its own, times 256 */
    uint32_t right[2]; /* share of ALIGNED and LAST that turned out right, 0..255 times 256 */
    uint32_t followed; /* share of touches that were the next ones expected, the same way */
    uint16_t previous; /* key of its last touch */
    uint16_t names;    /* keys given */
};

/* What LRU has that was touched last in those touches, and what the device has not of that. Units. */
struct evict_stretch {
    uint32_t units, risked;
};

/* The history: entry n of all touches lies at n % EVICT_HISTORY. Entries of one key are linked. */
struct evict {
    evict_model_fn *model;
    uint64_t quota, unit;   /* bytes; sizes are counted in units of quota / 65536 */
    uint64_t number;        /* of the device's last touch */
    uint32_t next;          /* entries there were */
    uint32_t tail;          /* the simulated LRU has what was touched last in tail..next - 1 */
    uint64_t lru_units;     /* how much that is */
    uint64_t lru_moved, moved; /* by it, and in truth */
    uint64_t lru_back;      /* by it, of what it had once: where that is nothing, there is nothing to win */
    uint64_t risked;        /* it has that, and the device has not */
    uint64_t owed;          /* it has copied that out, or never changed it, and the device has to do it yet */
    uint32_t largest;       /* buffer so far, units */
    uint32_t gone;          /* entries ahead of it: it has given up, for certain */
    struct evict_stretch all_beyond, beyond[EVICT_STRETCHES]; /* what it has from before the history */
    struct evict_sample sample;
    struct evict_program programs[EVICT_PROGRAMS];
    uint16_t keys[EVICT_HISTORY];   /* the program's place in 4 bits, and a number of its own */
    uint16_t stamps[EVICT_HISTORY]; /* the program's count of touches then */
    uint16_t sizes[EVICT_HISTORY];  /* units */
    uint16_t before[EVICT_HISTORY]; /* entries back to the same key's, 0: none; and flags */
    uint16_t after[EVICT_HISTORY];  /* entries on to the same key's; and flags */
    uint16_t index[EVICT_INDEX];    /* place after such a pair, plus 1 */
};
_Static_assert(sizeof(struct evict) <= 64 * 1024, "run-time memory of a policy");

void evict_init(struct evict *e, evict_model_fn *model);
void evict_touch(struct evict *e, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t);
void evict_moved(struct evict *e, struct gpu_memory_buffer *b, bool here, bool copied);
void evict_freed(struct evict *e, struct gpu_memory_buffer *b);
uint32_t evict_victim(struct evict *e, const struct gpu_memory_question *q);
uint32_t evict_prefetch(struct evict *e, const struct gpu_memory_question *q);
