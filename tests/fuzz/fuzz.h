/*
 * fuzz.h: seeded mutation for the fuzz programs. Each is called as PROGRAM [SEED [ITERATIONS]]; the
 * same numbers give the same run, so that a finding can be repeated. A finding is a report of the
 * sanitizers, which ends the program.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fuzz_state;

/* xorshift64* (S. Vigna, 2014). */
static inline uint64_t fuzz_next(void)
{
    fuzz_state ^= fuzz_state >> 12;
    fuzz_state ^= fuzz_state << 25;
    fuzz_state ^= fuzz_state >> 27;
    return fuzz_state * 0x2545f4914f6cdd1du;
}

static inline uint64_t fuzz_below(uint64_t limit)
{
    return limit ? fuzz_next() % limit : 0;
}

static inline void fuzz_seed(uint64_t seed, uint64_t iteration)
{
    fuzz_state = seed * 0x9e3779b97f4a7c15u + iteration * 0xbf58476d1ce4e5b9u + 1;
    fuzz_next();
}

/* One change to the bytes: a bit, an interesting number of 1 to 8 bytes, a run, or a copy. */
static inline void fuzz_mutate_once(uint8_t *bytes, size_t size)
{
    static const uint64_t interesting[] = {
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        16,
        24,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        4095,
        4096,
        0x7fff,
        0x8000,
        0xfff1,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x7fffffffffffffff,
        0x8000000000000000,
        UINT64_MAX,
        UINT64_MAX - 23,
        UINT64_MAX - 4095,
    };
    size_t at = fuzz_below(size), width, from;
    uint64_t value;

    if (size == 0)
        return;
    switch (fuzz_below(4)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << fuzz_below(8));
        break;
    case 1:
        value = interesting[fuzz_below(sizeof(interesting) / sizeof(interesting[0]))];
        width = (size_t)1 << fuzz_below(4);
        at &= ~(width - 1);
        memcpy(bytes + at, &value, width < size - at ? width : size - at);
        break;
    case 2:
        width = fuzz_below(size - at < 32 ? size - at : 32);
        memset(bytes + at, (int)fuzz_next(), width);
        break;
    default:
        width = fuzz_below(32);
        from = fuzz_below(size);
        if (width <= size - at && width <= size - from)
            memmove(bytes + at, bytes + from, width);
        break;
    }
}

/* A changed copy of exactly its own size, often cut; the caller frees. */
static inline uint8_t *fuzz_mutate(const uint8_t *from, size_t *size)
{
    size_t cut = fuzz_below(8) == 0 ? fuzz_below(*size + 1) : *size;
    uint8_t *copy = malloc(cut ? cut : 1);

    memcpy(copy, from, cut);
    for (uint64_t n = 1 + fuzz_below(6); n > 0; n--)
        fuzz_mutate_once(copy, cut);
    *size = cut;
    return copy;
}

struct fuzz_plan {
    uint64_t seed;
    uint64_t iterations;
};

/* The command line's plan. Ends the program on a bad one. */
static inline struct fuzz_plan fuzz_plan_read(int argc, char **argv, uint64_t iterations)
{
    struct fuzz_plan plan = {1, iterations};
    uint64_t *values[] = {&plan.seed, &plan.iterations};

    for (int i = 1; i < argc; i++) {
        char *end = NULL;

        errno = 0;
        if (i <= 2)
            *values[i - 1] = strtoull(argv[i], &end, 0);
        if (!end || end == argv[i] || *end || errno) {
            fprintf(stderr, "usage: %s [SEED [ITERATIONS]], both numbers\n", argv[0]);
            exit(2);
        }
    }
    return plan;
}
