/*
 * generator.c: see generator.h (D. J. Bernstein: "Fast-key-erasure random-number generators", 2017).
 */
#include "lib/chacha20/generator.h"

#include <string.h>

#define KEY_BYTES sizeof(((struct chacha20_generator *)0)->key)

/* Replaces the key by the first half of a block made from it; the block's rest is the caller's. */
static void key_advance(struct chacha20_generator *g, uint8_t block[CHACHA20_BLOCK])
{
    static const uint32_t nonce[CHACHA20_NONCE_WORDS];

    chacha20_block(g->key, 0, nonce, block);
    memcpy(g->key, block, KEY_BYTES);
    memset(block, 0, KEY_BYTES);
}

static void block_wipe(uint8_t block[CHACHA20_BLOCK])
{
    memset(block, 0, CHACHA20_BLOCK);
    __asm__ volatile("" ::"r"(block) : "memory"); /* the wipe must happen */
}

void generator_stir(struct chacha20_generator *g, const void *noise, size_t size)
{
    uint8_t *key = (uint8_t *)g->key;
    const uint8_t *from = noise;

    for (size_t i = 0; i < size && i < KEY_BYTES; i++)
        key[i] ^= from[i];
}

void generator_mix(struct chacha20_generator *g, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    uint8_t block[CHACHA20_BLOCK];

    while (size) {
        size_t n = size < KEY_BYTES ? size : KEY_BYTES;

        generator_stir(g, from, n);
        key_advance(g, block);
        from += n;
        size -= n;
    }
    block_wipe(block);
}

void generator_take(struct chacha20_generator *g, void *out, size_t size)
{
    uint8_t block[CHACHA20_BLOCK];
    uint8_t *to = out;

    while (size) {
        size_t n = size < CHACHA20_BLOCK - KEY_BYTES ? size : CHACHA20_BLOCK - KEY_BYTES;

        key_advance(g, block);
        memcpy(to, block + KEY_BYTES, n);
        to += n;
        size -= n;
    }
    key_advance(g, block);
    block_wipe(block);
}
