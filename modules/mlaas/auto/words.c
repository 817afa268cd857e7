/*
 * words.c: what a flight does and knows, for people, and what it has learned, for another machine of the same
 * kind. A line of that is
 *
 *     LOAD PROGRAM POLICY COST VARIANCE WEIGHT
 *
 * with a number below LOADS, words, and the bandit's figures: cost in 1/65536 of a binary logarithm.
 */
#include <microlake/memory.h>

#include "auto.h"

#define TAUGHT_LEAST  BANDIT_WINDOW /* another machine's knowledge counts so much, be it old */
#define TAUGHT_MOST   (4 * BANDIT_WINDOW)
#define DIGITS_MOST   18u

static void why_describe(const struct flight *f, struct text *out)
{
    const struct bandit *b = f->bandit;
    const struct bandit_arm *base = &b->contexts[f->context].arms[0];
    const struct bandit_arm *a = &b->contexts[f->context].arms[b->arm];
    uint64_t gain = 100 - MIN(100u, bandit_ratio(a->mean - base->mean) / 10);

    switch (b->why) {
    case BANDIT_WINS:
        text_add(out, "pilot.why %s beats %s by %lu%%\n", f->arms[b->arm], f->arms[0], gain);
        break;
    case BANDIT_TRIES:
        text_add(out, "pilot.why %s is on trial\n", f->arms[b->arm]);
        break;
    case BANDIT_MEASURES:
        text_add(out, "pilot.why %s, the baseline, is measured first\n", f->arms[0]);
        break;
    default:
        text_add(out, "pilot.why nothing beats %s by %u%% with confidence\n", f->arms[0], 5u);
    }
}

static void arm_describe(const struct flight *f, unsigned arm, struct text *out)
{
    static const char *const hints[] = {"; in the shadow it is right less often", "",
                                        "; in the shadow it is right more often"};
    const struct bandit_arm *a = &f->bandit->contexts[f->context].arms[arm];
    uint64_t mean = bandit_ratio(a->mean);
    uint64_t doubt = bandit_ratio(bandit_doubt(f->bandit, f->context, arm));
    const char *hint = hints[f->bandit->hint[arm] + 1];

    text_add(out, "pilot.arm %s%s", f->arms[arm], f->bandit->absent[arm] ? ", which is not there" : "");
    if (!bandit_knows(f->bandit, f->context, arm))
        text_add(out, ": too little is known in this context%s%s\n",
                 a->locked ? ", left out for a while" : "", hint);
    else
        text_add(out, ": %lu.%03lu, within a factor of %lu.%02lu, from %lu windows%s%s\n", mean / 1000,
                 mean % 1000, MIN(doubt, 99990u) / 1000, MIN(doubt, 99990u) % 1000 / 10, a->looks,
                 a->locked ? ", left out for a while" : "", hint);
}

void flight_describe(const struct flight *f, struct text *out)
{
    const struct context_key *key = &f->contexts.keys[f->context];
    char load[96];

    load_describe(key->load, load, sizeof(load));
    text_add(out, "pilot.windows %lu of %u ms or less, %lu idle, %lu spoiled by a change\n", f->windows,
             auto_window_ms, f->idle, f->spoiled);
    text_add(out, "pilot.context %s, program %s\n", load, key->program[0] ? key->program : "-");
    why_describe(f, out);
    for (unsigned i = 0; i < f->bandit->count; i++)
        arm_describe(f, i, out);
}

/* ---- Knowledge --------------------------------------------------------------------------------- */

void flight_recall(const struct flight *f, struct text *out)
{
    const struct bandit *b = f->bandit;

    for (unsigned i = 0; i < BANDIT_CONTEXTS; i++) {
        const struct context_key *key = &f->contexts.keys[i];

        for (unsigned arm = 0; key->program[0] && !b->contexts[i].seeded && arm < b->count; arm++) {
            const struct bandit_arm *a = &b->contexts[i].arms[arm];

            if (bandit_knows(b, i, arm))
                text_add(out, "%u %s %s %d %ld %u\n", key->load, key->program, f->arms[arm], a->mean,
                         a->variance, a->weight);
        }
    }
}

static bool word_next(const char **line, char *out, size_t size)
{
    size_t length = 0;

    while (**line == ' ')
        ++*line;
    while ((*line)[length] > ' ')
        length++;
    if (length == 0 || length >= size)
        return false;
    memcpy(out, *line, length);
    out[length] = '\0';
    *line += length;
    return true;
}

static bool number_next(const char **line, int64_t least, int64_t most, int64_t *out)
{
    char word[DIGITS_MOST + 2];
    const char *at = word;
    int64_t value = 0;

    if (!word_next(line, word, sizeof(word)))
        return false;
    at += *at == '-';
    if (!*at || strlen(at) > DIGITS_MOST)
        return false;
    for (; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (*at - '0');
    }
    *out = word[0] == '-' ? -value : value;
    return *out >= least && *out <= most;
}

int flight_teach(struct flight *f, const char *line)
{
    struct context_key key;
    char policy[POLICY_NAME_MAX];
    int64_t load, mean, variance, weight;
    unsigned arm, context;
    bool fresh;

    if (!number_next(&line, 0, LOADS - 1, &load) || !word_next(&line, key.program, sizeof(key.program)) ||
        !word_next(&line, policy, sizeof(policy)) ||
        !number_next(&line, -BANDIT_COST_MOST, BANDIT_COST_MOST, &mean) ||
        !number_next(&line, 0, 1ll << 48, &variance) || !number_next(&line, 1, 1 << 20, &weight) ||
        (*line && *line != '\n'))
        return ERR_INVALID;
    arm = flight_arm(f, policy);
    if (arm == BANDIT_ARMS)
        return ERR_NOT_FOUND;
    key.load = (unsigned)load;
    context = context_find(&f->contexts, f->bandit, &key, &fresh);
    if (f->bandit->contexts[context].seeded)
        bandit_clear(f->bandit, context);
    f->bandit->contexts[context].arms[arm] = (struct bandit_arm){
        .weight = (uint32_t)MAX(TAUGHT_LEAST, MIN(weight, (int64_t)TAUGHT_MOST)), .mean = (int32_t)mean, .variance = variance};
    return OK;
}
