/*
 * trace.c: see trace.h.
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define BUFFERS_MAX (1u << 20)
#define BYTES_MAX   (1ull << 40)

/* What is known of buffers while a trace is read. */
struct reading {
    struct trace *trace;
    uint64_t *bytes;    /* 0: not alive */
    size_t *batch;      /* the last batch that named it */
    size_t batches;
    uint64_t alive, named;
    size_t start; /* where the batch's touches begin in the trace */
};

static bool event_add(struct trace *t, struct trace_event event)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 4096;
        struct trace_event *events = realloc(t->events, room * sizeof(*events));

        if (!events)
            return false;
        t->events = events;
        t->room = room;
    }
    t->events[t->count++] = event;
    return true;
}

static bool new_take(struct reading *r, struct trace_event *e)
{
    if (e->buffer >= BUFFERS_MAX || e->bytes == 0 || e->bytes > BYTES_MAX || r->bytes[e->buffer])
        return false;
    r->bytes[e->buffer] = e->bytes;
    r->alive += e->bytes;
    if (r->alive > r->trace->working_set)
        r->trace->working_set = r->alive;
    if (e->buffer >= r->trace->buffers)
        r->trace->buffers = e->buffer + 1;
    return true;
}

static bool touch_take(struct reading *r, struct trace_event *e)
{
    if (e->buffer >= BUFFERS_MAX || !r->bytes[e->buffer] || r->batch[e->buffer] == r->batches ||
        !strchr("rwo", e->how))
        return false;
    r->batch[e->buffer] = r->batches;
    r->named += r->bytes[e->buffer];
    r->trace->touched += r->bytes[e->buffer];
    if (r->named > r->trace->largest)
        r->trace->largest = r->named;
    return true;
}

static bool free_take(struct reading *r, struct trace_event *e)
{
    if (e->buffer >= BUFFERS_MAX || !r->bytes[e->buffer])
        return false;
    r->alive -= r->bytes[e->buffer];
    r->bytes[e->buffer] = 0;
    return true;
}

/* A recorder sees a buffer when a batch touches it first: it was made before the batch. */
static bool new_add(struct reading *r, struct trace_event e)
{
    struct trace *t = r->trace;

    if (!event_add(t, e))
        return false;
    memmove(t->events + r->start + 1, t->events + r->start, (t->count - 1 - r->start) * sizeof(e));
    t->events[r->start++] = e;
    return true;
}

static bool line_take(struct reading *r, const char *line)
{
    struct trace_event e = {0};
    unsigned long long bytes = 0;

    if (sscanf(line, "n %u %u %llu", &e.buffer, &e.program, &bytes) == 3) {
        e.kind = TRACE_NEW;
        e.bytes = bytes;
        return new_take(r, &e) && new_add(r, e);
    }
    if (sscanf(line, "t %u %c", &e.buffer, &e.how) == 2) {
        e.kind = TRACE_TOUCH;
        return touch_take(r, &e) && event_add(r->trace, e);
    }
    if (sscanf(line, "f %u", &e.buffer) == 1) {
        e.kind = TRACE_FREE;
        if (r->named || !free_take(r, &e) || !event_add(r->trace, e))
            return false;
        r->start = r->trace->count;
        return true;
    }
    if (sscanf(line, "c %u", &e.buffer) == 1) {
        e.kind = TRACE_CHOICE;
        if (r->named || !event_add(r->trace, e))
            return false;
        r->start = r->trace->count;
        return true;
    }
    if (line[0] != 'b')
        return line[0] == '#' || line[0] == '\n';
    e.kind = TRACE_BATCH;
    r->batches++;
    r->named = 0;
    if (!event_add(r->trace, e))
        return false;
    r->start = r->trace->count;
    return true;
}

bool trace_read(struct trace *t, FILE *in, const char *name)
{
    struct reading r = {.trace = t, .batches = 1};
    unsigned number = 0;
    char line[128];
    bool good;

    *t = (struct trace){0};
    r.bytes = calloc(BUFFERS_MAX, sizeof(*r.bytes));
    r.batch = calloc(BUFFERS_MAX, sizeof(*r.batch));
    good = r.bytes && r.batch;
    while (good && fgets(line, sizeof(line), in)) {
        number++;
        good = line_take(&r, line);
    }
    if (good && r.named) /* the last batch need not be ended */
        good = event_add(t, (struct trace_event){.kind = TRACE_BATCH});
    if (!good)
        fprintf(stderr, "%s: line %u makes no sense\n", name, number);
    free(r.bytes);
    free(r.batch);
    return good;
}

void trace_free(struct trace *t)
{
    free(t->events);
}
