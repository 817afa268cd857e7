/*
 * processor.c: the processor's way: its own instruction for this checksum where it has it (SSE4.2),
 * which needs no vector registers; else tables.
 */
#include <microlake/memory.h>

#include "crc.h"

#define CPUID_1_ECX_SSE42 (1u << 20)

static bool has_instruction; /* constant after init */

void processor_init(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    has_instruction = c & CPUID_1_ECX_SSE42;
}

static uint32_t instruction_register(uint32_t reg, const uint8_t *at, size_t bytes)
{
    uint64_t wide = reg;

    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;

        __builtin_memcpy(&word, at, sizeof(word));
        __asm__("crc32q %1, %0" : "+r"(wide) : "r"(word));
    }
    reg = (uint32_t)wide;
    for (; bytes; bytes--, at++)
        __asm__("crc32b %1, %0" : "+r"(reg) : "r"(*at));
    return reg;
}

uint32_t processor_register(uint32_t reg, const void *data, size_t bytes)
{
    return has_instruction ? instruction_register(reg, data, bytes)
                           : crc32c_register(&crc_tables, reg, data, bytes);
}
