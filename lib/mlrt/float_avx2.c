/*
 * float_avx2.c: the inner loops with AVX2. Called only where mlrt_has_path(MLRT_AVX2).
 */
#pragma GCC target("avx2")

#define LANES            8
#define ROW_PANELS       2 /* four rows of two vectors each: 8 of 16 registers hold sums */
#define VECTOR_MAX(a, b) __builtin_ia32_maxps256(a, b)
#define VECTOR_MIN(a, b) __builtin_ia32_minps256(a, b)
#define OPS              mlrt_float_avx2
#include "lib/mlrt/float_vector.h"
