/*
 * crossing.h: how long batches take on either side, by size, and from which size on the device is
 * faster. Pure code. A class n is batches of more than 2^(n-1) and at most 2^n rows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CROSSING_CLASSES 13u
#define CROSSING_NEVER   UINT32_MAX
#define CROSSING_TRY     64u /* of so many batches near the crossing, one goes the other way */
#define CROSSING_NEAR    4u  /* near: a factor of so much */

enum crossing_side { CROSSING_PROCESSOR, CROSSING_DEVICE, CROSSING_SIDES };

struct crossing {
    uint64_t ns[CROSSING_SIDES][CROSSING_CLASSES]; /* of a whole batch of the class; 0: not known */
    uint32_t rows;                                 /* the crossing */
    uint32_t turns;
};

void crossing_clear(struct crossing *c);

uint32_t crossing_class(uint32_t rows);

/* A batch of `rows` took so long: the class's mean follows. True: the crossing has moved. */
bool crossing_note(struct crossing *c, enum crossing_side side, uint32_t rows, uint64_t ns);

/* Which side a batch goes to; once in a while the other one, so that both stay known. */
enum crossing_side crossing_choose(struct crossing *c, uint32_t rows);
