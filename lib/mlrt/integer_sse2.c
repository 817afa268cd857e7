/*
 * integer_sse2.c: the inner loops of integer models with SSE2.
 */
#include "lib/mlrt/internal.h"

#define LANES                4
#define MULTIPLY_PAIRS(a, b) __builtin_ia32_pmaddwd128(a, b)
#define OPS                  mlrt_integer_sse2

typedef int32_t vec __attribute__((vector_size(LANES * 4)));
typedef int16_t halves __attribute__((vector_size(LANES * 4)));
typedef char chars __attribute__((vector_size(16)));

/* Each byte in the upper half of 16 bits, then shifted down with its sign. */
static inline halves halves_load(const int8_t *from)
{
    typedef int64_t longs __attribute__((vector_size(16)));
    typedef int64_t long_anywhere __attribute__((aligned(1), may_alias));
    chars eight = (chars)(longs){*(const long_anywhere *)from, 0};
    return (halves)__builtin_ia32_punpcklbw128(eight, eight) >> 8;
}

#include "lib/mlrt/integer_vector.h"
