/*
 * chacha20.c: RFC 8439, section 2.3.
 */
#include "lib/chacha20/chacha20.h"

#include <string.h>

static uint32_t rotate(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

static void quarter_round(uint32_t s[16], int a, int b, int c, int d)
{
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_block(const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter,
                    const uint32_t nonce[CHACHA20_NONCE_WORDS], uint8_t out[CHACHA20_BLOCK])
{
    /* "expand 32-byte k" */
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t s[16];

    memcpy(start + 4, key, CHACHA20_KEY_WORDS * sizeof(uint32_t));
    start[12] = counter;
    memcpy(start + 13, nonce, CHACHA20_NONCE_WORDS * sizeof(uint32_t));
    memcpy(s, start, sizeof(s));
    for (int i = 0; i < 10; i++) {
        for (int column = 0; column < 4; column++)
            quarter_round(s, column, column + 4, column + 8, column + 12);
        for (int diagonal = 0; diagonal < 4; diagonal++)
            quarter_round(s, diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8,
                          (diagonal + 3) % 4 + 12);
    }
    for (int i = 0; i < 16; i++)
        s[i] += start[i];
    memcpy(out, s, CHACHA20_BLOCK);
}
