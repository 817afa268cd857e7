/*
 * offline.c: what a policy could do that knew the future. See replay.h.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

/* A touch of the trace, in the order of their numbers from 1. */
struct use {
    uint32_t buffer;
    uint64_t bytes;
    uint64_t next, next_read; /* number of the same buffer's next touch (that needs the contents); NEVER */
    bool copied;              /* it needs the contents */
};

/* All touches of a trace: number and array (the first is not used). */
static struct use *uses_find(const struct trace *trace, uint64_t *count)
{
    struct use *uses = calloc(trace->count + 2, sizeof(*uses));
    uint64_t *bytes = calloc(trace->buffers + 1, sizeof(*bytes)), *later, n = 0;
    bool *written = calloc(trace->buffers + 1, sizeof(*written));

    later = malloc((trace->buffers + 1) * 2 * sizeof(*later));
    for (size_t i = 0; uses && bytes && written && i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];

        if (e->kind == TRACE_NEW)
            bytes[e->buffer] = e->bytes;
        if (e->kind != TRACE_TOUCH)
            continue;
        uses[++n] = (struct use){
            .buffer = e->buffer, .bytes = bytes[e->buffer], .copied = e->how != 'o' && written[e->buffer]};
        written[e->buffer] |= e->how != 'r';
    }
    if (later)
        memset(later, 0xff, (trace->buffers + 1) * 2 * sizeof(*later));
    for (uint64_t i = n; later && i > 0; i--) {
        struct use *u = &uses[i];

        u->next = later[u->buffer * 2];
        u->next_read = later[u->buffer * 2 + 1];
        later[u->buffer * 2] = i;
        later[u->buffer * 2 + 1] = u->copied ? i : NEVER; /* overwritten: what was before is not read */
    }
    free(bytes);
    free(written);
    free(later);
    *count = n;
    return uses;
}

/* ---- Belady's rule ----------------------------------------------------------------------------- */

bool offline_open(struct offline *o, const struct trace *trace, enum offline_form form)
{
    uint64_t count;
    struct use *uses = uses_find(trace, &count);
    uint64_t *next = calloc(count + 1, sizeof(*next)), *next_read = calloc(count + 1, sizeof(*next_read));

    *o = (struct offline){.form = form, .next = next, .next_read = next_read};
    for (uint64_t i = 1; uses && next && next_read && i <= count; i++) {
        next[i] = uses[i].next;
        next_read[i] = uses[i].next_read;
    }
    free(uses);
    return uses && next && next_read;
}

void offline_close(struct offline *o)
{
    free((void *)o->next);
    free((void *)o->next_read);
}

/* It keeps the future of a buffer in its words. */
static void offline_touch(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    const struct offline *o = context;

    b->data[0] = o->next[t->number];
    b->data[1] = o->next_read[t->number];
}

/* How good it is to give b up. */
static double offline_worth(const struct offline *o, const struct gpu_memory_question *q,
                            const struct gpu_memory_buffer *b)
{
    uint64_t next = o->form == OFFLINE_READ ? b->data[1] : b->data[0];
    double distance = next == NEVER ? 1e12 : (double)(next - q->touches);
    double cost = b->dirty + (b->data[1] != NEVER && b->data[1] == b->data[0]);

    switch (o->form) {
    case OFFLINE_CLEAN_FIRST:
        return b->dirty ? distance / 2 : distance;
    case OFFLINE_COST:
        return distance / (cost + 0.01);
    default:
        return distance;
    }
}

static uint32_t offline_victim(void *context, const struct gpu_memory_question *q)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < q->count; i++)
        if (offline_worth(context, q, q->list[i]) > offline_worth(context, q, q->list[best]))
            best = i;
    return best;
}

const struct replay_policy replay_offline = {
    .name = "offline", .touch = offline_touch, .victim = offline_victim};

/* ---- The bound --------------------------------------------------------------------------------- */

struct stretch {
    uint64_t length, bytes;
};

static int shorter(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    return x->length < y->length ? -1 : x->length > y->length;
}

uint64_t offline_bound(const struct trace *trace, uint64_t quota)
{
    uint64_t count, moved = 0, kept = 0;
    struct use *uses = uses_find(trace, &count);
    struct stretch *all = calloc(count + 1, sizeof(*all));
    double room = (double)quota * (double)count;

    for (uint64_t i = 1; uses && all && i <= count; i++)
        if (uses[i].next_read != NEVER && uses[i].next_read == uses[i].next)
            all[kept++] = (struct stretch){uses[i].next - i, uses[i].bytes};
    if (all)
        qsort(all, kept, sizeof(*all), shorter);
    for (uint64_t i = 0; all && i < kept; i++) {
        double takes = (double)all[i].length * (double)all[i].bytes;

        if (takes > room)
            moved += (uint64_t)((double)all[i].bytes * (1 - room / takes));
        room = takes > room ? 0 : room - takes;
    }
    free(uses);
    free(all);
    return moved;
}
