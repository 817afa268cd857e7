/*
 * samples.h: random chains for tests, and what they give by plain formulas in double.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/malv-model/pack.h"
#include "lib/mlrt/layout.h"

/* Seeded numbers; the same ones every time. */
void random_seed(uint64_t seed);
uint32_t random_below(uint32_t limit);
float random_number(float size); /* -size to size, as evenly as may be */
float *random_numbers(struct arena *arena, size_t count, float size);

/* Layers with random numbers, added to a chain. Forests have `trees` trees. */
void add_dense(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t activation);
void add_scale(struct arena *arena, struct chain *chain, uint32_t activation);
void add_pair(struct chain *chain);
void add_cell(struct arena *arena, struct chain *chain, uint32_t kind, uint32_t outputs,
              bool reset_after);
void add_forest(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t trees,
                bool all_outputs);
void add_nearest(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t count,
                 uint32_t k, bool regression, bool by_distance);

/* A model of a chain in memory of exactly its size. */
struct sample {
    uint8_t *bytes;
    size_t size;
    struct mlrt_model model;
    void *workspace; /* exactly as large as mlrt_workspace_bytes() says */
    uint32_t rows;
};

struct sample sample_open(const struct packed *packed, enum mlrt_path path, uint32_t rows);
void sample_close(struct sample *sample);

/* Packs a chain; the bytes lie in the arena. */
struct packed pack_or_fail(struct arena *arena, const struct chain *chain);
struct packed pack_integer_or_fail(struct arena *arena, const struct chain *chain,
                                   const struct samples *samples, uint32_t fraction);

/* What a chain gives for one sequence of `steps` rows, in double. */
void chain_reference(const struct chain *chain, const float *in, uint32_t steps, double *out);

/* Paths that this processor has: for each, `path` in turn. */
#define for_each_path(path)                                                                        \
    for (enum mlrt_path path = MLRT_SCALAR; path < MLRT_BEST; path++)                              \
        if (mlrt_has_path(path))

extern const struct CMUnitTest functions_tests[], layers_tests[], integer_tests[], open_tests[],
    train_tests[];
extern const size_t functions_test_count, layers_test_count, integer_test_count, open_test_count,
    train_test_count;
