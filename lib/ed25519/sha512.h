/*
 * sha512.h: SHA-512 (FIPS 180-4, section 6.4). No allocation. Any context.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA512_SIZE  64
#define SHA512_BLOCK 128

struct sha512 {
    uint64_t state[8];
    uint8_t block[SHA512_BLOCK];
    uint64_t length; /* bytes so far */
};

void sha512_begin(struct sha512 *hash);
void sha512_add(struct sha512 *hash, const void *data, size_t size);
void sha512_end(struct sha512 *hash, uint8_t out[SHA512_SIZE]);
