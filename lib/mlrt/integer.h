/*
 * integer.h: what the files of integer models share. General registers only, but for what
 * struct integer_ops points to.
 */
#pragma once

#include "lib/mlrt/fixed.h"
#include "lib/mlrt/internal.h"

/* An int8 matrix: (sum + bias) * mult >> shift for each output. */
struct integer_matrix {
    struct integer_panels panels;
    const int32_t *bias, *mult;
    uint32_t shift;
};

/* A row as pairs of int8, x * mult >> shift; an odd last one stands beside 0. */
void integer_pairs(int32_t *pairs, const int32_t *in, uint32_t inputs, int32_t mult,
                   uint32_t shift);

/* A row of pairs through a matrix; whole panels of `out` are written. */
void integer_multiply(const struct integer_ops *ops, const struct integer_matrix *matrix,
                      const int32_t *pairs, int32_t *out);

static inline const int32_t *job_in(const struct mlrt_job *job, uint32_t row)
{
    return (const int32_t *)job->in + row * job->in_stride;
}

static inline int32_t *job_out(const struct mlrt_job *job, uint32_t row)
{
    return (int32_t *)job->out + row * job->out_stride;
}
