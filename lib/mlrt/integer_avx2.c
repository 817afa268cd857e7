/*
 * integer_avx2.c: the inner loops of integer models with AVX2. Called only where
 * mlrt_has_path(MLRT_AVX2).
 */
#pragma GCC target("avx2")

#include "lib/mlrt/internal.h"

#define LANES                8
#define MULTIPLY_PAIRS(a, b) __builtin_ia32_pmaddwd256(a, b)
#define OPS                  mlrt_integer_avx2

typedef int32_t vec __attribute__((vector_size(LANES * 4)));
typedef int16_t halves __attribute__((vector_size(LANES * 4)));
typedef char chars __attribute__((vector_size(16)));
typedef char chars_anywhere __attribute__((vector_size(16), aligned(1), may_alias));

static inline halves halves_load(const int8_t *from)
{
    return (halves)__builtin_ia32_pmovsxbw256((chars) * (const chars_anywhere *)from);
}

#include "lib/mlrt/integer_vector.h"
