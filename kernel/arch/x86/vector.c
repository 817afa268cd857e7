/*
 * vector.c: the x87, SSE, AVX and AVX-512 registers of user threads, saved with XSAVE where the
 * processor has it, else with FXSAVE.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/memory.h>

#define XCR0_WANTED 0xe7ul /* x87, SSE, AVX, AVX-512 (3 parts) */
#define FXSAVE_SIZE 512

static bool have_xsave, have_xsaveopt;
static size_t area_size = FXSAVE_SIZE;
static uint32_t xcr0_low;

static void xcr0_write(uint64_t v)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

void vector_init(void)
{
    struct cpuid_regs mask;

    have_xsave = cr4_read() & CR4_OSXSAVE;
    if (!have_xsave)
        return;
    mask = cpuid(0xd, 0);
    xcr0_low = mask.eax & XCR0_WANTED;
    if ((xcr0_low & 0xe0) != 0xe0) /* AVX-512 is all or nothing */
        xcr0_low &= ~0xe0u;
    xcr0_write(xcr0_low);
    area_size = cpuid(0xd, 0).ebx; /* for what is now enabled */
    have_xsaveopt = cpuid(0xd, 1).eax & 1;
}

size_t vector_state_size(void)
{
    return area_size;
}

void vector_state_init(void *area)
{
    uint8_t *p = area;

    memset(area, 0, area_size);
    p[0] = 0x7f; /* FCW: all exceptions masked, extended precision */
    p[1] = 0x03;
    p[24] = 0x80; /* MXCSR: all exceptions masked */
    p[25] = 0x1f;
}

void vector_save(void *area)
{
    if (have_xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(xcr0_low), "d"(0) : "memory");
    else if (have_xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(xcr0_low), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void vector_load(const void *area)
{
    if (have_xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(xcr0_low), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

void cpu_vector_begin(void)
{
    struct thread *t;

    preempt_disable();
    t = current_thread();
    if (t->vector_state)
        vector_save(t->vector_state);
}

void cpu_vector_end(void)
{
    struct thread *t = current_thread();

    if (t->vector_state)
        vector_load(t->vector_state);
    preempt_enable();
}
