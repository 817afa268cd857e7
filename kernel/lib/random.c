/*
 * random.c: the machine's random numbers.
 *
 * A ChaCha20 generator with fast key erasure: each request makes key stream, of which the first 32
 * bytes become the next key at once, so that a later look at the memory tells nothing of what was
 * given out. Each request stirs in the time-stamp counter and, where the processor has it, RDRAND.
 * A processor without RDRAND is seeded from the jitter of many time stamps, which is weaker: a
 * machine that needs strong keys gives its guest RDRAND.
 */
#include <microlake/random.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>

#include "lib/chacha20/chacha20.h"

#define CPUID_1_ECX_RDRAND (1u << 30)
#define JITTER_ROUNDS      64

static struct {
    struct spinlock lock;
    bool seeded; /* guarded by lock, as all below */
    bool has_rdrand;
    uint32_t key[CHACHA20_KEY_WORDS];
} generator;

static uint64_t time_stamp(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static bool cpu_has_rdrand(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx & CPUID_1_ECX_RDRAND;
}

/* The instruction may find its source empty for a moment; ten tries is its maker's advice. */
static bool rdrand_read(uint64_t *out)
{
    for (int i = 0; i < 10; i++) {
        bool valid;

        __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(valid));
        if (valid)
            return true;
    }
    return false;
}

/* Replaces the key by the first half of a block made from it; the block's rest is the caller's. */
static void key_advance(uint8_t block[CHACHA20_BLOCK])
{
    static const uint32_t nonce[CHACHA20_NONCE_WORDS];

    chacha20_block(generator.key, 0, nonce, block);
    memcpy(generator.key, block, sizeof(generator.key));
    memset(block, 0, sizeof(generator.key));
}

static void block_wipe(uint8_t block[CHACHA20_BLOCK])
{
    memset(block, 0, CHACHA20_BLOCK);
    __asm__ volatile("" ::"r"(block) : "memory"); /* the wipe must happen */
}

static void stir(void)
{
    uint64_t stamp = time_stamp();

    generator.key[0] ^= (uint32_t)stamp;
    generator.key[1] ^= (uint32_t)(stamp >> 32);
    for (unsigned i = 2; generator.has_rdrand && i < CHACHA20_KEY_WORDS; i += 2) {
        uint64_t word;

        if (!rdrand_read(&word))
            break;
        generator.key[i] ^= (uint32_t)word;
        generator.key[i + 1] ^= (uint32_t)(word >> 32);
    }
}

static void seed(void)
{
    uint8_t block[CHACHA20_BLOCK];

    generator.has_rdrand = cpu_has_rdrand();
    for (int i = 0; i < (generator.has_rdrand ? 2 : JITTER_ROUNDS); i++) {
        stir();
        key_advance(block);
    }
    generator.seeded = true;
}

void random_bytes(void *out, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&generator.lock);
    uint8_t block[CHACHA20_BLOCK];
    uint8_t *to = out;

    if (!generator.seeded)
        seed();
    stir();
    while (size) {
        size_t n = MIN(size, sizeof(block) - sizeof(generator.key));

        key_advance(block);
        memcpy(to, block + sizeof(generator.key), n);
        to += n;
        size -= n;
    }
    key_advance(block);
    block_wipe(block);
    spin_unlock_irqrestore(&generator.lock, flags);
}

void random_mix(const void *bytes, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&generator.lock);
    const uint8_t *from = bytes;
    uint8_t block[CHACHA20_BLOCK], *key = (uint8_t *)generator.key;

    while (size) {
        size_t n = MIN(size, sizeof(generator.key));

        for (size_t i = 0; i < n; i++)
            key[i] ^= from[i];
        key_advance(block);
        from += n;
        size -= n;
    }
    block_wipe(block);
    spin_unlock_irqrestore(&generator.lock, flags);
}
