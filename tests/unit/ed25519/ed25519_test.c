/*
 * ed25519_test.c: the vectors of RFC 8032 and FIPS 180-4, and what must be refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/ed25519/ed25519.h"
#include "lib/ed25519/point.h"
#include "lib/ed25519/sha512.h"
#include "lib/ed25519_sign/ed25519_sign.h"

static size_t unhex(uint8_t *out, const char *text)
{
    size_t n = 0;

    for (; text[2 * n]; n++) {
        unsigned byte;

        assert_int_equal(sscanf(text + 2 * n, "%2x", &byte), 1);
        out[n] = (uint8_t)byte;
    }
    return n;
}

/* RFC 8032, section 7.1. */
static const struct {
    const char *secret, *public_key, *message, *signature;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46b"
     "d25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "659"
     "4a7c15e9716ed28dc027beceea1ec40a"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint8_t secret[32], key[32], message[8], signature[64], out[64];
        size_t size = unhex(message, vectors[i].message);

        unhex(secret, vectors[i].secret);
        unhex(key, vectors[i].public_key);
        unhex(signature, vectors[i].signature);
        ed25519_public_key(out, secret);
        assert_memory_equal(out, key, 32);
        ed25519_sign(out, message, size, secret);
        assert_memory_equal(out, signature, 64);
        assert_true(ed25519_verify(key, message, size, signature));
    }
}

static void test_any_flipped_bit(void **state)
{
    uint8_t key[32], message[2], signature[64];

    (void)state;
    unhex(key, vectors[2].public_key);
    unhex(message, vectors[2].message);
    unhex(signature, vectors[2].signature);
    for (int bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(key, message, 2, signature));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int bit = 0; bit < 256; bit++) {
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ed25519_verify(key, message, 2, signature));
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    message[1] ^= 0x10;
    assert_false(ed25519_verify(key, message, 2, signature));
    assert_false(ed25519_verify(key, message, 1, signature));
}

/* S + L is the same modulo L: it must be refused, or a signature has several forms. */
static void test_other_forms(void **state)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t key[32], signature[64];
    struct point point;
    unsigned carry = 0;

    (void)state;
    unhex(key, vectors[0].public_key);
    unhex(signature, vectors[0].signature);
    for (int i = 0; i < 32; i++) {
        carry += signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_false(ed25519_verify(key, "", 0, signature));

    memset(key, 0xff, sizeof(key)); /* y = 2^255 - 1 is 18, but its encoding is another */
    key[31] = 0x7f;
    assert_false(point_decode(&point, key));
    memset(key, 0, sizeof(key)); /* y = 1: x is 0, which has no sign */
    key[0] = 1;
    assert_true(point_decode(&point, key));
    key[31] = 0x80;
    assert_false(point_decode(&point, key));
    key[31] = 0; /* y = 2: there is no such point */
    key[0] = 2;
    assert_false(point_decode(&point, key));
}

static void check_hash(const char *text, const char *expected)
{
    uint8_t want[64], got[64];
    struct sha512 hash;

    unhex(want, expected);
    for (size_t step = 1; step <= 3; step++) { /* in pieces, too */
        sha512_begin(&hash);
        for (size_t at = 0; at < strlen(text); at += step)
            sha512_add(&hash, text + at, strlen(text) - at < step ? strlen(text) - at : step);
        sha512_end(&hash, got);
        assert_memory_equal(got, want, 64);
    }
}

static void test_sha512(void **state)
{
    (void)state;
    check_hash(
        "", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff83"
            "18d2877eec2f63b931bd47417a81a538327af927da3e");
    check_hash("abc",
               "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a83"
               "6ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    check_hash(
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnop"
        "qrlmnopqrsmnopqrstnopqrstu",
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99de"
        "c4b5433ac7d329eeb6dd26545e96e55b874be909");
}

/* Lengths around the block size of the hash: what is signed is verified. */
static void test_lengths(void **state)
{
    uint8_t secret[32] = {1, 2, 3}, key[32], signature[64], message[300];

    (void)state;
    ed25519_public_key(key, secret);
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size < sizeof(message); size += 13) {
        secret[31] = (uint8_t)size;
        ed25519_public_key(key, secret);
        ed25519_sign(signature, message, size, secret);
        assert_true(ed25519_verify(key, message, size, signature));
        message[size / 2] ^= 1;
        assert_true(ed25519_verify(key, message, size, signature) == (size == 0));
        message[size / 2] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_any_flipped_bit),
        cmocka_unit_test(test_other_forms), cmocka_unit_test(test_sha512),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests_name("ed25519", tests, NULL, NULL);
}
