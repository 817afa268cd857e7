/*
 * informed.c: what a policy could do that knew by what chances a program goes on, and not how they fall.
 * See replay.h.
 *
 * A trace of that kind is a row of requests, each of one of a few sorts (events CHOICE), drawn independently.
 * A sort is the touches that its requests consist of. Within a request the sorts that begin with what was touched
 * so far are possible, by their shares of the trace; behind it any.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#define SORTS_MAX 64u

struct sort {
    uint32_t label, requests, length;
    const struct trace_event **touches; /* of one of its requests */
    uint32_t *uses;                     /* indices of touches, by buffer: starts[b]..starts[b + 1] - 1 */
    uint32_t *starts;
    uint32_t alike[SORTS_MAX];          /* touches that it and that sort begin with */
};

/* A buffer's next touch, from the beginning of a request. */
struct outlook {
    double expected, discounted, reads;
};

struct informed {
    enum offline_form form;
    double discount; /* a use n touches ahead counts discount^n; 0: expected touches until then */
    uint32_t sorts_count, buffers, requests;
    struct sort sorts[SORTS_MAX];
    uint32_t *sort_of;  /* of each touch of the trace; SORTS_MAX: none */
    uint32_t *place_of; /* touches ahead of it in its request */
    struct outlook *fresh;        /* of each buffer */
    uint64_t touch;
};

/* ---- Sorts ------------------------------------------------------------------------------------- */

static bool sort_fill(struct sort *s, const struct trace *trace, size_t first, uint32_t buffers)
{
    uint32_t *at = calloc(buffers + 1, sizeof(*at));

    for (size_t i = first; i < trace->count && trace->events[i].kind != TRACE_CHOICE; i++)
        s->length += trace->events[i].kind == TRACE_TOUCH;
    s->touches = calloc(s->length + 1, sizeof(const struct trace_event *));
    s->uses = calloc(s->length + 1, sizeof(*s->uses));
    s->starts = calloc(buffers + 2, sizeof(*s->starts));
    if (!at || !s->touches || !s->uses || !s->starts) {
        free(at);
        return false;
    }
    for (uint32_t n = 0; n < s->length; first++) {
        if (trace->events[first].kind != TRACE_TOUCH)
            continue;
        s->touches[n++] = &trace->events[first];
        s->starts[trace->events[first].buffer + 1]++;
    }
    for (uint32_t b = 0; b < buffers; b++)
        s->starts[b + 1] += s->starts[b];
    for (uint32_t n = 0; n < s->length; n++) {
        uint32_t b = s->touches[n]->buffer;

        s->uses[s->starts[b] + at[b]++] = n;
    }
    free(at);
    return true;
}

static uint32_t alike(const struct sort *a, const struct sort *b)
{
    uint32_t n = 0;

    while (n < a->length && n < b->length && a->touches[n]->buffer == b->touches[n]->buffer)
        n++;
    return n;
}

static struct sort *sort_find(struct informed *o, uint32_t label)
{
    for (uint32_t i = 0; i < o->sorts_count; i++)
        if (o->sorts[i].label == label)
            return &o->sorts[i];
    return NULL;
}

static bool sorts_find(struct informed *o, const struct trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];
        struct sort *s;

        if (e->kind != TRACE_CHOICE)
            continue;
        s = sort_find(o, e->buffer);
        if (!s) {
            if (o->sorts_count == SORTS_MAX)
                return false;
            s = &o->sorts[o->sorts_count++];
            s->label = e->buffer;
            if (!sort_fill(s, trace, i + 1, o->buffers))
                return false;
        }
        s->requests++;
        o->requests++;
    }
    for (uint32_t i = 0; i < o->sorts_count; i++)
        for (uint32_t j = 0; j < o->sorts_count; j++)
            o->sorts[i].alike[j] = alike(&o->sorts[i], &o->sorts[j]);
    return true;
}

/* Index in s->uses of b's first use at `place` or behind; s->starts[b + 1]: none. */
static uint32_t use_find(const struct sort *s, uint32_t b, uint32_t place)
{
    uint32_t low = s->starts[b], high = s->starts[b + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->uses[middle] < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double power(double base, uint32_t exponent)
{
    double result = 1;

    for (; exponent; exponent >>= 1, base *= base)
        result *= exponent & 1 ? base : 1;
    return result;
}

/* ---- Outlooks ---------------------------------------------------------------------------------- */

/* b from `place` of sort s on, where sort s goes on with any other. */
static struct outlook outlook_in(const struct informed *o, const struct sort *s, uint32_t b, uint32_t place)
{
    uint32_t use = use_find(s, b, place), rest = s->length - place;
    struct outlook found = o->fresh[b];

    if (use == s->starts[b + 1]) {
        found.expected += rest;
        found.discounted *= power(o->discount, rest);
        return found;
    }
    rest = s->uses[use] - place + 1;
    return (struct outlook){rest, power(o->discount, rest), s->touches[s->uses[use]]->how != 'o'};
}

/* From the beginning of a request: the sorts that b is not in come again and again until one comes that it is in. */
static void outlook_fresh(struct informed *o, uint32_t b)
{
    double in = 0, stays = 0;
    struct outlook sum = {0};

    o->fresh[b] = (struct outlook){0};
    for (uint32_t i = 0; i < o->sorts_count; i++) {
        const struct sort *s = &o->sorts[i];
        double share = (double)s->requests / o->requests;
        struct outlook l = outlook_in(o, s, b, 0);

        sum.expected += share * l.expected;
        sum.discounted += share * l.discounted;
        sum.reads += share * l.reads;
        if (s->starts[b] < s->starts[b + 1])
            in += share;
        else
            stays += share * power(o->discount, s->length);
    }
    if (in > 0)
        o->fresh[b] = (struct outlook){sum.expected / in, sum.discounted / (1 - stays), sum.reads / in};
    else
        o->fresh[b] = (struct outlook){1e12, 0, 0};
}

static struct outlook outlook_now(const struct informed *o, uint32_t b)
{
    uint32_t now = o->sort_of[o->touch], place = o->place_of[o->touch] + 1;
    struct outlook sum = {0};
    double all = 0;

    if (now == SORTS_MAX)
        return o->fresh[b];
    for (uint32_t i = 0; i < o->sorts_count; i++) {
        const struct sort *s = &o->sorts[i];
        struct outlook l;

        if (s->alike[now] < place && i != now)
            continue;
        l = outlook_in(o, s, b, place);
        all += s->requests;
        sum.expected += s->requests * l.expected;
        sum.discounted += s->requests * l.discounted;
        sum.reads += s->requests * l.reads;
    }
    return (struct outlook){sum.expected / all, sum.discounted / all, sum.reads / all};
}

/* ---- The policy -------------------------------------------------------------------------------- */

static void informed_touch(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    struct informed *o = context;

    (void)b;
    o->touch = t->number;
}

static double informed_worth(const struct informed *o, const struct gpu_memory_buffer *b)
{
    struct outlook l = outlook_now(o, (uint32_t)b->id - 1);
    double distance = o->discount > 0 ? 1 / (l.discounted + 1e-12) : l.expected;

    switch (o->form) {
    case OFFLINE_CLEAN_FIRST:
        return b->dirty ? distance / 2 : distance;
    case OFFLINE_COST:
        return distance / (b->dirty + l.reads + 0.01);
    default:
        return distance;
    }
}

static uint32_t informed_victim(void *context, const struct gpu_memory_question *q)
{
    double most = -1, worth;
    uint32_t best = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        worth = informed_worth(context, q->list[i]);
        if (worth <= most)
            continue;
        most = worth;
        best = i;
    }
    return best;
}

/* ---- The bound --------------------------------------------------------------------------------- */

struct miss {
    double share; /* of the requests that need the buffer */
    double bytes;
};

static int less_needed(const void *a, const void *b)
{
    const struct miss *x = a, *y = b;

    return x->share < y->share ? -1 : x->share > y->share;
}

/* At the beginning of each request what exceeds the quota is not there; at best it is what fewest requests need. */
static double informed_bound(const struct informed *o, const struct trace *trace, uint64_t quota)
{
    struct miss *misses = calloc(o->buffers + 1, sizeof(*misses));
    double excess = -(double)quota, moved = 0;

    for (size_t i = 0; misses && i < trace->count; i++)
        if (trace->events[i].kind == TRACE_NEW)
            misses[trace->events[i].buffer].bytes = (double)trace->events[i].bytes;
    for (uint32_t b = 0; misses && b < o->buffers; b++) {
        for (uint32_t i = 0; i < o->sorts_count; i++)
            if (o->sorts[i].starts[b] < o->sorts[i].starts[b + 1])
                misses[b].share += (double)o->sorts[i].requests / o->requests;
        excess += misses[b].share > 0 ? misses[b].bytes : 0;
    }
    if (misses)
        qsort(misses, o->buffers, sizeof(*misses), less_needed);
    for (uint32_t b = 0; misses && b < o->buffers && excess > 0; b++) {
        double bytes = misses[b].share > 0 ? misses[b].bytes : 0;

        bytes = bytes < excess ? bytes : excess;
        moved += misses[b].share * bytes;
        excess -= bytes;
    }
    free(misses);
    moved = moved * o->requests - (double)quota;
    return moved > 0 ? moved : 0;
}

static void informed_close(struct informed *o)
{
    for (uint32_t i = 0; i < o->sorts_count; i++) {
        free(o->sorts[i].touches);
        free(o->sorts[i].uses);
        free(o->sorts[i].starts);
    }
    free(o->sort_of);
    free(o->place_of);
    free(o->fresh);
}

static bool informed_open(struct informed *o, const struct trace *trace)
{
    uint32_t sort = SORTS_MAX, place = 0;
    uint64_t n = 0;

    *o = (struct informed){.buffers = trace->buffers};
    o->sort_of = calloc(trace->count + 1, sizeof(*o->sort_of));
    o->place_of = calloc(trace->count + 1, sizeof(*o->place_of));
    o->fresh = calloc(trace->buffers + 1, sizeof(*o->fresh));
    if (!o->sort_of || !o->place_of || !o->fresh || !sorts_find(o, trace))
        return false;
    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];

        if (e->kind == TRACE_CHOICE) {
            sort = (uint32_t)(sort_find(o, e->buffer) - o->sorts);
            place = 0;
        } else if (e->kind == TRACE_TOUCH) {
            o->sort_of[++n] = sort;
            o->place_of[n] = place++;
        }
    }
    return true;
}

bool informed_run(const struct trace *trace, uint64_t quota, struct replay_result *best, uint64_t *bound)
{
    static const double discounts[] = {0, 0.99, 0.997, 0.999};
    struct replay_policy policy = {.name = "informed", .touch = informed_touch, .victim = informed_victim};
    struct informed o;
    bool good = informed_open(&o, trace);

    memset(best, 0, sizeof(*best));
    for (unsigned i = 0; good && o.requests && i < sizeof(discounts) / sizeof(discounts[0]); i++) {
        o.discount = discounts[i];
        for (uint32_t b = 0; b < o.buffers; b++)
            outlook_fresh(&o, b);
        for (o.form = OFFLINE_FURTHEST; good && o.form <= OFFLINE_COST; o.form++) {
            struct replay_result result;

            o.touch = 0;
            policy.context = &o;
            o.sort_of[0] = SORTS_MAX;
            good = replay_run(trace, quota, &policy, &result);
            if (best->touches == 0 || result.moved_in + result.moved_out < best->moved_in + best->moved_out)
                *best = result;
        }
    }
    *bound = good && o.requests ? (uint64_t)informed_bound(&o, trace, quota) : 0;
    informed_close(&o);
    return good;
}
