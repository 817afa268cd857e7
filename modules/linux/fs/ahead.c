/*
 * ahead.c: see ahead.h.
 */
#include "modules/linux/fs/ahead.h"

#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/policy_module.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "modules/linux/fs/ahead_plain.h"
#include "modules/linux/fs/ahead_pool.h"
#include "modules/linux/fs/ahead_shadow.h"

#define MIB        (1ull << 20)
#define WANT_FILLS 32u /* on their way: whoever advises then does the work */

/* What a policy keeps of a stream, beyond READAHEAD_OWN. */
struct ahead_words {
    struct pool_piece piece;
    uint64_t owner; /* the policy's registration */
    uint64_t data[READAHEAD_DATA];
};

static struct pool words_pool = {.size = sizeof(struct ahead_words)};
static struct pool shadow_pool = {.size = sizeof(struct ahead_shadow)};
COUNTER(readahead_recycled); /* streams that lost what a policy kept of them */
static struct trace_set counters = TRACE_SET;

static bool ops_valid(const void *table)
{
    const struct readahead_ops *ops = table;

    return ops->struct_size == sizeof(*ops) && ops->access && ops->words <= READAHEAD_DATA;
}

static bool any_can_shadow(const void *table)
{
    (void)table;
    return true;
}

static struct policy_class class = {
    .name = READAHEAD_CLASS,
    .objective = "ns that readers waited for each MiB they were given",
    .judgement = "pages that were there when they were wanted, of those wanted and those read ahead for nothing",
    .valid = ops_valid,
    .can_shadow = any_can_shadow,
};
static struct policy ondemand = {.name = "ondemand", .ops = &ahead_ondemand};
static struct policy fixed = {.name = "fixed", .ops = &ahead_fixed};

/* ---- Figures ---- */

static uint64_t waited_ns, given_bytes; /* atomic; not yet told */

static void tell_waiting(void)
{
    uint64_t given = __atomic_load_n(&given_bytes, __ATOMIC_RELAXED);

    if (given < MIB || !__atomic_compare_exchange_n(&given_bytes, &given, given % MIB, false, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED))
        return;
    policy_measure(&class, __atomic_exchange_n(&waited_ns, 0, __ATOMIC_RELAXED), given / MIB);
}

void ahead_given(uint64_t bytes)
{
    __atomic_add_fetch(&given_bytes, bytes, __ATOMIC_RELAXED);
    tell_waiting();
}

static void waited_since(uint64_t start)
{
    __atomic_add_fetch(&waited_ns, time_now() - start, __ATOMIC_RELAXED);
}

/* The low half of a registration's number is enough to find it again among the living. */
static void page_wasted(uint16_t by)
{
    policy_judge(&class, by, 0, 1);
}

/* ---- Asking ---- */

struct question {
    const struct readahead_stream *seen;
    struct readahead_access now;
    struct readahead_memory memory;
    uint64_t *own, *own_owner;   /* READAHEAD_OWN words */
    uint64_t *more, *more_owner; /* READAHEAD_DATA; NULL: there are none */
    bool wants;                  /* an answer: it was not asked, because it wants more */
    struct readahead_answer answer;
};

static void take_over(uint64_t *data, unsigned words, uint64_t *owner, uint64_t number)
{
    if (*owner == number)
        return;
    memset(data, 0, words * sizeof(*data));
    *owner = number;
}

/* Inside the guard. */
static bool ask(const struct policy *p, void *arg)
{
    const struct readahead_ops *ops = p->ops;
    struct question *q = arg;
    bool more = ops->words > READAHEAD_OWN;

    memset(&q->answer, 0, sizeof(q->answer));
    q->wants = more && !q->more;
    if (q->wants)
        return true;
    if (more)
        take_over(q->more, READAHEAD_DATA, q->more_owner, p->number);
    else
        take_over(q->own, READAHEAD_OWN, q->own_owner, p->number);
    ops->access(q->seen, &q->now, &q->memory, more ? q->more : q->own, &q->answer);
    return ahead_answer_valid(&q->answer, q->seen->file_pages);
}

/* The stream's lock is held. */
static void ask_shadow_locked(struct ahead_stream *s, const struct question *asked, uint32_t there_else)
{
    struct ahead_shadow *shadow = s->shadow;
    struct question q = *asked;
    uint64_t number, owner_before;

    if (!shadow)
        shadow = pool_take(&shadow_pool, &s->lock, (void **)&s->shadow);
    if (!shadow)
        return;
    pool_use(&shadow_pool, &shadow->piece);
    owner_before = shadow->owner;
    q.own = q.more = shadow->data;
    q.own_owner = q.more_owner = &shadow->owner;
    if (!policy_call_shadow(&class, ask, &q, &number))
        return;
    if (owner_before != number)
        memset(shadow->ranges, 0, sizeof(shadow->ranges));
    shadow_judge(shadow, &q.now, there_else);
    shadow_remember(shadow, &q.answer);
    policy_judge(&class, number, shadow->right, shadow->judged);
    shadow->right = shadow->judged = 0;
}

static void history_add_locked(struct ahead_stream *s, const struct readahead_access *now)
{
    s->seen.history[s->seen.accesses % READAHEAD_HISTORY] = *now;
    s->seen.accesses++;
}

/* What the policy keeps of the stream; with `make`, memory for it, if it has to be taken from another stream. */
static void lend_words_locked(struct ahead_stream *s, struct question *q, bool make)
{
    uint64_t before = words_pool.recycled;

    if (!s->words && make && pool_take(&words_pool, &s->lock, (void **)&s->words))
        COUNT(readahead_recycled, words_pool.recycled != before);
    if (!s->words)
        return;
    pool_use(&words_pool, &s->words->piece);
    q->more = s->words->data;
    q->more_owner = &s->words->owner;
}

/* A policy that keeps much of a stream hears of it from the first missing page on. */
static void ask_policy_locked(struct ahead_stream *s, struct question *q)
{
    uint64_t choice = thread_policy(thread_current(), class.index);

    lend_words_locked(s, q, false);
    policy_call(&class, choice, ask, q, &s->number);
    if (!q->wants || q->now.there == q->now.count)
        return;
    lend_words_locked(s, q, true);
    policy_call(&class, choice, ask, q, &s->number);
}

/* False: nobody was asked, because the access is in the page that the last one ended in. */
static bool decide(struct ahead_file *file, struct ahead_stream *s, struct question *q)
{
    const struct readahead_access *last;
    struct cache_size size;

    cache_size(&size);
    q->memory = (struct readahead_memory){size.most, size.now, file->fill.cache.resident};
    spin_lock(&s->lock);
    last = &s->seen.history[(s->seen.accesses - 1) % READAHEAD_HISTORY];
    if (s->seen.accesses && q->now.count == 1 && q->now.there && q->now.first == last->first + last->count - 1) {
        spin_unlock(&s->lock);
        return false;
    }
    q->own = s->data;
    q->own_owner = &s->owner;
    ask_policy_locked(s, q);
    s->use = q->answer.use;
    if (__atomic_load_n(&class.shadow, __ATOMIC_RELAXED))
        ask_shadow_locked(s, q, q->now.there);
    history_add_locked(s, &q->now);
    policy_judge(&class, s->number, q->now.there, q->now.count);
    spin_unlock(&s->lock);
    return true;
}

/* ---- Doing ---- */

static void start_range(struct ahead_file *file, const struct readahead_range *r, uint16_t by)
{
    for (uint32_t i = 0; i < r->repeat; i++) {
        const struct fill_order order = {.first = r->first + (uint64_t)i * r->stride,
                                         .count = r->count,
                                         .by = by};

        fill_start(&file->fill, &order, false);
    }
}

/* How far a range that begins where the access ends goes with it in one request. */
static uint64_t joined_pages(const struct readahead_answer *answer, uint64_t end, unsigned *first_range)
{
    for (unsigned i = 0; i < answer->ranges_used; i++)
        if (answer->ranges[i].first == end && answer->ranges[i].repeat == 1) {
            *first_range = i;
            return answer->ranges[i].count;
        }
    *first_range = READAHEAD_RANGES;
    return 0;
}

static void act(struct ahead_file *file, const struct question *q, uint16_t by)
{
    const struct readahead_access *now = &q->now;
    struct fill_order wanted = {.first = now->first, .count = now->count, .wanted = now->count, .by = by};
    unsigned joined = READAHEAD_RANGES;
    bool missing = now->there < now->count;

    if (missing) { /* first, so that it does not stand behind what nobody waits for */
        uint64_t start = time_now();

        wanted.count += joined_pages(&q->answer, now->first + now->count, &joined);
        fill_start(&file->fill, &wanted, true);
        waited_since(start);
    }
    for (unsigned i = 0; i < q->answer.ranges_used; i++)
        if (i != joined)
            start_range(file, &q->answer.ranges[i], by);
}

void ahead_access(struct ahead_file *file, struct ahead_stream *s, uint64_t file_pages, uint64_t first,
                  uint32_t count)
{
    struct question q = {.seen = &s->seen, .now = {.first = first, .count = count}};

    q.now.there = (uint32_t)memobj_present(file->fill.cache.pages, first, count);
    s->seen.file = file->serial;
    s->seen.file_pages = file_pages;
    if (s->exactly) {
        q.answer = (struct readahead_answer){0};
        s->use = READAHEAD_NORMAL;
    } else if (!decide(file, s, &q)) {
        return;
    }
    act(file, &q, (uint16_t)s->number);
}

int ahead_page(struct ahead_file *file, struct ahead_stream *s, uint64_t index, paddr_t *out)
{
    static const enum cache_use uses[] = {CACHE_NORMAL, CACHE_KEEP, CACHE_SOON};

    while (!memobj_page_ref(file->fill.cache.pages, index, out)) {
        uint64_t start = time_now();
        int r = fill_page(&file->fill, index);

        waited_since(start);
        if (r != OK)
            return r;
    }
    cache_used(*out, uses[s->use]);
    return OK;
}

int ahead_bring(struct ahead_file *file, uint64_t file_pages, uint64_t index)
{
    if (index < file_pages)
        ahead_access(file, &file->mapped, file_pages, index, 1);
    return fill_page(&file->fill, index);
}

/* ---- Advice ---- */

void ahead_want(struct ahead_file *file, uint64_t file_pages, uint64_t first, uint64_t count)
{
    struct cache_size size;
    struct fill_order order;

    cache_size(&size);
    if (first >= file_pages)
        return;
    count = MIN(MIN(count, file_pages - first), size.most / 2); /* more would only push itself out */
    for (uint64_t done = 0; done < count; done += FILL_PAGES) {
        order = (struct fill_order){.first = first + done, .count = MIN(FILL_PAGES, count - done)};
        fill_start(&file->fill, &order, fill_count() >= WANT_FILLS);
    }
}

void ahead_drop(struct ahead_file *file, uint64_t first, uint64_t count)
{
    cache_drop(&file->fill.cache, first, count);
}

void ahead_advise(struct ahead_stream *s, enum readahead_advice advice, bool exactly)
{
    spin_lock(&s->lock);
    s->seen.advice = (uint8_t)advice;
    s->exactly = exactly;
    spin_unlock(&s->lock);
}

/* ---- Life ---- */

struct ahead_stream *ahead_stream_create(void)
{
    static bool counted; /* atomic */

    if (!__atomic_exchange_n(&counted, true, __ATOMIC_RELAXED)) /* not at boot; without room nothing is counted */
        trace_register(&counters);
    return kzalloc(sizeof(struct ahead_stream));
}

void ahead_stream_end(struct ahead_stream *s)
{
    pool_drop(&words_pool, (void **)&s->words);
    pool_drop(&shadow_pool, (void **)&s->shadow);
}

void ahead_stream_free(struct ahead_stream *s)
{
    if (!s)
        return;
    ahead_stream_end(s);
    kfree(s);
}

int ahead_init(void)
{
    int r = policy_class_register(&class, &ondemand);

    if (r == OK)
        r = policy_offer(READAHEAD_CLASS, &fixed, false);
    cache_wasted_set(page_wasted);
    return r;
}
