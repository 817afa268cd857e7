/*
 * crossing.c: see crossing.h.
 */
#include "crossing.h"

#define SMOOTH 4u /* a measurement counts for a quarter */
#define OUTLIER                                                                                    \
    4u /* a batch that somebody interrupted counts as so many times the mean at most               \
        */
#define LARGE_ROWS 256u

void crossing_clear(struct crossing *c)
{
    *c = (struct crossing){.rows = CROSSING_NEVER};
}

uint32_t crossing_class(uint32_t rows)
{
    uint32_t class = rows > 1 ? 32u - (uint32_t)__builtin_clz(rows - 1) : 0;

    return class < CROSSING_CLASSES ? class : CROSSING_CLASSES - 1;
}

/* What a whole batch of the class takes; where it is not known, from the next smaller one that is,
 * as if it grew with the rows on the processor. */
static uint64_t time_of(const struct crossing *c, enum crossing_side side, uint32_t class)
{
    uint32_t known = class;

    while (known > 0 && c->ns[side][known] == 0)
        known--;
    return c->ns[side][known] << (class - known);
}

/* The smallest class from which on the device is faster, with all larger ones that it has been seen
 * with. */
static uint32_t rows_find(const struct crossing *c)
{
    uint32_t end = CROSSING_CLASSES, class;

    while (end > 0 && c->ns[CROSSING_DEVICE][end - 1] == 0)
        end--;
    for (class = end; class > 0; class --)
        if (c->ns[CROSSING_DEVICE][class - 1] == 0 ||
            time_of(c, CROSSING_DEVICE, class - 1) >= time_of(c, CROSSING_PROCESSOR, class - 1))
            break;
    return class < end ? 1u << class : CROSSING_NEVER;
}

bool crossing_note(struct crossing *c, enum crossing_side side, uint32_t rows, uint64_t ns)
{
    uint32_t class = crossing_class(rows), before = c->rows;
    uint64_t *mean = &c->ns[side][class];

    if (rows == 0)
        return false;
    if (side == CROSSING_PROCESSOR) /* a device takes whole classes */
        ns = ns * (1ull << class) / rows;
    ns = ns ? ns : 1;
    if (*mean == 0)
        *mean = ns;
    else
        *mean += ((int64_t)(ns < *mean * OUTLIER ? ns : *mean * OUTLIER) - (int64_t)*mean) /
                 (int64_t)SMOOTH;
    c->rows = rows_find(c);
    return c->rows != before;
}

static bool is_near(const struct crossing *c, uint32_t rows)
{
    if (c->rows == CROSSING_NEVER)
        return rows >= LARGE_ROWS;
    return rows >= c->rows / CROSSING_NEAR && rows / CROSSING_NEAR < c->rows;
}

enum crossing_side crossing_choose(struct crossing *c, uint32_t rows)
{
    enum crossing_side side = rows >= c->rows ? CROSSING_DEVICE : CROSSING_PROCESSOR;

    if (is_near(c, rows) && ++c->turns % CROSSING_TRY == 0)
        side ^= CROSSING_DEVICE;
    return side;
}
