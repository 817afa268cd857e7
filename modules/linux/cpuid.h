/*
 * cpuid.h: what the processor says of itself. Any context.
 */
#pragma once

#include <stdint.h>

enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

static inline void cpuid_read(uint32_t leaf, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[CPUID_EAX]), "=b"(out[CPUID_EBX]), "=c"(out[CPUID_ECX]),
                       "=d"(out[CPUID_EDX])
                     : "a"(leaf), "c"(0));
}
