/*
 * random.c: the machine's random numbers: the generator of lib/chacha20. Each request stirs in the
 * time-stamp counter and, where the processor has it, RDRAND. A processor without RDRAND is seeded from
 * the jitter of many time stamps, which is weaker: a machine that needs strong keys gives its guest RDRAND.
 */
#include <arch/x86.h>
#include <microlake/random.h>
#include <microlake/spinlock.h>

#include "lib/chacha20/generator.h"

#define CPUID_1_ECX_RDRAND (1u << 30)
#define JITTER_ROUNDS      64
#define NOISE_WORDS        4

static struct spinlock lock;
static struct chacha20_generator generator; /* guarded by lock, as all below */
static bool seeded, has_rdrand;

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

static void noise_read(uint64_t noise[NOISE_WORDS])
{
    noise[0] = tsc_read();
    for (unsigned i = 1; i < NOISE_WORDS; i++)
        if (!has_rdrand || !rdrand_read(&noise[i]))
            noise[i] = 0;
}

static void seed(void)
{
    uint64_t noise[NOISE_WORDS];

    has_rdrand = cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND;
    for (int i = 0; i < (has_rdrand ? 2 : JITTER_ROUNDS); i++) {
        noise_read(noise);
        generator_mix(&generator, noise, sizeof(noise));
    }
    seeded = true;
}

void random_bytes(void *out, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    uint64_t noise[NOISE_WORDS];

    if (!seeded)
        seed();
    noise_read(noise);
    generator_stir(&generator, noise, sizeof(noise));
    generator_take(&generator, out, size);
    spin_unlock_irqrestore(&lock, flags);
}

void random_mix(const void *bytes, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&lock);

    generator_mix(&generator, bytes, size);
    spin_unlock_irqrestore(&lock, flags);
}
