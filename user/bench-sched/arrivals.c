/*
 * arrivals.c: patterns of requests: when they come and how much work each is. A pattern and a seed
 * say everything, on every system alike. About 0.4 CPUs of work in all of them.
 */
#include "sched.h"

#include <math.h>
#include <string.h>

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *d)
{
    uint64_t x = d->state += 0x9e3779b97f4a7c15u; /* SplitMix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* In (0, 1]. */
static double fraction(struct dice *d)
{
    return (double)((roll(d) >> 11) + 1) / 9007199254740992.0;
}

static uint64_t exponential(struct dice *d, double mean)
{
    return (uint64_t)(-log(fraction(d)) * mean);
}

/* Pareto with shape 1.5 from `least`, cut at 40 times that: mean about 2.5 times `least`. */
static uint64_t heavy(struct dice *d, double least)
{
    double x = least / pow(fraction(d), 1 / 1.5);
    return (uint64_t)(x < 40 * least ? x : 40 * least);
}

/*
 * Requests come in groups: so many at once, then a pause. on/off: ns of a phase in which they come,
 * and of one in which they don't; 0: they always come.
 */
struct pattern {
    const char *name;
    double gap;        /* mean ns between groups while on */
    bool even;         /* every gap is the mean */
    unsigned group;    /* requests in a group at most; each size is as likely */
    double on, off;    /* mean ns */
    double service;    /* ns: the mean, or the least of a heavy tail */
    bool heavy, fixed; /* neither: exponential */
};

static const struct pattern patterns[] = {
    {.name = "steady", .gap = 2.5e6, .group = 1, .service = 1e6},
    {.name = "frames", .gap = 16.6e6, .even = true, .group = 4, .service = 2.5e6, .fixed = true},
    {.name = "onoff", .gap = 1e6, .group = 1, .on = 60e6, .off = 90e6, .service = 1e6},
    {.name = "bursts", .gap = 25e6, .group = 19, .service = 1e6},
    {.name = "tail", .gap = 2.5e6, .group = 1, .service = 0.4e6, .heavy = true},
    {.name = "storm",
     .gap = 2.4e6,
     .group = 5,
     .on = 40e6,
     .off = 120e6,
     .service = 0.35e6,
     .heavy = true},
};

static uint64_t service_of(const struct pattern *p, struct dice *d)
{
    return p->heavy   ? heavy(d, p->service)
           : p->fixed ? (uint64_t)p->service
                      : exponential(d, p->service);
}

unsigned arrivals_make(const char *name, uint64_t seed, uint64_t span, struct request *out,
                       unsigned most)
{
    const struct pattern *p = NULL;
    struct dice d = {seed * 0x632be59bd9b4e019u + 1};
    uint64_t at = 0, phase_end = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        if (!strcmp(patterns[i].name, name))
            p = &patterns[i];
    if (!p)
        return 0;
    while (count < most) {
        at += p->even ? (uint64_t)p->gap : exponential(&d, p->gap);
        if (p->on > 0 && at >= phase_end) {
            at += exponential(&d, p->off);
            phase_end = at + exponential(&d, p->on);
        }
        if (at >= span)
            break;
        unsigned group = p->group > 1 && !p->even ? 1 + (unsigned)(roll(&d) % p->group) : p->group;
        for (; group && count < most; group--)
            out[count++] = (struct request){.due = at, .service = service_of(p, &d)};
    }
    return count;
}
