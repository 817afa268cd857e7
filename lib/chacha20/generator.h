/*
 * generator.h: random bytes from ChaCha20 with fast key erasure: each request makes key stream, of which
 * the first 32 bytes become the next key at once, so that a later look at the memory tells nothing of what
 * was given out. It is as good as what is stirred into it. Not locked. Any context.
 */
#pragma once

#include <stddef.h>

#include "lib/chacha20/chacha20.h"

struct chacha20_generator {
    uint32_t key[CHACHA20_KEY_WORDS];
};

/* Puts noise into the key, at most as many bytes as that has. What is taken next depends on it. */
void generator_stir(struct chacha20_generator *g, const void *noise, size_t size);

/* Stirs in any number of bytes: whoever knows or chooses them learns nothing of the state. */
void generator_mix(struct chacha20_generator *g, const void *bytes, size_t size);

void generator_take(struct chacha20_generator *g, void *out, size_t size);
