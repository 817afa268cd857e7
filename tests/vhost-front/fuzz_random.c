/* fuzz_random.c: see fuzz.h. Fields take values near their limits more often than others. */
#include "fuzz.h"

uint64_t fuzz_seed = 1;

/* xorshift64* (S. Vigna, 2014). */
uint64_t random_next(void)
{
    fuzz_seed ^= fuzz_seed >> 12;
    fuzz_seed ^= fuzz_seed << 25;
    fuzz_seed ^= fuzz_seed >> 27;
    return fuzz_seed * 0x2545F4914F6CDD1Dull;
}

uint32_t random_below(uint32_t limit)
{
    return (uint32_t)((random_next() >> 32) % limit);
}

bool one_in(uint32_t n)
{
    return random_below(n) == 0;
}

uint64_t random_edge(void)
{
    /* clang-format off */
    static const uint64_t edges[] = {
        0, 1, 2, 3, 5, 6, 7, 8, 15, 16, 63, 64, 127, 255, 256, 257, 4095, 4096, 4097, 16384, 16385, 65535,
        65536, 262144, 262152, INT32_MAX, UINT32_MAX, UINT32_MAX - 7, 1ull << 32, 1ull << 40, INT64_MAX,
        1ull << 63, UINT64_MAX, UINT64_MAX - 4095,
    };
    /* clang-format on */
    if (one_in(8))
        return random_next();
    return edges[random_below(sizeof(edges) / sizeof(edges[0]))];
}

uint64_t random_or_edge(uint32_t limit)
{
    return one_in(12) ? random_edge() : random_below(limit);
}

uint32_t random_id(void)
{
    uint32_t id = (uint32_t)random_or_edge(5);
    return id == FUZZ_HOME ? 1 : id;
}

uint64_t random_address(void)
{
    if (one_in(10))
        return (1ull << 40) + random_edge() % (1ull << 50);
    uint64_t address = fuzz.scratch + random_below(FUZZ_SCRATCH_PAGES / 2) * VGPGPU_PAGE;
    return one_in(15) ? address + random_below(VGPGPU_PAGE) : address;
}

void bytes_spoil(void *bytes, size_t count)
{
    if (!count || !one_in(6))
        return;
    for (uint32_t flips = 1 + random_below(4); flips; flips--)
        ((uint8_t *)bytes)[random_below((uint32_t)count)] = (uint8_t)random_next();
}
