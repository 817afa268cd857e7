/*
 * point.h: points of edwards25519 in extended coordinates (RFC 8032, section 5.1). Any context.
 */
#pragma once

#include "lib/ed25519/field.h"
#include "lib/ed25519/scalar.h"

struct point {
    struct field x, y, z, t; /* the point is (x/z, y/z); t = xy/z */
};

extern const struct point point_base;

/* false: the bytes are no point, or not the one encoding of it. */
bool point_decode(struct point *out, const uint8_t bytes[32]);
void point_encode(uint8_t bytes[32], const struct point *a);

void point_negate(struct point *a);
void point_add(struct point *out, const struct point *a, const struct point *b);

/* out = s * a + k * b */
void point_combine(struct point *out, const struct scalar *s, const struct point *a,
                   const struct scalar *k, const struct point *b);
