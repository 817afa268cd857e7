/*
 * ed25519_sign.c: see ed25519_sign.h.
 */
#include "lib/ed25519_sign/ed25519_sign.h"

#include <string.h>

#include "lib/ed25519/point.h"
#include "lib/ed25519/sha512.h"

static const struct scalar zero;

/* What a secret stands for: the scalar, and the prefix that makes nonces. */
struct expanded {
    struct scalar scalar; /* mod L: a multiple of the base point is the same */
    uint8_t prefix[32];
};

static void secret_expand(struct expanded *out, const uint8_t secret[ED25519_KEY_SIZE])
{
    uint8_t digest[SHA512_SIZE], wide[64] = {0};
    struct sha512 hash;

    sha512_begin(&hash);
    sha512_add(&hash, secret, ED25519_KEY_SIZE);
    sha512_end(&hash, digest);
    memcpy(wide, digest, 32);
    wide[0] &= 0xf8;
    wide[31] = (uint8_t)((wide[31] & 0x7f) | 0x40);
    scalar_reduce(&out->scalar, wide);
    memcpy(out->prefix, digest + 32, 32);
}

static void base_multiple(uint8_t out[32], const struct scalar *k)
{
    struct point result;

    point_combine(&result, k, &point_base, &zero, &point_base);
    point_encode(out, &result);
}

void ed25519_public_key(uint8_t public_key[ED25519_KEY_SIZE],
                        const uint8_t secret[ED25519_KEY_SIZE])
{
    struct expanded key;

    secret_expand(&key, secret);
    base_multiple(public_key, &key.scalar);
}

static void digest_scalar(struct scalar *out, const void *first, const void *second,
                          const void *message, size_t size)
{
    uint8_t digest[SHA512_SIZE];
    struct sha512 hash;

    sha512_begin(&hash);
    sha512_add(&hash, first, 32);
    sha512_add(&hash, second, second ? 32 : 0);
    sha512_add(&hash, message, size);
    sha512_end(&hash, digest);
    scalar_reduce(out, digest);
}

void ed25519_sign(uint8_t signature[ED25519_SIGNATURE_SIZE], const void *message, size_t size,
                  const uint8_t secret[ED25519_KEY_SIZE])
{
    uint8_t public_key[ED25519_KEY_SIZE];
    struct expanded key;
    struct scalar r, k, s;

    secret_expand(&key, secret);
    base_multiple(public_key, &key.scalar);
    digest_scalar(&r, key.prefix, NULL, message, size);
    base_multiple(signature, &r);
    digest_scalar(&k, signature, public_key, message, size);
    scalar_mul(&s, &k, &key.scalar);
    scalar_add(&s, &s, &r);
    memcpy(signature + 32, s.word, 32);
}
