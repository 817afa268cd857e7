/*
 * chacha20_test.c: the cipher's block against RFC 8439's vector, and the generator: that what it gives looks
 * random, what stirring and mixing do to its key, and that a key tells nothing of what was given before.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/chacha20/generator.h"

#define KEY_BYTES sizeof(((struct chacha20_generator *)0)->key)

/* RFC 8439, section 2.3.2. */
static void test_vector(void **state)
{
    static const uint8_t expected[CHACHA20_BLOCK] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
    };
    static const uint32_t nonce[CHACHA20_NONCE_WORDS] = {0x09000000, 0x4a000000, 0};
    uint32_t key[CHACHA20_KEY_WORDS];
    uint8_t out[CHACHA20_BLOCK];

    (void)state;
    for (unsigned i = 0; i < CHACHA20_KEY_WORDS; i++)
        key[i] = 0x03020100u + 0x04040404u * i;
    chacha20_block(key, 1, nonce, out);
    assert_memory_equal(out, expected, sizeof(out));
}

/* A request is the upper halves of blocks, whose lower halves are the keys; the last key is no block's. */
static void test_take(void **state)
{
    static const uint32_t nonce[CHACHA20_NONCE_WORDS];
    struct chacha20_generator g = {{5, 6, 7}};
    uint8_t out[70], expected[96], block[CHACHA20_BLOCK];
    uint32_t key[CHACHA20_KEY_WORDS];

    (void)state;
    memcpy(key, g.key, KEY_BYTES);
    for (unsigned i = 0; i < 4; i++) {
        chacha20_block(key, 0, nonce, block);
        memcpy(key, block, KEY_BYTES);
        if (i < 3)
            memcpy(expected + i * KEY_BYTES, block + KEY_BYTES, KEY_BYTES);
    }
    generator_take(&g, out, sizeof(out));
    assert_memory_equal(out, expected, sizeof(out));
    assert_memory_equal(g.key, key, KEY_BYTES);
}

static void test_looks_random(void **state)
{
    static uint8_t out[1 << 16];
    struct chacha20_generator g = {{1}};
    unsigned ones = 0, counts[256] = {0};
    uint8_t guard[34] = {0};

    (void)state;
    generator_take(&g, out, sizeof(out));
    for (size_t i = 0; i < sizeof(out); i++) {
        ones += (unsigned)__builtin_popcount(out[i]);
        counts[out[i]]++;
    }
    /* Half of the 524288 bits, give or take six deviations of 362; each value 256 times, give or
     * take seven of 16. */
    assert_in_range(ones, 262144 - 2172, 262144 + 2172);
    for (int i = 0; i < 256; i++)
        assert_in_range(counts[i], 256 - 112, 256 + 112);
    generator_take(&g, guard + 1, 32);
    assert_int_equal(guard[0] | guard[33], 0);
    assert_memory_not_equal(guard + 1, out, 32);
}

/* Each byte of noise counts, and what there is too much of does no harm. */
static void test_stir(void **state)
{
    uint8_t noise[KEY_BYTES + 1] = {0}, plain[16], changed[16];
    struct chacha20_generator g = {{1}};

    (void)state;
    generator_stir(&g, noise, sizeof(noise));
    generator_take(&g, plain, sizeof(plain));
    for (size_t i = 0; i < KEY_BYTES; i++) {
        noise[i] = 1;
        g = (struct chacha20_generator){{1}};
        generator_stir(&g, noise, sizeof(noise));
        generator_take(&g, changed, sizeof(changed));
        assert_memory_not_equal(changed, plain, sizeof(plain));
        noise[i] = 0;
    }
}

/* Mixes into a generator that has this key; gives the key it has then. */
static void key_after_mixing(const uint32_t key[CHACHA20_KEY_WORDS], const void *bytes, size_t size,
                             uint32_t out[CHACHA20_KEY_WORDS])
{
    struct chacha20_generator g;

    memcpy(g.key, key, KEY_BYTES);
    generator_mix(&g, bytes, size);
    memcpy(out, g.key, KEY_BYTES);
}

/* Each byte counts, its place counts, the old key counts, and what is mixed in never becomes the key. */
static void test_mix(void **state)
{
    enum { SIZE = 100 };
    static const uint32_t old[2][CHACHA20_KEY_WORDS] = {{1, 2, 3}, {1, 2, 4}};
    uint32_t plain[CHACHA20_KEY_WORDS], changed[CHACHA20_KEY_WORDS];
    uint8_t *bytes = calloc(1, SIZE);

    (void)state;
    key_after_mixing(old[0], bytes, SIZE, plain);
    assert_memory_not_equal(plain, old[0], KEY_BYTES);
    assert_memory_not_equal(plain, bytes, KEY_BYTES);
    key_after_mixing(old[1], bytes, SIZE, changed);
    assert_memory_not_equal(changed, plain, KEY_BYTES);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = 1;
        key_after_mixing(old[0], bytes, SIZE, changed);
        assert_memory_not_equal(changed, plain, KEY_BYTES);
        bytes[i] = 0;
    }
    key_after_mixing(old[0], bytes, 0, changed);
    assert_memory_equal(changed, old[0], KEY_BYTES);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector), cmocka_unit_test(test_take), cmocka_unit_test(test_looks_random),
        cmocka_unit_test(test_stir),   cmocka_unit_test(test_mix),
    };

    return cmocka_run_group_tests_name("chacha20", tests, NULL, NULL);
}
