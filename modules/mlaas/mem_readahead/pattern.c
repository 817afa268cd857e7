/*
 * pattern.c: see pattern.h.
 */
#include "pattern.h"

#include <microlake/memory.h>

#define WINDOW_FIRST   8u   /* pages */
#define WINDOW_MOST    128u /* 512 KiB: a request's time on a disk is short beside its bytes' then */
#define WINDOW_TURNS   32u  /* of each of several that take turns */
#define STRIDES_AHEAD  8u
#define STRIDE_PAGES   128u /* of all strides that are asked for at once */
#define RECORD_MOST    256u
#define LOOK_RUNS      4u
#define LOOK_RARELY    64u  /* runs, where the kind has not changed for long */
#define SURPRISES      2u   /* then it may have: look now */
#define KEEP_PERCENT   85u  /* of the cache, for records that stay */
#define SHARE_ALL      16u
#define SKETCH_STARTS  256u
#define AROUND         16u /* pages: what the nucleus maps at once */
#define MAPPED_FAR     128u /* touches that follow nothing: then each is taken for itself */

static unsigned log2_quarters(uint64_t n)
{
    unsigned bits = n ? 63u - (unsigned)__builtin_clzll(n) : 0;
    uint64_t rest = n ? (bits >= 2 ? n >> (bits - 2) : n << (2 - bits)) & 3 : 0;

    return bits * 4 + (unsigned)rest;
}

static unsigned run_count(const struct pattern *p)
{
    return MIN(p->ended, PATTERN_RUNS);
}

/* The nth of the runs that are remembered, oldest first. */
static const struct pattern_run *run_at(const struct pattern *p, unsigned nth)
{
    return &p->runs[(p->ended - run_count(p) + nth) % PATTERN_RUNS];
}

/* ---- Taking accesses in ---- */

static void run_end(struct pattern *p)
{
    if (!p->now.length)
        return;
    p->runs[p->ended % PATTERN_RUNS] =
        (struct pattern_run){(uint32_t)p->now.start, (uint16_t)MIN(p->now.length, UINT16_MAX),
                             (uint16_t)MIN(p->now.calls, UINT16_MAX)};
    p->ended++;
}

/* A read may begin in the page in which the last one ended. */
static bool follows(const struct pattern *p, const struct readahead_access *now)
{
    uint64_t end = p->now.start + p->now.length;

    return p->now.length && (now->first == end || now->first + 1 == end);
}

static uint64_t scatter(uint64_t n)
{
    return n * 0x9e3779b97f4a7c15ull >> 32; /* Fibonacci hashing (Knuth, TAOCP 3, 6.4) */
}

/* Do starts come again? Of about 256 that the file has room for, each leaves a bit; begun anew after as many. */
static void sketch(struct pattern *p, const struct readahead_stream *stream)
{
    uint64_t length = p->length ? p->length : 1, of = stream->file_pages / length / SKETCH_STARTS + 1;
    uint64_t hash = scatter(p->now.start / length), bit = hash / of % (PATTERN_SKETCH * 64);

    if (hash % of)
        return;
    if (p->sampled == SKETCH_STARTS) {
        p->sampled /= 4; /* a memory of how it was */
        p->again /= 4;
        memset(p->seen, 0, sizeof(p->seen));
    }
    p->sampled++;
    p->again += p->seen[bit / 64] >> bit % 64 & 1;
    p->seen[bit / 64] |= 1ull << bit % 64;
}

/* What was there before the policy heard of the stream, or before it lost what it knew. */
static void recall(struct pattern *p, const struct readahead_stream *stream)
{
    const struct readahead_access *last = &stream->history[(stream->accesses - 1) % READAHEAD_HISTORY];

    if (!p->now.length && stream->accesses && last->count) {
        p->now.start = last->first;
        p->now.length = last->count;
        p->now.calls = 1;
    }
}

/* Is the run that begins now, or the one that has just ended, another than those of the kind? */
static bool surprising(const struct pattern *p, const struct readahead_access *now)
{
    int64_t stride = (int64_t)(now->first - p->now.start);

    switch (p->kind) {
    case PATTERN_SEQUENTIAL:
        return true;
    case PATTERN_STRIDED:
        return stride != p->stride;
    case PATTERN_RANDOM:
        return p->now.calls > 1 || stride == p->stride;
    case PATTERN_RECORDS:
        return p->now.length != p->length || stride == p->stride;
    default:
        return p->now.calls > 1 && p->now.length == p->length;
    }
}

bool pattern_take(struct pattern *p, const struct readahead_stream *stream, const struct readahead_access *now)
{
    recall(p, stream);
    if (follows(p, now)) {
        uint32_t before = p->now.length;

        p->now.length = (uint32_t)(now->first + now->count - p->now.start);
        p->now.calls++;
        return p->now.length >= 16 && __builtin_clz(before | 1) != __builtin_clz(p->now.length);
    }
    run_end(p);
    p->surprises += p->known && surprising(p, now);
    p->now.start = now->first;
    p->now.length = now->count;
    p->now.calls = 1;
    p->since++;
    sketch(p, stream);
    if (p->ended <= LOOK_RUNS)
        return p->ended;
    return p->since >= (p->surprises >= SURPRISES ? LOOK_RUNS : MAX(p->patience, LOOK_RUNS));
}

/* ---- Features ---- */

/* The value that most of the runs have, if more than half have it (Boyer and Moore), and how many. */
static int64_t most_common(const int64_t *values, unsigned count, unsigned *votes)
{
    int64_t candidate = 0;
    unsigned lead = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!lead)
            candidate = values[i];
        lead = values[i] == candidate ? lead + 1 : lead - 1;
    }
    *votes = 0;
    for (unsigned i = 0; i < count; i++)
        *votes += values[i] == candidate;
    return candidate;
}

static int32_t share(unsigned part, unsigned all)
{
    return all ? (int32_t)(part * SHARE_ALL / all) : 0;
}

/* How many runs go on where another one ended. */
static unsigned continued(const struct pattern *p, unsigned count)
{
    unsigned n = 0;

    for (unsigned i = 1; i < count; i++)
        for (unsigned j = 0; j < i; j++) {
            const struct pattern_run *before = run_at(p, j);

            if (run_at(p, i)->start == before->start + before->length) {
                n++;
                break;
            }
        }
    return n;
}

void pattern_features(struct pattern *p, const struct readahead_stream *stream,
                      const struct readahead_memory *memory, int32_t out[PATTERN_FEATURES])
{
    unsigned count = run_count(p), forward = 0, aligned = 0, length_votes, stride_votes, steps;
    int64_t lengths[PATTERN_RUNS] = {0}, strides[PATTERN_RUNS] = {0};
    uint64_t far = 0, calls = 0, pages = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct pattern_run *r = run_at(p, i);
        uint32_t next = i + 1 < count ? run_at(p, i + 1)->start : (uint32_t)p->now.start;

        lengths[i] = r->length;
        strides[i] = (int32_t)(next - r->start);
        forward += strides[i] > 0;
        far += (uint64_t)(strides[i] < 0 ? -strides[i] : strides[i]);
        calls += r->calls;
        pages += r->length;
    }
    steps = count;
    p->length = (uint32_t)most_common(lengths, count, &length_votes);
    p->stride = most_common(strides, steps, &stride_votes);
    for (unsigned i = 0; i < count && p->length; i++)
        aligned += run_at(p, i)->start % p->length == 0;
    out[0] = (int32_t)count;
    out[1] = (int32_t)log2_quarters(p->now.length);
    out[2] = count ? (int32_t)log2_quarters(pages / count) : 0;
    out[3] = share(length_votes, count);
    out[4] = count ? (int32_t)log2_quarters(p->length) : 0;
    out[5] = share(stride_votes, steps);
    out[6] = share(forward, steps);
    out[7] = share(aligned, count);
    out[8] = steps && stream->file_pages ? (int32_t)MIN(far * 256 / steps / stream->file_pages, 255) : 0;
    out[9] = count ? (int32_t)MIN(calls * 4 / count, 255) : 0;
    out[10] = share(continued(p, count), count);
    out[11] = memory->cache_most ? (int32_t)MIN(stream->file_pages * 16 / memory->cache_most, 255) : 255;
    out[12] = share(p->again, p->sampled);
    p->since = 0;
}

/* ---- Answers ---- */

static void add_range(struct readahead_answer *answer, const struct readahead_stream *s, uint64_t first,
                      uint64_t end)
{
    end = MIN(end, s->file_pages);
    if (first < end && answer->ranges_used < READAHEAD_RANGES)
        answer->ranges[answer->ranges_used++] =
            (struct readahead_range){.first = first, .count = (uint32_t)(end - first), .repeat = 1};
}

static bool larger_than_memory(const struct readahead_stream *s, const struct readahead_memory *memory)
{
    return s->file_pages > memory->cache_most / 4 * 3;
}

/* Windows grow while the run goes on; the next one is asked for when half of the last is used. */
static void answer_sequential(struct pattern *p, const struct readahead_stream *s,
                              const struct readahead_access *now, uint32_t most, struct readahead_answer *answer)
{
    uint64_t end = now->first + now->count;
    bool missed = now->there < now->count;

    if (p->now.calls == 1 || p->ahead < end || p->ahead > end + 2 * most) { /* what was ahead is of no use */
        p->ahead = end;
        p->window = MIN(MAX(WINDOW_FIRST, 2 * now->count), most);
        add_range(answer, s, end, end + p->window);
        p->ahead = end + p->window;
        return;
    }
    if (!missed && p->ahead - end > p->window / 2)
        return;
    p->window = MIN(2 * p->window, most);
    add_range(answer, s, p->ahead, p->ahead + p->window);
    p->ahead += p->window;
}

/* The next strides, as far as they are not asked for yet. Only at the start of one: within it, its rest. */
static void answer_strided(struct pattern *p, const struct readahead_stream *s, const struct readahead_access *now,
                           struct readahead_answer *answer)
{
    uint32_t length = MAX(p->length, now->count);
    uint64_t stride = (uint64_t)p->stride, end = p->now.start + length, from, last;
    uint32_t count = MIN(STRIDES_AHEAD, STRIDE_PAGES / length);

    if (now->there < now->count)
        add_range(answer, s, now->first + now->count, end);
    if (p->stride < (int64_t)length || !count)
        return; /* backwards there is no range for */
    from = p->ahead > p->now.start && (p->ahead - p->now.start) % stride == 0 &&
                   p->ahead - p->now.start <= (STRIDES_AHEAD + 1) * stride
               ? p->ahead
               : p->now.start + stride;
    last = p->now.start + count * stride;
    if (from > last || from + length > s->file_pages)
        return;
    last = MIN(last, s->file_pages - length);
    count = (uint32_t)((last - from) / stride + 1);
    if (count < STRIDES_AHEAD / 2 && p->ahead == from && from + count * stride + length <= s->file_pages)
        return; /* some at a time */
    answer->ranges[answer->ranges_used++] =
        (struct readahead_range){.first = from, .count = length, .repeat = count, .stride = (uint32_t)stride};
    p->ahead = from + count * stride;
}

/* Whole records. Of those of a file that memory can't hold, the same part stays in each epoch: the oldest
 * would go just before they are wanted again. */
static void answer_records(struct pattern *p, const struct readahead_stream *s, const struct readahead_access *now,
                           const struct readahead_memory *memory, struct readahead_answer *answer)
{
    uint32_t length = MIN(p->length ? p->length : 1, RECORD_MOST);
    uint64_t start = p->now.start;
    uint64_t kept = memory->cache_most * KEEP_PERCENT / 100;
    uint64_t bound = (kept << 20) / (s->file_pages / 4096 + 1); /* of 2^32 */

    if (now->there < now->count)
        add_range(answer, s, now->first + now->count, p->now.start + length);
    if (!larger_than_memory(s, memory))
        return;
    answer->use = scatter(start / length) < bound ? READAHEAD_KEEP : READAHEAD_DROP;
}

/* Only where a run goes on that was left before. */
static void answer_mixed(struct pattern *p, const struct readahead_stream *s, const struct readahead_access *now,
                         struct readahead_answer *answer)
{
    uint64_t end = now->first + now->count;

    if (p->now.calls > 1) {
        answer_sequential(p, s, now, WINDOW_TURNS, answer);
        return;
    }
    for (unsigned i = 0; i < run_count(p); i++)
        if (run_at(p, i)->start + run_at(p, i)->length == (uint32_t)now->first) {
            if (now->there < now->count)
                add_range(answer, s, end, end + WINDOW_TURNS);
            return;
        }
}

void pattern_answer(struct pattern *p, const struct readahead_stream *s, const struct readahead_access *now,
                    const struct readahead_memory *memory, struct readahead_answer *answer)
{
    if (!p->known) { /* as long as nothing is known, what follows is taken to go on */
        if (p->now.calls > 1 || (p->ended == 0 && now->first == 0))
            answer_sequential(p, s, now, WINDOW_TURNS, answer);
        return;
    }
    switch (p->kind) {
    case PATTERN_SEQUENTIAL:
        answer_sequential(p, s, now, (uint32_t)MIN(WINDOW_MOST, memory->cache_most / 16 + 1), answer);
        answer->use = larger_than_memory(s, memory) ? READAHEAD_DROP : READAHEAD_NORMAL;
        return;
    case PATTERN_STRIDED:
        answer_strided(p, s, now, answer);
        answer->use = larger_than_memory(s, memory) ? READAHEAD_DROP : READAHEAD_NORMAL;
        return;
    case PATTERN_RECORDS:
        answer_records(p, s, now, memory, answer);
        return;
    case PATTERN_MIXED:
        answer_mixed(p, s, now, answer);
        return;
    default:
        return;
    }
}

void pattern_mapped(struct pattern *p, const struct readahead_stream *s, const struct readahead_access *now,
                    struct readahead_answer *answer)
{
    uint64_t start = now->first / AROUND * AROUND;

    if (p->window && now->first == p->ahead) { /* all that was read ahead has been touched */
        p->window = MIN(2 * p->window, WINDOW_MOST);
        p->ended = 0;
        add_range(answer, s, now->first + 1, now->first + p->window);
        p->ahead = now->first + p->window;
        return;
    }
    p->ended += p->ended < UINT32_MAX;
    if (p->ended > MAPPED_FAR)
        return;
    p->window = AROUND;
    p->ahead = start + AROUND;
    add_range(answer, s, start, now->first);
    add_range(answer, s, now->first + 1, start + AROUND);
}

static void kind_find(struct pattern *p, const struct readahead_stream *stream, const struct readahead_memory *memory,
                      pattern_model *model)
{
    int32_t features[PATTERN_FEATURES], votes[PATTERN_KINDS];
    unsigned best = 0;

    pattern_features(p, stream, memory, features);
    model(features, votes);
    for (unsigned i = 1; i < PATTERN_KINDS; i++)
        if (votes[i] > votes[best])
            best = i;
    p->patience = p->known && p->kind == best ? (uint8_t)MIN(2 * p->patience, LOOK_RARELY) : LOOK_RUNS;
    p->surprises = 0;
    p->kind = (uint8_t)best;
    p->known = true;
}

void pattern_access(struct pattern *p, const struct readahead_stream *stream, const struct readahead_access *now,
                    const struct readahead_memory *memory, pattern_model *model, struct readahead_answer *answer)
{
    if (stream->mapped) {
        pattern_mapped(p, stream, now, answer);
        return;
    }
    if (pattern_take(p, stream, now))
        kind_find(p, stream, memory, model);
    pattern_answer(p, stream, now, memory, answer);
}
