/*
 * float_sse2.c: the inner loops with SSE2, which every x86-64 processor has.
 */
#define LANES            4
#define ROW_PANELS       1 /* four rows of two vectors each: 8 of 16 registers hold sums */
#define VECTOR_MAX(a, b) __builtin_ia32_maxps(a, b)
#define VECTOR_MIN(a, b) __builtin_ia32_minps(a, b)
#define OPS              mlrt_float_sse2
#include "lib/mlrt/float_vector.h"
