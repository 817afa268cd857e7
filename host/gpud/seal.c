/* seal.c: see seal.h. HMAC (RFC 2104) with SHA-512, cut to SEAL_BYTES. */
#include "seal.h"

#include <string.h>
#include <sys/random.h>
#include "lib/ed25519/sha512.h"

static uint8_t key[SHA512_BLOCK];

int seal_key_make(void)
{
    return getrandom(key, SHA512_SIZE, 0) == SHA512_SIZE ? 0 : -1;
}

void seal_key_forget(void)
{
    explicit_bzero(key, sizeof(key));
}

/* The hash of the key, each byte changed by `pad`, and what follows it. */
static void padded_hash(uint8_t pad, const void *bytes, size_t count, uint8_t out[SHA512_SIZE])
{
    struct sha512 hash;
    uint8_t padded[SHA512_BLOCK];
    for (size_t i = 0; i < sizeof(padded); i++)
        padded[i] = key[i] ^ pad;
    sha512_begin(&hash);
    sha512_add(&hash, padded, sizeof(padded));
    sha512_add(&hash, bytes, count);
    sha512_end(&hash, out);
    explicit_bzero(padded, sizeof(padded));
}

void seal_make(const void *bytes, size_t count, uint8_t seal[SEAL_BYTES])
{
    uint8_t inner[SHA512_SIZE], outer[SHA512_SIZE];
    padded_hash(0x36, bytes, count, inner);
    padded_hash(0x5c, inner, sizeof(inner), outer);
    memcpy(seal, outer, SEAL_BYTES);
}

bool seal_is_good(const void *bytes, size_t count)
{
    uint8_t seal[SEAL_BYTES], differences = 0;
    if (count <= SEAL_BYTES)
        return false;
    const uint8_t *given = (const uint8_t *)bytes + count - SEAL_BYTES;
    seal_make(bytes, count - SEAL_BYTES, seal);
    for (size_t i = 0; i < SEAL_BYTES; i++) /* all of it, whatever is found: time tells nothing */
        differences |= seal[i] ^ given[i];
    return !differences;
}
