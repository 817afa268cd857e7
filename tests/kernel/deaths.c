/*
 * deaths.c: mistakes that must end the machine at once with a clear message. Each case runs alone
 * (ktest=deaths/CASE); coming back from it is the failure.
 */
#include "ktest.h"

static void double_free(void)
{
    paddr_t pa = frame_alloc(3, 0);

    frame_free(pa, 3);
    frame_free(pa, 3);
    EXPECT(!"a double free was not noticed");
}

static void heap_double_free(void)
{
    void *p = kmalloc(100);

    kfree(p);
    kfree(p);
    EXPECT(!"a double free was not noticed");
}

static void heap_wild_free(void)
{
    kfree((char *)kmalloc(100) + 8);
    EXPECT(!"a wild free was not noticed");
}

__attribute__((noinline)) static uint64_t dig(uint64_t depth)
{
    volatile uint64_t room[64];

    room[depth % 64] = depth;
    return depth ? dig(depth + 1) + room[depth % 64] : 0;
}

static void stack_overflow(void)
{
    EXPECT(dig(1) == 0);
    EXPECT(!"a stack overflow was not noticed");
}

static void write_to_code(void)
{
    *(volatile uint8_t *)(uint64_t)frame_alloc = 0x90;
    EXPECT(!"code is writable");
}

static void run_data(void)
{
    static uint8_t code[16] = {0xc3};

    ((void (*)(void))(uint64_t)code)();
    EXPECT(!"data is executable");
}

static void null_read(void)
{
    volatile uint64_t *nothing = (uint64_t *)(time_now() & 0);

    EXPECT(*nothing == 0);
    EXPECT(!"address 0 is readable");
}

static const struct ktest_case cases[] = {
    {"double_free", double_free},       {"heap_double_free", heap_double_free},
    {"heap_wild_free", heap_wild_free}, {"stack_overflow", stack_overflow},
    {"write_to_code", write_to_code},   {"run_data", run_data},
    {"null_read", null_read},           {NULL, NULL},
};

const struct ktest_suite suite_deaths = {.name = "deaths", .cases = cases, .ends_machine = true};
