/*
 * ed25519.c: the check S * B = R + k * A, in the form R = S * B - k * A.
 */
#include "lib/ed25519/ed25519.h"

#include <string.h>

#include "lib/ed25519/point.h"
#include "lib/ed25519/sha512.h"

bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], const void *message, size_t size,
                    const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
    uint8_t digest[SHA512_SIZE], r[32];
    struct scalar s, k;
    struct point key, sum;
    struct sha512 hash;

    if (!scalar_load(&s, signature + 32) || !point_decode(&key, public_key))
        return false;
    sha512_begin(&hash);
    sha512_add(&hash, signature, 32);
    sha512_add(&hash, public_key, 32);
    sha512_add(&hash, message, size);
    sha512_end(&hash, digest);
    scalar_reduce(&k, digest);

    point_negate(&key);
    point_combine(&sum, &s, &point_base, &k, &key);
    point_encode(r, &sum);
    return memcmp(r, signature, sizeof(r)) == 0;
}
