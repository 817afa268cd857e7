/*
 * patterns.c: see patterns.h.
 */
#include "patterns.h"

#include <stdlib.h>
#include <string.h>

const char *const pattern_names[PATTERNS] = {"sequential", "strided", "random", "shuffled"};

static uint64_t random_below(struct reader *r, uint64_t n)
{
    r->random ^= r->random << 13; /* Marsaglia, "Xorshift RNGs" */
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (r->random >> 11) % n;
}

static bool size_parse(const char **at, uint64_t *out)
{
    char *end;

    if (**at != ':')
        return true;
    *out = strtoull(*at + 1, &end, 10);
    if (*end == 'K') {
        *out <<= 10;
        end++;
    } else if (*end == 'M') {
        *out <<= 20;
        end++;
    }
    *at = end;
    return *out != 0;
}

bool reader_parse(const char *text, uint64_t file, uint64_t seed, struct reader *out)
{
    static const uint64_t records[PATTERNS] = {64 << 10, 16 << 10, 4 << 10, 64 << 10};
    uint64_t second = 0;
    size_t length = 0;

    *out = (struct reader){.pattern = PATTERNS, .file = file, .random = seed * 2654435761u + 1};
    for (unsigned i = 0; i < PATTERNS; i++)
        if (!strncmp(text, pattern_names[i], strlen(pattern_names[i]))) {
            out->pattern = (enum reader_pattern)i;
            length = strlen(pattern_names[i]);
        }
    if (out->pattern == PATTERNS)
        return false;
    text += length;
    out->record = records[out->pattern];
    if (!size_parse(&text, &out->record) || !size_parse(&text, &second) || *text)
        return false;
    out->read = out->record;
    if (out->pattern == STRIDED)
        out->stride = second ? second : 16 * out->record;
    else if (second)
        out->read = second;
    if (out->pattern == SHUFFLED)
        out->order = calloc(file / out->record, sizeof(out->order[0]));
    return out->record <= file && out->stride <= file && (out->pattern != SHUFFLED || out->order);
}

/* Fisher and Yates. */
static void shuffle(struct reader *r, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t j = random_below(r, i + 1);

        r->order[i] = r->order[j];
        r->order[j] = (uint32_t)i;
    }
}

uint64_t reader_next(struct reader *r)
{
    uint64_t step = r->pattern == STRIDED ? r->stride : r->record, count = r->file / step;
    uint64_t n = r->next++ % count;

    if (r->pattern == RANDOM)
        return random_below(r, count) * step;
    if (r->pattern != SHUFFLED)
        return n * step;
    if (n == 0)
        shuffle(r, count);
    return r->order[n] * step;
}
