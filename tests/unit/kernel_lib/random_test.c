/*
 * random_test.c: that the machine's random numbers differ from request to request and from what two
 * generators that began alike would give, and that mixing changes them. lib/chacha20 has tests of its own.
 */
#include "kernel_lib_test.h"

#include <microlake/memory.h>
#include <microlake/spinlock.h>

#include "kernel/lib/random.c"

/* The test has one thread: the lock only has to be given back. */
uint64_t spin_lock_irqsave(struct spinlock *l)
{
    assert_int_equal(l->serving, l->next);
    l->next++;
    return 0;
}

void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
    assert_int_equal(flags, 0);
    l->serving++;
}

/* The key of the generator when it was seeded anew. */
static struct chacha20_generator seeded_anew(void)
{
    uint8_t ignored;

    seeded = false;
    memset(&generator, 0, sizeof(generator));
    random_bytes(&ignored, 1);
    return generator;
}

void test_random_seed(void **state)
{
    struct chacha20_generator one = seeded_anew(), other = seeded_anew();

    (void)state;
    assert_memory_not_equal(&one, &other, sizeof(one));
}

/* Two requests of one state differ by the noise of their moment. */
void test_random_noise(void **state)
{
    struct chacha20_generator before = seeded_anew();
    uint8_t one[32], other[32];

    (void)state;
    random_bytes(one, sizeof(one));
    generator = before;
    random_bytes(other, sizeof(other));
    assert_memory_not_equal(one, other, sizeof(one));
}

void test_random_mix(void **state)
{
    struct chacha20_generator before = seeded_anew();

    (void)state;
    random_mix("x", 1);
    assert_memory_not_equal(&generator, &before, sizeof(before));
}
