/*
 * paths.c: which inner loops a processor can run. A path counts when the processor has its
 * instructions and the system has enabled their registers (XCR0). Any context.
 */
#include "lib/mlrt/internal.h"

#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define CPUID_1_ECX_AVX     (1u << 28)
#define CPUID_7_EBX_AVX2    (1u << 5)
#define XCR0_SSE_AVX        6u

static const struct mlrt_ops ops[] = {
    [MLRT_SCALAR] = {&mlrt_float_scalar, &mlrt_integer_scalar},
    [MLRT_SSE2] = {&mlrt_float_sse2, &mlrt_integer_sse2},
    [MLRT_AVX2] = {&mlrt_float_avx2, &mlrt_integer_avx2},
};

struct cpuid_answer {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_answer cpuid(uint32_t leaf)
{
    struct cpuid_answer a;
    __asm__ volatile("cpuid"
                     : "=a"(a.eax), "=b"(a.ebx), "=c"(a.ecx), "=d"(a.edx)
                     : "a"(leaf), "c"(0));
    return a;
}

static bool has_avx2(void)
{
    uint32_t low, high, features = cpuid(1).ecx;
    if (cpuid(0).eax < 7 || !(features & CPUID_1_ECX_OSXSAVE) || !(features & CPUID_1_ECX_AVX)) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & XCR0_SSE_AVX) == XCR0_SSE_AVX && (cpuid(7).ebx & CPUID_7_EBX_AVX2);
}

bool mlrt_has_path(enum mlrt_path path)
{
    return path == MLRT_SCALAR || path == MLRT_SSE2 || (path == MLRT_AVX2 && has_avx2());
}

enum mlrt_path mlrt_best_path(void)
{
    return has_avx2() ? MLRT_AVX2 : MLRT_SSE2;
}

const char *mlrt_path_name(enum mlrt_path path)
{
    static const char *const names[] = {"scalar", "sse2", "avx2", "best"};
    return names[path <= MLRT_BEST ? path : MLRT_BEST];
}

const struct mlrt_ops *path_ops(enum mlrt_path path)
{
    return &ops[path];
}
