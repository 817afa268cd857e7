/*
 * checked.h: arithmetic on lengths and offsets that others chose.
 *
 * Every number that comes from a guest, a front end or a file passes through these before it is
 * used as a size or an address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire structures are used as they are");

/* Stores a + b and returns true, or returns false when the sum does not fit. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* Stores a * b and returns true, or returns false when the product does not fit. */
static inline bool checked_multiply(uint64_t a, uint64_t b, uint64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* Whether [offset, offset + length) lies inside [0, limit). */
static inline bool range_inside(uint64_t offset, uint64_t length, uint64_t limit)
{
    return offset <= limit && length <= limit - offset;
}

/* `alignment` is a power of two. */
static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}
