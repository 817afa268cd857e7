/*
 * random.h: random bytes from a ChaCha20 generator (RFC 8439) seeded by RDRAND and timing. Any context.
 */
#pragma once

#include <microlake/types.h>

void random_bytes(void *out, size_t size);

/* Mixes bytes into the generator's state: whoever knows or chooses them learns nothing of it. */
void random_mix(const void *bytes, size_t size);
