/*
 * ahead_plain.c: see ahead_plain.h.
 */
#include "modules/linux/fs/ahead_plain.h"

#define WINDOW      32u /* pages: 128 KiB, Linux's default */
#define MAPPED_MISS 100u /* Linux's MMAP_LOTSAMISS */

/* ---- Answers ---- */

static bool range_valid(const struct readahead_range *r, uint64_t from, uint64_t file_pages, uint64_t *end)
{
    if (r->first < from || r->first >= file_pages || r->count == 0 || r->repeat == 0 ||
        r->count > READAHEAD_PAGES_MAX || r->repeat > READAHEAD_PAGES_MAX ||
        (r->repeat > 1 && r->stride < r->count))
        return false;
    *end = r->first + (uint64_t)r->stride * (r->repeat - 1) + r->count;
    return *end <= file_pages;
}

bool ahead_answer_valid(const struct readahead_answer *answer, uint64_t file_pages)
{
    uint64_t at = 0, pages = 0;

    if (answer->ranges_used > READAHEAD_RANGES || answer->use > READAHEAD_DROP)
        return false;
    for (uint32_t i = 0; i < answer->ranges_used; i++) {
        const struct readahead_range *r = &answer->ranges[i];

        if (!range_valid(r, at, file_pages, &at))
            return false;
        pages += (uint64_t)r->count * r->repeat;
        if (pages > READAHEAD_PAGES_MAX)
            return false;
    }
    return true;
}

/* One range of [first, end), as far as the file goes. */
static void answer_range(struct readahead_answer *answer, uint64_t first, uint64_t end, uint64_t file_pages)
{
    end = end < file_pages ? end : file_pages;
    if (first < end)
        answer->ranges[answer->ranges_used++] =
            (struct readahead_range){.first = first, .count = (uint32_t)(end - first), .repeat = 1};
}

/* ---- fixed ---- */

enum fixed_data { FIXED_END, FIXED_MARK };

static void fixed_access(const struct readahead_stream *s, const struct readahead_access *now,
                         const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer)
{
    uint64_t end = now->first + now->count;

    (void)memory;
    if (now->there < now->count) {
        answer_range(answer, end, now->first + WINDOW, s->file_pages);
        data[FIXED_END] = end > now->first + WINDOW ? end : now->first + WINDOW;
        data[FIXED_MARK] = data[FIXED_END] - WINDOW / 2;
    } else if (now->first < data[FIXED_END] && end > data[FIXED_MARK]) {
        answer_range(answer, data[FIXED_END], data[FIXED_END] + WINDOW, s->file_pages);
        data[FIXED_END] += WINDOW;
        data[FIXED_MARK] += WINDOW;
    }
}

const struct readahead_ops ahead_fixed = {.struct_size = sizeof(struct readahead_ops), .access = fixed_access};

/* ---- ondemand: Linux's mm/readahead.c in its own words ---- */

enum ondemand_data { ON_START, ON_SIZE, ON_ASYNC, ON_LAST_END, ON_MISSES };

/* The first window of a stream: two to four times what was asked for. */
static uint64_t size_first(uint64_t wanted, uint64_t most)
{
    uint64_t size = 1;

    while (size < wanted)
        size *= 2;
    if (size <= most / 32)
        return size * 4;
    return size <= most / 4 ? size * 2 : most;
}

static uint64_t size_next(uint64_t size, uint64_t most)
{
    if (size < most / 16)
        return size * 4;
    return size <= most / 2 ? size * 2 : most;
}

static void window_set(uint64_t *data, uint64_t start, uint64_t size, uint64_t async)
{
    data[ON_START] = start;
    data[ON_SIZE] = size;
    data[ON_ASYNC] = async;
}

static void ondemand_miss(const struct readahead_access *now, uint64_t *data, uint64_t most)
{
    uint64_t wanted = now->count;
    bool follows = now->first == 0 || now->first == data[ON_LAST_END] || now->first + 1 == data[ON_LAST_END];

    if (follows || wanted > most) {
        uint64_t size = wanted > most ? wanted : size_first(wanted, most);

        window_set(data, now->first, size, size > wanted ? size - wanted : size);
    } else {
        window_set(data, now->first, 0, 0); /* it is random: only what is wanted */
    }
}

/* The touch of a mapped page that is not there. */
static void ondemand_mapped(const struct readahead_stream *s, const struct readahead_access *now, uint64_t *data,
                            uint64_t most, struct readahead_answer *answer)
{
    uint64_t start = now->first > most / 2 ? now->first - most / 2 : 0;

    if (s->advice != READAHEAD_SEQUENTIAL && data[ON_MISSES]++ > MAPPED_MISS && now->first != data[ON_LAST_END])
        return;
    if (s->advice == READAHEAD_SEQUENTIAL)
        start = now->first;
    answer_range(answer, start, now->first, s->file_pages);
    answer_range(answer, now->first + 1, start + most, s->file_pages);
    data[ON_LAST_END] = start + most;
}

static void ondemand_access(const struct readahead_stream *s, const struct readahead_access *now,
                            const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer)
{
    uint64_t most = s->advice == READAHEAD_SEQUENTIAL ? 2 * WINDOW : WINDOW, end = now->first + now->count;
    uint64_t mark = data[ON_START] + data[ON_SIZE] - data[ON_ASYNC];

    (void)memory;
    if (s->mapped) {
        ondemand_mapped(s, now, data, most, answer);
        return;
    }
    if (data[ON_SIZE] && now->first <= mark && end > mark) { /* it has come to the mark: on with it */
        uint64_t size = size_next(data[ON_SIZE], most);

        window_set(data, data[ON_START] + data[ON_SIZE], size, size);
        answer_range(answer, MAX(end, data[ON_START]), data[ON_START] + size, s->file_pages);
    } else if (now->there < now->count) {
        ondemand_miss(now, data, most);
        answer_range(answer, end, data[ON_START] + data[ON_SIZE], s->file_pages);
    }
    data[ON_LAST_END] = end;
}

const struct readahead_ops ahead_ondemand = {.struct_size = sizeof(struct readahead_ops),
                                             .access = ondemand_access};
