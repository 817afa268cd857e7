/*
 * chacha20.h: the ChaCha20 block function of RFC 8439, section 2.3. Any context.
 */
#pragma once

#include <stdint.h>

#define CHACHA20_KEY_WORDS   8
#define CHACHA20_NONCE_WORDS 3
#define CHACHA20_BLOCK       64 /* bytes */

/* Writes the block of key stream number `counter`. Words of key and nonce are little-endian. */
void chacha20_block(const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter,
                    const uint32_t nonce[CHACHA20_NONCE_WORDS], uint8_t out[CHACHA20_BLOCK]);
