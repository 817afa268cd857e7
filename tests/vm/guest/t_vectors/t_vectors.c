/*
 * t_vectors.c: x87, SSE, AVX and AVX-512 registers belong to their thread: they survive preemption,
 * sleeping, system calls and signal handlers that use them, and a new program starts with none of
 * the old one's. Widths that the processor does not have are left out.
 */
#include "../check.h"

#include <cpuid.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#define THREADS 6
#define ROUNDS  4000

/* Loads registers with a pattern, lets others run, and compares. 1: they differ. */
typedef int (*hold_fn)(uint64_t pattern);

static int hold_sse(uint64_t pattern)
{
    uint64_t in[2] = {pattern, ~pattern}, out[2] = {0, 0};

    __asm__ volatile("movdqu %1, %%xmm7\n movdqu %1, %%xmm15\n"
                     "mov $300, %%ecx\n 1: pause\n dec %%ecx\n jnz 1b\n"
                     "pxor %%xmm7, %%xmm15\n movdqu %%xmm15, %0"
                     : "=m"(out)
                     : "m"(in)
                     : "xmm7", "xmm15", "ecx");
    return (out[0] | out[1]) != 0;
}

__attribute__((target("avx2"))) static int hold_avx(uint64_t pattern)
{
    uint64_t in[4] = {pattern, ~pattern, pattern * 3, pattern * 5}, out[4];

    __asm__ volatile("vmovdqu %1, %%ymm3\n vmovdqu %1, %%ymm14\n"
                     "mov $300, %%ecx\n 1: pause\n dec %%ecx\n jnz 1b\n"
                     "vpxor %1, %%ymm14, %%ymm14\n vpxor %1, %%ymm3, %%ymm3\n"
                     "vpor %%ymm3, %%ymm14, %%ymm14\n vmovdqu %%ymm14, %0"
                     : "=m"(out)
                     : "m"(in)
                     : "xmm3", "xmm14", "ecx");
    return (out[0] | out[1] | out[2] | out[3]) != 0;
}

__attribute__((target("avx512f"))) static int hold_avx512(uint64_t pattern)
{
    uint64_t in[8], out[8], difference = 0;

    for (unsigned i = 0; i < 8; i++)
        in[i] = pattern * (i + 1);
    __asm__ volatile("vmovdqu64 %1, %%zmm5\n vmovdqu64 %1, %%zmm29\n"
                     "mov $300, %%ecx\n 1: pause\n dec %%ecx\n jnz 1b\n"
                     "vpxorq %1, %%zmm29, %%zmm29\n vpxorq %1, %%zmm5, %%zmm5\n"
                     "vporq %%zmm5, %%zmm29, %%zmm29\n vmovdqu64 %%zmm29, %0"
                     : "=m"(out)
                     : "m"(in)
                     : "xmm5", "xmm29", "ecx");
    for (unsigned i = 0; i < 8; i++)
        difference |= out[i];
    return difference != 0;
}

static int hold_x87(uint64_t pattern)
{
    double in = (double)(pattern >> 16) + 0.5, out;

    __asm__ volatile("fldl %1\n mov $300, %%ecx\n 1: pause\n dec %%ecx\n jnz 1b\n fstpl %0"
                     : "=m"(out)
                     : "m"(in)
                     : "ecx");
    return out != in;
}

struct holder {
    hold_fn hold;
    uint64_t pattern;
    unsigned wrong;
};

static void *holder_run(void *arg)
{
    struct holder *h = arg;
    struct timespec nap = {0, 20000};

    for (unsigned i = 0; i < ROUNDS; i++) {
        h->wrong += (unsigned)h->hold(h->pattern + i);
        if (i % 64 == 0)
            sched_yield();
        if (i % 1024 == 0)
            nanosleep(&nap, NULL);
    }
    return NULL;
}

static void held_by_threads(hold_fn hold)
{
    struct holder h[THREADS];
    pthread_t t[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        h[i] = (struct holder){hold, 0x0123456789abcdefull * (i + 3), 0};
        CHECK(pthread_create(&t[i], NULL, holder_run, &h[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(h[i].wrong == 0);
}

static void x87(void)
{
    held_by_threads(hold_x87);
}

static void sse(void)
{
    held_by_threads(hold_sse);
}

static void avx(void)
{
    if (__builtin_cpu_supports("avx2"))
        held_by_threads(hold_avx);
}

static void avx512(void)
{
    if (__builtin_cpu_supports("avx512f"))
        held_by_threads(hold_avx512);
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
    (void)signal;
    handled += 1 + hold_sse(0x5555555555555555ull);
}

/* Handlers run in the middle of vector work and use the same registers. */
static void signals(void)
{
    struct sigaction action = {.sa_handler = handler};
    unsigned wrong = 0;

    handled = 0;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t in[2] = {i * 77ull, ~(i * 77ull)}, out[2];

        /* kill(getpid(), SIGUSR1) between load and compare, without the C library. */
        __asm__ volatile("movdqu %1, %%xmm7\n mov $62, %%eax\n syscall\n movdqu %%xmm7, %0"
                         : "=m"(out)
                         : "m"(in), "D"((long)getpid()), "S"((long)SIGUSR1)
                         : "xmm7", "rax", "rcx", "r11", "memory");
        wrong += out[0] != in[0] || out[1] != in[1];
    }
    CHECK(handled == 200);
    CHECK(wrong == 0);
}

static void control_words(void)
{
    CHECK(fesetround(FE_TOWARDZERO) == 0);
    sched_yield();
    CHECK(fegetround() == FE_TOWARDZERO);
    CHECK(fesetround(FE_TONEAREST) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"x87", x87},       {"sse", sse},         {"avx", avx},
        {"avx512", avx512}, {"signals", signals}, {"control_words", control_words},
    };

    return RUN_TESTS(tests, argc, argv);
}
