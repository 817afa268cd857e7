/*
 * pattern.h: what a stream's accesses look like, and what to read ahead for each kind. Pure: the policy,
 * the unit test and the training script (tools/train/mem_readahead.py) use the same code.
 *
 * Accesses that follow each other are one run. A stream remembers its last runs; from them come features,
 * whole numbers for a forest that names the kind.
 */
#pragma once

#include "modules/linux/include/linux_readahead.h"

#define PATTERN_RUNS     16u
#define PATTERN_FEATURES 13u
#define PATTERN_SKETCH   6u /* words */

enum pattern_kind {
    PATTERN_SEQUENTIAL,
    PATTERN_STRIDED,
    PATTERN_RANDOM,  /* no two alike */
    PATTERN_RECORDS, /* records of one size in any order: shuffled epochs */
    PATTERN_MIXED,   /* several that are taken up in turns */
    PATTERN_KINDS,
};

/* One that has ended; in short, because every stream has many. */
struct pattern_run {
    uint32_t start;         /* page; of a file of more than 16 TiB its low half */
    uint16_t length, calls; /* pages; or UINT16_MAX, if there are more */
};

/* Lies in the stream's data; all zero at first. */
struct pattern {
    struct {
        uint64_t start;  /* page */
        uint32_t length; /* pages */
        uint32_t calls;
    } now;
    struct pattern_run runs[PATTERN_RUNS]; /* those that ended; run n stands at n % PATTERN_RUNS */
    uint64_t ahead;     /* what was asked for ahead ends here; of strides: where the next one begins */
    int64_t stride;     /* pages from one run's start to the next one's, as most have it */
    uint32_t ended;     /* runs */
    uint32_t length;    /* pages of a run, as most have it */
    uint32_t window;    /* pages */
    uint32_t since;     /* runs, or doublings of one, since the kind was last looked at */
    uint64_t seen[PATTERN_SKETCH]; /* bits of some of the runs' starts */
    uint16_t sampled, again;       /* how many of these there were, and how many were there before */
    uint8_t kind;       /* enum pattern_kind; of no meaning before `known` */
    uint8_t known;
    uint8_t patience;   /* runs until the next look; more, the longer the kind has been the same */
    uint8_t surprises;  /* runs since that were not as the kind says */
};
_Static_assert(sizeof(struct pattern) <= READAHEAD_DATA * sizeof(uint64_t), "fits a stream's data");

/* One decision: what the access tells, the model where the kind should be looked at, and the answer. */
typedef void pattern_model(const int32_t features[PATTERN_FEATURES], int32_t votes[PATTERN_KINDS]);
void pattern_access(struct pattern *p, const struct readahead_stream *stream, const struct readahead_access *now,
                    const struct readahead_memory *memory, pattern_model *model, struct readahead_answer *answer);

/* ---- Its parts ---- */

/* Takes an access in. True: the kind should be looked at again. */
bool pattern_take(struct pattern *p, const struct readahead_stream *stream, const struct readahead_access *now);

/* The features, whole numbers from 0 on. */
void pattern_features(struct pattern *p, const struct readahead_stream *stream,
                      const struct readahead_memory *memory, int32_t out[PATTERN_FEATURES]);

/* What to do after an access that was taken in; pattern_mapped() for touches of mapped pages, of which only
 * those are seen that found nothing. */
void pattern_mapped(struct pattern *p, const struct readahead_stream *stream,
                    const struct readahead_access *now, struct readahead_answer *answer);
void pattern_answer(struct pattern *p, const struct readahead_stream *stream,
                    const struct readahead_access *now, const struct readahead_memory *memory,
                    struct readahead_answer *answer);
