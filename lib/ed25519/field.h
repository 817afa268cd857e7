/*
 * field.h: arithmetic modulo 2^255 - 19, in five limbs of 51 bits. Any context.
 *
 * Not in constant time: it is for public data, and for the signing tool of a build.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Limbs may grow to 52 bits between operations; field_store() gives the one canonical form. */
struct field {
    uint64_t limb[5];
};

/* Little-endian; bit 255 is ignored. */
void field_load(struct field *out, const uint8_t bytes[32]);
void field_store(uint8_t bytes[32], const struct field *a);

/* out may be a or b. */
void field_add(struct field *out, const struct field *a, const struct field *b);
void field_sub(struct field *out, const struct field *a, const struct field *b);
void field_mul(struct field *out, const struct field *a, const struct field *b);
void field_invert(struct field *out, const struct field *a);
void field_power_p58(struct field *out, const struct field *a); /* a^((p - 5) / 8) */

bool field_equal(const struct field *a, const struct field *b);
bool field_odd(const struct field *a);
