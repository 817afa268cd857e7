/*
 * random.h: random bytes from a ChaCha20 generator (RFC 8439) seeded by RDRAND and timing. Any context.
 */
#pragma once

#include <microlake/types.h>

void random_bytes(void *out, size_t size);
