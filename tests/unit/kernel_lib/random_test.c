/*
 * random_test.c: ChaCha20 against RFC 8439's vector, that random bytes look it, and what mixing does to
 * the generator's key, which is why its source is part of this one.
 */
#include "kernel_lib_test.h"

#include <stdlib.h>

#include <microlake/spinlock.h>

#include "kernel/lib/random.c"

/* The test has one thread: the lock only has to be given back. */
uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    assert_int_equal(lock->serving, lock->next);
    lock->next++;
    return 0;
}

void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    assert_int_equal(flags, 0);
    lock->serving++;
}

/* RFC 8439, section 2.3.2. */
void test_chacha20_vector(void **state)
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

void test_random_bytes(void **state)
{
    static uint8_t out[1 << 16];
    uint8_t guard[34] = {0};
    unsigned ones = 0, counts[256] = {0};

    (void)state;
    random_bytes(out, sizeof(out));
    for (size_t i = 0; i < sizeof(out); i++) {
        ones += (unsigned)__builtin_popcount(out[i]);
        counts[out[i]]++;
    }
    /* Half of the 524288 bits, give or take six deviations of 362; each value 256 times, give or
     * take seven of 16. */
    assert_in_range(ones, 262144 - 2172, 262144 + 2172);
    for (int i = 0; i < 256; i++)
        assert_in_range(counts[i], 256 - 112, 256 + 112);

    random_bytes(guard + 1, 32);
    assert_int_equal(guard[0] | guard[33], 0);
    assert_memory_not_equal(guard + 1, out, 32);
}

/* Mixes into the generator as it was with this key; gives the key it has then. */
static void key_after_mixing(const uint32_t key[CHACHA20_KEY_WORDS], const void *bytes, size_t size,
                             uint32_t out[CHACHA20_KEY_WORDS])
{
    memcpy(generator.key, key, sizeof(generator.key));
    random_mix(bytes, size);
    memcpy(out, generator.key, sizeof(generator.key));
}

/* Each byte counts, its place counts, the old key counts, and what is mixed in never becomes the key. */
void test_random_mix(void **state)
{
    enum { SIZE = 100, KEY = sizeof(generator.key) };
    static const uint32_t old[2][CHACHA20_KEY_WORDS] = {{1, 2, 3}, {1, 2, 4}};
    uint32_t plain[CHACHA20_KEY_WORDS], changed[CHACHA20_KEY_WORDS];
    uint8_t *bytes = calloc(1, SIZE);

    (void)state;
    key_after_mixing(old[0], bytes, SIZE, plain);
    assert_memory_not_equal(plain, old[0], KEY);
    assert_memory_not_equal(plain, bytes, KEY);
    key_after_mixing(old[1], bytes, SIZE, changed);
    assert_memory_not_equal(changed, plain, KEY);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = 1;
        key_after_mixing(old[0], bytes, SIZE, changed);
        assert_memory_not_equal(changed, plain, KEY);
        bytes[i] = 0;
    }
    key_after_mixing(old[0], bytes, 0, changed);
    assert_memory_equal(changed, old[0], KEY);
    free(bytes);
}
